//! What users write in `tls:` blocks.

use std::time::Duration;

use config::{Config, Secret, Unsupported, Validator};

use crate::tls::suites;

/// Certificates, keys and protocol limits, for both sides.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = TlsMaterialConfig::check)]
pub struct TlsMaterialConfig {
    /// File with the CA certificates (PEM) that the other side is verified with.
    pub ca_file: String,
    /// CA certificates, as text instead of a file.
    pub ca_pem: Secret,
    /// Trust the system's CA certificates beside those given.
    pub include_system_ca_certs_pool: bool,
    /// File with the own certificate chain (PEM).
    pub cert_file: String,
    /// Own certificate chain, as text instead of a file.
    pub cert_pem: Secret,
    /// File with the own private key (PEM).
    pub key_file: String,
    /// Own private key, as text instead of a file.
    pub key_pem: Secret,
    /// Lowest TLS version: `1.2` or `1.3`.
    #[config(default = "1.2")]
    pub min_version: String,
    /// Highest TLS version; empty for the newest.
    pub max_version: String,
    /// TLS 1.2 suites by their Go names; empty for all that are known to be secure. TLS 1.3 suites are always on.
    pub cipher_suites: Vec<String>,
    /// Accept the names of insecure suites.
    #[config(no_effect = "there are no insecure cipher suites in weir")]
    pub include_insecure_cipher_suites: bool,
    /// Key exchange groups in order of preference: `X25519`, `P256`, `P384`, `X25519MLKEM768` (TLS 1.3); empty for the first
    /// three.
    pub curve_preferences: Vec<String>,
    /// How often files are read again; 0 for never.
    pub reload_interval: Duration,
    /// Private key in a TPM.
    #[config(unsupported = "keys in a TPM cannot be used; give the key in a file")]
    pub tpm: Unsupported,
}

impl TlsMaterialConfig {
    /// Whether CA certificates were given.
    #[must_use]
    pub fn has_ca(&self) -> bool {
        !self.ca_file.is_empty() || !self.ca_pem.is_empty()
    }

    /// Whether an own certificate was given.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        !self.cert_file.is_empty() || !self.cert_pem.is_empty()
    }

    fn check(&self, v: &mut Validator<'_>) {
        let pairs = [
            ("ca_pem", "CA", &self.ca_file, &self.ca_pem),
            ("cert_pem", "certificate", &self.cert_file, &self.cert_pem),
            ("key_pem", "key", &self.key_file, &self.key_pem),
        ];
        for (key, what, file, pem) in pairs {
            if !file.is_empty() && !pem.is_empty() {
                v.error(key, format!("provide either the {what} file or the {what} PEM-encoded string, but not both"));
            }
        }
        let has_key = !self.key_file.is_empty() || !self.key_pem.is_empty();
        if self.has_certificate() != has_key {
            v.error("", "provide both certificate and key, or neither");
        }
        let min = check_version(v, "min_version", &self.min_version).unwrap_or(12);
        let max = check_version(v, "max_version", &self.max_version).unwrap_or(13);
        if min > max {
            v.error("min_version", "invalid TLS configuration: min_version cannot be greater than max_version");
        }
        for name in &self.cipher_suites {
            if let Err(why) = suites::suite(name) {
                v.error("cipher_suites", why);
            }
        }
        let has_other = self.curve_preferences.iter().any(|name| matches!(suites::group(name), Ok(Some(_))));
        for name in &self.curve_preferences {
            match suites::group(name) {
                Ok(Some(_)) => {}
                Ok(None) if has_other => {
                    let message = format!("the curve `{name}` has no effect: weir lacks it and uses the others");
                    v.warning("curve_preferences", config::codes::NO_EFFECT, message);
                }
                Ok(None) => v.error(
                    "curve_preferences",
                    format!("curve `{name}` is not supported: use `X25519`, `P256`, `P384` or `X25519MLKEM768`"),
                ),
                Err(why) => v.error("curve_preferences", why),
            }
        }
    }
}

/// The version as a number; empty is the default, and wrong ones are reported.
fn check_version(v: &mut Validator<'_>, key: &str, version: &str) -> Option<u8> {
    match version {
        "" => None,
        "1.2" => Some(12),
        "1.3" => Some(13),
        "1.0" | "1.1" => {
            v.error(key, format!("TLS {version} is not supported: the lowest version is 1.2"));
            None
        }
        other => {
            v.error(key, format!("unsupported TLS version: {other:?}; known are \"1.2\" and \"1.3\""));
            None
        }
    }
}

/// TLS towards a server.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ClientTlsConfig {
    /// Certificates, keys and protocol limits.
    #[config(flatten)]
    pub material: TlsMaterialConfig,
    /// Talk plaintext. Does not apply to `https://` endpoints, nor when a CA is given.
    pub insecure: bool,
    /// Do not verify the server's certificate.
    pub insecure_skip_verify: bool,
    /// Name to ask for and to verify, instead of the endpoint's host.
    pub server_name_override: String,
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = ServerTlsConfig::check)]
pub struct ServerTlsConfig {
    /// Certificates, keys and protocol limits.
    #[config(flatten)]
    pub material: TlsMaterialConfig,
    /// File with CA certificates (PEM). When given, clients must present a certificate that one of them signed.
    pub client_ca_file: String,
    /// Read `client_ca_file` again when it changed (looked at on handshakes, at most once per second).
    pub client_ca_file_reload: bool,
}

impl ClientTlsConfig {
    /// Whether a connection is to be plaintext, for an endpoint that does not say `https://`.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.insecure && !self.material.has_ca()
    }
}

impl ServerTlsConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if !self.material.has_certificate() {
            v.error("", "TLS configuration must include both certificate and key for server connections");
        }
    }
}
