//! Resources, scopes, and items with what is around them.

use super::fields::{Messages, Texts, message, view};
use super::{AttributesView, DataPointView, LogRecordView, MetricView, SpanView};
use crate::payload::{Payload, Segment};
use crate::signal::Signal;

/// `ResourceSpans`, `ResourceMetrics` or `ResourceLogs`: a resource and what it produced.
#[derive(Clone, Copy, Debug)]
pub struct ResourceGroup<'a> {
    signal: Signal,
    message: &'a [u8],
}

impl<'a> ResourceGroup<'a> {
    /// A view of the message with this content.
    #[must_use]
    pub fn new(signal: Signal, message: &'a [u8]) -> Self {
        Self { signal, message }
    }

    /// The content of the message.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.message
    }

    /// The resource; without attributes when absent.
    #[must_use]
    pub fn resource(self) -> ResourceView<'a> {
        ResourceView::new(message(self.message, 1))
    }

    /// Schema of the resource.
    #[must_use]
    pub fn schema_url(self) -> &'a str {
        super::fields::text(message(self.message, 3))
    }

    /// The scopes in order.
    pub fn scopes(self) -> impl Iterator<Item = ScopeGroup<'a>> + use<'a> {
        let signal = self.signal;
        Messages::<&[u8]>::new(self.message, 2).map(move |message| ScopeGroup { signal, message })
    }
}

/// `ScopeSpans`, `ScopeMetrics` or `ScopeLogs`: a scope and what it produced.
#[derive(Clone, Copy, Debug)]
pub struct ScopeGroup<'a> {
    signal: Signal,
    message: &'a [u8],
}

impl<'a> ScopeGroup<'a> {
    /// A view of the message with this content.
    #[must_use]
    pub fn new(signal: Signal, message: &'a [u8]) -> Self {
        Self { signal, message }
    }

    /// The content of the message.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.message
    }

    /// The instrumentation scope; nameless when absent.
    #[must_use]
    pub fn scope(self) -> ScopeView<'a> {
        ScopeView::new(message(self.message, 1))
    }

    /// Schema of what is in the scope.
    #[must_use]
    pub fn schema_url(self) -> &'a str {
        super::fields::text(message(self.message, 3))
    }

    /// The spans in order; none in other signals.
    #[must_use]
    pub fn spans(self) -> Messages<'a, SpanView<'a>> {
        self.of(Signal::Traces)
    }

    /// The log records in order; none in other signals.
    #[must_use]
    pub fn log_records(self) -> Messages<'a, LogRecordView<'a>> {
        self.of(Signal::Logs)
    }

    /// The metrics in order; none in other signals.
    #[must_use]
    pub fn metrics(self) -> Messages<'a, MetricView<'a>> {
        self.of(Signal::Metrics)
    }

    fn of<V>(self, signal: Signal) -> Messages<'a, V> {
        if self.signal == signal { Messages::new(self.message, 2) } else { Messages::none() }
    }
}

view! {
    /// A resource.
    ResourceView {
        /// Attributes.
        attributes: AttributesView<'a> = 1;
        /// Attributes that the sender discarded.
        dropped_attributes_count: u32 = 2;
        /// Entities the resource consists of.
        entity_refs: Messages<'a, EntityRefView<'a>> = 3;
    }
}

view! {
    /// A reference to an entity by attributes of the resource.
    EntityRefView {
        /// Schema of the entity.
        schema_url: &'a str = 1;
        /// Type, as `service`.
        r#type: &'a str = 2;
        /// Keys of the identifying attributes.
        id_keys: Texts<'a> = 3;
        /// Keys of the describing attributes.
        description_keys: Texts<'a> = 4;
    }
}

view! {
    /// An instrumentation scope.
    ScopeView {
        /// Name.
        name: &'a str = 1;
        /// Version.
        version: &'a str = 2;
        /// Attributes.
        attributes: AttributesView<'a> = 3;
        /// Attributes that the sender discarded.
        dropped_attributes_count: u32 = 4;
    }
}

/// A span, data point or log record.
#[derive(Clone, Copy, Debug)]
pub enum ItemView<'a> {
    /// A span.
    Span(SpanView<'a>),
    /// A data point and its metric.
    DataPoint(MetricView<'a>, DataPointView<'a>),
    /// A log record.
    LogRecord(LogRecordView<'a>),
}

impl<'a> ItemView<'a> {
    /// The content of the item's message.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Span(span) => span.as_bytes(),
            Self::DataPoint(_, point) => point.as_bytes(),
            Self::LogRecord(record) => record.as_bytes(),
        }
    }

    /// The attributes of the item.
    #[must_use]
    pub fn attributes(self) -> AttributesView<'a> {
        match self {
            Self::Span(span) => span.attributes(),
            Self::DataPoint(_, point) => point.attributes(),
            Self::LogRecord(record) => record.attributes(),
        }
    }
}

/// An item with what is around it.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// What the item's resource produced.
    pub resource: ResourceGroup<'a>,
    /// What the item's scope produced.
    pub scope: ScopeGroup<'a>,
    /// The item.
    pub view: ItemView<'a>,
}

impl Segment {
    /// The resources in order.
    pub fn resources(&self, signal: Signal) -> impl Iterator<Item = ResourceGroup<'_>> {
        Messages::<&[u8]>::new(self.bytes(), 1).map(move |message| ResourceGroup { signal, message })
    }

    /// Calls `visit` with each item in order.
    pub fn for_each_item<'a>(&'a self, signal: Signal, mut visit: impl FnMut(Item<'a>)) {
        for resource in self.resources(signal) {
            for scope in resource.scopes() {
                let mut visit = |view| visit(Item { resource, scope, view });
                match signal {
                    Signal::Traces => scope.spans().for_each(|span| visit(ItemView::Span(span))),
                    Signal::Logs => scope.log_records().for_each(|record| visit(ItemView::LogRecord(record))),
                    Signal::Metrics => scope.metrics().for_each(|metric| {
                        metric.data_points().for_each(|point| visit(ItemView::DataPoint(metric, point)));
                    }),
                }
            }
        }
    }
}

impl Payload {
    /// The resources in order. Equal ones may occur several times.
    pub fn resources(&self) -> impl Iterator<Item = ResourceGroup<'_>> {
        self.segments().iter().flat_map(|segment| segment.resources(self.signal()))
    }

    /// Calls `visit` with each item in order.
    pub fn for_each_item<'a>(&'a self, mut visit: impl FnMut(Item<'a>)) {
        for segment in self.segments() {
            segment.for_each_item(self.signal(), &mut visit);
        }
    }
}
