//! TLS on rustls with ring: settings as the Collector has them, certificates that reload, errors that name the file.
//!
//! TLS 1.2 and 1.3 only, AEAD suites only: what rustls lacks is refused by name while the configuration is checked, never
//! silently weakened. Private keys live in memory only while a configuration is built. ring has no key exchange that is safe
//! from quantum computers; [`hybrid`] puts one together.

mod client;
mod config;
mod hybrid;
mod material;
mod server;
mod suites;

pub use client::ClientTls;
pub use config::{ClientTlsConfig, ServerTlsConfig, TlsMaterialConfig};
pub use server::ServerTls;

/// Why TLS settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TlsError {
    /// What was attempted, on which file.
    pub message: String,
    /// Key of the `tls` block that is to blame.
    pub key: &'static str,
    /// Why it failed.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl TlsError {
    pub(crate) fn plain(key: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), key, source: None }
    }

    pub(crate) fn new(
        key: &'static str,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { message: message.into(), key, source: Some(source.into()) }
    }

    /// The message with its causes.
    #[must_use]
    pub fn report(&self) -> String {
        crate::report(self)
    }
}

#[cfg(test)]
mod tests;
