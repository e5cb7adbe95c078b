//! Planted personal data: messages full of it, made from the schema, and a search that sees through encodings.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use pdata::Signal;
use pdata::schema::{self, ANY_VALUE, Kind, Label, Message};
use pdata::wire::{
    FIXED32, FIXED64, Fields, LEN, VARINT, put_fixed32, put_fixed64, put_len, put_tag, put_varint_field,
};

/// What is planted, and what of it must not come out.
pub const PLANTS: [(&str, &str); 28] = [
    ("write to jane.plant@example.org today", "jane.plant"),
    ("paid with 4111 1111 1111 1111.", "1111 1111"),
    ("card=5555555555554444", "5555555555554444"),
    ("her ssn: 536-22-8726", "536-22-8726"),
    ("account DE89370400440532013000 at", "370400440532"),
    ("from 203.0.113.77 port", "203.0.113.77"),
    ("via 2001:db8:85a3::8a2e:370:7334 now", "8a2e:370"),
    ("call +14155552671 or", "4155552671"),
    (
        "jwt eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
    ),
    ("key AKIAQYLPMN5HIT6TRW3X used", "AKIAQYLPMN5HIT6TRW3X"),
    ("Authorization: Bearer mF_9.B5f-4.1JqM", "mF_9.B5f"),
    ("authorization: Basic amFuZS5wbGFudDpodW50ZXIyaHVudGVyMg==", "amFuZS5wbGFudDpodW50"),
    ("https://jane:hunter2hunter@db.internal/x", "hunter2hunter"),
    ("GET https://x.org/a?page=2&access_token=Zm9vYmFyYmF6cXV4&z=1", "Zm9vYmFyYmF6cXV4"),
    ("password=tr0ub4dor&3", "tr0ub4dor"),
    ("SELECT * FROM people WHERE name = 'Jane Plantova'", "Plantova"),
    ("/users/jane.plant%40example.org/orders", "jane.plant"),
    (r#"{"who":"jane.plant\u0040example.org","n":1}"#, "jane.plant"),
    (r#"{"Authorization":"Bearer swordfishtoken"}"#, "swordfishtoken"),
    ("Cookie: theme=dark; sid=swordfishcookie; x=1", "swordfishcookie"),
    (r#"{"password":"correct horse swordfish"}"#, "correct horse"),
    ("/* app:shop */ SELECT * FROM people WHERE name = 'Jane Commentova'", "Commentova"),
    ("-- shop\nUPDATE people SET name = 'Jane Dashova'", "Dashova"),
    ("paid with 4111\u{a0}1111\u{a0}1111\u{a0}1111.", "\u{a0}1111\u{a0}1111"),
    ("her ssn: 536\u{2011}22\u{2011}8726", "22\u{2011}8726"),
    ("write to jane.plant\u{200b}@ex\u{e4}mple.org today", "jane.plant"),
    ("card5555555555554444", "5555555555554444"),
    (r#"{"inner":"{\"mail\":\"jane.plant@example.org\"}"}"#, "jane.plant"),
];

/// What `message` must not contain, if it does: as it is, percent-decoded, without JSON's escapes, or in base 64.
pub fn leak(message: &[u8], secret: &str) -> Option<&'static str> {
    let contains = |text: &[u8]| text.windows(secret.len()).any(|window| window == secret.as_bytes());
    let base64 = || {
        message
            .split(|byte| !(byte.is_ascii_alphanumeric() || b"+/-_".contains(byte)))
            .any(|run| contains(&decoded(run)))
    };
    if contains(message) {
        Some("as it is")
    } else if contains(&percent_decoded(message)) {
        Some("percent-encoded")
    } else if contains(&unescaped(message)) {
        Some("with JSON's escapes")
    } else if base64() {
        Some("in base 64")
    } else {
        None
    }
}

fn hex(digits: Option<&[u8]>) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let code = if text[at] == b'%' { hex(text.get(at + 1..at + 3)) } else { None };
        out.push(code.unwrap_or(text[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    out
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        if text[at..].starts_with(b"\\u00") && hex(text.get(at + 4..at + 6)).is_some() {
            out.extend(hex(text.get(at + 4..at + 6)));
            at += 6;
        } else if text[at] == b'\\' {
            at += 1;
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

fn decoded(run: &[u8]) -> Vec<u8> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in run {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = (bits << 6 | u32::from(six)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// How a full message is made.
#[derive(Clone, Copy, Debug)]
pub struct Full<'p> {
    pub plant: &'p str,
    /// How deep values nest.
    pub depth: u32,
    /// Which member of each oneof is there.
    pub member: usize,
}

/// A request in which every string and every value of bytes is planted, every field is there, lists twice, and fields
/// that no schema knows beside them.
pub fn request(signal: Signal, full: Full<'_>) -> Vec<u8> {
    full.message(schema::request(signal))
}

impl Full<'_> {
    fn message(self, table: &'static Message) -> Vec<u8> {
        let mut out = Vec::new();
        let members: Vec<u32> =
            table.fields.iter().filter(|field| field.label == Label::OneOf).map(|field| field.number).collect();
        let member = members.get(self.member % members.len().max(1));
        for field in table.fields {
            let nests = matches!(field.kind.message().map(|inner| inner.name), Some("ArrayValue" | "KeyValueList"));
            if field.label == Label::OneOf && Some(&field.number) != member {
                continue;
            }
            if nests && self.depth == 0 {
                put_len(&mut out, 1, self.plant.as_bytes());
                continue;
            }
            for _ in 0..if field.label == Label::Repeated { 2 } else { 1 } {
                self.field(&mut out, field.number, field.kind);
            }
        }
        self.unknown(&mut out);
        out
    }

    fn field(self, out: &mut Vec<u8>, number: u32, kind: Kind) {
        match kind {
            Kind::String | Kind::Bytes => put_len(out, number, self.plant.as_bytes()),
            Kind::TraceId => put_len(out, number, &[7; 16]),
            Kind::SpanId => put_len(out, number, &[7; 8]),
            Kind::Message(inner) | Kind::Item(inner) => {
                let is_value = std::ptr::eq(inner, &raw const ANY_VALUE);
                let depth = self.depth.saturating_sub(u32::from(is_value && self.depth > 0));
                let content = Full { depth, ..self }.message(inner);
                put_len(out, number, &content);
            }
            // Another status code, kind or count would do as well.
            other => match other.wire_type() {
                VARINT => put_varint_field(out, number, 2),
                FIXED64 => put_fixed64(out, number, 2),
                FIXED32 => put_fixed32(out, number, 2),
                _ => {}
            },
        }
    }

    fn unknown(self, out: &mut Vec<u8>) {
        put_len(out, 999, self.plant.as_bytes());
        put_fixed64(out, 1000, u64::from_le_bytes(*b"jane.pla"));
        // A group with a string inside.
        put_tag(out, 1001, 3);
        put_len(out, 1, self.plant.as_bytes());
        put_tag(out, 1001, 4);
    }
}

/// The request with `plant` in some of its strings and values of bytes, at random.
pub fn sow(table: &'static Message, message: &[u8], plant: &str, random: &mut impl FnMut() -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    for field in Fields::new(message) {
        let content = &message[field.value.clone()];
        match table.field(field.number).map(|known| known.kind) {
            Some(Kind::String | Kind::Bytes) if field.wire_type == LEN && random() => {
                // SQL is known by its start.
                let sql = ["SELECT", "/*", "--"].iter().any(|start| plant.starts_with(start));
                let (first, second) = if sql { (plant.as_bytes(), content) } else { (content, plant.as_bytes()) };
                let text = [first, b" ", second].concat();
                put_len(&mut out, field.number, &text);
            }
            Some(Kind::Message(inner) | Kind::Item(inner)) if field.wire_type == LEN => {
                put_len(&mut out, field.number, &sow(inner, content, plant, random));
            }
            None if field.wire_type == LEN && random() => put_len(&mut out, field.number, plant.as_bytes()),
            _ => out.extend_from_slice(&message[field.start..field.end]),
        }
    }
    out
}
