//! Trees as text: YAML (also with origins) and JSON. What is printed parses back to the same tree.

use crate::{
    node::{Node, Value},
    scalar,
};
use std::fmt::Write as _;

/// Block-style YAML. Redact first ([`crate::Schema::redact`]) where it will be seen.
pub fn to_yaml(node: &Node) -> String {
    yaml(node, false)
}

/// As [`to_yaml`], each value followed by where it was written: `# file:line:column`.
pub fn to_yaml_with_origins(node: &Node) -> String {
    yaml(node, true)
}

fn yaml(node: &Node, origins: bool) -> String {
    let mut out = String::new();
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => block(node, 0, origins, &mut out),
        Value::List(items) if !items.is_empty() => block(node, 0, origins, &mut out),
        _ => line(node, origins, &mut out),
    }
    out
}

/// Writes the lines of a list or map that is not empty; the cursor is at the start of a line.
fn block(node: &Node, indent: usize, origins: bool, out: &mut String) {
    let pad = " ".repeat(indent);
    match &node.value {
        Value::Map(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(&pad);
                }
                scalar_text(&key.text, out);
                out.push(':');
                if is_block(value) {
                    out.push('\n');
                    out.push_str(&" ".repeat(indent + 2));
                    block(value, indent + 2, origins, out);
                } else {
                    out.push(' ');
                    line(value, origins, out);
                }
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(&pad);
                }
                out.push_str("- ");
                if is_block(item) {
                    block(item, indent + 2, origins, out);
                } else {
                    line(item, origins, out);
                }
            }
        }
        _ => line(node, origins, out),
    }
}

fn is_block(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => !entries.is_empty(),
        Value::List(items) => !items.is_empty(),
        _ => false,
    }
}

fn line(node: &Node, origins: bool, out: &mut String) {
    flow(&node.value, out);
    if origins && node.origin.is_known() {
        // writing to a string cannot fail
        write!(out, " # {}", node.origin).unwrap_or_default();
        if let Some(expansion) = &node.expansion {
            write!(out, " via {}", expansion.reference.replace(['\n', '\r'], " ")).unwrap_or_default();
        }
    }
    out.push('\n');
}

/// YAML on one line: `[a, b]`, `{a: 1}`.
pub fn to_flow(value: &Value) -> String {
    let mut out = String::new();
    flow(value, &mut out);
    out
}

fn flow(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::UInt(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&float(*value)),
        Value::String(text) => scalar_text(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                flow(&item.value, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                scalar_text(&key.text, out);
                out.push_str(": ");
                flow(&item.value, out);
            }
            out.push('}');
        }
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        ".nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() }
    } else {
        // Debug keeps a fraction or an exponent, so that it stays a float
        format!("{value:?}")
    }
}

/// Text without quotes where it stays text without them, else in double quotes.
fn scalar_text(text: &str, out: &mut String) {
    let plain_char = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '(' | ')' | '=' | '+' | '$' | ';')
    };
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '(' | '$'))
        && !text.ends_with(' ')
        && !text.contains(" -")
        && text.chars().all(plain_char)
        && matches!(scalar::resolve(text), Value::String(_));
    if plain || is_address(text) { out.push_str(text) } else { quoted(text, out) }
}

/// `host:port` and URLs: colons without a space after them.
fn is_address(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(':')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b':' | b'-' | b'_'))
        && matches!(scalar::resolve(text), Value::String(_))
}

/// A double-quoted string that is valid YAML and valid JSON.
pub(crate) fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// JSON, indented. Floats that JSON lacks become null.
pub fn to_json(node: &Node) -> String {
    let mut out = String::new();
    json(&node.value, 0, &mut out);
    out.push('\n');
    out
}

fn json(value: &Value, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent + 1);
    let close = "  ".repeat(indent);
    match value {
        Value::Float(value) if !value.is_finite() => out.push_str("null"),
        Value::String(text) => quoted(text, out),
        Value::List(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "\n" });
                out.push_str(&pad);
                json(&item.value, indent + 1, out);
            }
            out.push_str(&format!("\n{close}]"));
        }
        Value::Map(entries) if !entries.is_empty() => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "\n" });
                out.push_str(&pad);
                quoted(&key.text, out);
                out.push_str(": ");
                json(&item.value, indent + 1, out);
            }
            out.push_str(&format!("\n{close}}}"));
        }
        other => flow(other, out),
    }
}
