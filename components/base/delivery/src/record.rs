//! What stands in front of a batch on disk: its context but for the deadline, and whose books its items are in.
//!
//! A protobuf message. [`CONTENT`] is its version: a change that an older weir would misread is another one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pdata::wire::{Fields, RawField, put_fixed64, put_len, put_varint_field, read_varint};
use pdata::{AuthData, Batch, Context, Ledger, Metadata, Signal, Stake, TraceContext};

/// Version of the records of sending queues.
pub(crate) const CONTENT: u16 = 1;

mod field {
    pub(super) const SIGNAL: u32 = 1;
    /// Nanoseconds since 1970.
    pub(super) const ARRIVAL: u32 = 2;
    pub(super) const PEER: u32 = 3;
    pub(super) const TRANSPORT: u32 = 4;
    /// Repeated: name, value.
    pub(super) const METADATA: u32 = 5;
    /// Present if there was an authenticator, with a field 1 for each attribute: name, values.
    pub(super) const AUTH: u32 = 6;
    pub(super) const TENANT: u32 = 7;
    /// Trace ID, span ID, 1 if sampled.
    pub(super) const TRACE: u32 = 8;
    /// Repeated, in the order of the items: pipeline, tenant, number of items.
    pub(super) const RUN: u32 = 9;
}

/// Items of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    pipeline: Arc<str>,
    tenant: String,
    items: u64,
}

/// What stands in front of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) signal: Signal,
    pub(crate) context: Context,
    runs: Vec<Run>,
}

/// The head of `batch`.
pub(crate) fn encode(batch: &Batch) -> Vec<u8> {
    let context = batch.context();
    let mut out = Vec::with_capacity(128);
    put_varint_field(&mut out, field::SIGNAL, batch.signal() as u64);
    let arrival = context.arrival.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    put_fixed64(&mut out, field::ARRIVAL, u64::try_from(arrival.as_nanos()).unwrap_or(u64::MAX));
    if let Some(peer) = context.peer {
        put_len(&mut out, field::PEER, peer.to_string().as_bytes());
    }
    if !context.transport.is_empty() {
        put_len(&mut out, field::TRANSPORT, context.transport.as_bytes());
    }
    for (name, value) in context.metadata.iter() {
        put_len(&mut out, field::METADATA, &texts([name, value]));
    }
    if let Some(auth) = &context.auth {
        let mut message = Vec::new();
        for (name, values) in &auth.attributes {
            put_len(&mut message, 1, &texts([&**name].into_iter().chain(values.iter().map(|value| &**value))));
        }
        put_len(&mut out, field::AUTH, &message);
    }
    if let Some(tenant) = &context.tenant {
        put_len(&mut out, field::TENANT, tenant.as_bytes());
    }
    if let Some(trace) = &context.trace {
        let bytes = [&trace.trace_id[..], &trace.span_id, &[u8::from(trace.sampled)]].concat();
        put_len(&mut out, field::TRACE, &bytes);
    }
    for (account, items) in batch.stake().runs() {
        let mut message = texts([&*account.key().pipeline, &*account.key().tenant]);
        put_varint_field(&mut message, 2, items);
        put_len(&mut out, field::RUN, &message);
    }
    out
}

/// A message with each text in field 1.
fn texts<'a>(all: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut message = Vec::new();
    all.into_iter().for_each(|text| put_len(&mut message, 1, text.as_bytes()));
    message
}

/// The value of a field of `message`.
fn value<'a>(message: &'a [u8], field: &RawField) -> &'a [u8] {
    message.get(field.value.clone()).unwrap_or_default()
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The texts of a message that [`texts`] wrote.
fn read_texts(message: &[u8]) -> impl Iterator<Item = &str> {
    Fields::new(message).filter(|field| field.number == 1).filter_map(move |field| text(value(message, &field)))
}

/// Reads a head. `None` if that is no head.
pub(crate) fn decode(head: &[u8]) -> Option<Head> {
    let mut context = Context::default();
    let (mut signal, mut metadata, mut runs) = (None, Vec::new(), Vec::new());
    for field in Fields::new(head) {
        let bytes = value(head, &field);
        match field.number {
            field::SIGNAL => {
                let number = read_varint(bytes, &mut 0)?;
                signal = Signal::ALL.into_iter().find(|signal| *signal as u64 == number);
            }
            field::ARRIVAL => {
                let nanos = u64::from_le_bytes(bytes.try_into().ok()?);
                context.arrival = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))?;
            }
            field::PEER => context.peer = Some(text(bytes)?.parse::<SocketAddr>().ok()?),
            field::TRANSPORT => context.transport = transport(text(bytes)?),
            field::METADATA => {
                let mut texts = read_texts(bytes);
                metadata.push((texts.next()?, texts.next()?));
            }
            field::AUTH => {
                let mut auth = AuthData::default();
                for attribute in Fields::new(bytes) {
                    let mut texts = read_texts(value(bytes, &attribute)).map(Box::from);
                    auth.attributes.push((texts.next()?, texts.collect()));
                }
                context.auth = Some(Arc::new(auth));
            }
            field::TENANT => context.tenant = Some(text(bytes)?.into()),
            field::TRACE => {
                let (trace_id, rest) = bytes.split_first_chunk::<16>()?;
                let (span_id, rest) = rest.split_first_chunk::<8>()?;
                let sampled = rest == [1];
                context.trace = Some(TraceContext { trace_id: *trace_id, span_id: *span_id, sampled });
            }
            field::RUN => {
                let mut names = read_texts(bytes);
                let (pipeline, tenant) = (names.next()?.into(), names.next()?.to_owned());
                let items = Fields::new(bytes).find(|field| field.number == 2)?;
                runs.push(Run { pipeline, tenant, items: read_varint(value(bytes, &items), &mut 0)? });
            }
            _ => {}
        }
    }
    context.metadata = Metadata::new(metadata);
    Some(Head { signal: signal?, context, runs })
}

impl Head {
    /// Items that are in somebody's books.
    #[cfg(test)]
    pub(crate) fn items(&self) -> u64 {
        self.runs.iter().map(|run| run.items).sum()
    }

    /// Enters the items in the books they were in: as recovered, or, if `is_ours`, as held again.
    pub(crate) fn stake(&self, ledger: &Ledger, is_ours: bool) -> Stake {
        let mut stake = Stake::none();
        for Run { pipeline, tenant, items } in &self.runs {
            let account = ledger.account(pipeline, self.signal, tenant);
            stake.merge(if is_ours { account.resume(*items) } else { account.recover(*items) });
        }
        stake
    }
}

/// Names of transports that are remembered, at most.
const TRANSPORTS_MAX: usize = 64;

/// `name` for as long as the process lives. There are as many as receivers know protocols.
fn transport(name: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    match name {
        "grpc" => return "grpc",
        "http" => return "http",
        _ => {}
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(name) {
        return known;
    }
    if known.len() >= TRANSPORTS_MAX {
        return "";
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    known.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn context() -> impl Strategy<Value = Context> {
        let texts = || prop::collection::vec("[a-zé]{0,6}", 0..3);
        let metadata = prop::collection::vec(("[a-z]{1,5}", ".{0,5}"), 0..4);
        let auth = prop::option::of(prop::collection::vec(("[a-z]{0,5}", texts()), 0..3));
        let peer = prop::option::of(prop_oneof![Just("10.0.0.1:4317"), Just("[fe80::1]:80")]);
        let transport = prop_oneof![Just(""), Just("grpc"), Just("http"), Just("udp")];
        let trace = prop::option::of((any::<[u8; 16]>(), any::<[u8; 8]>(), any::<bool>()));
        (metadata, auth, peer, transport, prop::option::of("[a-z]{0,4}"), trace, any::<u64>()).prop_map(
            |(metadata, auth, peer, transport, tenant, trace, arrival)| Context {
                peer: peer.map(|peer| peer.parse().unwrap()),
                transport,
                metadata: Metadata::new(metadata),
                auth: auth.map(|attributes| {
                    let boxed = |(name, values): (String, Vec<String>)| {
                        (name.into(), values.into_iter().map(Into::into).collect())
                    };
                    Arc::new(AuthData { attributes: attributes.into_iter().map(boxed).collect() })
                }),
                tenant: tenant.map(Into::into),
                trace: trace.map(|(trace_id, span_id, sampled)| TraceContext { trace_id, span_id, sampled }),
                arrival: SystemTime::UNIX_EPOCH + Duration::from_nanos(arrival),
                deadline: Some(std::time::Instant::now()),
            },
        )
    }

    proptest! {
        #[test]
        fn everything_but_the_deadline_survives(context in context(), items in prop::collection::vec(1..5_u64, 0..4)) {
            let ledger = Ledger::new();
            let mut stake = Stake::none();
            for (n, items) in (0..).zip(&items) {
                let tenant = if n % 2 == 0 { "" } else { "t" };
                stake.merge(ledger.account(&"traces/x".into(), Signal::Traces, tenant).receive(*items));
            }
            let total = items.iter().sum::<u64>();
            let payload = crate::tests::support::spans(0..total, 8);
            let batch = Batch::from_parts(payload, Arc::new(context.clone()), stake);
            let head = decode(&encode(&batch)).unwrap();
            let expected = Context { deadline: None, ..context };
            prop_assert_eq!(format!("{:?}", head.context), format!("{expected:?}"));
            prop_assert_eq!((head.signal, head.items()), (Signal::Traces, total));
            let before = format!("{:?}", batch.stake());
            batch.into_parts().2.persist();
            let stake = head.stake(&ledger, true);
            prop_assert_eq!(format!("{:?}", stake), before);
            stake.persist();
            for (_, totals) in ledger.read() {
                prop_assert_eq!((totals.difference(), totals.derived, totals.recovered), (0, 0, 0));
            }
        }

        #[test]
        fn other_bytes_are_no_head_or_another(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _read = decode(&bytes);
        }
    }
}
