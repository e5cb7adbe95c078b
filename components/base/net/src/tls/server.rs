//! The server's side of TLS: a configuration that is built again when its files changed.
//!
//! Reloading happens on a handshake, not in a task: an idle server does nothing. A reload that fails keeps the old
//! certificates and says so in the log.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::tls::{ServerTlsConfig, TlsError, material, suites};

/// How often `client_ca_file` is looked at, at most.
const CA_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts TLS connections.
#[derive(Debug)]
pub struct ServerTls {
    config: ServerTlsConfig,
    alpn: Vec<Vec<u8>>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    loaded: Instant,
    ca_checked: Instant,
    ca_modified: Option<SystemTime>,
}

impl ServerTls {
    /// Reads certificates and keys. `alpn` lists the protocols offered, best first.
    ///
    /// # Errors
    /// Files that cannot be read or used, by name.
    pub fn new(config: &ServerTlsConfig, alpn: &[&[u8]]) -> Result<Self, TlsError> {
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let built = build(config, &alpn)?;
        let now = Instant::now();
        let current =
            Current { config: built, loaded: now, ca_checked: now, ca_modified: modified(&config.client_ca_file) };
        Ok(Self { config: config.clone(), alpn, current: Mutex::new(current) })
    }

    /// What the next connection is accepted with. Reads files again when it is time to.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock();
        let interval = self.config.material.reload_interval;
        let mut stale = !interval.is_zero() && current.loaded.elapsed() >= interval;
        if self.config.client_ca_file_reload && current.ca_checked.elapsed() >= CA_CHECK_INTERVAL {
            current.ca_checked = Instant::now();
            let found = modified(&self.config.client_ca_file);
            stale |= found != current.ca_modified;
            current.ca_modified = found;
        }
        if stale {
            current.loaded = Instant::now();
            match build(&self.config, &self.alpn) {
                Ok(config) => current.config = config,
                Err(error) => tracing::warn!(error = %error.report(), "certificates not reloaded, the old ones stay"),
            }
        }
        TlsAcceptor::from(Arc::clone(&current.config))
    }
}

fn modified(file: &str) -> Option<SystemTime> {
    if file.is_empty() { None } else { fs::metadata(file).and_then(|metadata| metadata.modified()).ok() }
}

fn build(config: &ServerTlsConfig, alpn: &[Vec<u8>]) -> Result<Arc<ServerConfig>, TlsError> {
    let unusable = |key, source| TlsError::new(key, "these TLS settings do not work together", source);
    let material = &config.material;
    let provider = suites::provider(material)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(suites::versions(material))
        .map_err(|error| unusable("min_version", error))?;
    let builder = if config.client_ca_file.is_empty() {
        builder.with_no_client_auth()
    } else {
        let roots = material::client_roots(&config.client_ca_file)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|source| TlsError::new("client_ca_file", "cannot verify clients with these CAs", source))?;
        builder.with_client_cert_verifier(verifier)
    };
    let Some((chain, key)) = material::identity(material)? else {
        return Err(TlsError::plain(
            "cert_file",
            "TLS configuration must include both certificate and key for server connections",
        ));
    };
    let mut built = builder
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::new("key_file", "certificate and key do not belong together", source))?;
    built.alpn_protocols = alpn.to_vec();
    Ok(Arc::new(built))
}
