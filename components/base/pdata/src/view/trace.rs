//! Spans.

use super::AttributesView;
use super::fields::{Messages, find, message, view};

view! {
    /// A span.
    SpanView {
        /// Trace ID; `None` when empty.
        trace_id: Option<&'a [u8; 16]> = 1;
        /// Span ID; `None` when empty.
        span_id: Option<&'a [u8; 8]> = 2;
        /// W3C `tracestate`.
        trace_state: &'a str = 3;
        /// Span ID of the parent; `None` for a root.
        parent_span_id: Option<&'a [u8; 8]> = 4;
        /// Name.
        name: &'a str = 5;
        /// Kind, as in [`crate::schema::SPAN_KIND`].
        kind: i32 = 6;
        /// Start, in ns since the epoch.
        start_time_unix_nano: u64 = 7;
        /// End, in ns since the epoch.
        end_time_unix_nano: u64 = 8;
        /// Attributes.
        attributes: AttributesView<'a> = 9;
        /// Attributes that the sender discarded.
        dropped_attributes_count: u32 = 10;
        /// Events in order.
        events: Messages<'a, SpanEventView<'a>> = 11;
        /// Events that the sender discarded.
        dropped_events_count: u32 = 12;
        /// Links in order.
        links: Messages<'a, SpanLinkView<'a>> = 13;
        /// Links that the sender discarded.
        dropped_links_count: u32 = 14;
        /// W3C trace flags in the low byte, and whether the parent is remote.
        flags: u32 = 16;
    }
}

impl<'a> SpanView<'a> {
    /// Status; unset when absent.
    #[must_use]
    pub fn status(self) -> StatusView<'a> {
        StatusView::new(message(self.0, 15))
    }

    /// Whether there is a status message at all.
    #[must_use]
    pub fn has_status(self) -> bool {
        find(self.0, 15).is_some()
    }
}

view! {
    /// Status of a span.
    StatusView {
        /// Description of an error.
        message: &'a str = 2;
        /// Code, as in [`crate::schema::STATUS_CODE`].
        code: i32 = 3;
    }
}

view! {
    /// An event of a span.
    SpanEventView {
        /// When, in ns since the epoch.
        time_unix_nano: u64 = 1;
        /// Name.
        name: &'a str = 2;
        /// Attributes.
        attributes: AttributesView<'a> = 3;
        /// Attributes that the sender discarded.
        dropped_attributes_count: u32 = 4;
    }
}

view! {
    /// A link from a span to another.
    SpanLinkView {
        /// Trace ID; `None` when empty.
        trace_id: Option<&'a [u8; 16]> = 1;
        /// Span ID; `None` when empty.
        span_id: Option<&'a [u8; 8]> = 2;
        /// W3C `tracestate`.
        trace_state: &'a str = 3;
        /// Attributes.
        attributes: AttributesView<'a> = 4;
        /// Attributes that the sender discarded.
        dropped_attributes_count: u32 = 5;
        /// W3C trace flags in the low byte.
        flags: u32 = 6;
    }
}
