//! Tokens. Identifiers are one token whatever their case; the parser tells paths, functions and symbols apart.

use crate::problem::ParseError;

use super::tree::{Compare, Span};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Bytes(Vec<u8>),
    Float(f64),
    Int(i64),
    /// An integer that only fits with a minus before it.
    IntMin,
    Str(String),
    Identifier(String),
    Nil,
    Not,
    Or,
    And,
    Bool(bool),
    Compare(Compare),
    Arrow,
    Plus,
    Minus,
    Slash,
    Star,
    Equal,
    Open,
    Close,
    OpenBrace,
    CloseBrace,
    Colon,
    Comma,
    Dot,
    OpenBracket,
    CloseBracket,
    End,
}

impl Token {
    /// For messages: what was found.
    pub(super) fn describe(&self, text: &str) -> String {
        match self {
            Self::End => "the end".to_owned(),
            _ => format!("`{text}`"),
        }
    }
}

/// The tokens of a text, the last of which is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = cut(text, at, text.len()).chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, len) = token(text, at, c)?;
        tokens.push((token, at..at + len));
        at += len;
    }
    tokens.push((Token::End, at..at));
    Ok(tokens)
}

fn token(text: &str, at: usize, c: char) -> Result<(Token, usize), ParseError> {
    let rest = cut(text, at, text.len());
    let next_is_digit = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if c.is_ascii_digit() || (c == '.' && next_is_digit) {
        return number(rest, at);
    }
    if c == '"' {
        return string(rest, at);
    }
    if c.is_ascii_alphabetic() {
        let len = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let token = match cut(rest, 0, len) {
            "nil" => Token::Nil,
            "not" => Token::Not,
            "or" => Token::Or,
            "and" => Token::And,
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            identifier => Token::Identifier(identifier.to_owned()),
        };
        return Ok((token, len));
    }
    let two = match rest.get(..2) {
        Some("==") => Some(Token::Compare(Compare::Eq)),
        Some("!=") => Some(Token::Compare(Compare::Ne)),
        Some(">=") => Some(Token::Compare(Compare::Ge)),
        Some("<=") => Some(Token::Compare(Compare::Le)),
        Some("=>") => Some(Token::Arrow),
        _ => None,
    };
    if let Some(token) = two {
        return Ok((token, 2));
    }
    let token = match c {
        '>' => Token::Compare(Compare::Gt),
        '<' => Token::Compare(Compare::Lt),
        '+' => Token::Plus,
        '-' => Token::Minus,
        '/' => Token::Slash,
        '*' => Token::Star,
        '=' => Token::Equal,
        '(' => Token::Open,
        ')' => Token::Close,
        '{' => Token::OpenBrace,
        '}' => Token::CloseBrace,
        ':' => Token::Colon,
        ',' => Token::Comma,
        '.' => Token::Dot,
        '[' => Token::OpenBracket,
        ']' => Token::CloseBracket,
        _ => {
            let error = ParseError::at(at..at + c.len_utf8(), format!("unexpected `{c}`"));
            return Err(match c {
                '\'' | '`' | '“' | '”' => error.help("strings stand in double quotes"),
                '&' => error.help("write `and`"),
                '|' => error.help("write `or`"),
                '!' => error.help("write `not`, or `!=`"),
                _ => error,
            });
        }
    };
    Ok((token, 1))
}

/// A part of a text between boundaries of characters.
fn cut(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if rest.starts_with("0x") {
        let hex = bytes[2..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if hex > 0 {
            if hex % 2 == 1 {
                let message = format!("bytes need an even number of hex digits, found {hex}");
                return Err(ParseError::at(at..at + 2 + hex, message));
            }
            return Ok((Token::Bytes(unhex(&bytes[2..2 + hex])), 2 + hex));
        }
    }
    let whole = digits(0);
    let mut len = whole;
    if bytes.get(len) == Some(&b'.') {
        len += 1 + digits(len + 1);
        if let Some(b'e' | b'E') = bytes.get(len) {
            let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
            let exponent = digits((len + 1 + sign).min(bytes.len()));
            if exponent > 0 {
                len += 1 + sign + exponent;
            }
        }
        return match cut(rest, 0, len).parse::<f64>() {
            Ok(float) if float.is_finite() => Ok((Token::Float(float), len)),
            _ => Err(ParseError::at(at..at + len, format!("`{}` is too large for a float", cut(rest, 0, len)))),
        };
    }
    match cut(rest, 0, len).parse::<u64>() {
        Ok(int) if int == 1 << 63 => Ok((Token::IntMin, len)),
        Ok(int) if int < 1 << 63 => Ok((Token::Int(int.cast_signed()), len)),
        _ => Err(ParseError::at(at..at + len, format!("`{}` is too large for an int", cut(rest, 0, len)))),
    }
}

fn unhex(digits: &[u8]) -> Vec<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    digits.chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

/// A string with Go's escapes.
fn string(rest: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let mut out = Vec::new();
    let bytes = rest.as_bytes();
    let mut i = 1;
    loop {
        match bytes.get(i) {
            None => return Err(ParseError::at(at..at + rest.len(), "a string is not closed").help("add a `\"`")),
            Some(b'"') => break,
            Some(b'\\') => {
                let start = i;
                let Some(&kind) = bytes.get(i + 1) else {
                    i += 1;
                    continue;
                };
                i += 2;
                let digits = match kind {
                    b'x' => 2,
                    b'u' => 4,
                    b'U' => 8,
                    b'0'..=b'7' => {
                        let octal = rest.get(i - 1..i + 2).and_then(|octal| u8::from_str_radix(octal, 8).ok());
                        out.push(octal.ok_or_else(|| bad_escape(rest, at, start))?);
                        i += 2;
                        continue;
                    }
                    _ => {
                        out.push(match kind {
                            b'a' => 7,
                            b'b' => 8,
                            b't' => b'\t',
                            b'n' => b'\n',
                            b'v' => 11,
                            b'f' => 12,
                            b'r' => b'\r',
                            b'\\' | b'"' => kind,
                            _ => return Err(bad_escape(rest, at, start)),
                        });
                        continue;
                    }
                };
                let code = rest
                    .get(i..i + digits)
                    .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
                    .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                    .ok_or_else(|| bad_escape(rest, at, start))?;
                i += digits;
                if kind == b'x' {
                    out.push(code as u8);
                } else {
                    let c = char::from_u32(code).ok_or_else(|| bad_escape(rest, at, start))?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            Some(&byte) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Ok((Token::Str(text), i + 1)),
        Err(_) => Err(ParseError::at(at..at + i + 1, "a string whose `\\x` escapes are no UTF-8")
            .help("write bytes as `0x…`, or characters as `\\u…`")),
    }
}

fn bad_escape(rest: &str, at: usize, start: usize) -> ParseError {
    let shown: String = cut(rest, start, rest.len()).chars().take(2).collect();
    ParseError::at(at + start..at + start + shown.len(), format!("`{shown}` is no escape sequence"))
        .help(format!("for a backslash write two: `\\{shown}`"))
}
