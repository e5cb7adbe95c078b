//! Configuration, and the contract.

use component::{Component, Extension};
use delivery::Sizer;
use net::client::config::Compression;
use pdata::Signal;
use testkit::{Sink, Subject, World};

use crate::{OtlpGrpcConfig, factory};

#[test]
fn defaults_are_the_collectors() {
    let (config, warnings) = config::decode_str::<OtlpGrpcConfig>("endpoint: localhost:4317").unwrap();
    assert!(warnings.is_empty());
    assert_eq!(config.client.compression, Compression::Gzip);
    assert_eq!((config.client.write_buffer_size, config.client.balancer_name.as_str()), (524_288, "round_robin"));
    assert!(!config.client.keepalive.is_on());
    assert_eq!(config.timeout.timeout.to_string(), "5s");
    let queue = config.delivery.sending_queue.get().unwrap();
    assert_eq!((queue.queue_size, queue.num_consumers, queue.queue_sizer()), (1000, 10, Sizer::Requests));
    assert!(config.delivery.retry_on_failure.enabled);
}

#[test]
fn refuses_in_the_collectors_words() {
    for (yaml, expected) in [
        ("{}", "requires a non-empty \"endpoint\""),
        ("endpoint: localhost", "lacks a port"),
        ("{endpoint: 'x:1', balancer_name: best}", "invalid balancer_name"),
        ("{endpoint: 'x:1', compression: zlib}", "unsupported compression type"),
        ("{endpoint: 'x:1', timeout: -1s}", "'timeout' must be non-negative"),
        ("{endpoint: 'x:1', queue_settings: {}}", "has invalid keys: queue_settings"),
        ("{endpoint: 'x:1', batcher: {}}", "has invalid keys: batcher"),
        ("{endpoint: 'x:1', sending_queue: {queue_size: 0}}", "`queue_size` must be positive"),
        ("{endpoint: 'x:1', retry_on_failure: {multiplier: -1}}", "'multiplier' must be non-negative"),
    ] {
        let errors = config::decode_str::<OtlpGrpcConfig>(yaml).unwrap_err().to_string();
        assert!(errors.contains(expected), "{yaml}: {errors}");
    }
}

#[test]
fn refers_to_its_extensions() {
    let yaml = "{endpoint: 'x:1', auth: {authenticator: a/1}, sending_queue: {storage: b/2}}";
    let (config, _) = config::decode_str::<OtlpGrpcConfig>(yaml).unwrap();
    assert_eq!(config.extension_refs().iter().map(ToString::to_string).collect::<Vec<_>>(), ["a/1", "b/2"]);
    assert!(factory().is_named("otlp") && factory().is_named("otlp_grpc"));
}

struct Other;

impl Component for Other {}

impl Extension for Other {}

#[tokio::test]
async fn an_extension_that_cannot_do_it_is_refused_at_start() {
    let world = World::new();
    let extension: std::sync::Arc<dyn Extension> = std::sync::Arc::new(Other);
    world.host.set_extensions([("health_check".parse().unwrap(), extension)].into());
    for (block, expected) in [
        ("sending_queue: {storage: health_check}", "extension `health_check` is not a storage extension"),
        ("auth: {authenticator: health_check}", "`health_check`"),
        ("auth: {authenticator: missing}", "`missing`"),
    ] {
        let subject = Subject::new(factory()).with_config(&format!("{{endpoint: 'localhost:1', {block}}}"));
        let built = subject.build(&world, Sink::accepting()).unwrap();
        let error = built.component.start(&world.host).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
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
            .with_config("{endpoint: '127.0.0.1:1', tls: {insecure: true}}")
            .with_invalid_default("requires a non-empty \"endpoint\"");
        testkit::suite::contract(&subject).await.unwrap();
    }
}
