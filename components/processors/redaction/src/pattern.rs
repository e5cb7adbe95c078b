//! Regular expressions of the configuration: Go's spelling, run by the `regex` crate over bytes, which takes time linear
//! in the text for one search.
//!
//! A pattern cannot stall the pipeline: its compiled size, the length of what it searches
//! ([`crate::config::RedactionConfig::value_bytes_max`]) and the searches in one value ([`MATCHES_MAX`]) are bounded. A
//! value with more matches than that is masked from there to its end.

use matching::Pattern;
use regex::bytes::Regex;

/// Longest text of a pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Most matches of one pattern that are replaced one by one in a value.
pub(crate) const MATCHES_MAX: usize = 512;

/// Compiles a pattern in Go's syntax.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn compile(text: &str) -> Result<Regex, String> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern of {} bytes is longer than the {PATTERN_BYTES_MAX} allowed", text.len()));
    }
    Pattern::new(text).map(|pattern| pattern.regex().clone()).map_err(|error| error.to_string())
}

/// Replaces every match; nothing when there is none. `replace` appends what stands in place of a match.
pub(crate) fn replace_all(regex: &Regex, text: &[u8], mut replace: impl FnMut(&[u8], &mut Vec<u8>)) -> Option<Vec<u8>> {
    let mut matches = regex.find_iter(text);
    let mut next = Some(matches.next()?);
    let mut out = Vec::with_capacity(text.len() + 16);
    let (mut copied, mut count) = (0, 0);
    while let Some(found) = next {
        out.extend_from_slice(text.get(copied..found.start()).unwrap_or_default());
        count += 1;
        if count > MATCHES_MAX {
            replace(text.get(found.start()..).unwrap_or_default(), &mut out);
            return Some(out);
        }
        replace(found.as_bytes(), &mut out);
        copied = found.end();
        next = matches.next();
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stars(pattern: &str, text: &str) -> Option<String> {
        let out = replace_all(&compile(pattern).unwrap(), text.as_bytes(), |_, out| out.extend_from_slice(b"****"))?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn matches_are_replaced_as_in_go() {
        for (pattern, text, expected) in [
            (r"4[0-9]{12}", "card 4111111111111", Some("card ****")),
            (r"4[0-9]{12}", "none", None),
            (".*", "abc", Some("****")),
            (".*", "", Some("****")),
            (".*", "a\nb", Some("****\n****")),
            ("b*", "abc", Some("****a****c****")),
            (r"\d", "a٣1", Some("a٣****")),
        ] {
            assert_eq!(stars(pattern, text).as_deref(), expected, "{pattern} in {text:?}");
        }
    }

    #[test]
    fn too_many_matches_mask_the_rest() {
        let text = "ab".repeat(MATCHES_MAX + 10);
        let masked = stars("a", &text).unwrap();
        assert_eq!(masked.matches("****").count(), MATCHES_MAX + 1);
        assert!(!masked.contains('a') && masked.ends_with("****"));
    }

    #[test]
    fn bad_patterns_say_why() {
        assert!(compile("(a").unwrap_err().starts_with("error parsing regexp: "));
        assert!(compile("(?:a{1000}){1000}").is_err());
        assert!(compile(&"a".repeat(70_000)).unwrap_err().contains("70000 bytes"));
    }
}
