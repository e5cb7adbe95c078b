//! The configuration as users write it.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use processor_attributes::config::AttributesConfig;

#[test]
fn reads_every_key() {
    let (config, warnings) = config::decode_str::<AttributesConfig>(
        "
include:
  match_type: strict
  services: [a]
  span_names: [b]
  span_kinds: [SPAN_KIND_SERVER]
  attributes: [{key: c, value: 1}]
  resources: [{key: d}]
  libraries: [{name: e, version: '1'}]
exclude:
  match_type: regexp
  regexp: {cacheenabled: true, cachemaxnumentries: 100}
  log_bodies: [f]
  log_severity_texts: [g]
  log_severity_number: {min: 9, match_undefined: true}
  metric_names: [h]
actions:
  - {key: i, action: insert, value: 1, default_value: 2}
  - {key: j, action: UPDATE, from_attribute: k}
  - {key: l, action: upsert, from_context: metadata.m}
  - {key: n, action: extract, pattern: '(?P<o>.)'}
  - {key: p, action: convert, converted_type: double}
",
    )
    .unwrap();
    assert_eq!(config.actions.len(), 5);
    let include = config.matching.include.unwrap();
    assert_eq!((include.services, include.span_kinds.len()), (vec!["a".to_owned()], 1));
    assert_eq!(config.matching.exclude.unwrap().log_severity_number.unwrap().min, 9);
    let warnings: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["`exclude.regexp` has no effect: matching is fast without a cache"]);
}

/// What a user sees.
fn rendered(yaml: &str) -> String {
    config::decode_str::<AttributesConfig>(yaml).unwrap_err().render_text(false)
}

#[test]
fn errors_point_at_the_setting() {
    let yaml = "actions:\n  - key: a\n    action: delete\n  - action: hash\n    pattern: 'user(.id'\n";
    let expected = r#"error[E0120] actions::1: error creating AttrProc. Field "pattern" has invalid pattern: "user(.id" to be set at the 1-th actions: unclosed group
  test.yaml:5:14
    4 |   - action: hash
    5 |     pattern: 'user(.id'
      |              ^^^^^^^^^^
  more: weir explain E0120
"#;
    assert_eq!(rendered(yaml), expected);
    let yaml = "exclude:\n  match_type: strictly\n  services: [a]\nactions:\n  - {key: a, action: delete}\n";
    let expected = r#"error[E0120] exclude: error creating service name filters: unrecognized match_type: 'strictly', valid types are: [regexp strict]; did you mean `strict`?
  test.yaml:2:15
    1 | exclude:
    2 |   match_type: strictly
      |               ^^^^^^^^
  more: weir explain E0120
"#;
    assert_eq!(rendered(yaml), expected);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let yaml = "
include: {match_type: regexp, span_names: ['*', 'a(']}
actions:
  - {key: a, action: erase}
  - {key: b, action: insert}
  - {key: c, action: insert, value: 1, valeu: 2}
";
    // An unknown key first: what the values mean is asked only then.
    let errors = rendered(yaml);
    assert!(errors.contains("'actions[2]' has invalid keys: valeu"), "{errors}");
    let errors = rendered(&yaml.replace(", valeu: 2", ""));
    for message in [
        "include::span_names: error creating span name filters: error parsing regexp: repetition operator missing \
         expression: `*`",
        "include::span_names: error creating span name filters: error parsing regexp: unclosed group: `a(`",
        "actions::0: error creating AttrProc due to unsupported action \"erase\" at the 0-th actions",
        "error creating AttrProc. Either field \"value\", \"from_attribute\" or \"from_context\" setting must be specified \
         for 1-th action",
    ] {
        assert!(errors.contains(message), "{message}: {errors}");
    }
    let misspelt = rendered("actions: [{key: a, value: 1, action: upset}]");
    assert!(
        misspelt.contains("unsupported action \"upset\" at the 0-th actions; did you mean `upsert`?"),
        "{misspelt}"
    );
    assert!(rendered("{}").contains("missing required field \"actions\""));
    assert!(rendered("actions: []").contains("missing required field \"actions\""));
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &processor_attributes::factory()).unwrap();
}
