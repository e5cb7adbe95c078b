//! The configuration as users write it.

use std::time::Duration;

use config::Severity;
use exporter_file::config::{Compression, FileConfig, Format};
use exporter_file::factory;

#[test]
fn defaults() {
    let (config, warnings) = config::decode_str::<FileConfig>("{path: x, rotation: , group_by: }").unwrap();
    assert!(warnings.is_empty());
    assert_eq!((config.format, config.compression, config.append), (Format::Json, Compression::None, false));
    assert_eq!(config.rotation, None, "null keeps it off");
    assert_eq!(config.flush_interval(), Duration::from_secs(1));
    assert_eq!(config.directory_mode(), 0o755);
    let group_by = &config.group_by;
    assert_eq!((group_by.enabled, group_by.max_open_files), (false, 100));
    assert_eq!(group_by.resource_attribute, "fileexporter.path_segment");
}

#[test]
fn every_key() {
    let (config, _) = config::decode_str::<FileConfig>(
        "
path: a/*.bin
format: proto
compression: zstd
compression_params: {level: 9}
flush_interval: 5s
group_by: {enabled: true, resource_attribute: k, max_open_files: 7}
create_directory: true
directory_permissions: '0700'
",
    )
    .unwrap();
    assert_eq!(
        (config.format, config.compression, config.compression_params.level),
        (Format::Proto, Compression::Zstd, 9)
    );
    assert_eq!((config.flush_interval(), config.directory_mode()), (Duration::from_secs(5), 0o700));
    assert_eq!((config.group_by.resource_attribute.as_str(), config.group_by.max_open_files), ("k", 7));
    let (config, _) = config::decode_str::<FileConfig>("{path: x, rotation: {}, flush_interval: 0s}").unwrap();
    let rotation = config.rotation.clone().unwrap();
    assert_eq!((rotation.max_megabytes, rotation.max_days, rotation.max_backups), (100, 0, 100));
    assert!(!rotation.localtime);
    assert_eq!(config.flush_interval(), Duration::from_secs(1));
}

#[test]
fn refuses_with_the_collectors_sentences() {
    for (yaml, message) in [
        ("{}", "path must be non-empty"),
        (
            "{path: x, append: true, compression: zstd}",
            "append and compression enabled at the same time is not supported",
        ),
        ("{path: x, append: true, rotation: {}}", "append and rotation enabled at the same time is not supported"),
        ("{path: x, format: text}", "'format' does not know the text `text`"),
        ("{path: x, compression: gzip}", "'compression' does not know the text `gzip`"),
        ("{path: x, flush_interval: -1s}", "flush_interval must be larger than zero"),
        ("{path: x, group_by: {enabled: true}}", "path must contain exactly one * when group_by is enabled"),
        ("{path: a/*/*, group_by: {enabled: true}}", "path must contain exactly one * when group_by is enabled"),
        ("{path: '*/x', group_by: {enabled: true}}", "path must not start with * when group_by is enabled"),
        (
            "{path: a/*, group_by: {enabled: true, resource_attribute: ''}}",
            "resource_attribute must not be empty when group_by is enabled",
        ),
        ("{path: a/*, group_by: {enabled: true, max_open_files: 0}}", "`max_open_files` must be positive, got 0"),
        ("{path: x, directory_permissions: '0755'}", "directory_permissions requires create_directory to be true"),
        (
            "{path: x, create_directory: true, directory_permissions: '9'}",
            "directory_permissions value must be a valid octal representation",
        ),
        (
            "{path: x, create_directory: true, directory_permissions: '1777'}",
            "directory_permissions contain invalid bits for file access",
        ),
        ("{path: x, rotation: {max_days: -1}}", "`max_days` must not be negative, got -1"),
        ("{path: x, compression: zstd, compression_params: {level: 23}}", "`level` must be between 1 and 22, got 23"),
        ("{path: x, rotation: {max_size: 1}}", "'rotation' has invalid keys: max_size"),
    ] {
        let errors = config::decode_str::<FileConfig>(yaml).expect_err(yaml).to_string();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    for (yaml, message) in [
        ("{path: a/*, rotation: {}, group_by: {enabled: true}}", "`rotation` has no effect"),
        ("{path: x, compression_params: {level: 5}}", "`level` has no effect"),
    ] {
        let (_, warnings) = config::decode_str::<FileConfig>(yaml).unwrap();
        assert_eq!(warnings.len(), 1, "{yaml}");
        assert_eq!(warnings[0].severity, Severity::Warning);
        assert!(warnings[0].message.contains(message), "{}", warnings[0].message);
    }
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}
