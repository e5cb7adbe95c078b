//! The parser: recursive descent, one function for each level of precedence, loosest first.
//!
//! `or` < `and` < `not` < comparison (which does not chain) < `+ -` < `* /` < signs. Parentheses hold any expression;
//! whether it is a truth or a number is the compiler's question.

use crate::problem::ParseError;

use super::token::{Token, tokens};
use super::tree::{Call, Key, Math, Node, NodeKind, Path, Root, Span};
use super::{DEPTH_MAX, TEXT_BYTES_MAX};

/// What a text should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Statement,
    Expression,
}

/// Parses a whole text.
pub(crate) fn parse(text: &str, goal: Goal) -> Result<Root, ParseError> {
    parse_text(text, goal).map_err(|error| error.of(text))
}

fn parse_text(text: &str, goal: Goal) -> Result<Root, ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("{} bytes are more than the {TEXT_BYTES_MAX} that a statement may have", text.len());
        return Err(ParseError::at(0..0, message));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0 };
    let root = match goal {
        Goal::Statement => parser.statement()?,
        Goal::Expression => Root::Expression(parser.expression()?),
    };
    match parser.peek() {
        Token::End => Ok(root),
        Token::Identifier(name) if name == "where" && goal == Goal::Expression => {
            Err(parser.unexpected("no `where`").help("a condition stands alone, without `where`"))
        }
        Token::Equal => Err(parser.unexpected("an operator or the end").help("write `==` to compare")),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.ahead(0)
    }

    fn ahead(&self, by: usize) -> &Token {
        self.tokens.get(self.at + by).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0..0, |(_, span)| span.clone())
    }

    /// End of the token before.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |(_, span)| span.end)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, token: &Token, what: &str) -> Result<(), ParseError> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected(what)) }
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        let span = self.span();
        let found = self.peek().describe(self.text.get(span.clone()).unwrap_or_default());
        ParseError::at(span, format!("expected {expected}, found {found}"))
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= DEPTH_MAX {
            return Err(ParseError::at(self.span(), format!("nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let outcome = inner(self);
        self.depth -= 1;
        outcome
    }

    fn statement(&mut self) -> Result<Root, ParseError> {
        let Token::Identifier(name) = self.peek().clone() else {
            return Err(self.unexpected("an editor, like `set(...)`"));
        };
        let name_span = self.span();
        self.at += 1;
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            let message = format!("a statement must start with an editor, but `{name}` is a converter");
            return Err(ParseError::at(name_span, message).help("editors start in lower case: `set(target, value)`"));
        }
        if *self.peek() != Token::Open {
            return Err(self
                .unexpected("`(` after the name of an editor")
                .help("a statement is `editor(arguments) where condition`"));
        }
        let editor = self.call(name, name_span)?;
        if let Some(key) = editor.keys.first() {
            return Err(ParseError::at(
                key.index.span.clone(),
                "only paths and converters can be indexed, not editors",
            ));
        }
        let condition = match self.peek() {
            Token::Identifier(word) if word == "where" => {
                self.at += 1;
                Some(self.expression()?)
            }
            Token::End => None,
            Token::Identifier(word) => return Err(self.unexpected("`where` or the end").nearest(word, ["where"])),
            _ => return Err(self.unexpected("`where` or the end")),
        };
        Ok(Root::Statement { editor, condition })
    }

    fn expression(&mut self) -> Result<Node, ParseError> {
        self.deeper(Self::disjunction)
    }

    fn disjunction(&mut self) -> Result<Node, ParseError> {
        self.chain(&Token::Or, Self::conjunction, NodeKind::Or)
    }

    fn conjunction(&mut self) -> Result<Node, ParseError> {
        self.chain(&Token::And, Self::negation, NodeKind::And)
    }

    fn chain(
        &mut self,
        operator: &Token,
        part: fn(&mut Self) -> Result<Node, ParseError>,
        make: fn(Vec<Node>) -> NodeKind,
    ) -> Result<Node, ParseError> {
        let first = part(self)?;
        if self.peek() != operator {
            return Ok(first);
        }
        let start = first.span.start;
        let mut nodes = vec![first];
        while self.take(operator) {
            nodes.push(part(self)?);
        }
        Ok(Node { span: start..self.end(), kind: make(nodes) })
    }

    fn negation(&mut self) -> Result<Node, ParseError> {
        let start = self.span().start;
        if self.take(&Token::Not) {
            let negated = self.deeper(Self::negation)?;
            return Ok(Node { span: start..negated.span.end, kind: NodeKind::Not(Box::new(negated)) });
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Node, ParseError> {
        let left = self.sum()?;
        let Token::Compare(operator) = *self.peek() else { return Ok(left) };
        self.at += 1;
        let right = self.sum()?;
        if let Token::Compare(_) = self.peek() {
            return Err(self.unexpected("no second comparison").help("join comparisons with `and`"));
        }
        let span = left.span.start..right.span.end;
        Ok(Node { span, kind: NodeKind::Compare(Box::new(left), operator, Box::new(right)) })
    }

    fn sum(&mut self) -> Result<Node, ParseError> {
        self.math(Self::product, |token| match token {
            Token::Plus => Some(Math::Add),
            Token::Minus => Some(Math::Sub),
            _ => None,
        })
    }

    fn product(&mut self) -> Result<Node, ParseError> {
        self.math(Self::signed, |token| match token {
            Token::Star => Some(Math::Mul),
            Token::Slash => Some(Math::Div),
            _ => None,
        })
    }

    fn math(
        &mut self,
        part: fn(&mut Self) -> Result<Node, ParseError>,
        operator: fn(&Token) -> Option<Math>,
    ) -> Result<Node, ParseError> {
        let first = part(self)?;
        let mut rest = Vec::new();
        while let Some(operator) = operator(self.peek()) {
            self.at += 1;
            rest.push((operator, part(self)?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Node { span: first.span.start..self.end(), kind: NodeKind::Math(Box::new(first), rest) })
    }

    fn signed(&mut self) -> Result<Node, ParseError> {
        let start = self.span().start;
        match self.peek() {
            Token::Plus => {
                self.at += 1;
                self.primary()
            }
            Token::Minus => {
                self.at += 1;
                if self.take(&Token::IntMin) {
                    return Ok(Node { span: start..self.end(), kind: NodeKind::Int(i64::MIN) });
                }
                let inner = self.primary()?;
                let span = start..inner.span.end;
                // The sign of a number belongs to it.
                let kind = match inner.kind {
                    NodeKind::Int(int) => NodeKind::Int(-int),
                    NodeKind::Float(float) => NodeKind::Float(-float),
                    kind => NodeKind::Negative(Box::new(Node { span: inner.span, kind })),
                };
                Ok(Node { span, kind })
            }
            _ => self.primary(),
        }
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        let span = self.span();
        let token = self.peek().clone();
        let literal = match token {
            Token::Nil => NodeKind::Nil,
            Token::Bool(truth) => NodeKind::Bool(truth),
            Token::Int(int) => NodeKind::Int(int),
            Token::Float(float) => NodeKind::Float(float),
            Token::Str(text) => NodeKind::Str(text),
            Token::Bytes(bytes) => NodeKind::Bytes(bytes),
            Token::IntMin => {
                return Err(ParseError::at(span, "`9223372036854775808` is too large for an int"));
            }
            Token::OpenBracket => return self.deeper(Self::list),
            Token::OpenBrace => return self.deeper(Self::map),
            Token::Open if self.is_lambda() => return self.deeper(Self::lambda),
            Token::Open => {
                self.at += 1;
                let inner = self.expression()?;
                self.expect(&Token::Close, "`)`")?;
                return Ok(Node { span: span.start..self.end(), kind: inner.kind });
            }
            Token::Identifier(name) => return self.named(name),
            _ => return Err(self.unexpected("a value")),
        };
        self.at += 1;
        Ok(Node { span, kind: literal })
    }

    /// A path, a symbol or a call.
    fn named(&mut self, name: String) -> Result<Node, ParseError> {
        let span = self.span();
        self.at += 1;
        if *self.peek() == Token::Open {
            if name.starts_with(|c: char| c.is_ascii_lowercase()) {
                let message = format!("`{name}` is an editor, which yields no value");
                return Err(ParseError::at(span, message).help("converters start with a capital, like `IsMatch(...)`"));
            }
            let call = self.call(name, span)?;
            return Ok(Node { span: call.span.clone(), kind: NodeKind::Call(call) });
        }
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            if let Token::Dot | Token::OpenBracket = self.peek() {
                return Err(self.unexpected("`(` after the name of a converter"));
            }
            return Ok(Node { span, kind: NodeKind::Name(name) });
        }
        let path = self.path(name, span.clone())?;
        Ok(Node { span: span.start..self.end(), kind: NodeKind::Path(path) })
    }

    fn path(&mut self, first: String, span: Span) -> Result<Path, ParseError> {
        let mut path = Path { fields: vec![(first, span)], keys: Vec::new() };
        loop {
            let field = path.fields.len() - 1;
            if let Some((name, span)) = path.fields.last()
                && name.contains(|c: char| c.is_ascii_uppercase())
            {
                let error = ParseError::at(span.clone(), format!("`{name}` in a path must be in lower case"));
                return Err(error.help("quote what is text"));
            }
            while *self.peek() == Token::OpenBracket {
                path.keys.push((field, self.key()?));
            }
            if !self.take(&Token::Dot) {
                return Ok(path);
            }
            let span = self.span();
            match self.next() {
                Token::Identifier(name) => path.fields.push((name, span)),
                _ => {
                    self.at = self.at.saturating_sub(usize::from(self.at < self.tokens.len() && !span.is_empty()));
                    return Err(self.unexpected("the name of a field after `.`"));
                }
            }
        }
    }

    fn key(&mut self) -> Result<Key, ParseError> {
        self.expect(&Token::OpenBracket, "`[`")?;
        let index = self.deeper(Self::sum)?;
        self.expect(&Token::CloseBracket, "`]`")?;
        Ok(Key { index })
    }

    fn call(&mut self, name: String, name_span: Span) -> Result<Call, ParseError> {
        self.expect(&Token::Open, "`(`")?;
        let mut arguments = Vec::new();
        while *self.peek() != Token::Close {
            if !arguments.is_empty() {
                self.expect(&Token::Comma, "`,` or `)`")?;
            }
            let name = match (self.peek().clone(), self.ahead(1)) {
                (Token::Identifier(name), Token::Equal) => {
                    let span = self.span();
                    self.at += 2;
                    Some((name, span))
                }
                _ => None,
            };
            arguments.push((name, self.expression()?));
        }
        self.at += 1;
        let mut keys = Vec::new();
        while *self.peek() == Token::OpenBracket {
            keys.push(self.key()?);
        }
        Ok(Call { span: name_span.start..self.end(), name, name_span, arguments, keys })
    }

    fn list(&mut self) -> Result<Node, ParseError> {
        let start = self.span().start;
        self.at += 1;
        let mut values = Vec::new();
        while !self.take(&Token::CloseBracket) {
            if !values.is_empty() {
                self.expect(&Token::Comma, "`,` or `]`")?;
            }
            values.push(self.expression()?);
        }
        Ok(Node { span: start..self.end(), kind: NodeKind::List(values) })
    }

    /// Commas between entries may be left out, and may follow the last, as in Go.
    fn map(&mut self) -> Result<Node, ParseError> {
        let start = self.span().start;
        self.at += 1;
        let mut entries = Vec::new();
        while !self.take(&Token::CloseBrace) {
            let Token::Str(key) = self.peek().clone() else {
                return Err(self.unexpected("a string as the key of a map, or `}`"));
            };
            self.at += 1;
            self.expect(&Token::Colon, "`:` after the key of a map")?;
            entries.push((key, self.expression()?));
            self.take(&Token::Comma);
        }
        Ok(Node { span: start..self.end(), kind: NodeKind::Map(entries) })
    }

    /// Whether an opening parenthesis starts `(a, b) =>`.
    fn is_lambda(&self) -> bool {
        let mut by = 1;
        while let Token::Identifier(_) | Token::Comma = self.ahead(by) {
            by += 1;
        }
        *self.ahead(by) == Token::Close && *self.ahead(by + 1) == Token::Arrow
    }

    fn lambda(&mut self) -> Result<Node, ParseError> {
        let start = self.span().start;
        self.at += 1;
        let mut params: Vec<(String, Span)> = Vec::new();
        while !self.take(&Token::Close) {
            if !params.is_empty() {
                self.expect(&Token::Comma, "`,` or `)`")?;
            }
            let span = self.span();
            let Token::Identifier(name) = self.next() else {
                self.at -= 1;
                return Err(self.unexpected("the name of a parameter"));
            };
            if name.contains(|c: char| c.is_ascii_uppercase()) {
                return Err(ParseError::at(span, format!("the parameter `{name}` must be in lower case")));
            }
            if params.iter().any(|(other, _)| *other == name) {
                return Err(ParseError::at(span, format!("two parameters are named `{name}`")));
            }
            params.push((name, span));
        }
        self.expect(&Token::Arrow, "`=>`")?;
        let body = self.expression()?;
        Ok(Node { span: start..self.end(), kind: NodeKind::Lambda(params, Box::new(body)) })
    }
}
