//! Lists of actions on attributes, as the `attributes` and `resource` processors of the Collector have them.
//!
//! - [`ActionConfig`] is what users write for one action.
//! - [`Actions`] is a list of them, compiled: patterns, values and what must be read from the request.
//! - [`Actions::bind`] reads the request once for a batch; [`Bound::apply_to_items`] then runs the list on all items,
//!   [`Bound::apply`] on one message's attributes.
//!
//! Keys may occur twice in a message: reading takes the first, deleting, hashing and converting reach every one, writing
//! leaves one. Nothing is allocated for a message, except by conversions to text.
//!
//! Deliberately absent: which messages (`matching`, the processors).
//!
//! Source of the behaviour: the Collector's `internal/coreinternal/attraction` (contrib, 0.145, and `default_value` as of
//! 0.152); the readmes of the processors say where they depart.

mod apply;
mod compile;
pub mod config;
mod convert;
mod hash;
mod plain;
mod source;

pub use crate::apply::Bound;
pub use crate::compile::Actions;
pub use crate::config::ActionConfig;
