//! The configuration as users write it.

use pdata::Signal;
use processor_probabilistic_sampler::config::{AttributeSource, Mode, SamplerConfig};

#[test]
fn defaults_and_every_key() {
    let (config, _) = config::decode_str::<SamplerConfig>("{}").unwrap();
    assert_eq!((config.mode, config.fail_closed, config.sampling_precision), (Mode::HashSeed, true, 4));
    assert_eq!(config.attribute_source, AttributeSource::TraceId);
    let yaml = "{sampling_percentage: 15.3, mode: hash_seed, hash_seed: 22, fail_closed: false, sampling_precision: 14,
        attribute_source: record, from_attribute: a, sampling_priority: p, rules: [{severity_min: 9, sampling_percentage: 1}]}";
    let (config, warnings) = config::decode_str::<SamplerConfig>(yaml).unwrap();
    assert!(warnings.is_empty());
    assert_eq!((config.mode, config.hash_seed, config.sampling_precision), (Mode::HashSeed, 22, 14));
    assert_eq!((config.from_attribute.as_str(), config.sampling_priority.as_str()), ("a", "p"));
    assert_eq!(config::decode_str::<SamplerConfig>("{mode: \"\"}").unwrap().0.mode, Mode::HashSeed);
}

#[test]
fn what_cannot_be_is_refused() {
    for (yaml, message) in [
        ("{sampling_percentage: -1}", "sampling rate is negative: -1%"),
        ("{sampling_percentage: 1e-30}", "sampling rate is too small"),
        ("{sampling_percentage: .nan}", "sampling rate is invalid"),
        ("{sampling_precision: 0}", "invalid sampling precision: 0"),
        ("{sampling_precision: 15}", "sampling precision must be 1 to 14, got 15"),
        ("{mode: random}", "mode"),
        ("{attribute_source: span}", "attribute_source"),
        ("{trace_decisions: batch}", "`trace_decisions` must name a `tail_sampling` processor, got `batch`"),
        ("{trace_wait: -1s}", "`trace_wait` must be between 0s and 24h"),
        ("{rules: [{severity_min: 9}]}", "sampling_percentage"),
        ("{rules: [{severity_min: 30, sampling_percentage: 1}]}", "`severity_min` must be 1 to 24"),
        ("{rules: [{severity_min: 9, severity_max: 5, sampling_percentage: 1}]}", "no record can fit"),
        ("{rules: [{values: [a], sampling_percentage: 1}]}", "`values` needs `attribute`"),
    ] {
        let errors = config::decode_str::<SamplerConfig>(yaml).unwrap_err().to_string();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
}

#[test]
fn settings_that_can_do_nothing_are_told() {
    let waiting = "trace_decisions: tail_sampling, trace_wait: 5s, max_waiting_bytes: 1000";
    for (yaml, idle) in [
        ("{mode: equalizing, hash_seed: 22}", &["hash_seed"][..]),
        ("{sampling_precision: 14}", &["sampling_precision"]),
        ("{sampling_precision: 14, sampling_priority: p}", &[]),
        ("{mode: proportional, from_attribute: a, attribute_source: record}", &["from_attribute", "attribute_source"]),
        ("{attribute_source: record}", &["attribute_source"]),
        ("{trace_wait: 5s, max_waiting_bytes: 1000}", &["trace_wait", "max_waiting_bytes"]),
        (&format!("{{{waiting}}}"), &[]),
    ] {
        let (_, warnings) = config::decode_str::<SamplerConfig>(yaml).unwrap();
        assert!(warnings.iter().all(|warning| warning.code == config::codes::IDLE_SETTING), "{yaml}: {warnings:?}");
        let fields: Vec<&str> = warnings.iter().map(|warning| warning.setting.as_str()).collect();
        assert_eq!(fields, idle, "{yaml}");
    }
}

#[test]
fn settings_for_log_records_do_nothing_where_there_are_none() {
    let yaml = "{attribute_source: record, from_attribute: a, sampling_priority: p, trace_decisions: tail_sampling, trace_wait: 5s,
        rules: [{sampling_percentage: 1}]}";
    let (config, _) = config::decode_str::<SamplerConfig>(yaml).unwrap();
    let keys = |signals| config.idle_for(signals).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    let of_logs = ["attribute_source", "from_attribute", "sampling_priority", "rules", "trace_decisions", "trace_wait"];
    assert_eq!(keys(&[Signal::Traces]), of_logs);
    assert!(keys(&[Signal::Traces, Signal::Logs]).is_empty());
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &processor_probabilistic_sampler::factory())
        .unwrap();
}
