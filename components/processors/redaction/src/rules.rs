//! The configuration, compiled: what is decided about a key, and what is done with a finding.

use std::collections::HashSet;

use detectors::{KeySense, Kind, Kinds, Options, Scanner};
use regex::bytes::Regex;

use crate::config::{Action, Fate, RedactionConfig, Summary, Surfaces, TierList};
use crate::hash::Masker;
use crate::pattern;
use crate::pseudonym::Keys;
use crate::sanitize::{Applied, Sanitizers};

/// Who found something: a detector, or one of the other rules. The name of it in metrics and in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Rule {
    Detector(Kind),
    BlockedValue,
    BlockedKey,
    HighKey,
    ForbiddenKey,
    NotAllowedKey,
    Url,
    Database,
    Oversized,
    Binary,
    UnknownField,
}

impl Rule {
    const OTHERS: [Self; 10] = [
        Self::BlockedValue,
        Self::BlockedKey,
        Self::HighKey,
        Self::ForbiddenKey,
        Self::NotAllowedKey,
        Self::Url,
        Self::Database,
        Self::Oversized,
        Self::Binary,
        Self::UnknownField,
    ];

    /// All of them, each at its [`Rule::index`].
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.into_iter().map(Self::Detector).chain(Self::OTHERS)
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Detector(kind) => kind as usize,
            other => {
                Kind::ALL.len() + Self::OTHERS.iter().position(|rule| *rule == other).unwrap_or(Self::OTHERS.len() - 1)
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Detector(kind) => kind.name(),
            Self::BlockedValue => "blocked_values",
            Self::BlockedKey => "blocked_key_patterns",
            Self::HighKey => "tiers.high",
            Self::ForbiddenKey => "tiers.forbidden",
            Self::NotAllowedKey => "allowed_keys",
            Self::Url => "url_sanitizer",
            Self::Database => "db_sanitizer",
            Self::Oversized => "value_bytes_max",
            Self::Binary => "binary_values",
            Self::UnknownField => "unknown_fields",
        }
    }
}

/// What becomes of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Report,
    Do(Action),
    Forbid,
}

/// How a detector's findings are treated.
#[derive(Clone, Debug)]
pub(crate) struct Treatment {
    pub(crate) deed: Deed,
    pub(crate) label: Box<[u8]>,
    /// Of addresses: bits that stay.
    pub(crate) prefix: u8,
}

/// What is decided about an attribute by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFate {
    /// Passes unread.
    Ignored,
    /// Not among those allowed.
    NotAllowed,
    /// Makes the item be refused.
    Forbidden,
    /// The whole value is replaced by the default action.
    High,
    /// The whole value is masked.
    Blocked,
    /// The value is looked at.
    Read,
}

/// What is known of a key. Cheap to copy, for caches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRule {
    pub(crate) fate: KeyFate,
    pub(crate) sense: KeySense,
    pub(crate) sanitizers: Applied,
    /// The configuration names the key, so that it holds no personal data.
    pub(crate) is_vouched: bool,
}

/// Everything that is decided when the configuration is read.
#[derive(Debug)]
pub(crate) struct Rules {
    allow_all_keys: bool,
    allowed_keys: HashSet<Box<[u8]>>,
    ignored_keys: HashSet<Box<[u8]>>,
    ignored_patterns: Vec<Regex>,
    forbidden_keys: Vec<Regex>,
    /// The same as they were written, for messages.
    forbidden_texts: Vec<String>,
    high_keys: Vec<Regex>,
    blocked_keys: Vec<Regex>,
    pub(crate) blocked_values: Vec<Regex>,
    pub(crate) allowed_values: Vec<Regex>,
    pub(crate) all_types: bool,
    pub(crate) masker: Masker,
    pub(crate) summary: Summary,
    pub(crate) sanitizers: Sanitizers,
    pub(crate) scanner: Option<Scanner>,
    /// What it finds.
    pub(crate) kinds: Kinds,
    pub(crate) treatments: Vec<Treatment>,
    pub(crate) default_action: Action,
    pub(crate) keys: Keys,
    pub(crate) everywhere: bool,
    pub(crate) unknown_fields: Fate,
    pub(crate) binary_values: Fate,
    pub(crate) value_bytes_max: usize,
    /// Nothing but detectors looks at values that no sanitizer applies to, and nobody is told which changed.
    pub(crate) only_detects: bool,
}

/// Attributes that the summary consists of, which stay when keys have to be allowed.
const SUMMARY_KEYS: [&str; 5] = [
    "redaction.redacted.keys",
    "redaction.redacted.count",
    "redaction.masked.keys",
    "redaction.masked.count",
    "redaction.ignored.count",
];

fn patterns(list: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<Regex>, String> {
    list.into_iter().map(|text| pattern::compile(text.as_ref())).collect()
}

fn set(list: &[String]) -> HashSet<Box<[u8]>> {
    list.iter().map(|key| key.as_bytes().into()).collect()
}

impl Rules {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// What is wrong with it, which its validation has told before.
    pub(crate) fn new(config: &RedactionConfig) -> Result<Self, String> {
        let mut allowed_keys = set(&config.allowed_keys);
        allowed_keys.extend(SUMMARY_KEYS.iter().map(|key| key.as_bytes().into()));
        let ignored = config.ignored_key_patterns.iter().map(String::as_str).chain(config.tiers.none.keys());
        let (scanner, kinds, treatments) = detectors_of(config)?;
        Ok(Self {
            allow_all_keys: config.allow_all_keys,
            allowed_keys,
            ignored_keys: set(&config.ignored_keys),
            ignored_patterns: patterns(ignored)?,
            forbidden_keys: patterns(config.tiers.forbidden.keys())?,
            forbidden_texts: config.tiers.forbidden.keys().map(str::to_owned).collect(),
            high_keys: patterns(config.tiers.high.keys())?,
            blocked_keys: patterns(&config.blocked_key_patterns)?,
            blocked_values: patterns(&config.blocked_values)?,
            allowed_values: patterns(&config.allowed_values)?,
            all_types: config.redact_all_types,
            masker: Masker::new(config),
            summary: config.summary,
            sanitizers: Sanitizers::new(&config.url_sanitizer, &config.db_sanitizer),
            scanner,
            kinds,
            treatments,
            default_action: if config.action == Action::Partial { Action::Mask } else { config.action },
            keys: Keys::new(&config.hmac),
            everywhere: config.surfaces == Surfaces::All,
            unknown_fields: config.unknown_fields,
            binary_values: config.binary_values,
            value_bytes_max: usize::try_from(config.value_bytes_max).unwrap_or(usize::MAX),
            only_detects: config.allowed_values.is_empty()
                && config.blocked_values.is_empty()
                && config.summary == Summary::Silent,
        })
    }

    /// What is decided about an attribute by its key.
    pub(crate) fn key(&self, key: &[u8]) -> KeyRule {
        let any = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(key));
        let allowed = self.allowed_keys.contains(key);
        let fate = if self.ignored_keys.contains(key) || any(&self.ignored_patterns) {
            KeyFate::Ignored
        } else if any(&self.forbidden_keys) {
            KeyFate::Forbidden
        } else if !self.allow_all_keys && !allowed {
            KeyFate::NotAllowed
        } else if any(&self.high_keys) {
            KeyFate::High
        } else if any(&self.blocked_keys) {
            KeyFate::Blocked
        } else {
            KeyFate::Read
        };
        let is_vouched = allowed || fate == KeyFate::Ignored;
        KeyRule { fate, sense: KeySense::of(key), sanitizers: self.sanitizers.of_key(key), is_vouched }
    }

    /// The place of the first pattern of the tier `forbidden` that a key matches.
    pub(crate) fn forbidden_by(&self, key: &[u8]) -> usize {
        self.forbidden_keys.iter().position(|pattern| pattern.is_match(key)).unwrap_or_default()
    }

    /// The pattern at that place, as it was written.
    pub(crate) fn forbidden_text(&self, place: usize) -> &str {
        self.forbidden_texts.get(place).map_or("", String::as_str)
    }

    /// Whether anything looks at values, so that keys and texts have to be read.
    pub(crate) fn reads_values(&self) -> bool {
        self.scanner.is_some() || !self.blocked_values.is_empty()
    }
}

/// The scanner and what is done with what it finds, by kind.
fn detectors_of(config: &RedactionConfig) -> Result<(Option<Scanner>, Kinds, Vec<Treatment>), String> {
    let default = |kind: Kind| Treatment {
        deed: Deed::Do(config.action),
        label: kind.label().as_bytes().into(),
        prefix: if kind == Kind::Ipv6 { 48 } else { 24 },
    };
    let mut treatments: Vec<Treatment> = Kind::ALL.into_iter().map(default).collect();
    let mut options = Options { kinds: Kinds::NONE, ..Options::default() };
    let high = if config.action == Action::Partial { Action::Mask } else { config.action };
    let tiers: [(&TierList, Deed); 4] = [
        (&config.tiers.none, Deed::Report),
        (&config.tiers.low, Deed::Do(Action::Partial)),
        (&config.tiers.high, Deed::Do(high)),
        (&config.tiers.forbidden, Deed::Forbid),
    ];
    for (kind, deed) in tiers.iter().flat_map(|(list, deed)| list.kinds().map(|kind| (kind, *deed))) {
        options.kinds = options.kinds.with(kind);
        if let Some(treatment) = treatments.get_mut(kind as usize) {
            treatment.deed = deed;
        }
    }
    for detector in config.detectors.iter() {
        options.kinds = options.kinds.with(detector.kind);
        let Some(treatment) = treatments.get_mut(detector.kind as usize) else { continue };
        let settings = &detector.config;
        if let Some(action) = settings.action {
            treatment.deed = Deed::Do(action);
        }
        if let Some(label) = &settings.label {
            treatment.label = label.as_bytes().into();
        }
        if let Some(prefix) = settings.prefix {
            treatment.prefix = u8::try_from(prefix).unwrap_or(u8::MAX);
        }
        options.skip_private_ips |= settings.skip_private == Some(true);
        if let Some(parameters) = &settings.parameters {
            options.query_parameters.clone_from(parameters);
        }
    }
    if options.kinds.is_empty() {
        return Ok((None, options.kinds, treatments));
    }
    let scanner = Scanner::new(&options).map_err(|error| error.to_string())?;
    Ok((Some(scanner), options.kinds, treatments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_stand_at_their_index() {
        for (index, rule) in Rule::all().enumerate() {
            assert_eq!(rule.index(), index, "{}", rule.name());
        }
    }

    #[test]
    fn keys_are_decided_in_order() {
        let (config, _) = config::decode_str::<RedactionConfig>(
            r#"{allowed_keys: [a, b.token, forbidden.a, high.token, ignored.token], ignored_keys: [ignored.token],
                ignored_key_patterns: ["^safe"], blocked_key_patterns: [token],
                tiers: {none: [key: "^public"], high: [key: "^high"], forbidden: [key: "^forbidden"]}}"#,
        )
        .unwrap();
        let rules = Rules::new(&config).unwrap();
        for (key, fate) in [
            ("a", KeyFate::Read),
            ("x", KeyFate::NotAllowed),
            ("b.token", KeyFate::Blocked),
            ("high.token", KeyFate::High),
            ("ignored.token", KeyFate::Ignored),
            ("safe.forbidden", KeyFate::Ignored),
            ("public.a", KeyFate::Ignored),
            ("forbidden.x", KeyFate::Forbidden),
            ("redaction.masked.keys", KeyFate::Read),
        ] {
            assert_eq!(rules.key(key.as_bytes()).fate, fate, "{key}");
        }
    }
}
