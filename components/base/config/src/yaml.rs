//! YAML text to a located tree, within limits.
//!
//! The event parser finds structure and positions; this file builds nodes, refuses duplicate keys, and counts: depth,
//! values, bytes, and what aliases expand to, each before memory is spent on it. All duplicate keys of a text are
//! reported; a syntax error or a broken limit ends the reading.

use crate::{
    codes,
    error::{ConfigError, Errors},
    node::{Key, Node, Value},
    origin::{Origin, Source},
    scalar,
};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use std::{borrow::Cow, collections::HashMap, sync::Arc};

/// Bounds of what is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Length of one source.
    pub document_bytes_max: usize,
    /// Values (scalars, lists, maps) of one source, aliases counted as often as they are used.
    pub nodes_max: usize,
    /// Nesting of lists and maps, aliases expanded.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { document_bytes_max: 8 << 20, nodes_max: 250_000, depth_max: 100 }
    }
}

/// Reads a source. `None` when it cannot be read any further; the reason is in `errors`.
pub(crate) fn parse(source: &Arc<Source>, limits: &Limits, errors: &mut Errors) -> Option<Node> {
    parse_part(source, source.text(), 1, 1, limits, errors)
}

/// Reads a part of a source that begins at `line` and `column`.
pub(crate) fn parse_part(
    source: &Arc<Source>,
    text: &str,
    line: u32,
    column: u32,
    limits: &Limits,
    errors: &mut Errors,
) -> Option<Node> {
    let start = Origin::new(source, line, column, 1);
    if text.len() > limits.document_bytes_max {
        let message =
            format!("`{}` is too large: {} of {} bytes", source.name(), text.len(), limits.document_bytes_max);
        errors.push(ConfigError::new(codes::TOO_LARGE, message));
        return None;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        source,
        line: line.saturating_sub(1),
        column: column.saturating_sub(1),
        limits,
        nodes: 0,
        anchors: HashMap::new(),
        errors,
    };
    match builder.document(start) {
        Ok(node) => Some(node),
        Err(error) => {
            errors.push(*error);
            None
        }
    }
}

struct Builder<'a, 'e> {
    parser: Parser<'a, StrInput<'a>>,
    source: &'a Arc<Source>,
    line: u32,
    column: u32,
    limits: &'a Limits,
    nodes: usize,
    anchors: HashMap<usize, Anchored>,
    errors: &'e mut Errors,
}

/// A finished node that aliases may refer to.
struct Anchored {
    node: Node,
    nodes: usize,
    height: usize,
}

/// A node with the height of the tree below it.
struct Built {
    node: Node,
    height: usize,
}

type Step<T> = Result<T, Box<ConfigError>>;

impl<'a> Builder<'a, '_> {
    fn document(&mut self, start: Origin) -> Step<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root.unwrap_or_else(|| Node::new(Value::Null, start))),
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(self.unsupported(span, "more than one YAML document in a source"));
                }
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                event => root = Some(self.node(event, span, 1)?.node),
            }
        }
    }

    fn next(&mut self) -> Step<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let origin = self.place(error.marker().line(), error.marker().col(), 1);
                if error.info() == "recursion limit exceeded" {
                    return Err(self.too_deep(&origin));
                }
                Err(Box::new(self.syntax_error(error.info(), &origin)))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax_error(&self, info: &str, origin: &Origin) -> ConfigError {
        let error = ConfigError::new(codes::YAML_SYNTAX, format!("not valid YAML: {info}")).at(origin);
        // a tab is often noticed only at the end of the line before it
        for number in [origin.line, origin.line.saturating_add(1)] {
            let line = self.source.line(number).unwrap_or("");
            let spaces = line.chars().take_while(|c| *c == ' ').count();
            if line.chars().nth(spaces) == Some('\t') {
                let column = u32::try_from(spaces).unwrap_or(0).saturating_add(1);
                let tab = Origin::new(self.source, number, column, 1);
                return error.at(&tab).with_fix("indent with spaces: YAML does not allow tabs there");
            }
        }
        let line = self.source.line(origin.line).unwrap_or("");
        let column = usize::try_from(origin.column).unwrap_or(0);
        if line.chars().skip(column.saturating_sub(2)).take(2).eq("${".chars()) {
            return error.with_fix("put the `${…}` in quotes: without, its brace means a map here");
        }
        error
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Step<Built> {
        self.count(1, span, codes::TOO_LARGE)?;
        let origin = self.origin(span);
        match event {
            Event::Alias(id) => self.alias(id, span, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), span)?;
                let built = Built { node: Node::new(value, origin), height: 0 };
                self.remember(anchor, &built, 1, span)?;
                Ok(built)
            }
            Event::SequenceStart(anchor, tag) => {
                self.enter(depth, span, tag, "seq")?;
                let (before, mut items, mut height) = (self.nodes, Vec::new(), 0);
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    let item = self.node(event, span, depth + 1)?;
                    height = height.max(item.height);
                    items.push(item.node);
                }
                let built = Built { node: Node::new(Value::List(items), origin), height: height + 1 };
                self.remember(anchor, &built, self.nodes - before + 1, span)?;
                Ok(built)
            }
            Event::MappingStart(anchor, tag) => {
                self.enter(depth, span, tag, "map")?;
                let before = self.nodes;
                let (entries, height) = self.map(depth)?;
                let built = Built { node: Node::new(Value::Map(entries), origin), height: height + 1 };
                self.remember(anchor, &built, self.nodes - before + 1, span)?;
                Ok(built)
            }
            _ => Err(Box::new(self.syntax_error("unexpected end of a block", &origin))),
        }
    }

    fn map(&mut self, depth: usize) -> Step<(Vec<(Key, Node)>, usize)> {
        let (mut entries, mut height) = (Vec::<(Key, Node)>::new(), 0);
        let (mut merged, mut places) = (Vec::new(), HashMap::<Arc<str>, usize>::new());
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let (text, plain) = match &event {
                Event::Scalar(text, style, _, _) => (Arc::<str>::from(&**text), *style == ScalarStyle::Plain),
                _ => (Arc::from(""), false),
            };
            let key = self.node(event, span, depth + 1)?;
            let text = match &key.node.value {
                Value::List(_) | Value::Map(_) => return Err(self.unsupported(span, "a key that is a list or a map")),
                Value::String(text) => Arc::clone(text),
                _ => text,
            };
            let key = Key { text, origin: key.node.origin };
            let (event, span) = self.next()?;
            let mut value = self.node(event, span, depth + 1)?;
            height = height.max(value.height);
            if span.is_empty() {
                value.node.origin = key.origin.clone();
            }
            if plain && &*key.text == "<<" {
                merged.push((key, value.node));
            } else if let Some(first) = places.get(&key.text) {
                let message = format!("duplicate key `{}`", key.text);
                let error = ConfigError::new(codes::DUPLICATE_KEY, message)
                    .at(&key.origin)
                    .with_related(&entries[*first].0.origin, "first given here");
                self.errors.push(error);
            } else {
                places.insert(Arc::clone(&key.text), entries.len());
                entries.push((key, value.node));
            }
        }
        for (key, value) in merged {
            self.merge_key(&key, value, &mut entries, &mut places)?;
        }
        Ok((entries, height))
    }

    /// `<<: *base` and `<<: [*a, *b]`: what is written in the map wins, then the first of the merged ones.
    fn merge_key(
        &mut self,
        key: &Key,
        value: Node,
        entries: &mut Vec<(Key, Node)>,
        places: &mut HashMap<Arc<str>, usize>,
    ) -> Step<()> {
        let maps = match value.value {
            Value::List(items) => items,
            value => vec![Node::from(value)],
        };
        for map in maps {
            let Value::Map(merged) = map.value else {
                let error = ConfigError::new(codes::YAML_UNSUPPORTED, "`<<` merges a map or a list of maps");
                return Err(Box::new(error.at(&key.origin)));
            };
            for (key, node) in merged {
                if !places.contains_key(&key.text) {
                    places.insert(Arc::clone(&key.text), entries.len());
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Span, depth: usize) -> Step<Built> {
        let Some(anchored) = self.anchors.get(&id) else {
            let error = ConfigError::new(codes::ALIAS_LIMIT, "an alias stands inside the value that it names");
            return Err(Box::new(error.at(&self.origin(span))));
        };
        let (nodes, height) = (anchored.nodes, anchored.height);
        if depth + height > self.limits.depth_max {
            return Err(self.too_deep(&self.origin(span)));
        }
        self.count(nodes, span, codes::ALIAS_LIMIT)?;
        let node = self.anchors.get(&id).map(|anchored| anchored.node.clone()).unwrap_or_default();
        Ok(Built { node, height })
    }

    /// Keeps a copy of an anchored node; the copy counts like an alias, so that nested anchors cannot multiply either.
    fn remember(&mut self, anchor: usize, built: &Built, nodes: usize, span: Span) -> Step<()> {
        if anchor > 0 {
            self.count(nodes, span, codes::ALIAS_LIMIT)?;
            self.anchors.insert(anchor, Anchored { node: built.node.clone(), nodes, height: built.height });
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, span: Span, code: codes::Code) -> Step<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= self.limits.nodes_max {
            return Ok(());
        }
        let what = if code == codes::ALIAS_LIMIT { "aliases expand to too many values" } else { "too many values" };
        let message = format!("{what} in `{}`: more than {}", self.source.name(), self.limits.nodes_max);
        Err(Box::new(ConfigError::new(code, message).at(&self.origin(span))))
    }

    fn enter(&self, depth: usize, span: Span, tag: Option<Cow<'_, Tag>>, expected: &str) -> Step<()> {
        if depth > self.limits.depth_max {
            return Err(self.too_deep(&self.origin(span)));
        }
        match tag.as_deref() {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => Err(self.unknown_tag(tag, span)),
            _ => Ok(()),
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Step<Value> {
        let plain = || scalar::resolve(text);
        let Some(tag) = tag else {
            return Ok(if style == ScalarStyle::Plain { plain() } else { Value::string(text) });
        };
        let value = match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
            (true, "str") => Some(Value::string(text)),
            (false, "!") if tag.handle.is_empty() => Some(Value::string(text)),
            (true, "null") => Some(plain()).filter(|value| *value == Value::Null),
            (true, "bool") => Some(plain()).filter(|value| matches!(value, Value::Bool(_))),
            (true, "int") => Some(plain()).filter(|value| matches!(value, Value::Int(_) | Value::UInt(_))),
            (true, "float") => match plain() {
                Value::Float(value) => Some(Value::Float(value)),
                #[expect(clippy::cast_precision_loss, reason = "the user asked for a float")]
                Value::Int(value) => Some(Value::Float(value as f64)),
                _ => None,
            },
            _ => return Err(self.unknown_tag(tag, span)),
        };
        value.ok_or_else(|| self.unsupported(span, &format!("a value that is not of its type `{tag}`")))
    }

    fn unknown_tag(&self, tag: &Tag, span: Span) -> Box<ConfigError> {
        self.unsupported(span, &format!("the tag `{tag}`"))
    }

    fn unsupported(&self, span: Span, what: &str) -> Box<ConfigError> {
        Box::new(ConfigError::new(codes::YAML_UNSUPPORTED, format!("{what} is not supported")).at(&self.origin(span)))
    }

    fn too_deep(&self, origin: &Origin) -> Box<ConfigError> {
        let message =
            format!("nested too deep in `{}`: more than {} levels", self.source.name(), self.limits.depth_max);
        Box::new(ConfigError::new(codes::TOO_DEEP, message).at(origin))
    }

    fn origin(&self, span: Span) -> Origin {
        let length = span.end.index().saturating_sub(span.start.index());
        self.place(span.start.line(), span.start.col(), length)
    }

    /// Positions count lines from 1 and columns from 0; the column shift applies to the first line only.
    fn place(&self, line: usize, column: usize, length: usize) -> Origin {
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let shift = if line <= 1 { self.column } else { 0 };
        let line = narrow(line.max(1)).saturating_add(self.line);
        Origin::new(self.source, line, narrow(column).saturating_add(shift).saturating_add(1), narrow(length))
    }
}

/// Splits keys such as `a::b` at the top of a source into nested maps, as the Collector does.
pub(crate) fn split_top_keys(root: Node, errors: &mut Errors) -> Node {
    /// Each costs a merge with everything before it.
    const SPLIT_KEYS_MAX: usize = 1000;

    let Value::Map(entries) = root.value else { return root };
    let (joined, plain): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key.text.contains("::"));
    if joined.len() > SPLIT_KEYS_MAX {
        let message = format!("too many keys with `::`: {} of {SPLIT_KEYS_MAX}", joined.len());
        errors.push(ConfigError::new(codes::TOO_LARGE, message).at(&root.origin));
        return Node { value: Value::Map(plain), ..root };
    }
    let mut split = Node { value: Value::Map(plain), ..root };
    for (key, mut node) in joined {
        for segment in key.text.rsplit("::") {
            let inner = Key { text: Arc::from(segment), origin: key.origin.clone() };
            node = Node::new(Value::Map(vec![(inner, node)]), key.origin.clone());
        }
        let origin = split.origin.clone();
        split = Node { origin, ..crate::merge::merge(split, node) };
    }
    split
}
