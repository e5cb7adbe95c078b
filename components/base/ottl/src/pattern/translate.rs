//! From RE2's spelling to that of the `regex` crate.
//!
//! The two agree on most. Here is made equal: the classes `\d \s \w` and `\b`, which are ASCII in RE2; `\Q…\E`; octal
//! escapes; `\p{^…}`; `{` that starts no repetition; and brackets, where `[`, `&&`, `--` and `~~` mean themselves.
//! What neither knows is left to the `regex` crate to refuse.

use std::iter::Peekable;
use std::str::Chars;

/// The pattern in the spelling of the `regex` crate.
///
/// # Errors
/// What RE2 has and that crate has not.
pub fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = cut(rest, c.len_utf8());
        match c {
            '\\' if after.starts_with('Q') => {
                let quoted = cut(after, 1);
                let (text, behind) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                out.push_str(&regex::escape(text));
                rest = behind;
            }
            '\\' => {
                let mut chars = after.chars().peekable();
                out.push_str(&escape(&mut chars, false)?);
                rest = tail(after, chars);
            }
            '[' => {
                let mut chars = after.chars().peekable();
                class(&mut chars, &mut out)?;
                rest = tail(after, chars);
            }
            '{' => {
                if !is_repetition(after) {
                    out.push('\\');
                }
                out.push('{');
                rest = after;
            }
            c => {
                out.push(c);
                rest = after;
            }
        }
    }
    Ok(out)
}

/// What is left of `text` after `chars` were taken from it.
fn tail<'a>(text: &'a str, chars: Peekable<Chars<'a>>) -> &'a str {
    let left: usize = chars.map(char::len_utf8).sum();
    cut(text, text.len() - left)
}

fn cut(text: &str, start: usize) -> &str {
    text.get(start..).unwrap_or_default()
}

/// Whether what follows an opening brace makes it a repetition: `2}`, `2,}`, `2,3}`.
fn is_repetition(after: &str) -> bool {
    let Some((counts, _)) = after.split_once('}') else { return false };
    let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// What follows a backslash.
fn escape(chars: &mut Peekable<Chars<'_>>, in_class: bool) -> Result<String, &'static str> {
    let Some(c) = chars.next() else { return Ok("\\".to_owned()) };
    Ok(match c {
        'd' => "[0-9]".to_owned(),
        'D' => "[^0-9]".to_owned(),
        's' => r"[\t\n\x0c\r ]".to_owned(),
        'S' => r"[^\t\n\x0c\r ]".to_owned(),
        'w' => "[0-9A-Za-z_]".to_owned(),
        'W' => "[^0-9A-Za-z_]".to_owned(),
        'b' if !in_class => r"(?-u:\b)".to_owned(),
        'B' if !in_class => r"(?-u:\B)".to_owned(),
        'C' => return Err(r"`\C`, a single byte, is not supported"),
        'p' | 'P' => property(c, chars),
        '0'..='7' => {
            let next_is_octal = chars.peek().is_some_and(|next| matches!(next, '0'..='7'));
            if c != '0' && !next_is_octal {
                return Ok(format!("\\{c}"));
            }
            let mut number = c as u32 - '0' as u32;
            for _ in 0..2 {
                match chars.peek() {
                    Some(digit @ '0'..='7') => number = number * 8 + (*digit as u32 - '0' as u32),
                    _ => break,
                }
                chars.next();
            }
            format!("\\x{{{number:x}}}")
        }
        // These are boundaries of words in the `regex` crate.
        '<' | '>' => c.to_string(),
        c => format!("\\{c}"),
    })
}

/// `\pN`, `\p{Greek}`, `\p{^Greek}`.
fn property(sign: char, chars: &mut Peekable<Chars<'_>>) -> String {
    let mut name = String::new();
    if chars.next_if_eq(&'{').is_some() {
        for c in chars.by_ref() {
            if c == '}' {
                break;
            }
            name.push(c);
        }
    } else {
        name.extend(chars.next());
    }
    match name.strip_prefix('^') {
        Some(name) => format!("\\{}{{{name}}}", if sign == 'p' { 'P' } else { 'p' }),
        None => format!("\\{sign}{{{name}}}"),
    }
}

/// What follows an opening bracket, up to the closing one.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), &'static str> {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut is_first = true;
    while let Some(c) = chars.next() {
        if c == ']' && !is_first {
            out.push(']');
            return Ok(());
        }
        is_first = false;
        if c == '[' && chars.peek() == Some(&':') {
            // `[:alpha:]`; what is not closed so is a bracket and a colon.
            let name: String = chars.clone().take_while(|c| *c != ']').collect();
            if name.len() > 2 && name.ends_with(':') {
                out.push('[');
                out.push_str(&name);
                out.push(']');
                chars.by_ref().take(name.chars().count() + 1).for_each(drop);
                continue;
            }
        }
        member(c, chars, out)?;
        let mut ahead = chars.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|end| end != ']') {
            chars.next();
            out.push('-');
            if let Some(end) = chars.next() {
                member(end, chars, out)?;
            }
        }
    }
    // Not closed: the `regex` crate says so.
    Ok(())
}

/// One character of a bracket or end of a range.
fn member(c: char, chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), &'static str> {
    match c {
        '\\' => out.push_str(&escape(chars, true)?),
        '[' | ']' | '^' | '-' | '&' | '~' => out.extend(['\\', c]),
        c => out.push(c),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;

    #[test]
    fn spells_what_re2_spells_otherwise() {
        for (pattern, matching, other) in [
            (r"^\d+$", "12", "١٢"),
            (r"^\w+$", "a_1", "é"),
            (r"^\s$", " ", "\u{a0}"),
            (r"^[\d\-x]+$", "1-x", "y"),
            (r"^[^\w]$", "é", "e"),
            (r"\bcat\b", "a cat", "concat"),
            (r"a\Bb", "xab", "a b"),
            (r"^\Qa.b[\E+$", "a.b[[", "axb["),
            (r"\Q.*", ".*", "ab"),
            (r"^\pN$", "2", "a"),
            (r"^\p{Greek}$", "α", "a"),
            (r"^\p{^Greek}$", "a", "α"),
            (r"^\101\x42\x{43}$", "ABC", "abc"),
            (r"^a{$", "a{", "a"),
            (r"^a{,2}$", "a{,2}", "aa"),
            (r"^a{2,}$", "aaa", "a"),
            (r"^[[]$", "[", "]"),
            (r"^[]a]$", "]", "b"),
            (r"^[^]a]$", "b", "]"),
            (r"^[a&&b]$", "&", "c"),
            (r"^[--/]$", ".", ","),
            (r"^[+--]$", ",", "/"),
            (r"^[a-]$", "-", "b"),
            (r"^[[:alpha:]1]$", "a", "2"),
            (r"^[[:x]$", ":", "a"),
            (r"^\<\>$", "<>", "a"),
            (r"(?P<year>\d{4})\z", "in 2024", "2024 ago"),
            (r"(?U)^a+?$", "aa", "b"),
            (r"(?i)^straße$", "STRAßE", "strasse"),
            (r"^\/\_\ $", "/_ ", "a"),
        ] {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{error}"));
            assert!(regex.is_match(matching), "`{pattern}` ({regex}) should match `{matching}`");
            assert!(!regex.is_match(other), "`{pattern}` ({regex}) should not match `{other}`");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_translated_or_refused(text in ".{0,40}") {
            if translate(&text).is_ok() {
                drop(compile(&text));
            }
        }
    }
}
