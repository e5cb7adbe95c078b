//! Configuration, and the contract.

use std::time::Duration;

use net::client::config::Compression;
use pdata::Signal;
use testkit::{Sink, Subject, World};

use crate::config::EncodingConfig;
use crate::{OtlpHttpConfig, factory};

#[test]
fn defaults_are_the_collectors() {
    let (config, warnings) = config::decode_str::<OtlpHttpConfig>("endpoint: http://localhost:4318").unwrap();
    assert!(warnings.is_empty());
    assert_eq!((config.client.compression, config.encoding), (Compression::Gzip, EncodingConfig::Proto));
    assert_eq!((config.client.timeout, config.client.write_buffer_size), (Duration::from_secs(30), 524_288));
    assert_eq!(config.attempt_timeout().limit(), Some(Duration::from_secs(30)));
    assert!(config.delivery.retry_on_failure.enabled && config.delivery.sending_queue.is_on());
    assert!(factory().is_named("otlphttp") && factory().is_named("otlp_http"));
}

#[test]
fn refuses_in_the_collectors_words() {
    for (yaml, expected) in [
        ("{}", "at least one endpoint must be specified"),
        ("endpoint: localhost:4318", "localhost:4318"),
        ("traces_endpoint: localhost:4318/v1/traces", "traces_endpoint must be a valid URL"),
        ("metrics_endpoint: 'http://'", "metrics_endpoint must be a valid URL"),
        ("logs_endpoint: 'ftp://x/logs'", "logs_endpoint must be a valid URL"),
        ("{endpoint: 'http://x', encoding: xml}", "encoding"),
        ("{endpoint: 'http://x', timeout: -1s}", "timeout"),
        ("{endpoint: 'http://x', sending_queue: {num_consumers: 0}}", "`num_consumers` must be positive"),
        ("{endpoint: 'http://x', queue: {}}", "has invalid keys: queue"),
    ] {
        let errors = config::decode_str::<OtlpHttpConfig>(yaml).unwrap_err().to_string();
        assert!(errors.contains(expected), "{yaml}: {errors}");
    }
}

#[test]
fn profiles_are_accepted_with_a_warning() {
    let (_, warnings) = config::decode_str::<OtlpHttpConfig>("profiles_endpoint: http://x/p").unwrap();
    assert!(warnings[0].to_string().contains("no effect"), "{}", warnings[0]);
}

#[test]
fn a_signal_without_url_cannot_be_built() {
    let subject = |signal| Subject::new(factory()).with_config("{traces_endpoint: 'http://x/t'}").with_signal(signal);
    let build = |signal| subject(signal).build(&World::new(), Sink::accepting());
    assert!(build(Signal::Traces).is_ok());
    let error = build(Signal::Logs).unwrap_err();
    assert!(error.ends_with("either endpoint or logs_endpoint must be specified"), "{error}");
}

#[test]
fn the_readme_has_the_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in Signal::ALL {
        let subject = Subject::new(factory())
            .with_signal(signal)
            .with_config("{endpoint: 'http://127.0.0.1:1'}")
            .with_invalid_default("at least one endpoint must be specified");
        testkit::suite::contract(&subject).await.unwrap();
    }
}
