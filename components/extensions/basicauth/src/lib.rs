//! Basic authentication (RFC 7617): servers check an htpasswd list, clients send one user.
//!
//! Hashes like bcrypt are slow on purpose, so they are computed off the worker threads, a few at a time, and a password that
//! was right is remembered by a keyed digest until the program ends. Nothing else is kept of passwords.

mod config;
mod crypt;
mod htpasswd;
mod md5;

use std::sync::Arc;

use ::config::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use component::{
    AuthError, BoxFuture, BuildError, ClientAuth, ClientHeader, Component, Extension, Factory, HeaderAction,
    RequestHeaders, ServerAuth,
};
use net::watched::WatchedFile;
use pdata::{AuthData, Context};

pub use crate::config::{BasicAuthConfig, ClientAuthConfig, HtpasswdConfig};
use crate::htpasswd::Htpasswd;

/// The extension's factory.
#[must_use]
pub fn factory() -> Factory {
    Factory::extension("basicauth", |_, config: Arc<BasicAuthConfig>| {
        if let Some(client) = config.client_auth.get() {
            return Ok(Arc::new(BasicClient::new(client)?));
        }
        let htpasswd = config.htpasswd.get().cloned().unwrap_or_default();
        Ok(Arc::new(BasicServer { users: Arc::new(Htpasswd::load(&htpasswd)?) }))
    })
}

/// The server's side.
#[derive(Debug)]
pub struct BasicServer {
    users: Arc<Htpasswd>,
}

impl BasicServer {
    async fn check(&self, headers: &dyn RequestHeaders) -> Result<Arc<AuthData>, AuthError> {
        let fail = |why: &str| AuthError(why.to_owned());
        let header = headers.get("authorization").filter(|value| !value.is_empty());
        let header = header.ok_or_else(|| fail("no basic auth provided"))?;
        let (scheme, raw) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(fail("invalid authorization scheme prefix"));
        }
        let raw = raw.trim();
        let decoded = STANDARD.decode(raw).or_else(|_| STANDARD_NO_PAD.decode(raw));
        let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let (user, password) = decoded
            .as_deref()
            .and_then(|pair| pair.split_once(':'))
            .ok_or_else(|| fail("invalid authorization format"))?;
        if !self.users.matches(user, password).await {
            return Err(fail("invalid credentials"));
        }
        let attribute = |name: &str, value: &str| (name.into(), vec![value.into()]);
        Ok(Arc::new(AuthData { attributes: vec![attribute("username", user), attribute("raw", raw)] }))
    }
}

impl Component for BasicServer {}

impl Extension for BasicServer {
    fn server_auth(self: Arc<Self>) -> Option<Arc<dyn ServerAuth>> {
        Some(self)
    }
}

impl ServerAuth for BasicServer {
    fn authenticate<'a>(&'a self, headers: &'a dyn RequestHeaders) -> BoxFuture<'a, Result<Arc<AuthData>, AuthError>> {
        Box::pin(self.check(headers))
    }
}

/// The client's side.
#[derive(Debug)]
pub struct BasicClient {
    username: Text,
    password: Text,
}

#[derive(Debug)]
enum Text {
    Fixed(Secret),
    File(WatchedFile),
}

impl Text {
    /// The file wins.
    fn new(key: &str, text: Secret, file: &str) -> Result<Self, BuildError> {
        if file.is_empty() {
            return Ok(Self::Fixed(text));
        }
        let at = format!("client_auth::{key}");
        Ok(Self::File(WatchedFile::open(file).map_err(|error| BuildError::at(at, error.to_string()))?))
    }

    fn get(&self) -> String {
        match self {
            Self::Fixed(text) => text.expose().to_owned(),
            Self::File(file) => file.content().to_string(),
        }
    }
}

impl BasicClient {
    fn new(config: &ClientAuthConfig) -> Result<Self, BuildError> {
        Ok(Self {
            username: Text::new("username_file", Secret::new(config.username.as_str()), &config.username_file)?,
            password: Text::new("password_file", config.password.clone(), &config.password_file)?,
        })
    }
}

impl Component for BasicClient {}

impl Extension for BasicClient {
    fn client_auth(self: Arc<Self>) -> Option<Arc<dyn ClientAuth>> {
        Some(self)
    }
}

impl ClientAuth for BasicClient {
    fn headers(&self, _: &Context) -> Result<Vec<ClientHeader>, AuthError> {
        let username = self.username.get();
        if username.contains(':') {
            return Err(AuthError("the user name contains a colon".to_owned()));
        }
        let value = format!("Basic {}", STANDARD.encode(format!("{username}:{}", self.password.get())));
        Ok(vec![ClientHeader { action: HeaderAction::Upsert, name: "authorization".to_owned(), value }])
    }
}
