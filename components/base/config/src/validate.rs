//! Validation of decoded values: messages with the Collector's path, carets at the settings.

use crate::{
    codes,
    error::{ConfigError, Errors},
    node::Node,
    origin::Origin,
    reader::FieldSpec,
};

/// Where validation stands: a block's path and node, and the errors found.
#[derive(Debug)]
pub struct Validator<'a> {
    /// The block as written; `None` when it was not written.
    node: Option<&'a Node>,
    /// The place of the block, or of the nearest written one around it.
    origin: Origin,
    path: String,
    errors: &'a mut Errors,
}

impl<'a> Validator<'a> {
    /// Starts at a block with this path (`receivers::otlp`).
    pub fn new(node: &'a Node, path: &str, errors: &'a mut Errors) -> Self {
        Self { node: Some(node), origin: node.origin.clone(), path: path.to_owned(), errors }
    }

    /// Validates the block under `key` (or the list item with that index).
    pub fn enter(&mut self, key: &str, f: impl FnOnce(&mut Validator<'_>)) {
        self.enter_any(key, std::iter::once(key), f);
    }

    /// As [`Validator::enter`], for a setting that may have been written under one of its other names.
    pub fn enter_field(&mut self, spec: &FieldSpec, f: impl FnOnce(&mut Validator<'_>)) {
        let names = std::iter::once(&spec.key).chain(spec.aliases).chain(spec.deprecated_aliases).copied();
        self.enter_any(spec.key, names, f);
    }

    fn enter_any<'k>(
        &mut self,
        key: &str,
        mut names: impl Iterator<Item = &'k str>,
        f: impl FnOnce(&mut Validator<'_>),
    ) {
        let node = self.node.and_then(|node| names.find_map(|name| child(node, name)));
        let origin = node.map_or_else(|| self.origin.clone(), |node| node.origin.clone());
        let path = join(&self.path, key);
        f(&mut Validator { node, origin, path, errors: self.errors });
    }

    /// Reports that a value cannot be used. `field` is the setting the caret points at, as a path from this block
    /// (`endpoint`, `policies::0::latency`), or nothing for the block itself. The message gets the path of the block that
    /// holds the setting, as in the Collector, so it names the setting itself: `` `queue_size` must be positive ``.
    pub fn error(&mut self, field: &str, message: impl Into<String>) {
        self.error_with(field, message, |error| error);
    }

    /// As [`Validator::error`], with more to say: `|error| error.with_fix("…")`.
    pub fn error_with(
        &mut self,
        field: &str,
        message: impl Into<String>,
        more: impl FnOnce(ConfigError) -> ConfigError,
    ) {
        let error = self.locate(field, ConfigError::new(codes::INVALID_VALUE, message));
        self.errors.push(more(error));
    }

    /// Reports what is wrong inside a text that is a language of its own: the caret points at the bytes `span` of `text`,
    /// which is the value of the setting as it was decoded. `help` says what to do about it.
    pub fn error_inside(
        &mut self,
        field: &str,
        text: &str,
        span: std::ops::Range<usize>,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        self.error_with(field, message, |mut error| {
            error.origin = error.origin.inside(text, span);
            match help {
                Some(help) => error.with_fix(help),
                None => error,
            }
        });
    }

    /// Reports something odd that does not keep the configuration from being used.
    pub fn warning(&mut self, field: &str, code: codes::Code, message: impl Into<String>) {
        let warning = self.locate(field, ConfigError::warning(code, message));
        self.errors.push(warning);
    }

    /// The path of this block.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The block as written, if it was.
    pub fn node(&self) -> Option<&'a Node> {
        self.node
    }

    fn locate(&self, field: &str, error: ConfigError) -> ConfigError {
        let (blocks, _) = field.rsplit_once("::").unwrap_or(("", field));
        let mut origin = self.origin.clone();
        let mut expansion = None;
        let mut node = self.node;
        for segment in field.split("::").filter(|segment| !segment.is_empty()) {
            node = node.and_then(|node| child(node, segment));
            match node {
                Some(node) => {
                    origin = node.origin.clone();
                    expansion = node.expansion.clone();
                }
                None => break,
            }
        }
        let mut error = error.in_path(join(&self.path, blocks)).at(&origin);
        error.setting = join(&self.path, field);
        match expansion {
            Some(expansion) => error.with_note(format!("the value came from `{}`", expansion.reference)),
            None => error,
        }
    }
}

fn join(path: &str, more: &str) -> String {
    match (path.is_empty(), more.is_empty()) {
        (true, _) => more.to_owned(),
        (_, true) => path.to_owned(),
        _ => format!("{path}::{more}"),
    }
}

fn child<'n>(node: &'n Node, segment: &str) -> Option<&'n Node> {
    match segment.parse::<usize>() {
        Ok(index) if !node.items().is_empty() => node.items().get(index),
        _ => node.get(segment),
    }
}
