//! Tokens to conditions, with their types.
//!
//! Operators bind as in the language: `or` 10, `and` 15, comparisons 20, `not` 50. What the language has beyond that is
//! recognised only to be refused by name.

use super::lexer::{Failure, Token, tokens};
use super::{Comparison, Condition, Text};
use crate::Pattern;

/// Parentheses and operators inside each other.
const DEPTH_MAX: usize = 64;
/// How tightly `not` binds.
const NOT: u8 = 50;
/// How tightly comparisons bind.
const COMPARISON: u8 = 20;
const AND: u8 = 15;
const OR: u8 = 10;

/// What part of an expression is.
enum Value {
    Condition(Condition),
    Text(Text),
    List(Vec<Text>),
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

/// An operator between two values.
#[derive(Clone, Copy)]
enum Operator {
    And,
    Or,
    Compare { how: Comparison, swapped: bool, negated: bool },
    In,
    Matches,
}

pub(super) fn parse(text: &str) -> Result<Condition, Failure> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let start = parser.at();
    if matches!(parser.peek(), Token::End) {
        return Err((start, "a condition is expected".to_owned()));
    }
    let value = parser.value(0)?;
    if !matches!(parser.peek(), Token::End) {
        return Err((parser.at(), unexpected(parser.peek())));
    }
    condition(value, start, "an expression")
}

fn condition(value: Value, at: usize, what: &str) -> Result<Condition, Failure> {
    match value {
        Value::Condition(condition) => Ok(condition),
        Value::Text(_) => Err((at, format!("{what} needs a condition, not a text"))),
        Value::List(_) => Err((at, format!("{what} needs a condition, not a list"))),
    }
}

fn text(value: Value, at: usize, what: &str) -> Result<Text, Failure> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Condition(_) => Err((at, format!("{what} needs a text, not a condition"))),
        Value::List(_) => Err((at, format!("{what} needs a text, not a list"))),
    }
}

fn unexpected(token: &Token) -> String {
    match token {
        Token::End => "the expression ends too early".to_owned(),
        Token::Word(word) => format!("`{word}` is not expected here"),
        Token::Text(text) => format!("the text `{text}` is not expected here"),
        Token::Number(number) => format!("`{number}`: numbers are not supported, labels are texts"),
        Token::Sign(sign @ (")" | "]" | "," | "(" | "[")) => format!("`{sign}` is not expected here"),
        Token::Sign(sign) => format!("the operator `{sign}` is not supported"),
    }
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(1, |(at, _)| *at)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn take_sign(&mut self, sign: &str) -> Result<(), Failure> {
        let at = self.at();
        match self.take() {
            Token::Sign(found) if found == sign => Ok(()),
            Token::End => Err((at, format!("`{sign}` is missing"))),
            token => Err((at, unexpected(&token))),
        }
    }

    /// A value with the operators behind it that bind at least as tightly as `least`.
    fn value(&mut self, least: u8) -> Result<Value, Failure> {
        let start = self.at();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err((start, format!("expressions nest at most {DEPTH_MAX} deep")));
        }
        let mut left = self.primary()?;
        while let Some((operator, binding, not, words)) = self.operator()?
            && binding >= least
        {
            self.next += words;
            let middle = self.at();
            let right = self.value(binding + 1)?;
            let joined = join(left, start, operator, right, middle)?;
            left = Value::Condition(if not { Condition::Not(Box::new(joined)) } else { joined });
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator that is next, how tightly it binds, whether `not` stands before it, and how many tokens that are.
    fn operator(&self) -> Result<Option<(Operator, u8, bool, usize)>, Failure> {
        let compare = |how, swapped, negated| Operator::Compare { how, swapped, negated };
        let named = |word: &str| {
            Some(match word {
                "contains" => compare(Comparison::Contains, false, false),
                "startsWith" => compare(Comparison::StartsWith, false, false),
                "endsWith" => compare(Comparison::EndsWith, false, false),
                "matches" => Operator::Matches,
                "in" => Operator::In,
                _ => return None,
            })
        };
        let (operator, binding) = match self.peek() {
            Token::Word(word) if word == "not" => {
                return match self.tokens.get(self.next + 1) {
                    Some((_, Token::Word(word))) if named(word).is_some() => {
                        Ok(named(word).map(|operator| (operator, COMPARISON, true, 2)))
                    }
                    _ => Err((self.at(), "`not` is not expected here".to_owned())),
                };
            }
            Token::Word(word) => match word.as_str() {
                "and" => (Operator::And, AND),
                "or" => (Operator::Or, OR),
                word => match named(word) {
                    Some(operator) => (operator, COMPARISON),
                    None => return Err((self.at(), unexpected(self.peek()))),
                },
            },
            Token::Sign(sign) => match *sign {
                "&&" => (Operator::And, AND),
                "||" => (Operator::Or, OR),
                "==" => (compare(Comparison::Equal, false, false), COMPARISON),
                "!=" => (compare(Comparison::Equal, false, true), COMPARISON),
                "<" => (compare(Comparison::Less, false, false), COMPARISON),
                ">" => (compare(Comparison::Less, true, false), COMPARISON),
                "<=" => (compare(Comparison::LessOrEqual, false, false), COMPARISON),
                ">=" => (compare(Comparison::LessOrEqual, true, false), COMPARISON),
                ")" | "]" | "," => return Ok(None),
                _ => return Err((self.at(), unexpected(self.peek()))),
            },
            Token::End => return Ok(None),
            token => return Err((self.at(), unexpected(token))),
        };
        Ok(Some((operator, binding, false, 1)))
    }

    fn primary(&mut self) -> Result<Value, Failure> {
        let at = self.at();
        match self.take() {
            Token::Sign("!") => self.negation("`!`"),
            Token::Word(word) if word == "not" => self.negation("`not`"),
            Token::Sign("(") => {
                let value = self.value(0)?;
                self.take_sign(")")?;
                Ok(value)
            }
            Token::Sign("[") => self.list().map(Value::List),
            Token::Text(text) => Ok(Value::Text(Text::Literal(text.into()))),
            Token::Word(word) => self.named(&word, at),
            token => Err((at, unexpected(&token))),
        }
    }

    fn negation(&mut self, what: &str) -> Result<Value, Failure> {
        let at = self.at();
        let inner = match self.value(NOT)? {
            Value::Text(_) => {
                let message = format!("{what} binds tighter than what follows and needs a condition; use parentheses");
                return Err((at, message));
            }
            inner => condition(inner, at, what)?,
        };
        Ok(Value::Condition(Condition::Not(Box::new(inner))))
    }

    /// Behind `[`.
    fn list(&mut self) -> Result<Vec<Text>, Failure> {
        let mut list = Vec::new();
        loop {
            if matches!(self.peek(), Token::Sign("]")) {
                self.next += 1;
                return Ok(list);
            }
            let at = self.at();
            list.push(text(self.value(0)?, at, "a list")?);
            if !matches!(self.peek(), Token::Sign("]")) {
                self.take_sign(",")?;
            }
        }
    }

    fn named(&mut self, word: &str, at: usize) -> Result<Value, Failure> {
        let is_call = matches!(self.peek(), Token::Sign("("));
        match (word, is_call) {
            ("MetricName", false) => Ok(Value::Text(Text::Name)),
            ("MetricType", false) => Ok(Value::Text(Text::Type)),
            ("true", false) => Ok(Value::Condition(Condition::Always(true))),
            ("false", false) => Ok(Value::Condition(Condition::Always(false))),
            ("Label" | "HasLabel", true) => {
                self.next += 1;
                let inside = self.at();
                let key = text(self.value(0)?, inside, &format!("`{word}`"))?;
                self.take_sign(")")?;
                Ok(match word {
                    "Label" => Value::Text(Text::Label(Box::new(key))),
                    _ => Value::Condition(Condition::HasLabel(key)),
                })
            }
            ("Label" | "HasLabel", false) => Err((at, format!("`{word}` is a function: `{word}(\"key\")`"))),
            (_, true) => Err((at, format!("the function `{word}` is not supported; there are HasLabel and Label"))),
            (_, false) => Err((at, format!("unknown name `{word}`; there are MetricName and MetricType"))),
        }
    }
}

fn join(left: Value, start: usize, operator: Operator, right: Value, middle: usize) -> Result<Condition, Failure> {
    Ok(match operator {
        Operator::And | Operator::Or => {
            let what = if matches!(operator, Operator::And) { "`and`" } else { "`or`" };
            let (a, b) = (condition(left, start, what)?.into(), condition(right, middle, what)?.into());
            if matches!(operator, Operator::And) { Condition::And(a, b) } else { Condition::Or(a, b) }
        }
        Operator::Compare { how: Comparison::Equal, negated, .. } => {
            let same = match (left, right) {
                (Value::Condition(a), Value::Condition(b)) => Condition::Same(a.into(), b.into()),
                (Value::Condition(_), right) => return condition(right, middle, "the comparison with a condition"),
                (left, right) => {
                    let (a, b) =
                        (text(left, start, "a comparison")?, text(right, middle, "the comparison with a text")?);
                    Condition::Compare(a, Comparison::Equal, b)
                }
            };
            if negated { Condition::Not(same.into()) } else { same }
        }
        Operator::Compare { how, swapped, .. } => {
            let (a, b) = (text(left, start, "a comparison")?, text(right, middle, "a comparison")?);
            if swapped { Condition::Compare(b, how, a) } else { Condition::Compare(a, how, b) }
        }
        Operator::In => match right {
            Value::List(list) => Condition::In(text(left, start, "`in`")?, list),
            _ => return Err((middle, "`in` needs a list: `in [\"a\", \"b\"]`".to_owned())),
        },
        Operator::Matches => {
            let left = text(left, start, "`matches`")?;
            let Value::Text(Text::Literal(pattern)) = right else {
                return Err((middle, "`matches` needs a pattern in quotes".to_owned()));
            };
            Condition::Matches(left, Pattern::new(&pattern).map_err(|error| (middle, error.to_string()))?)
        }
    })
}
