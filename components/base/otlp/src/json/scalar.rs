//! Scalars of OTLP/JSON: integers and doubles as numbers or strings, IDs in hexadecimal, bytes in base64.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine};

use super::reader::number_len;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The integer that `text` is, if it is in `min..=max`. As protobuf's JSON has it, `1.0` and `1e3` are integers too.
pub(crate) fn integer(text: &[u8], min: i128, max: i128) -> Option<i128> {
    let value = match plain_integer(text) {
        Some(value) => value,
        None => integral_double(text)?,
    };
    (min..=max).contains(&value).then_some(value)
}

#[inline]
fn plain_integer(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // 19 digits always fit into 64 bits; the largest integer, 2^64 - 1, has 20.
    let magnitude = match digits.len() {
        0 => return None,
        1..=19 => i128::from(fold_digits(digits)?),
        20 => {
            let (head, tail) = digits.split_at(19);
            i128::from(fold_digits(head)?) * 10 + i128::from(fold_digits(tail)?)
        }
        _ => return None,
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn fold_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        digit.is_ascii_digit().then(|| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
    })
}

#[cold]
fn integral_double(text: &[u8]) -> Option<i128> {
    let value = double(text)?;
    // A saturating cast; what does not fit 64 bits is refused by the caller's bounds.
    (value.is_finite() && value.fract().to_bits() << 1 == 0).then_some(value as i128)
}

/// The number that `text` is, `None` when it is no JSON number or beyond the doubles.
pub(crate) fn double(text: &[u8]) -> Option<f64> {
    if number_len(text) != Some(text.len()) {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// The double that a string stands for: a number, `NaN`, `Infinity`, `-Infinity`.
pub(crate) fn double_in_string(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        text => double(text),
    }
}

/// Fills `id` with the bytes that twice as many hexadecimal digits of either case stand for.
pub(crate) fn hex(digits: &[u8], id: &mut [u8]) -> Option<()> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    for (byte, [high, low]) in id.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    (pairs.len() == id.len()).then_some(())
}

#[inline]
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends the bytes that base64 stands for: either alphabet, with or without padding.
pub(crate) fn base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let url_safe = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if url_safe { &URL_SAFE } else { &STANDARD };
    engine.decode_vec(text, out).ok()
}

/// Appends bytes as base64 with padding.
pub(crate) fn put_base64(out: &mut String, bytes: &[u8]) {
    engine::general_purpose::STANDARD.encode_string(bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_and_bounded() {
        let max = i128::from(u64::MAX);
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("18446744073709551615", Some(max)),
            ("18446744073709551616", None),
            ("99999999999999999999", None),
            ("999999999999999999999999", None),
            ("-1", None),
            ("1e3", Some(1000)),
            ("1.0", Some(1)),
            ("-0.0", Some(0)),
            ("1.5", None),
            ("1e400", None),
            ("", None),
            ("-", None),
            ("+1", None),
            (" 1", None),
            ("0x1", None),
            ("1_000", None),
            ("NaN", None),
        ] {
            assert_eq!(integer(text.as_bytes(), 0, max), expected, "{text}");
        }
        let (min, max) = (i128::from(i64::MIN), i128::from(i64::MAX));
        assert_eq!(integer(b"-9223372036854775808", min, max), Some(min));
        assert_eq!(integer(b"9223372036854775808", min, max), None);
    }

    #[test]
    fn hex_is_case_insensitive_and_exact() {
        let mut id = [0; 2];
        assert_eq!(hex(b"aBcD", &mut id), Some(()));
        assert_eq!(id, [0xab, 0xcd]);
        for bad in [&b"abc"[..], b"abcde0", b"ab", b"abxx"] {
            assert_eq!(hex(bad, &mut id), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_of_any_common_form_is_read() {
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            let mut out = vec![1];
            assert_eq!(base64(text.as_bytes(), &mut out), Some(()), "{text}");
            assert_eq!(out, [1, 0xfb, 0xff], "{text}");
        }
        assert_eq!(base64(b"a", &mut Vec::new()), None);
        assert_eq!(base64(b"*/8=", &mut Vec::new()), None);
    }
}
