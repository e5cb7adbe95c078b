//! `flatten_data`: every log record with a resource and scope of its own while statements run, so that what is set on a
//! resource is set for one record; equal ones are put together again behind the statements.

use component::{
    Accepted, BoxFuture, Component, Deadline, DeliveryError, Edit, Host, Process, ShutdownError, StartError,
};
use pdata::edit::OpenBatch;
use pdata::wire::{Fields, put_len};
use pdata::{Batch, Payload, Segment};

use crate::processor::Transform;

/// Groups of a request, scope groups of a group, records of a scope group.
const GROUPS: u32 = 1;
const SCOPES: u32 = 2;
const RECORDS: u32 = 2;

/// How many times its size a batch may grow by what is repeated, and what it may always grow to, in bytes.
const GROWTH_MAX: usize = 64;
const BYTES_ALWAYS: usize = 16 << 20;

/// The processor with `flatten_data`.
#[derive(Debug)]
pub struct Flattened(pub Transform);

impl Component for Flattened {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.0.start(host)
    }

    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        self.0.shutdown(deadline)
    }
}

impl Process for Flattened {
    fn process(&self, mut batch: Batch) -> Result<Option<Batch>, DeliveryError> {
        let refused = |batch: Batch, message: String| DeliveryError::permanent(message).with_undelivered(batch);
        let Some(flat) = flattened(batch.payload()) else {
            let message = "the batch repeats too large a resource or scope for `flatten_data`";
            return Err(refused(batch, message.to_owned()));
        };
        batch.set_payload(flat);
        let mut open = match OpenBatch::new(batch) {
            Ok(open) => open,
            Err((batch, error)) => return Err(refused(batch, error.to_string())),
        };
        let outcome: Result<Accepted, _> = self.0.edit(&mut open);
        let mut batch = open.seal();
        match outcome {
            Ok(_) => {
                batch.regroup();
                Ok((batch.items() > 0).then_some(batch))
            }
            Err(error) => Err(error.with_undelivered(batch)),
        }
    }

    fn mutates(&self) -> bool {
        true
    }
}

/// The payload with one group for each record. `None` when it would grow too much.
fn flattened(payload: &Payload) -> Option<Payload> {
    let most = payload.encoded_len().saturating_mul(GROWTH_MAX).max(BYTES_ALWAYS);
    let mut flat = Vec::new();
    let mut total = 0;
    for segment in payload.segments() {
        let mut body = Vec::new();
        for group in contents(segment.bytes(), GROUPS) {
            let around_scopes = others(group, SCOPES);
            for scope in contents(group, SCOPES) {
                let around_records = others(scope, RECORDS);
                for record in contents(scope, RECORDS) {
                    let mut inner = around_records.clone();
                    put_len(&mut inner, RECORDS, record);
                    let mut outer = around_scopes.clone();
                    put_len(&mut outer, SCOPES, &inner);
                    put_len(&mut body, GROUPS, &outer);
                    if total + body.len() > most {
                        return None;
                    }
                }
            }
        }
        total += body.len();
        flat.push(Segment::charged(body, segment.items(), segment.account()));
    }
    Some(Payload::from_segments(payload.signal(), flat))
}

fn contents(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message)
        .filter(move |field| field.number == number)
        .map(|field| message.get(field.value).unwrap_or_default())
}

/// The fields of a message but those of that number.
fn others(message: &[u8], number: u32) -> Vec<u8> {
    let kept = Fields::new(message).filter(|field| field.number != number);
    kept.flat_map(|field| message.get(field.start..field.end).unwrap_or_default()).copied().collect()
}
