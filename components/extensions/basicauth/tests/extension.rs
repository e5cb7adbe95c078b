//! Both sides of the extension, every kind of hash, its configuration, its documentation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::Arc;

use component::factory::Create;
use component::{ComponentId, Extension, Kind, RequestHeaders};
use config::{Errors, Limits, Source};
use extension_basicauth::{BasicAuthConfig, factory};
use pdata::{AuthData, Context};
use testkit::{Subject, World};

/// All of them hash `secret`, made by other programs.
const HASHES: [&str; 9] = [
    "secret",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
    "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
    "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
    "$5$abc$qsg6EHbUzHQzF1POlD7zUwBINSELQxypPaeDcZe6vH0",
    "BCRYPT-2a",
    "BCRYPT-2b",
    "BCRYPT-2y",
];

fn stored(hash: &str) -> String {
    match hash.strip_prefix("BCRYPT-") {
        None => hash.to_owned(),
        Some(kind) => bcrypt_of("secret").replacen("2b", kind, 1),
    }
}

fn bcrypt_of(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

fn create(yaml: &str) -> Result<Arc<dyn Extension>, String> {
    let factory = factory();
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "extensions::basicauth", &mut errors);
    if errors.has_errors() {
        return Err(errors.to_string());
    }
    let settings = World::new().settings(Kind::Extension, &ComponentId::new("basicauth"));
    let Create::Extension(create) = factory.create() else { panic!() };
    create(settings, &config).map_err(|error| error.to_string())
}

struct Given(Option<String>);

impl RequestHeaders for Given {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| name == "authorization")
    }
}

async fn check(server: &Arc<dyn Extension>, header: Option<&str>) -> Result<Arc<AuthData>, String> {
    let auth = Arc::clone(server).server_auth().unwrap();
    auth.authenticate(&Given(header.map(str::to_owned))).await.map_err(|error| error.to_string())
}

/// The header that the client's side sends for a user.
fn header(user: &str, password: &str) -> String {
    let client = create(&format!("client_auth: {{username: '{user}', password: '{password}'}}")).unwrap();
    let headers = client.client_auth().unwrap().headers(&Context::default()).unwrap();
    assert_eq!((headers.len(), headers[0].name.as_str()), (1, "authorization"));
    headers[0].value.clone()
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let subject = Subject::new(factory())
        .with_config("client_auth: {username: a, password: b}")
        .with_invalid_default("no credential source provided");
    testkit::suite::contract(&subject).await.unwrap();
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[tokio::test]
async fn every_kind_of_hash_is_checked() {
    for hash in HASHES {
        let server = create(&format!("htpasswd: {{inline: 'ada:{}'}}", stored(hash))).unwrap();
        // The second time, the password may be known.
        for _ in 0..2 {
            let data = check(&server, Some(&header("ada", "secret"))).await.expect(hash);
            assert_eq!((data.get("username"), data.get("raw")), (Some("ada"), Some("YWRhOnNlY3JldA==")));
            for (user, password) in [("ada", "Secret"), ("ada", ""), ("bob", "secret"), ("ada", hash)] {
                if password != "secret" || user != "ada" {
                    let error = check(&server, Some(&header(user, password))).await.unwrap_err();
                    assert_eq!(error, "invalid credentials", "{hash} {user} {password}");
                }
            }
        }
    }
}

#[tokio::test]
async fn requests_without_proper_credentials_are_refused() {
    let server = create("htpasswd: {inline: 'ada:secret'}").unwrap();
    for (header, error) in [
        (None, "no basic auth provided"),
        (Some(""), "no basic auth provided"),
        (Some("Bearer x"), "invalid authorization scheme prefix"),
        (Some("Basic"), "invalid authorization format"),
        (Some("Basic !!!"), "invalid authorization format"),
        (Some("Basic YWRh"), "invalid authorization format"),
        (Some("Basic //8="), "invalid authorization format"),
    ] {
        assert_eq!(check(&server, header).await.unwrap_err(), error, "{header:?}");
    }
    assert!(check(&server, Some("basic YWRhOnNlY3JldA")).await.is_ok());
    assert!(create("client_auth: {username: a}").unwrap().server_auth().is_none());
    assert!(server.client_auth().is_none());
}

#[tokio::test(start_paused = true)]
async fn files_are_read_and_those_of_clients_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("users"), "# who may come in\nada:old\n\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").unwrap();
    let server = create(&format!("htpasswd: {{file: {}, inline: 'ada:new'}}", path("users"))).unwrap();
    for (user, password, expected) in [("ada", "new", true), ("ada", "old", false), ("bob", "secret", true)] {
        assert_eq!(check(&server, Some(&header(user, password))).await.is_ok(), expected, "{user} {password}");
    }
    std::fs::write(path("name"), "ada\n").unwrap();
    std::fs::write(path("password"), "one\n").unwrap();
    let yaml = format!(
        "client_auth: {{username: x, username_file: {}, password: y, password_file: {}}}",
        path("name"),
        path("password")
    );
    let client = create(&yaml).unwrap().client_auth().unwrap();
    let sent = || client.headers(&Context::default()).unwrap()[0].value.clone();
    assert_eq!(sent(), header("ada", "one"));
    std::fs::write(path("password"), "second\n").unwrap();
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(sent(), header("ada", "second"));
}

#[test]
fn settings_are_checked_and_secrets_hidden() {
    for (yaml, part) in [
        ("{}", "no credential source provided"),
        (
            "{htpasswd: {inline: 'a:b'}, client_auth: {username: a}}",
            "only one of `htpasswd` and `client_auth` can be specified",
        ),
        ("htpasswd: {}", "no credential source provided"),
        ("client_auth: {password: a}", "`username` or `username_file` must be given"),
        ("client_auth: {username: 'a:b'}", "must not contain a colon"),
        ("client_auth: {username: a, password_file: /nowhere/p}", "cannot read `/nowhere/p`"),
        ("htpasswd: {file: /nowhere/users}", "cannot read `/nowhere/users`"),
        ("htpasswd: {inline: nonsense}", "line 1 is not of the form `user:hash`"),
        ("htpasswd: {inline: \"a:b\\nc:$9$x\"}", "line 2 has a hash of an unknown kind"),
        ("htpasswd: {inline: 'a:{SHA}??'}", "line 1 has a hash that is not base64"),
        (
            "htpasswd: {inline: 'a:$2y$31$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde'}",
            "has a bcrypt cost above 15",
        ),
        ("htpasswd: {inline: 'a:$2y$10$short'}", "line 1 has no valid bcrypt hash"),
        ("htpasswd: {inline: 'a:$6$rounds=2000000$s$h'}", "line 1 has a hash that is not valid"),
    ] {
        let error = create(yaml).err().unwrap();
        assert!(error.contains(part), "{yaml}: {error}");
    }
    let yaml = "{htpasswd: {inline: 'a:very-secret'}}";
    let (config, _) = config::decode_str::<BasicAuthConfig>(yaml).unwrap();
    assert!(!format!("{config:?}").contains("very-secret"));
}
