//! Holds the tables of `pdata::schema` against the vendored `.proto` files: every message, field, number, label, type,
//! enumeration value and JSON name, in both directions.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::collections::BTreeMap;
use std::path::Path;

use pdata::schema::{self, Field, Kind, Label};

const FILES: [&str; 8] = [
    "common/v1/common.proto",
    "resource/v1/resource.proto",
    "trace/v1/trace.proto",
    "metrics/v1/metrics.proto",
    "logs/v1/logs.proto",
    "collector/trace/v1/trace_service.proto",
    "collector/metrics/v1/metrics_service.proto",
    "collector/logs/v1/logs_service.proto",
];

#[derive(Debug, PartialEq)]
struct ProtoField {
    name: String,
    label: &'static str,
    kind: String,
}

#[derive(Debug, Default)]
struct Proto {
    messages: BTreeMap<String, BTreeMap<u32, ProtoField>>,
    enums: BTreeMap<String, Vec<(String, i32)>>,
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for line in text.lines() {
        let mut word = String::new();
        for c in line.split("//").next().unwrap_or_default().chars() {
            if c.is_alphanumeric() || c == '_' || c == '.' {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
        }
        if !word.is_empty() {
            tokens.push(word);
        }
    }
    tokens
}

/// Reads the statements of a file or a message body up to its closing brace.
fn parse(tokens: &mut std::slice::Iter<'_, String>, message: Option<&str>, oneof: bool, proto: &mut Proto) {
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "}" => return,
            ";" => {}
            "message" => {
                let name = tokens.next().unwrap();
                assert_eq!(tokens.next().unwrap(), "{");
                assert!(proto.messages.insert(name.clone(), BTreeMap::new()).is_none(), "{name} is declared twice");
                parse(tokens, Some(name), false, proto);
            }
            "oneof" => {
                tokens.next();
                assert_eq!(tokens.next().unwrap(), "{");
                parse(tokens, message, true, proto);
            }
            "enum" => {
                let name = tokens.next().unwrap().clone();
                assert_eq!(tokens.next().unwrap(), "{");
                let body: Vec<_> = tokens.by_ref().take_while(|token| *token != "}").collect();
                let values = body.split(|token| *token == ";").filter(|statement| statement.len() >= 3);
                let values = values.map(|statement| {
                    let number = statement[2];
                    let number = number
                        .strip_prefix("0x")
                        .map_or_else(|| number.parse().unwrap(), |hex| i32::from_str_radix(hex, 16).unwrap());
                    (statement[0].clone(), number)
                });
                proto.enums.insert(name, values.collect());
            }
            "service" => {
                let mut depth = 0;
                for token in tokens.by_ref() {
                    depth += i32::from(token == "{") - i32::from(token == "}");
                    if depth == 0 && token == "}" {
                        break;
                    }
                }
            }
            first => {
                let mut statement = vec![first.to_owned()];
                statement.extend(tokens.by_ref().take_while(|token| *token != ";").cloned());
                if matches!(first, "syntax" | "package" | "import" | "option" | "reserved") {
                    continue;
                }
                let label = match first {
                    "repeated" => "repeated",
                    "optional" => "optional",
                    _ if oneof => "oneof",
                    _ => "singular",
                };
                let rest = &statement[usize::from(matches!(first, "repeated" | "optional"))..];
                let [kind, name, equals, number, ..] = rest else { panic!("not a field: {statement:?}") };
                assert_eq!(equals, "=", "{statement:?}");
                let kind = kind.rsplit('.').next().unwrap().to_owned();
                let fields = proto.messages.get_mut(message.unwrap()).unwrap();
                fields.insert(number.parse().unwrap(), ProtoField { name: name.clone(), label, kind });
            }
        }
    }
}

fn vendored() -> Proto {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../proto/opentelemetry/proto");
    let mut proto = Proto::default();
    for file in FILES {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(!text.contains("/*"), "{file}: the parser knows line comments only");
        parse(&mut tokens(&text).iter(), None, false, &mut proto);
    }
    proto.messages.retain(|name, _| {
        let outside = ["TracesData", "MetricsData", "LogsData"].contains(&name.as_str());
        !outside && !name.ends_with("Response") && !name.ends_with("PartialSuccess")
    });
    proto
}

fn kind_name(field: &Field, proto: &Proto) -> String {
    match field.kind {
        Kind::Bool => "bool".into(),
        Kind::Int32 => "int32".into(),
        Kind::Int64 => "int64".into(),
        Kind::Uint32 => "uint32".into(),
        Kind::Uint64 => "uint64".into(),
        Kind::Sint32 => "sint32".into(),
        Kind::Fixed32 => "fixed32".into(),
        Kind::Fixed64 => "fixed64".into(),
        Kind::Sfixed64 => "sfixed64".into(),
        Kind::Double => "double".into(),
        Kind::String => "string".into(),
        Kind::Bytes => "bytes".into(),
        Kind::TraceId => {
            assert!(field.name.ends_with("trace_id"), "{}", field.name);
            "bytes".into()
        }
        Kind::SpanId => {
            assert!(field.name.ends_with("span_id"), "{}", field.name);
            "bytes".into()
        }
        Kind::Message(message) => {
            assert!(!is_item(message.name), "{} is an item", message.name);
            message.name.into()
        }
        Kind::Item(message) => {
            assert!(is_item(message.name), "{} is no item", message.name);
            message.name.into()
        }
        Kind::Enum(values) => {
            let same = |candidate: &&Vec<(String, i32)>| {
                candidate.iter().map(|(name, number)| (name.as_str(), *number)).eq(values.iter().copied())
            };
            let found = proto.enums.iter().find(|(_, candidate)| same(candidate));
            found.unwrap_or_else(|| panic!("{} has the values of no enumeration", field.name)).0.clone()
        }
    }
}

fn is_item(message: &str) -> bool {
    message == "Span" || message == "LogRecord" || message.ends_with("DataPoint")
}

fn camel_case(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(1);
        out.push_str(&first.to_uppercase());
        out.push_str(rest);
    }
    out
}

#[test]
fn tables_are_the_vendored_definitions() {
    let proto = vendored();
    let tables: BTreeMap<&str, _> = schema::MESSAGES.iter().map(|message| (message.name, message)).collect();
    assert_eq!(tables.len(), schema::MESSAGES.len(), "names are unique");
    assert_eq!(tables.keys().copied().collect::<Vec<_>>(), proto.messages.keys().collect::<Vec<_>>());
    for (name, table) in tables {
        let expected = &proto.messages[name];
        let found: BTreeMap<u32, ProtoField> = table
            .fields
            .iter()
            .map(|field| {
                let label = match field.label {
                    Label::Singular => "singular",
                    Label::Optional => "optional",
                    Label::Repeated => "repeated",
                    Label::OneOf => "oneof",
                };
                (field.number, ProtoField { name: field.name.into(), label, kind: kind_name(field, &proto) })
            })
            .collect();
        assert_eq!(&found, expected, "{name}");
        assert!(table.fields.is_sorted_by_key(|field| field.number), "{name}");
        for field in table.fields {
            assert_eq!(field.json, camel_case(field.name), "{name}");
            assert_eq!(table.field(field.number).map(|f| f.name), Some(field.name));
            assert_eq!(table.json_field(field.json).map(|f| f.number), Some(field.number));
        }
        let unknown = (0..40).filter(|number| !expected.contains_key(number));
        assert!(unknown.into_iter().all(|number| table.field(number).is_none()), "{name}");
    }
}

#[test]
fn requests_are_the_roots() {
    let roots = pdata::Signal::ALL.map(|signal| schema::request(signal).name);
    assert_eq!(roots, ["ExportTraceServiceRequest", "ExportMetricsServiceRequest", "ExportLogsServiceRequest"]);
}
