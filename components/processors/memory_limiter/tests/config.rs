//! The configuration as users write it.

use config::{GoDuration, Severity};
use limiter::MemoryLimiterConfig;

#[test]
fn reads_every_key() {
    let (config, warnings) = config::decode_str::<MemoryLimiterConfig>(
        "{check_interval: 5s, limit_mib: 4000, spike_limit_mib: 800, limit_percentage: 75, spike_limit_percentage: 25}",
    )
    .unwrap();
    assert!(warnings.is_empty());
    assert_eq!(config.check_interval, GoDuration::parse("5s").unwrap());
    assert_eq!((config.limit_mib, config.spike_limit_mib), (4000, 800));
    assert_eq!((config.limit_percentage, config.spike_limit_percentage), (75, 25));
}

#[test]
fn garbage_collection_keys_are_taken_with_a_warning() {
    for key in [
        "min_gc_interval_when_soft_limited",
        "min_gc_interval_when_hard_limited",
        "max_gc_interval_when_soft_limited",
        "max_gc_interval_when_hard_limited",
    ] {
        let yaml = format!("{{check_interval: 1s, limit_mib: 10, {key}: 9s}}");
        let (_, warnings) = config::decode_str::<MemoryLimiterConfig>(&yaml).unwrap();
        assert_eq!(warnings.len(), 1, "{key}");
        assert_eq!(warnings[0].severity, Severity::Warning);
        assert!(warnings[0].message.contains(&format!("`{key}` has no effect")), "{}", warnings[0].message);
    }
}

#[test]
fn refuses_with_the_collectors_sentences() {
    for (yaml, message) in [
        ("{limit_mib: 10}", "'check_interval' must be greater than zero"),
        ("{check_interval: -1s, limit_mib: 10}", "'check_interval' must be greater than zero"),
        ("{check_interval: 1s}", "'limit_mib' or 'limit_percentage' must be greater than zero"),
        (
            "{check_interval: 1s, limit_percentage: 101}",
            "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred",
        ),
        (
            "{check_interval: 1s, limit_mib: 10, spike_limit_mib: 10}",
            "'spike_limit_mib' must be smaller than 'limit_mib'",
        ),
        (
            "{check_interval: 1s, limit_percentage: 10, spike_limit_percentage: 10}",
            "'spike_limit_percentage' must be smaller than 'limit_percentage'",
        ),
        (
            "{check_interval: 1s, limit_mib: 10, min_gc_interval_when_hard_limited: 11s}",
            "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'",
        ),
        ("{check_interval: 1s, limit_mib: 10, ballast_size_mib: 1}", "'' has invalid keys: ballast_size_mib"),
        ("{check_interval: 1s, limit_mib: -10}", "'limit_mib' is out of range"),
    ] {
        let errors = config::decode_str::<MemoryLimiterConfig>(yaml).unwrap_err().to_string();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &processor_memory_limiter::factory()).unwrap();
}
