//! What every component promises, and the configuration: defaults, errors, documentation.

use config::{Errors, Limits, Source};
use pdata::Signal;
use receiver_otlp::{OtlpConfig, factory};
use testkit::Subject;

/// Decodes a block of the receiver.
fn decode(yaml: &str) -> Result<OtlpConfig, String> {
    let node =
        config::parse(&Source::new("test.yaml", yaml), &Limits::default()).map_err(|errors| errors.to_string())?;
    let mut errors = Errors::new();
    let config = config::decode(&node, OtlpConfig::default(), "receivers::otlp", &mut errors);
    errors.into_result(config).map(|(config, _warnings)| config).map_err(|errors| errors.to_string())
}

#[tokio::test]
async fn keeps_the_contract() {
    for protocol in ["grpc", "http"] {
        let yaml = format!("{{protocols: {{{protocol}: {{endpoint: '127.0.0.1:0'}}}}}}");
        let subject = Subject::new(factory())
            .with_config(&yaml)
            .with_invalid_default("must specify at least one protocol when using the OTLP receiver");
        testkit::suite::contract(&subject).await.unwrap();
    }
}

#[test]
fn protocols_are_off_until_they_are_written() {
    let config = decode("{protocols: {grpc: }}").unwrap();
    assert_eq!(config.protocols.grpc.get().unwrap().endpoint, "localhost:4317");
    assert!(config.protocols.http.get().is_none());
    let config = decode("{protocols: {http: {}}}").unwrap();
    assert!(config.protocols.grpc.get().is_none());
    let http = config.protocols.http.get().unwrap();
    assert_eq!(http.server.endpoint, "localhost:4318");
    assert!(http.server.write_timeout.is_zero() && http.server.idle_timeout.is_zero());
    assert_eq!(Signal::ALL.map(|signal| http.path(signal)), ["/v1/traces", "/v1/metrics", "/v1/logs"]);
    let config = decode("{protocols: {grpc: , http: {enabled: false}}, invalid_utf8: refuse}").unwrap();
    assert!(config.protocols.http.get().is_none());
}

#[test]
fn every_key_of_the_reference_is_taken() {
    let config = decode(
        "
protocols:
  grpc:
    endpoint: 127.0.0.1:1
    transport: tcp4
    max_recv_msg_size_mib: 16
    max_concurrent_streams: 10
    read_buffer_size: 1024
    write_buffer_size: 1024
    include_metadata: true
    auth: {authenticator: basicauth/in}
    keepalive: {server_parameters: {max_connection_age: 1m}}
  http:
    endpoint: 127.0.0.1:2
    traces_url_path: t
    metrics_url_path: /m
    logs_url_path: /deep/logs
    include_metadata: true
    max_request_body_size: 1000
    compression_algorithms: ['', gzip]
    cors: {allowed_origins: ['https://*.example.com'], allowed_headers: [x-a], max_age: 60}
    response_headers: {x-weir: '1'}
    auth: {authenticator: bearertokenauth, request_params: [token]}
    read_header_timeout: 5s
",
    )
    .unwrap();
    let http = config.protocols.http.get().unwrap();
    assert_eq!(Signal::ALL.map(|signal| http.path(signal)), ["/t", "/m", "/deep/logs"]);
    let refs: Vec<String> = config.extension_refs().iter().map(ToString::to_string).collect();
    assert_eq!(refs, ["basicauth/in", "bearertokenauth"]);
}

#[test]
fn mistakes_are_named() {
    for (yaml, expected) in [
        ("{}", "receivers::otlp: must specify at least one protocol when using the OTLP receiver"),
        ("{protocols: }", "receivers::otlp: must specify at least one protocol when using the OTLP receiver"),
        ("{protocols: {grpc: {enabled: false}}}", "must specify at least one protocol"),
        ("{protocols: {grcp: }}", "'protocols' has invalid keys: grcp"),
        ("{protocols: {http: {trace_url_path: x}}}", "'protocols.http' has invalid keys: trace_url_path"),
        ("{protocols: {grpc: {max_recv_msg_size_mib: -1}}}", "max_recv_msg_size_mib"),
        ("{protocols: {grpc: {endpoint: nonsense}}}", "receivers::otlp::protocols::grpc"),
        ("{protocols: {http: {endpoint: nonsense}}}", "receivers::otlp::protocols::http"),
        (
            "{protocols: {http: {logs_url_path: v1/traces}}}",
            "`logs_url_path` and `traces_url_path` must differ, both are `/v1/traces`",
        ),
        ("{protocols: {http: }, invalid_utf8: ignore}", "invalid_utf8"),
    ] {
        let errors = decode(yaml).expect_err(yaml);
        assert!(errors.contains(expected), "{yaml}\n{errors}\nshould contain {expected}");
    }
}

#[test]
fn the_readme_lists_every_option() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}
