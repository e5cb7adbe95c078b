//! Cost of edits on 512 spans of about 570 bytes with 14 attributes each, in one request. `items/s` are spans; the
//! floor is `copy`, a memcpy of the request. All edits include opening and sealing.
//!
//! Run with `cargo bench -p pdata --bench edit`.

#![expect(clippy::unwrap_used, reason = "bench")]

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use pdata::edit::{Scalar, Value, Walk};
use pdata::{Editor, Payload, Segment, Signal};
use prost::Message;

const SPANS: u32 = 512;

fn main() {
    divan::main();
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, Any::StringValue(value.into()))
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn span(number: u32) -> Span {
    let mixed = number.wrapping_mul(0x9e37_79b9);
    Span {
        trace_id: (number / 8).to_le_bytes().repeat(4),
        span_id: u64::from(mixed).to_le_bytes().to_vec(),
        parent_span_id: vec![7; 8],
        flags: 0x101,
        name: "GET /api/v2/customers/{id}/orders".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_793_491_200_000_000_000 + u64::from(number),
        end_time_unix_nano: 1_793_491_200_080_000_000 + u64::from(mixed),
        attributes: vec![
            text("http.request.method", "GET"),
            pair("http.response.status_code", Any::IntValue(200)),
            text("http.route", "/api/v2/customers/{id}/orders"),
            text("url.full", format!("https://shop.example.com/api/v2/customers/{}/orders?page=3", mixed % 10_000_000)),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0"),
            text("client.address", format!("10.{}.{}.{}", mixed >> 24, mixed >> 16 & 255, mixed >> 8 & 255)),
            pair("client.port", Any::IntValue(i64::from(1024 + mixed % 60_000))),
            text("server.address", "shop.example.com"),
            text("db.system.name", "postgresql"),
            text("db.query.text", format!("SELECT id, state FROM orders WHERE id = {} LIMIT 50", mixed % 10_000_000)),
            text("enduser.id", format!("u-{}", mixed % 1_000_000)),
            pair("thread.id", Any::IntValue(i64::from(20 + mixed % 200))),
            text("thread.name", format!("http-exec-{}", mixed % 64)),
            text("app.tier", "plus"),
        ],
        ..Default::default()
    }
}

fn payload() -> Payload {
    let attributes = (0..12).map(|number| text(&format!("k8s.resource.{number}"), "some-value-of-it")).collect();
    let request = TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes, ..Default::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope { name: "bench".to_owned(), ..Default::default() }),
                spans: (0..SPANS).map(span).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    let segment = Segment::trusted(Bytes::from(request.encode_to_vec()), SPANS);
    Payload::from_segments(Signal::Traces, [segment])
}

/// Measures `edit` on a new editor each time, and sealing.
fn measure(bencher: Bencher<'_, '_>, edit: impl Fn(&mut Editor) + Sync) {
    let payload = payload();
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| sealed(&payload, &edit));
}

fn sealed(payload: &Payload, edit: impl Fn(&mut Editor)) -> Payload {
    let mut editor = Editor::new(payload.clone()).unwrap();
    edit(&mut editor);
    editor.seal()
}

/// What a hash of a value looks like, without its cost.
fn digest(value: &[u8]) -> [u8; 64] {
    let mut hex = [b'0'; 64];
    for (to, from) in hex.iter_mut().zip(value) {
        *to = b"0123456789abcdef"[usize::from(from & 15)];
    }
    hex
}

fn hash(editor: &mut Editor, message: pdata::edit::Msg, key: &str) {
    let attributes = editor.attributes(message);
    let Some(at) = attributes.find(key) else { return };
    let mut attribute = editor.attribute(at);
    let hex = digest(attribute.value().str_bytes().unwrap_or_default());
    attribute.set(Value::Str(std::str::from_utf8(&hex).unwrap())).unwrap();
}

#[divan::bench]
fn copy(bencher: Bencher<'_, '_>) {
    let bytes = payload().to_bytes();
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| black_box(bytes.to_vec()));
}

#[divan::bench]
fn validate(bencher: Bencher<'_, '_>) {
    let bytes = payload().to_bytes();
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| pdata::validate::check(Signal::Traces, &bytes).unwrap());
}

#[divan::bench]
fn decode_and_encode_with_prost(bencher: Bencher<'_, '_>) {
    let bytes = payload().to_bytes();
    bencher.counter(ItemsCount::new(SPANS)).bench_local(|| TracesData::decode(&bytes[..]).unwrap().encode_to_vec());
}

#[divan::bench]
fn nothing(bencher: Bencher<'_, '_>) {
    measure(bencher, |_| {});
}

#[divan::bench]
fn walk(bencher: Bencher<'_, '_>) {
    measure(bencher, |editor| {
        let mut walk = Walk::items(editor);
        while let Some(place) = walk.next(editor) {
            black_box(place);
        }
    });
}

#[divan::bench]
fn read_one(bencher: Bencher<'_, '_>) {
    measure(bencher, |editor| {
        let mut walk = Walk::items(editor);
        while let Some(place) = walk.next(editor) {
            let span = editor.open(place.at()).unwrap();
            black_box(editor.attributes(span).get("enduser.id"));
        }
    });
}

#[divan::bench]
fn edit_one(bencher: Bencher<'_, '_>) {
    measure(bencher, |editor| {
        let mut walk = Walk::items(editor);
        while let Some(place) = walk.next(editor) {
            let span = editor.open(place.at()).unwrap();
            editor.attributes(span).upsert("enduser.id", Value::Str("****")).unwrap();
        }
    });
}

#[divan::bench]
fn rename_span(bencher: Bencher<'_, '_>) {
    measure(bencher, |editor| {
        let mut walk = Walk::items(editor);
        while let Some(place) = walk.next(editor) {
            let span = editor.open(place.at()).unwrap();
            editor.set(span, 5, Scalar::Str("GET")).unwrap();
        }
    });
}

#[divan::bench]
fn edit_four(bencher: Bencher<'_, '_>) {
    measure(bencher, |editor| {
        let mut walk = Walk::items(editor);
        while let Some(place) = walk.next(editor) {
            let span = editor.open(place.at()).unwrap();
            hash(editor, span, "enduser.id");
            hash(editor, span, "client.address");
            editor.attributes(span).delete("url.full");
            editor.attributes(span).upsert("deployment.environment.name", Value::Str("production")).unwrap();
        }
    });
}

#[divan::bench]
fn edit_four_in_four_walks(bencher: Bencher<'_, '_>) {
    measure(bencher, |editor| {
        for number in 0..4 {
            let mut walk = Walk::items(editor);
            while let Some(place) = walk.next(editor) {
                let span = editor.open(place.at()).unwrap();
                match number {
                    0 => hash(editor, span, "enduser.id"),
                    1 => hash(editor, span, "client.address"),
                    2 => _ = editor.attributes(span).delete("url.full"),
                    _ => {
                        editor
                            .attributes(span)
                            .upsert("deployment.environment.name", Value::Str("production"))
                            .unwrap();
                    }
                }
            }
        }
    });
}

#[divan::bench]
fn visit_every_value(bencher: Bencher<'_, '_>) {
    measure(bencher, |editor| {
        let mut walk = Walk::items(editor);
        while let Some(place) = walk.next(editor) {
            let span = editor.open(place.at()).unwrap();
            editor
                .attributes(span)
                .for_each(|attribute| {
                    if attribute.value().str_bytes().is_some_and(|text| text.first() == Some(&b'!')) {
                        attribute.remove();
                    }
                    Ok::<(), pdata::EditError>(())
                })
                .unwrap();
        }
    });
}

#[divan::bench]
fn drop_every_other(bencher: Bencher<'_, '_>) {
    measure(bencher, |editor| {
        let (mut walk, mut odd) = (Walk::items(editor), false);
        while let Some(place) = walk.next(editor) {
            odd = !odd;
            if odd {
                editor.remove(place.at());
            }
        }
    });
}
