//! Editors that choose entries of a map by their keys: `delete_key`, `delete_matching_keys`, `keep_keys`,
//! `keep_matching_keys`, `limit`.

use crate::error::RunError;
use crate::expr::{Expr, Target};
use crate::function::{Arguments, Built, Change, Function, Param, ParamKind};
use crate::pattern::Pattern;
use crate::subject::Subject;
use crate::value::Value;

use super::{Step, each_entry, held_map};

const TARGET: Param = Param::required("target", ParamKind::Target);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "delete_key",
        params: &[TARGET, Param::required("key", ParamKind::Value)],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, key) = (arguments.target("target")?, arguments.value("key")?);
            Ok(Built::Editor(Box::new(DeleteKey { target, key })))
        },
    },
    Function {
        name: "delete_matching_keys",
        params: &[TARGET, Param::required("pattern", ParamKind::Value)],
        contexts: &[],
        build: |arguments: &mut Arguments| matching(arguments, false),
    },
    Function {
        name: "keep_matching_keys",
        params: &[TARGET, Param::required("pattern", ParamKind::Value)],
        contexts: &[],
        build: |arguments: &mut Arguments| matching(arguments, true),
    },
    Function {
        name: "keep_keys",
        params: &[TARGET, Param::required("keys", ParamKind::List)],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, keys) = (arguments.target("target")?, arguments.list("keys")?);
            Ok(Built::Editor(Box::new(KeepKeys { target, keys })))
        },
    },
    Function {
        name: "limit",
        params: &[TARGET, Param::required("limit", ParamKind::Int), Param::required("priority_keys", ParamKind::List)],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, limit) = (arguments.target("target")?, arguments.int("limit")?);
            let priority = literal_keys(&arguments.list("priority_keys")?)?;
            let limit =
                usize::try_from(limit).map_err(|_negative| format!("the limit cannot be negative, it is {limit}"))?;
            if limit < priority.len() {
                let count = priority.len();
                return Err(format!("the limit of {limit} is below the number of priority keys, {count}"));
            }
            Ok(Built::Editor(Box::new(Limit { target, limit, priority })))
        },
    },
];

fn matching(arguments: &mut Arguments, keeps: bool) -> Result<Built, String> {
    let (target, pattern) = (arguments.target("target")?, Pattern::from_expr(arguments.value("pattern")?)?);
    Ok(Built::Editor(Box::new(MatchingKeys { target, pattern, keeps })))
}

/// Keys that are known when the statement is compiled.
pub(super) fn literal_keys(list: &[Expr]) -> Result<Vec<String>, String> {
    list.iter()
        .map(|key| match key.literal() {
            Some(Value::Str(key)) => Ok(key.clone().into_owned()),
            _ => Err("keys must be string literals".to_owned()),
        })
        .collect()
}

/// Removes a key.
struct DeleteKey {
    target: Target,
    key: Expr,
}

impl Change for DeleteKey {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let key = self.key.eval(on)?;
        let key = key.as_str()?;
        if let Some(mut attributes) = self.target.0.map(on)? {
            attributes.delete(key);
            return Ok(());
        }
        let mut map = held_map(&self.target, on)?;
        map.remove(key);
        self.target.0.set(on, Value::Map(map))
    }
}

/// Removes or keeps the keys that match.
struct MatchingKeys {
    target: Target,
    pattern: Pattern,
    keeps: bool,
}

impl Change for MatchingKeys {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let matcher = self.pattern.matcher(on)?;
        if let Some(mut attributes) = self.target.0.map(on)? {
            attributes.retain(|key, _| matcher.is_match(key) == self.keeps);
            return Ok(());
        }
        let mut map = held_map(&self.target, on)?;
        map.entries_mut().retain(|(key, _)| matcher.is_match(key.as_bytes()) == self.keeps);
        self.target.0.set(on, Value::Map(map))
    }
}

/// Removes all other keys.
struct KeepKeys {
    target: Target,
    keys: Vec<Expr>,
}

impl Change for KeepKeys {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let mut kept = smallvec::SmallVec::<[Value<'_>; 8]>::new();
        for key in &self.keys {
            let key = key.eval(on)?;
            key.as_str()?;
            kept.push(key);
        }
        let is_kept = |key: &[u8]| kept.iter().any(|kept| kept.as_str().is_ok_and(|kept| kept.as_bytes() == key));
        if let Some(mut attributes) = self.target.0.map(on)? {
            attributes.retain(|key, _| is_kept(key));
            return Ok(());
        }
        let mut map = held_map(&self.target, on)?;
        map.entries_mut().retain(|(key, _)| is_kept(key.as_bytes()));
        self.target.0.set(on, Value::Map(map))
    }
}

/// Keeps at most so many entries: those with priority, then the first.
struct Limit {
    target: Target,
    limit: usize,
    priority: Vec<String>,
}

impl Change for Limit {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let (mut count, mut prior) = (0, 0);
        each_entry(&self.target, on, |key, _| {
            count += 1;
            prior += usize::from(self.has_priority(key));
            Ok(Step::Keep)
        })?;
        if count <= self.limit {
            return Ok(());
        }
        let mut kept = prior.min(self.priority.len());
        each_entry(&self.target, on, |key, _| {
            if self.has_priority(key) {
                return Ok(Step::Keep);
            }
            kept += 1;
            Ok(if kept <= self.limit { Step::Keep } else { Step::Remove })
        })
    }
}

impl Limit {
    fn has_priority(&self, key: &str) -> bool {
        self.priority.iter().any(|prior| prior == key)
    }
}
