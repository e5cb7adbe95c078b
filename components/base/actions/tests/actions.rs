//! What each action does to attributes, and what is refused.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use actions::{ActionConfig, Actions};
use config::{Config, Validator};
use pdata::build::{LogFields, PayloadBuilder, ValueWriter};
use pdata::edit::{Editor, Walk};
use pdata::view::ValueView;
use pdata::{Context, Metadata, Payload, RequestPart, Signal};

#[derive(Clone, Debug, Config)]
#[config(validate = List::check)]
struct List {
    actions: Vec<ActionConfig>,
}

impl List {
    fn check(&self, v: &mut Validator<'_>) {
        Actions::compile(&self.actions, "actions", &mut |problem| v.error(&problem.path, problem.message));
    }
}

/// Writes `1` as an integer, `1.5` as a double, `true`, `[]` as a list of two, `{}` as a map, `b:x` as bytes, `-` as empty,
/// anything else as text.
fn write(value: &str, to: ValueWriter<'_>) {
    match value {
        "-" => {}
        "[]" => to.array(|list| _ = list.push(|value| value.i64(1)).push(|value| value.str("<x>"))),
        "{}" => to.kvlist(|map| _ = map.str("b", "x").f64("a", 1e21)),
        "true" | "false" => to.bool(value == "true"),
        _ if value.starts_with("b:") => to.bytes(value.trim_start_matches("b:").as_bytes()),
        _ if value.starts_with('"') => to.str(value.trim_matches('"')),
        _ => match (value.parse(), value.parse()) {
            (Ok(int), _) => to.i64(int),
            (_, Ok(double)) => to.f64(double),
            _ => to.str(value),
        },
    }
}

fn show(value: ValueView<'_>) -> String {
    match value {
        ValueView::Empty => "-".to_owned(),
        ValueView::Str(text) if text.parse::<f64>().is_ok() || text == "true" => format!("\"{text}\""),
        ValueView::Str(text) => text.to_owned(),
        ValueView::F64(number) => format!("{number:?}"),
        ValueView::Bytes(bytes) => format!("b:{}", String::from_utf8_lossy(bytes)),
        value => value_text::Text(value).to_string(),
    }
}

/// A log record with these attributes: `a=1 b=x`.
fn record(attributes: &str) -> Payload {
    let mut builder = PayloadBuilder::logs();
    builder.bare(|records| {
        records.record(&LogFields::default(), |record| {
            let mut to = record.attributes();
            for (key, value) in attributes.split(' ').filter_map(|pair| pair.split_once('=')) {
                to.value(key, |to| write(value, to));
            }
        });
    });
    builder.finish(None)
}

fn context() -> Context {
    Context {
        metadata: Metadata::new([("X-Tenant", "t1"), ("x-tenant", "t2")]),
        peer: "10.1.2.3:99".parse().ok(),
        ..Context::default()
    }
}

/// Runs a list of actions on a record's attributes.
fn run(yaml: &str, attributes: &str) -> String {
    run_all(yaml, &[attributes]).remove(0)
}

/// Runs a list of actions on the attributes of several records, one after another.
fn run_all(yaml: &str, records: &[&str]) -> Vec<String> {
    let (list, warnings) =
        config::decode_str::<List>(&format!("actions: [{yaml}]")).unwrap_or_else(|errors| panic!("{yaml}: {errors}"));
    assert!(warnings.is_empty());
    let actions = Actions::new(&list.actions, "actions").unwrap();
    let mut bound = actions.bind(&context());
    let mut run = |attributes: &&str| {
        let mut editor = Editor::new(record(attributes)).unwrap();
        let mut walk = Walk::items(&editor);
        while let Some(place) = walk.next(&mut editor) {
            let item = editor.open(place.at()).unwrap();
            bound.apply(&mut editor, item).unwrap();
        }
        let payload = editor.seal();
        pdata::validate::check(Signal::Logs, &payload.to_bytes()).unwrap();
        let mut shown = Vec::new();
        payload.for_each_item(|item| {
            shown.extend(item.view.attributes().iter().map(|pair| format!("{}={}", pair.key(), show(pair.value()))));
        });
        shown.join(" ")
    };
    records.iter().map(&mut run).collect()
}

#[test]
fn actions_do_what_the_collectors_do() {
    for (yaml, before, after) in [
        // insert, update, upsert
        ("{key: k, action: insert, value: x}", "a=1", "a=1 k=x"),
        ("{key: a, action: insert, value: x}", "a=1", "a=1"),
        ("{key: a, action: update, value: x}", "a=1 b=2", "a=x b=2"),
        ("{key: k, action: update, value: x}", "a=1", "a=1"),
        ("{key: a, action: upsert, value: x}", "a=1 b=2", "a=x b=2"),
        ("{key: k, action: UpSert, value: x}", "", "k=x"),
        // The type is YAML's.
        ("{key: k, action: insert, value: 5}", "", "k=5"),
        ("{key: k, action: insert, value: '5'}", "", "k=\"5\""),
        ("{key: k, action: insert, value: 5.0}", "", "k=5.0"),
        ("{key: k, action: insert, value: true}", "", "k=true"),
        ("{key: k, action: insert, value: ''}", "", "k="),
        ("{key: k, action: insert, value: [1, null, {x: y}]}", "", "k=[1,null,{\"x\":\"y\"}]"),
        ("{key: k, action: insert, value: {x: [1]}}", "", "k={\"x\":[1]}"),
        // Other sources.
        ("{key: k, action: insert, from_attribute: a}", "a=[]", "a=[1,\"\\u003cx\\u003e\"] k=[1,\"\\u003cx\\u003e\"]"),
        ("{key: k, action: upsert, from_attribute: none}", "k=1", "k=1"),
        ("{key: k, action: upsert, from_attribute: a}", "a=1 a=2 k=x", "a=1 a=2 k=1"),
        ("{key: k, action: insert, from_context: metadata.x-tenant}", "", "k=t1;t2"),
        ("{key: k, action: insert, from_context: X-TENANT}", "", "k=t1;t2"),
        ("{key: k, action: insert, from_context: client.address}", "", "k=10.1.2.3"),
        ("{key: k, action: insert, from_context: auth.subject}", "a=1", "a=1"),
        // Defaults.
        ("{key: k, action: insert, from_context: auth.subject, default_value: nobody}", "", "k=nobody"),
        ("{key: k, action: insert, from_context: x-tenant, default_value: nobody}", "", "k=t1;t2"),
        ("{key: k, action: insert, from_attribute: a, default_value: 7}", "", "k=7"),
        ("{key: k, action: insert, from_attribute: a, default_value: 7}", "a=1", "a=1 k=1"),
        ("{key: k, action: update, from_attribute: a, default_value: 7}", "k=1", "k=7"),
        ("{key: k, action: update, from_attribute: a, default_value: 7}", "b=1", "b=1"),
        ("{key: k, action: insert, value: null, default_value: [x]}", "", "k=[\"x\"]"),
        ("{key: k, action: insert, value: 1, default_value: 2}", "", "k=1"),
        // A key that occurs twice: one is left by writing, none by deleting.
        ("{key: a, action: update, value: x}", "a=1 b=2 a=3", "a=x b=2"),
        ("{key: a, action: insert, value: x}", "a=1 a=3", "a=1 a=3"),
        // delete
        ("{key: a, action: delete}", "a=1 b=2 a=3", "b=2"),
        ("{key: none, action: delete}", "a=1", "a=1"),
        ("{pattern: '^h\\d', action: delete}", "h1=1 xh1=2 h2=3", "xh1=2"),
        ("{key: a, pattern: b, action: delete}", "a=1 ab=2 c=3", "c=3"),
        // hash: text, numbers as eight bytes, flags as one
        ("{key: a, action: hash}", "a=\"\"", "a=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("{key: a, action: hash}", "a=-", "a="),
        ("{key: a, action: hash}", "a=b:xy", "a="),
        ("{key: a, action: hash}", "a=[]", "a="),
        ("{key: a, action: hash}", "a={}", "a="),
        // extract
        (
            "{key: u, action: extract, pattern: '^(?P<scheme>\\w+)://(?P<host>[^/:]+)(?::(?P<port>\\d+))?'}",
            "u=http://h:80/x host=old",
            "u=http://h:80/x host=h scheme=http port=\"80\"",
        ),
        ("{key: u, action: extract, pattern: '(?P<a>x)|(?P<b>y)'}", "u=y", "u=y a= b=y"),
        ("{key: u, action: extract, pattern: '(?P<a>x)'}", "u=y", "u=y"),
        ("{key: u, action: extract, pattern: '(?P<a>\\d)'}", "u=5", "u=5"),
        ("{key: u, action: extract, pattern: '(?P<u>b)(?P<v>c)'}", "u=abcd", "u=b v=c"),
        ("{key: none, action: extract, pattern: '(?P<a>)'}", "u=1", "u=1"),
        // convert
        ("{key: a, action: convert, converted_type: int}", "a=\"12\"", "a=12"),
        ("{key: a, action: convert, converted_type: int}", "a=\"+12\"", "a=12"),
        ("{key: a, action: convert, converted_type: int}", "a=\"12.5\"", "a=\"12.5\""),
        ("{key: a, action: convert, converted_type: int}", "a=x", "a=x"),
        ("{key: a, action: convert, converted_type: int}", "a=-12.9", "a=-12"),
        ("{key: a, action: convert, converted_type: int}", "a=true", "a=1"),
        ("{key: a, action: convert, converted_type: int}", "a=[]", "a=[1,\"\\u003cx\\u003e\"]"),
        ("{key: a, action: convert, converted_type: int}", "a=\"1\" a=\"2\"", "a=1 a=2"),
        ("{key: a, action: convert, converted_type: double}", "a=\"1.5\"", "a=1.5"),
        ("{key: a, action: convert, converted_type: double}", "a=12", "a=12.0"),
        ("{key: a, action: convert, converted_type: double}", "a=false", "a=0.0"),
        ("{key: a, action: convert, converted_type: double}", "a=b:xy", "a=b:xy"),
        ("{key: a, action: convert, converted_type: string}", "a=12", "a=\"12\""),
        ("{key: a, action: convert, converted_type: string}", "a=1.5", "a=\"1.5\""),
        ("{key: a, action: convert, converted_type: string}", "a=true", "a=\"true\""),
        ("{key: a, action: convert, converted_type: string}", "a=-", "a="),
        ("{key: a, action: convert, converted_type: string}", "a=b:xy", "a=eHk="),
        ("{key: a, action: convert, converted_type: string}", "a={}", "a={\"a\":1e+21,\"b\":\"x\"}"),
        // Actions see what the ones before did.
        (
            "{key: b, action: insert, from_attribute: a}, {key: a, action: delete}, {key: b, action: convert, converted_type: string}",
            "a=5",
            "b=\"5\"",
        ),
    ] {
        assert_eq!(run(yaml, before), after, "{yaml} on {before}");
    }
}

#[test]
fn hashes_are_those_of_the_collector() {
    // From sha256sum, of the bytes that the comments name.
    const ANN: &str = "49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1";
    for (before, after) in [
        ("a=ann", ANN),
        // eight bytes, little-endian
        ("a=42", "ed049108bc18f2c64369e8d0ea42850bdd1a7d1dd340cfde716315579702a76c"),
        ("a=0", "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc"),
        ("a=1.5", "e163f8cb0f7067a7fc78ca859a77f849aea3214f38fb75b884e4a16be725c905"),
        // one byte
        ("a=true", "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"),
    ] {
        assert_eq!(run("{key: a, action: hash}", before), format!("a={after}"));
    }
    // Every attribute of the key, and of keys that the pattern matches; what both name is hashed twice.
    assert_eq!(run("{key: a, action: hash}", "a=ann b=ann a=ann"), format!("a={ANN} b=ann a={ANN}"));
    assert_eq!(
        run("{pattern: '^a', action: hash}", "a=ann b=ann ab=ann a=ann"),
        format!("a={ANN} b=ann ab={ANN} a={ANN}")
    );
    let twice = "b50579a1a304be3959bf48a110c05c1e2a94ac5857638c64744400ae781bfef8";
    assert_eq!(run("{key: a, pattern: '[ab]', action: hash}", "a=ann b=ann"), format!("a={twice} b={ANN}"));
}

#[test]
fn wrong_actions_are_refused_with_the_collectors_sentences() {
    for (yaml, path, message) in [
        (
            "{action: insert, value: 1}",
            "actions::0",
            "error creating AttrProc due to missing required field \"key\" at the 0-th actions",
        ),
        (
            "{action: delete}",
            "actions::0",
            "error creating AttrProc due to missing required field (at least one of \"key\" and \"pattern\" have to be used) \
             at the 0-th actions",
        ),
        (
            "{key: a}",
            "actions::0::action",
            "error creating AttrProc due to unsupported action \"\" at the 0-th actions",
        ),
        (
            "{key: a, action: delete}, {key: a, action: Drop}",
            "actions::1::action",
            "error creating AttrProc due to unsupported action \"drop\" at the 1-th actions",
        ),
        (
            "{key: a, action: upsert}",
            "actions::0",
            "error creating AttrProc. Either field \"value\", \"from_attribute\" or \"from_context\" setting must be \
             specified for 0-th action",
        ),
        (
            "{key: a, action: upsert, value: 1, from_attribute: b}",
            "actions::0",
            "error creating AttrProc due to multiple value sources being set at the 0-th actions",
        ),
        (
            "{key: a, action: Insert, value: 1, pattern: b}",
            "actions::0::pattern",
            "error creating AttrProc. Action \"insert\" does not use the \"pattern\" field. This must not be specified for \
             0-th action",
        ),
        (
            "{key: a, action: update, value: 1, converted_type: int}",
            "actions::0::converted_type",
            "error creating AttrProc. Action \"update\" does not use the \"converted_type\" field. This must not be \
             specified for 0-th action",
        ),
        (
            "{key: a, action: hash, value: 1}",
            "actions::0::value",
            "error creating AttrProc. Action \"hash\" does not use \"value\" or \"from_attribute\" field. These must not be \
             specified for 0-th action",
        ),
        (
            "{key: a, action: delete, from_context: b}",
            "actions::0::from_context",
            "error creating AttrProc. Action \"delete\" does not use the \"from_context\" field. This must not be specified \
             for 0-th action",
        ),
        (
            "{action: hash, pattern: '('}",
            "actions::0::pattern",
            "error creating AttrProc. Field \"pattern\" has invalid pattern: \"(\" to be set at the 0-th actions: unclosed \
             group",
        ),
        (
            "{key: a, action: extract, pattern: '(?P<a>b)', from_attribute: c}",
            "actions::0::from_attribute",
            "error creating AttrProc. Action \"extract\" does not use a value source field. These must not be specified for \
             0-th action",
        ),
        (
            "{key: a, action: extract}",
            "actions::0",
            "error creating AttrProc due to missing required field \"pattern\" for action \"extract\" at the 0-th action",
        ),
        (
            "{key: a, action: extract, pattern: ab}",
            "actions::0::pattern",
            "error creating AttrProc. Field \"pattern\" contains no named matcher groups at the 0-th actions",
        ),
        (
            "{key: a, action: extract, pattern: '(?P<a>b)(c)'}",
            "actions::0::pattern",
            "error creating AttrProc. Field \"pattern\" contains at least one unnamed matcher group at the 0-th actions",
        ),
        (
            "{key: a, action: convert, converted_type: int, pattern: b}",
            "actions::0::pattern",
            "error creating AttrProc. Action \"convert\" does not use value sources or \"pattern\" field. These must not be \
             specified for 0-th action",
        ),
        (
            "{key: a, action: convert}",
            "actions::0",
            "error creating AttrProc due to missing required field \"converted_type\" for action \"convert\" at the 0-th \
             action",
        ),
        (
            "{key: a, action: convert, converted_type: bool}",
            "actions::0::converted_type",
            "error creating AttrProc due to invalid value \"bool\" in field \"converted_type\" for action \"convert\" at the \
             0-th action",
        ),
        (
            "{key: a, action: convert, converted_type: int, default_value: 1}",
            "actions::0::default_value",
            "error creating AttrProc. Action \"convert\" does not use the \"default_value\" field. This must not be specified \
             for 0-th action",
        ),
    ] {
        let errors = config::decode_str::<List>(&format!("actions: [{yaml}]")).unwrap_err();
        let error = errors.iter().next().unwrap();
        assert_eq!((error.setting.as_str(), error.message.as_str()), (path, message), "{yaml}");
    }
    let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    let errors =
        config::decode_str::<List>(&format!("actions: [{{key: a, action: insert, value: {deep}}}]")).unwrap_err();
    let message = "error creating AttrProc. values would be nested more than 100 messages deep, at the 0-th actions";
    assert!(errors.to_string().contains(message), "{errors}");
}

#[test]
fn what_is_read_of_the_request_is_known() {
    let yaml = "actions: [{key: a, action: insert, from_context: metadata.x-a}, {key: b, action: upsert, from_context: B}, \
                {key: c, action: update, from_context: auth.c}, {key: d, action: update, from_context: client.address}]";
    let (list, _) = config::decode_str::<List>(yaml).unwrap();
    let actions = Actions::new(&list.actions, "actions").unwrap();
    let named = |name: &str| RequestPart::Metadata(name.to_owned());
    assert_eq!(Actions::request_reads(&list.actions), [named("x-a"), named("B"), RequestPart::Address]);
    assert!(actions.can_add());
    let (list, _) = config::decode_str::<List>("actions: [{key: a, action: update, value: 1}]").unwrap();
    assert!(!Actions::new(&list.actions, "actions").unwrap().can_add());
}

#[test]
fn what_a_pattern_says_about_keys_of_one_record_is_not_taken_for_another() {
    let records = ["a=1 b=2 ab=3", "b=1 a=2 ab=3", "a=1", "c=1 d=2 e=3 a=4 b=5", "", "a=1 b=2 ab=3"];
    let yaml = "{pattern: '^a', action: delete}, {pattern: 'b', action: delete}";
    assert_eq!(run_all(yaml, &records), ["", "", "", "c=1 d=2 e=3", "", ""]);
    assert_eq!(run_all("{pattern: '^a', action: delete}", &records), ["b=2", "b=1", "", "c=1 d=2 e=3 b=5", "", "b=2"]);
    // More attributes than verdicts are kept for.
    let many: Vec<String> = (0..600).map(|n| format!("k{n}=1")).collect();
    let many = many.join(" ");
    let after = run_all("{pattern: '[0-8]$', action: delete}", &[&many, &many]);
    assert_eq!(after[0].split(' ').count(), 60);
    assert_eq!(after[0], after[1]);
}
