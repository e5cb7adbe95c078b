//! What patterns of attributes are held against.

use std::fmt::{Display, Write};

use pdata::view::ValueView;

/// What regular expressions of attributes are held against: scalars, numbers without exponent. `None` for others.
pub(crate) fn text_of<'t>(value: ValueView<'t>, scratch: &'t mut String) -> Option<&'t str> {
    match value {
        ValueView::Str(text) => Some(text),
        ValueView::Bool(flag) => Some(if flag { "true" } else { "false" }),
        ValueView::I64(number) => Some(write_to(scratch, number)),
        ValueView::F64(number) if number.is_finite() => Some(write_to(scratch, number)),
        ValueView::F64(number) => Some(value_text::not_finite(number)),
        _ => None,
    }
}

fn write_to(scratch: &mut String, text: impl Display) -> &str {
    scratch.clear();
    // Writing to a string cannot fail.
    write!(scratch, "{text}").unwrap_or_default();
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_see_numbers_without_exponents() {
        let scratch = &mut String::new();
        assert_eq!(text_of(ValueView::F64(1e22), scratch), Some("10000000000000000000000"));
        assert_eq!(text_of(ValueView::F64(f64::INFINITY), scratch), Some("+Inf"));
        assert_eq!(text_of(ValueView::I64(5), scratch), Some("5"));
        assert_eq!(text_of(ValueView::Bool(false), scratch), Some("false"));
        assert_eq!(text_of(ValueView::Bytes(b"a"), scratch), None);
        assert_eq!(text_of(ValueView::Empty, scratch), None);
    }
}
