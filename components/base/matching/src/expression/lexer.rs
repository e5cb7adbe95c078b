//! Text to tokens.

use std::iter::Peekable;
use std::str::Chars;

/// A word of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    /// Text in quotes, unescaped.
    Text(String),
    /// A number, as written.
    Number(String),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// What is wrong, and at which character, from 1.
pub(super) type Failure = (usize, String);

/// Longer ones first.
const SIGNS: [&str; 33] = [
    "==", "!=", "<=", ">=", "&&", "||", "**", "..", "??", "?.", "<", ">", "!", "(", ")", "[", "]", "{", "}", ",", ".",
    "+", "-", "*", "/", "%", "^", "?", ":", "|", "#", ";", "=",
];

/// The tokens, each with the character it starts at, from 1.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Failure> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    let mut at = 1;
    while let Some(&c) = rest.peek() {
        let start = at;
        let before = rest.clone().count();
        let token = match c {
            c if c.is_whitespace() => {
                rest.next();
                None
            }
            '"' | '\'' | '`' => Some(Token::Text(quoted(&mut rest).map_err(|message| (start, message))?)),
            c if c.is_ascii_digit() => {
                Some(Token::Number(word(&mut rest, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))))
            }
            c if c.is_alphabetic() || c == '_' || c == '$' => {
                Some(Token::Word(word(&mut rest, |c| c.is_alphanumeric() || matches!(c, '_' | '$'))))
            }
            c => {
                let ahead: String = rest.clone().take(2).collect();
                let Some(sign) = SIGNS.iter().find(|sign| ahead.starts_with(**sign)) else {
                    return Err((start, format!("unexpected character `{c}`")));
                };
                rest.nth(sign.len() - 1);
                Some(Token::Sign(sign))
            }
        };
        at += before - rest.clone().count();
        tokens.extend(token.map(|token| (start, token)));
    }
    tokens.push((at, Token::End));
    Ok(tokens)
}

fn word(rest: &mut Peekable<Chars<'_>>, belongs: impl Fn(char) -> bool) -> String {
    let mut word = String::new();
    while let Some(c) = rest.next_if(|c| belongs(*c)) {
        word.push(c);
    }
    word
}

fn quoted(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let quote = rest.next().unwrap_or_default();
    let mut text = String::new();
    loop {
        match rest.next() {
            None => return Err("the text is not closed".to_owned()),
            Some(c) if c == quote => return Ok(text),
            Some('\\') if quote != '`' => text.push(escaped(rest)?),
            Some(c) => text.push(c),
        }
    }
}

fn escaped(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let Some(c) = rest.next() else { return Err("the text is not closed".to_owned()) };
    let digits = match c {
        'a' => return Ok('\u{7}'),
        'b' => return Ok('\u{8}'),
        'f' => return Ok('\u{c}'),
        'n' => return Ok('\n'),
        'r' => return Ok('\r'),
        't' => return Ok('\t'),
        'v' => return Ok('\u{b}'),
        '\\' | '"' | '\'' | '`' => return Ok(c),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(format!("unknown escape `\\{c}`; write a backslash as `\\\\`")),
    };
    let code: String = rest.by_ref().take(digits).collect();
    let character = (code.chars().count() == digits).then(|| u32::from_str_radix(&code, 16).ok()).flatten();
    character.and_then(char::from_u32).ok_or_else(|| format!("`\\{c}{code}` is no character"))
}
