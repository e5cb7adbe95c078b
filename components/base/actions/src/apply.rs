//! Running actions on the attributes of messages under edit.

use matching::Pattern;
use pdata::edit::{At, EditError, Editor, Msg, Value, Walk, Write};
use pdata::{Context, edit};
use regex::bytes::CaptureLocations;

use crate::compile::{Action, Actions, From, KeyPattern};
use crate::convert::Target;
use crate::hash::hash;
use crate::source::Fixed;

/// A list of actions, bound to the request that a batch came with.
#[derive(Debug)]
pub struct Bound<'a> {
    actions: &'a Actions,
    /// What the request says, for each thing that is read of it.
    requests: Vec<Option<String>>,
    /// Where groups were found, for each action that extracts.
    groups: Vec<CaptureLocations>,
    /// What was found out about keys, for each action that chooses them by a pattern.
    verdicts: Vec<Verdicts>,
    scratch: Scratch,
}

/// Whether a pattern matches keys. Messages of a batch mostly have the same keys in the same order, so the last verdict
/// about the nth attribute is mostly right for the next message, and its pattern need not run.
#[derive(Clone, Debug, Default)]
struct Verdicts(Vec<(Vec<u8>, bool)>);

/// Attributes of a message for which verdicts are kept.
const VERDICTS_MAX: usize = 256;

impl Verdicts {
    fn of(&mut self, attribute: usize, key: &[u8], pattern: &Pattern) -> bool {
        if let Some((known, verdict)) = self.0.get_mut(attribute) {
            if known != key {
                *verdict = pattern.is_match(key);
                known.clear();
                known.extend_from_slice(key);
            }
            return *verdict;
        }
        let verdict = pattern.is_match(key);
        if attribute == self.0.len() && attribute < VERDICTS_MAX {
            self.0.push((key.to_vec(), verdict));
        }
        verdict
    }
}

/// Buffers that are used again for each message.
#[derive(Debug, Default)]
struct Scratch {
    text: String,
    bytes: Vec<u8>,
}

impl Actions {
    /// Binds the actions to a request.
    #[must_use]
    pub fn bind(&self, context: &Context) -> Bound<'_> {
        let groups = self.list.iter().filter_map(|action| match action {
            Action::Extract { pattern, .. } => Some(pattern.regex().capture_locations()),
            _ => None,
        });
        Bound {
            actions: self,
            requests: self.requests.iter().map(|request| request.read(context)).collect(),
            groups: groups.collect(),
            verdicts: vec![Verdicts::default(); self.keys_by_pattern],
            scratch: Scratch::default(),
        }
    }
}

impl Bound<'_> {
    /// Runs the actions on all items: where they allow it, and nothing has been opened or changed before, in one pass over
    /// the bytes of the whole payload.
    ///
    /// # Errors
    /// As [`Bound::apply`].
    pub fn apply_to_items(&mut self, editor: &mut Editor) -> Result<(), EditError> {
        if let Some(plain) = &self.actions.plain
            && let Some(outcome) = plain.run_all(editor)
        {
            return outcome.map(|_| ());
        }
        let mut walk = Walk::items(editor);
        while let Some(place) = walk.next(editor) {
            self.apply_at(editor, place.at())?;
        }
        Ok(())
    }

    /// Runs the actions on an item, which need not be open: where they allow it, in one pass over its bytes.
    ///
    /// # Errors
    /// As [`Bound::apply`].
    pub fn apply_at(&mut self, editor: &mut Editor, at: At) -> Result<(), EditError> {
        if let Some(plain) = &self.actions.plain
            && let Some(outcome) = plain.run(editor, at)
        {
            return outcome.map(|_| ());
        }
        match editor.open(at) {
            Some(item) => self.apply(editor, item),
            None => Ok(()),
        }
    }

    /// Runs the actions, one after another, on the attributes of a message.
    ///
    /// # Errors
    /// [`EditError`] when the batch grows beyond what can be edited, or a copied value would nest too deeply.
    pub fn apply(&mut self, editor: &mut Editor, message: Msg) -> Result<(), EditError> {
        let Self { actions, requests, groups, verdicts, scratch } = self;
        for action in &actions.list {
            match action {
                Action::Write { key, how, from, default } => {
                    let default = default.as_ref().map(Fixed::value);
                    let value = match from {
                        From::Nowhere => default,
                        From::Fixed(fixed) => Some(fixed.value()),
                        From::Request(number) => {
                            let request = requests.get(*number).and_then(Option::as_deref);
                            request.map(Value::Str).or(default)
                        }
                        From::Attribute(source) => match editor.attributes(message).find(source) {
                            Some(at) => {
                                editor.attributes(message).copy(key, at, *how)?;
                                continue;
                            }
                            None => default,
                        },
                    };
                    write(editor, message, key, value, *how)?;
                }
                Action::Delete { key, pattern } => {
                    if let Some(key) = key {
                        editor.attributes(message).delete(key);
                    }
                    if let Some(KeyPattern { pattern, number }) = pattern
                        && let Some(verdicts) = verdicts.get_mut(*number)
                    {
                        let mut attribute = 0..;
                        editor
                            .attributes(message)
                            .retain(|key, _| !verdicts.of(attribute.next().unwrap_or_default(), key, pattern));
                    }
                }
                Action::Hash { key, pattern } => {
                    if let Some(key) = key {
                        for_each_of(editor, message, key, hash)?;
                    }
                    if let Some(KeyPattern { pattern, number }) = pattern
                        && let Some(verdicts) = verdicts.get_mut(*number)
                    {
                        let mut attribute = 0..;
                        editor.attributes(message).for_each(|found| {
                            let matches = verdicts.of(attribute.next().unwrap_or_default(), found.key(), pattern);
                            if matches { hash(found) } else { Ok(()) }
                        })?;
                    }
                }
                Action::Extract { key, pattern, keys, number } => {
                    if let Some(groups) = groups.get_mut(*number) {
                        extract(editor, message, key, pattern, keys, groups, &mut scratch.bytes)?;
                    }
                }
                Action::Convert { key, to } => convert(editor, message, key, *to, &mut scratch.text)?,
            }
        }
        Ok(())
    }
}

fn write(editor: &mut Editor, message: Msg, key: &str, value: Option<Value<'_>>, how: Write) -> Result<(), EditError> {
    value.map_or(Ok(()), |value| editor.attributes(message).write(key, value, how).map(|_| ()))
}

fn convert(editor: &mut Editor, message: Msg, key: &str, to: Target, scratch: &mut String) -> Result<(), EditError> {
    for_each_of(editor, message, key, |attribute| to.convert(attribute, scratch))
}

/// Visits every attribute of a key.
fn for_each_of(
    editor: &mut Editor,
    message: Msg,
    key: &str,
    mut visit: impl FnMut(&mut edit::Attribute<'_>) -> Result<(), EditError>,
) -> Result<(), EditError> {
    let mut next: Option<At> = editor.attributes(message).find(key);
    while let Some(at) = next {
        visit(&mut editor.attribute(at))?;
        next = editor.attributes(message).find_next(key, at);
    }
    Ok(())
}

/// Writes what the pattern's groups found in a text. Groups that took no part write an empty text.
fn extract(
    editor: &mut Editor,
    message: Msg,
    key: &str,
    pattern: &Pattern,
    keys: &[String],
    groups: &mut CaptureLocations,
    scratch: &mut Vec<u8>,
) -> Result<(), EditError> {
    let mut attributes = editor.attributes(message);
    let Some(text) = attributes.get(key).and_then(|value| value.str_bytes()) else { return Ok(()) };
    if pattern.regex().captures_read(groups, text).is_none() {
        return Ok(());
    }
    // What is written may overwrite what is read.
    scratch.clear();
    scratch.extend_from_slice(text);
    for (group, key) in (1..).zip(keys) {
        let found = groups.get(group).and_then(|(start, end)| scratch.get(start..end)).unwrap_or_default();
        if let Ok(found) = std::str::from_utf8(found) {
            attributes.upsert(key, Value::Str(found))?;
        }
    }
    Ok(())
}
