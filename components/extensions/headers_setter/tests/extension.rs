//! Every action and source, the configuration, the documentation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::collections::BTreeMap;
use std::sync::Arc;

use component::factory::Create;
use component::{AuthError, ClientAuth, ClientHeader, Component, ComponentId, Extension, HeaderAction, Kind};
use config::{Errors, Limits, Source};
use extension_headers_setter::factory;
use pdata::{AuthData, Context, Metadata};
use testkit::{Subject, World};

fn create(world: &World, yaml: &str) -> Result<Arc<dyn Extension>, String> {
    let factory = factory();
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "extensions::headers_setter", &mut errors);
    if errors.has_errors() {
        return Err(errors.to_string());
    }
    let settings = world.settings(Kind::Extension, &ComponentId::new("headers_setter"));
    let Create::Extension(create) = factory.create() else { panic!() };
    create(settings, &config).map_err(|error| error.to_string())
}

fn changes(yaml: &str, context: &Context) -> Result<Vec<(HeaderAction, String, String)>, AuthError> {
    let auth = create(&World::new(), yaml).unwrap().client_auth().unwrap();
    let plain = |header: ClientHeader| (header.action, header.name, header.value);
    Ok(auth.headers(context)?.into_iter().map(plain).collect())
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let subject = Subject::new(factory())
        .with_config("headers: [{key: X-A, value: b}]")
        .with_invalid_default("missing headers configuration");
    testkit::suite::contract(&subject).await.unwrap();
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[test]
fn values_come_from_where_they_are_said_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("value");
    std::fs::write(&file, "from file\n").unwrap();
    let auth = AuthData { attributes: vec![("username".into(), vec!["ada".into()])] };
    let context = Context {
        metadata: Metadata::new([("X-Tenant", "eu"), ("twice", "a"), ("twice", "b")]),
        auth: Some(Arc::new(auth)),
        ..Context::default()
    };
    let file = format!("{{key: X-A, value_file: {}}}", file.display());
    for (rule, expected) in [
        ("{key: X-A, value: fixed}", Some((HeaderAction::Upsert, "fixed"))),
        ("{key: X-A, value: fixed, action: insert}", Some((HeaderAction::Insert, "fixed"))),
        ("{key: X-A, value: fixed, action: update}", Some((HeaderAction::Update, "fixed"))),
        ("{key: X-A, action: delete}", Some((HeaderAction::Delete, ""))),
        (file.as_str(), Some((HeaderAction::Upsert, "from file"))),
        ("{key: X-A, from_context: x-tenant}", Some((HeaderAction::Upsert, "eu"))),
        ("{key: X-A, from_context: none}", None),
        ("{key: X-A, from_context: none, default_value: d}", Some((HeaderAction::Upsert, "d"))),
        ("{key: X-A, from_context: x-tenant, default_value: d}", Some((HeaderAction::Upsert, "eu"))),
        ("{key: X-A, from_attribute: username}", Some((HeaderAction::Upsert, "ada"))),
        ("{key: X-A, from_attribute: none}", None),
    ] {
        let expected = expected.map(|(action, value)| (action, "x-a".to_owned(), value.to_owned()));
        assert_eq!(changes(&format!("headers: [{rule}]"), &context).unwrap(), Vec::from_iter(expected), "{rule}");
    }
    let error = changes("headers: [{key: X-A, from_context: twice}]", &context).unwrap_err();
    assert_eq!(error.to_string(), "1 value expected for key \"twice\", 2 found");
}

/// Another authenticator.
struct Other;

impl Component for Other {}

impl Extension for Other {
    fn client_auth(self: Arc<Self>) -> Option<Arc<dyn ClientAuth>> {
        Some(self)
    }
}

impl ClientAuth for Other {
    fn headers(&self, _: &Context) -> Result<Vec<ClientHeader>, AuthError> {
        Ok(vec![ClientHeader { action: HeaderAction::Upsert, name: "first".into(), value: "1".into() }])
    }

    fn metadata_keys(&self) -> Vec<String> {
        vec!["theirs".into()]
    }
}

#[tokio::test]
async fn another_authenticator_comes_first() {
    let world = World::new();
    let yaml = "{headers: [{key: X-A, from_context: ours, default_value: d}], additional_auth: other}";
    let extension = create(&world, yaml).unwrap();
    extension.start(&world.host).await.unwrap();
    let auth = Arc::clone(&extension).client_auth().unwrap();
    let error = auth.headers(&Context::default()).unwrap_err().to_string();
    assert!(error.contains("extension `other` does not run"), "{error}");
    let other: Arc<dyn Extension> = Arc::new(Other);
    world.host.set_extensions(BTreeMap::from([(ComponentId::new("other"), other)]));
    let names: Vec<_> = auth.headers(&Context::default()).unwrap().into_iter().map(|header| header.name).collect();
    assert_eq!(names, ["first", "x-a"]);
    assert_eq!(auth.metadata_keys(), ["ours", "theirs"]);
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let config = factory().decode(&node, "x", &mut Errors::new());
    assert_eq!(factory().references(&config), [ComponentId::new("other")]);
}

#[test]
fn settings_are_checked() {
    for (yaml, part) in [
        ("{}", "missing headers configuration"),
        ("headers: [{value: a}]", "missing header name"),
        ("headers: [{key: 'a b', value: a}]", "`a b` cannot be the name of a header"),
        ("headers: [{key: a}]", "missing header source"),
        ("headers: [{key: a, value: a, from_context: b}]", "invalid header source"),
        ("headers: [{key: a, value: b, action: delete}]", "takes no value"),
        ("headers: [{key: a, value: b, action: set}]", "does not know the text `set`"),
        ("headers: [{key: a, value: \"b\\nc\"}]", "the value of `a` cannot be that of a header"),
        ("headers: [{key: a, value_file: /nowhere/x}]", "cannot read `/nowhere/x`"),
    ] {
        let error = create(&World::new(), yaml).err().unwrap();
        assert!(error.contains(part), "{yaml}: {error}");
    }
}
