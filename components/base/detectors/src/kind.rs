//! The kinds of things found, their stable names, and sets of them.
//!
//! Names are part of the configuration language and of metrics: they never change. The order of the variants is the
//! order of precedence: of two findings over the same bytes the one named first here stays.

/// One kind of personal data or secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A private key in PEM form, from its `BEGIN` line to its `END` line.
    PrivateKey,
    /// A JSON web token, all its parts.
    Jwt,
    /// A cloud provider's key: AWS access key ids, Google API keys, OAuth tokens and client secrets.
    CloudKey,
    /// A token with its vendor's prefix: GitHub, GitLab, Slack, Stripe, npm, Databricks, Grafana, Anthropic, OpenAI, …
    ApiToken,
    /// A payment card number that passes Luhn and its issuer's ranges and lengths.
    PaymentCard,
    /// An international bank account number with its country's length and a true checksum.
    Iban,
    /// A social security number of the United States.
    UsSsn,
    /// An individual taxpayer identification number of the United States.
    UsItin,
    /// An e-mail address.
    Email,
    /// An IPv6 address, without zone and port.
    Ipv6,
    /// An IPv4 address, without port.
    Ipv4,
    /// A telephone number in international form, or in national form beside a word such as `phone`.
    Phone,
    /// The token of `Bearer …` and the encoded pair of `Basic …`.
    Credentials,
    /// What stands before the `@` of a URL's authority: `user:password`.
    UrlUserinfo,
    /// The value of a URL query parameter whose name is on the list.
    UrlQuery,
    /// The value of `password=…`, `"secret": "…"` and their like.
    SecretAssignment,
    /// A string or number literal in the text of an SQL statement.
    SqlLiteral,
}

impl Kind {
    /// All kinds, in order of precedence.
    pub const ALL: [Self; 17] = [
        Self::PrivateKey,
        Self::Jwt,
        Self::CloudKey,
        Self::ApiToken,
        Self::PaymentCard,
        Self::Iban,
        Self::UsSsn,
        Self::UsItin,
        Self::Email,
        Self::Ipv6,
        Self::Ipv4,
        Self::Phone,
        Self::Credentials,
        Self::UrlUserinfo,
        Self::UrlQuery,
        Self::SecretAssignment,
        Self::SqlLiteral,
    ];

    /// The name in configuration and metrics: lower-case, words joined by `_`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
            Self::CloudKey => "cloud_key",
            Self::ApiToken => "api_token",
            Self::PaymentCard => "payment_card",
            Self::Iban => "iban",
            Self::UsSsn => "us_ssn",
            Self::UsItin => "us_itin",
            Self::Email => "email",
            Self::Ipv6 => "ipv6",
            Self::Ipv4 => "ipv4",
            Self::Phone => "phone",
            Self::Credentials => "credentials",
            Self::UrlUserinfo => "url_userinfo",
            Self::UrlQuery => "url_query",
            Self::SecretAssignment => "secret_assignment",
            Self::SqlLiteral => "sql_literal",
        }
    }

    /// What stands in place of a finding by default. Query values and SQL literals follow the semantic conventions
    /// (`REDACTED`, `?`); none of the labels is itself found by a scan.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::PrivateKey => "<REDACTED_PRIVATE_KEY>",
            Self::Jwt => "<REDACTED_JWT>",
            Self::CloudKey => "<REDACTED_CLOUD_KEY>",
            Self::ApiToken => "<REDACTED_TOKEN>",
            Self::PaymentCard => "<REDACTED_CC>",
            Self::Iban => "<REDACTED_IBAN>",
            Self::UsSsn => "<REDACTED_SSN>",
            Self::UsItin => "<REDACTED_ITIN>",
            Self::Email => "<REDACTED_EMAIL>",
            Self::Ipv6 | Self::Ipv4 => "<REDACTED_IP>",
            Self::Phone => "<REDACTED_PHONE>",
            Self::Credentials => "<REDACTED_CREDENTIALS>",
            Self::UrlUserinfo | Self::UrlQuery => "REDACTED",
            Self::SecretAssignment => "<REDACTED_SECRET>",
            Self::SqlLiteral => "?",
        }
    }

    /// The kind of that [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kinds(u32);

impl Kinds {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self((1 << Kind::ALL.len()) - 1);

    /// Whether `kind` is in the set.
    #[must_use]
    #[inline]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// The set with `kind` in it.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// The set without `kind`.
    #[must_use]
    pub const fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u8))
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds of the set, in order of precedence.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |&kind| self.contains(kind))
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_are_unlike() {
        for (position, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position);
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_name("Email"), None);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: Kinds = [Kind::SqlLiteral, Kind::PrivateKey].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Kind::PrivateKey, Kind::SqlLiteral]);
        assert_eq!(set.without(Kind::PrivateKey).iter().collect::<Vec<_>>(), [Kind::SqlLiteral]);
        assert_eq!(Kinds::ALL.iter().count(), Kind::ALL.len());
        assert!(Kinds::NONE.is_empty());
    }
}
