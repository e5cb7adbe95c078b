//! What must hold between components, and what is said when it does not: each case is a configuration and the errors it
//! gets, as `line:column code path: message`. `UPDATE=1` rewrites the expected files.

mod support;

use component::{Host, Level, Registry};
use pdata::{ByteAccount, Ledger};
use support::{Feeds, catalog};
use weir::catalog::Catalog;
use weir::service::graph::Graph;
use weir::service::{ServiceOptions, prepare};

/// Errors and warnings of a configuration over the test components, one per line.
fn problems(yaml: &str) -> String {
    problems_over(yaml, &catalog(&Feeds::default(), 0))
}

fn problems_over(yaml: &str, catalog: &Catalog) -> String {
    let options = ServiceOptions { uris: vec![format!("yaml:{yaml}")], ..ServiceOptions::default() };
    let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::None));
    let none = |_: &str| None;
    let prepared = prepare(&options, &none, catalog, &host, &Graph::default());
    let errors = match prepared {
        Ok((_, plan, _)) => plan.warnings,
        Err(errors) => errors.sorted().into_iter().cloned().collect(),
    };
    let mut out = String::new();
    for error in errors {
        let place = format!("{}:{}", error.origin.line, error.origin.column);
        out.push_str(&format!("{place} {} {}\n", error.code, error.headline()));
        for (what, text) in [("closest", &error.suggestion), ("expected", &error.expected), ("fix", &error.fix)] {
            if let Some(text) = text {
                out.push_str(&format!("    {what}: {text}\n"));
            }
        }
    }
    out
}

#[test]
fn every_case_gets_its_errors() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wiring");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 15, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let found = problems(&std::fs::read_to_string(&case).unwrap());
        let expected_path = case.with_extension("expected");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected_path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{}:\n{found}--- expected:\n{expected}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sampler_that_is_followed_must_be_in_a_pipeline_of_traces() {
    let yaml = |pipelines: &str| {
        format!(
            "receivers: {{nop: }}\nexporters: {{nop: }}\nprocessors:\n  tail_sampling/a: {{policies: [{{name: all, type: \
             always_sample}}]}}\n  probabilistic_sampler: {{trace_decisions: tail_sampling/a}}\nservice:\n  pipelines:\n    \
             logs: {{receivers: [nop], processors: [probabilistic_sampler], exporters: [nop]}}\n{pipelines}"
        )
    };
    let traces = |processors: &str| {
        yaml(&format!("    traces: {{receivers: [nop], processors: [{processors}], exporters: [nop]}}\n"))
    };
    let catalog = Catalog::default();
    assert_eq!(problems_over(&traces("tail_sampling/a"), &catalog), "");
    for missing in [yaml(""), traces("probabilistic_sampler")] {
        let found = problems_over(&missing, &catalog);
        let expected = "E0202 processors::probabilistic_sampler: follows the decisions of \"tail_sampling/a\", which is in no \
                        pipeline of traces";
        assert!(found.contains(expected) && found.contains("fix: list `tail_sampling/a`"), "{found}");
    }
}

#[test]
fn a_pipeline_that_is_followed_ends_first() {
    let yaml = "receivers: {nop: }\nexporters: {nop: }\nconnectors: {forward: }\nprocessors:\n  tail_sampling: {policies: [{name: all, \
                type: always_sample}]}\n  probabilistic_sampler: {trace_decisions: tail_sampling}\nservice:\n  pipelines:\n    \
                traces/in: {receivers: [nop], exporters: [forward]}\n    logs: {receivers: [nop], processors: \
                [probabilistic_sampler], exporters: [nop]}\n    traces/out: {receivers: [forward], processors: [tail_sampling], \
                exporters: [nop]}\n";
    let options = ServiceOptions { uris: vec![format!("yaml:{yaml}")], ..ServiceOptions::default() };
    let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::None));
    let (_, plan, _) = prepare(&options, &|_: &str| None, &Catalog::default(), &host, &Graph::default()).unwrap();
    // They stop in this order.
    let order: Vec<String> = plan.pipelines.iter().map(|pipeline| pipeline.id.to_string()).collect();
    assert_eq!(order, ["traces/in", "traces/out", "logs"]);
}

#[test]
fn extensions_that_are_not_there_are_shown_where_they_are_named() {
    let wired = |exporter: &str, more: &str| {
        let yaml = format!(
            "receivers: {{nop: }}\nexporters:\n  otlp_grpc:\n    endpoint: a:1\n    {exporter}\n{more}\n\
             service: {{pipelines: {{traces: {{receivers: [nop], exporters: [otlp_grpc]}}}}}}\n"
        );
        problems_over(&yaml, &Catalog::default())
    };
    let client = "extensions: {basicauth/client: {client_auth: {username: a, password: b}}}";
    for (exporter, place) in [
        ("auth: {authenticator: basicauth/clint}", "5:27"),
        ("middlewares: [{id: basicauth/clint}]", "5:24"),
        ("sending_queue: {storage: basicauth/clint}", "5:30"),
    ] {
        let found = wired(exporter, client);
        let expected = format!("{place} E0202 exporters::otlp_grpc: references extension \"basicauth/clint\"");
        assert!(found.contains(&expected) && found.contains("closest: basicauth/client"), "{found}");
    }
    let found = wired("auth: {authenticator: basicauth/client}", client);
    assert!(found.contains("not listed") && found.contains("fix: list it") && !found.contains("closest"), "{found}");
}

#[test]
fn what_is_read_of_requests_must_have_been_kept() {
    let yaml = |include: bool, chain: &str| {
        format!(
            r#"receivers:
  otlp: {{protocols: {{grpc: {{endpoint: "localhost:0", include_metadata: {include}}}}}}}
exporters:
  nop:
  otlp_grpc:
    endpoint: "localhost:1"
    auth: {{authenticator: headers_setter}}
    sending_queue: {{batch: {{partition: {{metadata_keys: [x-org]}}}}}}
extensions: {{headers_setter: {{headers: [{{key: x-org, from_context: X-Org}}]}}}}
connectors:
  forward:
  routing: {{table: [{{context: request, condition: 'request["x-org"] == "a"', pipelines: [logs/out]}}]}}
processors:
  batch:
  batch/org: {{metadata_keys: [X-Org]}}
  attributes: {{actions: [{{key: x-org, action: upsert, from_context: metadata.x-org}}]}}
  attributes/peer: {{actions: [{{key: peer, action: upsert, from_context: client.address}}]}}
  attributes/auth: {{actions: [{{key: user, action: upsert, from_context: auth.subject}}]}}
  filter: {{error_mode: ignore, logs: {{log_record: ['otelcol.client.metadata["x-org"] == nil']}}}}
  transform:
    log_statements:
      - set(log.attributes["org"], otelcol.client.metadata["x-org"][0])
      - set(log.attributes["all"], otelcol.grpc.metadata)
service:
{chain}
"#
        )
    };
    let one = |processors: &str| {
        format!("  pipelines: {{logs: {{receivers: [otlp], processors: [{processors}], exporters: [nop]}}}}")
    };
    let two = |before: &str, connector: &str, behind: &str| {
        format!(
            "  pipelines:\n    logs/in: {{receivers: [otlp], processors: [{before}], exporters: [{connector}]}}\n    \
             logs/out: {{receivers: [{connector}], processors: [{behind}], exporters: [nop]}}"
        )
    };
    let leaving = |processors: &str| {
        format!(
            "  extensions: [headers_setter]\n  pipelines: {{logs: {{receivers: [otlp], processors: [{processors}], exporters: \
             [otlp_grpc]}}}}"
        )
    };
    let tenant = |processors: &str| format!("  tenant: {{from: [{{header: x-org}}]}}\n{}", one(processors));
    // Where a text of the configuration stands.
    let at = |needle: &str| {
        let text = yaml(true, &tenant(""));
        let (before, _) = text.split_once(needle).unwrap();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        format!("{}:{}", before.matches('\n').count() + 1, before.len() - line_start + 1)
    };
    let gone = |place: String, reader: &str, what: &str, by: &str, fix: &str| {
        let fix = if fix.is_empty() { String::new() } else { format!("    fix: {fix}\n") };
        format!("{place} W0005 {reader}: reads {what}, which {by} does not keep: nothing is found\n{fix}")
    };
    let org = "the request's metadata \"x-org\"";
    let batch = "processor \"batch\" of pipeline \"logs\"";
    let otlp = "receiver \"otlp\" of pipeline \"logs\"";
    let list = "list it in the `metadata_keys` of `processors::batch`";
    let include = "set `include_metadata: true` for the protocols of `receivers::otlp`";
    let catalog = Catalog::default();
    for (include_metadata, chain, expected) in [
        (true, one("attributes, filter, transform, attributes/peer, batch"), String::new()),
        (true, one("batch/org, attributes, filter, attributes/auth"), String::new()),
        (true, two("batch/org", "routing", "attributes"), String::new()),
        (true, tenant("batch"), String::new()),
        (true, leaving("batch/org"), String::new()),
        (
            true,
            leaving("batch"),
            gone(at("x-org]}}}"), "exporters::otlp_grpc", org, batch, list)
                + &gone(at("X-Org}]}"), "extensions::headers_setter", "the request's metadata \"X-Org\"", batch, list),
        ),
        (false, one("batch, attributes/auth"), String::new()),
        (
            true,
            one("batch, attributes"),
            gone(
                at("metadata.x-org"),
                "processors::attributes",
                org,
                batch,
                &format!("{list}, or list `attributes` in front of `batch`"),
            ),
        ),
        (
            true,
            one("batch, filter"),
            gone(
                at("'otelcol.client.metadata"),
                "processors::filter",
                org,
                batch,
                &format!("{list}, or list `filter` in front of `batch`"),
            ),
        ),
        (
            true,
            one("batch, attributes/peer"),
            gone(
                at("client.address"),
                "processors::attributes/peer",
                "the sender's address",
                batch,
                "list `attributes/peer` in front of `batch`",
            ),
        ),
        (
            true,
            one("batch, transform"),
            gone(
                at("set(log.attributes[\"org\"]"),
                "processors::transform",
                org,
                batch,
                &format!("{list}, or list `transform` in front of `batch`"),
            ) + &gone(
                at("set(log.attributes[\"all\"]"),
                "processors::transform",
                "the request's metadata",
                batch,
                &format!("{list}, or list `transform` in front of `batch`"),
            ),
        ),
        (false, one("attributes"), gone(at("metadata.x-org"), "processors::attributes", org, otlp, include)),
        (
            true,
            two("batch", "routing", ""),
            gone(at("'request["), "connectors::routing", org, "processor \"batch\" of pipeline \"logs/in\"", list),
        ),
        (
            true,
            two("batch", "forward", "attributes"),
            gone(
                at("metadata.x-org"),
                "processors::attributes",
                org,
                "processor \"batch\" of pipeline \"logs/in\"",
                &format!("{list}, or list `attributes` in front of `batch`"),
            ),
        ),
        (false, tenant(""), gone(at("x-org}]}\n  pipelines"), "service::tenant::from", org, otlp, include)),
    ] {
        assert_eq!(problems_over(&yaml(include_metadata, &chain), &catalog), expected, "{chain}");
    }
}

#[test]
fn settings_that_nothing_can_come_of_are_warned_about() {
    let yaml = |signals: &str| {
        let pipeline = |signal: &str| {
            format!("{signal}: {{receivers: [otlp], processors: [probabilistic_sampler], exporters: [nop]}}")
        };
        let pipelines: Vec<String> = signals.split(' ').map(pipeline).collect();
        format!(
            r#"receivers: {{otlp: {{protocols: {{grpc: }}}}}}
exporters: {{nop: }}
processors:
  probabilistic_sampler:
    rules: [{{severity_min: 17, sampling_percentage: 100}}]
    sampling_priority: wanted
service: {{pipelines: {{{}}}}}
"#,
            pipelines.join(", ")
        )
    };
    let catalog = Catalog::default();
    let of_logs = "is for log records, and is in no pipeline of logs";
    let told = format!(
        "6:24 W0006 processors::probabilistic_sampler: `sampling_priority` {of_logs}\n5:12 W0006 processors::probabilistic_sampler: \
         `rules` {of_logs}\n"
    );
    assert_eq!(problems_over(&yaml("traces"), &catalog), told);
    assert_eq!(problems_over(&yaml("logs"), &catalog), "");
    assert_eq!(problems_over(&yaml("traces logs"), &catalog), "");
}
