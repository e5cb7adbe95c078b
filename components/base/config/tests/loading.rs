//! Sources, merging, `--set`, and `${…}` expansion.

use config::{Env, Errors, LoadOptions, Loaded, Node, Value, codes, load, print};
use std::{io, path::Path};

/// Variables and files of a test.
#[derive(Default)]
struct World {
    vars: Vec<(&'static str, String)>,
    files: Vec<(&'static str, String)>,
}

impl World {
    fn new(vars: &[(&'static str, &str)], files: &[(&'static str, &str)]) -> Self {
        let own =
            |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        Self { vars: own(vars), files: own(files) }
    }

    fn load(&self, uris: &[&str], sets: &[&str]) -> Result<Loaded, Errors> {
        self.load_with(uris, sets, &LoadOptions::default())
    }

    fn load_with(&self, uris: &[&str], sets: &[&str], options: &LoadOptions) -> Result<Loaded, Errors> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        load(&own(uris), &own(sets), self, options)
    }
}

impl Env for World {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value.clone())
    }

    fn read(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        let file = self.files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, text)| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn flow(loaded: &Loaded) -> String {
    print::to_flow(&loaded.root.value)
}

fn codes_of(errors: &Errors) -> Vec<&str> {
    errors.sorted().iter().map(|error| error.code).collect()
}

#[test]
fn expands_by_the_collectors_rules() {
    let world = World::new(
        &[
            ("PORT", "8080"),
            ("ZERO", "0123"),
            ("YES", "true"),
            ("LIST", "[a, 2]"),
            ("MAP", "{k: v}"),
            ("TEXT", "some text"),
            ("QUOTED", "\"5\""),
            ("BROKEN", "[a"),
            ("EMPTY", ""),
            ("NAME", "PORT"),
            ("INDIRECT", "${env:PORT}"),
            ("INDIRECT_TEXT", "p=${env:PORT}"),
            ("DOLLARS", "a$$b"),
            ("BOTH", "${env:TEXT} ${env:TEXT}"),
            ("LINES", "x\ny: z"),
            ("NESTED", "{port: '${env:PORT}', deep: [\"${env:TEXT}\"]}"),
            ("COMMENT", "a # b"),
        ],
        &[("sub.yaml", "k: ${env:PORT}\nl:\n  - 1\n"), ("secret.txt", "hunter2\n"), ("self.txt", "${file:self.txt}")],
    );
    for (written, value, text) in [
        // whole values are parsed as YAML and remember their text
        ("${env:PORT}", "8080", "8080"),
        ("${PORT}", "8080", "8080"),
        ("${env:ZERO}", "83", "0123"),
        ("${env:YES}", "true", "true"),
        ("${env:LIST}", "[a, 2]", "[a, 2]"),
        ("${env:MAP}", "{k: v}", "{k: v}"),
        ("${env:TEXT}", "some text", "some text"),
        ("${env:QUOTED}", "\"\\\"5\\\"\"", "\"5\""),
        ("${env:BROKEN}", "\"[a\"", "[a"),
        ("${env:COMMENT}", "\"a # b\"", "a # b"),
        ("${env:EMPTY}", "null", ""),
        ("${yaml:{a: 1}", "{a: 1", "{a: 1"),
        ("${yaml:[1, x]}", "[1, x]", "[1, x]"),
        // defaults only where the variable is not set
        ("${env:NOT_SET:-7}", "7", "7"),
        ("${env:NOT_SET:-}", "null", ""),
        ("${env:NOT_SET:-a:-b}", "\"a:-b\"", "a:-b"),
        ("${env:EMPTY:-7}", "null", ""),
        ("${env:PORT:-7}", "8080", "8080"),
        ("${env:NOT_SET}", "null", ""),
        // embedded: text, and never structure
        ("localhost:${env:PORT}", "localhost:8080", "localhost:8080"),
        ("${env:PORT}${env:PORT}", "\"80808080\"", "80808080"),
        ("a-${env:LIST}", "\"a-[a, 2]\"", "a-[a, 2]"),
        ("a: ${env:LINES}", "\"a: x\\ny: z\"", "a: x\ny: z"),
        ("<${env:NOT_SET}>", "\"<>\"", "<>"),
        ("<${env:NOT_SET:-d}>", "\"<d>\"", "<d>"),
        ("${env:ZERO}-", "0123-", "0123-"),
        // nesting, innermost first
        ("${env:${env:NAME}}", "8080", "8080"),
        ("${env:${NAME}}", "8080", "8080"),
        ("${env:NOT_SET:-${env:PORT}}", "8080", "8080"),
        ("x${env:${env:NAME}}", "x8080", "x8080"),
        ("${env:INDIRECT}", "8080", "8080"),
        ("${env:INDIRECT_TEXT}", "p=8080", "p=8080"),
        ("${env:BOTH}", "some text some text", "some text some text"),
        ("${env:NESTED}", "{port: 8080, deep: [some text]}", "{port: '${env:PORT}', deep: [\"${env:TEXT}\"]}"),
        // escapes
        ("$$", "$", "$"),
        ("$NAME", "$NAME", "$NAME"),
        ("$1", "$1", "$1"),
        ("$$1-$$2", "$1-$2", "$1-$2"),
        ("$${PORT}", "\"${PORT}\"", "${PORT}"),
        ("$$${PORT}", "$8080", "$8080"),
        ("$$$${PORT}", "\"$${PORT}\"", "$${PORT}"),
        ("$${PORT} ${PORT}", "\"${PORT} 8080\"", "${PORT} 8080"),
        ("${env:DOLLARS}", "a$b", "a$b"),
        ("a$", "a$", "a$"),
        ("${", "\"${\"", "${"),
        ("}${", "\"}${\"", "}${"),
        ("{}", "\"{}\"", "{}"),
        // files
        ("${file:sub.yaml}", "{k: 8080, l: [1]}", "k: ${env:PORT}\nl:\n  - 1\n"),
        ("${file:secret.txt}", "\"hunter2\\n\"", "hunter2\n"),
        ("p=${file:secret.txt}", "\"p=hunter2\\n\"", "p=hunter2\n"),
    ] {
        let yaml = format!("yaml:k: {}", print::to_flow(&Value::string(written)));
        let loaded = world.load(&[&yaml], &[]).map_err(|errors| errors.render_text(false)).expect(written);
        let node = loaded.root.get("k").unwrap();
        let printed = print::to_flow(&node.value);
        // text that cannot be plain is compared as text
        let shown = if value.starts_with('"') {
            format!("{:?}", node.text().unwrap_or_default())
        } else {
            printed.trim_matches('"').to_owned()
        };
        assert_eq!(shown, value, "{written}");
        assert_eq!(node.text().unwrap_or(value), text, "{written}");
    }
}

#[test]
fn remembers_the_reference_and_points_at_it() {
    let world = World::new(&[("PORT", "8080")], &[("a.yaml", "x:\n  y: ${env:PORT}\n")]);
    let loaded = world.load(&["a.yaml"], &[]).unwrap();
    let node = loaded.root.get_path("x::y").unwrap();
    assert_eq!(node.origin.to_string(), "a.yaml:2:6");
    assert_eq!(node.expansion.as_ref().unwrap().reference, "${env:PORT}");
}

#[test]
fn keys_are_never_expanded() {
    let world = World::new(&[("A", "b")], &[]);
    let loaded = world.load(&["yaml:${env:A}: ${env:A}"], &[]).unwrap();
    assert_eq!(loaded.root.get("${env:A}").and_then(Node::text), Some("b"));
}

#[test]
fn refuses_references_that_cannot_be_expanded() {
    let deep = "[".repeat(60) + "${env:DEEP2}" + &"]".repeat(60);
    let world = World::new(
        &[
            ("A", "${env:B}"),
            ("B", "${env:A}"),
            ("GROW", "x${env:GROW}"),
            ("DOUBLE", "${env:DOUBLE}${env:DOUBLE}"),
            ("SELF", "[\"${env:SELF}\"]"),
            ("DEEP", &deep),
            ("DEEP2", &"[".repeat(60)),
            ("F0", "['${F1}', '${F1}', '${F1}', '${F1}', '${F1}', '${F1}', '${F1}', '${F1}']"),
            ("F1", "['${F2}', '${F2}', '${F2}', '${F2}', '${F2}', '${F2}', '${F2}', '${F2}']"),
            ("F2", "['${F3}', '${F3}', '${F3}', '${F3}', '${F3}', '${F3}', '${F3}', '${F3}']"),
            ("F3", "['${F4}', '${F4}', '${F4}', '${F4}', '${F4}', '${F4}', '${F4}', '${F4}']"),
            ("F4", "['${F5}', '${F5}', '${F5}', '${F5}', '${F5}', '${F5}', '${F5}', '${F5}']"),
            ("F5", "['${F6}', '${F6}', '${F6}', '${F6}', '${F6}', '${F6}', '${F6}', '${F6}']"),
            ("F6", "[1, 2, 3, 4, 5, 6, 7, 8]"),
        ],
        &[("loop.yaml", "a: ${file:loop.yaml}")],
    );
    for (written, code, part) in [
        ("${env:A}", codes::ENDLESS_EXPANSION, "`${env:A}` leads back to itself: ${env:A} → ${env:B} → ${env:A}"),
        ("${env:SELF}", codes::ENDLESS_EXPANSION, "leads back to itself"),
        ("${file:loop.yaml}", codes::ENDLESS_EXPANSION, "leads back to itself"),
        ("${env:GROW}", codes::ENDLESS_EXPANSION, "more than 1000 rounds"),
        ("${env:DOUBLE}", codes::ENDLESS_EXPANSION, "more than 1000 rounds"),
        ("${F0}", codes::ENDLESS_EXPANSION, "leads to too many values"),
        ("${file:missing.yaml}", codes::UNREADABLE, "unable to read the file `missing.yaml`"),
        ("a${file:missing.yaml}", codes::UNREADABLE, "unable to read the file `missing.yaml`"),
        ("${http://x/y}", codes::UNKNOWN_SCHEME, "scheme `http` is not supported"),
        ("${https://x/y}", codes::UNKNOWN_SCHEME, "scheme `https` is not supported"),
        ("${evn:X}", codes::UNKNOWN_SCHEME, "scheme `evn` is not supported"),
        ("${X:-default}", codes::UNKNOWN_SCHEME, "scheme `X` is not supported"),
        ("${1}", codes::BAD_VARIABLE, "environment variable `1` has invalid name"),
        ("${env:a-b}", codes::BAD_VARIABLE, "environment variable `a-b` has invalid name"),
        ("${}", codes::BAD_VARIABLE, "environment variable `` has invalid name"),
        ("${env:A$B}", codes::DOLLAR_IN_REFERENCE, "contains unsupported characters ('$')"),
    ] {
        let yaml = format!("yaml:k: {}", print::to_flow(&Value::string(written)));
        let errors = world.load(&[&yaml], &[]).expect_err(written);
        assert_eq!(codes_of(&errors), [code], "{written}\n{errors}");
        assert!(errors.to_string().contains(part), "{written}: {errors}");
    }
    let errors = world.load(&["yaml:a: '${1}'\nb: '${X:-d}'"], &[]).unwrap_err();
    let fixes: Vec<_> = errors.sorted().iter().filter_map(|error| error.fix.clone()).collect();
    assert_eq!(fixes, ["write `$${1}` to mean it literally", "write `${env:X:-d}`: a default needs the scheme"]);
}

#[test]
fn one_warning_lists_all_unset_variables() {
    let world = World::default();
    let yaml = "yaml:a: ${env:X}\nb: [\"<${env:Y}>\", \"${env:X}\"]\nc: ${env:Z:-1}";
    let loaded = world.load(&[yaml], &[]).unwrap();
    let warnings = loaded.warnings.sorted();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].message, "environment variables without default are not set: X, Y");
    assert_eq!(warnings[0].related.len(), 2);
    let strict = LoadOptions { strict_env: true, ..LoadOptions::default() };
    assert_eq!(codes_of(&world.load_with(&[yaml], &[], &strict).unwrap_err()), [codes::UNSET_VARIABLE]);
}

#[test]
fn merges_maps_and_replaces_everything_else() {
    let world = World::new(
        &[("CONFIG", "e: 5")],
        &[
            ("a.yaml", "a: {x: 1, y: [1, 2]}\nb: {z: 1}\nc: 1"),
            ("b.yaml", "a: {y: [3], w: 2}\nb:\nc: {d: 1}"),
            ("empty.yaml", ""),
        ],
    );
    let merged = world.load(&["a.yaml", "file:b.yaml", "empty.yaml", "env:CONFIG"], &[]).unwrap();
    assert_eq!(flow(&merged), "{a: {x: 1, y: [3], w: 2}, b: null, c: {d: 1}, e: 5}");
    let nested =
        world.load(&["yaml:a::b::c: 1", "yaml:a::b::d: {e::f: 2}", "yaml:{a: {b: {g: 3}}, a::b::g: 4}"], &[]).unwrap();
    assert_eq!(flow(&nested), "{a: {b: {c: 1, d: {e::f: 2}, g: 4}}}");
    assert_eq!(flow(&world.load(&[], &[]).unwrap()), "{}");
}

#[test]
fn appends_lists_of_components_when_asked() {
    let world = World::new(
        &[],
        &[
            (
                "a.yaml",
                "service: {extensions: [a, b], pipelines: {traces: {receivers: [x], processors: [p], exporters: [e]}}}\nreceivers: [x]",
            ),
            (
                "b.yaml",
                "service: {extensions: [b, c], pipelines: {traces: {receivers: [y, x], processors: [q], exporters: [f]}}}\nreceivers: [y]",
            ),
        ],
    );
    let options = LoadOptions { merge_append: true, ..LoadOptions::default() };
    let merged = world.load_with(&["a.yaml", "b.yaml"], &[], &options).unwrap();
    assert_eq!(
        flow(&merged),
        "{service: {extensions: [a, b, c], pipelines: {traces: {receivers: [x, y], processors: [q], exporters: [e, f]}}}, receivers: [y]}"
    );
}

#[test]
fn set_comes_last_and_takes_yaml_values() {
    let world = World::new(&[("V", "7")], &[("a.yaml", "a: {b: 1, c: 2}")]);
    let loaded =
        world.load(&["a.yaml"], &["a.b=[x, y]", "a.d=true", "a.e=k=v", "f=", "g.h=${env:V}", "i::j.k=1"]).unwrap();
    assert_eq!(flow(&loaded), "{a: {b: [x, y], c: 2, d: true, e: k=v}, f: null, g: {h: 7}, i: {j: {k: 1}}}");
    assert_eq!(loaded.root.get_path("a::d").unwrap().origin.to_string(), "--set:1:5");
    for (set, part) in [
        ("a.b", "missing equal sign"),
        ("=x", "not a key path"),
        ("a..b=x", "not a key path"),
        ("a=[", "not valid YAML"),
    ] {
        let errors = world.load(&["a.yaml"], &[set]).expect_err(set);
        assert!(errors.to_string().contains(part), "{set}: {errors}");
    }
}

#[test]
fn refuses_locations_it_cannot_read() {
    let world = World::new(&[], &[("list.yaml", "- a"), ("dup.yaml", "a: 1\nb:\n  c: 1\n  c: 2\na: 2")]);
    for (uri, code) in [
        ("missing.yaml", codes::UNREADABLE),
        ("file:missing.yaml", codes::UNREADABLE),
        ("C:\\missing.yaml", codes::UNREADABLE),
        ("env:MISSING", codes::UNREADABLE),
        ("http://localhost/x", codes::UNKNOWN_SCHEME),
        ("https://localhost/x", codes::UNKNOWN_SCHEME),
        ("s3:bucket", codes::UNKNOWN_SCHEME),
        ("list.yaml", codes::NOT_A_MAP),
        ("yaml:text", codes::NOT_A_MAP),
    ] {
        assert_eq!(codes_of(&world.load(&[uri], &[]).expect_err(uri)), [code], "{uri}");
    }
    // all of them at once
    let errors = world.load(&["missing.yaml", "dup.yaml", "yaml:[", "http://x"], &["x"]).unwrap_err();
    let mut found = codes_of(&errors);
    found.sort_unstable();
    assert_eq!(found, ["E0001", "E0002", "E0002", "E0008", "E0009", "E0010"]);
}

#[test]
fn reads_real_files_and_refuses_what_is_not_utf8() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a.yaml"), "\u{feff}a: 1\r\nb: 2\r\n").unwrap();
    std::fs::write(path("bad.yaml"), b"a: \xff").unwrap();
    let no_vars = |_: &str| None;
    let loaded = load(&[path("a.yaml")], &[], &no_vars, &LoadOptions::default()).unwrap();
    assert_eq!(flow(&loaded), "{a: 1, b: 2}");
    let errors = load(&[path("bad.yaml")], &[], &no_vars, &LoadOptions::default()).unwrap_err();
    assert!(errors.to_string().contains("is not UTF-8 at byte 3"), "{errors}");
}
