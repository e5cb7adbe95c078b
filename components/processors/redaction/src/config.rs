//! What the user writes: the Collector's keys as they are there, weir's beside them.
//!
//! Checked here: everything that can be wrong with one setting or between two. The rules are compiled again, from valid
//! settings, by [`crate::rules`].

mod detectors;
mod tiers;

use config::{Config, Secret, Validator, codes};

pub use self::detectors::{Action, DetectorConfig, DetectorList};
pub use self::tiers::{TierEntry, TierList, TiersConfig};

use crate::pattern;

/// Values longer than this are not looked into, in bytes, unless configured otherwise.
pub const VALUE_BYTES_MAX: u64 = 64 << 10;
/// The most that can be configured for it.
const VALUE_BYTES_CONFIGURABLE: u64 = 16 << 20;
/// The shortest key of a keyed hash, in bytes: as long as the output of SHA-256.
const HMAC_KEY_BYTES_MIN: usize = 32;
/// The shortest key for HMAC-SHA-512.
const HMAC_512_KEY_BYTES_MIN: usize = 64;
/// Bits of a pseudonym: least, most.
const TRUNCATE_BITS: std::ops::RangeInclusive<u32> = 64..=256;

/// Keeps personal data and secrets out of what leaves.
#[derive(Clone, Debug, PartialEq, Config)]
#[config(validate = RedactionConfig::check)]
pub struct RedactionConfig {
    /// Keeps attributes whatever their keys; `false` deletes those that are not in `allowed_keys`.
    pub allow_all_keys: bool,
    /// Keys of attributes that stay when `allow_all_keys` is off; none means that every attribute goes.
    pub allowed_keys: Vec<String>,
    /// Keys of attributes that pass unread.
    pub ignored_keys: Vec<String>,
    /// Regular expressions for more of them.
    pub ignored_key_patterns: Vec<String>,
    /// Regular expressions for keys of attributes whose whole value is masked.
    pub blocked_key_patterns: Vec<String>,
    /// Regular expressions for parts of values that are masked, applied in order.
    pub blocked_values: Vec<String>,
    /// Regular expressions for values that are left alone; they win over everything that looks at values.
    pub allowed_values: Vec<String>,
    /// Looks at numbers and booleans by what they read as, too. Detectors look at large numbers in any case.
    pub redact_all_types: bool,
    /// What stands in place of what `blocked_values` and `blocked_key_patterns` match: `****`, or a hash of it in hexadecimal.
    pub hash_function: HashFunction,
    /// The key for `hmac-sha256` (32 bytes or more) and `hmac-sha512` (64 or more).
    pub hmac_key: Secret,
    /// Attributes that tell what was done: `debug` names keys, `info` counts them.
    pub summary: Summary,
    /// Replaces what varies in the paths of URLs by `*`.
    pub url_sanitizer: UrlSanitizerConfig,
    /// Replaces literals in database queries by `?`.
    pub db_sanitizer: DbSanitizerConfig,
    /// What to find: `all`, or a list of names, each alone or with settings (`email: {action: hmac}`).
    pub detectors: DetectorList,
    /// What is done with a finding, unless its detector says otherwise.
    pub action: Action,
    /// Keys for the action `hmac`.
    pub hmac: HmacConfig,
    /// How grave a finding is, by detector or by pattern of attribute keys.
    pub tiers: TiersConfig,
    /// Where values are looked at.
    pub surfaces: Surfaces,
    /// Fields that this version's schema does not know.
    pub unknown_fields: Fate,
    /// Values of type bytes that are not text. They are searched like text in any case.
    #[config(default = Fate::Keep)]
    pub binary_values: Fate,
    /// Longest value in bytes that is looked into; longer ones are replaced as a whole. At most 16777216.
    #[config(default = VALUE_BYTES_MAX)]
    pub value_bytes_max: u64,
}

/// Hash functions of the Collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Config)]
pub enum HashFunction {
    /// None: `****`.
    #[default]
    #[config(rename = "")]
    None,
    /// SHA-1.
    #[config(alias = "SHA1")]
    Sha1,
    /// SHA3-256.
    #[config(alias = "SHA3")]
    Sha3,
    /// MD5.
    #[config(alias = "MD5")]
    Md5,
    /// HMAC with SHA-256.
    #[config(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-512.
    #[config(rename = "hmac-sha512")]
    HmacSha512,
}

/// Whether attributes tell what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Config)]
pub enum Summary {
    /// Nothing is told.
    #[default]
    #[config(alias = "")]
    Silent,
    /// How many.
    Info,
    /// How many, and which.
    Debug,
}

/// Where values are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Config)]
pub enum Surfaces {
    /// Everywhere that text can be.
    #[default]
    All,
    /// Where the Collector looks: attributes of resources, scopes, spans, span events, log records and data points, and
    /// bodies.
    Collector,
}

/// What becomes of something that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Config)]
pub enum Fate {
    /// It goes, and is counted.
    #[default]
    Remove,
    /// It stays.
    Keep,
}

/// Removes what varies from URLs: numbers, IDs, words nobody speaks, query, fragment.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct UrlSanitizerConfig {
    /// Turns it on.
    pub enabled: bool,
    /// Keys of attributes that hold URLs. Log bodies are treated in any case.
    pub attributes: Vec<String>,
    /// Treats names of client and server spans, too, when they have a slash.
    #[config(default = true)]
    pub sanitize_span_name: bool,
}

/// Removes values from queries.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct DbSanitizerConfig {
    /// SQL.
    pub sql: DbConfig,
    /// Redis commands.
    pub redis: DbConfig,
    /// Valkey commands.
    pub valkey: DbConfig,
    /// Memcached commands.
    pub memcached: DbConfig,
    /// MongoDB queries as JSON.
    pub mongo: DbConfig,
    /// OpenSearch queries as JSON.
    pub opensearch: DbConfig,
    /// Elasticsearch queries as JSON.
    pub es: DbConfig,
    /// Treats names of client and server spans, too.
    #[config(default = true)]
    pub sanitize_span_name: bool,
}

/// One kind of database.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct DbConfig {
    /// Turns it on.
    pub enabled: bool,
    /// Keys of attributes that hold queries. Log bodies are treated in any case.
    pub attributes: Vec<String>,
}

/// Keyed pseudonyms.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct HmacConfig {
    /// The key for new values, and during a rotation the one before it: values then get a pseudonym of each.
    pub keys: Vec<HmacKeyConfig>,
    /// Bits of the hash that are shown, 64 to 256 in steps of 8. At 80 bits, two of a hundred million values meet once in
    /// two hundred million such sets.
    #[config(default = 80)]
    pub truncate_bits: u32,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct HmacKeyConfig {
    /// Its name, which stands in every pseudonym: letters, digits, `_`, `-`, at most 16.
    #[config(required)]
    pub id: String,
    /// The key, 32 bytes or more.
    #[config(required)]
    pub key: Secret,
}

impl RedactionConfig {
    fn check(&self, v: &mut Validator<'_>) {
        for (name, patterns) in [
            ("ignored_key_patterns", &self.ignored_key_patterns),
            ("blocked_key_patterns", &self.blocked_key_patterns),
            ("blocked_values", &self.blocked_values),
            ("allowed_values", &self.allowed_values),
        ] {
            for (index, text) in patterns.iter().enumerate() {
                let place = format!("{name}::{index}");
                if let Err(problem) = pattern::compile(text) {
                    v.error(&place, problem);
                } else if text.is_empty() && name == "blocked_values" {
                    v.warning(
                        &place,
                        codes::NO_EFFECT,
                        "the empty pattern has no effect: it matches no byte of a value",
                    );
                }
            }
        }
        self.check_hash(v);
        if !(1..=VALUE_BYTES_CONFIGURABLE).contains(&self.value_bytes_max) {
            let message = format!("`value_bytes_max` must be 1 to {VALUE_BYTES_CONFIGURABLE}");
            v.error("value_bytes_max", message);
        }
        self.detectors.check(v);
        self.detectors.check_effects(self.action, &self.tiers, v);
        self.tiers.check(&self.detectors, v);
        self.check_hmac(v);
    }

    fn check_hash(&self, v: &mut Validator<'_>) {
        let (name, least) = match self.hash_function {
            HashFunction::HmacSha256 => ("hmac-sha256", HMAC_KEY_BYTES_MIN),
            HashFunction::HmacSha512 => ("hmac-sha512", HMAC_512_KEY_BYTES_MIN),
            _ => {
                if !self.hmac_key.expose().is_empty() {
                    let message = "`hmac_key` has no effect without `hash_function: hmac-sha256` or `hmac-sha512`";
                    v.warning("hmac_key", codes::NO_EFFECT, message);
                }
                return;
            }
        };
        let bytes = self.hmac_key.expose().len();
        if bytes < least {
            let message = format!("`hash_function: {name}` needs an `hmac_key` of {least} bytes or more, got {bytes}");
            v.error(if bytes == 0 { "hash_function" } else { "hmac_key" }, message);
        }
    }

    fn check_hmac(&self, v: &mut Validator<'_>) {
        let bits = self.hmac.truncate_bits;
        if !TRUNCATE_BITS.contains(&bits) || !bits.is_multiple_of(8) {
            v.error("hmac::truncate_bits", format!("`truncate_bits` must be 64 to 256 in steps of 8, got {bits}"));
        }
        if self.hmac.keys.len() > 2 {
            let message = "`keys` takes one key, and during a rotation the one before it: remove the oldest";
            v.error("hmac::keys::2", message);
        }
        for (index, key) in self.hmac.keys.iter().enumerate() {
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if !(1..=16).contains(&key.id.len()) || !key.id.bytes().all(valid) {
                let message = "`id` must be 1 to 16 letters, digits, `_` or `-`";
                v.error(&format!("hmac::keys::{index}::id"), message);
            }
            if self.hmac.keys.iter().take(index).any(|other| other.id == key.id) {
                v.error(&format!("hmac::keys::{index}::id"), format!("the id `{}` is given twice", key.id));
            }
            let bytes = key.key.expose().len();
            if bytes < HMAC_KEY_BYTES_MIN {
                let message = format!("`key` must have {HMAC_KEY_BYTES_MIN} bytes or more, got {bytes}");
                v.error(&format!("hmac::keys::{index}::key"), message);
            }
        }
        let mut actions = self.detectors.iter().map(|detector| detector.config.action.unwrap_or(self.action));
        let used = self.action == Action::Hmac || actions.any(|action| action == Action::Hmac);
        if !self.hmac.keys.is_empty() && !used {
            v.warning("hmac::keys", codes::NO_EFFECT, "`keys` has no effect: no action is `hmac`");
        }
        if self.hmac.keys.is_empty() {
            const MESSAGE: &str = "`action: hmac` needs a key in `hmac::keys`";
            if self.action == Action::Hmac {
                v.error("action", MESSAGE);
            }
            for detector in self.detectors.iter().filter(|detector| detector.config.action == Some(Action::Hmac)) {
                v.error(&detector.path("action"), MESSAGE);
            }
        }
    }
}
