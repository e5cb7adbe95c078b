//! Lists of actions that look at some keys, each for itself, done in one pass over an item's bytes.

use pdata::edit::{At, EditError, Editor, Keys, Rewrite, Value, ValueRef, Write};
use pdata::wire::put_len;

use crate::compile::{Action, From};
use crate::hash::hex_of;
use crate::source::Fixed;

/// Number of `AnyValue.string_value`.
const STRING_VALUE: u32 = 1;

/// What is done about a key.
#[derive(Clone, Debug)]
enum Op {
    Delete,
    Hash,
    Write(Write, Fixed),
}

/// Such a list.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    keys: Keys,
    ops: Vec<(String, Op)>,
}

impl Plain {
    /// The list as such a one, if each action is about one key of its own and needs nothing else.
    pub(crate) fn of(list: &[Action]) -> Option<Self> {
        let mut ops: Vec<(String, Op)> = Vec::new();
        for action in list {
            let (key, op) = match action {
                Action::Delete { key: Some(key), pattern: None } => (key, Op::Delete),
                Action::Hash { key: Some(key), pattern: None } => (key, Op::Hash),
                Action::Write { key, how, from: From::Fixed(fixed), .. } => (key, Op::Write(*how, fixed.clone())),
                _ => return None,
            };
            if ops.iter().any(|(known, _)| known == key) {
                return None;
            }
            ops.push((key.clone(), op));
        }
        (!ops.is_empty()).then(|| Self { keys: Keys::new(ops.iter().map(|(key, _)| key.as_str())), ops })
    }

    /// Runs the list on all items. `None`, and nothing done, where that has to be item by item.
    pub(crate) fn run_all(&self, editor: &mut Editor) -> Option<Result<bool, EditError>> {
        let rewrite = |key, times, value: ValueRef<'_>, out: &mut Vec<u8>| self.rewrite(key, times, value, out);
        editor.rewrite_all_attributes(&self.keys, rewrite, |key| self.added(key))
    }

    /// Runs the list on an item. `None`, and nothing done, where the item has to be opened for that.
    pub(crate) fn run(&self, editor: &mut Editor, at: At) -> Option<Result<bool, EditError>> {
        let rewrite = |key, times, value: ValueRef<'_>, out: &mut Vec<u8>| self.rewrite(key, times, value, out);
        editor.rewrite_attributes(at, &self.keys, rewrite, |key| self.added(key))
    }

    fn rewrite(&self, key: usize, times: u32, value: ValueRef<'_>, out: &mut Vec<u8>) -> Rewrite {
        match self.ops.get(key) {
            None | Some((_, Op::Write(Write::Insert, _))) => Rewrite::Keep,
            Some((_, Op::Delete)) => Rewrite::Delete,
            Some((_, Op::Hash)) => {
                // As `Value::Str` is encoded, without another look at whether digits are UTF-8.
                put_len(out, STRING_VALUE, hex_of(value).as_ref().map_or(&[], |hex| hex.as_slice()));
                Rewrite::Set
            }
            // Writing leaves one of a key.
            Some((_, Op::Write(..))) if times > 0 => Rewrite::Delete,
            Some((_, Op::Write(_, fixed))) => {
                fixed.value().encode(out);
                Rewrite::Set
            }
        }
    }

    /// What is added where a key was not met.
    fn added(&self, key: usize) -> Option<(&str, Value<'_>)> {
        match self.ops.get(key) {
            Some((key, Op::Write(Write::Insert | Write::Upsert, fixed))) => Some((key.as_str(), fixed.value())),
            _ => None,
        }
    }
}
