//! The bytes of `google.rpc.Status`, as protobuf and as protobuf's JSON.
//!
//! `Status` { 1 `code` int32, 2 `message` string, 3 `details` repeated `Any` }; `Any` { 1 `type_url`, 2 `value` };
//! `RetryInfo` { 1 `retry_delay` }; `Duration` { 1 `seconds` int64, 2 `nanos` int32 }.

#![warn(clippy::indexing_slicing, clippy::expect_used)]

use std::time::Duration;

use component::Code;
use pdata::wire::{Fields, LEN, Malformed, VARINT, put_len, put_varint_field, read_field, read_varint};

use super::Status;
use crate::json::reader::Reader;
use crate::json::{Invalid, write_string};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The part of [`RETRY_INFO`] that identifies the type; what stands before it is up to the sender.
const RETRY_INFO_NAME: &[u8] = b"google.rpc.RetryInfo";

pub(super) fn encode_proto(status: &Status) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint_field(&mut out, 1, u64::from(status.code.number()));
    if !status.message.is_empty() {
        put_len(&mut out, 2, status.message.as_bytes());
    }
    if let Some(delay) = status.retry_after {
        let (mut duration, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
        put_varint_field(&mut duration, 1, delay.as_secs());
        put_varint_field(&mut duration, 2, u64::from(delay.subsec_nanos()));
        put_len(&mut info, 1, &duration);
        put_len(&mut any, 1, RETRY_INFO.as_bytes());
        put_len(&mut any, 2, &info);
        put_len(&mut out, 3, &any);
    }
    out
}

pub(super) fn decode_proto(bytes: &[u8]) -> Result<Status, Malformed> {
    let mut status = Status::new(Code::Ok, "");
    let mut at = 0;
    while at < bytes.len() {
        let field = read_field(bytes, at)?;
        at = field.end;
        let value = bytes.get(field.value).unwrap_or_default();
        match (field.number, field.wire_type) {
            (1, VARINT) => status.code = code(read_varint(value, &mut 0).unwrap_or_default()),
            (2, LEN) => status.message = String::from_utf8_lossy(value).into_owned(),
            (3, LEN) if is_retry_info(len_field(value, 1)) => {
                status.retry_after = duration(len_field(len_field(value, 2), 1)).or(status.retry_after);
            }
            _ => {}
        }
    }
    Ok(status)
}

fn code(number: u64) -> Code {
    Code::from_number(u32::try_from(number).unwrap_or(u32::MAX))
}

fn is_retry_info(type_url: &[u8]) -> bool {
    type_url.rsplit(|byte| *byte == b'/').next() == Some(RETRY_INFO_NAME)
}

/// The last length-delimited field of that number; empty if there is none.
fn len_field(message: &[u8], number: u32) -> &[u8] {
    let field = Fields::new(message).filter(|field| (field.number, field.wire_type) == (number, LEN)).last();
    field.and_then(|field| message.get(field.value)).unwrap_or_default()
}

/// A `google.protobuf.Duration`; negative ones are none.
fn duration(message: &[u8]) -> Option<Duration> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields::new(message).filter(|field| field.wire_type == VARINT) {
        let value = message.get(field.value).and_then(|value| read_varint(value, &mut 0)).unwrap_or_default();
        match field.number {
            1 => seconds = value.cast_signed(),
            2 => nanos = value.cast_signed(),
            _ => {}
        }
    }
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

pub(super) fn encode_json(status: &Status) -> Vec<u8> {
    let mut out = format!("{{\"code\":{},\"message\":", status.code.number());
    write_string(&status.message, &mut out);
    if let Some(delay) = status.retry_after {
        let fraction = match delay.subsec_nanos() {
            0 => String::new(),
            nanos => format!(".{nanos:09}"),
        };
        out.push_str(&format!(
            ",\"details\":[{{\"@type\":\"{RETRY_INFO}\",\"retryDelay\":\"{}{fraction}s\"}}]",
            delay.as_secs()
        ));
    }
    out.push('}');
    out.into_bytes()
}

pub(super) fn decode_json(text: &[u8]) -> Result<Status, Invalid> {
    let mut status = Status::new(Code::Ok, "");
    let mut reader = Reader::new(text);
    let mut first = true;
    reader.begin_object()?;
    while let Some(key) = reader.next_key(&mut first)? {
        if reader.take_null()? {
            continue;
        }
        match key.bytes {
            b"code" => status.code = code(u64::try_from(reader.int64()?).unwrap_or(u64::MAX)),
            b"message" => status.message = text_value(&mut reader)?,
            b"details" => {
                let mut first = true;
                reader.begin_list()?;
                while reader.next_element(&mut first)? {
                    status.retry_after = detail(&mut reader)?.or(status.retry_after);
                }
            }
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    Ok(status)
}

/// The delay, if the detail is `RetryInfo`.
fn detail(reader: &mut Reader<'_>) -> Result<Option<Duration>, Invalid> {
    if reader.peek() != Some(b'{') {
        reader.skip()?;
        return Ok(None);
    }
    let (mut type_url, mut delay) = (String::new(), None);
    let mut first = true;
    reader.begin_object()?;
    while let Some(key) = reader.next_key(&mut first)? {
        match (key.bytes, reader.peek()) {
            (b"@type", Some(b'"')) => type_url = text_value(reader)?,
            (b"retryDelay", Some(b'"')) => delay = json_duration(&text_value(reader)?),
            _ => reader.skip()?,
        }
    }
    Ok(delay.filter(|_| is_retry_info(type_url.as_bytes())))
}

fn text_value(reader: &mut Reader<'_>) -> Result<String, Invalid> {
    let raw = reader.string()?;
    Ok(String::from_utf8_lossy(&reader.value_of(raw)?).into_owned())
}

/// Protobuf's JSON form of a duration: decimal seconds and `s`.
fn json_duration(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
