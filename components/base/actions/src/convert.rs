//! Values of another type.

use std::fmt::Write as _;

use pdata::EditError;
use pdata::edit::{Attribute, Value};
use pdata::view::ValueView;
use value_text::Text;

/// The type to convert to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Text,
    Int,
    Double,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "string" => Self::Text,
            "int" => Self::Int,
            "double" => Self::Double,
            _ => return None,
        })
    }

    /// Converts a value; one that cannot be is left as it is.
    pub(crate) fn convert(self, attribute: &mut Attribute<'_>, scratch: &mut String) -> Result<(), EditError> {
        let value = attribute.value();
        let converted = match self {
            Self::Text if value.str_bytes().is_some() => None,
            Self::Text => {
                scratch.clear();
                // Writing to a string cannot fail.
                write!(scratch, "{}", Text(ValueView::new(value.bytes()))).unwrap_or_default();
                Some(Value::Str(scratch))
            }
            Self::Int => match value.get() {
                #[expect(clippy::cast_possible_truncation, reason = "the fraction is cut off, the range is kept")]
                Value::Double(double) => Some(Value::Int(double as i64)),
                Value::Bool(truth) => Some(Value::Int(i64::from(truth))),
                Value::Str(text) => text.parse().ok().map(Value::Int),
                _ => None,
            },
            Self::Double => match value.get() {
                #[expect(clippy::cast_precision_loss, reason = "the nearest number")]
                Value::Int(int) => Some(Value::Double(int as f64)),
                Value::Bool(truth) => Some(Value::Double(f64::from(u8::from(truth)))),
                Value::Str(text) => double(text).map(Value::Double),
                _ => None,
            },
        };
        converted.map_or(Ok(()), |value| attribute.set(value).map(|_| ()))
    }
}

/// A number as Go's `ParseFloat` reads it, hexadecimal ones excepted.
fn double(text: &str) -> Option<f64> {
    let number: f64 = match text.contains('_') {
        true => without_separators(text)?.parse().ok()?,
        false => text.parse().ok()?,
    };
    let written = text.trim_start_matches(['+', '-']);
    let is_word = written.starts_with(['i', 'I', 'n', 'N']);
    // Numbers out of range are errors there, and `nan` has no sign.
    let refused = if is_word { number.is_nan() && written.len() < text.len() } else { number.is_infinite() };
    (!refused).then_some(number)
}

/// A number without its underscores, each of which has to stand between two digits.
fn without_separators(text: &str) -> Option<String> {
    let digit = |part: &str, at_end: bool| {
        let next = if at_end { part.bytes().next_back() } else { part.bytes().next() };
        next.is_some_and(|byte| byte.is_ascii_digit())
    };
    let parts: Vec<&str> = text.split('_').collect();
    let between = parts.windows(2).all(|pair| matches!(pair, [one, other] if digit(one, true) && digit(other, false)));
    between.then(|| parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_go() {
        for (text, expected) in [
            ("1", Some(1.0)),
            ("-1.5e3", Some(-1500.0)),
            ("+.5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e-400", Some(0.0)),
            ("1e400", None),
            ("Inf", Some(f64::INFINITY)),
            ("-infinity", Some(f64::NEG_INFINITY)),
            ("+nan", None),
            (" 1", None),
            ("1_0", Some(10.0)),
            ("1_000.2_5e1_0", Some(10_002_500_000_000.0)),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1_.5", None),
            ("", None),
            ("e1", None),
        ] {
            assert_eq!(double(text), expected, "{text}");
        }
        assert!(double("NaN").is_some_and(f64::is_nan));
    }
}
