//! Log records of a web service: one line of text each, correlated with a span, with the attributes a logging bridge adds.

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use prost::Message;

use super::{EPOCH_NANOS, METHODS, ROUTES, Random, divide, int, resource, scopes, text};

const SEVERITIES: [(i32, &str); 8] =
    [(9, "INFO"), (9, "INFO"), (9, "INFO"), (9, "INFO"), (9, "INFO"), (5, "DEBUG"), (13, "WARN"), (17, "ERROR")];
const LOGGERS: [&str; 3] = ["c.e.shop.OrderController", "c.e.shop.PaymentClient", "c.e.shop.StockRepository"];

pub(super) fn encode(random: &mut Random, items: usize) -> Vec<u8> {
    let resource = resource(random);
    let mut scope_logs = Vec::new();
    for (scope, count) in scopes().into_iter().zip(divide(items)) {
        let log_records = (0..count).map(|_| log_record(random)).collect();
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
