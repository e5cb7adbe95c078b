//! Configuration: YAML with the Collector's rules, to a located tree, to typed structs, with errors that point.
//!
//! ```
//! use config::{Config, Validator};
//! use std::time::Duration;
//!
//! /// How requests are sent.
//! #[derive(Clone, Debug, Config)]
//! #[config(validate = Client::check)]
//! struct Client {
//!     /// Where to send to.
//!     #[config(required)]
//!     endpoint: String,
//!     /// Limit of one attempt.
//!     #[config(default = Duration::from_secs(5))]
//!     timeout: Duration,
//! }
//!
//! impl Client {
//!     fn check(&self, v: &mut Validator<'_>) {
//!         if !self.endpoint.contains(':') {
//!             v.error("endpoint", "`endpoint` must have a port");
//!         }
//!     }
//! }
//!
//! let (client, warnings) = config::decode_str::<Client>("endpoint: localhost:4317").unwrap();
//! assert_eq!(client.timeout, Duration::from_secs(5));
//! assert!(warnings.is_empty());
//!
//! let errors = config::decode_str::<Client>("endpiont: localhost:4317").unwrap_err();
//! assert!(errors.to_string().contains("'' has invalid keys: endpiont"));
//! ```
//!
//! The way of a configuration: [`load`] reads sources ([`Source`]) into [`Node`]s, merges and expands them; [`decode`] turns a
//! node into a [`Decode`] type over its defaults, then validates it ([`Validator`]); everything wrong is collected in
//! [`Errors`]. The program knows which components exist and how they are wired; this crate does not.
//!
//! No serde: decoding has to know positions, defaults, and which text a `${…}` had. Outside text never panics.

mod basic;
pub mod codes;
mod decode;
mod duration;
mod error;
mod expand;
mod id;
mod inside;
mod mask;
mod merge;
mod nearest;
mod node;
mod optional;
mod origin;
pub mod print;
mod reader;
mod render;
mod scalar;
mod schema;
mod secret;
mod sources;
mod validate;
mod yaml;

pub use basic::MapKey;
pub use codes::{Code, explain};
pub use config_derive::Config;
pub use decode::{Decode, Decoder, decode};
pub use duration::GoDuration;
pub use error::{ConfigError, Errors, Severity};
pub use id::{ComponentId, IdError};
pub use merge::{merge, merge_appending};
pub use nearest::{meant, nearest};
pub use node::{Expansion, Key, Node, Value};
pub use optional::Optional;
pub use origin::{Origin, Source};
pub use reader::{Block, Choice, ChoiceValue, Field, FieldSpec, MapReader, Unsupported, decode_choice};
pub use schema::{BlockSchema, Schema};
pub use secret::{Headers, REDACTED, Secret};
pub use sources::{Env, LoadOptions, Loaded, ProcessEnv, load};
pub use validate::Validator;
pub use yaml::Limits;

/// Parses a YAML text as it stands, `${…}` included.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(source: &std::sync::Arc<Source>, limits: &Limits) -> Result<Node, Errors> {
    let mut errors = Errors::new();
    let node = yaml::parse(source, limits, &mut errors);
    match node {
        Some(node) if !errors.has_errors() => Ok(node),
        _ => Err(errors),
    }
}

/// Decodes and validates a block from text over its default, for tests of components: `${…}` is expanded, no environment
/// variable is set. Also gives the warnings.
///
/// # Errors
/// All errors and warnings.
pub fn decode_str<T: Decode + Default>(yaml: &str) -> Result<(T, Vec<ConfigError>), Errors> {
    let mut errors = Errors::new();
    let limits = Limits::default();
    let source = Source::new("test.yaml", yaml);
    let Some(mut node) = yaml::parse(&source, &limits, &mut errors) else { return Err(errors) };
    let mut own = Errors::new();
    expand::Expander::new(&|_: &str| None, &limits, &mut own).expand(&mut node, 1);
    errors.append(own);
    let value = decode(&node, T::default(), "", &mut errors);
    errors.into_result(value)
}
