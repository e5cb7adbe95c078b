//! `${…}` expansion, by the rules of the Collector (confmap).
//!
//! References are found innermost first and replaced one by one; the text that results is searched again. A reference
//! that is the whole value may bring any structure; inside longer text it brings its text and nothing else. An odd
//! number of `$` before `${` escapes it; at the end `$$` becomes `$`. Keys are never expanded.
//!
//! Bounded: rounds per text, bytes of a text, values altogether, depth, and no reference within its own value.

use crate::{
    codes,
    error::{ConfigError, Errors},
    nearest::nearest,
    node::{Expansion, Node, Value},
    origin::{Origin, Source},
    sources::Env,
    yaml::{self, Limits},
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Replacements within one text before it is called endless (the Collector's number).
const ROUNDS_MAX: usize = 1000;
/// Length of a text while it is expanded.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Replacements in a whole configuration.
const REFERENCES_MAX: usize = 100_000;

/// Expands every value of a tree.
pub(crate) struct Expander<'a> {
    env: &'a dyn Env,
    limits: &'a Limits,
    errors: &'a mut Errors,
    /// References whose values are being expanded, outermost first.
    within: Vec<String>,
    nodes: usize,
    references: usize,
    stopped: bool,
    /// Variables that are not set, with the places that want them.
    pub(crate) unset: BTreeMap<String, Vec<Origin>>,
    /// Texts read on the way.
    pub(crate) sources: Vec<Arc<Source>>,
}

/// What a reference stands for.
struct Retrieved {
    text: Arc<str>,
    source: Arc<Source>,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(env: &'a dyn Env, limits: &'a Limits, errors: &'a mut Errors) -> Self {
        Self {
            env,
            limits,
            errors,
            within: Vec::new(),
            nodes: 0,
            references: 0,
            stopped: false,
            unset: BTreeMap::new(),
            sources: Vec::new(),
        }
    }

    /// Expands a node and everything below it; `depth` counts levels above it.
    pub(crate) fn expand(&mut self, node: &mut Node, depth: usize) {
        self.nodes += 1;
        if self.stopped || !self.within_limits(node, depth) {
            return;
        }
        match &mut node.value {
            Value::String(text) => {
                if text.contains('$') {
                    let text = Arc::clone(text);
                    self.expand_text(node, &text, depth);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.expand(item, depth + 1)),
            Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| self.expand(value, depth + 1)),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => {}
        }
    }

    fn within_limits(&mut self, node: &Node, depth: usize) -> bool {
        let message = if self.nodes > self.limits.nodes_max {
            format!("expansion leads to too many values: more than {}", self.limits.nodes_max)
        } else if depth > self.limits.depth_max {
            format!("expansion leads to too deep nesting: more than {} levels", self.limits.depth_max)
        } else {
            return true;
        };
        self.stop(message, &node.origin);
        false
    }

    fn stop(&mut self, message: String, origin: &Origin) {
        self.errors.push(ConfigError::new(codes::ENDLESS_EXPANSION, message).at(origin));
        self.stopped = true;
    }

    fn expand_text(&mut self, node: &mut Node, original: &str, depth: usize) {
        let origin = node.origin.clone();
        let (mut text, mut whole_chain, mut reference) = (original.to_owned(), Vec::<String>::new(), None);
        for _ in 0..ROUNDS_MAX {
            let Some((start, end)) = find_reference(&text) else {
                let unescaped = text.replace("$$", "$");
                node.expansion =
                    reference.map(|reference| Arc::new(Expansion { text: Arc::from(unescaped.as_str()), reference }));
                node.value = Value::string(unescaped);
                return;
            };
            let found = text.get(start..end).unwrap_or_default().to_owned();
            let whole = found.len() == text.len();
            if whole && (whole_chain.contains(&found) || self.within.contains(&found)) {
                let chain: Vec<&str> = self.within.iter().chain(&whole_chain).map(String::as_str).collect();
                let message = format!("`{found}` leads back to itself: {} → {found}", chain.join(" → "));
                self.errors.push(ConfigError::new(codes::ENDLESS_EXPANSION, message).at(&origin));
                return;
            }
            self.references += 1;
            if self.references > REFERENCES_MAX {
                self.stop(format!("more than {REFERENCES_MAX} references to expand"), &origin);
                return;
            }
            let Some(retrieved) = self.retrieve(&found, &origin) else { return };
            let reference = reference.get_or_insert_with(|| found.clone()).clone();
            if whole {
                let value = self.parse_value(&retrieved);
                if !matches!(value.value, Value::String(_)) {
                    whole_chain.push(found);
                    return self.finish_structure(node, value, &retrieved, reference, whole_chain, depth);
                }
                whole_chain.push(found);
                text = retrieved.text.as_ref().to_owned();
            } else {
                text.replace_range(start..end, &retrieved.text);
            }
            if text.len() > TEXT_BYTES_MAX {
                let message = format!("expansion grows beyond {TEXT_BYTES_MAX} bytes at `{reference}`");
                self.errors.push(ConfigError::new(codes::ENDLESS_EXPANSION, message).at(&origin));
                return;
            }
        }
        let reference = reference.unwrap_or_default();
        let message = format!("`{reference}` takes more than {ROUNDS_MAX} rounds of expansion");
        self.errors.push(ConfigError::new(codes::ENDLESS_EXPANSION, message).at(&origin));
    }

    /// A reference brought a number, list, map …: expand inside it, and its text for the case that text is wanted.
    fn finish_structure(
        &mut self,
        node: &mut Node,
        mut value: Node,
        retrieved: &Retrieved,
        reference: String,
        chain: Vec<String>,
        depth: usize,
    ) {
        let outer = self.within.len();
        self.within.extend(chain);
        self.expand(&mut value, depth);
        let text = if retrieved.text.contains('$') && !matches!(value.value, Value::List(_) | Value::Map(_)) {
            Arc::from(retrieved.text.replace("$$", "$"))
        } else {
            Arc::clone(&retrieved.text)
        };
        self.within.truncate(outer);
        node.value = value.value;
        node.expansion = Some(Arc::new(Expansion { text, reference }));
    }

    /// The text as YAML; text that is not YAML stands for itself, as does text that YAML reads as text.
    fn parse_value(&mut self, retrieved: &Retrieved) -> Node {
        let mut ignored = Errors::new();
        yaml::parse(&retrieved.source, self.limits, &mut ignored)
            .filter(|_| !ignored.has_errors())
            .unwrap_or_else(|| Node::from(Value::String(Arc::clone(&retrieved.text))))
    }

    fn retrieve(&mut self, reference: &str, origin: &Origin) -> Option<Retrieved> {
        let inner = reference.get(2..reference.len() - 1).unwrap_or_default();
        let (scheme, rest) = match inner.split_once(':') {
            Some((scheme, rest)) => (scheme, rest),
            None => ("env", inner),
        };
        if inner.contains('$') {
            let message = format!("the reference `{reference}` contains unsupported characters ('$')");
            self.errors.push(ConfigError::new(codes::DOLLAR_IN_REFERENCE, message).at(origin));
            return None;
        }
        let (text, name) = match scheme {
            "env" => (self.variable(rest, reference, origin)?, reference.to_owned()),
            "file" => (self.file(rest, reference, origin)?, rest.to_owned()),
            "yaml" => (rest.to_owned(), reference.to_owned()),
            _ => {
                self.errors.push(unknown_scheme(scheme, rest, reference).at(origin));
                return None;
            }
        };
        let source = Source::new(name, text.as_str());
        self.sources.push(Arc::clone(&source));
        Some(Retrieved { text: Arc::from(text), source })
    }

    fn variable(&mut self, rest: &str, reference: &str, origin: &Origin) -> Option<String> {
        let (name, default) = match rest.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (rest, None),
        };
        if !is_variable_name(name) {
            let message =
                format!("environment variable `{name}` has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$");
            let mut error = ConfigError::new(codes::BAD_VARIABLE, message).at(origin);
            if name.is_empty() || name.bytes().all(|b| b.is_ascii_digit()) {
                error = error.with_fix(format!("write `${reference}` to mean it literally"));
            }
            self.errors.push(error);
            return None;
        }
        match (self.env.var(name), default) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(default.to_owned()),
            (None, None) => {
                self.unset.entry(name.to_owned()).or_default().push(origin.clone());
                Some(String::new())
            }
        }
    }

    fn file(&mut self, path: &str, reference: &str, origin: &Origin) -> Option<String> {
        match read_text(self.env, path, self.limits) {
            Ok(text) => Some(text),
            Err(error) => {
                self.errors
                    .push(ConfigError { message: format!("`{reference}`: {}", error.message), ..*error }.at(origin));
                None
            }
        }
    }
}

/// Reads a file as UTF-8, within the size limit.
pub(crate) fn read_text(env: &dyn Env, path: &str, limits: &Limits) -> Result<String, Box<ConfigError>> {
    let bytes = env.read(Path::new(path), limits.document_bytes_max).map_err(|error| {
        let message = format!("unable to read the file `{path}`: {error}");
        Box::new(ConfigError::new(codes::UNREADABLE, message))
    })?;
    if bytes.len() > limits.document_bytes_max {
        let message = format!("`{path}` is too large: more than {} bytes", limits.document_bytes_max);
        return Err(Box::new(ConfigError::new(codes::TOO_LARGE, message)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("`{path}` is not UTF-8 at byte {}", error.utf8_error().valid_up_to());
        Box::new(ConfigError::new(codes::YAML_UNSUPPORTED, message))
    })
}

/// The error for a scheme that is not read from, with what was probably meant.
pub(crate) fn unknown_scheme(scheme: &str, rest: &str, written: &str) -> ConfigError {
    let message = format!("scheme `{scheme}` is not supported in `{written}`");
    let error = ConfigError::new(codes::UNKNOWN_SCHEME, message).with_expected("file, env or yaml");
    if matches!(scheme, "http" | "https") {
        return error
            .with_fix("fetch the file first and name its path: weir does not read configuration over the network");
    }
    if rest.starts_with('-') && is_variable_name(scheme) {
        return error.with_fix(format!("write `${{env:{scheme}:{rest}}}`: a default needs the scheme"));
    }
    error.with_suggestion(nearest(scheme, ["file", "env", "yaml"]))
}

/// `^[a-zA-Z_][a-zA-Z0-9_]*$`
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The first reference that can be expanded, as byte range: the first `}` and the last `${` before it, unless an odd
/// number of `$` stands directly before that.
fn find_reference(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let part = text.get(from..)?;
        let close = part.find('}')?;
        let next = from + close + 1;
        if let Some(open) = part.get(..close).and_then(|before| before.rfind("${")) {
            let dollars = part.as_bytes().get(..open)?.iter().rev().take_while(|b| **b == b'$').count();
            if dollars % 2 == 0 {
                return Some((from + open, next));
            }
        }
        from = next;
    }
}
