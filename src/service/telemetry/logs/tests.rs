//! Lines as they come out of the subscriber, through files.

use config::decode_str;
use tracing::{error, info, warn};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// What a program that logs `log` writes to its file; `FILE` in the configuration stands for the path.
fn written(yaml: &str, overrides: &LogOverrides, log: impl FnOnce()) -> Vec<String> {
    let name = format!("weir-log-{}-{:x}", std::process::id(), super::super::resource::random());
    let path = std::env::temp_dir().join(name);
    let config = decode_str::<LogsConfig>(&yaml.replace("FILE", path.to_str().unwrap())).unwrap().0;
    let resource = Resource::test(&[("service.name", "weir")]);
    let logs = Logs::prepare(&config, overrides, &resource).unwrap();
    let subscriber = tracing_subscriber::registry().with(logs.filter).with(Writer::new(logs.lines));
    tracing::subscriber::with_default(subscriber, log);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn console_lines_hold_message_fields_and_initial_fields() {
    let lines =
        written("{output_paths: [FILE], initial_fields: {site: north, n: 1}}", &LogOverrides::default(), || {
            info!(items = 3, peer = "a b", "took\nit");
            tracing::debug!("not at this level");
        });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (time, rest) = lines[0].split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.len() == "2026-11-21T09:54:38.123456Z".len(), "{time}");
    let expected = format!(" INFO {}: took\\nit items=3 peer=\"a b\" site=north n=1", module_path!());
    assert_eq!(rest, expected);
}

#[test]
fn json_lines_are_objects_with_the_resource() {
    let log = || {
        let cause = std::io::Error::other("disk \"full\"");
        let failure = StartError::new(&"a".parse().unwrap(), "listen", cause);
        error!(error = &failure as &dyn std::error::Error, code = 7_u64, ok = false, "cannot {}", "start");
    };
    let yaml = "{output_paths: [FILE], encoding: json, initial_fields: {code: 1, tags: [a, {b: 2.5}]}}";
    let line = &written(yaml, &LogOverrides::default(), log)[0];
    let object: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(object["level"], "error");
    assert_eq!(object["msg"], "cannot start");
    assert_eq!(object["error"], "cannot start `a`: listen: disk \"full\"");
    assert_eq!((&object["code"], &object["ok"]), (&7.into(), &false.into()));
    assert_eq!(object["tags"], serde_json::json!(["a", {"b": 2.5}]));
    assert_eq!(object["resource"], serde_json::json!({"service.name": "weir"}));
    assert_eq!(line.matches("\"code\"").count(), 1, "{line}");
    let yaml = "{output_paths: [FILE], encoding: json, disable_zap_resource: true}";
    assert!(!written(yaml, &LogOverrides::default(), log)[0].contains("resource"));
}

#[test]
fn the_command_line_wins_and_sampling_leaves_out() {
    let overrides = LogOverrides { level: Some("warn".to_owned()), json: Some(false) };
    let lines = written(
        "{output_paths: [FILE], level: DEBUG, encoding: json, sampling: {initial: 2, thereafter: 0}}",
        &overrides,
        || {
            info!("no");
            (0..5).for_each(|n| warn!(n, "yes"));
        },
    );
    assert!(lines.len() == 2 && lines[1].ends_with("yes n=1"), "{lines:?}");
    let lines = written("{output_paths: [FILE], sampling: {enabled: false}}", &LogOverrides::default(), || {
        (0..500).for_each(|_| warn!("yes"));
    });
    assert_eq!(lines.len(), 500);
}

#[test]
fn what_cannot_be_opened_or_understood_is_named() {
    let prepare = |yaml: &str, level: Option<&str>| {
        let config = decode_str::<LogsConfig>(yaml).unwrap().0;
        let overrides = LogOverrides { level: level.map(str::to_owned), json: None };
        Logs::prepare(&config, &overrides, &Resource::test(&[])).map(drop).map_err(|error| error.to_string())
    };
    let missing = "cannot start `telemetry`: open the log output `/nowhere/at/all.log`";
    assert_eq!(prepare("output_paths: [/nowhere/at/all.log]", None).unwrap_err(), missing);
    assert_eq!(prepare("", Some("loud")).unwrap_err(), "cannot start `telemetry`: log at level `loud`");
    for level in ["trace", "WARN", "off", "info,weir=debug"] {
        prepare("", Some(level)).unwrap();
    }
}

#[test]
fn failing_outputs_are_told_of_once() {
    let path = std::env::temp_dir().join(format!("weir-log-errors-{}", std::process::id()));
    let errors = Outputs::open(&[format!("file://{}", path.display())]).unwrap();
    let outputs = Outputs::open(&["/dev/full".to_owned()]).unwrap();
    outputs.write(b"a\n", &errors);
    outputs.write(b"b\n", &errors);
    let told = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(told.starts_with("cannot write log lines to `/dev/full`: ") && told.lines().count() == 1, "{told}");
}
