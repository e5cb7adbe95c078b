//! `set_semconv_span_name`: the name that the semantic conventions give a span for what its attributes say, in place of
//! one with IDs in it.

use ottl::function::{Arguments, Built, Change, Function, Param, ParamKind};
use ottl::{Context, RunError, Subject, Value};
use pdata::edit::{self, Editor, Msg, Scalar, ValueRef};

/// Numbers of a span's name and kind.
const NAME: u32 = 5;
const KIND: u32 = 6;
/// Kinds of spans, as in [`pdata::schema::SPAN_KIND`].
const SERVER: i64 = 2;
const CLIENT: i64 = 3;
const PRODUCER: i64 = 4;
const CONSUMER: i64 = 5;

/// The versions of the conventions whose rules these are: they agree in what names are made of.
const OLDEST: [u32; 3] = [1, 37, 0];
const NEWEST: [u32; 3] = [1, 40, 0];

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "set_semconv_span_name",
    params: &[
        Param::required("semconv_version", ParamKind::Text),
        Param::optional("original_span_name_attribute", ParamKind::Text),
    ],
    contexts: &[Context::Span],
    build: |arguments: &mut Arguments| {
        let text = arguments.text("semconv_version")?;
        if !version(&text).is_some_and(|version| (OLDEST..=NEWEST).contains(&version)) {
            return Err(format!("`semconv_version` must be between 1.37.0 and 1.40.0, not `{text}`"));
        }
        let original = arguments.text_opt("original_span_name_attribute");
        if original.as_deref() == Some("") {
            return Err("`original_span_name_attribute` must not be empty".to_owned());
        }
        Ok(Built::Editor(Box::new(SetName { original })))
    },
}];

/// `1.37.0`, `v1.37`.
fn version(text: &str) -> Option<[u32; 3]> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut version = [0; 3];
    let mut parts = text.split('.');
    for (place, part) in version.iter_mut().zip(&mut parts) {
        *place = part.parse().ok()?;
    }
    parts.next().is_none().then_some(version)
}

struct SetName {
    /// Where the name that was is kept.
    original: Option<String>,
}

impl Change for SetName {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let span = on.item()?;
        let Some(Scalar::Int(kind)) = on.editor.get(span, KIND) else { return Ok(()) };
        let Some(name) = (Attributes { editor: on.editor, span }).name(kind) else { return Ok(()) };
        let before = on.editor.text(span, NAME);
        if name == before {
            return Ok(());
        }
        if let Some(key) = &self.original {
            let before = before.to_owned();
            on.editor.attributes(span).upsert(key, edit::Value::Str(&before))?;
        }
        on.editor.set(span, NAME, Scalar::Str(&name))?;
        Ok(())
    }
}

/// The attributes of a span, as texts.
struct Attributes<'e> {
    editor: &'e mut Editor,
    span: Msg,
}

impl Attributes<'_> {
    fn get<T>(&mut self, key: &str, read: impl FnOnce(ValueRef<'_>) -> T) -> Option<T> {
        self.editor.attributes(self.span).get(key).map(read)
    }

    /// Of the first key that is there.
    fn text(&mut self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.get(key, |value| Value::from_wire(value).to_text()))
    }

    fn is_true(&mut self, key: &str) -> bool {
        self.get(key, |value| value.get() == edit::Value::Bool(true)).unwrap_or(false)
    }

    /// The name of a span of that kind; `None` if no convention gives it one.
    fn name(&mut self, kind: i64) -> Option<String> {
        let rules: &[fn(&mut Self) -> Option<String>] = match kind {
            SERVER => &[|span| span.http("http.route"), Self::rpc, Self::messaging],
            CLIENT => &[|span| span.http("url.template"), Self::rpc, Self::database, Self::messaging],
            PRODUCER | CONSUMER => &[Self::messaging],
            _ => &[],
        };
        rules.iter().find_map(|rule| rule(self).filter(|name| !name.is_empty()))
    }

    /// `{method} {what}`, or the method alone.
    fn http(&mut self, what: &str) -> Option<String> {
        let method = self.text(&["http.request.method", "http.method"])?;
        Some(match self.text(&[what]) {
            Some(what) => [method.as_str(), " ", &what].concat(),
            None => method,
        })
    }

    /// `{service}/{method}`, or what is there of it, or the system.
    fn rpc(&mut self) -> Option<String> {
        let system = self.text(&["rpc.system.name", "rpc.system"])?;
        let method = self.text(&["rpc.method", "rpc.grpc.method"]);
        let service = self.text(&["rpc.service", "rpc.grpc.service"]);
        Some(match (service, method) {
            (Some(service), Some(method)) => [service.as_str(), "/", &method].concat(),
            (None, Some(method)) => method,
            (Some(service), None) => service + "/*",
            (None, None) => system,
        })
    }

    /// The summary of the query, or `{operation} {target}`, or what is there of it, or the system.
    fn database(&mut self) -> Option<String> {
        let system = self.text(&["db.system.name", "db.system"])?;
        if let Some(summary) = self.text(&["db.query.summary"]) {
            return Some(summary);
        }
        let operation = self.text(&["db.operation.name", "db.operation"]);
        let target = self.database_target();
        Some(joined(operation, target).unwrap_or(system))
    }

    /// `{namespace}.{collection or procedure}`, or what is there of it, or the server.
    fn database_target(&mut self) -> Option<String> {
        let namespace = self.text(&["db.namespace", "db.name"]).filter(|namespace| !namespace.is_empty());
        match (namespace, self.text(&["db.collection.name", "db.stored_procedure.name"])) {
            (Some(namespace), Some(what)) => Some([namespace.as_str(), ".", &what].concat()),
            (None, Some(what)) => Some(what),
            (Some(namespace), None) => Some(namespace),
            (None, None) => self.server(),
        }
    }

    /// `{operation} {destination}`, or what is there of it, or the system.
    fn messaging(&mut self) -> Option<String> {
        let system = self.text(&["messaging.system"])?;
        let operation = self.text(&["messaging.operation.name", "messaging.operation"]);
        let destination = self.destination();
        Some(joined(operation, destination).unwrap_or(system))
    }

    fn destination(&mut self) -> Option<String> {
        if self.is_true("messaging.destination.temporary") {
            return Some("(temporary)".to_owned());
        }
        if self.is_true("messaging.destination.anonymous") {
            return Some("(anonymous)".to_owned());
        }
        let keys = ["messaging.destination.template", "messaging.destination.name", "messaging.destination"];
        self.text(&keys).or_else(|| self.server())
    }

    /// `{address}:{port}`, or the address.
    fn server(&mut self) -> Option<String> {
        let address = self.text(&["server.address"])?;
        Some(match self.text(&["server.port"]) {
            Some(port) => [address.as_str(), ":", &port].concat(),
            None => address,
        })
    }
}

/// `{operation} {target}`, or the one of them that is there. An empty target is none.
fn joined(operation: Option<String>, target: Option<String>) -> Option<String> {
    match (operation, target.filter(|target| !target.is_empty())) {
        (Some(operation), Some(target)) => Some([operation.as_str(), " ", &target].concat()),
        (operation, target) => operation.or(target),
    }
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::{refused, rename_span};
    use ottl::Context::{Metric, Span};

    const OTHER: &str = "a span name";

    #[test]
    fn names_follow_the_conventions() {
        let (internal, server, client, producer, consumer) = (1, 2, 3, 4, 5);
        let cases: &[(i32, &str, &str)] = &[
            (server, "http.request.method=GET http.route=/users/{id}", "GET /users/{id}"),
            (server, "http.method=GET http.route=/users/{id}", "GET /users/{id}"),
            (server, "http.request.method=PUT http.method=GET", "PUT"),
            (server, "http.request.method=GET url.template=/users/{id}", "GET"),
            (client, "http.request.method=GET url.template=/users/{id} http.route=/x", "GET /users/{id}"),
            (client, "http.method=GET", "GET"),
            (internal, "http.request.method=GET http.route=/users/{id}", OTHER),
            (0, "http.request.method=GET", OTHER),
            (server, "http.route=/users", OTHER),
            (server, "http.request.method= rpc.system=grpc", "grpc"),
            (server, "rpc.system=grpc rpc.service=shop.Ads rpc.method=Get", "shop.Ads/Get"),
            (client, "rpc.system=grpc rpc.grpc.service=shop.Ads rpc.grpc.method=Get", "shop.Ads/Get"),
            (client, "rpc.system=grpc rpc.service=shop.Ads", "shop.Ads/*"),
            (client, "rpc.system=grpc rpc.method=Get", "Get"),
            (server, "rpc.system.name=grpc rpc.method=shop.Ads/Get", "shop.Ads/Get"),
            (server, "rpc.system.name=grpc rpc.system=other", "grpc"),
            (server, "rpc.service=shop.Ads", OTHER),
            (client, "db.system=mysql db.query.summary=SELECT_users db.operation=x", "SELECT_users"),
            (
                client,
                "db.system.name=mysql db.operation.name=SELECT db.namespace=shop db.collection.name=t",
                "SELECT shop.t",
            ),
            (client, "db.system=mysql db.operation=SELECT db.name=shop", "SELECT shop"),
            (client, "db.system=mysql db.namespace=shop db.stored_procedure.name=p", "shop.p"),
            (client, "db.system=mysql db.stored_procedure.name=p db.collection.name=t", "t"),
            (client, "db.system=mysql db.operation=SELECT server.address=h server.port=5432", "SELECT h:5432"),
            (client, "db.system=mysql server.address=h", "h"),
            (client, "db.system=mysql db.operation=SELECT", "SELECT"),
            (client, "db.system=mysql", "mysql"),
            (server, "db.system=mysql", OTHER),
            (
                producer,
                "messaging.system=kafka messaging.operation.name=send messaging.destination.name=orders",
                "send orders",
            ),
            (
                consumer,
                "messaging.system=kafka messaging.operation=receive messaging.destination=orders",
                "receive orders",
            ),
            (
                consumer,
                "messaging.system=kafka messaging.destination.template=o/{id} messaging.destination.name=o/1",
                "o/{id}",
            ),
            (
                consumer,
                "messaging.system=kafka messaging.operation=ack messaging.destination.temporary=true messaging.destination.name=x",
                "ack (temporary)",
            ),
            (
                consumer,
                "messaging.system=kafka messaging.destination.temporary=false messaging.destination.anonymous=true",
                "(anonymous)",
            ),
            (
                client,
                "messaging.system=kafka messaging.operation=send server.address=h server.port=9092",
                "send h:9092",
            ),
            (server, "messaging.system=kafka messaging.operation=receive", "receive"),
            (producer, "messaging.system=kafka", "kafka"),
            (producer, "messaging.destination.name=orders", OTHER),
            (producer, "http.request.method=GET", OTHER),
        ];
        for (kind, attributes, expected) in cases {
            for version in ["1.37.0", "1.38.0", "1.39", "v1.40.0"] {
                let statement = format!("set_semconv_span_name(\"{version}\")");
                let (name, kept) = rename_span(&statement, OTHER, *kind, attributes);
                assert_eq!((name.as_str(), kept), (*expected, attributes.split_whitespace().count()), "{attributes}");
            }
        }
    }

    #[test]
    fn the_name_that_was_is_kept_if_it_differs() {
        let statement = "set_semconv_span_name(\"1.37.0\", \"was\")";
        let attributes = "http.request.method=GET http.route=/users";
        assert_eq!(
            rename_span(statement, "GET /users/123", 2, attributes),
            ("GET /users was=GET /users/123".into(), 3)
        );
        assert_eq!(rename_span(statement, "GET /users", 2, attributes), ("GET /users".into(), 2));
        assert_eq!(rename_span(statement, OTHER, 1, attributes), (OTHER.into(), 2));
        let overwritten = format!("{attributes} was=before");
        assert_eq!(rename_span(statement, OTHER, 2, &overwritten), (format!("GET /users was={OTHER}"), 3));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for version in ["1.36.0", "1.40.1", "2.0.0", "1.38.0-rc1", "1.38.0.0", "latest", ""] {
            let statement = format!("set_semconv_span_name(\"{version}\")");
            refused(Span, &statement, "between 1.37.0 and 1.40.0");
        }
        refused(Span, "set_semconv_span_name(\"1.37.0\", \"\")", "must not be empty");
        refused(Metric, "set_semconv_span_name(\"1.37.0\")", "set_semconv_span_name");
    }
}
