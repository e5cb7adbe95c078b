//! Shell patterns of `replace_match` and `replace_all_matches`: `*` and `?` (both cross `/`, as in the Collector), `[a-z]`,
//! `[!a-z]`, `{one,two}`, and `\` before a character that is meant itself.

use regex::Regex;

/// A pattern that matches a whole text.
///
/// # Errors
/// What is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let wrong = |what: &str| format!("the pattern `{pattern}` {what}");
    let mut regex = String::from(r"(?s)\A(?:");
    let mut alternatives = 0_u32;
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => push_literal(&mut regex, rest.next().ok_or_else(|| wrong("ends in a backslash"))?),
            '{' => {
                alternatives += 1;
                regex.push_str("(?:");
            }
            ',' if alternatives > 0 => regex.push('|'),
            '}' if alternatives > 0 => {
                alternatives -= 1;
                regex.push(')');
            }
            '[' => {
                regex.push('[');
                if rest.next_if(|c| matches!(c, '!' | '^')).is_some() {
                    regex.push('^');
                }
                loop {
                    match rest.next().ok_or_else(|| wrong("does not close a `[`"))? {
                        ']' => break,
                        '-' => regex.push('-'),
                        '\\' => push_literal(&mut regex, rest.next().ok_or_else(|| wrong("ends in a backslash"))?),
                        c => push_literal(&mut regex, c),
                    }
                }
                regex.push(']');
            }
            c => push_literal(&mut regex, c),
        }
    }
    if alternatives > 0 {
        return Err(wrong("does not close a `{`"));
    }
    regex.push_str(r")\z");
    crate::pattern::compile(&regex).map_err(|_reason| wrong("is no valid pattern"))
}

fn push_literal(regex: &mut String, c: char) {
    let mut bytes = [0; 4];
    regex.push_str(&regex::escape(c.encode_utf8(&mut bytes)));
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn patterns_match_whole_texts() {
        let cases = [
            ("/user/*/list/*", "/user/1/list/2", true),
            ("/user/*", "/user/1/list", true),
            ("/user/**", "/user/1/list", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("{one,two}.log", "two.log", true),
            ("{one,two}.log", "three.log", false),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("a.c", "abc", false),
            ("a,b", "a,b", true),
            ("*", "line\nbreak", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(compile(pattern).unwrap().is_match(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn unfinished_patterns_are_refused() {
        for pattern in ["[a", "{a,b", "a\\", "[a\\", "[z-a]"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
