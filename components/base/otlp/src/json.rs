//! OTLP/JSON (OTLP specification, "JSON Protobuf Encoding") to and from wire bytes.
//!
//! [`decode_payload`] is for what arrives, [`to_wire`] and [`write_message`] for tools and tests, [`write_payload`] for
//! what leaves as JSON. Both directions follow [`pdata::schema`]; rules are at the head of the two modules below.
//!
//! Unknown fields are dropped in either direction.

mod decode;
mod encode;
mod error;
pub(crate) mod reader;
mod scalar;

use pdata::schema::{self, Message};
use pdata::validate::{self, Repairs, Utf8Policy};
use pdata::{Charge, Payload, Segment, Signal};

pub use decode::DecodeError;
pub(crate) use encode::write_string;
pub use encode::{write_message, write_payload};
pub use error::{Invalid, Problem};

/// Translates an export request that arrived as JSON. `charge` covers `body`, grows by what the translation takes, and
/// in the end covers the payload.
///
/// # Errors
/// [`DecodeError::Invalid`], to be answered as 400; [`DecodeError::Overloaded`], to be refused as retryable.
pub fn decode_payload(
    signal: Signal,
    body: Vec<u8>,
    mut charge: Charge,
    policy: Utf8Policy,
) -> Result<(Payload, Repairs), DecodeError> {
    let mut decoded = decode::message(schema::request(signal), &body, Some(&mut charge), policy)?;
    drop(body);
    let items = count(signal, &decoded);
    if decoded.wire.capacity() - decoded.wire.len() > decoded.wire.len() / 8 {
        decoded.wire.shrink_to_fit();
    }
    let segment = Segment::frozen(decoded.wire, charge, items);
    let repairs = Repairs { utf8_strings: decoded.repaired_strings, rewritten: false };
    Ok((Payload::from_segments(signal, [segment]), repairs))
}

fn count(signal: Signal, decoded: &decode::Decoded) -> u32 {
    debug_assert!(validate::check(signal, &decoded.wire).is_ok(), "a translation is valid");
    if decoded.recount { validate::check(signal, &decoded.wire).unwrap_or(decoded.items) } else { decoded.items }
}

/// Translates one message of type `table` from JSON.
///
/// # Errors
/// [`Invalid`] when `text` is not that message.
pub fn to_wire(table: &'static Message, text: &[u8], policy: Utf8Policy) -> Result<Vec<u8>, Invalid> {
    match decode::message(table, text, None, policy) {
        Ok(decoded) => Ok(decoded.wire),
        Err(DecodeError::Invalid(invalid)) => Err(invalid),
        Err(DecodeError::Overloaded(_)) => unreachable!("nothing is charged"),
    }
}

#[cfg(test)]
mod tests;
