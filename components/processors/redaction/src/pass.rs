//! One batch under edit: every message on the way to items once, every item once, refused ones out.
//!
//! What stands around items is edited in place; items, resources and scopes are read as bytes and replaced as a whole
//! when something in them changes.

use detectors::Place;
use pdata::Signal;
use pdata::edit::{At, Editor, Msg, Scalar};
use pdata::schema::{self, Kind, Label, Message};
use pdata::wire::{Fields, LEN};

use crate::config::Fate;
use crate::path::Path;
use crate::rules::Rule;
use crate::sanitize::Applied;
use crate::text::{Reader, Refusal, Verdict};
use crate::walk::{Mode, Outcome};

/// Items that were taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// How many items were left in front of them.
    pub(crate) position: u64,
    pub(crate) items: u64,
    pub(crate) why: Refusal,
}

/// A batch being worked on.
#[derive(Debug)]
pub(crate) struct Pass<'p, 'r> {
    reader: &'p mut Reader<'r>,
    editor: &'p mut Editor,
    /// Items left behind so far.
    position: u64,
    pub(crate) refused: Vec<Refused>,
}

/// The places of groups, and of items, among the levels of a request.
const GROUP: usize = 1;
const SCOPE_GROUP: usize = 2;

impl<'p, 'r> Pass<'p, 'r> {
    pub(crate) fn new(reader: &'p mut Reader<'r>, editor: &'p mut Editor) -> Self {
        Self { reader, editor, position: 0, refused: Vec::new() }
    }

    /// Goes through everything.
    pub(crate) fn run(&mut self) {
        for request in self.editor.requests() {
            let root = Path::root("request");
            // A request has nothing but groups, and fields unknown to the schema.
            self.remove_unknown(request, &root);
            self.children(request, 0);
        }
    }

    fn remove_unknown(&mut self, message: Msg, path: &Path<'_>) {
        if self.reader.rules.unknown_fields == Fate::Remove {
            let removed = self.editor.remove_unknown(message);
            if removed > 0 {
                self.reader.note_many(Rule::UnknownField, path, u64::from(removed));
            }
        }
    }

    /// The fields that lead to items, in a message of that level.
    fn ways(&self, level: usize) -> &'static [u32] {
        match (self.editor.signal(), level) {
            (_, 0) | (Signal::Metrics, 4) => &[1],
            (_, GROUP | SCOPE_GROUP) => &[2],
            (Signal::Metrics, 3) => &[5, 7, 9, 10, 11],
            _ => &[],
        }
    }

    fn children(&mut self, message: Msg, level: usize) {
        for number in self.ways(level) {
            let mut next = self.editor.first(message, *number);
            while let Some(at) = next {
                self.visit(at, level + 1);
                next = self.editor.next(at);
            }
        }
    }

    fn visit(&mut self, at: At, level: usize) {
        let item = if self.editor.signal() == Signal::Metrics { 5 } else { 3 };
        if level == item {
            self.item(at);
            return;
        }
        let Some(message) = self.editor.open(at) else { return };
        if level == GROUP {
            self.enter_service(message);
        }
        match self.surroundings(message, level) {
            Ok(()) => self.children(message, level),
            Err(why) => self.refuse(at, why),
        }
    }

    fn refuse(&mut self, at: At, why: Refusal) {
        let items = u64::from(self.editor.items_at(at));
        if self.editor.remove(at) && items > 0 {
            self.refused.push(Refused { position: self.position, items, why });
        }
    }

    fn item(&mut self, at: At) {
        let root = match self.editor.signal() {
            Signal::Traces => "span",
            Signal::Logs => "log",
            Signal::Metrics => "datapoint",
        };
        let Some(table) = self.table(at) else { return self.refuse(at, Refusal::Failed) };
        let outcome = self.reader.message(table, self.editor.bytes(at), &Path::root(root));
        let outcome = outcome.and_then(|new| match new {
            Some(new) => self.editor.replace_whole(at, &new).map_err(|_too_large| Refusal::Failed),
            None => Ok(()),
        });
        match outcome {
            Ok(()) => self.position += 1,
            Err(why) => self.refuse(at, why),
        }
    }

    fn table(&self, at: At) -> Option<&'static Message> {
        self.editor.table(at.message()).field(self.editor.number(at)?)?.kind.message()
    }

    /// Everything of a message but what leads to items.
    fn surroundings(&mut self, message: Msg, level: usize) -> Result<(), Refusal> {
        let root = match level {
            GROUP => Path::root("group"),
            SCOPE_GROUP => Path::root("scope_group"),
            3 => Path::root("metric"),
            _ => Path::root("data"),
        };
        self.remove_unknown(message, &root);
        let table = self.editor.table(message);
        let ways = self.ways(level);
        for field in table.fields.iter().filter(|field| !ways.contains(&field.number)) {
            match field.kind {
                Kind::String => {
                    debug_assert!(field.label != Label::Repeated, "no lists of strings around items");
                    self.string(message, field.number, &root.name(field.name.as_bytes()))?;
                }
                Kind::Message(inner) => {
                    let path = if level == 3 { root.name(field.name.as_bytes()) } else { Path::root(field.name) };
                    let is_pairs = field.number == table.attributes_number();
                    let mut next = self.editor.first(message, field.number);
                    while let Some(at) = next {
                        self.part(at, inner, is_pairs, &path)?;
                        next = self.editor.next(at);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A name, a unit, the URL of a schema.
    fn string(&mut self, message: Msg, number: u32, path: &Path<'_>) -> Result<(), Refusal> {
        if !self.reader.rules.everywhere {
            return Ok(());
        }
        let text = self.editor.text(message, number).as_bytes();
        match self.reader.text(text, Place::text(), Applied::default(), path)? {
            Verdict::Clean | Verdict::Allowed => {}
            Verdict::Replaced(new) => {
                let new = String::from_utf8_lossy(&new);
                self.editor.set(message, number, Scalar::Str(&new)).map_err(|_too_large| Refusal::Failed)?;
            }
            Verdict::Removed => {
                self.editor.clear(message, number);
            }
        }
        Ok(())
    }

    /// A resource, a scope, an attribute of a metric's metadata.
    fn part(&mut self, at: At, table: &'static Message, is_pair: bool, path: &Path<'_>) -> Result<(), Refusal> {
        let bytes = self.editor.bytes(at);
        let outcome = if is_pair {
            if !self.reader.rules.everywhere {
                return Ok(());
            }
            self.reader.pair(bytes, Mode::Further, path)?
        } else {
            if self.reader.state.cache.is_clean_message(bytes) {
                return Ok(());
            }
            let noted = self.reader.noted;
            let changed = self.reader.message(table, bytes, path)?;
            if changed.is_none() && self.reader.noted == noted {
                self.reader.state.cache.put_message(bytes);
            }
            changed.map_or(Outcome::Keep, Outcome::Replace)
        };
        match outcome {
            Outcome::Keep => Ok(()),
            Outcome::Replace(new) => self.editor.replace_whole(at, &new).map_err(|_too_large| Refusal::Failed),
            Outcome::Remove => {
                self.editor.remove(at);
                Ok(())
            }
        }
    }

    /// Whose telemetry comes now. The name of a service that is no name is not shown.
    fn enter_service(&mut self, group: Msg) {
        const RESOURCE: u32 = 1;
        let Some(at) = self.editor.first(group, RESOURCE) else {
            self.reader.service = Box::default();
            return;
        };
        let name = service_name(self.editor.bytes(at));
        if *self.reader.service == *name {
            return;
        }
        self.reader.quiet = true;
        let place = Place::of_key(SERVICE_NAME);
        let verdict = self.reader.text(name.as_bytes(), place, Applied::default(), &Path::root("service"));
        self.reader.quiet = false;
        self.reader.service = match verdict {
            Ok(Verdict::Clean | Verdict::Allowed) if name.len() <= SERVICE_BYTES_MAX => name.as_ref().into(),
            _ => "_redacted".into(),
        };
    }
}

const SERVICE_NAME: &[u8] = b"service.name";
/// Longest name of a service that is shown, in bytes.
const SERVICE_BYTES_MAX: usize = 128;

/// The text of the attribute `service.name` of a resource; empty if it has none.
fn service_name(resource: &[u8]) -> std::borrow::Cow<'_, str> {
    fn content(message: &[u8], number: u32) -> Option<&[u8]> {
        let field = Fields::new(message).find(|field| field.number == number && field.wire_type == LEN)?;
        message.get(field.value)
    }
    let number = schema::RESOURCE.attributes_number();
    let pairs = Fields::new(resource).filter(|field| field.number == number && field.wire_type == LEN);
    let mut pairs = pairs.filter_map(|field| resource.get(field.value));
    let found = pairs.find(|pair| content(pair, 1) == Some(SERVICE_NAME));
    let text = found.and_then(|pair| content(content(pair, 2)?, 1));
    String::from_utf8_lossy(text.unwrap_or_default())
}
