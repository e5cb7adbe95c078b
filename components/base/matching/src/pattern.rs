//! Regular expressions as users of the Collector write them: Go's syntax (RE2), found anywhere in the text.
//!
//! The `regex` crate has the same semantics (leftmost-first, linear time), in a syntax that differs in places: its `\d`,
//! `\w`, `\s` and `\b` are Unicode, classes nest and have set operations, `\<` is a word boundary, braces must repeat.
//! Patterns are translated, so that each means what it means in Go; what Go refuses is refused.
//!
//! Source: <https://github.com/google/re2/wiki/Syntax>, <https://pkg.go.dev/regexp/syntax>.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

/// The most memory that a compiled pattern may take, in bytes.
const COMPILED_BYTES_MAX: usize = 4 << 20;
/// The most that a part may be repeated, as in Go.
const REPEAT_MAX: u32 = 1000;
/// Flags that Go knows.
const FLAGS: &str = "imsU-";

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{pattern}`")]
pub struct PatternError {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Pattern {
    /// Compiles a pattern in Go's syntax.
    ///
    /// # Errors
    /// It is malformed, uses what Go does not have, or is too large.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let failed = |reason| PatternError { pattern: pattern.to_owned(), reason };
        let translated = Translator { rest: pattern.chars().peekable(), out: String::new() }.run().map_err(failed)?;
        RegexBuilder::new(&translated)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .build()
            .map(Self)
            .map_err(|error| failed(reason(&error)))
    }

    /// Whether it is found anywhere in the text.
    #[inline]
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// The compiled expression, for its groups.
    #[must_use]
    pub fn regex(&self) -> &Regex {
        &self.0
    }
}

/// The last line of the crate's message, which says what is wrong; the lines before quote a text nobody wrote.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it takes more than {limit} bytes when compiled"),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

struct Translator<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
}

impl Translator<'_> {
    fn run(mut self) -> Result<String, String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '{' => self.brace()?,
                ']' | '}' => self.literal(c),
                c => self.out.push(c),
            }
        }
        Ok(self.out)
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn starts_with(&self, text: &str) -> bool {
        let mut ahead = self.rest.clone();
        text.chars().all(|c| ahead.next() == Some(c))
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.rest.next();
        }
    }

    /// Behind a backslash, outside a class.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek() {
            Some('Q') => {
                self.rest.next();
                while self.rest.peek().is_some() && !self.starts_with("\\E") {
                    if let Some(c) = self.rest.next() {
                        self.literal(c);
                    }
                }
                self.skip(2);
                Ok(())
            }
            Some(c @ ('b' | 'B')) => {
                let boundary = format!("(?-u:\\{c})");
                self.out.push_str(&boundary);
                self.rest.next();
                Ok(())
            }
            Some(c @ ('A' | 'z')) => {
                self.out.extend(['\\', *c]);
                self.rest.next();
                Ok(())
            }
            Some(c) if perl_class(*c).is_some() => {
                let class = format!("[{}]", perl_class(*c).unwrap_or_default());
                self.out.push_str(&class);
                self.rest.next();
                Ok(())
            }
            _ => self.character_escape(),
        }
    }

    /// Behind a backslash, anywhere: single characters and Unicode classes.
    fn character_escape(&mut self) -> Result<(), String> {
        let Some(c) = self.rest.next() else { return Err("trailing backslash at end of expression".to_owned()) };
        match c {
            'a' | 'f' | 'n' | 'r' | 't' | 'v' => self.out.extend(['\\', c]),
            'x' => {
                self.out.push_str("\\x");
                self.braced();
            }
            'p' | 'P' => {
                let negated = self.starts_with("{^");
                self.out.extend(['\\', if negated == (c == 'p') { 'P' } else { 'p' }]);
                if negated {
                    self.skip(2);
                    self.out.push('{');
                    self.until_brace();
                } else {
                    self.braced();
                }
            }
            '0' => self.octal(c),
            '1'..='7' if matches!(self.rest.peek(), Some('0'..='7')) => self.octal(c),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => self.literal(c),
            c => return Err(format!("invalid escape sequence: `\\{c}`")),
        }
        Ok(())
    }

    fn octal(&mut self, first: char) {
        let mut code = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) else { break };
            code = code * 8 + digit;
            self.rest.next();
        }
        // Writing to a string cannot fail.
        write!(self.out, "\\x{{{code:x}}}").unwrap_or_default();
    }

    /// Copies `{…}` if it stands here.
    fn braced(&mut self) {
        if self.rest.peek() == Some(&'{') {
            self.until_brace();
        }
    }

    fn until_brace(&mut self) {
        for c in self.rest.by_ref() {
            self.out.push(c);
            if c == '}' {
                break;
            }
        }
    }

    /// Behind `(`: flags and names.
    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.peek() != Some(&'?') {
            return Ok(());
        }
        let flags = self.rest.clone().skip(1).take_while(|c| *c == '-' || c.is_ascii_alphabetic());
        let flags: String = flags.collect();
        if flags.starts_with('P') {
            return Ok(());
        }
        match flags.chars().find(|flag| !FLAGS.contains(*flag)) {
            Some(_) => Err(format!("invalid or unsupported Perl syntax: `(?{flags}`")),
            None => Ok(()),
        }
    }

    /// Behind `{`: a repetition, or a brace that stands for itself.
    fn brace(&mut self) -> Result<(), String> {
        let inside: String = self.rest.clone().take_while(|c| *c != '}').collect();
        let closed = self.rest.clone().nth(inside.chars().count()) == Some('}');
        let (least, most) = inside.split_once(',').unwrap_or((&inside, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !closed || !is_number(least) || !(most.is_empty() || is_number(most)) {
            self.literal('{');
            return Ok(());
        }
        let few_enough = |text: &str| !text.is_empty() && text.parse().is_ok_and(|count: u32| count <= REPEAT_MAX);
        if !few_enough(least) || !(most.is_empty() || few_enough(most)) {
            return Err(format!("invalid repeat count: `{{{inside}}}`"));
        }
        self.out.push('{');
        self.until_brace();
        Ok(())
    }

    /// Behind `[`.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.peek() == Some(&'^') {
            self.out.push('^');
            self.rest.next();
        }
        let mut first = true;
        loop {
            match self.rest.peek() {
                None => return Err("missing closing ]".to_owned()),
                Some(']') if !first => {
                    self.rest.next();
                    self.out.push(']');
                    return Ok(());
                }
                Some(_) => {}
            }
            first = false;
            if self.starts_with("[:") {
                self.posix_class()?;
                continue;
            }
            if !self.class_member()? {
                continue;
            }
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                self.rest.next();
                self.out.push('-');
                self.class_member()?;
            }
        }
    }

    fn posix_class(&mut self) -> Result<(), String> {
        let name: String = self.rest.clone().skip(2).take_while(|c| *c != ':' && *c != ']').collect();
        if !self.starts_with(&format!("[:{name}:]")) {
            // A bracket that stands for itself.
            self.class_member()?;
            return Ok(());
        }
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
            "word", "xdigit",
        ];
        if !known.contains(&name.strip_prefix('^').unwrap_or(&name)) {
            return Err(format!("invalid character class range: `[:{name}:]`"));
        }
        for _ in 0..name.chars().count() + 4 {
            self.out.extend(self.rest.next());
        }
        Ok(())
    }

    /// One member of a class. Whether it can begin a range.
    fn class_member(&mut self) -> Result<bool, String> {
        match self.rest.next() {
            None => Err("missing closing ]".to_owned()),
            Some('\\') => match self.rest.peek().copied() {
                Some(c) if perl_class(c).is_some() => {
                    let class = format!("[{}]", perl_class(c).unwrap_or_default());
                    self.out.push_str(&class);
                    self.rest.next();
                    Ok(false)
                }
                c => self.character_escape().map(|()| !matches!(c, Some('p' | 'P'))),
            },
            Some(c) => {
                self.literal(c);
                Ok(true)
            }
        }
    }
}

/// What stands between the brackets for `\d` and its like, which are ASCII in Go.
fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "0-9",
        'D' => "^0-9",
        'w' => "0-9A-Za-z_",
        'W' => "^0-9A-Za-z_",
        's' => "\\t\\n\\f\\r ",
        'S' => "^\\t\\n\\f\\r ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, matches, fails) in [
            ("b+", "abc", "acd"),
            ("^a.c$", "abc", "abcd"),
            (r"^\d+$", "123", "\u{664}\u{665}"),
            (r"^\D$", "\u{664}", "4"),
            (r"^\w+$", "a_1", "é"),
            (r"^[\w-]+$", "a-b", "a.b"),
            (r"^[^\s]$", "\u{b}", " "),
            (r"\bcafé", "un café", "uncafé"),
            (r"^caf\b", "café", "cafe"),
            (r"^a\<b$", "a<b", "ab"),
            (r"^\Qa.b[\E+$", "a.b[[", "axb["),
            ("^{a}$", "{a}", "a"),
            ("^a{,2}$", "a{,2}", "aa"),
            ("^a{2,}$", "aaa", "a"),
            ("^a{1,2}$", "aa", "aaa"),
            ("^[[a]$", "[", "]"),
            ("^[]a]+$", "]a", "["),
            ("^[a&&b]+$", "a&b", "c"),
            ("^[a-c--]+$", "b-", "d"),
            ("^[+--]$", ",", "/"),
            ("^[[:alpha:][:digit:]]+$", "a1", "_"),
            ("^[[:^alpha:]]$", "1", "a"),
            ("^[a~~b]+$", "~a", "c"),
            (r"^\101\x42\x{43}$", "ABC", "abc"),
            (r"^\0$", "\0", "0"),
            (r"^\p{Greek}\pL$", "αa", "a1"),
            (r"^\p{^Greek}$", "a", "α"),
            (r"^\P{^Greek}$", "α", "a"),
            ("(?i)^k$", "K", "l"),
            (r"^\/\-\_\.$", "/-_.", "/-_x"),
            ("(?s)^a.b$", "a\nb", "ab"),
            ("^(?P<n>a)(?<m>b)(?:c)$", "abc", "ab"),
            ("^a#b c$", "a#b c", "a"),
            ("^}]$", "}]", "}"),
            ("^[^]]$", "a", "]"),
        ] {
            let compiled = Pattern::new(pattern).unwrap_or_else(|error| panic!("{error}"));
            assert!(compiled.is_match(matches.as_bytes()), "{pattern} {matches}");
            assert!(!compiled.is_match(fails.as_bytes()), "{pattern} {fails}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for (pattern, reason) in [
            ("a(b", "unclosed group"),
            ("a)", "unopened group"),
            ("[a", "missing closing ]"),
            ("[]", "missing closing ]"),
            ("*a", "repetition operator missing expression"),
            (r"\Z", r"invalid escape sequence: `\Z`"),
            (r"[\b]", r"invalid escape sequence: `\b`"),
            (r"(a)\1", r"invalid escape sequence: `\1`"),
            ("a\\", "trailing backslash at end of expression"),
            ("(?x)a b", "invalid or unsupported Perl syntax: `(?x`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a{2,99999999999}", "invalid repeat count: `{2,99999999999}`"),
            ("[[:letter:]]", "invalid character class range: `[:letter:]`"),
            ("(?=a)", "look-around, including look-ahead and look-behind, is not supported"),
            (r"(\pL{1000}){1000}", "it takes more than 4194304 bytes when compiled"),
        ] {
            let error = Pattern::new(pattern).unwrap_err();
            assert_eq!(error.reason, reason, "{pattern}");
            assert_eq!(error.to_string(), format!("error parsing regexp: {reason}: `{pattern}`"));
        }
    }
}
