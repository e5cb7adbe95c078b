//! What cannot be used, and the setting where it stands.

use std::fmt;

use config::Validator;
use ottl::ParseError;

/// Something that cannot be used, and the setting where it stands.
#[derive(Debug)]
pub struct Problem {
    /// A path from the component's block: `trace_statements::0::statements::1`.
    pub field: String,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong.
#[derive(Debug)]
pub enum Wrong {
    /// A statement or condition.
    Statement(ParseError),
    /// Anything else.
    Setting(String),
}

impl Problem {
    /// A statement or condition that does not compile.
    pub fn statement(field: impl Into<String>, error: ParseError) -> Self {
        Self { field: field.into(), wrong: Wrong::Statement(error) }
    }

    /// A setting that cannot be as it is.
    pub fn setting(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), wrong: Wrong::Setting(message.into()) }
    }

    /// Reports it at its place in the YAML: inside the text, where it is the language's.
    pub fn report(&self, v: &mut Validator<'_>) {
        match &self.wrong {
            Wrong::Statement(error) => {
                v.error_inside(
                    &self.field,
                    &error.text,
                    error.span.clone(),
                    error.message.clone(),
                    error.help.as_deref(),
                );
            }
            Wrong::Setting(message) => v.error(&self.field, message.clone()),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(error) => error.fmt(f),
            Self::Setting(message) => f.write_str(message),
        }
    }
}
