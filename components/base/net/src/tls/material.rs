//! Reading certificates and keys, from files or from the configuration.

use std::fs;
use std::sync::{Arc, OnceLock};

use config::Secret;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::{TlsError, TlsMaterialConfig};

/// The own certificate chain and key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The bytes of a PEM setting: the file wins, the text is used when there is no file.
fn pem(key: &'static str, what: &str, file: &str, text: &Secret) -> Result<(Vec<u8>, String), TlsError> {
    if file.is_empty() {
        return Ok((text.expose().as_bytes().to_vec(), format!("the {what} in `{key}`")));
    }
    match fs::read(file) {
        Ok(bytes) => Ok((bytes, format!("{what} `{file}`"))),
        Err(source) => Err(TlsError::new(key, format!("cannot read {what} `{file}`"), source)),
    }
}

fn certificates(key: &'static str, bytes: &[u8], place: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(TlsError::plain(key, format!("{place} holds no certificate (a `-----BEGIN CERTIFICATE-----` block)")))
        }
        Ok(certificates) => Ok(certificates),
        Err(source) => Err(TlsError::new(key, format!("{place} is not PEM"), source)),
    }
}

/// The own certificate and key, `None` when not given.
pub(super) fn identity(config: &TlsMaterialConfig) -> Result<Option<Identity>, TlsError> {
    if !config.has_certificate() {
        return Ok(None);
    }
    let (bytes, place) = pem("cert_file", "certificate", &config.cert_file, &config.cert_pem)?;
    let chain = certificates("cert_file", &bytes, &place)?;
    let (bytes, place) = pem("key_file", "key", &config.key_file, &config.key_pem)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|source| TlsError::new("key_file", format!("{place} holds no usable private key"), source))?;
    Ok(Some((chain, key)))
}

/// The system's CA certificates, read once per process. Those that cannot be parsed are left out.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let loaded = rustls_native_certs::load_native_certs();
        for error in &loaded.errors {
            tracing::warn!(error = %error, "cannot read some of the system's CA certificates");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(loaded.certs);
        roots
    })
}

/// The CA certificates that a server is verified with: those given, else the system's, or both if asked for.
pub(super) fn server_roots(config: &TlsMaterialConfig) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    if config.has_ca() {
        let (bytes, place) = pem("ca_file", "CA", &config.ca_file, &config.ca_pem)?;
        add(&mut roots, "ca_file", &bytes, &place)?;
    }
    if !config.has_ca() || config.include_system_ca_certs_pool {
        roots.roots.extend(system_roots().roots.iter().cloned());
    }
    Ok(Arc::new(roots))
}

/// The CA certificates that clients are verified with.
pub(super) fn client_roots(file: &str) -> Result<Arc<RootCertStore>, TlsError> {
    let (bytes, place) = pem("client_ca_file", "CA", file, &Secret::default())?;
    let mut roots = RootCertStore::empty();
    add(&mut roots, "client_ca_file", &bytes, &place)?;
    Ok(Arc::new(roots))
}

fn add(roots: &mut RootCertStore, key: &'static str, bytes: &[u8], place: &str) -> Result<(), TlsError> {
    for certificate in certificates(key, bytes, place)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::new(key, format!("{place} holds a certificate that cannot be used"), source))?;
    }
    Ok(())
}
