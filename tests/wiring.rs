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
