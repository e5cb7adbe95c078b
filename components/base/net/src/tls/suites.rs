//! Go's names of cipher suites, curves and versions, and what rustls has for them.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::{CipherSuite, SupportedProtocolVersion, version};

use crate::tls::hybrid::X25519MlKem768;
use crate::tls::{TlsError, TlsMaterialConfig};

const SUITES: &[(&str, CipherSuite)] = &[
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// The suite of that Go name.
pub(super) fn suite(name: &str) -> Result<CipherSuite, String> {
    if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) {
        return Ok(*suite);
    }
    let dated = ["_CBC_", "_RC4_", "_3DES_"].iter().any(|part| name.contains(part));
    if name.starts_with("TLS_") && (dated || name.starts_with("TLS_RSA_")) {
        return Err(format!(
            "cipher suite `{name}` is not supported: only ECDHE suites with AES-GCM or ChaCha20-Poly1305 are"
        ));
    }
    Err(format!("invalid TLS cipher suite: {name:?}"))
}

/// The key exchange group of that Go name; `None` for one that weir lacks.
pub(super) fn group(name: &str) -> Result<Option<&'static dyn SupportedKxGroup>, String> {
    match name {
        "X25519" => Ok(Some(ring::kx_group::X25519)),
        "P256" => Ok(Some(ring::kx_group::SECP256R1)),
        "P384" => Ok(Some(ring::kx_group::SECP384R1)),
        "X25519MLKEM768" => Ok(Some(&X25519MlKem768)),
        "P521" => Ok(None),
        other => Err(format!("invalid curve type: {other}; known are X25519, P256, P384, X25519MLKEM768")),
    }
}

/// Cryptography restricted to what the settings allow.
pub(super) fn provider(config: &TlsMaterialConfig) -> Result<Arc<CryptoProvider>, TlsError> {
    let mut provider = ring::default_provider();
    if !config.cipher_suites.is_empty() {
        let mut allowed = Vec::new();
        for name in &config.cipher_suites {
            allowed.push(suite(name).map_err(|why| TlsError::plain("cipher_suites", why))?);
        }
        // TLS 1.3 suites are not configurable, as in Go.
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || allowed.contains(&suite.suite()));
    }
    if !config.curve_preferences.is_empty() {
        let groups: Result<Vec<_>, String> =
            config.curve_preferences.iter().filter_map(|name| group(name).transpose()).collect();
        provider.kx_groups = groups.map_err(|why| TlsError::plain("curve_preferences", why))?;
    }
    Ok(Arc::new(provider))
}

/// The protocol versions between the settings' bounds.
pub(super) fn versions(config: &TlsMaterialConfig) -> &'static [&'static SupportedProtocolVersion] {
    static TLS12: [&SupportedProtocolVersion; 1] = [&version::TLS12];
    static TLS13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match (config.min_version.as_str(), config.max_version.as_str()) {
        (_, "1.2") => &TLS12,
        ("1.3", _) => &TLS13,
        _ => &BOTH,
    }
}
