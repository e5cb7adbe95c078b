//! What the fuzz targets do with arbitrary bytes. The same functions run with fixed seeds in ordinary tests.
//!
//! Each returns what is wrong as text. Bytes that are no valid request are fine as long as they are refused.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use pdata::edit::{At, Level, Msg, Scalar, Value, ValueBuf, Walk, Write};
use pdata::schema::NUMBER_MAX;
use pdata::validate::{Utf8Policy, check, validate};
use pdata::{ByteAccount, Editor, Payload, Signal};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;

use crate::otlp_arbitrary::{self, Request};
use crate::otlp_scramble::{Liberties, Random, scramble};

/// Operations in one run of [`edits`].
const OPS: usize = 24;

/// Splits off the signal that the first byte tells.
#[must_use]
pub fn signal_of(data: &[u8]) -> Option<(Signal, &[u8])> {
    let (first, body) = data.split_first()?;
    let signal = Signal::ALL.get(usize::from(first % 3))?;
    Some((*signal, body))
}

/// An input for the targets: requests of all signals, encoded with liberties, and some with damage done to them.
#[must_use]
pub fn sample(runner: &mut TestRunner, random: &mut Random) -> Vec<u8> {
    let Ok(tree) = otlp_arbitrary::request().new_tree(runner) else { return Vec::new() };
    let request: Request = tree.current();
    let mut data = vec![Signal::ALL.iter().position(|signal| *signal == request.signal()).unwrap_or(0) as u8];
    data.extend(scramble(request.signal(), &request.encode(), Liberties::ALL, random.bits()));
    for _ in 0..random.below(4) {
        let (at, bits) = (random.below(data.len()), random.bits());
        match bits % 4 {
            0 => data.truncate(at.max(1)),
            1 => data.insert(at, (bits >> 8) as u8),
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = (bits >> 8) as u8;
                }
            }
        }
    }
    data
}

/// The validating walk: refuses or repairs, and what it lets through is what the reference implementation reads.
///
/// # Errors
/// What is wrong.
pub fn skeleton(data: &[u8]) -> Result<(), String> {
    let Some((signal, body)) = signal_of(data) else { return Ok(()) };
    let mut repaired = body.to_vec();
    let validated = match validate(signal, &mut repaired, Utf8Policy::Repair) {
        Ok(validated) => validated,
        Err(invalid) => {
            ensure(repaired == body, "a refused body was changed")?;
            ensure(invalid.offset() <= body.len(), &format!("an offset outside the body: {invalid}"))?;
            return ensure(check(signal, body).is_err(), "refused, but accepted when checked");
        }
    };
    ensure(check(signal, &repaired) == Ok(validated.items), "the repaired body does not pass")?;
    let mut again = repaired.clone();
    let second = validate(signal, &mut again, Utf8Policy::Refuse).map_err(|invalid| invalid.to_string())?;
    ensure(again == repaired && !second.repairs.rewritten, "repairing again changes more")?;
    match Request::decode(signal, &repaired) {
        Ok(request) => ensure(request.items() == u64::from(validated.items), "items are counted differently"),
        // Its limit of nesting is not exactly ours.
        Err(error) if error.to_string().contains("recursion") => Ok(()),
        Err(error) => Err(format!("accepted what the reference implementation refuses: {error}")),
    }
}

/// Random edits at any place of a valid request: nothing panics, the result is valid and its items are counted.
///
/// # Errors
/// What is wrong.
pub fn edits(data: &[u8]) -> Result<(), String> {
    let Some((signal, rest)) = signal_of(data) else { return Ok(()) };
    let Some((seed, body)) = rest.split_first_chunk::<8>() else { return Ok(()) };
    let account = ByteAccount::unlimited();
    let payload = Payload::from_body(signal, body.to_vec(), account.charge(body.len()), Utf8Policy::Repair);
    let Ok((payload, _)) = payload else { return Ok(()) };
    let mut random = Random::new(u64::from_le_bytes(*seed));
    let mut editor = Editor::new(payload).map_err(|error| error.to_string())?;
    for _ in 0..random.below(OPS) {
        edit(&mut editor, &mut random)?;
        if random.once_in(8) {
            editor = Editor::new(sealed(editor)?).map_err(|error| error.to_string())?;
        }
    }
    drop(sealed(editor)?);
    ensure(account.held() == 0, "bytes stay on the account")
}

fn sealed(editor: Editor) -> Result<Payload, String> {
    let (signal, items) = (editor.signal(), editor.items());
    let payload = editor.seal();
    ensure(payload.items() == items, "items are lost in sealing")?;
    for segment in payload.segments() {
        let found = check(signal, segment.bytes()).map_err(|invalid| format!("an edit made {invalid}"))?;
        ensure(found == segment.items(), "a segment's items are counted wrongly")?;
    }
    let decoded = match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(payload.to_bytes()).map(drop),
        Signal::Metrics => ExportMetricsServiceRequest::decode(payload.to_bytes()).map(drop),
        Signal::Logs => ExportLogsServiceRequest::decode(payload.to_bytes()).map(drop),
    };
    match decoded {
        Err(error) if !error.to_string().contains("recursion") => Err(format!("an edit made {error}")),
        _ => Ok(payload),
    }
}

/// Goes somewhere and does something.
fn edit(editor: &mut Editor, random: &mut Random) -> Result<(), String> {
    let level = [Level::Groups, Level::Scopes, Level::Metrics, Level::Items, Level::Items][random.below(5)];
    let mut walk = Walk::new(editor, level);
    for _ in 0..random.below(4) {
        walk.next(editor);
    }
    let Some(place) = walk.next(editor) else { return Ok(()) };
    let mut at = place.at();
    // Down from there, one field after another.
    for _ in 0..random.below(6) {
        let Some(message) = editor.open(at) else { break };
        let number = random.below(NUMBER_MAX as usize + 2) as u32;
        match editor.first(message, number) {
            Some(first) if random.once_in(2) => at = editor.next(first).unwrap_or(first),
            Some(first) => at = first,
            None => {}
        }
    }
    match random.below(5) {
        0 => ignore(editor.bytes(at).len()),
        1 if random.once_in(3) => ignore(editor.remove(at)),
        2 if random.once_in(3) => ignore(editor.remove_unknown_below(at)),
        _ => {}
    }
    let Some(message) = editor.open(at) else { return Ok(()) };
    match random.below(3) {
        0 => fields(editor, message, random),
        1 => values(editor, message, random),
        _ => attributes(editor, message, random)?,
    }
    Ok(())
}

const KEYS: [&str; 5] = ["a", "b", "http.method", "service.name", ""];

fn text(random: &mut Random) -> String {
    "x".repeat([0, 3, 126, 127, 128, 300][random.below(6)])
}

/// Edits that do not fit are refused; that they are refused without harm shows at the end.
fn fields(editor: &mut Editor, message: Msg, random: &mut Random) {
    let (number, bits, text) = (random.below(NUMBER_MAX as usize + 2) as u32, random.bits(), text(random));
    let value = match random.below(7) {
        0 => Scalar::Bool(bits & 1 == 1),
        1 => Scalar::Int(bits.cast_signed() >> (bits & 63)),
        2 => Scalar::Uint(bits >> (bits & 63)),
        3 => Scalar::Double(f64::from_bits(bits)),
        4 => Scalar::Bytes(text.as_bytes()),
        5 => Scalar::Bytes(if bits & 1 == 1 { &[1; 8] } else { &[2; 16] }),
        _ => Scalar::Str(&text),
    };
    match random.below(6) {
        0 => ignore(editor.clear(message, number)),
        1 => ignore(editor.remove_unknown(message)),
        2 => ignore(editor.push(message, number, value)),
        3 => ignore(editor.add(message, number)),
        4 => ignore(editor.sub_or_add(message, number)),
        _ => ignore(editor.set(message, number, value)),
    }
}

fn any_value(random: &mut Random, depth: usize) -> ValueBuf {
    let bits = random.bits();
    let parts = random.below(3);
    match random.below(if depth == 0 { 5 } else { 7 }) {
        0 => Value::Empty.into(),
        1 => Value::Bool(bits & 1 == 1).into(),
        2 => Value::Int(bits.cast_signed()).into(),
        3 => Value::Double(f64::from_bits(bits)).into(),
        4 => Value::Str(&text(random)).into(),
        5 => ValueBuf::list((0..parts).map(|_| any_value(random, depth - 1))).unwrap_or_default(),
        _ => {
            let pairs = (0..parts).map(|_| (KEYS[random.below(KEYS.len())], any_value(random, depth - 1)));
            ValueBuf::map(pairs.collect::<Vec<_>>()).unwrap_or_default()
        }
    }
}

fn values(editor: &mut Editor, message: Msg, random: &mut Random) {
    let value = any_value(random, 3);
    ignore(editor.set_value(message, value.value()));
    if editor.table(message).name == "AnyValue" {
        // Deeper and deeper, until it is refused.
        let mut inner = message;
        for _ in 0..random.below(80) {
            let Ok(list) = editor.sub_or_add(inner, 5) else { return };
            let Ok(value) = editor.add(list, 1) else { return };
            inner = value;
        }
        ignore(editor.set_value(inner, value.value()));
    }
}

fn attributes(editor: &mut Editor, message: Msg, random: &mut Random) -> Result<(), String> {
    let (key, other) = (KEYS[random.below(KEYS.len())], KEYS[random.below(KEYS.len())]);
    let value = any_value(random, 3);
    let mut attributes = editor.attributes(message);
    match random.below(8) {
        0 => {
            attributes.delete(key);
            return ensure(!attributes.contains(key), "a deleted key is there");
        }
        1 => ignore(attributes.rename(key, other)),
        2 => ignore(attributes.retain(|key, value| key.len() % 2 == 0 || value.str_bytes().is_some())),
        3 => {
            let from: Option<At> = attributes.find(other);
            if let Some(from) = from {
                ignore(attributes.copy(key, from, Write::Upsert));
            }
        }
        4 => {
            let visited = attributes.for_each(|attribute| {
                let text = attribute.value().str_bytes().map(<[u8]>::len);
                match text {
                    Some(len) if len % 2 == 1 => attribute.set(Value::Int(len as i64)).map(ignore),
                    Some(_) => attribute.rename(key).map(ignore),
                    None => {
                        attribute.remove();
                        Ok(())
                    }
                }
            });
            ignore(visited);
        }
        5 => {
            if let Ok(inner) = attributes.open_or_add(key) {
                values(editor, inner, random);
            }
        }
        _ => {
            let how = [Write::Insert, Write::Update, Write::Upsert][random.below(3)];
            let expected = how == Write::Upsert;
            if attributes.write(key, value.value(), how).is_ok() && expected {
                let found = attributes.get(key).map(|found| found.bytes().to_vec());
                let mut bytes = Vec::new();
                value.value().encode(&mut bytes);
                return ensure(found == Some(bytes), "what was written is not read");
            }
        }
    }
    Ok(())
}

/// Of an edit that may be refused.
fn ignore<T>(_outcome: T) {}

fn ensure(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}
