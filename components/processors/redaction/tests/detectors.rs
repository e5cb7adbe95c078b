//! weir's keys: detectors, actions, tiers, limits, and what is told about findings.

mod support;

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use pdata::Signal;
use support::{
    Rig, int, list, log_after, logs, map, of_body, of_span, pair, pairs, shown, shown_pairs, span_after, text, traces,
};
use testkit::otlp_arbitrary::Request;

const KEYS: &str = "hmac: {keys: [{id: k1, key: 0123456789abcdef0123456789abcdef}]}";

/// What detectors make of the text of an attribute.
fn made(settings: &str, value: &str) -> String {
    let yaml = format!("{{allow_all_keys: true, {settings}}}");
    of_span(&yaml, pairs(&[("k", value)])).strip_prefix("k=").unwrap_or("gone").to_owned()
}

#[test]
fn every_detector_masks_with_its_label() {
    for (detector, value, expected) in [
        ("payment_card", "card 4111 1111 1111 1111.", "card <REDACTED_CC>."),
        ("us_ssn", "ssn 536-22-8726", "ssn <REDACTED_SSN>"),
        ("us_itin", "itin 912-70-1234", "itin <REDACTED_ITIN>"),
        ("email", "to jane@x.org", "to <REDACTED_EMAIL>"),
        ("ipv4", "from 203.0.113.77:443", "from <REDACTED_IP>:443"),
        ("ipv6", "from 2001:db8::1", "from <REDACTED_IP>"),
        ("phone", "call +14155552671", "call <REDACTED_PHONE>"),
        ("iban", "DE89370400440532013000", "<REDACTED_IBAN>"),
        ("cloud_key", "AKIAQYLPMN5HIT6TRW3X", "<REDACTED_CLOUD_KEY>"),
        ("credentials", "Authorization: Bearer mF_9.B5f-4.1JqM", "Authorization: Bearer <REDACTED_CREDENTIALS>"),
        ("url_userinfo", "https://jane:hunter2@x.org/", "https://REDACTED@x.org/"),
        ("url_query", "https://x.org/?a=1&token=abcdef&b=2", "https://x.org/?a=1&token=REDACTED&b=2"),
        ("secret_assignment", "password=tr0ub4dor3", "password=<REDACTED_SECRET>"),
        ("sql_literal", "SELECT a FROM t WHERE n = 'Jane' AND m = 7", "SELECT a FROM t WHERE n = ? AND m = ?"),
    ] {
        assert_eq!(made(&format!("detectors: [{detector}]"), value), expected, "{detector}");
        assert_eq!(made("detectors: [jwt]", value), value, "only what is asked for");
    }
}

#[test]
fn keys_say_what_their_values_are() {
    let yaml = "{allow_all_keys: true, detectors: all}";
    let out = of_span(
        yaml,
        vec![
            pair("authorization", text("Bearer abcdefghijklmnop")),
            pair("password", text("correct horse battery")),
            pair("password", int(1234)),
            pair("user.password", list(vec![text("P@ss w0rd!")])),
            pair("tokens", int(1234)),
            pair("db.query.parameter.0", text("jane doe")),
            pair("db.query.parameter.1", int(5)),
            pair("db.operation.parameter.x", list(vec![int(5), text("6")])),
            pair("db.rows", int(5)),
            pair("http.request.header.cookie", list(vec![text("sid=swordfish; theme=dark")])),
            pair("http.response.header.set-cookie", text("sid=swordfish; Path=/")),
            pair("phone", int(5_551_234)),
        ],
    );
    assert_eq!(
        out,
        "authorization=Bearer <REDACTED_CREDENTIALS> password=<REDACTED_SECRET> password=<REDACTED_SECRET> \
         user.password=[<REDACTED_SECRET>] tokens=1234 db.query.parameter.0=? db.query.parameter.1=? \
         db.operation.parameter.x=[? ?] db.rows=5 \
         http.request.header.cookie=[sid=<REDACTED_CREDENTIALS>; theme=<REDACTED_CREDENTIALS>] \
         http.response.header.set-cookie=sid=<REDACTED_CREDENTIALS>; Path=/ phone=<REDACTED_PHONE>"
    );
}

#[test]
fn json_stays_json_and_keys_stay_apart() {
    let settings = "detectors: [payment_card, email]";
    assert_eq!(
        made(settings, r#"{"card":4111111111111111,"m":"n:4111111111111111,"}"#),
        r#"{"card":"<REDACTED_CC>","m":"n:<REDACTED_CC>,"}"#
    );
    assert_eq!(made("detectors: [payment_card: {action: partial}]", "[4111111111111111]"), r#"["****1111"]"#);
    let mails = || pairs(&[("a@x.org", "1"), ("n", "2"), ("b@x.org", "3"), ("c@x.org", "4")]);
    let yaml = "{allow_all_keys: true, detectors: [email]}";
    let apart = "<REDACTED_EMAIL>=1 n=2 <REDACTED_EMAIL>_2=3 <REDACTED_EMAIL>_3=4";
    assert_eq!(of_span(yaml, mails()), apart);
    assert_eq!(
        of_span(yaml, vec![pair("d@x.org", map(mails())), pair("e@x.org", text("5"))]),
        format!("<REDACTED_EMAIL>={{{apart}}} <REDACTED_EMAIL>_2=5")
    );
}

#[test]
fn what_is_shown_in_part_shows_no_host_of_a_reversed_address() {
    let settings = "detectors: [ipv4], action: partial";
    assert_eq!(made(settings, "77.113.0.203.in-addr.arpa"), "<REDACTED_IP>.in-addr.arpa");
    assert_eq!(made(settings, "203.0.113.77.example.org"), "203.0.113.0.example.org");
}

#[test]
fn every_action_does_its_deed() {
    let card = "card 4111 1111 1111 1111.";
    for (settings, value, expected) in [
        ("detectors: [payment_card]", card, "card <REDACTED_CC>."),
        ("detectors: [payment_card: {label: '<PAN>'}]", card, "card <PAN>."),
        ("detectors: [email: {action: partial}]", "jane@x.org", "j***@x.org"),
        ("detectors: [ipv4: {action: partial}]", "203.0.113.77", "203.0.113.0"),
        ("detectors: [ipv4: {action: partial, prefix: 16}]", "203.0.113.77", "203.0.0.0"),
        ("detectors: [ipv6: {action: partial}]", "2001:db8:1:2::3", "2001:db8:1::"),
        ("detectors: [ipv4: {skip_private: true}]", "10.1.2.3 203.0.112.77", "10.1.2.3 <REDACTED_IP>"),
        // No part of a token may stay.
        ("detectors: [cloud_key], action: partial", "AKIAQYLPMN5HIT6TRW3X", "<REDACTED_CLOUD_KEY>"),
        // SHA-256 of the canonical form, computed by another implementation.
        (
            "detectors: [email], action: sha256",
            "jane@X.ORG",
            "575acbe990bc03a19053df6041d622a2bae2ac47c32f8dd654fa2f464347b00c",
        ),
        ("detectors: [email: {action: drop}]", "jane@x.org", "gone"),
        (
            "detectors: [url_query: {parameters: [who]}]",
            "https://x.org/?who=jane&token=abc",
            "https://x.org/?who=REDACTED&token=abc",
        ),
    ] {
        assert_eq!(made(settings, value), expected, "{settings}");
    }
}

#[test]
fn pseudonyms_join_spellings_and_stay_when_seen_again() {
    let settings = format!("detectors: [email: {{action: hmac}}, url_query: {{action: hmac}}], {KEYS}");
    let one = made(&settings, "jane@x.org");
    assert!(one.starts_with("email:k1:") && one.len() == 9 + 16, "{one}");
    for spelling in ["jane@X.org", "jane%40x.org"] {
        assert_eq!(made(&settings, spelling), one, "{spelling}");
    }
    assert_ne!(made(&settings, "joe@x.org"), one);
    let url = made(&settings, "https://x.org/?token=abcdef");
    assert!(url.starts_with("https://x.org/?token=url_query:k1:"), "{url}");
    assert_eq!(made(&settings, &url), url, "another instance leaves it");
    assert_eq!(made(&settings, &one), one);
}

#[test]
fn tenants_have_pseudonyms_of_their_own() {
    let yaml = format!("{{allow_all_keys: true, detectors: [email], action: hmac, {KEYS}}}");
    let rig = Rig::new(&yaml, Signal::Traces);
    let span = Span { attributes: pairs(&[("k", "jane@x.org")]), ..Span::default() };
    let body = traces(Vec::new(), vec![span]).encode();
    let of = |tenant| rig.pass_of(Signal::Traces, &body, tenant).0;
    assert_eq!(of(Some("a")), of(Some("a")));
    assert_ne!(of(Some("a")), of(Some("b")));
    assert_ne!(of(Some("a")), of(None));
}

#[test]
fn a_rotation_writes_both_pseudonyms() {
    let key = |id: &str| format!("{{id: {id}, key: '{id:0>32}'}}");
    let of = |keys: &[&str]| {
        let keys = keys.iter().map(|id| key(id)).collect::<Vec<_>>().join(", ");
        made(&format!("detectors: [email], action: hmac, hmac: {{keys: [{keys}]}}"), "jane@x.org")
    };
    let (old, both, new) = (of(&["k1"]), of(&["k2", "k1"]), of(&["k2"]));
    assert_eq!(both, format!("{new}.{}", old.strip_prefix("email:").unwrap()));
}

#[test]
fn tiers_say_how_grave_a_finding_is() {
    let tiers = "tiers: {none: [ipv4, key: '^ok[.]'], low: [email], high: [phone, key: '^id[.]'], forbidden: [iban]}";
    let attributes = pairs(&[
        ("a", "203.0.113.77"),
        ("b", "jane@x.org"),
        ("c", "+14155552671"),
        ("ok.x", "jane@x.org"),
        ("id.x", "anything"),
    ]);
    let yaml = format!("{{allow_all_keys: true, {tiers}}}");
    assert_eq!(
        of_span(&yaml, attributes),
        "a=203.0.113.77 b=j***@x.org c=<REDACTED_PHONE> ok.x=jane@x.org id.x=<REDACTED>"
    );
    for (action, expected) in [
        ("drop", ""),
        ("sha256", "id.x=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("partial", "id.x=<REDACTED>"),
    ] {
        let yaml = format!("{{allow_all_keys: true, {tiers}, action: {action}}}");
        assert_eq!(of_span(&yaml, pairs(&[("id.x", "abc")])), expected);
    }
}

#[test]
fn forbidden_findings_refuse_the_item_and_nothing_else() {
    let record = |text_: &str| LogRecord { body: Some(text(text_)), ..LogRecord::default() };
    let rig = Rig::new("{allow_all_keys: true, tiers: {forbidden: [iban, key: '^private']}}", Signal::Logs);
    let iban = "pay DE89370400440532013000";
    let with_key = LogRecord { attributes: pairs(&[("private.x", "1")]), ..record("z") };
    let body = logs(vec![record("a"), record(iban), record(iban), record("b"), with_key, record("c")]).encode();
    let (out, accepted) = rig.pass(Signal::Logs, &body);
    let Request::Logs(out) = Request::decode(Signal::Logs, &out).unwrap() else { panic!() };
    let bodies =
        out.resource_logs[0].scope_logs[0].log_records.iter().map(|record| shown(record.body.as_ref().unwrap()));
    assert_eq!(bodies.collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(accepted.rejected_items, 3);
    assert_eq!(
        accepted.message.as_deref(),
        Some("`redaction/test` refuses 3 items as forbidden: iban, keys like `^private`")
    );
    let totals = rig.world.totals(Signal::Logs);
    assert_eq!((totals.rejected, totals.delivered), (3, 3));
    assert_eq!(rig.world.metric("weir_redaction_refused_items"), Some(3.0));
    // In a resource: everything of it.
    let rig = Rig::new("{allow_all_keys: true, tiers: {forbidden: [iban]}}", Signal::Traces);
    let Request::Traces(mut two) = traces(pairs(&[("k", iban)]), vec![Span::default(), Span::default()]) else {
        panic!()
    };
    let Request::Traces(other) = traces(Vec::new(), vec![Span { name: "kept".to_owned(), ..Span::default() }]) else {
        panic!()
    };
    two.resource_spans.extend(other.resource_spans);
    let (out, accepted) = rig.pass(Signal::Traces, &Request::Traces(two).encode());
    assert_eq!((accepted.rejected_items, out.windows(4).any(|window| window == b"kept")), (2, true));
    assert!(!out.windows(4).any(|window| window == b"DE89"));
    // Everything: nothing goes on.
    let (out, accepted) = rig.pass(Signal::Traces, &traces(pairs(&[("k", iban)]), vec![Span::default()]).encode());
    assert_eq!((accepted.rejected_items, out.len()), (1, 0));
}

#[test]
fn a_forbidden_resource_behind_its_items_takes_those_along() {
    let field = |number: u32, parts: &[&[u8]]| {
        let mut out = Vec::new();
        pdata::wire::put_len(&mut out, number, &parts.concat());
        out
    };
    let item = |text: &str| field(2, &[&field(3, &[text.as_bytes()])]);
    let group = |items: &[Vec<u8>], resource: &str| {
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let pair = field(1, &[&field(1, &[b"k"]), &field(2, &[&field(1, &[resource.as_bytes()])])]);
        field(1, &[&field(2, &items), &field(1, &[&pair])])
    };
    let iban = "DE89370400440532013000";
    let body = [
        group(&[item("jane@x.org"), item("first")], "clean"),
        group(&[item("second"), item(iban), item("jane@x.org")], iban),
        group(&[item(iban)], "clean"),
        group(&[item(iban), item("last")], "clean"),
    ]
    .concat();
    let rig = Rig::new("{allow_all_keys: true, detectors: all, tiers: {forbidden: [iban]}}", Signal::Logs);
    let (out, accepted) = rig.pass(Signal::Logs, &body);
    let expected =
        [group(&[item("<REDACTED_EMAIL>"), item("first")], "clean"), group(&[item("last")], "clean")].concat();
    assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(accepted.rejected_items, 5, "the one refused by itself counts once");
    let totals = rig.world.totals(Signal::Logs);
    assert_eq!((totals.rejected, totals.delivered), (5, 3));
}

#[test]
fn dropping_takes_the_entry_it_is_in() {
    let yaml = "{allow_all_keys: true, detectors: [email], action: drop, summary: debug}";
    let mail = || text("jane@x.org");
    let span = Span {
        name: "jane@x.org".to_owned(),
        attributes: vec![
            pair("a", mail()),
            pair("joe@x.org", text("key")),
            pair("list", list(vec![text("x"), mail()])),
            pair("map", map(vec![pair("m", mail()), pair("n", text("y"))])),
        ],
        links: vec![Link { attributes: vec![pair("l", mail())], ..Link::default() }],
        ..Span::default()
    };
    let span = span_after(yaml, span);
    assert_eq!(span.name, "");
    assert_eq!(
        shown_pairs(&span.attributes),
        "list=[x] map={n=y} redaction.redacted.keys=(key),a redaction.redacted.count=2 \
         redaction.masked.keys=list,map redaction.masked.count=2"
    );
    assert_eq!(span.links[0].attributes.len(), 0);
    let record = log_after(yaml, LogRecord { body: Some(mail()), ..LogRecord::default() });
    assert_eq!(record.body, None);
}

#[test]
fn keys_numbers_and_bytes_are_read() {
    let yaml = "{allow_all_keys: true, detectors: [email, payment_card]}";
    let bytes = |bytes: &[u8]| AnyValue { value: Some(Value::BytesValue(bytes.to_vec())) };
    let out = of_span(
        yaml,
        vec![
            pair("user.jane@x.org", text("1")),
            pair("card", int(4_111_111_111_111_111)),
            pair("time", int(1_793_491_200_000_000_000)),
            pair("text", bytes(b"to jane@x.org")),
            pair("binary", bytes(b"\xff\xfe jane@x.org \x00")),
        ],
    );
    assert_eq!(
        out,
        "<REDACTED_EMAIL>=1 card=<REDACTED_CC> time=1793491200000000000 text=b\"to <REDACTED_EMAIL>\" \
         binary=b\"\u{fffd}\u{fffd} <REDACTED_EMAIL> \\0\""
    );
    let yaml = "{allow_all_keys: true, detectors: [email], binary_values: remove}";
    assert_eq!(of_span(yaml, vec![pair("a", bytes(b"\xff")), pair("b", bytes(b"ok"))]), "b=b\"ok\"");
    // Keys inside a value need no permission, but are read.
    let yaml = "{allowed_keys: [users], detectors: [email]}";
    let nested = pair("users", map(pairs(&[("jane@x.org", "1"), ("n", "2")])));
    assert_eq!(of_span(yaml, vec![nested]), "users={<REDACTED_EMAIL>=1 n=2}");
    // A key that the configuration names is no personal data.
    assert_eq!(
        of_span("{allowed_keys: [jane@x.org], detectors: [email]}", pairs(&[("jane@x.org", "1")])),
        "jane@x.org=1"
    );
}

#[test]
fn values_that_are_too_long_are_replaced() {
    let yaml = "{allow_all_keys: true, detectors: [email], value_bytes_max: 10, ignored_keys: [free]}";
    let out = of_span(yaml, pairs(&[("a", "0123456789"), ("b", "0123456789a"), ("free", "0123456789a")]));
    assert_eq!(out, "a=0123456789 b=<REDACTED_TOO_LONG> free=0123456789a");
    // Without anything that looks at values there is no reason to.
    assert_eq!(of_span("{allow_all_keys: true, value_bytes_max: 2}", pairs(&[("a", "abc")])), "a=abc");
}

#[test]
fn allowed_values_and_order_hold_for_detectors() {
    let yaml =
        "{allow_all_keys: true, detectors: [email], allowed_values: ['@mycompany[.]com$'], blocked_values: [jane]}";
    let out = of_span(yaml, pairs(&[("a", "jane@mycompany.com"), ("b", "jane@x.org"), ("c", "joe@x.org")]));
    assert_eq!(
        out,
        "a=jane@mycompany.com b=<REDACTED_EMAIL> c=<REDACTED_EMAIL>".replace("b=<REDACTED_EMAIL>", "b=****@x.org")
    );
    let (body, _) = of_body("{allow_all_keys: true, detectors: [email]}", map(pairs(&[("m", "joe@x.org")])));
    assert_eq!(body, "{m=<REDACTED_EMAIL>}");
}

#[test]
fn findings_are_told_by_detector_path_and_service() {
    let rig = Rig::new("{allow_all_keys: true, detectors: [email, ipv4]}", Signal::Traces);
    let span = || Span {
        name: "to jane@x.org".to_owned(),
        attributes: vec![pair("user", map(pairs(&[("joe@x.org", "a@b.org")]))), pair("ip", text("203.0.113.77"))],
        ..Span::default()
    };
    rig.request(&traces(pairs(&[("service.name", "shop")]), vec![span(), span()]));
    rig.request(&traces(pairs(&[("service.name", "jane@x.org")]), vec![span()]));
    let page = rig.world.registry.pages().render(processor_redaction::INVENTORY_PAGE).unwrap();
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let mut told: Vec<String> = page["redaction/test"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap().to_owned();
            format!("{} {} {} {}", text("service"), text("path"), text("detector"), entry["findings"])
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "_redacted resource.attributes.service.name email 1",
            "_redacted span.attributes.ip ipv4 1",
            "_redacted span.attributes.user.(key) email 1",
            "_redacted span.attributes.user.<REDACTED_EMAIL> email 1",
            "_redacted span.name email 1",
            "shop span.attributes.ip ipv4 2",
            "shop span.attributes.user.(key) email 2",
            "shop span.attributes.user.<REDACTED_EMAIL> email 2",
            "shop span.name email 2",
        ]
    );
    assert_eq!(rig.world.metric("weir_redaction_findings"), Some(13.0));
}
