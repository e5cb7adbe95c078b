//! The W3C tracestate, and OpenTelemetry's member of it.

use std::fmt::Write;

use smallvec::SmallVec;

use crate::{Randomness, Threshold};

/// Longest tracestate that is read, in bytes. W3C asks for 512 at least.
const BYTES_MAX: usize = 1024;
/// Members of a tracestate (W3C).
const MEMBERS_MAX: usize = 32;
/// Bytes of a member's key, and of a value (W3C).
const PART_BYTES_MAX: usize = 256;
/// OpenTelemetry's member.
const VENDOR: &str = "ot";

/// The text does not follow the specifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tracestate is not valid")]
pub struct InvalidTraceState;

/// A parsed tracestate. What is not about sampling is kept as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState<'a> {
    /// `rv`: randomness that is not the trace ID's.
    pub randomness: Option<Randomness>,
    /// `th`: what stages before have rejected.
    pub threshold: Option<Threshold>,
    /// Other fields of OpenTelemetry's member, `key:value`.
    fields: SmallVec<[&'a str; 2]>,
    /// Other members, `key=value`.
    members: SmallVec<[&'a str; 4]>,
}

impl<'a> TraceState<'a> {
    /// Reads a tracestate; empty text is an empty one.
    ///
    /// # Errors
    /// [`InvalidTraceState`] when the syntax of either specification, or one of their limits, is not kept.
    pub fn parse(text: &'a str) -> Result<Self, InvalidTraceState> {
        let mut state = Self::default();
        if text.is_empty() {
            return Ok(state);
        }
        if text.len() > BYTES_MAX {
            return Err(InvalidTraceState);
        }
        let mut count = 0;
        for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            count += 1;
            let (key, value) = member.split_once('=').ok_or(InvalidTraceState)?;
            if count > MEMBERS_MAX || !is_key(key) || !is_value(value) {
                return Err(InvalidTraceState);
            }
            if key == VENDOR { state.read_fields(value)? } else { state.members.push(member) }
        }
        Ok(state)
    }

    fn read_fields(&mut self, value: &'a str) -> Result<(), InvalidTraceState> {
        for field in value.split(';').filter(|field| !field.is_empty()) {
            let (key, value) = field.split_once(':').ok_or(InvalidTraceState)?;
            let starts_well = key.starts_with(|c: char| c.is_ascii_lowercase());
            let is_key = starts_well && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            let in_value = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if !is_key || !value.bytes().all(in_value) {
                return Err(InvalidTraceState);
            }
            match key {
                "rv" => self.randomness = Some(Randomness::parse(value).ok_or(InvalidTraceState)?),
                "th" => self.threshold = Some(Threshold::parse(value).ok_or(InvalidTraceState)?),
                _ => self.fields.push(field),
            }
        }
        Ok(())
    }

    /// Raises the threshold, or sets it; `false`, and nothing done, where that would lower it: a kept item cannot come to
    /// stand for fewer than it does.
    pub fn raise(&mut self, to: Threshold) -> bool {
        if self.threshold.is_some_and(|before| before > to) {
            return false;
        }
        self.threshold = Some(to);
        true
    }

    /// The value of a member, OpenTelemetry's excepted.
    #[must_use]
    pub fn member(&self, key: &str) -> Option<&'a str> {
        self.members.iter().find_map(|member| member.split_once('=').filter(|(found, _)| *found == key)).map(|(_, v)| v)
    }

    /// Appends the text. OpenTelemetry's member comes first, as the one that changed last; what does not fit the limits
    /// any more is left out at the end.
    pub fn write(&self, out: &mut String) {
        let start = out.len();
        let mut between = "ot=";
        let mut field = |out: &mut String, key: &str, value: &dyn std::fmt::Display| {
            out.push_str(between);
            between = ";";
            // Writing to a string cannot fail.
            write!(out, "{key}{value}").ok();
        };
        if let Some(randomness) = self.randomness {
            field(out, "rv:", &randomness);
        }
        if let Some(threshold) = self.threshold.filter(|threshold| *threshold != Threshold::NEVER) {
            field(out, "th:", &threshold);
        }
        for other in &self.fields {
            if out.len() - start + other.len() + 1 > PART_BYTES_MAX {
                break;
            }
            field(out, "", other);
        }
        let mut count = usize::from(out.len() > start);
        for member in &self.members {
            count += 1;
            if count > MEMBERS_MAX || out.len() - start + member.len() + 1 > BYTES_MAX {
                break;
            }
            if out.len() > start {
                out.push(',');
            }
            out.push_str(member);
        }
    }
}

/// `key` or `tenant@system`, of lower-case letters, digits and `_-*/`.
fn is_key(key: &str) -> bool {
    let rest = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte))
    };
    let starts = |text: &str, digit_too: bool| {
        text.starts_with(|c: char| c.is_ascii_lowercase() || (digit_too && c.is_ascii_digit()))
    };
    match key.split_once('@') {
        None => key.len() <= PART_BYTES_MAX && starts(key, false) && rest(key),
        Some((tenant, system)) => {
            tenant.len() <= 241
                && system.len() <= 14
                && starts(tenant, true)
                && rest(tenant)
                && starts(system, false)
                && rest(system)
        }
    }
}

/// Printable ASCII without `,` and `=`, not ending in a space.
fn is_value(value: &str) -> bool {
    let last = value.as_bytes().last();
    let inside = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=';
    value.len() <= PART_BYTES_MAX && last.is_some_and(|last| *last != b' ') && value.bytes().all(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(state: &TraceState<'_>) -> String {
        let mut out = String::new();
        state.write(&mut out);
        out
    }

    #[test]
    fn sampling_fields_are_read_and_everything_else_is_kept() {
        let cases = [
            ("", None, None, ""),
            ("ot=th:8", None, Some("8"), "ot=th:8"),
            ("ot=th:c;rv:d29d6a7215ced0", Some("d29d6a7215ced0"), Some("c"), "ot=rv:d29d6a7215ced0;th:c"),
            ("a=b,ot=th:0;k:v.1", None, Some("0"), "ot=th:0;k:v.1,a=b"),
            (" a=b , c@d=e f ", None, None, "a=b,c@d=e f"),
            ("a=b,,c=d,", None, None, "a=b,c=d"),
        ];
        for (text, rv, th, out) in cases {
            let state = TraceState::parse(text).unwrap();
            assert_eq!(state.randomness, rv.and_then(Randomness::parse), "{text}");
            assert_eq!(state.threshold, th.and_then(Threshold::parse), "{text}");
            assert_eq!(written(&state), out, "{text}");
        }
        assert_eq!(TraceState::parse("a=b,c=d").unwrap().member("c"), Some("d"));
    }

    #[test]
    fn what_is_not_valid_is_refused() {
        let many = vec!["a=b"; 33].join(",");
        let long = format!("a={}", "x".repeat(257));
        for text in
            ["a", "=b", "a=", "A=b", "a=b=c", "ot=th:", "ot=th:xyz", "ot=rv:1", "ot=th", "ot=T:1", "a=é", &many, &long]
        {
            assert_eq!(TraceState::parse(text), Err(InvalidTraceState), "{text}");
        }
    }

    #[test]
    fn thresholds_only_rise() {
        let mut state = TraceState::parse("ot=th:8").unwrap();
        assert!(!state.raise(Threshold::parse("4").unwrap()));
        assert!(state.raise(Threshold::parse("c").unwrap()));
        assert_eq!(written(&state), "ot=th:c");
        state.threshold = Some(Threshold::NEVER);
        assert_eq!(written(&state), "");
    }

    #[test]
    fn limits_hold_when_written() {
        let fields = (0..40).map(|n| format!("k{n}:vvvv")).collect::<Vec<_>>().join(";");
        let text = format!("ot={}", fields.get(..250).unwrap());
        let mut state = TraceState::parse(&text).unwrap();
        state.randomness = Some(Randomness::MAX);
        state.raise(Threshold::parse("ffffffffffffff").unwrap());
        let out = written(&state);
        assert!(
            out.len() <= 3 + PART_BYTES_MAX && out.starts_with("ot=rv:ffffffffffffff;th:ffffffffffffff;k0:vvvv"),
            "{out}"
        );
        assert!(TraceState::parse(&out).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_the_same(text in "([a-c]=[a-z]{1,3}|ot=(th:[0-9a-f]{1,14};)?(rv:[0-9a-f]{14})?|,| ){0,6}") {
            let out = TraceState::parse(&text).map(|state| written(&state)).unwrap_or_default();
            let again = TraceState::parse(&out);
            proptest::prop_assert!(again.is_ok());
            if let (Ok(state), Ok(again)) = (TraceState::parse(&text), again) {
                proptest::prop_assert_eq!(state, again);
            }
        }
    }
}
