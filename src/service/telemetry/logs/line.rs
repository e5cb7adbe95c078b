//! One event as a line: for people, or as a JSON object with zap's names of things.

use std::fmt::{self, Write as _};

use config::{Node, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::service::telemetry::config::AttributeValue;
use crate::service::telemetry::resource::Resource;

/// An event, taken apart.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) message: String,
    target: &'static str,
    fields: Vec<(&'static str, serde_json::Value)>,
}

impl Line {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut line =
            Self { level: *metadata.level(), message: String::new(), target: metadata.target(), fields: Vec::new() };
        event.record(&mut line);
        line
    }

    fn set(&mut self, field: &Field, value: impl Into<serde_json::Value>) {
        self.fields.push((field.name(), value.into()));
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            let _infallible = write!(text, ": {error}");
            source = error.source();
        }
        self.set(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.set(field, format!("{value:?}"));
        }
    }
}

/// Form of lines, with what every line has.
#[derive(Debug)]
pub(super) enum Form {
    /// `time LEVEL target: message key=value`.
    Console {
        /// Fields of every line, rendered.
        fields: String,
        /// Whether the level is coloured.
        color: bool,
    },
    /// An object.
    Json {
        /// Fields of every line: name, and value as JSON.
        fields: Vec<(String, String)>,
    },
}

impl Form {
    pub(super) fn console(initial: &Node, color: bool) -> Self {
        let mut fields = String::new();
        for (key, value) in initial.entries() {
            pair(&mut fields, &key.text, &json_of(value));
        }
        Self::Console { fields, color }
    }

    pub(super) fn json(initial: &Node, resource: Option<&Resource>) -> Self {
        let mut fields: Vec<(String, String)> =
            initial.entries().iter().map(|(key, value)| (key.text.to_string(), json_of(value).to_string())).collect();
        if let Some(resource) = resource {
            let attributes = resource.attributes.iter().map(|(name, value)| (name.clone(), attribute(value)));
            let attributes: serde_json::Map<String, serde_json::Value> = attributes.collect();
            fields.push(("resource".to_owned(), serde_json::Value::Object(attributes).to_string()));
        }
        Self::Json { fields }
    }

    /// The line, without its end.
    pub(super) fn render(&self, line: &Line) -> String {
        match self {
            Self::Console { fields, color } => console(line, fields, *color),
            Self::Json { fields } => json(line, fields),
        }
    }
}

fn time() -> String {
    let mut text = String::new();
    if SystemTime.format_time(&mut Writer::new(&mut text)).is_err() {
        text.push_str("<unknown time>");
    }
    text
}

fn console(line: &Line, fields: &str, color: bool) -> String {
    let (begin, end) = match (color, line.level) {
        (false, _) => ("", ""),
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
        (true, Level::INFO) => ("\x1b[32m", "\x1b[0m"),
        (true, _) => ("\x1b[34m", "\x1b[0m"),
    };
    let mut out = format!("{} {begin}{:>5}{end} {}: ", time(), line.level.as_str(), line.target);
    // Text of peers must not be able to begin a line of its own.
    for c in line.message.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    for (name, value) in &line.fields {
        pair(&mut out, name, value);
    }
    out.push_str(fields);
    out
}

fn pair(out: &mut String, name: &str, value: &serde_json::Value) {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '=');
    let _infallible = match value.as_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => write!(out, " {name}={text}"),
        // As JSON, quoted and escaped.
        _ => write!(out, " {name}={value}"),
    };
}

fn json(line: &Line, fields: &[(String, String)]) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut out = format!(
        "{{\"level\":\"{}\",\"ts\":\"{}\",\"logger\":{},\"msg\":{}",
        line.level.as_str().to_ascii_lowercase(),
        time(),
        quoted(line.target),
        quoted(&line.message)
    );
    for (name, value) in fields.iter().filter(|(name, _)| line.fields.iter().all(|(own, _)| own != name)) {
        let _infallible = write!(out, ",{}:{value}", quoted(name));
    }
    for (name, value) in &line.fields {
        let _infallible = write!(out, ",{}:{value}", quoted(name));
    }
    out.push('}');
    out
}

fn attribute(value: &AttributeValue) -> serde_json::Value {
    match value {
        AttributeValue::Text(text) => text.as_str().into(),
        AttributeValue::Bool(value) => (*value).into(),
        AttributeValue::Int(value) => (*value).into(),
        AttributeValue::Double(value) => (*value).into(),
    }
}

/// A free-form setting as JSON.
fn json_of(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::UInt(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(text) => (**text).into(),
        Value::List(items) => items.iter().map(json_of).collect(),
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.text.to_string(), json_of(value))).collect(),
    }
}
