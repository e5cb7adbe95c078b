//! Configuration errors and warnings: one type for both, collected rather than raised one by one.
//!
//! Rendering is in [`crate::render`]. No value of a secret may get into a message; the places of secrets are noted in
//! [`Errors`] so that quoted lines can be masked.

use crate::{codes::Code, origin::Origin};
use std::fmt;

/// Errors beyond this many are counted, not kept.
const ERRORS_MAX: usize = 1000;

/// Whether the configuration can be used in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used; somebody should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong (or odd) in a configuration.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// Stable code, explained by [`crate::explain`].
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// Where the caret points; may be unknown.
    pub origin: Origin,
    /// Whose message this is, in the Collector's form: `receivers::otlp::protocols::grpc`. Empty at the top.
    pub path: String,
    /// The setting itself, `path` included: `receivers::otlp::protocols::grpc::endpoint`.
    pub setting: String,
    /// What is wrong: lower case, no full stop, the Collector's sentence where it has one.
    pub message: String,
    /// What would have been right: type, unit, range, allowed values.
    pub expected: Option<String>,
    /// The nearest valid name.
    pub suggestion: Option<String>,
    /// What to write instead.
    pub fix: Option<String>,
    /// Anything else: renamed in which version, which `${…}` the value came from.
    pub notes: Vec<String>,
    /// Other places that belong to it, each with a word on its part.
    pub related: Vec<(Origin, String)>,
}

impl ConfigError {
    /// An error without a place yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            origin: Origin::default(),
            path: String::new(),
            setting: String::new(),
            message: message.into(),
            expected: None,
            suggestion: None,
            fix: None,
            notes: Vec::new(),
            related: Vec::new(),
        }
    }

    /// A warning without a place yet.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(code, message) }
    }

    /// Sets where the caret points.
    #[must_use]
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin = origin.clone();
        self
    }

    /// Sets whose message this is; the setting becomes the same.
    #[must_use]
    pub fn in_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self.setting.clone_from(&self.path);
        self
    }

    /// Sets what would have been right.
    #[must_use]
    pub fn with_expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Sets the nearest valid name, if there is one.
    #[must_use]
    pub fn with_suggestion(mut self, suggestion: Option<&str>) -> Self {
        self.suggestion = suggestion.map(str::to_owned);
        self
    }

    /// Sets what to write instead.
    #[must_use]
    pub fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn with_related(mut self, origin: &Origin, part: impl Into<String>) -> Self {
        self.related.push((origin.clone(), part.into()));
        self
    }

    /// Path and message as the Collector would print them: `receivers::otlp: must specify …`.
    pub fn headline(&self) -> String {
        if self.path.is_empty() { self.message.clone() } else { format!("{}: {}", self.path, self.message) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin.is_known() {
            write!(f, "{}: ", self.origin)?;
        }
        f.write_str(&self.headline())
    }
}

impl std::error::Error for ConfigError {}

/// Errors and warnings of a configuration, collected; also the places of secrets, which no output may quote.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    items: Vec<ConfigError>,
    pub(crate) masks: Vec<Origin>,
    beyond_limit: usize,
}

impl Errors {
    /// Nothing wrong so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one. Beyond 1000, errors are only counted.
    pub fn push(&mut self, error: ConfigError) {
        if self.items.len() < ERRORS_MAX {
            self.items.push(error);
        } else {
            self.beyond_limit += 1;
        }
    }

    /// Notes the place of a secret, so that its characters are masked on quoted lines.
    pub fn mask(&mut self, origin: &Origin) {
        if origin.is_known() {
            self.masks.push(origin.clone());
        }
    }

    /// Keeps those of which that holds.
    pub(crate) fn retain(&mut self, keeps: impl FnMut(&ConfigError) -> bool) {
        self.items.retain(keeps);
    }

    /// Takes over everything from `other`.
    pub fn append(&mut self, other: Self) {
        for error in other.items {
            self.push(error);
        }
        self.masks.extend(other.masks);
        self.beyond_limit += other.beyond_limit;
    }

    /// Whether there is neither error nor warning.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Errors and warnings together.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many were counted but not kept.
    pub fn beyond_limit(&self) -> usize {
        self.beyond_limit
    }

    /// Whether there is an error (warnings do not count).
    pub fn has_errors(&self) -> bool {
        self.error_count() > 0
    }

    /// How many errors there are, those beyond the limit included.
    pub fn error_count(&self) -> usize {
        self.items.iter().filter(|item| item.severity == Severity::Error).count() + self.beyond_limit
    }

    /// All of them in the order found.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.items.iter()
    }

    /// All of them sorted by source, line and column; what has no place comes first.
    pub fn sorted(&self) -> Vec<&ConfigError> {
        let mut sorted: Vec<&ConfigError> = self.items.iter().collect();
        sorted.sort_by(|a, b| a.origin.order().cmp(&b.origin.order()));
        sorted
    }

    /// The value if there are no errors (with the warnings), else all errors and warnings.
    ///
    /// # Errors
    /// Itself, when it holds an error.
    pub fn into_result<T>(self, value: T) -> Result<(T, Vec<ConfigError>), Self> {
        if self.has_errors() { Err(self) } else { Ok((value, self.items)) }
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<ConfigError> for Errors {
    fn from(error: ConfigError) -> Self {
        Self { items: vec![error], masks: Vec::new(), beyond_limit: 0 }
    }
}

/// One line per error and warning, sorted by place.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.sorted().into_iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(error, f)?;
        }
        if self.beyond_limit > 0 {
            write!(f, "\nand {} more", self.beyond_limit)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
