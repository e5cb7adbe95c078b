//! What a subject does to telemetry on its way, beside forwarding: the processors of a scenario.

use std::borrow::Cow;

use crate::wire::Signal;

/// Processors between receiver and exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Two attributes hashed, one deleted.
    Attributes,
    /// A filter of one condition (which nothing meets, so that counts can be compared), then four statements.
    Transform,
    /// Personal data and secrets looked for everywhere: every detector, or as many of a Collector's regexes.
    Redaction,
    /// The same, in log records with long bodies.
    RedactionOfLongLogs,
    /// A tenth kept by the hash of the trace ID.
    HeadSampling,
    /// Traces kept by ten policies.
    TailSampling {
        /// `decision_wait` in seconds.
        wait_seconds: u64,
        /// `num_traces`.
        traces: u64,
        /// `memory_budget` in MiB, which a Collector does not know.
        budget_mib: Option<u64>,
    },
}

/// The `processors:` section, and the list in the pipeline. The Collector's redaction has no detectors: it is given the
/// regexes that its users write for the same kinds.
#[must_use]
pub fn processors(work: Work, signal: Signal, is_weir: bool) -> (Cow<'static, str>, &'static str) {
    let (section, chain) = match (work, signal) {
        (Work::TailSampling { wait_seconds, traces, budget_mib }, _) => {
            let budget = budget_mib.filter(|_| is_weir);
            let budget = budget.map_or_else(String::new, |mib| format!("    memory_budget: {mib}MiB\n"));
            let section = format!(
                "processors:\n  tail_sampling:\n    decision_wait: {wait_seconds}s\n    num_traces: {traces}\n    \
                 expected_new_traces_per_sec: 10000\n{budget}{TAIL_POLICIES}"
            );
            return (section.into(), "tail_sampling");
        }
        (Work::HeadSampling, _) => (HEAD_SAMPLING, "probabilistic_sampler"),
        (Work::Attributes, Signal::Logs) => (ATTRIBUTES_LOGS, "attributes"),
        (Work::Attributes, _) => (ATTRIBUTES_SPANS, "attributes"),
        (Work::Transform, Signal::Logs) => (TRANSFORM_LOGS, "filter, transform"),
        (Work::Transform, _) => (TRANSFORM_SPANS, "filter, transform"),
        (Work::Redaction | Work::RedactionOfLongLogs, _) if is_weir => (REDACTION_WEIR, "redaction"),
        (Work::Redaction | Work::RedactionOfLongLogs, _) => (REDACTION_COLLECTOR, "redaction"),
    };
    (section.into(), chain)
}

const ATTRIBUTES_SPANS: &str = "processors:
  attributes:
    actions:
      - {key: user.id, action: hash}
      - {key: client.address, action: hash}
      - {key: db.query.text, action: delete}
";

const ATTRIBUTES_LOGS: &str = "processors:
  attributes:
    actions:
      - {key: enduser.id, action: hash}
      - {key: client.address, action: hash}
      - {key: thread.name, action: delete}
";

const TRANSFORM_SPANS: &str = "processors:
  filter:
    error_mode: ignore
    traces:
      span:
        - attributes[\"http.route\"] == \"/healthz\"
  transform:
    error_mode: ignore
    trace_statements:
      - context: span
        statements:
          - set(attributes[\"deployment.tier\"], \"paid\") where attributes[\"tier\"] == \"pro\"
          - delete_key(attributes, \"thread.id\")
          - replace_pattern(attributes[\"url.full\"], \"p=[0-9]+\", \"p=*\")
          - set(status.code, 2) where attributes[\"http.response.status_code\"] >= 500
";

const TRANSFORM_LOGS: &str = "processors:
  filter:
    error_mode: ignore
    logs:
      log_record:
        - attributes[\"log.logger\"] == \"c.e.shop.Health\"
  transform:
    error_mode: ignore
    log_statements:
      - context: log
        statements:
          - set(attributes[\"level\"], \"problem\") where severity_number >= 13
          - delete_key(attributes, \"thread.name\")
          - replace_pattern(attributes[\"enduser.id\"], \"u-[0-9]+\", \"u-*\")
          - set(attributes[\"slow\"], true) where IsMatch(body, \"in [0-9]{3,} ms\")
";

const REDACTION_WEIR: &str = "processors:
  redaction:
    allow_all_keys: true
    detectors: all
";

const REDACTION_COLLECTOR: &str = r#"processors:
  redaction:
    allow_all_keys: true
    blocked_values:
      - "\\b4[0-9]{12}(?:[0-9]{3})?\\b"
      - "\\b(5[1-5][0-9]{14})\\b"
      - "\\b3[47][0-9]{13}\\b"
      - "\\b[0-9]{3}-[0-9]{2}-[0-9]{4}\\b"
      - "[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}"
      - "\\b(?:[0-9]{1,3}\\.){3}[0-9]{1,3}\\b"
      - "\\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\\b"
      - "\\+[1-9][0-9]{7,14}\\b"
      - "\\b[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\\b"
      - "eyJ[A-Za-z0-9_-]+\\.eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+"
      - "\\b(?:AKIA|ASIA)[A-Z0-9]{16}\\b"
      - "gh[pousr]_[A-Za-z0-9]{36}"
      - "(?i)bearer [A-Za-z0-9._~+/-]+=*"
      - "[a-z]+://[^/\\s:@]+:[^/\\s@]+@"
      - "(?i)(?:password|secret|token|api_key)[=:][^\\s&]+"
"#;

const HEAD_SAMPLING: &str = "processors:
  probabilistic_sampler:
    sampling_percentage: 10
";

/// Errors, slow traces, a customer's and flagged ones are kept whatever happens; of the others 1 %, and what the three limits
/// per second leave room for.
const TAIL_POLICIES: &str = "    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: slow, type: latency, latency: {threshold_ms: 2000}}
      - {name: customer, type: string_attribute, string_attribute: {key: user.id, values: ['^u-vip'], enabled_regex_matching: true}}
      - {name: server-errors, type: numeric_attribute, numeric_attribute: {key: http.response.status_code, min_value: 500, max_value: 599}}
      - {name: flagged, type: boolean_attribute, boolean_attribute: {key: debug, value: true}}
      - {name: many, type: span_count, span_count: {min_spans: 100}}
      - {name: base, type: probabilistic, probabilistic: {sampling_percentage: 1}}
      - {name: some, type: rate_limiting, rate_limiting: {spans_per_second: 120}}
      - name: payments
        type: and
        and:
          and_sub_policy:
            - {name: service, type: string_attribute, string_attribute: {key: service.name, values: [payment]}}
            - {name: slowish, type: latency, latency: {threshold_ms: 1000}}
      - name: shared
        type: composite
        composite:
          max_total_spans_per_second: 240
          policy_order: [invoices, rest]
          composite_sub_policy:
            - {name: invoices, type: string_attribute, string_attribute: {key: http.route, values: ['/api/v2/invoices/{id}']}}
            - {name: rest, type: always_sample}
          rate_allocation:
            - {policy: invoices, percent: 50}
            - {policy: rest, percent: 50}
";
