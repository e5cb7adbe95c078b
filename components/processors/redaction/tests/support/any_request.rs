//! What the fuzz target does with arbitrary bytes, and an ordinary test with fixed seeds: a request, whatever it holds, gets
//! personal data planted at random places and goes through the processor.

#![allow(unreachable_pub, reason = "shared by a test and a fuzz target")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use component::factory::{Create, Shared};
use component::{ComponentId, Edge, Process, Processor, Settings, Telemetry};
use pdata::validate::{check, validate};
use pdata::{Batch, ByteAccount, Context, Payload, Segment, Signal, Utf8Policy, schema};
use testkit::Sink;
use testkit::otlp_scramble::Random;

use crate::plant::{PLANTS, leak, sow};

const SETTINGS: [&str; 5] = [
    "allow_all_keys: true",
    "allow_all_keys: true, action: partial, summary: debug",
    "allow_all_keys: true, action: drop, redact_all_types: true",
    "allow_all_keys: true, action: hmac, hmac: {keys: [{id: k1, key: 0123456789abcdef0123456789abcdef}]}",
    "allowed_keys: [a, service.name], summary: info, blocked_key_patterns: [b], binary_values: remove",
];

thread_local! {
    static PROCESSORS: RefCell<HashMap<(String, Signal), Arc<dyn Process>>> = RefCell::default();
}

fn processor(yaml: &str, signal: Signal) -> Result<Arc<dyn Process>, String> {
    let key = (yaml.to_owned(), signal);
    if let Some(known) = PROCESSORS.with_borrow(|processors| processors.get(&key).cloned()) {
        return Ok(known);
    }
    let factory = processor_redaction::factory();
    let node = config::parse(&config::Source::new("fuzz.yaml", yaml), &config::Limits::default())
        .map_err(|errors| errors.to_string())?;
    let mut errors = config::Errors::new();
    let config = factory.decode(&node, "processors::redaction", &mut errors);
    if errors.has_errors() {
        return Err(errors.to_string());
    }
    let account = ByteAccount::unlimited();
    let next = Edge::new("fuzz", Sink::accepting(), Arc::clone(&account));
    let settings = Settings {
        id: ComponentId::with_name("redaction", "fuzz"),
        telemetry: Telemetry::detached(),
        account,
        shared: Shared::default(),
    };
    let Create::Processor(create) = factory.create() else { return Err("not a processor".to_owned()) };
    let Ok(Processor::Sync(made)) = create(settings, &config, signal, next) else {
        return Err("not created, or not synchronous".to_owned());
    };
    PROCESSORS.with_borrow_mut(|processors| processors.insert(key, Arc::clone(&made)));
    Ok(made)
}

/// Three bytes choose signal, settings and plant, eight are a seed, the rest is a request. Requests that are refused, or
/// hold by themselves what is to be planted, pass.
///
/// # Errors
/// What is wrong.
pub fn any_request(data: &[u8]) -> Result<(), String> {
    let settings = SETTINGS[usize::from(data.get(1).copied().unwrap_or(0)) % SETTINGS.len()];
    planted(&format!("{{{settings}, detectors: all}}"), data)
}

/// The same with a configuration that the caller gives.
///
/// # Errors
/// What is wrong.
pub fn planted(yaml: &str, data: &[u8]) -> Result<(), String> {
    let Some(([signal, _, plant], rest)) = data.split_first_chunk() else { return Ok(()) };
    let Some((seed, body)) = rest.split_first_chunk() else { return Ok(()) };
    let signal = Signal::ALL[usize::from(*signal) % Signal::ALL.len()];
    let (text, secret) = PLANTS[usize::from(*plant) % PLANTS.len()];
    let mut body = body.to_vec();
    if validate(signal, &mut body, Utf8Policy::Repair).is_err() || leak(&body, secret).is_some() {
        return Ok(());
    }
    let mut random = Random::new(u64::from_le_bytes(*seed));
    let mut body = sow(schema::request(signal), &body, text, &mut || random.once_in(3));
    let Ok(validated) = validate(signal, &mut body, Utf8Policy::Repair) else { return Ok(()) };
    let payload = Payload::from_segments(signal, [Segment::trusted(body.into(), validated.items)]);
    let passed = processor(yaml, signal)?.process(Batch::new(payload, Arc::new(Context::default())));
    let Some(passed) = passed.map_err(|error| format!("refused: {error}"))? else { return Ok(()) };
    let payload = passed.payload();
    for segment in payload.segments() {
        let items = check(signal, segment.bytes()).map_err(|invalid| format!("what comes out is {invalid}"))?;
        if items != segment.items() {
            return Err(format!("{items} items are counted as {}", segment.items()));
        }
    }
    match leak(&payload.to_bytes(), secret) {
        Some(how) => Err(format!("`{text}` comes out {how}, {signal}, {yaml}")),
        None => Ok(()),
    }
}
