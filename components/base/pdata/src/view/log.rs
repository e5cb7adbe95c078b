//! Log records.

use super::fields::{find, message, view};
use super::{AttributesView, ValueView};

view! {
    /// A log record.
    LogRecordView {
        /// When it happened, in ns since the epoch; 0 when unknown.
        time_unix_nano: u64 = 1;
        /// Severity, as in [`crate::schema::SEVERITY`].
        severity_number: i32 = 2;
        /// Severity in the source's own words.
        severity_text: &'a str = 3;
        /// Attributes.
        attributes: AttributesView<'a> = 6;
        /// Attributes that the sender discarded.
        dropped_attributes_count: u32 = 7;
        /// W3C trace flags in the low byte.
        flags: u32 = 8;
        /// Trace ID; `None` when empty.
        trace_id: Option<&'a [u8; 16]> = 9;
        /// Span ID; `None` when empty.
        span_id: Option<&'a [u8; 8]> = 10;
        /// When it was collected, in ns since the epoch.
        observed_time_unix_nano: u64 = 11;
        /// Name of the event's class; empty when it is no event.
        event_name: &'a str = 12;
    }
}

impl<'a> LogRecordView<'a> {
    /// Body; [`ValueView::Empty`] when absent.
    #[must_use]
    pub fn body(self) -> ValueView<'a> {
        ValueView::new(message(self.0, 5))
    }

    /// Content of the body's `AnyValue`; `None` when the record has none.
    #[must_use]
    pub fn body_bytes(self) -> Option<&'a [u8]> {
        find(self.0, 5).map(|field| field.value)
    }
}
