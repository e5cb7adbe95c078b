//! The Collector's keys, one table each. Cases follow its documentation and what it is seen to do (0.145).

mod support;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use pdata::Signal;
use support::{
    Rig, double, int, list, log_after, map, of_body, of_span, pair, pairs, shown, shown_pairs, span_after, text, traces,
};
use testkit::otlp_arbitrary::Request;

const CARD: &str = "4[0-9]{12}(?:[0-9]{3})?";

#[test]
fn attributes_are_treated_as_the_collector_does() {
    let visa = "placeholder 4111111111111111";
    for (yaml, attributes, expected) in [
        // Nothing is allowed unless it is.
        ("{}", pairs(&[("a", "1"), ("b", "2")]), ""),
        ("{allowed_keys: [a]}", pairs(&[("a", "1"), ("b", "2"), ("a", "3")]), "a=1 a=3"),
        ("{allow_all_keys: true}", pairs(&[("a", "1"), ("b", "2")]), "a=1 b=2"),
        // Ignored ones pass unread, allowed or not.
        (
            "{ignored_keys: [safe], ignored_key_patterns: ['_trusted$'], blocked_values: ['4[0-9]{15}']}",
            pairs(&[("safe", visa), ("x_trusted", visa), ("x", visa)]),
            "safe=placeholder 4111111111111111 x_trusted=placeholder 4111111111111111",
        ),
        // Parts of values.
        ("{allow_all_keys: true, blocked_values: ['4[0-9]{15}']}", pairs(&[("a", visa)]), "a=placeholder ****"),
        ("{allow_all_keys: true, blocked_values: [b+, 'a\\*+']}", pairs(&[("k", "abbbc")]), "k=****c"),
        // Whole values by key, line by line.
        (
            "{allow_all_keys: true, blocked_key_patterns: ['.*token.*']}",
            vec![pair("my_token", text("tell\nno one")), pair("token.id", int(5)), pair("other", int(5))],
            "my_token=****\n**** token.id=**** other=5",
        ),
        // Allowed values win over both.
        (
            "{allow_all_keys: true, blocked_key_patterns: [mail], blocked_values: [com], allowed_values: ['.+@mycompany.com']}",
            pairs(&[("mail", "joe@mycompany.com"), ("mail", "joe@x.org"), ("k", "joe@mycompany.com"), ("k", "x.com")]),
            "mail=joe@mycompany.com mail=**** k=joe@mycompany.com k=x.****",
        ),
        // With all types, what values read as in the Collector.
        (
            "{allow_all_keys: true, redact_all_types: true, blocked_values: ['e[+]21', '^true$']}",
            vec![pair("a", double(1e21)), pair("b", double(1e20)), pair("c", int(21)), pair("d", text("true"))],
            "a=1**** b=100000000000000000000 c=21 d=****",
        ),
        (
            "{allow_all_keys: true, redact_all_types: true, blocked_key_patterns: [a], hash_function: md5}",
            vec![pair("a", list(vec![int(1), text("a")])), pair("b", list(vec![int(1)]))],
            "a=fd4105d9312f0888af6ee470373c2c0d b=[1]",
        ),
        // Numbers only if asked for.
        (
            "{allow_all_keys: true, blocked_values: ['4[0-9]{15}', 'true']}",
            vec![pair("n", int(4_111_111_111_111_111))],
            "n=4111111111111111",
        ),
        (
            "{allow_all_keys: true, redact_all_types: true, blocked_values: ['4[0-9]{15}']}",
            vec![pair("n", int(4_111_111_111_111_111)), pair("m", int(7))],
            "n=**** m=7",
        ),
        // Nor does a list hide one then, where values in lists are none of the Collector's concern otherwise.
        (
            "{allow_all_keys: true, surfaces: collector, blocked_values: ['4[0-9]{15}']}",
            vec![pair("l", list(vec![text(visa)]))],
            "l=[placeholder 4111111111111111]",
        ),
        (
            "{allow_all_keys: true, surfaces: collector, redact_all_types: true, blocked_values: ['4[0-9]{15}']}",
            vec![pair("l", list(vec![text(visa), map(pairs(&[("k", visa)]))]))],
            "l=[placeholder **** {k=placeholder ****}]",
        ),
        // Hashes.
        (
            "{allow_all_keys: true, blocked_values: ['4[0-9]{15}'], hash_function: md5}",
            pairs(&[("a", visa)]),
            "a=placeholder 5910f4ea0062a0e29afd3dccc741e3ce",
        ),
        (
            "{allow_all_keys: true, blocked_key_patterns: [a], hash_function: sha1}",
            pairs(&[("a", "abc")]),
            "a=a9993e364706816aba3e25717850c26c9cd0d89d",
        ),
        (
            "{allow_all_keys: true, blocked_key_patterns: [a], hash_function: sha3}",
            pairs(&[("a", "abc")]),
            "a=3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        ),
        (
            "{allow_all_keys: true, blocked_key_patterns: [a], hash_function: hmac-sha256, hmac_key: 0123456789abcdef0123456789abcdef}",
            pairs(&[("a", "abc")]),
            "a=a60c859a6827c5ea576a48d8d368672fbfe4667c6a927428284a0cb3859cc1d6",
        ),
    ] {
        assert_eq!(of_span(yaml, attributes), expected, "{yaml}");
    }
}

#[test]
fn the_summary_tells_what_was_done() {
    let attributes = || {
        vec![
            pair("id", int(5)),
            pair("name", text("placeholder 4111111111111111")),
            pair("mail", text("user@mycompany.com")),
            pair("safe", text("x")),
            pair("credit_card", text("4111111111111111")),
            pair("birth", text("1")),
        ]
    };
    let yaml = |summary: &str| {
        format!(
            "{{allowed_keys: [id, name, mail], ignored_keys: [safe], blocked_values: ['{CARD}'],
             allowed_values: ['.+@mycompany.com'], summary: {summary}}}"
        )
    };
    let kept = "id=5 name=placeholder **** mail=user@mycompany.com safe=x";
    for (summary, told) in [
        ("silent", ""),
        ("''", ""),
        (
            "info",
            " redaction.redacted.count=2 redaction.masked.count=1 redaction.allowed.count=1 redaction.ignored.count=1",
        ),
        (
            "debug",
            " redaction.redacted.keys=birth,credit_card redaction.redacted.count=2 redaction.masked.keys=name \
             redaction.masked.count=1 redaction.allowed.keys=mail redaction.allowed.count=1 redaction.ignored.count=1",
        ),
    ] {
        assert_eq!(of_span(&yaml(summary), attributes()), format!("{kept}{told}"), "{summary}");
    }
}

#[test]
fn a_second_instance_adds_to_the_summary() {
    let rig = Rig::new("{allow_all_keys: true, blocked_values: [x, y], summary: debug}", Signal::Traces);
    let span = Span { attributes: pairs(&[("b", "x"), ("a", "1")]), ..Span::default() };
    let Request::Traces(mut once) = rig.request(&traces(Vec::new(), vec![span])) else { panic!() };
    let attributes = &mut once.resource_spans[0].scope_spans[0].spans[0].attributes;
    attributes.extend(pairs(&[("a", "y")]));
    let Request::Traces(twice) = rig.request(&Request::Traces(once)) else { panic!() };
    let told = shown_pairs(&twice.resource_spans[0].scope_spans[0].spans[0].attributes);
    assert_eq!(told, "b=**** a=1 a=**** redaction.masked.keys=a,b redaction.masked.count=2");
}

#[test]
fn resources_and_events_have_summaries_of_their_own() {
    let rig = Rig::new("{allowed_keys: [k], summary: debug}", Signal::Traces);
    let event = Event { attributes: pairs(&[("e", "1")]), ..Event::default() };
    let span = Span { attributes: pairs(&[("s", "1"), ("k", "1")]), events: vec![event], ..Span::default() };
    let Request::Traces(out) = rig.request(&traces(pairs(&[("r", "1")]), vec![span])) else { panic!() };
    let told = |key: &str| format!("redaction.redacted.keys={key} redaction.redacted.count=1");
    let group = &out.resource_spans[0];
    let span = &group.scope_spans[0].spans[0];
    assert_eq!(shown_pairs(&group.resource.as_ref().unwrap().attributes), told("r"));
    assert_eq!(shown_pairs(&span.attributes), format!("k=1 {}", told("s")));
    assert_eq!(shown_pairs(&span.events[0].attributes), told("e"));
}

#[test]
fn bodies_are_treated_at_every_depth() {
    let yaml = format!(
        "{{allowed_keys: [id, email, credit_card, nested, slice], blocked_values: ['{CARD}'],
          ignored_keys: [safe_attribute], allowed_values: ['.+@mycompany.com'], summary: debug}}"
    );
    let (body, told) = of_body(&yaml, text("placeholder 4111111111111111"));
    assert_eq!(
        (body.as_str(), told.as_str()),
        ("placeholder ****", "redaction.body.masked.keys=body redaction.body.masked.count=1")
    );
    let card = || text("4111111111111111");
    let nested = map(vec![
        pair("credit_card", card()),
        pair("not_allowed_key", text("temp")),
        pair("id", text("user123")),
        pair("safe_attribute", card()),
        pair("email", text("user@mycompany.com")),
    ]);
    let body = map(vec![
        pair("credit_card", card()),
        pair("not_allowed_key", text("temp")),
        pair("id", text("user123")),
        pair("nested", nested),
        pair("slice", list(vec![card(), text("user123")])),
    ]);
    let (body, told) = of_body(&yaml, body);
    assert_eq!(
        body,
        "{credit_card=**** id=user123 nested={credit_card=**** id=user123 safe_attribute=4111111111111111 \
         email=user@mycompany.com} slice=[**** user123]}"
    );
    assert_eq!(
        told,
        "redaction.body.redacted.keys=nested.not_allowed_key,not_allowed_key redaction.body.redacted.count=2 \
         redaction.body.masked.keys=credit_card,nested.credit_card,slice.[0] redaction.body.masked.count=3 \
         redaction.body.allowed.keys=nested.email redaction.body.allowed.count=1 redaction.body.ignored.count=1"
    );
    // Numbers in bodies are looked at by what they read as.
    let (body, _) = of_body(&yaml, int(4_111_111_111_111_111));
    assert_eq!(body, "****");
}

#[test]
fn urls_lose_what_varies() {
    let url = "{allow_all_keys: true, url_sanitizer: {enabled: true, attributes: [http.url, url]}}";
    let attributes = || pairs(&[("http.url", "/users/2"), ("url", "/products/1/org/3"), ("other", "/users/3")]);
    assert_eq!(of_span(url, attributes()), "http.url=/users/* url=/products/*/org/* other=/users/3");
    assert_eq!(
        of_span("{allow_all_keys: true, url_sanitizer: {enabled: false, attributes: [url]}}", attributes()),
        "http.url=/users/2 url=/products/1/org/3 other=/users/3"
    );
    let (body, _) = of_body(url, map(vec![pair("message", text("/users/2")), pair("url", text("/products/1/org/3"))]));
    assert_eq!(body, "{message=/users/* url=/products/*/org/*}");
}

#[test]
fn names_of_client_and_server_spans_are_sanitized() {
    const URL: &str = "url_sanitizer: {enabled: true}";
    const URL_OFF: &str = "url_sanitizer: {enabled: true, sanitize_span_name: false}";
    const SQL: &str = "db_sanitizer: {sql: {enabled: true}}";
    const SQL_OFF: &str = "db_sanitizer: {sanitize_span_name: false, sql: {enabled: true}}";
    const QUERY: &str = "SELECT * FROM users WHERE id = 123";
    let (internal, server, client) = (1, 2, 3);
    for (settings, kind, name, expected) in [
        (URL, server, "/users/123/profile", "/users/*/profile"),
        (URL, client, "GET /api/v1/payments/123", "GET /api/v1/payments/*"),
        (
            URL,
            server,
            "payments-dev-sql-adapter-queue /api/process/123",
            "payments-dev-sql-adapter-queue /api/process/*",
        ),
        (
            URL,
            server,
            "eu-central1-shipping-prod-delivery-processor handle",
            "eu-central1-shipping-prod-delivery-processor handle",
        ),
        (URL, internal, "/users/123/profile", "/users/123/profile"),
        (URL_OFF, server, "/users/123/profile", "/users/123/profile"),
        ("url_sanitizer: {enabled: true}, allowed_values: [users]", server, "/users/123", "/users/123"),
        (SQL, client, QUERY, "SELECT * FROM users WHERE id = ?"),
        (
            SQL,
            server,
            "SELECT count(*) FROM orders WHERE status = 'pending'",
            "SELECT count(*) FROM orders WHERE status = ?",
        ),
        (SQL, internal, QUERY, QUERY),
        (SQL_OFF, client, QUERY, QUERY),
        ("db_sanitizer: {sql: {enabled: false}}", client, QUERY, QUERY),
        ("db_sanitizer: {redis: {enabled: true}}", client, "SET user:12345 value", "SET user:12345 ?"),
        (
            "db_sanitizer: {mongo: {enabled: true}}",
            client,
            r#"{"find":"users","filter":{"_id":"507f1f77bcf86cd799439011"}}"#,
            r#"{"find":"?","filter":{"_id":"?"}}"#,
        ),
        (
            "url_sanitizer: {enabled: true}, db_sanitizer: {sql: {enabled: true}}",
            client,
            "/api/users/123",
            "/api/users/*",
        ),
        (
            "db_sanitizer: {sql: {enabled: true}, redis: {enabled: true}}",
            server,
            "SELECT * FROM cache WHERE key = 'user:123'",
            "SELECT * FROM cache WHERE key = ?",
        ),
        ("surfaces: collector, url_sanitizer: {enabled: true}", server, "/users/123", "/users/*"),
    ] {
        let yaml = format!("{{allow_all_keys: true, {settings}}}");
        let span = Span { name: name.to_owned(), kind, ..Span::default() };
        assert_eq!(span_after(&yaml, span).name, expected, "{yaml}");
    }
}

#[test]
fn queries_lose_their_values() {
    for (database, query, expected) in [
        ("sql", "SELECT * FROM users WHERE id = 123", "SELECT * FROM users WHERE id = ?"),
        ("redis", "SET user:123 john", "SET user:123 ?"),
        ("valkey", "AUTH secret", "AUTH ?"),
        ("memcached", "set k 0 60 5\r\nhello", "set k 0 60 5"),
        ("mongo", r#"{"find": "users"}"#, r#"{"find":"?"}"#),
        ("opensearch", r#"{"query": {"match": {"title": "test"}}}"#, r#"{"query":{"match":{"title":"?"}}}"#),
        ("es", r#"{"query": {"match": {"title": "test"}}}"#, r#"{"query":{"match":{"title":"?"}}}"#),
    ] {
        let yaml =
            format!("{{allow_all_keys: true, db_sanitizer: {{{database}: {{enabled: true, attributes: [q]}}}}}}");
        assert_eq!(of_span(&yaml, pairs(&[("q", query), ("other", query)])), format!("q={expected} other={query}"));
        let (body, _) = of_body(&yaml, text(query));
        assert_eq!(body, expected);
    }
    // Without attributes, bodies alone.
    let sql = "{allow_all_keys: true, db_sanitizer: {sql: {enabled: true}}}";
    assert_eq!(of_span(sql, pairs(&[("db.statement", "x = 1")])), "db.statement=x = 1");
}

#[test]
fn surfaces_can_be_those_of_the_collector() {
    let span = |name: &str| Span {
        name: name.to_owned(),
        attributes: vec![pair("x", text("x")), pair("map", map(pairs(&[("x", "x")])))],
        ..Span::default()
    };
    let all = span_after("{allow_all_keys: true, blocked_values: [x]}", span("x/1"));
    assert_eq!((all.name.as_str(), shown_pairs(&all.attributes).as_str()), ("****/1", "****=**** map={****=****}"));
    let few = span_after("{allow_all_keys: true, blocked_values: [x], surfaces: collector}", span("x/1"));
    assert_eq!((few.name.as_str(), shown_pairs(&few.attributes).as_str()), ("x/1", "x=**** map={x=x}"));
    let record =
        LogRecord { body: Some(map(pairs(&[("k", "x")]))), severity_text: "x".to_owned(), ..LogRecord::default() };
    let few = log_after("{allow_all_keys: true, blocked_values: [x], surfaces: collector}", record);
    assert_eq!((shown(&few.body.unwrap()).as_str(), few.severity_text.as_str()), ("{k=****}", "x"));
}
