//! Bearer tokens: servers accept any of several, clients send the first.
//!
//! A file wins over tokens in the configuration and is read again when it changes: one token per line, text after the first
//! white space is a remark. Comparisons take the same time whatever the token is. The extension binds nothing and runs nothing.

mod config;

use std::sync::Arc;

use ::config::Secret;
use component::{
    AuthError, BoxFuture, BuildError, ClientAuth, ClientHeader, Component, Extension, Factory, HeaderAction,
    RequestHeaders, ServerAuth,
};
use net::watched::WatchedFile;
use pdata::{AuthData, Context};
use ring::digest;

pub use crate::config::BearerTokenAuthConfig;

/// The extension's factory.
#[must_use]
pub fn factory() -> Factory {
    Factory::extension("bearertokenauth", |_, config: Arc<BearerTokenAuthConfig>| {
        Ok(Arc::new(BearerToken::new(&config)?))
    })
}

/// The extension.
#[derive(Debug)]
pub struct BearerToken {
    /// In lower case.
    header: String,
    scheme: String,
    tokens: Tokens,
}

#[derive(Debug)]
enum Tokens {
    Fixed(Vec<Secret>),
    File(WatchedFile),
}

impl BearerToken {
    fn new(config: &BearerTokenAuthConfig) -> Result<Self, BuildError> {
        let tokens = if config.filename.is_empty() {
            let one = Some(&config.token).filter(|token| !token.is_empty());
            Tokens::Fixed(one.into_iter().chain(&config.tokens).cloned().collect())
        } else {
            let file =
                WatchedFile::open(&config.filename).map_err(|error| BuildError::at("filename", error.to_string()))?;
            Tokens::File(file)
        };
        Ok(Self { header: config.header.to_ascii_lowercase(), scheme: config.scheme.clone(), tokens })
    }

    /// What a header with the token reads.
    fn value(&self, token: &str) -> String {
        if self.scheme.is_empty() { token.to_owned() } else { format!("{} {token}", self.scheme) }
    }

    /// The header values of all tokens, first one first.
    fn values(&self) -> Vec<String> {
        match &self.tokens {
            Tokens::Fixed(tokens) => tokens.iter().map(|token| self.value(token.expose())).collect(),
            Tokens::File(file) => {
                let content = file.content();
                let tokens = content.lines().filter_map(|line| line.split_whitespace().next());
                tokens.map(|token| self.value(token)).collect()
            }
        }
    }

    fn check(&self, headers: &dyn RequestHeaders) -> Result<(), AuthError> {
        let given = headers.get(&self.header).filter(|value| !value.is_empty());
        let Some(given) = given else {
            return Err(AuthError(format!("missing or empty authorization header: {}", self.header)));
        };
        // Digests are compared, so that time tells nothing of the tokens; every token is compared.
        let given = digest::digest(&digest::SHA256, given.as_bytes());
        let matches = |value: &String| {
            let expected = digest::digest(&digest::SHA256, value.as_bytes());
            let difference = expected.as_ref().iter().zip(given.as_ref()).fold(0, |sum, (a, b)| sum | (a ^ b));
            usize::from(std::hint::black_box(difference) == 0)
        };
        let found: usize = self.values().iter().map(matches).sum();
        if found > 0 { Ok(()) } else { Err(AuthError("scheme or token does not match".to_owned())) }
    }
}

impl Component for BearerToken {}

impl Extension for BearerToken {
    fn server_auth(self: Arc<Self>) -> Option<Arc<dyn ServerAuth>> {
        Some(self)
    }

    fn client_auth(self: Arc<Self>) -> Option<Arc<dyn ClientAuth>> {
        Some(self)
    }
}

impl ServerAuth for BearerToken {
    fn authenticate<'a>(&'a self, headers: &'a dyn RequestHeaders) -> BoxFuture<'a, Result<Arc<AuthData>, AuthError>> {
        Box::pin(async { self.check(headers).map(|()| Arc::default()) })
    }
}

impl ClientAuth for BearerToken {
    fn headers(&self, _: &Context) -> Result<Vec<ClientHeader>, AuthError> {
        match self.values().into_iter().next() {
            Some(value) => Ok(vec![ClientHeader { action: HeaderAction::Upsert, name: self.header.clone(), value }]),
            None => Err(AuthError("there is no token: the file is empty".to_owned())),
        }
    }
}
