//! The two encodings of OTLP/HTTP and their content types.

/// How a request or response body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Binary protobuf, `application/x-protobuf`.
    Proto,
    /// OTLP/JSON, `application/json`.
    Json,
}

impl Encoding {
    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Proto => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// The encoding that a `Content-Type` header names. Parameters and case do not matter; `None` for other types.
    #[must_use]
    pub fn from_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        [Self::Proto, Self::Json].into_iter().find(|encoding| essence.eq_ignore_ascii_case(encoding.content_type()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        for (value, expected) in [
            ("application/json", Some(Encoding::Json)),
            ("Application/JSON; charset=utf-8", Some(Encoding::Json)),
            ("application/x-protobuf;x=y", Some(Encoding::Proto)),
            ("application/x-protobuf2", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(Encoding::from_content_type(value), expected, "{value}");
        }
    }
}
