//! One request: every message on the way to items once, every item once, refused ones out.

use std::borrow::Cow;

use detectors::Place;
use pdata::Signal;
use pdata::edit::Rewritten;
use pdata::schema::{self, Kind, Message};
use pdata::wire::{Fields, LEN};

use crate::config::Fate;
use crate::path::Path;
use crate::sanitize::Applied;
use crate::text::{Reader, Refusal, Verdict};
use crate::walk::{Mode, known};
use crate::writer::Field;

/// Items that were taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// How many items were left in front of them.
    pub(crate) position: u64,
    pub(crate) items: u64,
    pub(crate) why: Refusal,
}

/// A request being worked on.
#[derive(Debug)]
pub(crate) struct Pass<'p, 'r> {
    reader: Reader<'r>,
    signal: Signal,
    /// Items left behind so far, those of requests before this one among them.
    position: u64,
    refused: &'p mut Vec<Refused>,
}

/// The places of groups, and of items, among the levels of a request.
const GROUP: usize = 1;
const SCOPE_GROUP: usize = 2;
const METRIC: usize = 3;

/// The fields that lead to items, in a message of that level.
fn ways(signal: Signal, level: usize) -> &'static [u32] {
    match (signal, level) {
        (_, 0) | (Signal::Metrics, 4) => &[1],
        (_, GROUP | SCOPE_GROUP) => &[2],
        (Signal::Metrics, METRIC) => &[5, 7, 9, 10, 11],
        _ => &[],
    }
}

fn is_item(signal: Signal, level: usize) -> bool {
    level == if signal == Signal::Metrics { 5 } else { 3 }
}

/// How a level begins the places in it.
fn root(level: usize) -> Path<'static> {
    Path::root(match level {
        0 => "request",
        GROUP => "group",
        SCOPE_GROUP => "scope_group",
        METRIC => "metric",
        _ => "data",
    })
}

/// What became of the messages that lead to items, in the message around them.
#[derive(Clone, Copy, Debug, Default)]
struct Ways {
    /// One is left.
    left: bool,
    /// Items that went.
    lost: u64,
}

impl<'p, 'r> Pass<'p, 'r> {
    /// Behind `position` items; what is refused is added to `refused`.
    pub(crate) fn new(signal: Signal, reader: Reader<'r>, position: u64, refused: &'p mut Vec<Refused>) -> Self {
        Self { reader, signal, position, refused }
    }

    /// Goes through everything. How many items are left behind by then, and what becomes of the request if it changes.
    pub(crate) fn run(mut self) -> (u64, Option<Rewritten>) {
        let first = self.position;
        let end = self.reader.writer.source().len();
        let before = self.reader.writer.mark();
        if self.level(schema::request(self.signal), 0, 0, end).is_some() {
            self.reader.writer.back_to(before);
            self.reader.writer.cut(0, end);
        }
        let items = u32::try_from(self.position - first).unwrap_or(u32::MAX);
        (self.position, self.reader.writer.finish(end).map(|body| Rewritten { body, items }))
    }

    /// Reads a message on the way to items, or an item. `Some`: it has to go, with so many items.
    fn level(&mut self, table: &'static Message, level: usize, start: usize, end: usize) -> Option<u64> {
        let (position, refused) = (self.position, self.refused.len());
        let outcome = if is_item(self.signal, level) {
            self.item(table, start, end)
        } else {
            self.container(table, level, start, end)
        };
        match outcome {
            Ok(Ways { left: false, lost: lost @ 1.. }) => Some(lost),
            Ok(_) => None,
            Err(why) => {
                // Those in it that were refused already are among them.
                self.refused.truncate(refused);
                self.position = position;
                let message = self.reader.writer.source().get(start..end).unwrap_or_default();
                let items = items_in(self.signal, level, message);
                if items > 0 {
                    self.refused.push(Refused { position, items, why });
                }
                Some(items)
            }
        }
    }

    fn item(&mut self, table: &'static Message, start: usize, end: usize) -> Result<Ways, Refusal> {
        let root = Path::root(match self.signal {
            Signal::Traces => "span",
            Signal::Logs => "log",
            Signal::Metrics => "datapoint",
        });
        self.reader.message(table, start, end, &root)?;
        self.position += 1;
        Ok(Ways { left: true, lost: 0 })
    }

    fn container(&mut self, table: &'static Message, level: usize, start: usize, end: usize) -> Result<Ways, Refusal> {
        if level == GROUP {
            self.enter_service(start, end);
        }
        let source = self.reader.writer.source().get(..end).unwrap_or_default();
        let (ways, root) = (ways(self.signal, level), root(level));
        let mut found = Ways::default();
        let mut at = start;
        while let Some(field) = Field::read(source, at) {
            at = field.end();
            let Some(known) = known(table, field) else {
                self.reader.unknown(field, &root);
                continue;
            };
            match known.kind {
                Kind::Message(inner) | Kind::Item(inner) if ways.contains(&field.number()) => {
                    let mark = self.reader.writer.mark();
                    match self.level(inner, level + 1, field.content(), field.end()) {
                        None => {
                            found.left = true;
                            self.reader.writer.close(mark, field);
                        }
                        Some(items) => {
                            found.lost += items;
                            self.reader.writer.back_to(mark);
                            self.reader.writer.cut(field.start(), field.end());
                        }
                    }
                }
                Kind::String if self.reader.rules.everywhere => {
                    let path = root.name(known.name.as_bytes());
                    self.reader.string(field, Applied::default(), &path)?;
                }
                Kind::Message(inner) => {
                    let in_metric = root.name(known.name.as_bytes());
                    let path = if level == METRIC { in_metric } else { Path::root(known.name) };
                    let is_pair = field.number() == table.attributes_number();
                    self.reader.within(field, |reader| part(reader, inner, field, is_pair, &path))?;
                }
                _ => {}
            }
        }
        self.reader.unreadable(at, end);
        Ok(found)
    }

    /// Whose telemetry comes now. The name of a service that is no name is not shown.
    fn enter_service(&mut self, start: usize, end: usize) {
        const RESOURCE: u32 = 1;
        let group = self.reader.writer.source().get(start..end).unwrap_or_default();
        let name = content_of(group, RESOURCE).map(service_name).unwrap_or_default();
        if *self.reader.service == *name {
            return;
        }
        self.reader.quiet = true;
        let place = Place::of_key(SERVICE_NAME);
        let verdict = self.reader.read(name.as_bytes(), place, Applied::default(), &Path::root("service"));
        self.reader.quiet = false;
        self.reader.service = match verdict {
            Ok(Verdict::Clean | Verdict::Allowed) if name.len() <= SERVICE_BYTES_MAX => name.as_ref().into(),
            _ => "_redacted".into(),
        };
    }
}

/// Reads a resource, a scope, an attribute of a metric's metadata.
fn part(
    reader: &mut Reader<'_>,
    table: &'static Message,
    field: Field,
    is_pair: bool,
    path: &Path<'_>,
) -> Result<Fate, Refusal> {
    if is_pair {
        if !reader.rules.everywhere {
            return Ok(Fate::Keep);
        }
        return reader.pair(field.content(), field.end(), Mode::Further, path);
    }
    let bytes = reader.writer.source().get(field.content()..field.end()).unwrap_or_default();
    if reader.state.cache.is_clean_message(bytes) {
        return Ok(Fate::Keep);
    }
    let (noted, mark) = (reader.noted, reader.writer.mark());
    reader.message(table, field.content(), field.end(), path)?;
    if !reader.writer.is_changed_since(mark) && reader.noted == noted {
        reader.state.cache.put_message(bytes);
    }
    Ok(Fate::Keep)
}

/// How many items are in a message of that level.
fn items_in(signal: Signal, level: usize, message: &[u8]) -> u64 {
    if is_item(signal, level) {
        return 1;
    }
    let ways = ways(signal, level);
    let inner = Fields::new(message).filter(|field| field.wire_type == LEN && ways.contains(&field.number));
    inner.map(|field| items_in(signal, level + 1, message.get(field.value).unwrap_or_default())).sum()
}

const SERVICE_NAME: &[u8] = b"service.name";
/// Longest name of a service that is shown, in bytes.
const SERVICE_BYTES_MAX: usize = 128;

/// The content of the first field of that number.
fn content_of(message: &[u8], number: u32) -> Option<&[u8]> {
    let field = Fields::new(message).find(|field| field.number == number && field.wire_type == LEN)?;
    message.get(field.value)
}

/// The text of the attribute `service.name` of a resource; empty if it has none.
fn service_name(resource: &[u8]) -> Cow<'_, str> {
    let number = schema::RESOURCE.attributes_number();
    let pairs = Fields::new(resource).filter(|field| field.number == number && field.wire_type == LEN);
    let mut pairs = pairs.filter_map(|field| resource.get(field.value));
    let found = pairs.find(|pair| content_of(pair, 1) == Some(SERVICE_NAME));
    let text = found.and_then(|pair| content_of(content_of(pair, 2)?, 1));
    String::from_utf8_lossy(text.unwrap_or_default())
}
