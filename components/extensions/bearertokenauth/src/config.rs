//! What users write.

use config::{Config, Secret, Validator};

/// Bearer tokens.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = BearerTokenAuthConfig::check)]
pub struct BearerTokenAuthConfig {
    /// Header that carries the token.
    #[config(default = "Authorization")]
    pub header: String,
    /// Word before the token; may be empty.
    #[config(default = "Bearer")]
    pub scheme: String,
    /// The token.
    pub token: Secret,
    /// Several tokens: servers accept any of them, clients send the first. Not together with `token`.
    pub tokens: Vec<Secret>,
    /// File with one token per line; wins over `token` and `tokens`, and is read again when it changes.
    pub filename: String,
}

impl BearerTokenAuthConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.token.is_empty() && self.tokens.is_empty() && self.filename.is_empty() {
            v.error("", "no bearer token provided");
        }
        if !self.token.is_empty() && !self.tokens.is_empty() {
            v.error("tokens", "either tokens or token should be provided, not both");
        }
        if self.tokens.iter().any(Secret::is_empty) {
            v.error("tokens", "a token must not be empty");
        }
        if http::HeaderName::try_from(self.header.as_str()).is_err() {
            v.error("header", format!("`{}` cannot be the name of a header", self.header));
        }
    }
}
