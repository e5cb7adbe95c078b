//! The key exchange X25519MLKEM768 of TLS 1.3: ML-KEM-768, which no quantum computer is known to break, and X25519 beside it.
//! Who wants to read along has to break both.
//!
//! Shares and secrets of the two stand one behind the other, those of ML-KEM first. X25519 is ring's. On only where
//! `curve_preferences` names it.

use ml_kem::kem::{Decapsulate as _, Encapsulate as _, Kem as _, KeyExport as _, TryKeyInit as _};
use ml_kem::ml_kem_768::{DecapsulationKey, EncapsulationKey};
use ml_kem::{MlKem768, SharedKey};
use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

/// Bytes of a key to encapsulate with, which the client sends.
const KEY_BYTES: usize = 1184;
/// Bytes of an encapsulated secret, which the server answers with.
const CIPHERTEXT_BYTES: usize = 1088;

/// The group.
#[derive(Debug)]
pub(super) struct X25519MlKem768;

impl SupportedKxGroup for X25519MlKem768 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let classical = X25519.start()?;
        let (key, public) = MlKem768::generate_keypair();
        let share = [public.to_bytes().as_slice(), classical.pub_key()].concat();
        Ok(Box::new(Started { key, classical, share }))
    }

    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (key, classical) = split(share, KEY_BYTES)?;
        let key = EncapsulationKey::new_from_slice(key).map_err(|_refused| invalid())?;
        let classical = X25519.start_and_complete(classical)?;
        let (ciphertext, secret) = key.encapsulate();
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [ciphertext.as_slice(), &classical.pub_key].concat(),
            secret: joined(&secret, &classical.secret),
        })
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// What a client waits with for the server's share.
struct Started {
    key: DecapsulationKey,
    classical: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, classical) = split(share, CIPHERTEXT_BYTES)?;
        let secret = self.key.decapsulate_slice(ciphertext).map_err(|_length| invalid())?;
        Ok(joined(&secret, &self.classical.complete(classical)?))
    }

    /// X25519 can be offered alone with the same key, where it is allowed.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.classical.group(), self.classical.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        self.classical.complete(share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

/// The part of ML-KEM, of that length, and that of X25519, whose length X25519 checks.
fn split(share: &[u8], length: usize) -> Result<(&[u8], &[u8]), Error> {
    share.split_at_checked(length).ok_or_else(invalid)
}

fn joined(secret: &SharedKey, classical: &SharedSecret) -> SharedSecret {
    SharedSecret::from([secret.as_slice(), classical.secret_bytes()].concat())
}

fn invalid() -> Error {
    PeerMisbehaved::InvalidKeyShare.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_get_the_same_secret() {
        let client = X25519MlKem768.start().unwrap();
        assert_eq!(client.pub_key().len(), KEY_BYTES + 32);
        let server = X25519MlKem768.start_and_complete(client.pub_key()).unwrap();
        assert_eq!(server.pub_key.len(), CIPHERTEXT_BYTES + 32);
        let secret = client.complete(&server.pub_key).unwrap();
        assert_eq!((secret.secret_bytes().len(), secret.secret_bytes()), (64, server.secret.secret_bytes()));
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        let share = X25519MlKem768.start().unwrap().pub_key().to_vec();
        // Coefficients of a key are below 3329; these are 4095.
        let beyond = [&[0xff; KEY_BYTES], &share[KEY_BYTES..]].concat();
        for wrong in [&[][..], &share[1..], &[&share[..], &[0]].concat(), &beyond] {
            assert!(X25519MlKem768.start_and_complete(wrong).is_err(), "{} bytes", wrong.len());
        }
        let answer = X25519MlKem768.start_and_complete(&share).unwrap().pub_key;
        for wrong in [&[][..], &answer[1..], &[&answer[..], &[0]].concat()] {
            assert!(X25519MlKem768.start().unwrap().complete(wrong).is_err(), "{} bytes", wrong.len());
        }
    }
}
