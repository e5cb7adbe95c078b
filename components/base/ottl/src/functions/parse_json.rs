//! `ParseJSON`: an object or list from JSON. Numbers are doubles; of equal keys the last wins; nesting is bounded.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::make::{DEPTH_MAX, Entries, TARGET, VALUES_MAX, digest_or_fail, function};
use crate::error::RunError;
use crate::function::Function;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] =
    &[function("ParseJSON", &[TARGET], |arguments| digest_or_fail(arguments, "target", parse))];

fn parse(text: &str) -> Result<Value<'static>, RunError> {
    let parsed = deserialized(text).or_else(|error| match mended(text) {
        Some(mended) => deserialized(&mended),
        None => Err(error),
    });
    match parsed.map_err(|error| RunError::new(format!("the text is not JSON: {error}")))? {
        value @ (Value::List(_) | Value::Map(_)) => Ok(value),
        other => Err(RunError::expected("a JSON object or list", &other)),
    }
}

fn deserialized(text: &str) -> Result<Value<'static>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let room = Cell::new(VALUES_MAX);
    let value = Json { depth: 0, room: &room }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Halves of characters that stand alone (`\ud800`), as truncated texts have them, as U+FFFD. `None` if there are none.
fn mended(text: &str) -> Option<String> {
    let surrogate = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        let unit = u16::from_str_radix(digits, 16).ok()?;
        (0xd800..0xe000).contains(&unit).then_some(unit)
    };
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        let whole = surrogate(at).zip(surrogate(at + 6)).is_some_and(|(high, low)| high < 0xdc00 && low >= 0xdc00);
        if whole {
            at += 12;
        } else if surrogate(at).is_some() {
            out.push_str(text.get(copied..at)?);
            out.push_str("\\ufffd");
            at += 6;
            copied = at;
        } else {
            // The escaped character may be a backslash.
            at += 2;
        }
    }
    out.push_str(text.get(copied..)?);
    (copied > 0).then_some(out)
}

/// Reads one value, at this depth.
#[derive(Clone, Copy)]
struct Json<'r> {
    depth: usize,
    /// How many more values there may be.
    room: &'r Cell<usize>,
}

impl Json<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format!("it nests deeper than {DEPTH_MAX} objects and lists")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = Value<'static>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let room = self.room.get().checked_sub(1);
        self.room.set(room.ok_or_else(|| D::Error::custom(format!("it holds more than {VALUES_MAX} values")))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Self::Value, E> {
        Ok(Value::Float(int as f64))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Self::Value, E> {
        Ok(Value::Float(int as f64))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(float))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let below = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let below = self.deeper()?;
        let mut entries = Entries::default();
        while let Some(key) = members.next_key::<String>()? {
            entries.put(key, members.next_value_seed(below)?);
        }
        Ok(entries.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, list, map};
    use super::*;

    #[test]
    fn objects_and_lists() {
        let nested =
            Value::List(vec![1.0.into(), 2.5.into(), Value::Nil, true.into(), "x".into(), map([("b", map([]))])]);
        for (text, expected) in [
            (r#"{"a": [1, 2.5, null, true, "x", {"b": {}}]}"#, map([("a", nested)])),
            (" [1] ", list([1.0])),
            ("[]", Value::List(Vec::new())),
            (r#"{"a":1, "b":2, "a":"last"}"#, map([("a", "last".into()), ("b", 2.0.into())])),
            (r#"{"z":"\u00e9\n"}"#, map([("z", "é\n".into())])),
            ("[123456789012345678901234567890]", list([1.234_567_890_123_456_8e29])),
            ("[-9223372036854775808]", list([-9_223_372_036_854_775_808.0])),
        ] {
            gives(Call::to("ParseJSON").arg("target", text), expected);
        }
    }

    #[test]
    fn what_is_no_object_or_list() {
        for (text, error) in [
            ("1", "expected a JSON object or list, found float"),
            ("null", "expected a JSON object or list, found nil"),
            ("\"x\"", "expected a JSON object or list, found string"),
            ("", "the text is not JSON: EOF"),
            ("{\"a\":1} x", "the text is not JSON: trailing characters"),
            ("{\"a\":1e999}", "the text is not JSON: number out of range"),
            ("{a:1}", "the text is not JSON: key must be a string"),
        ] {
            fails(Call::to("ParseJSON").arg("target", text), error);
        }
        fails(Call::to("ParseJSON").arg("target", 1), "expected a string, found int");
        fails(Call::to("ParseJSON").arg("target", Value::Nil), "expected a string, found nil");
    }

    #[test]
    fn halves_of_characters_are_replaced() {
        for (text, expected) in [
            (r#"["\ud800"]"#, "\u{fffd}"),
            (r#"["a\uDC00b"]"#, "a\u{fffd}b"),
            (r#"["\ud83d\ude00\ud83d"]"#, "😀\u{fffd}"),
            (r#"["\ud83d\ud83d\ude00"]"#, "\u{fffd}😀"),
            (r#"["\\ud800\ud800"]"#, "\\ud800\u{fffd}"),
        ] {
            gives(Call::to("ParseJSON").arg("target", text), list([expected]));
        }
        fails(Call::to("ParseJSON").arg("target", r#"["\ud800"#), "the text is not JSON: EOF");
        fails(Call::to("ParseJSON").arg("target", r#"["\ud8é0"]"#), "the text is not JSON");
    }

    #[test]
    fn how_many_values_is_bounded() {
        let of = |values: usize| format!("[{}0]", "0,".repeat(values - 1));
        assert!(parse(&of(VALUES_MAX - 1)).is_ok());
        let error = parse(&of(VALUES_MAX)).unwrap_err().to_string();
        assert!(error.contains("it holds more than 262144 values"), "{error}");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&deep(DEPTH_MAX)).is_ok());
        let error = parse(&deep(DEPTH_MAX + 1)).unwrap_err().to_string();
        assert!(error.contains("it nests deeper than 64 objects and lists"), "{error}");
        assert!(parse(&deep(1_000_000)).is_err());
    }
}
