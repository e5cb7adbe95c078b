//! What a scanner is made from, and what a caller says about the place of a text.

use crate::secret::{self, Says};
use crate::{Kind, Kinds};

/// Longest name of a query parameter, in bytes after percent-decoding.
pub const QUERY_PARAMETER_BYTES_MAX: usize = 64;

/// Names of URL query parameters whose values are secrets or personal data; letter case does not count. The first are
/// the semantic conventions' (`url.query`), the others are ours.
pub const QUERY_PARAMETERS: [&str; 28] = [
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Goog-Signature",
    "token",
    "access_token",
    "id_token",
    "refresh_token",
    "code",
    "state",
    "password",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "api_key",
    "apikey",
    "key",
    "auth",
    "session",
    "sid",
    "email",
    "phone",
    "otp",
    "api-key",
];

/// What to look for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kinds to find. Default: all.
    pub kinds: Kinds,
    /// Names of query parameters for [`Kind::UrlQuery`], 1 to [`QUERY_PARAMETER_BYTES_MAX`] bytes each, letter case
    /// does not count. Default: [`QUERY_PARAMETERS`].
    pub query_parameters: Vec<String>,
    /// Leaves addresses alone that name no one on the Internet: private, loopback, link-local, shared, unspecified,
    /// multicast and documentation ranges. Default: false.
    pub skip_private_ips: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kinds: Kinds::ALL,
            query_parameters: QUERY_PARAMETERS.iter().map(|name| (*name).to_owned()).collect(),
            skip_private_ips: false,
        }
    }
}

/// Options that no scanner can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A query parameter's name is empty or too long.
    #[error("query parameter `{name}` has {bytes} bytes, need 1 to {QUERY_PARAMETER_BYTES_MAX}")]
    ParameterLength {
        /// The name as given.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// A query parameter's name holds a byte that separates parameters, so that it could never be met.
    #[error("query parameter `{name}` holds `{separator}`, which ends a name")]
    ParameterSeparator {
        /// The name as given.
        name: String,
        /// The first such character.
        separator: char,
    },
}

/// One finding: what must go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Its first byte. For kinds with a name or scheme before the value (query parameters, assignments, credentials,
    /// user-info) the value alone is meant.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// What the caller knows of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hint {
    /// Anything: log bodies, messages, attribute values and keys. SQL literals are looked for only when the text begins
    /// like a statement.
    #[default]
    Text,
    /// A database statement, possibly cut short: every literal is found, wherever it stands.
    Sql,
    /// The value of a statement's parameter: all of it is a literal.
    SqlValue,
    /// A URL, a part of one or form data: a parameter's name may stand at the very start (`token=…&…`).
    Url,
}

/// What an attribute's key, or a map entry's, says of its values: worked out once, for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeySense {
    hint: Hint,
    says: Option<Says>,
}

impl KeySense {
    /// What a key says, with the hint that the semantic conventions (current and former) give to it.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let hint = match key {
            b"db.query.text" | b"db.statement" => Hint::Sql,
            b"url.full"
            | b"url.query"
            | b"url.fragment"
            | b"url.original"
            | b"url.path"
            | b"http.url"
            | b"http.target"
            | b"http.request.header.referer"
            | b"http.response.header.location" => Hint::Url,
            _ if key.starts_with(b"db.query.parameter.") || key.starts_with(b"db.operation.parameter.") => {
                Hint::SqlValue
            }
            _ => Hint::Text,
        };
        Self { hint, says: secret::key_says(key) }
    }

    /// Whether the key says of its values what they are, numbers included: a secret, a telephone number, a literal.
    #[must_use]
    pub fn is_telling(self) -> bool {
        self.says.is_some() || self.hint == Hint::SqlValue
    }
}

/// Where a text stands: what kind of text it is, and under which key. Words in the key count like words before a value:
/// nine bare digits under `user.ssn` are a social security number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    pub(crate) hint: Hint,
    pub(crate) key: &'a [u8],
    pub(crate) says: Option<Says>,
}

impl<'a> Place<'a> {
    /// The place of a text under `key` (empty when there is none), with a hint that the caller gives.
    #[must_use]
    pub fn new(hint: Hint, key: &'a [u8]) -> Self {
        Self { hint, ..Self::of_key(key) }
    }

    /// The place of an attribute's value, with the hint that the semantic conventions (current and former) give to
    /// the key.
    #[must_use]
    pub fn of_key(key: &'a [u8]) -> Self {
        Self::of_known_key(key, KeySense::of(key))
    }

    /// The place of an attribute's value, for a caller that keeps what the key says.
    #[must_use]
    pub fn of_known_key(key: &'a [u8], KeySense { hint, says }: KeySense) -> Self {
        Self { hint, key, says }
    }

    /// Whether the key says of its values what they are, see [`KeySense::is_telling`].
    #[must_use]
    pub fn is_telling(self) -> bool {
        KeySense { hint: self.hint, says: self.says }.is_telling()
    }

    /// A text without a key, of which nothing is known.
    #[must_use]
    pub fn text() -> Self {
        Self::default()
    }
}
