//! Reading telemetry in place: views over the bytes of messages that passed [`crate::validate`].
//!
//! A view is a slice, `Copy`, and reads a field when asked by looking for it from the start of its message, so reading
//! costs a walk over the field headers of that one message and allocates nothing. What is absent reads as protobuf's
//! default. Any slice gives some answer; none panics.
//!
//! From a payload: [`Payload::resources`](crate::Payload::resources) → [`ResourceGroup::scopes`] →
//! [`ScopeGroup::spans`], [`ScopeGroup::log_records`] or [`ScopeGroup::metrics`] → [`MetricView::data_points`]; or flat,
//! [`Payload::for_each_item`](crate::Payload::for_each_item). From the bytes of any message: the view's `new`.
//!
//! Attributes: of keys that occur twice, the first is what [`AttributesView::get`] reads; iterating shows all.

mod attributes;
mod fields;
mod group;
mod log;
mod metric;
mod number;
mod trace;

pub use attributes::{ArrayView, Attributes, AttributesView, KeyValueView, ValueView};
pub use fields::{Messages, Texts};
pub use group::{EntityRefView, Item, ItemView, ResourceGroup, ResourceView, ScopeGroup, ScopeView};
pub use log::LogRecordView;
pub use metric::{DataPointView, DataPoints, ExemplarView, MetricKind, MetricView, Number};
pub use number::{
    BucketsView, ExponentialHistogramPointView, HistogramPointView, NumberPointView, Numbers, QuantileView,
    SummaryPointView,
};
pub use trace::{SpanEventView, SpanLinkView, SpanView, StatusView};
