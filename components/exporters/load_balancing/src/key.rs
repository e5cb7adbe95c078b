//! What an item is routed by: its trace, service, resource, metric, stream, or attributes, as bytes that are hashed.
//!
//! The bytes are those of the Collector, per signal; see the README for the places where items of one key stay together
//! here and do not there. What is the same for all items of a resource, scope or metric is computed once for each.

use std::fmt::Write;

use pdata::view::{Item, ItemView, ResourceGroup, ScopeGroup, ValueView};
use pdata::{Payload, Signal};

use crate::identity::Identity;

/// Names of span kinds as the Collector's routing keys have them.
const SPAN_KINDS: [&str; 6] = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];

const SERVICE_NAME: &str = "service.name";

/// What items are routed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutingKey {
    /// The trace.
    TraceId,
    /// `service.name` of the resource.
    Service,
    /// All attributes of the resource.
    Resource,
    /// The metric's name.
    Metric,
    /// Resource, scope, metric and the data point's attributes.
    StreamId,
    /// These attributes.
    Attributes(Vec<String>),
}

impl RoutingKey {
    /// The key of `signal` that goes by `name`, the signal's default when that is empty.
    ///
    /// # Errors
    /// A name that the signal does not know.
    pub fn parse(signal: Signal, name: &str, attributes: &[String]) -> Result<Self, String> {
        let key = match (signal, name) {
            (Signal::Traces, "" | "traceID") | (Signal::Logs, "traceID") => Self::TraceId,
            (Signal::Metrics | Signal::Logs, "") | (_, "service") => Self::Service,
            (Signal::Metrics | Signal::Logs, "resource") => Self::Resource,
            (Signal::Metrics, "metric") => Self::Metric,
            (Signal::Metrics, "streamID") => Self::StreamId,
            (_, "attributes") => Self::Attributes(attributes.to_vec()),
            _ => {
                let known = match signal {
                    Signal::Traces => "traceID, service, attributes",
                    Signal::Metrics => "service, resource, metric, streamID, attributes",
                    Signal::Logs => "service, traceID, resource, attributes",
                };
                return Err(format!("unsupported routing_key: \"{name}\"; {signal} can be routed by {known}"));
            }
        };
        Ok(key)
    }
}

/// Makes keys of the items of one payload, in order.
#[derive(Debug)]
pub struct Keys<'p> {
    signal: Signal,
    routing: &'p RoutingKey,
    resource: Around<'p>,
    scope: Around<'p>,
    metric: Around<'p>,
    /// The attributes that neither resource nor scope have.
    wanted: Vec<&'p str>,
    /// What the resource alone adds to a composite key, and the attributes it does not have.
    of_resource: (String, Vec<&'p str>),
    identity: Option<Identity>,
    /// Whether the resource lacks what its items are routed by.
    is_keyless: bool,
    /// The key, or its part that the items around have in common.
    prefix: String,
    key: String,
}

/// The message around the last item; a pointer and a length tell whether the next item is in it too.
#[derive(Clone, Copy, Debug, Default)]
struct Around<'p>(Option<&'p [u8]>);

impl<'p> Around<'p> {
    /// Whether it is another one than before.
    fn enter(&mut self, message: &'p [u8]) -> bool {
        let same =
            self.0.is_some_and(|last| std::ptr::eq(last.as_ptr(), message.as_ptr()) && last.len() == message.len());
        self.0 = Some(message);
        !same
    }
}

impl<'p> Keys<'p> {
    /// For the items of a payload of `signal`.
    #[must_use]
    pub fn new(signal: Signal, routing: &'p RoutingKey) -> Self {
        Self {
            signal,
            routing,
            resource: Around::default(),
            scope: Around::default(),
            metric: Around::default(),
            wanted: Vec::new(),
            of_resource: Default::default(),
            identity: None,
            is_keyless: false,
            prefix: String::new(),
            key: String::new(),
        }
    }

    /// The keys of all items of `payload`.
    pub fn for_each(payload: &Payload, routing: &RoutingKey, mut with: impl FnMut(Option<&[u8]>)) {
        let mut keys = Keys::new(payload.signal(), routing);
        payload.for_each_item(|item| with(keys.of(item)));
    }

    /// The item's key; `None` where it has none and cannot be routed.
    pub fn of(&mut self, item: Item<'p>) -> Option<&[u8]> {
        let enters_resource = self.resource.enter(item.resource.as_bytes());
        let enters_scope = self.scope.enter(item.scope.as_bytes()) || enters_resource;
        match self.routing {
            RoutingKey::TraceId => self.trace(item.view),
            RoutingKey::Service => {
                if enters_resource {
                    self.service(item.resource);
                }
                (!self.is_keyless).then_some(self.key.as_bytes())
            }
            RoutingKey::Resource => {
                if enters_resource {
                    self.key = Identity::of_resource(item.resource.resource()).named("resource");
                }
                Some(self.key.as_bytes())
            }
            RoutingKey::Metric => {
                if let ItemView::DataPoint(metric, _) = item.view
                    && self.metric.enter(metric.as_bytes())
                {
                    metric.name().clone_into(&mut self.key);
                }
                Some(self.key.as_bytes())
            }
            RoutingKey::StreamId => self.stream(item, enters_scope),
            RoutingKey::Attributes(names) => {
                if enters_resource {
                    self.enter_resource(item.resource, names);
                }
                if enters_scope {
                    self.enter_scope(item.scope);
                }
                self.attributes(item, names)
            }
        }
    }

    fn trace(&mut self, view: ItemView<'p>) -> Option<&[u8]> {
        match view {
            ItemView::Span(span) => Some(span.trace_id().map_or(&[0; 16], |id| id)),
            // By the bytes of the ID, as spans: what belongs to one trace meets, whatever its signal.
            ItemView::LogRecord(record) => match record.trace_id() {
                Some(id) => Some(id),
                None => {
                    // Any endpoint will do: as many different keys as records.
                    use std::hash::{BuildHasher, RandomState};
                    self.key = RandomState::new().hash_one(0_u8).to_string();
                    Some(self.key.as_bytes())
                }
            },
            ItemView::DataPoint(..) => None,
        }
    }

    fn service(&mut self, resource: ResourceGroup<'p>) {
        self.key.clear();
        self.is_keyless = false;
        let name = resource.resource().attributes().get(SERVICE_NAME);
        match (self.signal, name) {
            (Signal::Traces, name) => put_pair(SERVICE_NAME, name, &mut self.key),
            // Not the text of a value that is none, as in the Collector.
            (_, Some(name)) => self.key.push_str(name.as_str().unwrap_or_default()),
            (Signal::Logs, None) => {}
            (Signal::Metrics, None) => self.is_keyless = true,
        }
    }

    fn stream(&mut self, item: Item<'p>, enters_scope: bool) -> Option<&[u8]> {
        let ItemView::DataPoint(metric, point) = item.view else { return None };
        if self.metric.enter(metric.as_bytes()) || enters_scope || self.identity.is_none() {
            let scope = Identity::of_resource(item.resource.resource()).scope(item.scope.scope());
            self.identity = Some(scope.metric(metric));
        }
        self.key = self.identity?.stream(point).named("stream");
        Some(self.key.as_bytes())
    }

    fn enter_resource(&mut self, resource: ResourceGroup<'p>, names: &'p [String]) {
        let (text, missing) = &mut self.of_resource;
        text.clear();
        missing.clear();
        let attributes = resource.resource().attributes();
        for name in names {
            match attributes.get(name) {
                Some(value) => put_pair(name, Some(value), text),
                None => missing.push(name),
            }
        }
    }

    fn enter_scope(&mut self, scope: ScopeGroup<'p>) {
        self.prefix.clone_from(&self.of_resource.0);
        self.wanted.clear();
        let attributes = scope.scope().attributes();
        for name in &self.of_resource.1 {
            match attributes.get(name) {
                Some(value) => put_pair(name, Some(value), &mut self.prefix),
                None => self.wanted.push(name),
            }
        }
    }

    /// Spans have their pairs in the order of the configuration; other items have those of the resource first, then those
    /// of the scope.
    fn attributes(&mut self, item: Item<'p>, names: &'p [String]) -> Option<&[u8]> {
        self.key.clear();
        if let ItemView::Span(span) = item.view {
            let (resource, scope) = (item.resource.resource().attributes(), item.scope.scope().attributes());
            for name in names {
                let around = resource.get(name).or_else(|| scope.get(name));
                let value = match (around, name.as_str()) {
                    (Some(value), _) => Some(value),
                    (None, "span.kind") => {
                        let kind = usize::try_from(span.kind()).ok().and_then(|kind| SPAN_KINDS.get(kind));
                        Some(ValueView::Str(kind.copied().unwrap_or_default()))
                    }
                    (None, "span.name") => Some(ValueView::Str(span.name())),
                    (None, _) => span.attributes().get(name),
                };
                put_pair(name, value, &mut self.key);
            }
            return Some(self.key.as_bytes());
        }
        self.key.push_str(&self.prefix);
        for name in &self.wanted {
            let value = match (item.view, *name) {
                (ItemView::LogRecord(record), "log.severity") => Some(ValueView::Str(record.severity_text())),
                (ItemView::LogRecord(record), "log.body") => Some(record.body()),
                (view, name) => view.attributes().get(name),
            };
            put_pair(name, value, &mut self.key);
        }
        Some(self.key.as_bytes())
    }
}

fn put_pair(name: &str, value: Option<ValueView<'_>>, out: &mut String) {
    out.push_str(name);
    out.push('=');
    if let Some(value) = value {
        // Writing to a string does not fail.
        write!(out, "{}", value_text::Text(value)).unwrap_or_default();
    }
    out.push('|');
}

#[cfg(test)]
mod tests;
