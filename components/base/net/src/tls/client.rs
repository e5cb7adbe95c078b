//! The client's side of TLS.

use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::tls::{ClientTlsConfig, TlsError, material, suites};

/// Opens TLS connections. Certificates are read again on a connect when `reload_interval` has passed.
#[derive(Debug)]
pub struct ClientTls {
    config: ClientTlsConfig,
    alpn: Vec<Vec<u8>>,
    current: Mutex<(Arc<ClientConfig>, Instant)>,
}

impl ClientTls {
    /// Reads certificates and keys. `alpn` lists the protocols offered, best first.
    ///
    /// # Errors
    /// Files that cannot be read or used, by name.
    pub fn new(config: &ClientTlsConfig, alpn: &[&[u8]]) -> Result<Self, TlsError> {
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let built = build(config, &alpn)?;
        Ok(Self { config: config.clone(), alpn, current: Mutex::new((built, Instant::now())) })
    }

    /// What the next connection is opened with.
    pub fn connector(&self) -> TlsConnector {
        let mut current = self.current.lock();
        let interval = self.config.material.reload_interval;
        if !interval.is_zero() && current.1.elapsed() >= interval {
            current.1 = Instant::now();
            match build(&self.config, &self.alpn) {
                Ok(config) => current.0 = config,
                Err(error) => tracing::warn!(error = %error.report(), "certificates not reloaded, the old ones stay"),
            }
        }
        TlsConnector::from(Arc::clone(&current.0))
    }

    /// The name to verify for a server reached as `host`.
    ///
    /// # Errors
    /// A host that is neither a DNS name nor an address.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = if self.config.server_name_override.is_empty() { host } else { &self.config.server_name_override };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        ServerName::try_from(name.to_owned()).map_err(|source| {
            TlsError::new("server_name_override", format!("`{name}` cannot be the name of a TLS server"), source)
        })
    }
}

fn build(config: &ClientTlsConfig, alpn: &[Vec<u8>]) -> Result<Arc<ClientConfig>, TlsError> {
    let material = &config.material;
    let provider = suites::provider(material)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(suites::versions(material))
        .map_err(|source| TlsError::new("min_version", "these TLS settings do not work together", source))?;
    let builder = if config.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
    } else {
        builder.with_root_certificates(material::server_roots(material)?)
    };
    let mut built = match material::identity(material)? {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|source| TlsError::new("key_file", "certificate and key do not belong together", source))?,
        None => builder.with_no_client_auth(),
    };
    built.alpn_protocols = alpn.to_vec();
    Ok(Arc::new(built))
}

/// `insecure_skip_verify`: takes any certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
