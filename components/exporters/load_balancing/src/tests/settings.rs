//! Configuration, and the contract.

use pdata::Signal;
use testkit::{Sink, Subject, World};

use crate::{LoadBalancingConfig, factory};

const STATIC: &str = "resolver: {static: {hostnames: ['127.0.0.1:1']}}";

#[test]
fn defaults_are_the_collectors() {
    let (config, warnings) = config::decode_str::<LoadBalancingConfig>(&format!("{{{STATIC}}}")).unwrap();
    assert!(warnings.is_empty());
    assert!(!config.sending_queue.is_on() && !config.retry_on_failure.enabled && config.timeout().is_none());
    assert!(config.protocol.otlp.delivery.sending_queue.is_on());
    assert!(config.protocol.otlp.delivery.retry_on_failure.enabled);
    assert_eq!(config.protocol.otlp.timeout.timeout.to_string(), "5s");
    let (config, _) = config::decode_str::<LoadBalancingConfig>("resolver: {dns: {hostname: a}}").unwrap();
    let dns = config.resolver.dns.get().unwrap();
    assert_eq!((dns.port.as_str(), dns.interval.as_secs(), dns.timeout.as_secs()), ("4317", 5, 1));
}

#[test]
fn refuses_in_the_collectors_words() {
    for (yaml, expected) in [
        ("{}", "no resolvers specified for the exporter"),
        ("resolver: {static: {hostnames: [a]}, dns: {hostname: a}}", "only one resolver should be specified"),
        ("resolver: {static: {}}", "no endpoints specified for the static resolver"),
        ("resolver: {dns: {}}", "no hostname specified to resolve the backends"),
        ("resolver: {dns: {hostname: a, port: otlp}}", "`otlp` is no port"),
        ("resolver: {k8s: {service: a.b}}", "weir has no Kubernetes client here"),
        ("resolver: {aws_cloud_map: {namespace: a}}", "weir has no AWS client here"),
        ("{routing_key: traceid, resolver: {static: {hostnames: [a]}}}", "unsupported routing_key: \"traceid\""),
        (
            "{routing_key: attributes, resolver: {static: {hostnames: [a]}}}",
            "routing_attributes must be specified when routing_key is \"attributes\"",
        ),
        (
            "{routing_key: service, routing_attributes: [a], resolver: {static: {hostnames: [a]}}}",
            "routing_attributes can only be used when routing_key is \"attributes\"; got \"service\"",
        ),
        ("{reroute_after: -1s, resolver: {static: {hostnames: [a]}}}", "'reroute_after' must be non-negative"),
        ("{timeout: -1s, resolver: {static: {hostnames: [a]}}}", "'timeout' must be non-negative"),
        (
            "{sending_queue: {wait_for_result: true}, resolver: {static: {hostnames: [a]}}}",
            "`wait_for_result` is not supported in the queue before routing",
        ),
        (
            "{sending_queue: {sizer: items, queue_size: 9000, batch: {}}, resolver: {static: {hostnames: [a]}}}",
            "`batch` is not supported in the queue before routing",
        ),
    ] {
        let errors = config::decode_str::<LoadBalancingConfig>(yaml).unwrap_err().to_string();
        assert!(errors.contains(expected), "{yaml}: {errors}");
    }
}

#[test]
fn a_key_that_the_signal_does_not_have_is_refused() {
    let world = World::new();
    let subject = Subject::new(factory()).with_config(&format!("{{routing_key: metric, {STATIC}}}"));
    let error = subject.with_signal(Signal::Traces).build(&world, Sink::accepting()).map(|_| ()).unwrap_err();
    assert!(error.contains("unsupported routing_key: \"metric\"; traces can be routed by traceID"), "{error}");
}

#[test]
fn goes_by_both_names_and_refers_to_its_extensions() {
    let yaml = format!("{{protocol: {{otlp: {{auth: {{authenticator: a/1}}}}}}, {STATIC}}}");
    let (config, _) = config::decode_str::<LoadBalancingConfig>(&yaml).unwrap();
    assert_eq!(config.extension_refs().iter().map(ToString::to_string).collect::<Vec<_>>(), ["a/1"]);
    assert!(factory().is_named("loadbalancing") && factory().is_named("load_balancing"));
}

#[test]
fn the_readme_has_the_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in Signal::ALL {
        for more in ["", "sending_queue: {}, retry_on_failure: {enabled: true}, "] {
            let subject = Subject::new(factory())
                .with_signal(signal)
                .with_config(&format!("{{{more}protocol: {{otlp: {{tls: {{insecure: true}}}}}}, {STATIC}}}"))
                .with_invalid_default("no resolvers specified for the exporter");
            testkit::suite::contract(&subject).await.unwrap();
        }
    }
}
