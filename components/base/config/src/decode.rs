//! Located tree to typed values: every error collected, a value always returned.
//!
//! A value is decoded over a base, which is the default of its place; what is wrong or missing leaves the base as it
//! was. Nothing stops at the first error. Composite settings are in [`crate::reader`].

use crate::{
    codes::{self, Code},
    error::{ConfigError, Errors, Severity},
    node::{Node, Value},
    schema::{Schema, sounds_secret},
    validate::Validator,
};

/// A type that can be read from configuration. `#[derive(Config)]` implements it for structs and unit enums.
pub trait Decode: Sized {
    /// Whether a scalar where a list of these is expected is split at commas.
    const SPLIT_SCALAR: bool = false;

    /// Reads `node` over `base`. Errors go to `cx`; the result is then as good as can be. Null gives `base`.
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self;

    /// What can be written, for documentation and redaction.
    fn schema() -> Schema;

    /// The value as it would be written; secrets as `[REDACTED]`. Null when there is nothing to write.
    fn encode(&self) -> Value {
        Value::Null
    }

    /// Checks a decoded value, blocks inside it first. Where decoding found errors, the default stands in the place of what
    /// is wrong; what is said about that is left out ([`decode`]).
    fn validate(&self, validator: &mut Validator<'_>) {
        let _ = validator;
    }
}

/// Decodes and validates. `path` is the Collector's name of the block: `receivers::otlp`, or nothing at the top. Errors and
/// warnings are added to `errors`; where decoding found errors, those of validation that may follow from them are left out.
pub fn decode<T: Decode>(node: &Node, base: T, path: &str, errors: &mut Errors) -> T {
    let (mut decoding, mut validation) = (Errors::new(), Errors::new());
    let value = T::decode(node, base, &mut Decoder::new(&mut decoding, path));
    value.validate(&mut Validator::new(node, path, &mut validation));
    if decoding.has_errors() {
        validation.retain(|error| is_of_its_own(error, node, path, &decoding));
    }
    errors.append(decoding);
    errors.append(validation);
    value
}

/// Whether an error of validation would be there if what could not be decoded were right: it is about a setting that was
/// written, that holds and is in nothing that failed, and it does not speak of that.
fn is_of_its_own(error: &ConfigError, node: &Node, path: &str, decoding: &Errors) -> bool {
    let below = error.setting.strip_prefix(path).unwrap_or(&error.setting);
    let is_written = node.get_path(below).is_some();
    let touches = |failed: &str| {
        let key = failed.split("::").filter(|segment| segment.parse::<usize>().is_err()).last().unwrap_or(failed);
        let speaks = ['`', '\'', '"'].iter().any(|quote| error.message.contains(&format!("{quote}{key}{quote}")));
        speaks || is_within(failed, &error.setting) || is_within(&error.setting, failed)
    };
    let is_free = |failed: &ConfigError| {
        // A key nobody knows changes nothing, but for the one that may have been meant.
        let meant = failed.suggestion.as_deref().filter(|_| failed.code == codes::UNKNOWN_KEY);
        let meant = meant.map(|meant| match failed.setting.rsplit_once("::") {
            Some((block, _)) => format!("{block}::{meant}"),
            None => meant.to_owned(),
        });
        !touches(&failed.setting) && !meant.is_some_and(|meant| touches(&meant))
    };
    is_written && decoding.iter().filter(|failed| failed.severity == Severity::Error).all(is_free)
}

/// Whether a setting is another, or stands in it.
fn is_within(setting: &str, other: &str) -> bool {
    setting.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || other.is_empty())
}

/// The path and the collected errors while a tree is decoded.
#[derive(Debug)]
pub struct Decoder<'a> {
    errors: &'a mut Errors,
    root: String,
    path: Vec<Segment>,
    /// A key that the next block has besides its own (`enabled` of [`crate::Optional`]).
    pub(crate) also_known: Option<&'static str>,
}

#[derive(Debug)]
enum Segment {
    Key(String),
    Index(usize),
}

impl<'a> Decoder<'a> {
    /// Starts below `root`, the Collector's name of the block (`receivers::otlp`).
    pub fn new(errors: &'a mut Errors, root: &str) -> Self {
        Self { errors, root: root.to_owned(), path: Vec::new(), also_known: None }
    }

    /// Runs `f` with `key` added to the path.
    pub fn in_key<R>(&mut self, key: &str, f: impl FnOnce(&mut Self) -> R) -> R {
        self.within(Segment::Key(key.to_owned()), f)
    }

    /// Runs `f` with a list index added to the path.
    pub fn in_index<R>(&mut self, index: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        self.within(Segment::Index(index), f)
    }

    fn within<R>(&mut self, segment: Segment, f: impl FnOnce(&mut Self) -> R) -> R {
        let also_known = self.also_known.take();
        self.path.push(segment);
        let result = f(self);
        self.path.pop();
        self.also_known = also_known;
        result
    }

    /// The path below the root as the Collector's decoder quotes it: `protocols.grpc`, `policies[0].name`.
    pub fn quoted_path(&self) -> String {
        let mut text = String::new();
        for segment in &self.path {
            match segment {
                Segment::Key(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(key);
                }
                Segment::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }

    /// The full path in `::` form.
    pub fn full_path(&self) -> String {
        let mut text = self.root.clone();
        for segment in &self.path {
            if !text.is_empty() {
                text.push_str("::");
            }
            match segment {
                Segment::Key(key) => text.push_str(key),
                Segment::Index(index) => text.push_str(&index.to_string()),
            }
        }
        text
    }

    /// An error at a node; path, setting and origin are filled in. Add to it, then [`Decoder::push`].
    pub fn error(&self, node: &Node, code: Code, message: impl Into<String>) -> ConfigError {
        self.fill(node, ConfigError::new(code, message))
    }

    /// A warning at a node; path, setting and origin are filled in. Add to it, then [`Decoder::push`].
    pub fn warning(&self, node: &Node, code: Code, message: impl Into<String>) -> ConfigError {
        self.fill(node, ConfigError::warning(code, message))
    }

    fn fill(&self, node: &Node, error: ConfigError) -> ConfigError {
        let mut error = error.in_path(self.root.clone()).at(&node.origin);
        error.setting = self.full_path();
        if let Some(expansion) = &node.expansion {
            error = error.with_note(format!("the value came from `{}`", expansion.reference));
        }
        error
    }

    /// Collects an error or warning.
    pub fn push(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    /// Reports that something of another type was expected: `expected` continues the sentence "expected …".
    pub fn wrong_type(&mut self, node: &Node, expected: &str) {
        let error = self.wrong_type_error(node, expected);
        self.push(error);
    }

    pub(crate) fn wrong_type_error(&self, node: &Node, expected: &str) -> ConfigError {
        let quoted = self.quoted_path();
        let subject = if quoted.is_empty() { String::new() } else { format!("'{quoted}' ") };
        let secret = matches!(self.path.last(), Some(Segment::Key(key)) if sounds_secret(key));
        let got = if secret { node.kind().to_owned() } else { node.describe() };
        let message = format!("{subject}expected {expected}, got {got}");
        self.error(node, codes::WRONG_TYPE, message)
    }

    /// Notes that the text at this node is a secret. A reference that is the whole text may be shown.
    pub fn mask(&mut self, node: &Node) {
        const QUOTES: usize = 2;
        let shown = |reference: &str| {
            usize::try_from(node.origin.length).is_ok_and(|length| length <= reference.chars().count() + QUOTES)
        };
        if !node.expansion.as_ref().is_some_and(|expansion| shown(&expansion.reference)) {
            self.errors.mask(&node.origin);
        }
    }

    /// Everything collected so far.
    pub fn errors(&self) -> &Errors {
        self.errors
    }
}
