//! Both sides of the extension, its configuration, its documentation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::collections::BTreeMap;
use std::sync::Arc;

use component::factory::Create;
use component::{ComponentId, Extension, HeaderAction, Kind, RequestHeaders};
use config::{Errors, Limits, Source};
use extension_bearertokenauth::{BearerTokenAuthConfig, factory};
use pdata::Context;
use testkit::{Subject, World};

fn create(yaml: &str) -> Result<Arc<dyn Extension>, String> {
    let factory = factory();
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "extensions::bearertokenauth", &mut errors);
    if errors.has_errors() {
        return Err(errors.to_string());
    }
    let settings = World::new().settings(Kind::Extension, &ComponentId::new("bearertokenauth"));
    let Create::Extension(create) = factory.create() else { panic!() };
    create(settings, &config).map_err(|error| error.to_string())
}

struct Given(BTreeMap<&'static str, &'static str>);

impl RequestHeaders for Given {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).copied()
    }
}

async fn accepts(extension: &Arc<dyn Extension>, header: Option<&'static str>) -> Result<(), String> {
    let auth = Arc::clone(extension).server_auth().unwrap();
    let given = Given(header.map(|value| ("authorization", value)).into_iter().collect());
    auth.authenticate(&given).await.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let subject = Subject::new(factory()).with_config("token: x").with_invalid_default("no bearer token provided");
    testkit::suite::contract(&subject).await.unwrap();
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[tokio::test]
async fn a_server_accepts_any_token_and_nothing_else() {
    let extension = create("tokens: [one, two]").unwrap();
    for good in ["Bearer one", "Bearer two"] {
        assert_eq!(accepts(&extension, Some(good)).await, Ok(()));
    }
    for bad in ["Bearer three", "bearer one", "one", "Bearer one ", "Bearer on"] {
        assert_eq!(accepts(&extension, Some(bad)).await, Err("scheme or token does not match".to_owned()), "{bad}");
    }
    for missing in [None, Some("")] {
        let error = accepts(&extension, missing).await.unwrap_err();
        assert_eq!(error, "missing or empty authorization header: authorization");
    }
    let bare = create("{token: raw, scheme: ''}").unwrap();
    assert_eq!(accepts(&bare, Some("raw")).await, Ok(()));
}

#[tokio::test]
async fn a_client_sends_the_first_token() {
    for (yaml, name, value) in [
        ("token: one", "authorization", "Bearer one"),
        ("{tokens: [one, two], header: X-Key, scheme: ''}", "x-key", "one"),
    ] {
        let headers = create(yaml).unwrap().client_auth().unwrap().headers(&Context::default()).unwrap();
        assert_eq!(headers.len(), 1);
        let header = &headers[0];
        assert_eq!((header.action, header.name.as_str(), header.value.as_str()), (HeaderAction::Upsert, name, value));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_wins_and_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    std::fs::write(&path, "first the oldest\nsecond\n\n").unwrap();
    let extension = create(&format!("{{token: other, filename: {}}}", path.display())).unwrap();
    assert_eq!(accepts(&extension, Some("Bearer first")).await, Ok(()));
    assert_eq!(accepts(&extension, Some("Bearer second")).await, Ok(()));
    assert!(accepts(&extension, Some("Bearer other")).await.is_err());
    std::fs::write(&path, "renewed\n").unwrap();
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert!(accepts(&extension, Some("Bearer first")).await.is_err());
    let client = Arc::clone(&extension).client_auth().unwrap();
    assert_eq!(client.headers(&Context::default()).unwrap()[0].value, "Bearer renewed");
    std::fs::write(&path, "").unwrap();
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert!(client.headers(&Context::default()).is_err());
    assert!(accepts(&extension, Some("Bearer ")).await.is_err());
}

#[test]
fn settings_are_checked_and_secrets_hidden() {
    for (yaml, part) in [
        ("{}", "no bearer token provided"),
        ("{token: a, tokens: [b]}", "either tokens or token should be provided, not both"),
        ("tokens: ['']", "a token must not be empty"),
        ("{token: a, header: 'a b'}", "`a b` cannot be the name of a header"),
        ("filename: /nowhere/token", "cannot read `/nowhere/token`"),
    ] {
        let error = create(yaml).err().unwrap();
        assert!(error.contains(part), "{yaml}: {error}");
    }
    let (config, _) = config::decode_str::<BearerTokenAuthConfig>("token: very-secret").unwrap();
    assert!(!format!("{config:?}").contains("very-secret"));
}
