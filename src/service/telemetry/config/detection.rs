//! `service::telemetry::resource::detection/development`: attributes of the resource that are looked up on the machine.
//!
//! What cannot be found is left out. Arguments of the process are left out as well: they may hold secrets.

use std::path::Path;

use config::{Config, Optional};

use super::metrics::IncludeExclude;
use super::resource::AttributeValue;
use super::traces::EmptyConfig;

/// Hexadecimal digits of a container's ID.
const CONTAINER_ID_DIGITS: usize = 64;

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Config)]
pub(super) struct DetectionConfig {
    /// Which of the attributes that are found count, by name.
    pub attributes: IncludeExclude,
    /// What is looked at; of an attribute that is found twice, the first.
    pub detectors: Vec<DetectorConfig>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Config)]
pub(super) struct DetectorConfig {
    /// `container.id`.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub container: Optional<EmptyConfig>,
    /// `host.name`, `host.id`, `host.arch`.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub host: Optional<EmptyConfig>,
    /// `os.type`, `os.description`.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub os: Optional<EmptyConfig>,
    /// `process.pid`, `process.executable.name`, `process.executable.path`.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub process: Optional<EmptyConfig>,
    /// `service.name` from the variable `OTEL_SERVICE_NAME`.
    #[config(default = Optional::default_off(EmptyConfig::default()))]
    pub service: Optional<EmptyConfig>,
}

impl DetectionConfig {
    /// What is found on a machine whose file system begins at `root`.
    pub(super) fn find(&self, root: &Path) -> Vec<(&'static str, AttributeValue)> {
        let mut found: Vec<(&'static str, AttributeValue)> = Vec::new();
        let text =
            |name, value: Option<String>| Some((name, AttributeValue::Text(value.filter(|value| !value.is_empty())?)));
        for detector in &self.detectors {
            if detector.container.is_on() {
                found.extend(text("container.id", container_id(root)));
            }
            if detector.host.is_on() {
                found.extend(text("host.name", read(root, "proc/sys/kernel/hostname")));
                found.extend(text("host.id", read(root, "etc/machine-id")));
                found.extend(text("host.arch", Some(arch().to_owned())));
            }
            if detector.os.is_on() {
                found.extend(text("os.type", Some(std::env::consts::OS.to_owned())));
                found.extend(text("os.description", os_description(root)));
            }
            if detector.process.is_on() {
                let executable = std::env::current_exe().ok();
                let name = executable.as_ref().and_then(|path| path.file_name());
                found.push(("process.pid", AttributeValue::Int(i64::from(std::process::id()))));
                found.extend(text("process.executable.name", name.map(|name| name.to_string_lossy().into_owned())));
                found.extend(text("process.executable.path", executable.map(|path| path.display().to_string())));
            }
            if detector.service.is_on() {
                found.extend(text("service.name", std::env::var("OTEL_SERVICE_NAME").ok()));
            }
        }
        found.retain(|(name, _)| self.attributes.contains(name));
        found
    }
}

fn read(root: &Path, path: &str) -> Option<String> {
    std::fs::read_to_string(root.join(path)).ok().map(|text| text.trim().to_owned())
}

/// The ID that the container's engine put into the names of control groups or mounts.
fn container_id(root: &Path) -> Option<String> {
    let is_id = |part: &&str| part.len() == CONTAINER_ID_DIGITS && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let files = ["proc/self/cgroup", "proc/self/mountinfo"];
    let mut texts = files.iter().filter_map(|path| read(root, path));
    texts.find_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()).find(is_id).map(str::to_owned))
}

/// The processor, by OpenTelemetry's names.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        other => other,
    }
}

fn os_description(root: &Path) -> Option<String> {
    let release = read(root, "etc/os-release")?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(yaml: &str, root: &Path) -> Vec<(&'static str, AttributeValue)> {
        config::decode_str::<DetectionConfig>(yaml).unwrap().0.find(root)
    }

    #[test]
    fn attributes_are_found_on_the_machine() {
        let root = tempfile::tempdir().unwrap();
        let id = "0123456789abcdef".repeat(4);
        for (path, text) in [
            ("proc/sys/kernel/hostname", "node-1\n"),
            ("etc/machine-id", "4f0c\n"),
            ("etc/os-release", "ID=x\nPRETTY_NAME=\"X 1\"\n"),
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", &format!("1 2 0:3 /docker/containers/{id}/hostname /etc/hostname rw\n")),
        ] {
            std::fs::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(path), text).unwrap();
        }
        let yaml = "{detectors: [{container: }, {host: {}}, {os: , process: {enabled: false}}], attributes: {excluded: [host.a*]}}";
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        let expected = [
            ("container.id", text(&id)),
            ("host.name", text("node-1")),
            ("host.id", text("4f0c")),
            ("os.type", text(std::env::consts::OS)),
            ("os.description", text("X 1")),
        ];
        assert_eq!(found(yaml, root.path()), expected);
        assert_eq!(found("{detectors: [{process: }]}", root.path()).len(), 3);
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        for yaml in ["{}", "{detectors: [{container: }, {host: }], attributes: {included: [host.name, '*.id']}}"] {
            assert!(found(yaml, root.path()).is_empty(), "{yaml}");
        }
    }
}
