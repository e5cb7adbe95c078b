//! `otelcol.…`: what is known of the request that the telemetry came with. Read only.

use std::borrow::Cow;
use std::net::IpAddr;

use pdata::Context as Sender;

use crate::error::RunError;
use crate::value::{Map, Value};

use super::Key;

/// A part of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// `otelcol.client.addr`
    Address,
    /// `otelcol.client.metadata` and `otelcol.grpc.metadata`
    Metadata,
    /// `otelcol.client.auth.attributes`
    Auth,
}

impl Request {
    /// The names of paths below `otelcol`.
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("client.addr", Self::Address),
        ("client.metadata", Self::Metadata),
        ("client.auth.attributes", Self::Auth),
        ("grpc.metadata", Self::Metadata),
    ];

    /// The value, to which [`Request::rest`] of the keys are still to be applied.
    pub(super) fn get<'a>(self, sender: &'a Sender, keys: &[Key]) -> Result<Value<'a>, RunError> {
        let first = keys.first().map(Key::as_str).transpose()?;
        Ok(match (self, first) {
            (Self::Address, _) => match sender.peer.map(|peer| peer.ip()) {
                Some(IpAddr::V6(ip)) => Value::text(ip.to_canonical().to_string()),
                Some(ip) => Value::text(ip.to_string()),
                None => Value::Str(Cow::Borrowed("")),
            },
            (Self::Metadata, Some(name)) => list(
                sender.metadata.iter().filter_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value)),
            ),
            (Self::Metadata, None) => {
                let mut map = Map::new();
                for (name, value) in sender.metadata.iter() {
                    let value = Value::Str(Cow::Borrowed(value));
                    match map.get_mut(name) {
                        Some(Value::List(values)) => values.push(value),
                        _ => map.insert(name, Value::List(vec![value])),
                    }
                }
                Value::Map(map)
            }
            (Self::Auth, name) => {
                let mut map = Map::new();
                for (found, values) in sender.auth.iter().flat_map(|auth| &auth.attributes) {
                    let mut all: Vec<_> = values.iter().map(|value| Value::Str(Cow::Borrowed(&**value))).collect();
                    let value = if all.len() == 1 { all.remove(0) } else { Value::List(all) };
                    if name == Some(found) {
                        return Ok(value);
                    }
                    map.insert(&**found, value);
                }
                if name.is_some() { Value::Nil } else { Value::Map(map) }
            }
        })
    }

    /// Keys after the one that [`Request::get`] has used.
    pub(super) fn rest(self, keys: &[Key]) -> &[Key] {
        match self {
            Self::Address => keys,
            Self::Metadata | Self::Auth => keys.get(1..).unwrap_or_default(),
        }
    }
}

/// Nil for none.
fn list<'a>(values: impl Iterator<Item = &'a str>) -> Value<'a> {
    let values: Vec<_> = values.map(|value| Value::Str(Cow::Borrowed(value))).collect();
    if values.is_empty() { Value::Nil } else { Value::List(values) }
}
