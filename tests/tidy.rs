//! Hygiene: what `ARCHITECTURE.md` says is absent is absent. Messages read `file:line: error: …`.
#![expect(clippy::unwrap_used, clippy::string_slice, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines a file may have; beyond it, the head comment gives the reason with the words "Long because".
const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(below: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(below) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let skipped = ["target", "corpus", "artifacts", "testdata"];
            if !skipped.iter().any(|name| path.ends_with(name)) {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    ["src", "components", "benches", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(root()).unwrap().to_owned(), text)
        })
        .collect()
}

fn report(errors: &[String]) {
    assert!(errors.is_empty(), "\n{}\n", errors.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut errors = Vec::new();
    for (path, text) in sources() {
        // A module's own tests belong to the module.
        if !path.ends_with("tests.rs") && !text.trim_start().starts_with("//!") {
            errors.push(format!("{}:1: error: a file opens with `//!` and its job in a sentence", path.display()));
        }
        let lines = text.lines().count();
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        if lines > LINES_MAX && !head.contains("Long because") {
            let path = path.display();
            errors.push(format!(
                "{path}:{LINES_MAX}: error: {lines} lines; split it, or say `Long because …` in its head"
            ));
        }
    }
    report(&errors);
}

#[test]
fn nothing_is_left_half_done() {
    // Written apart, so that this file does not find itself.
    let reminders = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut errors = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            for reminder in reminders.iter().filter(|reminder| line.contains(**reminder)) {
                errors.push(format!("{}:{}: error: `{reminder}` is left", path.display(), number + 1));
            }
            let todo = concat!("TO", "DO");
            if line.contains(todo) && !line.contains(concat!("TO", "DO(#")) {
                errors.push(format!(
                    "{}:{}: error: a reminder names an issue: {todo}(#123)",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    report(&errors);
}

/// Names under `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if let Some(section) = line.trim().strip_prefix('[') {
            inside = section.starts_with("dependencies]");
        } else if inside && let Some(name) = line.split(['.', '=', ' ']).next().filter(|name| !name.is_empty()) {
            names.push(name.to_owned());
        }
    }
    names
}

#[test]
fn crates_depend_only_downwards() {
    let base = ["pdata", "component", "config", "config_derive", "otlp", "net", "delivery"];
    let mut errors = Vec::new();
    for manifest in files(&root().join("components"), "toml") {
        if !manifest.ends_with("Cargo.toml") {
            continue;
        }
        let shown = manifest.strip_prefix(root()).unwrap().display().to_string();
        let names = dependencies(&fs::read_to_string(&manifest).unwrap());
        let is_base = shown.starts_with("components/base/");
        for name in &names {
            let is_component = ["receiver-", "processor-", "exporter-", "connector-", "extension-"]
                .iter()
                .any(|k| name.starts_with(k));
            if is_component {
                errors.push(format!("{shown}:1: error: depends on the component `{name}`; shared need moves to base/"));
            }
            if name == "testkit" {
                errors.push(format!("{shown}:1: error: testkit is for tests"));
            }
        }
        let forbidden: &[&str] = match shown.as_str() {
            "components/base/pdata/Cargo.toml" => {
                &["tokio", "serde", "serde_json", "hyper", "config", "component", "prost", "futures-util"]
            }
            "components/base/spool/Cargo.toml" => &["pdata", "component", "config", "tracing"],
            "components/base/component/Cargo.toml" => &["net", "delivery", "otlp", "hyper", "rustls"],
            "components/base/config/Cargo.toml" => &["tokio", "serde", "pdata", "component", "hyper"],
            "components/base/net/Cargo.toml" => &["otlp", "delivery", "prost"],
            "components/base/delivery/Cargo.toml" => &["net", "hyper"],
            _ => &[],
        };
        for name in names.iter().filter(|name| forbidden.contains(&name.as_str())) {
            errors.push(format!("{shown}:1: error: must not depend on `{name}` (ARCHITECTURE.md)"));
        }
        let known = |name: &&String| base.contains(&name.as_str());
        if !is_base && !names.iter().any(|name| known(&name)) {
            errors.push(format!("{shown}:1: error: a component uses the contract in base/component"));
        }
    }
    report(&errors);
}

#[test]
fn only_the_catalog_names_concrete_components() {
    let kinds = ["receiver_", "processor_", "exporter_", "connector_", "extension_"];
    let mut errors = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with("src")) {
        if path.ends_with("catalog.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let names = |kind: &&str| {
                line.match_indices(*kind).any(|(at, _)| {
                    line[at..]
                        .split_once("::factory")
                        .is_some_and(|(name, _)| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
                })
            };
            if kinds.iter().any(names) {
                errors.push(format!("{}:{}: error: only src/catalog.rs names components", path.display(), number + 1));
            }
        }
    }
    report(&errors);
}

#[test]
fn every_component_has_a_readme() {
    let mut errors = Vec::new();
    for manifest in files(&root().join("components"), "toml") {
        let folder = manifest.parent().unwrap();
        let shown = folder.strip_prefix(root()).unwrap();
        if manifest.ends_with("Cargo.toml")
            && !shown.starts_with("components/base")
            && !folder.join("README.md").exists()
        {
            errors.push(format!("{}:1: error: README.md is missing", shown.display()));
        }
    }
    report(&errors);
}
