//! Editors: functions that change a record.
//!
//! Those that work on maps change `attributes` where they are, on the wire; other maps (`cache`) are read, changed and
//! set.

mod glob;
mod keys;
mod lists;
mod merge;
mod replace;
mod set;
mod texts;

use crate::error::RunError;
use crate::expr::Target;
use crate::function::Function;
use crate::subject::Subject;
use crate::value::{Map, Value};

use pdata::edit::ValueRef;

/// The most bytes that a replacement may make of one text, unless it was longer before.
pub(super) const TEXT_BYTES_MAX: usize = 4 << 20;

/// Every editor.
pub(super) fn all() -> Vec<Function> {
    [set::FUNCTIONS, keys::FUNCTIONS, lists::FUNCTIONS, merge::FUNCTIONS, replace::FUNCTIONS, texts::FUNCTIONS].concat()
}

/// What becomes of an entry of a map.
enum Step {
    Keep,
    Remove,
    Set(Value<'static>),
    Rename(String),
}

/// The value of an entry.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Wire(ValueRef<'a>),
    Held(&'a Value<'static>),
}

impl<'a> Entry<'a> {
    fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Wire(value) => std::str::from_utf8(value.str_bytes()?).ok(),
            Self::Held(Value::Str(text)) => Some(text),
            Self::Held(_) => None,
        }
    }

    fn to_value(self) -> Value<'static> {
        match self {
            Self::Wire(value) => Value::from_wire(value),
            Self::Held(value) => value.clone(),
        }
    }
}

/// Visits every entry of the map at `target`, those of repeated keys included.
fn each_entry(
    target: &Target,
    on: &mut Subject<'_>,
    mut step: impl FnMut(&str, Entry<'_>) -> Result<Step, RunError>,
) -> Result<(), RunError> {
    let mut renamed: Vec<String> = Vec::new();
    if let Some(mut attributes) = target.0.map(on)? {
        let mut key = String::new();
        attributes.for_each(|attribute| {
            key.clear();
            key.push_str(std::str::from_utf8(attribute.key()).unwrap_or_default());
            match step(&key, Entry::Wire(attribute.value()))? {
                Step::Keep => {}
                Step::Remove => attribute.remove(),
                Step::Set(value) => {
                    value.to_wire(|value| Ok(attribute.set(value)?))?;
                }
                Step::Rename(to) => {
                    attribute.rename(&to)?;
                    renamed.push(to);
                }
            }
            Ok::<_, RunError>(())
        })?;
        for key in renamed {
            // Of entries that now have the same key the last one's value stays, in the place of the first.
            let mut last = None;
            attributes.for_each(|attribute| {
                if attribute.key() == key.as_bytes() {
                    last = Some(Value::from_wire(attribute.value()));
                }
                Ok::<_, RunError>(())
            })?;
            if let Some(value) = last {
                value.to_wire(|value| Ok(attributes.update(&key, value)?))?;
            }
        }
        return Ok(());
    }
    let mut map = Map::new();
    for (key, value) in held_map(target, on)? {
        match step(&key, Entry::Held(&value))? {
            Step::Keep => map.insert(key, value),
            Step::Remove => {}
            Step::Set(value) => map.insert(key, value),
            Step::Rename(to) => map.insert(to, value),
        }
    }
    target.0.set(on, Value::Map(map))
}

/// The map at `target`, copied out.
fn held_map(target: &Target, on: &mut Subject<'_>) -> Result<Map<'static>, RunError> {
    match target.0.convert(on)? {
        Value::Map(map) => match Value::Map(map).into_owned() {
            Value::Map(map) => Ok(map),
            _ => Ok(Map::new()),
        },
        other => Err(RunError::expected("a map", &other)),
    }
}
