//! Log records of a web service: one line of text each, correlated with a span, with the attributes a logging bridge adds. Long
//! ones have a stack trace behind the line.

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use prost::Message;

use super::{EPOCH_NANOS, METHODS, ROUTES, Random, divide, int, resource, scopes, text};

const SEVERITIES: [(i32, &str); 8] =
    [(9, "INFO"), (9, "INFO"), (9, "INFO"), (9, "INFO"), (9, "INFO"), (5, "DEBUG"), (13, "WARN"), (17, "ERROR")];
const LOGGERS: [&str; 3] = ["c.e.shop.OrderController", "c.e.shop.PaymentClient", "c.e.shop.StockRepository"];

const PACKAGES: [&str; 4] =
    ["com.example.shop.order", "org.apache.tomcat.core", "java.util.concurrent", "org.postgresql.jdbc"];
const CLASSES: [&str; 5] = ["OrderController", "FilterChain$1", "PgStatement", "FutureTask", "StockRepository"];
const CALLS: [&str; 5] = ["handle", "lambda$doFilter$0", "executeWithFlags", "run", "findById"];

/// Frames of a stack trace: about 850 bytes.
const FRAMES: usize = 13;

pub(super) fn encode(random: &mut Random, items: usize) -> Vec<u8> {
    encode_with(random, items, log_record)
}

/// The same with bodies of about 1 KB.
pub(super) fn encode_long(random: &mut Random, items: usize) -> Vec<u8> {
    encode_with(random, items, |random| {
        let mut record = log_record(random);
        if let Some(AnyValue { value: Some(Value::StringValue(line)) }) = &mut record.body {
            for _ in 0..FRAMES {
                let (package, class, call) = (random.pick(&PACKAGES), random.pick(&CLASSES), random.pick(&CALLS));
                line.push_str(&format!("\n\tat {package}.{class}.{call}({class}.java:{})", random.below(900)));
            }
        }
        record
    })
}

fn encode_with(random: &mut Random, items: usize, record: impl Fn(&mut Random) -> LogRecord) -> Vec<u8> {
    let resource = resource(random);
    let mut scope_logs = Vec::new();
    for (scope, count) in scopes().into_iter().zip(divide(items)) {
        let log_records = (0..count).map(|_| record(random)).collect();
        scope_logs.push(ScopeLogs { scope: Some(scope), log_records, schema_url: String::new() });
    }
    LogsData { resource_logs: vec![ResourceLogs { resource: Some(resource), scope_logs, ..Default::default() }] }
        .encode_to_vec()
}

fn log_record(random: &mut Random) -> LogRecord {
    let time = EPOCH_NANOS + random.below(3_600_000_000_000);
    let (severity_number, severity_text) = random.pick(&SEVERITIES);
    let method = random.pick(&METHODS);
    let route = random.pick(&ROUTES).replace("{id}", &random.below(10_000_000).to_string());
    let client = random.ipv4();
    let line = format!(
        "{method} {route} from {client} answered with 200 in {} ms, {} rows read",
        random.below(400),
        random.below(5000)
    );
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time + random.below(1_000_000),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(line)) }),
        attributes: vec![
            text("log.logger", random.pick(&LOGGERS)),
            text("thread.name", format!("http-exec-{}", random.below(64))),
            int("code.line.number", 20 + random.below(900) as i64),
            text("client.address", client),
            text("enduser.id", format!("u-{}", random.below(1_000_000))),
            text("http.request.id", random.hex(16)),
        ],
        flags: 1,
        trace_id: random.bytes(16),
        span_id: random.bytes(8),
        ..Default::default()
    }
}
