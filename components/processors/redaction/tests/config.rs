//! The configuration as users write it.

use processor_redaction::config::{Action, Fate, HashFunction, RedactionConfig, Summary, Surfaces, TierEntry};

#[test]
fn defaults_are_the_collectors() {
    let (config, warnings) = config::decode_str::<RedactionConfig>("{}").unwrap();
    assert!(warnings.is_empty());
    assert!(!config.allow_all_keys && config.allowed_keys.is_empty() && !config.redact_all_types);
    assert_eq!((config.hash_function, config.summary), (HashFunction::None, Summary::Silent));
    assert!(!config.url_sanitizer.enabled && config.url_sanitizer.sanitize_span_name);
    assert!(!config.db_sanitizer.sql.enabled && config.db_sanitizer.sanitize_span_name);
    assert_eq!((config.detectors.iter().count(), config.action), (0, Action::Mask));
    assert_eq!(
        (config.surfaces, config.unknown_fields, config.binary_values),
        (Surfaces::All, Fate::Remove, Fate::Keep)
    );
    assert_eq!((config.value_bytes_max, config.hmac.truncate_bits), (65536, 80));
}

#[test]
fn every_key_is_taken() {
    let (config, warnings) = config::decode_str::<RedactionConfig>(
        r#"
allow_all_keys: true
allowed_keys: [a]
ignored_keys: [b]
ignored_key_patterns: [c]
blocked_key_patterns: [d]
blocked_values: [e]
allowed_values: [f]
redact_all_types: true
hash_function: hmac-sha512
hmac_key: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
summary: info
url_sanitizer: {enabled: true, attributes: [url], sanitize_span_name: false}
db_sanitizer:
  sanitize_span_name: false
  sql: {enabled: true, attributes: [q]}
  redis: {enabled: true}
  valkey: {enabled: true}
  memcached: {enabled: true}
  mongo: {enabled: true}
  opensearch: {enabled: true}
  es: {enabled: true}
detectors:
  - payment_card
  - email: {action: hmac}
  - ipv4: {action: partial, prefix: 20, skip_private: true}
    ipv6: {skip_private: true}
  - url_query: {parameters: [token, sig], label: X, action: mask}
action: sha256
hmac:
  truncate_bits: 128
  keys:
    - {id: k2, key: 0123456789abcdef0123456789abcdef}
    - {id: k1, key: 0123456789abcdef0123456789abcdef}
tiers:
  none: [phone, key: '^x']
  low: [iban]
  high: [jwt]
  forbidden: [us_ssn, key: secret]
surfaces: collector
unknown_fields: keep
binary_values: remove
value_bytes_max: 1000
"#,
    )
    .unwrap();
    assert!(warnings.is_empty());
    let detectors: Vec<_> = config.detectors.iter().map(|detector| detector.kind.name()).collect();
    assert_eq!(detectors, ["payment_card", "email", "ipv4", "ipv6", "url_query"]);
    let ipv4 = config.detectors.iter().nth(2).unwrap();
    assert_eq!(
        (ipv4.config.action, ipv4.config.prefix, ipv4.config.skip_private),
        (Some(Action::Partial), Some(20), Some(true))
    );
    assert_eq!(config.tiers.forbidden.0.len(), 2);
    assert_eq!(config.tiers.forbidden.0[1], TierEntry::Key("secret".to_owned()));
    assert_eq!((config.action, config.hmac.keys.len()), (Action::Sha256, 2));
    let (all, _) = config::decode_str::<RedactionConfig>("detectors: all").unwrap();
    assert_eq!(all.detectors.iter().count(), detectors::Kind::ALL.len());
}

#[test]
fn what_is_wrong_is_told_where_it_is() {
    let key = "0123456789abcdef0123456789abcdef";
    for (yaml, place, message) in [
        ("{blocked_values: [a, '(b']}", "1:22", "error parsing regexp"),
        ("{allowed_values: ['(b']}", "1:19", "error parsing regexp"),
        ("{blocked_key_patterns: ['(b']}", "1:25", "error parsing regexp"),
        ("{ignored_key_patterns: ['(b']}", "1:25", "error parsing regexp"),
        ("{hash_function: sha2}", "1:17", "does not know the text `sha2`"),
        ("{hash_function: hmac-sha256}", "1:17", "needs an `hmac_key` of 32 bytes or more, got 0"),
        ("{hash_function: hmac-sha512, hmac_key: short}", "1:40", "needs an `hmac_key` of 64 bytes or more, got 5"),
        ("{summary: verbose}", "1:11", "does not know the text `verbose`"),
        ("{detectors: [emial]}", "1:14", "does not know the detector `emial`"),
        ("{detectors: [all]}", "1:14", "does not know the detector `all`"),
        ("{detectors: [email, email]}", "1:21", "the detector `email` is given twice"),
        ("{detectors: email}", "1:13", "expected `all` or a list of detectors"),
        ("{detectors: [email: {prefix: 3}]}", "1:30", "`email` has no `prefix`"),
        ("{detectors: [ipv4: {prefix: 33}]}", "1:29", "`prefix` must be 1 to 32, got 33"),
        ("{detectors: [email: {skip_private: true}]}", "1:36", "`email` has no `skip_private`"),
        ("{detectors: [ipv4: {skip_private: true}, ipv6]}", "", "must be the same for `ipv4` and `ipv6`"),
        ("{detectors: [email: {parameters: [a]}]}", "1:34", "`email` has no `parameters`"),
        ("{detectors: [url_query: {parameters: ['a=']}]}", "1:38", "holds `=`"),
        ("{detectors: [email: {acton: drop}]}", "1:22", "invalid keys: acton"),
        ("{action: hmac}", "1:10", "`action: hmac` needs a key in `hmac::keys`"),
        ("{detectors: [email: {action: hmac}]}", "1:30", "`action: hmac` needs a key in `hmac::keys`"),
        ("{hmac: {keys: [{id: a, key: short}]}}", "1:29", "`key` must have 32 bytes or more, got 5"),
        (&format!("{{hmac: {{keys: [{{id: a b, key: {key}}}]}}}}"), "1:21", "`id` must be 1 to 16 letters"),
        (&format!("{{hmac: {{keys: [{{id: a, key: {key}}}, {{id: a, key: {key}}}]}}}}"), "1:69", "given twice"),
        ("{hmac: {keys: [{id: a}]}}", "1:16", "lacks `key`"),
        ("{hmac: {truncate_bits: 81}}", "1:24", "64 to 256 in steps of 8, got 81"),
        ("{tiers: {high: [emial]}}", "1:17", "does not know the detector `emial`"),
        ("{tiers: {low: [key: x]}}", "1:16", "has no part that could stay"),
        ("{tiers: {high: [key: '(x']}}", "1:22", "error parsing regexp"),
        ("{tiers: {high: [email], low: [email]}}", "", "in the tier `low` already"),
        ("{tiers: {high: [email]}, detectors: [email: {action: drop}]}", "1:17", "has an `action` already"),
        ("{value_bytes_max: 0}", "1:19", "must be 1 to 16777216"),
        ("{surfaces: some}", "1:12", "does not know the text `some`"),
    ] {
        let errors = config::decode_str::<RedactionConfig>(yaml).unwrap_err().to_string();
        assert!(errors.contains(message), "{yaml}: {errors}");
        assert!(errors.contains(&format!("test.yaml:{place}")), "{yaml}, {place}: {errors}");
        assert!(!errors.contains(key), "{errors}");
    }
}

#[test]
fn tiers_report_all_their_errors_in_their_places() {
    let errors = config::decode_str::<RedactionConfig>("{tiers: {high: [emial, key: '(x'], none: [key: '(y']}}");
    let errors = errors.unwrap_err().to_string();
    for expected in ["1:17", "1:29", "`(x`", "1:48", "`(y`"] {
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
    let errors = config::decode_str::<RedactionConfig>("{detectors: [all]}").unwrap_err();
    assert_eq!(errors.iter().next().unwrap().fix.as_deref(), Some("`all` stands alone: write `detectors: all`"));
}

#[test]
fn settings_that_can_do_nothing_are_told() {
    let key = "0123456789abcdef0123456789abcdef";
    let keys = format!("hmac: {{keys: [{{id: a, key: {key}}}]}}");
    for (yaml, place, message) in [
        (format!("{{hash_function: md5, hmac_key: {key}}}"), "1:32", "`hmac_key` has no effect"),
        (format!("{{hmac_key: {key}}}"), "1:12", "`hmac_key` has no effect"),
        ("{detectors: [ipv4: {prefix: 16}]}".to_owned(), "1:29", "`prefix` has no effect without `action: partial`"),
        ("{detectors: [ipv4: {prefix: 16, action: drop}], action: partial}".to_owned(), "1:29", "`prefix` has no"),
        ("{detectors: [email: {label: X, action: partial}]}".to_owned(), "1:29", "`label` has no effect"),
        (format!("{{detectors: [email: {{label: X}}], action: hmac, {keys}}}"), "1:29", "`label` has no effect"),
        ("{detectors: [email: {label: X}], tiers: {forbidden: [email]}}".to_owned(), "1:29", "`label` has no effect"),
        (format!("{{detectors: all, {keys}}}"), "1:31", "`keys` has no effect: no action is `hmac`"),
        ("{blocked_values: [a, '']}".to_owned(), "1:22", "the empty pattern has no effect"),
    ] {
        let (_, warnings) = config::decode_str::<RedactionConfig>(&yaml).unwrap();
        let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let [told] = told.as_slice() else { panic!("{yaml}: {told:?}") };
        assert!(told.contains(message) && !told.contains(key), "{yaml}: {told}");
        assert!(told.contains(&format!("test.yaml:{place}")), "{yaml}, {place}: {told}");
    }
    for yaml in [
        format!("{{detectors: [email: {{action: hmac}}], {keys}}}"),
        format!("{{detectors: all, action: hmac, {keys}}}"),
        "{detectors: [ipv4: {prefix: 16}], action: partial}".to_owned(),
        "{detectors: [ipv4: {prefix: 16}], tiers: {low: [ipv4]}}".to_owned(),
        "{detectors: [jwt: {label: X, action: partial}]}".to_owned(),
        "{detectors: [email: {label: X}], action: partial, tiers: {high: [email]}}".to_owned(),
    ] {
        let (_, warnings) = config::decode_str::<RedactionConfig>(&yaml).unwrap();
        assert!(warnings.is_empty(), "{yaml}");
    }
}

#[test]
fn examples_of_the_readme_and_of_the_collector_are_taken() {
    let readme = include_str!("../README.md").replace("${env:REDACTION_K3}", "0123456789abcdef0123456789abcdef");
    let blocks: Vec<&str> = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let (_, settings) = block.split_once("  redaction:\n").unwrap();
        config::decode_str::<RedactionConfig>(settings).unwrap();
    }
    let collectors = r#"
allow_all_keys: false
allowed_keys: [description, group, id, name]
ignored_keys: [safe_attribute]
blocked_key_patterns: [".*(token|api_key).*"]
blocked_values: ["4[0-9]{12}(?:[0-9]{3})?", "(5[1-5][0-9]{14})"]
allowed_values: [".+@mycompany.com"]
hash_function: md5
summary: debug
"#;
    assert!(config::decode_str::<RedactionConfig>(collectors).unwrap().1.is_empty());
}

#[test]
fn the_readme_has_the_current_options() {
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &processor_redaction::factory()).unwrap();
}
