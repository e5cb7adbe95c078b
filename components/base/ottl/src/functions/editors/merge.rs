//! Editors that put maps together or take them apart: `merge_maps`, `flatten`.

use std::borrow::Cow;
use std::collections::HashMap;

use pdata::edit::Write;

use crate::error::RunError;
use crate::expr::{Expr, Target};
use crate::function::{Arguments, Built, Change, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::{Map, Value};

use super::held_map;

const TARGET: Param = Param::required("target", ParamKind::Target);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "merge_maps",
        params: &[TARGET, Param::required("source", ParamKind::Value), Param::required("strategy", ParamKind::Text)],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, source) = (arguments.target("target")?, arguments.value("source")?);
            let how = match arguments.text("strategy")?.as_str() {
                "insert" => Write::Insert,
                "update" => Write::Update,
                "upsert" => Write::Upsert,
                other => return Err(format!("the strategy must be `insert`, `update` or `upsert`, not `{other}`")),
            };
            Ok(Built::Editor(Box::new(MergeMaps { target, source, how })))
        },
    },
    Function {
        name: "flatten",
        params: &[
            TARGET,
            Param::optional("prefix", ParamKind::Text),
            Param::optional("depth", ParamKind::Int),
            Param::optional("resolve_conflicts", ParamKind::Bool),
        ],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let target = arguments.target("target")?;
            let prefix = arguments.text_opt("prefix").unwrap_or_default();
            let depth = match arguments.int_opt("depth") {
                Some(depth) if depth < 1 => return Err(format!("the depth must be 1 or more, it is {depth}")),
                depth => depth.map_or(u64::MAX, i64::cast_unsigned),
            };
            let resolves = arguments.bool_opt("resolve_conflicts").unwrap_or(false);
            Ok(Built::Editor(Box::new(Flatten { target, prefix, depth, resolves })))
        },
    },
];

/// Writes the entries of one map into another.
struct MergeMaps {
    target: Target,
    source: Expr,
    how: Write,
}

impl Change for MergeMaps {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let source = match self.source.eval(on)? {
            Value::Map(map) => map,
            other => return Err(RunError::expected("a map", &other)),
        };
        if let Some(mut attributes) = self.target.0.map(on)? {
            for (key, value) in source.iter() {
                value.to_wire(|value| Ok(attributes.write(key, value, self.how)?))?;
            }
            return Ok(());
        }
        let mut map = held_map(&self.target, on)?;
        for (key, value) in source {
            let is_there = map.get(&key).is_some();
            let writes = match self.how {
                Write::Insert => !is_there,
                Write::Update => is_there,
                Write::Upsert => true,
            };
            if writes {
                map.insert(key.into_owned(), value.into_owned());
            }
        }
        self.target.0.set(on, Value::Map(map))
    }
}

/// Lifts the entries of nested maps and lists, their keys joined by dots.
struct Flatten {
    target: Target,
    prefix: String,
    depth: u64,
    resolves: bool,
}

impl Change for Flatten {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let map = held_map(&self.target, on)?;
        let mut flat = Flat { result: Map::new(), seen: HashMap::new(), depth: self.depth, resolves: self.resolves };
        flat.map(map, &self.prefix, 0);
        self.target.0.set(on, Value::Map(flat.result))
    }
}

struct Flat {
    result: Map<'static>,
    /// How often a key came again, where conflicts are resolved.
    seen: HashMap<String, u32>,
    depth: u64,
    resolves: bool,
}

impl Flat {
    /// Recursion is bounded by how deep values nest.
    fn map(&mut self, map: Map<'static>, prefix: &str, depth: u64) {
        for (key, value) in map {
            let key = if prefix.is_empty() { key.into_owned() } else { format!("{prefix}.{key}") };
            self.value(key, value, depth);
        }
    }

    fn value(&mut self, key: String, value: Value<'static>, depth: u64) {
        match value {
            Value::Map(map) if depth < self.depth => self.map(map, &key, depth + 1),
            Value::List(values) if depth < self.depth => {
                for (index, value) in values.into_iter().enumerate() {
                    match value {
                        nested @ (Value::Map(_) | Value::List(_)) if depth + 1 < self.depth => {
                            self.value(format!("{key}.{index}"), nested, depth + 1);
                        }
                        // The index tells values apart; conflict numbers do so too.
                        value if self.resolves => self.put(key.clone(), value),
                        value => self.put(format!("{key}.{index}"), value),
                    }
                }
            }
            value => self.put(key, value),
        }
    }

    fn put(&mut self, key: String, value: Value<'static>) {
        if !self.resolves {
            self.result.insert(Cow::Owned(key), value);
            return;
        }
        match self.seen.get_mut(&key) {
            Some(again) => {
                let numbered = format!("{key}.{again}");
                *again += 1;
                self.result.insert(Cow::Owned(numbered), value);
            }
            None => {
                self.seen.insert(key.clone(), 0);
                self.result.insert(Cow::Owned(key), value);
            }
        }
    }
}
