//! Rendered errors, option tables and redaction, against files. `UPDATE=1 cargo test -p config --test rendering` rewrites
//! them. Each `testdata/errors/x.yaml` is loaded and decoded as the exporter below; `x.txt` is what a user sees.

use config::{
    ComponentId, Config, Decode, Errors, Headers, LoadOptions, Loaded, Optional, Secret, Unsupported, Validator, print,
};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// Exporters by ID, as in a whole configuration.
#[derive(Clone, Debug, Config)]
struct Root {
    /// Where telemetry goes.
    exporters: BTreeMap<ComponentId, Exporter>,
}

/// Sends telemetry somewhere.
#[derive(Clone, Debug, Config)]
#[config(validate = Exporter::check)]
struct Exporter {
    /// Where to send to, `host:port`.
    #[config(required)]
    endpoint: String,
    /// Limit of one attempt, 0 for none.
    #[config(default = Duration::from_secs(5))]
    timeout: Duration,
    /// Added to every request.
    headers: Headers,
    /// How requests are compressed.
    compression: Compression,
    /// What waits to be sent.
    #[config(default = Optional::some(Queue { queue_size: 500, ..Queue::default() }))]
    sending_queue: Optional<Queue>,
    /// Credentials.
    #[config(flatten)]
    login: Login,
    /// Where to go by tenant.
    routes: BTreeMap<String, Vec<Route>>,
    /// Opaque.
    #[config(no_effect = "connections are always reused")]
    reuse: bool,
    /// Not here.
    #[config(unsupported = "keys in a TPM cannot be used; use `cert_file`")]
    tpm: Unsupported,
    /// Old.
    #[config(deprecated = "use `timeout`")]
    deadline: Duration,
}

impl Exporter {
    fn check(&self, v: &mut Validator<'_>) {
        if !self.endpoint.contains(':') {
            v.error_with("endpoint", "`endpoint` must have a port", |error| {
                error.with_fix("append a port, such as `:4317`")
            });
        }
        if self.login.username.is_empty() != self.login.password.is_empty() {
            v.error("", "`username` and `password` must be given together");
        }
    }
}

#[derive(Clone, Debug, Config)]
struct Login {
    /// Who.
    username: String,
    /// Secret of who.
    password: Secret,
}

/// A queue.
#[derive(Clone, Debug, Config)]
#[config(validate = Queue::check)]
struct Queue {
    /// Entries that fit.
    #[config(default = 1000)]
    queue_size: i64,
    /// Parallel requests.
    #[config(default = 10)]
    num_consumers: u16,
    /// Batches | bigger ones.
    #[config(default = Optional::default_off(Batch::default()))]
    batch: Optional<Batch>,
}

impl Queue {
    fn check(&self, v: &mut Validator<'_>) {
        if self.queue_size <= 0 {
            v.error("queue_size", "`queue_size` must be positive");
        }
    }
}

#[derive(Clone, Debug, Config)]
struct Batch {
    /// Items to wait for.
    #[config(default = 8192)]
    min_size: u64,
}

#[derive(Clone, Debug, Config)]
struct Route {
    /// Where.
    #[config(default = "localhost:4317")]
    to: String,
    /// Further routes.
    then: Vec<Route>,
}

#[derive(Clone, Copy, Debug, Config)]
enum Compression {
    /// Good.
    #[config(default)]
    Gzip,
    Zstd,
    #[config(alias = "")]
    None,
}

fn loaded(text: &str, name: &str) -> Result<Loaded, Errors> {
    let env = |variable: &str| match variable {
        "PASSWORD" => Some("hunter2".to_owned()),
        "SIZE" => Some("12 apples".to_owned()),
        _ => None,
    };
    // the file is handed over as a variable, so that its name does not depend on where the test runs
    let env = |variable: &str| if variable == name { Some(text.to_owned()) } else { env(variable) };
    let sets = if text.starts_with("# set") {
        vec!["exporters.x.sending_queue.num_consumers=-1".to_owned()]
    } else {
        Vec::new()
    };
    config::load(&[format!("env:{name}")], &sets, &env, &LoadOptions::default())
}

fn errors_of(text: &str, name: &str) -> Errors {
    match loaded(text, name) {
        Ok(loaded) => {
            let mut errors = loaded.warnings;
            config::decode(&loaded.root, Root::default(), "", &mut errors);
            errors
        }
        Err(errors) => errors,
    }
}

/// Compares with a file, or rewrites it.
fn matches_file(path: &Path, found: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).expect("testdata can be written");
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, expected, "{} is stale; see it with UPDATE=1", path.display());
}

fn testdata() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

#[test]
fn errors_look_as_expected() {
    let mut seen = 0;
    let mut paths: Vec<_> =
        fs::read_dir(testdata().join("errors")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let errors = errors_of(&text, name);
        assert!(!errors.is_empty(), "{name}");
        for rendered in [errors.render_text(true), errors.render_json(), errors.render_github()] {
            assert!(!rendered.contains("hunter2"), "{name} shows a secret:\n{rendered}");
        }
        let found = errors.render_text(false);
        assert!(!found.contains("hunter2"), "{name} shows a secret:\n{found}");
        matches_file(&path.with_extension("txt"), &found);
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn machine_readable_forms() {
    let text = fs::read_to_string(testdata().join("errors/mixed.yaml")).unwrap();
    let errors = errors_of(&text, "mixed.yaml");
    matches_file(&testdata().join("mixed.json"), &errors.render_json());
    matches_file(&testdata().join("mixed.github"), &errors.render_github());
}

#[test]
fn colors_are_optional() {
    let errors = errors_of("exporters: {x: {}}", "a");
    assert!(errors.render_text(true).contains("\u{1b}[1;31m"));
    assert!(!errors.render_text(false).contains('\u{1b}'));
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let errors = errors_of("exporters: {x: {endpoint: a:1, \"\\e[2Jbad\": 1, \u{7f}worse: 1}}", "a");
    assert!(!errors.render_text(false).contains('\u{1b}'), "{}", errors.render_text(false));
}

#[test]
fn long_lines_are_cut_around_the_caret() {
    let errors = errors_of(&format!("exporters: {{x: {{endpoint: 'a:{}', bad: 1}}}}", "y".repeat(1000)), "a");
    let text = errors.render_text(false);
    assert!(text.lines().all(|line| line.chars().count() < 250), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let at = lines[3].find('^').unwrap();
    let before: Vec<char> = lines[2].chars().collect();
    let caret = lines[3].chars().take_while(|c| *c != '^').count();
    assert_eq!(before[caret..caret + 3].iter().collect::<String>(), "bad", "{at}\n{text}");
}

#[test]
fn the_option_table_is_generated() {
    matches_file(&testdata().join("options.md"), &Exporter::schema().to_markdown());
}

#[test]
fn secrets_are_redacted_by_schema_and_by_name() {
    let text = "exporters:
  x:
    endpoint: a:1
    password: hunter2
    headers: {authorization: hunter2, x-tenant: hunter2}
  y:
    endpoint: b:1
    headers: [{name: a, value: hunter2}]
    password: ${env:PASSWORD}
    unknown: {token: hunter2, api-key: 5, name: shown}
";
    let root = loaded(text, "a").unwrap().root;
    let redacted = Root::schema().redact(&root);
    let printed = print::to_yaml(&redacted);
    assert!(!printed.contains("hunter2"), "{printed}");
    matches_file(&testdata().join("redacted.yaml"), &printed);
    assert!(print::to_yaml(&root).contains("hunter2"));
    assert!(!print::to_json(&redacted).contains("hunter2"));
    let placed = print::to_yaml_with_origins(&redacted);
    assert!(placed.contains("endpoint: a:1 # env:a:3:15"), "{placed}");
}

#[test]
fn defaults_print() {
    let defaults = Exporter::default().encode();
    matches_file(&testdata().join("defaults.yaml"), &print::to_yaml(&defaults.into()));
}
