//! Builds the requests that the load generator sends, all of them before the clock starts.
//!
//! Items look like what instrumented web services send: spans of about 570 bytes, log records of 350, data points of 185, with
//! strings, integers, an IPv4 address, a URL and SQL among their attributes. The bytes depend only on seed and item count, so
//! that two runs, or two subjects, get the same load.

mod logs;
mod metrics;
mod random;
mod text;
mod traces;
mod whole;

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;

use self::random::Random;
pub use self::whole::{Class, Renewal, SPANS_PER_TRACE, TRACE_PARTS};
use crate::wire::{Compression, Signal, Transport, grpc_frame};

/// Items per request when nothing else is asked for: what an SDK's batch processor sends.
pub const ITEMS_PER_REQUEST: usize = 512;
/// Distinct requests in a pool when nothing else is asked for.
pub const POOL_REQUESTS: usize = 64;

/// The start of all generated time, in nanoseconds: 2026-11-01T00:00:00Z.
const EPOCH_NANOS: u64 = 1_793_491_200_000_000_000;

/// One request, ready to be sent.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The HTTP body: for gRPC with its frame header.
    pub body: Bytes,
    /// Items inside.
    pub item_count: u64,
}

/// Distinct requests of one kind, sent in turn.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The signal inside.
    pub signal: Signal,
    /// The transport that the bodies are framed for.
    pub transport: Transport,
    /// How the bodies are packed.
    pub compression: Compression,
    /// The requests; at least one.
    pub payloads: Vec<Payload>,
    /// Protobuf bytes of all requests before compression.
    pub encoded_bytes: u64,
    /// Which trace IDs are new with each sending; none where requests are sent as they are.
    pub renewal: Option<Renewal>,
}

impl Pool {
    /// Builds `requests` (at least one) requests of `items_per_request` items.
    ///
    /// # Errors
    ///
    /// When gzip fails, which it does not in memory.
    pub fn build(
        signal: Signal,
        transport: Transport,
        compression: Compression,
        requests: usize,
        items_per_request: usize,
    ) -> io::Result<Self> {
        let mut pool = Self { signal, transport, compression, payloads: Vec::new(), encoded_bytes: 0, renewal: None };
        for seed in 1..=requests.max(1) {
            pool.add(encode(signal, seed as u64, items_per_request), items_per_request)?;
        }
        Ok(pool)
    }

    /// Requests of log records with bodies of about 1 KB, over gRPC, uncompressed.
    ///
    /// # Errors
    ///
    /// None but those of [`Pool::build`].
    pub fn of_long_logs() -> io::Result<Self> {
        let mut pool = Self::build(Signal::Logs, Transport::Grpc, Compression::None, 1, 0)?;
        pool.payloads.clear();
        pool.encoded_bytes = 0;
        for seed in 1..=POOL_REQUESTS {
            pool.add(logs::encode_long(&mut Random::new(seed as u64), ITEMS_PER_REQUEST), ITEMS_PER_REQUEST)?;
        }
        Ok(pool)
    }

    fn add(&mut self, message: Vec<u8>, items: usize) -> io::Result<()> {
        self.encoded_bytes += message.len() as u64;
        let packed = match self.compression {
            Compression::None => message,
            Compression::Gzip => gzip(&message)?,
        };
        let body = match self.transport {
            Transport::Grpc => grpc_frame(&packed, self.compression == Compression::Gzip),
            Transport::Http => Bytes::from(packed),
        };
        self.payloads.push(Payload { body, item_count: items as u64 });
        Ok(())
    }

    /// Requests of whole traces over gRPC, uncompressed: see [`Renewal`].
    #[must_use]
    pub fn of_whole_traces() -> Self {
        Self::renewed(whole::requests(), Renewal::traces)
    }

    /// Requests whose spans, `items_per_request` in each, all belong to one trace.
    #[must_use]
    pub fn of_one_trace(items_per_request: usize) -> Self {
        Self::renewed(whole::giant(items_per_request), Renewal::one_trace)
    }

    fn renewed(messages: Vec<Vec<u8>>, renewal: impl FnOnce(&[Payload]) -> Renewal) -> Self {
        let encoded_bytes = messages.iter().map(|message| message.len() as u64).sum();
        let payload = |message: &Vec<u8>| Payload {
            body: grpc_frame(message, false),
            item_count: crate::count::items(Signal::Traces, message).unwrap_or_default(),
        };
        let payloads: Vec<Payload> = messages.iter().map(payload).collect();
        let renewal = Some(renewal(&payloads));
        let (signal, transport, compression) = (Signal::Traces, Transport::Grpc, Compression::None);
        Self { signal, transport, compression, payloads, encoded_bytes, renewal }
    }

    /// The request that is the `number`th to be sent: its payload, and the body with the trace IDs of this sending.
    #[must_use]
    pub fn request(&self, number: u64) -> Option<(&Payload, Bytes)> {
        let (round, place) = (number / self.payloads.len() as u64, (number % self.payloads.len() as u64) as usize);
        let payload = self.payloads.get(place)?;
        let body = match &self.renewal {
            None => payload.body.clone(),
            Some(renewal) => renewal.renew(&payload.body, place, round),
        };
        Some((payload, body))
    }

    /// Protobuf bytes of one request before compression, on average.
    #[must_use]
    pub fn request_bytes(&self) -> u64 {
        self.encoded_bytes / self.payloads.len() as u64
    }

    /// Bytes of all strings per item, resources and scopes included, on average; for logs and spans over gRPC without
    /// compression.
    #[must_use]
    pub fn item_text_bytes(&self) -> f64 {
        let of = |payload: &Payload| {
            let message = crate::wire::grpc_unframe(&payload.body).map_or(&[][..], |(_, message)| message);
            text::bytes(self.signal, message) as f64
        };
        let items: u64 = self.payloads.iter().map(|payload| payload.item_count).sum();
        self.payloads.iter().map(of).sum::<f64>() / items.max(1) as f64
    }

    /// Protobuf bytes per item, resources and scopes included, on average.
    #[must_use]
    pub fn item_bytes(&self) -> f64 {
        let items: u64 = self.payloads.iter().map(|payload| payload.item_count).sum();
        self.encoded_bytes as f64 / items.max(1) as f64
    }
}

/// The protobuf of one `Export…ServiceRequest` with `items` items, determined by `seed`.
#[must_use]
pub fn encode(signal: Signal, seed: u64, items: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    match signal {
        Signal::Traces => traces::encode(&mut random, items),
        Signal::Metrics => metrics::encode(&mut random, items),
        Signal::Logs => logs::encode(&mut random, items),
    }
}

fn gzip(message: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(message)?;
    encoder.finish()
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// A resource of twelve attributes, as a service in Kubernetes has.
fn resource(random: &mut Random) -> Resource {
    let service = random.pick(&SERVICES);
    let pod = random.hex(5);
    Resource {
        attributes: vec![
            text("service.name", service),
            text("service.namespace", "shop"),
            text("service.version", "2.14.3"),
            text("service.instance.id", format!("{}-{}", random.hex(16), random.hex(16))),
            text("deployment.environment.name", "production"),
            text("host.name", format!("ip-10-0-{}-{}", random.below(256), random.below(256))),
            text("os.type", "linux"),
            text("k8s.namespace.name", "shop-prod"),
            text("k8s.pod.name", format!("{service}-7c9d8b6f5-{pod}")),
            text("k8s.node.name", format!("node-{}", random.below(64))),
            text("telemetry.sdk.language", "java"),
            text("telemetry.sdk.version", "1.49.0"),
        ],
        ..Default::default()
    }
}

/// The scopes among which a request's items are divided.
fn scopes() -> [InstrumentationScope; 2] {
    ["io.opentelemetry.tomcat-10.0", "io.opentelemetry.jdbc"].map(|name| InstrumentationScope {
        name: name.to_owned(),
        version: "2.14.0-alpha".to_owned(),
        ..Default::default()
    })
}

/// `items` divided over the two scopes: the first gets the odd one.
fn divide(items: usize) -> [usize; 2] {
    [items.div_ceil(2), items / 2]
}

const SERVICES: [&str; 6] = ["checkout", "catalogue", "payment", "shipping", "frontend", "inventory"];
const ROUTES: [&str; 5] = [
    "/api/v2/orders/{id}",
    "/api/v2/carts/{id}/items",
    "/api/v2/products/{id}",
    "/api/v2/customers/{id}",
    "/api/v2/invoices/{id}",
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

#[cfg(test)]
mod tests {
    use std::io::Read;

    use opentelemetry_proto::tonic::trace::v1::TracesData;
    use prost::Message;

    use super::*;

    /// Bytes per item over a request of 512, resource and scopes included.
    fn bytes_per_item(signal: Signal) -> usize {
        (1..=8).map(|seed| encode(signal, seed, 512).len()).sum::<usize>() / (8 * 512)
    }

    #[test]
    fn items_have_the_sizes_that_are_promised() {
        let promised = [(Signal::Traces, 570), (Signal::Logs, 350), (Signal::Metrics, 185)];
        let found = promised.map(|(signal, _)| (signal, bytes_per_item(signal)));
        for ((_, bytes), (_, found_bytes)) in promised.iter().zip(&found) {
            assert!(found_bytes.abs_diff(*bytes) * 100 <= bytes * 3, "{found:?} bytes, expected {promised:?}");
        }
    }

    #[test]
    fn text_is_most_of_a_log_record() {
        let usual = Pool::build(Signal::Logs, Transport::Grpc, Compression::None, 4, 512).unwrap();
        let text = usual.item_text_bytes();
        assert!((240.0..280.0).contains(&text) && text < usual.item_bytes(), "{text} of {}", usual.item_bytes());
        let long = Pool::of_long_logs().unwrap();
        assert_eq!(long.payloads.len(), POOL_REQUESTS);
        let more = long.item_text_bytes() - text;
        assert!(
            (800.0..1000.0).contains(&more) && (long.item_bytes() - usual.item_bytes() - more).abs() < 10.0,
            "{more}"
        );
    }

    #[test]
    fn spans_carry_fourteen_attributes_and_resources_twelve() {
        let request = TracesData::decode(&encode(Signal::Traces, 1, 20)[..]).unwrap();
        let [resource_spans] = &request.resource_spans[..] else { panic!("one resource per request") };
        assert_eq!(resource_spans.resource.as_ref().unwrap().attributes.len(), 12);
        let spans: Vec<_> = resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
        assert_eq!(spans.len(), 20);
        for span in spans {
            assert_eq!(span.attributes.len(), 14);
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
            assert!(span.end_time_unix_nano > span.start_time_unix_nano);
        }
    }

    #[test]
    fn same_seed_gives_same_bytes_and_another_seed_others() {
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            assert_eq!(encode(signal, 7, 9), encode(signal, 7, 9));
            assert_ne!(encode(signal, 7, 9), encode(signal, 8, 9));
        }
    }

    #[test]
    fn pool_frames_and_packs_for_its_transport() {
        let plain = encode(Signal::Logs, 1, 4);
        let http = Pool::build(Signal::Logs, Transport::Http, Compression::None, 2, 4).unwrap();
        assert_eq!(http.payloads.len(), 2);
        assert_eq!(http.payloads[0].body, plain);
        let grpc = Pool::build(Signal::Logs, Transport::Grpc, Compression::Gzip, 1, 4).unwrap();
        let (flag, packed) = crate::wire::grpc_unframe(&grpc.payloads[0].body).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut unpacked).unwrap();
        assert!(flag);
        assert_eq!(unpacked, plain);
        assert_eq!(grpc.request_bytes(), plain.len() as u64);
    }
}
