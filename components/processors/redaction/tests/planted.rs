//! Personal data does not get past the processor, wherever it hides: every string, value and unknown field of every
//! message, planted from raw protobuf, in several encodings; then random telemetry with plants at random places.

#[path = "support/plant.rs"]
mod plant;
#[path = "support/mod.rs"]
mod support;

use pdata::Signal;
use pdata::schema;
use plant::{Full, PLANTS, leak, request, sow};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::Rig;
use testkit::otlp_arbitrary;
use testkit::otlp_scramble::{Liberties, Random, scramble};

const ALL: &str = "{allow_all_keys: true, detectors: all}";

#[test]
fn no_surface_lets_a_plant_through() {
    for signal in Signal::ALL {
        let rig = Rig::new(ALL, signal);
        for (text, secret) in PLANTS {
            for member in 0..8 {
                let body = request(signal, Full { plant: text, depth: 3, member });
                let (out, accepted) = rig.pass(signal, &body);
                assert_eq!((accepted.rejected_items, out.is_empty()), (0, false));
                assert_eq!(leak(&out, secret), None, "{signal}, member {member}: {text}");
            }
        }
        assert!(rig.world.metric("weir_redaction_findings").unwrap() > 1000.0);
    }
}

#[test]
fn no_action_and_no_summary_lets_a_plant_through() {
    let key = "hmac: {keys: [{id: k1, key: 0123456789abcdef0123456789abcdef}]}";
    for settings in [
        "allow_all_keys: true, action: partial, summary: debug",
        "allow_all_keys: true, action: drop, summary: debug",
        &format!("allow_all_keys: true, action: hmac, {key}, summary: debug"),
        // Names of what was removed are told, too.
        "allowed_keys: [a], summary: debug",
        "allow_all_keys: true, blocked_key_patterns: [.], summary: debug",
        "allow_all_keys: true, redact_all_types: true, binary_values: remove, summary: info",
    ] {
        let yaml = format!("{{{settings}, detectors: all}}");
        for signal in Signal::ALL {
            let rig = Rig::new(&yaml, signal);
            for (number, (text, secret)) in PLANTS.into_iter().enumerate() {
                let body = request(signal, Full { plant: text, depth: 2, member: number });
                let (out, _) = rig.pass(signal, &body);
                assert_eq!(leak(&out, secret), None, "{signal}, {settings}: {text}");
                assert!(!out.is_empty());
            }
        }
    }
}

#[test]
fn forbidden_plants_do_not_come_out_and_are_accounted_for() {
    let kinds: Vec<&str> = detectors::Kind::ALL.iter().map(|kind| kind.name()).collect();
    let yaml = format!("{{allow_all_keys: true, tiers: {{forbidden: [{}]}}}}", kinds.join(", "));
    for signal in Signal::ALL {
        let rig = Rig::new(&yaml, signal);
        for (number, (text, secret)) in PLANTS.into_iter().enumerate() {
            let body = request(signal, Full { plant: text, depth: 1, member: number });
            let (out, accepted) = rig.pass(signal, &body);
            assert!(accepted.rejected_items > 0, "{signal}: {text}");
            assert_eq!(leak(&out, secret), None, "{signal}: {text}");
            let message = accepted.message.unwrap_or_default();
            assert_eq!(leak(message.as_bytes(), secret), None, "{message}");
        }
    }
}

#[test]
fn plants_are_leaks_where_nothing_looks() {
    // The search finds what it is meant to find.
    for (text, secret) in PLANTS {
        let body = request(Signal::Logs, Full { plant: text, depth: 1, member: 0 });
        let rig = Rig::new("{allow_all_keys: true, unknown_fields: keep}", Signal::Logs);
        assert!(leak(&rig.pass(Signal::Logs, &body).0, secret).is_some(), "{text}");
    }
}

#[test]
fn fields_that_hide_others_are_read() {
    // The same singular field twice, the same key twice, a value in two pieces.
    let mail = b"jane.plant@example.org";
    let mut record = Vec::new();
    for text in [&mail[..], b"second", b""] {
        pdata::wire::put_len(&mut record, 3, text);
        let mut any = Vec::new();
        pdata::wire::put_len(&mut any, 1, text);
        pdata::wire::put_len(&mut record, 5, &any);
        let mut pair = Vec::new();
        pdata::wire::put_len(&mut pair, 1, b"key");
        pdata::wire::put_len(&mut pair, 2, &any);
        pdata::wire::put_len(&mut pair, 2, b"");
        pdata::wire::put_len(&mut record, 6, &pair);
    }
    let wrap = |number, content: &[u8]| {
        let mut out = Vec::new();
        pdata::wire::put_len(&mut out, number, content);
        out
    };
    let body = wrap(1, &wrap(2, &wrap(2, &record)));
    let (out, _) = Rig::new(ALL, Signal::Logs).pass(Signal::Logs, &body);
    assert_eq!(leak(&out, "jane.plant"), None);
    assert!(out.windows(6).any(|window| window == b"second"));
}

#[test]
fn groups_without_items_are_read_too() {
    let text = b"https://x.org/?access_token=Zm9vYmFyYmF6cXV4";
    let mut group = Vec::new();
    pdata::wire::put_len(&mut group, 3, text);
    pdata::wire::put_len(&mut group, 77, text);
    let mut body = Vec::new();
    pdata::wire::put_len(&mut body, 1, &group);
    // An item in another group, so that the request goes on.
    let item = [0x0a, 0x04, 0x12, 0x02, 0x12, 0x00];
    body.extend_from_slice(&item);
    for signal in [Signal::Traces, Signal::Logs] {
        let (out, _) = Rig::new(ALL, signal).pass(signal, &body);
        assert_eq!(leak(&out, "Zm9vYmFyYmF6cXV4"), None);
        assert!(out.len() >= item.len());
    }
}

#[test]
fn random_telemetry_with_plants_comes_out_without() {
    let rigs = Signal::ALL.map(|signal| Rig::new(ALL, signal));
    let mut runner = TestRunner::new(otlp_arbitrary::config(400));
    let strategy = (otlp_arbitrary::request(), any::<u64>(), 0..PLANTS.len(), any::<bool>());
    let outcome = runner.run(&strategy, |(request, seed, plant, scrambles)| {
        let signal = request.signal();
        let (text, secret) = PLANTS[plant];
        let mut random = Random::new(seed);
        let mut body = request.encode();
        if scrambles {
            body = scramble(signal, &body, Liberties::ALL, seed);
        }
        let body = sow(schema::request(signal), &body, text, &mut || random.once_in(3));
        let rig = &rigs[Signal::ALL.iter().position(|known| *known == signal).unwrap()];
        let (out, _) = rig.pass(signal, &body);
        prop_assert_eq!(leak(&out, secret), None);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn what_is_clean_leaves_as_it_came() {
    let rigs = Signal::ALL
        .map(|signal| Rig::new("{allow_all_keys: true, detectors: [jwt, us_ssn], unknown_fields: keep}", signal));
    let mut runner = TestRunner::new(otlp_arbitrary::config(200));
    let outcome = runner.run(&(otlp_arbitrary::request(), any::<u64>()), |(request, seed)| {
        let signal = request.signal();
        let body = scramble(signal, &request.encode(), Liberties::CANONICAL, seed);
        let rig = &rigs[Signal::ALL.iter().position(|known| *known == signal).unwrap()];
        let (out, _) = rig.pass(signal, &body);
        if request.items() > 0 {
            prop_assert_eq!(out, body);
        }
        Ok(())
    });
    outcome.unwrap();
}
