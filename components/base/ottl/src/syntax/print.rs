//! Trees as text, which parses to the same tree.

use std::fmt::{self, Display, Formatter, Write as _};

use super::tree::{Call, Key, Node, NodeKind, Path, Root};

impl Display for Root {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement { editor, condition: None } => write!(f, "{editor}"),
            Self::Statement { editor, condition: Some(condition) } => write!(f, "{editor} where {condition}"),
            Self::Expression(node) => write!(f, "{node}"),
        }
    }
}

impl Node {
    /// How tightly it binds, as the parser's levels.
    fn level(&self) -> u8 {
        match &self.kind {
            NodeKind::Or(_) => 0,
            NodeKind::And(_) => 1,
            NodeKind::Not(_) => 2,
            NodeKind::Compare(..) => 3,
            NodeKind::Math(_, rest) => match rest.first() {
                Some((super::Math::Mul | super::Math::Div, _)) => 5,
                _ => 4,
            },
            NodeKind::Negative(_) => 6,
            NodeKind::Lambda(..) => 0,
            _ => 7,
        }
    }

    fn put(&self, f: &mut Formatter<'_>, at_least: u8) -> fmt::Result {
        if self.level() < at_least { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodeKind::Nil => f.write_str("nil"),
            NodeKind::Bool(truth) => write!(f, "{truth}"),
            NodeKind::Int(int) => write!(f, "{int}"),
            NodeKind::Float(float) => {
                let text = format!("{float}");
                f.write_str(&text)?;
                if text.contains('.') { Ok(()) } else { f.write_char('.') }
            }
            NodeKind::Str(text) => put_str(f, text),
            NodeKind::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            NodeKind::List(nodes) => {
                f.write_char('[')?;
                separated(f, ", ", nodes, |f, node| node.put(f, 0))?;
                f.write_char(']')
            }
            NodeKind::Map(entries) => {
                f.write_char('{')?;
                separated(f, ", ", entries, |f, (key, node)| {
                    put_str(f, key)?;
                    write!(f, ": {node}")
                })?;
                f.write_char('}')
            }
            NodeKind::Path(path) => write!(f, "{path}"),
            NodeKind::Name(name) => f.write_str(name),
            NodeKind::Call(call) => write!(f, "{call}"),
            NodeKind::Not(node) => {
                f.write_str("not ")?;
                node.put(f, 2)
            }
            NodeKind::And(nodes) => separated(f, " and ", nodes, |f, node| node.put(f, 2)),
            NodeKind::Or(nodes) => separated(f, " or ", nodes, |f, node| node.put(f, 1)),
            NodeKind::Compare(left, operator, right) => {
                left.put(f, 4)?;
                write!(f, " {} ", operator.as_str())?;
                right.put(f, 4)
            }
            NodeKind::Math(first, rest) => {
                let level = self.level() + 1;
                first.put(f, level)?;
                rest.iter().try_for_each(|(operator, node)| {
                    write!(f, " {} ", operator.as_str())?;
                    node.put(f, level)
                })
            }
            NodeKind::Negative(node) => {
                f.write_char('-')?;
                node.put(f, 7)
            }
            NodeKind::Lambda(params, body) => {
                f.write_char('(')?;
                separated(f, ", ", params, |f, (name, _)| f.write_str(name))?;
                write!(f, ") => {body}")
            }
        }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (number, (name, _)) in self.fields.iter().enumerate() {
            if number > 0 {
                f.write_char('.')?;
            }
            f.write_str(name)?;
            self.keys.iter().filter(|(of, _)| *of == number).try_for_each(|(_, key)| write!(f, "{key}"))?;
        }
        Ok(())
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        self.index.put(f, 4)?;
        f.write_char(']')
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        separated(f, ", ", &self.arguments, |f, (name, node)| {
            if let Some((name, _)) = name {
                write!(f, "{name}=")?;
            }
            write!(f, "{node}")
        })?;
        f.write_char(')')?;
        self.keys.iter().try_for_each(|key| write!(f, "{key}"))
    }
}

fn separated<T>(
    f: &mut Formatter<'_>,
    separator: &str,
    items: &[T],
    mut put: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            f.write_str(separator)?;
        }
        put(f, item)?;
    }
    Ok(())
}

fn put_str(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\U{:08x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
