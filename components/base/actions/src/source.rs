//! Where the values come from that are written: the configuration, or the request.

use matching::Constant;
use pdata::Context;
use pdata::edit::{EditError, Value, ValueBuf};

/// A value of the configuration, ready to be written.
#[derive(Clone, Debug)]
pub(crate) enum Fixed {
    Scalar(Constant),
    Nested(ValueBuf),
}

impl Fixed {
    pub(crate) fn new(constant: Constant) -> Result<Self, EditError> {
        match constant {
            Constant::List(_) | Constant::Map(_) => constant.to_buf().map(Self::Nested),
            scalar => Ok(Self::Scalar(scalar)),
        }
    }

    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Scalar(Constant::Str(text)) => Value::Str(text),
            Self::Scalar(Constant::Bool(truth)) => Value::Bool(*truth),
            Self::Scalar(Constant::Int(int)) => Value::Int(*int),
            Self::Scalar(Constant::Double(double)) => Value::Double(*double),
            Self::Scalar(Constant::Empty | Constant::List(_) | Constant::Map(_)) => Value::Empty,
            Self::Nested(buf) => buf.value(),
        }
    }
}

/// A part of the request that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    ClientAddress,
    Metadata(String),
    Auth(String),
}

impl Request {
    pub(crate) fn parse(text: &str) -> Self {
        if text == "client.address" {
            return Self::ClientAddress;
        }
        match (text.strip_prefix("metadata."), text.strip_prefix("auth.")) {
            (Some(name), _) => Self::Metadata(name.to_owned()),
            (_, Some(name)) => Self::Auth(name.to_owned()),
            (None, None) => Self::Metadata(text.to_owned()),
        }
    }

    /// What the request says; several values are joined by `;`.
    pub(crate) fn read(&self, context: &Context) -> Option<String> {
        match self {
            // Whoever sent it without an address has an empty one.
            Self::ClientAddress => {
                Some(context.peer.map_or_else(String::new, |peer| peer.ip().to_canonical().to_string()))
            }
            Self::Metadata(name) => joined(context.metadata.values(name)),
            Self::Auth(name) => {
                let attributes = &context.auth.as_ref()?.attributes;
                let (_, values) = attributes.iter().find(|(key, _)| **key == **name)?;
                joined(values.iter().map(|value| &**value))
            }
        }
    }
}

fn joined<'v>(values: impl Iterator<Item = &'v str>) -> Option<String> {
    values.fold(None, |joined, value| match joined {
        None => Some(value.to_owned()),
        Some(joined) => Some(joined + ";" + value),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pdata::{AuthData, Metadata};

    use super::*;

    #[test]
    fn requests_are_read_as_in_the_collector() {
        let auth = AuthData {
            attributes: vec![
                ("subject".into(), vec!["ann".into()]),
                ("groups".into(), vec!["a".into(), "b".into()]),
                ("none".into(), Vec::new()),
            ],
        };
        let context = Context {
            peer: "[::ffff:10.1.2.3]:4711".parse().ok(),
            metadata: Metadata::new([("X-Tenant", "t1"), ("x-tenant", "t2"), ("auth", "plain"), ("empty", "")]),
            auth: Some(Arc::new(auth)),
            ..Context::default()
        };
        for (source, expected) in [
            ("client.address", Some("10.1.2.3")),
            ("metadata.X-TENANT", Some("t1;t2")),
            ("x-tenant", Some("t1;t2")),
            ("metadata.none", None),
            ("metadata.empty", Some("")),
            ("auth", Some("plain")),
            ("auth.subject", Some("ann")),
            ("auth.groups", Some("a;b")),
            ("auth.Subject", None),
            ("auth.none", None),
            ("client.port", None),
        ] {
            assert_eq!(Request::parse(source).read(&context).as_deref(), expected, "{source}");
        }
        let nobody = Context::default();
        assert_eq!(Request::parse("client.address").read(&nobody).as_deref(), Some(""));
        assert_eq!(Request::parse("auth.subject").read(&nobody), None);
    }
}
