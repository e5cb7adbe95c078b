//! The Collector's attributes that tell what was done: `redaction.masked.keys`, `redaction.masked.count`, …
//!
//! What an earlier instance has written is added to.

use pdata::edit::Value;
use pdata::schema::Message;
use pdata::wire::{Fields, LEN, VARINT, put_len, read_varint};

use crate::config::Summary;

/// What was done to the attributes of a message, or to its body.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// Removed, because their keys are not allowed or a finding drops them.
    pub(crate) redacted: Vec<String>,
    /// Changed.
    pub(crate) masked: Vec<String>,
    /// Left alone because of their values.
    pub(crate) allowed: Vec<String>,
    /// Left alone because of their keys.
    pub(crate) ignored: u64,
}

/// Fields of `KeyValue`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
/// Fields of `AnyValue`.
const TEXT: u32 = 1;
const INTEGER: u32 = 3;

/// Names of the attributes for one list: keys, count.
type Names = (&'static str, &'static str);

const ATTRIBUTES: [Names; 4] = [
    ("redaction.redacted.keys", "redaction.redacted.count"),
    ("redaction.masked.keys", "redaction.masked.count"),
    ("redaction.allowed.keys", "redaction.allowed.count"),
    ("", "redaction.ignored.count"),
];
const BODY: [Names; 4] = [
    ("redaction.body.redacted.keys", "redaction.body.redacted.count"),
    ("redaction.body.masked.keys", "redaction.body.masked.count"),
    ("redaction.body.allowed.keys", "redaction.body.allowed.count"),
    ("", "redaction.body.ignored.count"),
];

impl Lists {
    /// How much is in it.
    pub(crate) fn told(&self) -> u64 {
        (self.redacted.len() + self.masked.len() + self.allowed.len()) as u64 + self.ignored
    }

    fn is_empty(&self) -> bool {
        self.told() == 0
    }
}

/// The message with what was done told in its attributes; nothing if there is nothing to tell.
pub(crate) fn apply(table: &Message, message: &[u8], lists: Lists, body: Lists, how: Summary) -> Option<Vec<u8>> {
    let number = table.attributes_number();
    if (lists.is_empty() && body.is_empty()) || number == 0 || how == Summary::Silent {
        return None;
    }
    let mut out = message.to_vec();
    for (lists, names) in [(lists, ATTRIBUTES), (body, BODY)] {
        let [redacted, masked, allowed, ignored] = names;
        let all = [(lists.redacted, redacted), (lists.masked, masked), (lists.allowed, allowed)];
        for (keys, (keys_name, count_name)) in all {
            let count = keys.len() as i64;
            if count == 0 {
                continue;
            }
            if how == Summary::Debug {
                put_keys(&mut out, number, keys_name, keys);
            }
            put_count(&mut out, number, count_name, count);
        }
        if lists.ignored > 0 {
            put_count(&mut out, number, ignored.1, lists.ignored.cast_signed());
        }
    }
    Some(out)
}

fn put_keys(message: &mut Vec<u8>, number: u32, name: &str, mut keys: Vec<String>) {
    if let Some(old) = take(message, number, name)
        && let Some(text) = content(&old, TEXT).filter(|text| !text.is_empty())
    {
        keys.extend(String::from_utf8_lossy(text).split(',').map(str::to_owned));
    }
    keys.sort();
    put(message, number, name, Value::Str(&keys.join(",")));
}

fn put_count(message: &mut Vec<u8>, number: u32, name: &str, count: i64) {
    let old = take(message, number, name).map_or(0, |old| integer(&old));
    put(message, number, name, Value::Int(old.saturating_add(count)));
}

/// The integer in a value, or 0.
fn integer(any: &[u8]) -> i64 {
    let field = Fields::new(any).find(|field| field.number == INTEGER && field.wire_type == VARINT);
    field.and_then(|field| read_varint(any, &mut field.value.start.clone())).map_or(0, u64::cast_signed)
}

fn put(message: &mut Vec<u8>, number: u32, name: &str, value: Value<'_>) {
    let (mut any, mut pair) = (Vec::new(), Vec::new());
    value.encode(&mut any);
    put_len(&mut pair, KEY, name.as_bytes());
    put_len(&mut pair, VALUE, &any);
    put_len(message, number, &pair);
}

/// Content of the first length-delimited field of that number.
fn content(message: &[u8], number: u32) -> Option<&[u8]> {
    let field = Fields::new(message).find(|field| field.number == number && field.wire_type == LEN)?;
    message.get(field.value)
}

/// Removes the attributes of that key; gives the value of the first.
fn take(message: &mut Vec<u8>, number: u32, name: &str) -> Option<Vec<u8>> {
    let mut first = None;
    loop {
        let found = Fields::new(message).find(|field| {
            let pair = || message.get(field.value.clone()).unwrap_or_default();
            field.number == number && field.wire_type == LEN && content(pair(), KEY) == Some(name.as_bytes())
        });
        let Some(found) = found else { return first };
        let pair = message.get(found.value.clone()).unwrap_or_default();
        first = first.or_else(|| Some(content(pair, VALUE).unwrap_or_default().to_vec()));
        message.drain(found.start..found.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pdata::schema::RESOURCE;

    fn told(message: &[u8], names: &[&str], how: Summary) -> Vec<u8> {
        let masked = names.iter().map(|name| (*name).to_owned()).collect();
        let lists = Lists { masked, ignored: 2, ..Lists::default() };
        apply(&RESOURCE, message, lists, Lists::default(), how).unwrap()
    }

    fn read(message: &[u8]) -> Vec<(String, String)> {
        let pairs = Fields::new(message).map(|field| message.get(field.value).unwrap_or_default());
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
        let value = |any: &[u8]| content(any, TEXT).map_or_else(|| integer(any).to_string(), |it| text(Some(it)));
        pairs.map(|pair| (text(content(pair, KEY)), value(content(pair, VALUE).unwrap()))).collect()
    }

    #[test]
    fn what_was_done_is_told_and_added_up() {
        let once = told(&[], &["b", "a"], Summary::Debug);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [
            pair("redaction.masked.keys", "a,b"),
            pair("redaction.masked.count", "2"),
            pair("redaction.ignored.count", "2"),
        ];
        assert_eq!(read(&once), expected);
        let twice = told(&once, &["c"], Summary::Debug);
        let expected = [
            pair("redaction.masked.keys", "a,b,c"),
            pair("redaction.masked.count", "3"),
            pair("redaction.ignored.count", "4"),
        ];
        assert_eq!(read(&twice), expected);
        let counted = told(&[], &["x"], Summary::Info);
        assert_eq!(read(&counted), [pair("redaction.masked.count", "1"), pair("redaction.ignored.count", "2")]);
        assert_eq!(apply(&RESOURCE, &[], Lists::default(), Lists::default(), Summary::Debug), None);
    }
}
