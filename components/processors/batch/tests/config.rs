//! The configuration as users write it.

use std::time::Duration;

use processor_batch::config::BatchConfig;

#[test]
fn defaults_and_every_key() {
    let (config, warnings) = config::decode_str::<BatchConfig>("{}").unwrap();
    assert!(warnings.is_empty());
    assert_eq!(config.timeout.as_std(), Some(Duration::from_millis(200)));
    assert_eq!((config.send_batch_size, config.send_batch_max_size), (8192, 0));
    assert_eq!((config.metadata_keys.len(), config.metadata_cardinality_limit), (0, 1000));
    let (config, _) = config::decode_str::<BatchConfig>(
        "{timeout: 10s, send_batch_size: 5, send_batch_max_size: 6, metadata_keys: [a, B], metadata_cardinality_limit: 0}",
    )
    .unwrap();
    assert_eq!(config.timeout.as_std(), Some(Duration::from_secs(10)));
    assert_eq!((config.send_batch_size, config.send_batch_max_size), (5, 6));
    assert_eq!((config.metadata_keys, config.metadata_cardinality_limit), (vec!["a".into(), "B".into()], 0));
}

#[test]
fn refuses_with_the_collectors_sentences() {
    for (yaml, message) in [
        ("{send_batch_max_size: 5}", "send_batch_max_size must be greater or equal to send_batch_size"),
        ("{timeout: -1s}", "timeout must be greater or equal to 0"),
        ("{metadata_keys: [x, y, X]}", "duplicate entry in metadata_keys: \"x\" (case-insensitive)"),
        ("{send_batch_size: -1}", "'send_batch_size' is out of range"),
        ("{send_batch_sise: 1}", "'' has invalid keys: send_batch_sise"),
    ] {
        let errors = config::decode_str::<BatchConfig>(yaml).unwrap_err().to_string();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &processor_batch::factory()).unwrap();
}
