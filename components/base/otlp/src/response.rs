//! What an export is answered with: `ExportTraceServiceResponse` and its siblings, which differ in one name.
//!
//! On the wire: field 1 `partial_success` { 1 `rejected_…` int64, 2 `error_message` string }. Without partial success a
//! response is empty.

#![warn(clippy::indexing_slicing, clippy::expect_used)]

use component::Accepted;
use pdata::Signal;
use pdata::wire::{LEN, Malformed, VARINT, put_len, put_varint_field, read_field, read_varint};

use crate::encoding::Encoding;
use crate::json::reader::Reader;
use crate::json::{self, write_string};

/// The answer to an export that was taken, perhaps in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportResponse {
    /// Items refused for good; never to be sent again.
    pub rejected_items: u64,
    /// Why, or a warning when nothing was rejected.
    pub message: String,
}

/// Why a response cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// Not protobuf.
    #[error("the response is malformed: {0}")]
    Proto(#[from] Malformed),
    /// Not JSON, or of another shape.
    #[error("the response is malformed: {0}")]
    Json(#[from] json::Invalid),
}

impl From<&Accepted> for ExportResponse {
    fn from(accepted: &Accepted) -> Self {
        Self {
            rejected_items: accepted.rejected_items,
            message: accepted.message.as_deref().unwrap_or_default().to_owned(),
        }
    }
}

impl ExportResponse {
    /// Whether it says nothing but that all was taken.
    #[must_use]
    pub fn is_full_success(&self) -> bool {
        self.rejected_items == 0 && self.message.is_empty()
    }

    /// The response's body. Empty protobuf, or `{}`, for full success.
    #[must_use]
    pub fn encode(&self, signal: Signal, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Proto => self.encode_proto(),
            Encoding::Json => self.encode_json(signal),
        }
    }

    fn encode_proto(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.is_full_success() {
            return out;
        }
        let mut partial = Vec::new();
        if self.rejected_items > 0 {
            put_varint_field(&mut partial, 1, self.rejected_items.min(i64::MAX.cast_unsigned()));
        }
        if !self.message.is_empty() {
            put_len(&mut partial, 2, self.message.as_bytes());
        }
        put_len(&mut out, 1, &partial);
        out
    }

    fn encode_json(&self, signal: Signal) -> Vec<u8> {
        if self.is_full_success() {
            return b"{}".to_vec();
        }
        let mut out = String::from("{\"partialSuccess\":{");
        if self.rejected_items > 0 {
            out.push_str(&format!("\"{}\":\"{}\"", rejected_key(signal), self.rejected_items));
        }
        if !self.message.is_empty() {
            out.push_str(if self.rejected_items > 0 { ",\"errorMessage\":" } else { "\"errorMessage\":" });
            write_string(&self.message, &mut out);
        }
        out.push_str("}}");
        out.into_bytes()
    }

    /// Reads a response's body. A negative number of rejected items counts as none.
    ///
    /// # Errors
    /// [`ResponseError`] when it is no such response.
    pub fn decode(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Self, ResponseError> {
        match encoding {
            Encoding::Proto => Ok(Self::decode_proto(body)?),
            Encoding::Json => Ok(Self::decode_json(signal, body)?),
        }
    }

    fn decode_proto(body: &[u8]) -> Result<Self, Malformed> {
        let mut response = Self::default();
        let mut at = 0;
        while at < body.len() {
            let field = read_field(body, at)?;
            at = field.end;
            if (field.number, field.wire_type) == (1, LEN) {
                response.merge_partial(body.get(field.value).unwrap_or_default())?;
            }
        }
        Ok(response)
    }

    fn merge_partial(&mut self, partial: &[u8]) -> Result<(), Malformed> {
        let mut at = 0;
        while at < partial.len() {
            let field = read_field(partial, at)?;
            at = field.end;
            let value = partial.get(field.value).unwrap_or_default();
            match (field.number, field.wire_type) {
                (1, VARINT) => {
                    let rejected = read_varint(value, &mut 0).unwrap_or_default().cast_signed();
                    self.rejected_items = u64::try_from(rejected).unwrap_or_default();
                }
                (2, LEN) => self.message = String::from_utf8_lossy(value).into_owned(),
                _ => {}
            }
        }
        Ok(())
    }

    fn decode_json(signal: Signal, body: &[u8]) -> Result<Self, json::Invalid> {
        let mut response = Self::default();
        let mut reader = Reader::new(body);
        reader.begin_object()?;
        let mut first = true;
        while let Some(key) = reader.next_key(&mut first)? {
            if key.bytes != b"partialSuccess" {
                reader.skip()?;
            } else if !reader.take_null()? {
                response.read_partial(signal, &mut reader)?;
            }
        }
        reader.finish()?;
        Ok(response)
    }

    fn read_partial(&mut self, signal: Signal, reader: &mut Reader<'_>) -> Result<(), json::Invalid> {
        reader.begin_object()?;
        let mut first = true;
        while let Some(key) = reader.next_key(&mut first)? {
            if key.bytes == rejected_key(signal).as_bytes() {
                if !reader.take_null()? {
                    self.rejected_items = u64::try_from(reader.int64()?).unwrap_or_default();
                }
            } else if key.bytes == b"errorMessage" {
                if !reader.take_null()? {
                    let raw = reader.string()?;
                    self.message = String::from_utf8_lossy(&reader.value_of(raw)?).into_owned();
                }
            } else {
                reader.skip()?;
            }
        }
        Ok(())
    }
}

/// Name of the count of rejected items in JSON.
const fn rejected_key(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };
    use prost::Message as _;

    use super::*;

    fn partial() -> ExportResponse {
        ExportResponse { rejected_items: 300, message: "series \"a\"\nlimit".into() }
    }

    #[test]
    fn protobuf_is_what_the_reference_reads_and_writes() {
        let reference = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points: 300,
                error_message: partial().message,
            }),
        };
        let bytes = partial().encode(Signal::Metrics, Encoding::Proto);
        assert_eq!(ExportMetricsServiceResponse::decode(&*bytes).unwrap(), reference);
        let read = ExportResponse::decode(Signal::Metrics, Encoding::Proto, &reference.encode_to_vec());
        assert_eq!(read, Ok(partial()));
        assert_eq!(ExportResponse::default().encode(Signal::Logs, Encoding::Proto), b"");
    }

    #[test]
    fn json_round_trips_under_each_signals_name() {
        for (signal, name) in [
            (Signal::Traces, "rejectedSpans"),
            (Signal::Metrics, "rejectedDataPoints"),
            (Signal::Logs, "rejectedLogRecords"),
        ] {
            let text = partial().encode(signal, Encoding::Json);
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(value["partialSuccess"][name], "300");
            assert_eq!(ExportResponse::decode(signal, Encoding::Json, &text), Ok(partial()));
        }
        assert_eq!(ExportResponse::default().encode(Signal::Logs, Encoding::Json), b"{}");
        let warning = ExportResponse { rejected_items: 0, message: "w".into() };
        assert_eq!(warning.encode(Signal::Logs, Encoding::Json), br#"{"partialSuccess":{"errorMessage":"w"}}"#);
    }

    #[test]
    fn odd_responses_are_read_leniently_and_broken_ones_not() {
        let read = |text: &str| ExportResponse::decode(Signal::Traces, Encoding::Json, text.as_bytes());
        assert_eq!(read(r#" {"partialSuccess":null,"x":[1]} "#), Ok(ExportResponse::default()));
        assert_eq!(read(r#"{"partialSuccess":{"rejectedSpans":-1}}"#), Ok(ExportResponse::default()));
        assert_eq!(
            read(r#"{"partialSuccess":{"rejectedSpans":2,"errorMessage":null}}"#).map(|r| r.rejected_items),
            Ok(2)
        );
        for bad in ["", "[]", "{", r#"{"partialSuccess":3}"#, r#"{"partialSuccess":{"rejectedSpans":"x"}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let read = |bytes: &[u8]| ExportResponse::decode(Signal::Traces, Encoding::Proto, bytes);
        assert!(read(&[0x0a, 5, 0]).is_err());
        assert!(read(b"<html>").is_err());
        // rejected -1, then an unknown field
        let negative = [&[0x0a, 0x0b, 0x08][..], &[0xff; 9], &[1], &[0x50, 1]].concat();
        assert_eq!(read(&negative), Ok(ExportResponse::default()));
    }
}
