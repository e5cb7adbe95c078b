//! Creating telemetry: resources, scopes and items written straight as wire bytes.
//!
//! ```
//! use pdata::build::{LogFields, PayloadBuilder};
//!
//! let mut builder = PayloadBuilder::logs();
//! builder.resource("", |attributes| { attributes.str("service.name", "weir"); }, |scopes| {
//!     scopes.scope("greeter", "1.0", |_attributes| {}, |records| {
//!         records.record(&LogFields { severity_number: 9, ..LogFields::default() }, |record| {
//!             record.body(|body| body.str("hello"));
//!             record.attributes().i64("n", 1);
//!         });
//!     });
//! });
//! assert_eq!(builder.finish(None).items(), 1);
//! ```
//!
//! The type parameter says which signal is built, so that a span cannot end up among log records. Scalar fields come as
//! structs (`SpanFields { name, ..SpanFields::default() }`), whose defaults mean "absent"; what repeats or nests is
//! written by closures. A builder writes canonical bytes: no field twice that may be there once.
//!
//! Cost: bytes are appended to one buffer; the end of a message of more than 127 bytes moves it by one to three bytes to
//! make room for its length.

mod metrics;
mod values;

use std::marker::PhantomData;
use std::sync::Arc;

use crate::account::ByteAccount;
use crate::payload::{Payload, Segment};
use crate::signal::Signal;
use crate::wire::{LEN, put_fixed32, put_fixed64, put_len, put_tag, put_varint, put_varint_field, varint_len};

pub use metrics::{
    Buckets, ExemplarFields, ExponentialHistogramFields, ExponentialHistogramPoints, HistogramFields, HistogramPoints,
    MetricFields, NumberFields, NumberPoints, PointWriter, Points, SummaryFields, SummaryPoints, Temporality,
};
pub use values::{ArrayWriter, AttributesWriter, ValueWriter};

/// Marks a builder of spans.
#[derive(Debug)]
pub struct Spans;
/// Marks a builder of metrics.
#[derive(Debug)]
pub struct Metrics;
/// Marks a builder of log records.
#[derive(Debug)]
pub struct Logs;

/// The growing request.
#[derive(Debug)]
struct Buffer {
    out: Vec<u8>,
    items: u32,
}

impl Buffer {
    /// Writes a submessage.
    fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        put_tag(&mut self.out, field, LEN);
        let start = self.out.len();
        self.out.push(0);
        write(self);
        let len = (self.out.len() - start - 1) as u64;
        let header = varint_len(len);
        if header > 1 {
            let content = start + 1;
            let end = self.out.len();
            self.out.resize(end + header - 1, 0);
            self.out.copy_within(content..end, start + header);
        }
        let mut prefix = Vec::with_capacity(header);
        put_varint(&mut prefix, len);
        if let Some(place) = self.out.get_mut(start..start + header) {
            place.copy_from_slice(&prefix);
        }
    }

    fn str(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            put_len(&mut self.out, field, bytes);
        }
    }

    /// An ID; all zeros mean none.
    fn id(&mut self, field: u32, id: &[u8]) {
        if id.iter().any(|byte| *byte != 0) {
            put_len(&mut self.out, field, id);
        }
    }

    fn varint(&mut self, field: u32, value: u64) {
        if value != 0 {
            put_varint_field(&mut self.out, field, value);
        }
    }

    /// An `enum` or `int32`, which are sign-extended.
    fn int32(&mut self, field: u32, value: i32) {
        self.varint(field, i64::from(value).cast_unsigned());
    }

    fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            put_fixed64(&mut self.out, field, value);
        }
    }

    fn fixed32(&mut self, field: u32, value: u32) {
        if value != 0 {
            put_fixed32(&mut self.out, field, value);
        }
    }

    fn item(&mut self) {
        self.items += 1;
    }

    fn attributes(&mut self, field: u32) -> AttributesWriter<'_> {
        AttributesWriter::new(self, field)
    }
}

/// Builds a payload. See the [module](self).
#[derive(Debug)]
pub struct PayloadBuilder<S> {
    buffer: Buffer,
    signal: Signal,
    kind: PhantomData<S>,
}

impl PayloadBuilder<Spans> {
    /// A builder of spans.
    #[must_use]
    pub fn traces() -> Self {
        Self::new(Signal::Traces)
    }
}

impl PayloadBuilder<Metrics> {
    /// A builder of metrics.
    #[must_use]
    pub fn metrics() -> Self {
        Self::new(Signal::Metrics)
    }
}

impl PayloadBuilder<Logs> {
    /// A builder of log records.
    #[must_use]
    pub fn logs() -> Self {
        Self::new(Signal::Logs)
    }
}

impl<S> PayloadBuilder<S> {
    fn new(signal: Signal) -> Self {
        Self { buffer: Buffer { out: Vec::new(), items: 0 }, signal, kind: PhantomData }
    }

    /// Writes a resource and what it produced.
    pub fn resource(
        &mut self,
        schema_url: &str,
        attributes: impl FnOnce(&mut AttributesWriter<'_>),
        scopes: impl FnOnce(&mut Scopes<'_, S>),
    ) -> &mut Self {
        self.buffer.message(1, |group| {
            group.message(1, |resource| attributes(&mut resource.attributes(1)));
            scopes(&mut Scopes { buffer: group, kind: PhantomData });
            group.str(3, schema_url);
        });
        self
    }

    /// Writes items below a resource and a scope of which nothing is known.
    pub fn bare(&mut self, items: impl FnOnce(&mut Items<'_, S>)) -> &mut Self {
        self.resource("", |_| {}, |scopes| _ = scopes.bare(items))
    }

    /// Spans, data points or log records written so far.
    #[must_use]
    pub fn items(&self) -> u32 {
        self.buffer.items
    }

    /// Bytes written so far.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.buffer.out.len()
    }

    /// The payload, charged to `account` without asking. Without any resource it has no segment.
    #[must_use]
    pub fn finish(self, account: Option<&Arc<ByteAccount>>) -> Payload {
        let Buffer { mut out, items } = self.buffer;
        if out.is_empty() {
            return Payload::empty(self.signal);
        }
        out.shrink_to_fit();
        Payload::from_segments(self.signal, [Segment::charged(out, items, account)])
    }
}

/// Writes the scopes of a resource.
#[derive(Debug)]
pub struct Scopes<'b, S> {
    buffer: &'b mut Buffer,
    kind: PhantomData<S>,
}

impl<S> Scopes<'_, S> {
    /// Writes items below a scope of which nothing is known.
    pub fn bare(&mut self, items: impl FnOnce(&mut Items<'_, S>)) -> &mut Self {
        self.scope("", "", |_| {}, items)
    }

    /// Writes an instrumentation scope and what it produced.
    pub fn scope(
        &mut self,
        name: &str,
        version: &str,
        attributes: impl FnOnce(&mut AttributesWriter<'_>),
        items: impl FnOnce(&mut Items<'_, S>),
    ) -> &mut Self {
        self.buffer.message(2, |group| {
            group.message(1, |scope| {
                scope.str(1, name);
                scope.str(2, version);
                attributes(&mut scope.attributes(3));
            });
            items(&mut Items { buffer: group, kind: PhantomData });
        });
        self
    }
}

/// Writes the spans, metrics or log records of a scope.
#[derive(Debug)]
pub struct Items<'b, S> {
    buffer: &'b mut Buffer,
    kind: PhantomData<S>,
}

/// Scalar fields of a span; as in [`crate::view::SpanView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct SpanFields<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: [u8; 8],
    pub trace_state: &'a str,
    pub name: &'a str,
    pub kind: i32,
    pub start_time_unix_nano: u64,
    pub end_time_unix_nano: u64,
    pub dropped_attributes_count: u32,
    pub dropped_events_count: u32,
    pub dropped_links_count: u32,
    pub flags: u32,
    pub status_code: i32,
    pub status_message: &'a str,
}

/// Scalar fields of a span link; as in [`crate::view::SpanLinkView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct LinkFields<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub trace_state: &'a str,
    pub dropped_attributes_count: u32,
    pub flags: u32,
}

impl Items<'_, Spans> {
    /// Writes a span; `inside` adds attributes, events and links.
    pub fn span(&mut self, fields: &SpanFields<'_>, inside: impl FnOnce(&mut SpanWriter<'_>)) -> &mut Self {
        self.buffer.item();
        self.buffer.message(2, |span| {
            span.id(1, &fields.trace_id);
            span.id(2, &fields.span_id);
            span.str(3, fields.trace_state);
            span.id(4, &fields.parent_span_id);
            span.str(5, fields.name);
            span.int32(6, fields.kind);
            span.fixed64(7, fields.start_time_unix_nano);
            span.fixed64(8, fields.end_time_unix_nano);
            inside(&mut SpanWriter { buffer: span });
            span.varint(10, fields.dropped_attributes_count.into());
            span.varint(12, fields.dropped_events_count.into());
            span.varint(14, fields.dropped_links_count.into());
            if fields.status_code != 0 || !fields.status_message.is_empty() {
                span.message(15, |status| {
                    status.str(2, fields.status_message);
                    status.int32(3, fields.status_code);
                });
            }
            span.fixed32(16, fields.flags);
        });
        self
    }
}

/// Writes what repeats in a span.
#[derive(Debug)]
pub struct SpanWriter<'b> {
    buffer: &'b mut Buffer,
}

impl SpanWriter<'_> {
    /// The attributes.
    pub fn attributes(&mut self) -> AttributesWriter<'_> {
        self.buffer.attributes(9)
    }

    /// Writes an event at `time_unix_nano` (ns since the epoch).
    pub fn event(
        &mut self,
        time_unix_nano: u64,
        name: &str,
        attributes: impl FnOnce(&mut AttributesWriter<'_>),
    ) -> &mut Self {
        self.buffer.message(11, |event| {
            event.fixed64(1, time_unix_nano);
            event.str(2, name);
            attributes(&mut event.attributes(3));
        });
        self
    }

    /// Writes a link.
    pub fn link(&mut self, fields: &LinkFields<'_>, attributes: impl FnOnce(&mut AttributesWriter<'_>)) -> &mut Self {
        self.buffer.message(13, |link| {
            link.id(1, &fields.trace_id);
            link.id(2, &fields.span_id);
            link.str(3, fields.trace_state);
            attributes(&mut link.attributes(4));
            link.varint(5, fields.dropped_attributes_count.into());
            link.fixed32(6, fields.flags);
        });
        self
    }
}

/// Scalar fields of a log record; as in [`crate::view::LogRecordView`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the view documents the fields of the same names")]
pub struct LogFields<'a> {
    pub time_unix_nano: u64,
    pub observed_time_unix_nano: u64,
    pub severity_number: i32,
    pub severity_text: &'a str,
    pub event_name: &'a str,
    pub dropped_attributes_count: u32,
    pub flags: u32,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
}

impl Items<'_, Logs> {
    /// Writes a log record; `inside` adds body and attributes.
    pub fn record(&mut self, fields: &LogFields<'_>, inside: impl FnOnce(&mut RecordWriter<'_>)) -> &mut Self {
        self.buffer.item();
        self.buffer.message(2, |record| {
            record.fixed64(1, fields.time_unix_nano);
            record.int32(2, fields.severity_number);
            record.str(3, fields.severity_text);
            inside(&mut RecordWriter { buffer: record, has_body: false });
            record.varint(7, fields.dropped_attributes_count.into());
            record.fixed32(8, fields.flags);
            record.id(9, &fields.trace_id);
            record.id(10, &fields.span_id);
            record.fixed64(11, fields.observed_time_unix_nano);
            record.str(12, fields.event_name);
        });
        self
    }
}

/// Writes body and attributes of a log record.
#[derive(Debug)]
pub struct RecordWriter<'b> {
    buffer: &'b mut Buffer,
    has_body: bool,
}

impl RecordWriter<'_> {
    /// Writes the body. Only the first call counts.
    pub fn body(&mut self, value: impl FnOnce(ValueWriter<'_>)) -> &mut Self {
        debug_assert!(!self.has_body, "a log record has one body");
        if !std::mem::replace(&mut self.has_body, true) {
            self.buffer.message(5, |body| value(ValueWriter::new(body)));
        }
        self
    }

    /// The attributes.
    pub fn attributes(&mut self) -> AttributesWriter<'_> {
        self.buffer.attributes(6)
    }
}
