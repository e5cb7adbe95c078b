//! What users write.

use config::{Config, Optional, Secret, Validator};

/// Basic authentication: the server's side or the client's.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = BasicAuthConfig::check)]
pub struct BasicAuthConfig {
    /// Users that a server lets in.
    pub htpasswd: Optional<HtpasswdConfig>,
    /// The user that a client is.
    pub client_auth: Optional<ClientAuthConfig>,
}

/// Users and their hashed passwords, one `user:hash` per line: bcrypt, `$apr1$`, `$1$`, `$5$`, `$6$`, `{SHA}`, `{SSHA}`, or plain.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct HtpasswdConfig {
    /// File with users. Read when the extension is created.
    pub file: String,
    /// Users as text; they win over those of the file.
    pub inline: Secret,
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ClientAuthConfig {
    /// User name; must not contain a colon.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// File with the user name; wins over `username`, and is read again when it changes.
    pub username_file: String,
    /// File with the password; wins over `password`, and is read again when it changes.
    pub password_file: String,
}

impl BasicAuthConfig {
    fn check(&self, v: &mut Validator<'_>) {
        match (self.htpasswd.get(), self.client_auth.get()) {
            (None, None) => v.error("", "no credential source provided"),
            (Some(_), Some(_)) => v.error("", "only one of `htpasswd` and `client_auth` can be specified"),
            (Some(htpasswd), None) if htpasswd.file.is_empty() && htpasswd.inline.is_empty() => {
                v.error("htpasswd", "no credential source provided");
            }
            (None, Some(client)) => {
                if client.username.is_empty() && client.username_file.is_empty() {
                    v.error("client_auth::username", "`username` or `username_file` must be given");
                }
                if client.username.contains(':') {
                    v.error("client_auth::username", "`username` must not contain a colon");
                }
            }
            (Some(_), None) => {}
        }
    }
}
