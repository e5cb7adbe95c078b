//! Splitting, removing and regrouping held against the same done to the reference types.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use pdata::split::AROUND_BYTES_MIN;
use pdata::validate::check;
use pdata::view::Item;
use pdata::{Batch, ByteAccount, Context, Ledger, Outcome, Payload, Signal, Utf8Policy};
use proptest::prelude::*;
use prost::Message;
use testkit::otlp_arbitrary::{Request, config, points, request};
use testkit::otlp_scramble::{Liberties, scramble};

fn payload(account: &Arc<ByteAccount>, signal: Signal, body: Vec<u8>) -> Payload {
    Payload::from_body(signal, body, account.charge(0), Utf8Policy::Refuse).unwrap().0
}

fn decode(payload: &Payload) -> Request {
    let mut items = 0;
    for segment in payload.segments() {
        let counted = check(payload.signal(), segment.bytes()).unwrap();
        assert_eq!(counted, segment.items());
        assert_eq!(segment.item_index(payload.signal()).items().len(), counted as usize);
        items += u64::from(counted);
    }
    assert_eq!(payload.items(), items);
    Request::decode(payload.signal(), &payload.to_bytes()).unwrap()
}

/// An item and what is around it, encoded.
type Row = Vec<Vec<u8>>;

fn encoded(message: Option<&impl Message>) -> Vec<u8> {
    message.map(|message| [&[1], &message.encode_to_vec()[..]].concat()).unwrap_or_default()
}

/// A metric for each of its points.
fn single_points(metric: &Metric) -> Vec<Metric> {
    let alone = |data| Metric { data: Some(data), ..metric.clone() };
    macro_rules! each {
        ($data:ident, $kind:ident) => {
            (0..$data.data_points.len())
                .map(|n| {
                    let mut data = $data.clone();
                    data.data_points = vec![data.data_points.swap_remove(n)];
                    alone(Data::$kind(data))
                })
                .collect()
        };
    }
    match &metric.data {
        Some(Data::Gauge(data)) => each!(data, Gauge),
        Some(Data::Sum(data)) => each!(data, Sum),
        Some(Data::Histogram(data)) => each!(data, Histogram),
        Some(Data::ExponentialHistogram(data)) => each!(data, ExponentialHistogram),
        Some(Data::Summary(data)) => each!(data, Summary),
        None => Vec::new(),
    }
}

/// The items in order; and the containers that hold none, each with what is around it, sorted.
fn rows(request: &Request) -> (Vec<Row>, Vec<Row>) {
    let (mut items, mut empty) = (Vec::new(), Vec::new());
    macro_rules! walk {
        ($groups:expr, $scopes:ident, $inside:ident, $split:expr) => {
            for group in $groups {
                let resource = vec![encoded(group.resource.as_ref()), group.schema_url.clone().into()];
                let before = items.len();
                let mut empty_scopes = Vec::new();
                for scope in &group.$scopes {
                    let around =
                        [&resource[..], &[encoded(scope.scope.as_ref()), scope.schema_url.clone().into()]].concat();
                    let before = items.len();
                    let mut empty_inside = Vec::new();
                    for inside in &scope.$inside {
                        let split: Vec<Vec<u8>> = $split(inside);
                        if split.is_empty() {
                            empty_inside.push([&around[..], &[inside.encode_to_vec()]].concat());
                        }
                        items.extend(split.into_iter().map(|item| [&around[..], &[item]].concat()));
                    }
                    if items.len() == before {
                        empty_scopes.push([&around[..], &[scope.encode_to_vec()]].concat());
                    } else {
                        empty.extend(empty_inside);
                    }
                }
                if items.len() == before {
                    empty.push(vec![group.encode_to_vec()]);
                } else {
                    empty.extend(empty_scopes);
                }
            }
        };
    }
    match request {
        Request::Traces(r) => walk!(&r.resource_spans, scope_spans, spans, |span: &dyn Encode| vec![span.bytes()]),
        Request::Logs(r) => {
            walk!(&r.resource_logs, scope_logs, log_records, |record: &dyn Encode| vec![record.bytes()])
        }
        Request::Metrics(r) => {
            walk!(&r.resource_metrics, scope_metrics, metrics, |metric: &Metric| single_points(metric)
                .iter()
                .map(Metric::encode_to_vec)
                .collect())
        }
    }
    empty.sort();
    (items, empty)
}

trait Encode {
    fn bytes(&self) -> Vec<u8>;
}

impl<M: Message> Encode for M {
    fn bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

fn rows_of(payloads: &[Payload]) -> (Vec<Row>, Vec<Row>) {
    let parts = payloads.iter().map(|payload| rows(&decode(payload)));
    let (mut items, mut empty) = (Vec::new(), Vec::new());
    for (part_items, part_empty) in parts {
        items.extend(part_items);
        empty.extend(part_empty);
    }
    empty.sort();
    (items, empty)
}

/// A request and others like it, in one payload of several segments.
fn several() -> impl Strategy<Value = (Signal, Vec<Vec<u8>>)> {
    (request(), 0..3_usize, any::<u64>()).prop_map(|(request, more, seed)| {
        let signal = request.signal();
        let mut bodies = vec![request.encode()];
        bodies.extend((0..more as u64).map(|n| scramble(signal, &request.encode(), Liberties::ALL, seed ^ n)));
        (signal, bodies)
    })
}

fn rope(account: &Arc<ByteAccount>, signal: Signal, bodies: Vec<Vec<u8>>) -> Payload {
    let mut rope = Payload::empty(signal);
    for body in bodies {
        rope.append(payload(account, signal, body));
    }
    rope
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn front_and_rest_are_the_whole((signal, bodies) in several(), at in 0..40_u64) {
        let account = ByteAccount::unlimited();
        let whole = rope(&account, signal, bodies);
        let expected = rows(&decode(&whole));
        let mut rest = whole.clone();
        let front = rest.split_front_items(at);
        prop_assert_eq!(front.items(), at.min(whole.items()));
        prop_assert_eq!(front.items() + rest.items(), whole.items());
        prop_assert_eq!(rows_of(&[front.clone(), rest.clone()]), expected);
        for segment in front.segments().iter().chain(rest.segments()) {
            let shared = whole.segments().iter().any(|s| s.bytes().as_ptr() == segment.bytes().as_ptr());
            prop_assert!(shared || segment.account().is_some());
        }
        drop(whole);
        let held: usize = front.segments().iter().chain(rest.segments()).map(|segment| segment.bytes().len()).sum();
        prop_assert!(account.held() >= held);
        drop((front, rest));
        prop_assert_eq!(account.held(), 0);
    }

    #[test]
    fn parts_keep_to_the_limits_and_are_the_whole(
        (signal, bodies) in several(),
        items_max in prop::option::of(0..9_u64),
        bytes_max in prop::option::of(prop_oneof![0..300_usize, 0..6000_usize]),
    ) {
        let whole = rope(&ByteAccount::unlimited(), signal, bodies);
        let expected = rows(&decode(&whole));
        let parts = whole.clone().split_max(items_max, bytes_max);
        prop_assert_eq!(rows_of(&parts), expected);
        for (number, part) in parts.iter().enumerate() {
            if let Some(max) = items_max.filter(|max| *max > 0) {
                prop_assert!(part.items() <= max);
            }
            if let Some(max) = bytes_max.filter(|max| *max > 0) {
                prop_assert!(part.encoded_len() <= max || part.items() <= 1, "{} > {max}", part.encoded_len());
            }
            // A part is filled: with the first item of the next one it would exceed a limit.
            if let Some(next) = parts.get(number + 1).filter(|next| next.items() > 0) {
                let mut more = part.clone();
                more.append(next.clone().split_front_items(1));
                let over_items = items_max.is_some_and(|max| max > 0 && more.items() > max);
                let over_bytes = bytes_max.is_some_and(|max| max > 0 && more.encoded_len() > max);
                prop_assert!(over_items || over_bytes);
            }
        }
        if whole.items() <= items_max.filter(|max| *max > 0).unwrap_or(u64::MAX) && bytes_max.is_none_or(|max| max == 0) {
            prop_assert!(parts.len() <= 1);
            for (part, segment) in parts.iter().flat_map(Payload::segments).zip(whole.segments()) {
                prop_assert_eq!(part.bytes().as_ptr(), segment.bytes().as_ptr());
            }
        }
    }

    #[test]
    fn removing_items_is_removing_them_from_the_reference((signal, bodies) in several(), choice: u64, all: bool) {
        let account = ByteAccount::unlimited();
        let mut payload = rope(&account, signal, bodies);
        let before = payload.clone();
        let bit = |n: u64| !all && choice >> (n % 64) & 1 == 1;
        let mut at = 0;
        let mut seen = Vec::new();
        let removed = payload.retain(|item: Item<'_>| {
            seen.push(item.view.as_bytes().to_vec());
            at += 1;
            bit(at - 1)
        });
        let mut expected_items = Vec::new();
        before.for_each_item(|item| expected_items.push(item.view.as_bytes().to_vec()));
        prop_assert_eq!(seen, expected_items);
        prop_assert_eq!(payload.items() + removed, before.items());
        let expected = remove(decode(&before), &bit);
        prop_assert_eq!(decode(&payload), expected);
        if removed == 0 {
            prop_assert_eq!(payload.to_bytes(), before.to_bytes());
        }
        drop((payload, before));
        prop_assert_eq!(account.held(), 0);
    }

    #[test]
    fn divided_parts_have_their_items_and_are_the_whole((signal, bodies) in several(), choice: u64, count in 1..5_usize) {
        let account = ByteAccount::unlimited();
        let whole = rope(&account, signal, bodies);
        let part_of = |at: u64| (choice.rotate_left((at % 64) as u32) % (count as u64 + 1)) as usize;
        let mut at = 0;
        let parts = whole.partition(count, |_| {
            at += 1;
            part_of(at - 1)
        });
        prop_assert_eq!((at, parts.len()), (whole.items(), count));
        let (items, empty) = rows(&decode(&whole));
        for (number, part) in parts.iter().enumerate() {
            let own = items.iter().enumerate().filter(|(at, _)| part_of(*at as u64).min(count - 1) == number);
            prop_assert_eq!(rows(&decode(part)).0, own.map(|(_, row)| row.clone()).collect::<Vec<_>>());
        }
        if whole.segments().iter().all(|segment| segment.items() > 0) {
            prop_assert_eq!(rows_of(&parts).1, empty);
        }
        drop((whole, parts));
        prop_assert_eq!(account.held(), 0);
    }

    #[test]
    fn regrouping_merges_what_is_equal(requests in prop::collection::vec(request(), 1..3), repeat in 1..3_usize) {
        let signal = requests[0].signal();
        let requests = requests.iter().filter(|request| request.signal() == signal);
        let bodies: Vec<Vec<u8>> = requests.map(Request::encode).collect();
        let mut payload = rope(&ByteAccount::unlimited(), signal, vec![bodies; repeat].concat());
        let before = decode(&payload);
        let segments = payload.segments().len();
        let merged = payload.regroup();
        let expected = regroup(before.clone());
        prop_assert_eq!(merged, expected != before);
        prop_assert_eq!(decode(&payload), expected);
        prop_assert_eq!(payload.segments().len(), if merged { 1 } else { segments });
        prop_assert!(!payload.regroup());
    }

    #[test]
    fn unknown_fields_stay_where_they_were(request in request(), seed: u64) {
        // A part per item has all of what surrounds the item.
        let signal = request.signal();
        let body = scramble(signal, &request.encode(), Liberties { duplicates: false, ..Liberties::ALL }, seed);
        let whole = payload(&ByteAccount::unlimited(), signal, body);
        let mut parts = whole.clone().split_max(Some(1), None);
        let mut merged = Payload::empty(signal);
        parts.drain(..).for_each(|part| merged.append(part));
        let mut unknown = 0;
        whole.for_each_item(|item| {
            let others = |bytes: &[u8], known: u32| pdata::wire::Fields::new(bytes).filter(|f| f.number > known).count();
            unknown += others(item.resource.as_bytes(), 3) + others(item.scope.as_bytes(), 3);
        });
        let mut after = 0;
        merged.for_each_item(|item| {
            let others = |bytes: &[u8], known: u32| pdata::wire::Fields::new(bytes).filter(|f| f.number > known).count();
            after += others(item.resource.as_bytes(), 3) + others(item.scope.as_bytes(), 3);
        });
        prop_assert_eq!(after, unknown);
    }
}

/// Removes the items for which `keep` says no, and what thereby lost its last item.
fn remove(mut request: Request, keep: &dyn Fn(u64) -> bool) -> Request {
    let mut at = 0_u64;
    let mut next = || {
        at += 1;
        keep(at - 1)
    };
    macro_rules! groups {
        ($groups:expr, $scopes:ident, $inside:ident, $prune:expr) => {
            $groups.retain_mut(|group| {
                let mut lost = false;
                group.$scopes.retain_mut(|scope| {
                    let before = scope.$inside.len();
                    let mut prune = $prune;
                    scope.$inside.retain_mut(|inside| prune(inside));
                    let lost_all = scope.$inside.len() < before && !has_items!(scope.$inside);
                    lost |= lost_all;
                    !lost_all
                });
                !(lost && !group.$scopes.iter().any(|scope| has_items!(scope.$inside)))
            })
        };
    }
    macro_rules! has_items {
        ($inside:expr) => {
            $inside.iter().any(|inside| Counted::items(inside) > 0)
        };
    }
    match &mut request {
        Request::Traces(r) => groups!(r.resource_spans, scope_spans, spans, |_span: &mut _| next()),
        Request::Logs(r) => groups!(r.resource_logs, scope_logs, log_records, |_record: &mut _| next()),
        Request::Metrics(r) => groups!(r.resource_metrics, scope_metrics, metrics, |metric: &mut Metric| {
            let before = points(metric);
            match &mut metric.data {
                Some(Data::Gauge(data)) => data.data_points.retain(|_| next()),
                Some(Data::Sum(data)) => data.data_points.retain(|_| next()),
                Some(Data::Histogram(data)) => data.data_points.retain(|_| next()),
                Some(Data::ExponentialHistogram(data)) => data.data_points.retain(|_| next()),
                Some(Data::Summary(data)) => data.data_points.retain(|_| next()),
                None => {}
            }
            before == 0 || points(metric) > 0
        }),
    }
    request
}

trait Counted {
    fn items(&self) -> usize;
}

impl Counted for opentelemetry_proto::tonic::trace::v1::Span {
    fn items(&self) -> usize {
        1
    }
}

impl Counted for opentelemetry_proto::tonic::logs::v1::LogRecord {
    fn items(&self) -> usize {
        1
    }
}

impl Counted for Metric {
    fn items(&self) -> usize {
        points(self)
    }
}

/// Merges equal resources and scopes, in the order of their first occurrence.
fn regroup(request: Request) -> Request {
    macro_rules! merge {
        ($groups:expr, $scopes:ident, $inside:ident) => {{
            let mut merged: Vec<_> = Vec::new();
            for mut group in std::mem::take($groups) {
                let scopes = std::mem::take(&mut group.$scopes);
                let mut alone = group.clone();
                alone.$scopes.clear();
                let at = merged.iter().position(|(key, _)| *key == alone).unwrap_or_else(|| {
                    merged.push((alone, Vec::new()));
                    merged.len() - 1
                });
                for mut scope in scopes {
                    let inside = std::mem::take(&mut scope.$inside);
                    let known: &mut Vec<(_, Vec<_>)> = &mut merged[at].1;
                    let at = known.iter().position(|(key, _)| *key == scope).unwrap_or_else(|| {
                        known.push((scope, Vec::new()));
                        known.len() - 1
                    });
                    known[at].1.extend(inside);
                }
            }
            $groups.extend(merged.into_iter().map(|(mut group, scopes)| {
                group.$scopes.extend(scopes.into_iter().map(|(mut scope, inside)| {
                    scope.$inside = inside;
                    scope
                }));
                group
            }));
        }};
    }
    let mut request = request;
    match &mut request {
        Request::Traces(r) => merge!(&mut r.resource_spans, scope_spans, spans),
        Request::Metrics(r) => merge!(&mut r.resource_metrics, scope_metrics, metrics),
        Request::Logs(r) => merge!(&mut r.resource_logs, scope_logs, log_records),
    }
    request
}

/// A log request of `items` empty records.
fn records(items: usize) -> Payload {
    let records = [0x12, 0x00].repeat(items);
    let body = [&[0x0a, records.len() as u8 + 2, 0x12, records.len() as u8], &records[..]].concat();
    payload(&ByteAccount::unlimited(), Signal::Logs, body)
}

#[test]
fn the_stake_of_a_batch_goes_with_its_items() {
    let ledger = Ledger::new();
    let a = ledger.account(&"logs/a".into(), Signal::Logs, "");
    let b = ledger.account(&"logs/b".into(), Signal::Logs, "");
    let context = Arc::new(Context::default());
    let mut batch = Batch::from_parts(records(5), Arc::clone(&context), a.receive(5));
    batch.append(Batch::from_parts(records(7), context, b.receive(7)));
    batch.set_pending(3, 0b101);

    let mut parts = batch.split_max(Some(4), None);
    assert_eq!(parts.iter().map(Batch::items).collect::<Vec<_>>(), [4, 4, 4]);
    assert!(parts.iter().all(|part| part.stake().items() == part.items()));
    assert!(parts.iter_mut().all(|part| part.take_pending(3) == Some(0b101)));

    let mut middle = parts.remove(1);
    assert!(!middle.regroup(), "its items are of two accounts");
    let mut at = 0;
    let removed = middle.retain("odd", |_| {
        at += 1;
        at % 2 == 1
    });
    assert_eq!((removed, middle.items(), middle.stake().items()), (2, 2, 2));
    // Items 4 to 7: one of `a`, three of `b`; the second and the fourth are gone.
    assert_eq!((a.read().dropped.get("odd"), b.read().dropped.get("odd")), (None, Some(&2)));
    middle.settle(Outcome::Delivered);

    let mut first = parts.remove(0);
    let front = first.split_front_items(3);
    assert_eq!((front.items(), front.stake().items(), first.items(), first.stake().items()), (3, 3, 1, 1));
    assert_eq!(first.retain("none", |_| true), 0);
    assert_eq!(first.retain("all", |_| false), 1);
    assert_eq!((first.items(), a.read().dropped["all"]), (0, 1));
    front.settle(Outcome::Delivered);
    first.settle(Outcome::Delivered);
    parts.remove(0).settle(Outcome::Delivered);
    for account in [a, b] {
        assert_eq!((account.read().difference(), account.read().held), (0, 0));
    }
}

#[test]
fn a_batch_regroups_when_its_items_are_of_one_account() {
    let mut batch = Batch::new(records(2), Arc::new(Context::default()));
    batch.append(Batch::new(records(3), Arc::new(Context::default())));
    assert!(batch.regroup());
    assert_eq!((batch.items(), batch.payload().segments().len()), (5, 1));
    assert_eq!(batch.payload().to_bytes(), records(5).to_bytes());
    batch.settle(Outcome::Delivered);
}

#[test]
fn nothing_splits_into_nothing() {
    let empty = Payload::empty(Signal::Traces);
    assert!(empty.clone().split_max(Some(1), Some(1)).is_empty());
    assert_eq!(empty.clone().split_front_items(3).items(), 0);
    let batch = Batch::new(empty, Arc::new(Context::default()));
    assert_eq!(batch.split_max(Some(1), None).len(), 1);
}

const MIB: usize = 1 << 20;

/// A log request of `items` records, each with its number as severity, below a resource of about `resource_bytes`.
fn below_a_heavy_resource(account: &Arc<ByteAccount>, resource_bytes: usize, items: u32) -> Payload {
    use pdata::wire::put_len;
    let (mut value, mut attribute, mut resource) = (Vec::new(), Vec::new(), Vec::new());
    put_len(&mut value, 1, &vec![b'x'; resource_bytes]);
    put_len(&mut attribute, 1, b"key");
    put_len(&mut attribute, 2, &value);
    put_len(&mut resource, 1, &attribute);
    let mut scope = Vec::new();
    for item in 0..items {
        put_len(&mut scope, 2, &[&[0x10][..], &varint(item)].concat());
    }
    let (mut group, mut body) = (Vec::new(), Vec::new());
    put_len(&mut group, 1, &resource);
    put_len(&mut group, 2, &scope);
    put_len(&mut body, 1, &group);
    payload(account, Signal::Logs, body)
}

fn varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn severities(payload: &Payload) -> Vec<i32> {
    let mut found = Vec::new();
    let Request::Logs(request) = decode(payload) else { return found };
    for scope in request.resource_logs.iter().flat_map(|resource| &resource.scope_logs) {
        found.extend(scope.log_records.iter().map(|record| record.severity_number));
    }
    found
}

#[test]
fn a_heavy_resource_is_not_copied_for_every_item_at_once() {
    let account = ByteAccount::unlimited();
    let mut rest = vec![below_a_heavy_resource(&account, MIB, 300)];
    let whole = rest[0].encoded_len();
    let (mut found, mut singles) = (Vec::new(), 0);
    while let Some(next) = rest.pop() {
        if next.items() == 1 {
            singles += 1;
            found.extend(severities(&next));
            continue;
        }
        rest.extend(next.split_max(Some(1), None).into_iter().rev());
    }
    assert_eq!((singles, found), (300, (0..300).collect::<Vec<_>>()));
    assert!(account.peak() <= 6 * whole, "{} of {whole} bytes", account.peak());
    assert_eq!(account.held(), 0);
}

#[test]
fn parts_are_cut_when_they_are_asked_for() {
    let (account, ledger) = (ByteAccount::unlimited(), Ledger::new());
    let books = ledger.account(&"logs".into(), Signal::Logs, "");
    let payload = below_a_heavy_resource(&account, MIB, 300);
    let whole = payload.encoded_len();
    let mut parts = Batch::from_parts(payload, Arc::default(), books.receive(300)).parts(Some(2), None);
    let mut found = Vec::new();
    for part in parts.by_ref().take(100) {
        assert_eq!((part.items(), part.stake().items()), (2, 2));
        found.extend(severities(part.payload()));
        part.settle(Outcome::Delivered);
    }
    assert!(account.peak() <= 2 * whole + 1000, "{} of {whole} bytes", account.peak());
    assert_eq!(parts.items(), 100);
    let rest = parts.rest().unwrap();
    assert_eq!((rest.items(), rest.stake().items()), (100, 100));
    found.extend(severities(rest.payload()));
    assert_eq!(found, (0..300).collect::<Vec<_>>());
    let mut parts = rest.parts(Some(60), None);
    assert_eq!(
        parts.by_ref().map(|part| (part.items(), part.settle(Outcome::Delivered)).0).collect::<Vec<_>>(),
        [60, 40]
    );
    assert!(parts.rest().is_none());
    assert_eq!((books.read().delivered, books.read().difference(), account.held()), (300, 0, 0));
    let empty = Batch::new(Payload::empty(Signal::Logs), Arc::default());
    assert_eq!(empty.parts(Some(1), None).count(), 1);
}

#[test]
fn items_that_their_resource_makes_too_large_stay_together() {
    let account = ByteAccount::unlimited();
    let mut whole = records(60);
    whole.append(below_a_heavy_resource(&account, MIB, 5000));
    whole.append(records(50));
    let items =
        |bytes_max| -> Vec<u64> { whole.clone().split_max(None, Some(bytes_max)).iter().map(Payload::items).collect() };
    assert_eq!(items(MIB / 2), [60, 5000, 50], "cutting does not help");
    assert_eq!(items(MIB + 100), [60, 5000, 50], "it would take a part for every few items");
    let parts = items(MIB + MIB / 8);
    assert_eq!((parts.iter().sum::<u64>(), parts.len()), (5110, 1), "it fits");
    let account = ByteAccount::unlimited();
    let whole = below_a_heavy_resource(&account, AROUND_BYTES_MIN / 2, 5000);
    let parts = whole.split_max(None, Some(AROUND_BYTES_MIN / 2 + 100));
    assert!(parts.len() > 10, "{}: it weighs little", parts.len());
}

#[test]
fn a_trace_stays_only_while_all_that_is_merged_belongs_to_it() {
    let of = |trace| Batch::new(records(1), Arc::new(Context { trace, ..Context::default() }));
    let one = pdata::TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let other = one.map(|trace| pdata::TraceContext { span_id: [1; 8], ..trace });
    for (first, second, expected) in
        [(one, one, one), (one, other, None), (one, None, None), (None, one, None), (None, None, None)]
    {
        let mut batch = of(first);
        batch.append(of(second));
        assert_eq!(batch.context().trace, expected);
    }
}
