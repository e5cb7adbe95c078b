//! Sizes in bytes with a unit.

use std::fmt;

use config::{Decode, Decoder, Node, Schema, Value, codes};

/// Bytes, written as a number or with a unit: `268435456`, `256MiB`, `1GB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl ByteSize {
    /// Reads digits, then perhaps a unit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text.get(digits.len()..)?.trim_start();
        let factor = match unit {
            "" => 1,
            unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        digits.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

/// With the largest binary unit that is exact.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().take(4).rev().find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size));
        match unit {
            Some((name, size)) => write!(f, "{}{name}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Decode for ByteSize {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        let read = match &node.value {
            Value::Null => return base,
            Value::Int(bytes) => u64::try_from(*bytes).ok().map(Self),
            Value::UInt(bytes) => Some(Self(*bytes)),
            Value::String(text) => Self::parse(text),
            _ => None,
        };
        read.unwrap_or_else(|| {
            let message = format!("'{}' is not a size in bytes: {}", cx.quoted_path(), node.describe());
            let error = cx.error(node, codes::INVALID_VALUE, message);
            cx.push(error.with_expected("bytes such as `256MiB`, `1GB` or `1048576`"));
            base
        })
    }

    fn schema() -> Schema {
        Schema::String
    }

    fn encode(&self) -> Value {
        Value::string(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("0", 0), ("256MiB", 256 << 20), ("1 GB", 1_000_000_000), ("7B", 7), ("12", 12)] {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)), "{text}");
        }
        for text in ["", "MiB", "1.5GiB", "-1", "1mib", "1 MiBs", "99999999999TiB"] {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
        assert_eq!(ByteSize(256 << 20).to_string(), "256MiB");
        assert_eq!(ByteSize(1000).to_string(), "1000");
        assert_eq!(ByteSize(0).to_string(), "0");
    }
}
