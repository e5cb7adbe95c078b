//! Lists of users in Apache's htpasswd format, and the check of a password.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use component::BuildError;
use parking_lot::Mutex;
use ring::{digest, hmac, rand};
use tokio::sync::Semaphore;

use crate::config::HtpasswdConfig;
use crate::crypt;

/// Slow hashes computed at a time.
const SLOW_CHECKS_MAX: usize = 2;
/// Highest bcrypt cost: 2^15 rounds take about two seconds.
const BCRYPT_COST_MAX: u32 = 15;
/// Longest password looked at, in bytes.
const PASSWORD_BYTES_MAX: usize = 1 << 10;

/// Users and how their passwords are stored.
pub(crate) struct Htpasswd {
    users: HashMap<String, Stored>,
    /// Digests of passwords that were right, by user.
    known: Mutex<HashMap<String, hmac::Tag>>,
    key: hmac::Key,
    slow: Semaphore,
}

impl std::fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Htpasswd").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Stored {
    Bcrypt(Arc<str>),
    /// `$apr1$`, `$1$`, `$5$`, `$6$`.
    Crypt(Arc<str>),
    Sha1(Vec<u8>),
    /// Digest and salt.
    SaltedSha1(Vec<u8>, Vec<u8>),
    Plain(Arc<str>),
}

impl Htpasswd {
    /// Reads the file and the text; users of the text win.
    pub(crate) fn load(config: &HtpasswdConfig) -> Result<Self, BuildError> {
        let mut users = HashMap::new();
        if !config.file.is_empty() {
            let text = fs::read_to_string(&config.file)
                .map_err(|error| BuildError::at("htpasswd::file", format!("cannot read `{}`: {error}", config.file)))?;
            parse(&text, "htpasswd::file", &mut users)?;
        }
        parse(config.inline.expose(), "htpasswd::inline", &mut users)?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .map_err(|_unspecified| BuildError::new("the system gives no random numbers"))?;
        Ok(Self { users, known: Mutex::default(), key, slow: Semaphore::new(SLOW_CHECKS_MAX) })
    }

    /// Whether the password is the user's.
    pub(crate) async fn matches(&self, user: &str, password: &str) -> bool {
        let Some(stored) = self.users.get(user) else { return false };
        if password.len() > PASSWORD_BYTES_MAX {
            return false;
        }
        if !matches!(stored, Stored::Bcrypt(_) | Stored::Crypt(_)) {
            return stored.matches(password);
        }
        if let Some(known) = self.known.lock().get(user)
            && hmac::verify(&self.key, password.as_bytes(), known.as_ref()).is_ok()
        {
            return true;
        }
        let Ok(_turn) = self.slow.acquire().await else { return false };
        let (stored, given) = (stored.clone(), password.to_owned());
        let right = tokio::task::spawn_blocking(move || stored.matches(&given)).await.unwrap_or(false);
        if right {
            self.known.lock().insert(user.to_owned(), hmac::sign(&self.key, password.as_bytes()));
        }
        right
    }
}

impl Stored {
    fn matches(&self, password: &str) -> bool {
        let sha1 = |parts: &[&[u8]]| digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &parts.concat());
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Crypt(hash) => {
                crypt::hash(password.as_bytes(), hash).is_some_and(|given| is_same(given.as_bytes(), hash.as_bytes()))
            }
            Self::Sha1(hash) => is_same(sha1(&[password.as_bytes()]).as_ref(), hash),
            Self::SaltedSha1(hash, salt) => is_same(sha1(&[password.as_bytes(), salt]).as_ref(), hash),
            Self::Plain(text) => {
                // Digests have one length, so time does not tell the password's.
                is_same(sha1(&[password.as_bytes()]).as_ref(), sha1(&[text.as_bytes()]).as_ref())
            }
        }
    }
}

/// Compares in a time that does not depend on the content.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

fn parse(text: &str, key: &str, users: &mut HashMap<String, Stored>) -> Result<(), BuildError> {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fail = |why: &str| BuildError::at(key, format!("line {} {why}", index + 1));
        let (user, stored) = line.split_once(':').ok_or_else(|| fail("is not of the form `user:hash`"))?;
        if user.is_empty() || stored.is_empty() {
            return Err(fail("is not of the form `user:hash`"));
        }
        let decode = |text: &str| STANDARD.decode(text).ok().ok_or_else(|| fail("has a hash that is not base64"));
        let stored = if let Some(hash) = stored.strip_prefix("{SHA}") {
            let hash = decode(hash)?;
            if hash.len() != 20 {
                return Err(fail("has a {SHA} hash that is not of 20 bytes"));
            }
            Stored::Sha1(hash)
        } else if let Some(hash) = stored.strip_prefix("{SSHA}") {
            let mut hash = decode(hash)?;
            if hash.len() <= 20 {
                return Err(fail("has a {SSHA} hash without salt"));
            }
            let salt = hash.split_off(20);
            Stored::SaltedSha1(hash, salt)
        } else if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| stored.starts_with(prefix)) {
            let cost = stored.split('$').nth(2).and_then(|cost| cost.parse().ok()).unwrap_or(u32::MAX);
            if cost > BCRYPT_COST_MAX {
                return Err(fail(&format!("has a bcrypt cost above {BCRYPT_COST_MAX}")));
            }
            stored.parse::<bcrypt::HashParts>().map_err(|error| fail(&format!("has no valid bcrypt hash: {error}")))?;
            Stored::Bcrypt(stored.into())
        } else if crypt::PREFIXES.iter().any(|prefix| stored.starts_with(prefix)) {
            if crypt::hash(b"", stored).is_none() {
                return Err(fail("has a hash that is not valid"));
            }
            Stored::Crypt(stored.into())
        } else if stored.starts_with('$') || stored.starts_with('{') {
            return Err(fail("has a hash of an unknown kind"));
        } else {
            Stored::Plain(stored.into())
        };
        users.insert(user.to_owned(), stored);
    }
    Ok(())
}
