//! The setting `detectors`: `all`, or a list whose entries are a name, or a name with settings.

use config::{Config, Decode, Decoder, Key, Node, Schema, Validator, Value, codes, nearest};
use detectors::{Kind, Options};

use super::TiersConfig;

/// What is done with a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Config)]
pub enum Action {
    /// A label takes its place: `<REDACTED_EMAIL>`.
    #[default]
    Mask,
    /// A part stays: the last four digits of a card, the domain of an e-mail address, the network of an address. Kinds
    /// without such a part are masked.
    Partial,
    /// SHA-256 of it takes its place. Whoever can guess the value can look it up: prefer `hmac`.
    Sha256,
    /// A keyed hash takes its place: `email:k1:…`.
    Hmac,
    /// The attribute goes. Elsewhere the text does.
    Drop,
}

/// Settings of one detector.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct DetectorConfig {
    /// What is done with a finding; `action` beside `detectors` unless given.
    pub action: Option<Action>,
    /// What stands in place of a finding when it is masked.
    pub label: Option<String>,
    /// `ipv4` and `ipv6`: bits of the network that stay with `action: partial`. 24 and 48 unless given.
    pub prefix: Option<u32>,
    /// `ipv4` and `ipv6`: leaves alone addresses that name no one on the Internet.
    pub skip_private: Option<bool>,
    /// `url_query`: the names of parameters, instead of the built-in ones; letter case does not count.
    pub parameters: Option<Vec<String>>,
}

/// A detector that is on.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    /// What it finds.
    pub kind: Kind,
    /// Its settings.
    pub config: DetectorConfig,
    /// Its place in the list.
    index: usize,
    /// Whether it was written as a map.
    is_map: bool,
}

impl Detector {
    /// The path of a setting, for messages.
    pub(super) fn path(&self, setting: &str) -> String {
        format!("detectors::{}::{}::{setting}", self.index, self.kind)
    }
}

/// The detectors that are on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectorList {
    list: Vec<Detector>,
    is_all: bool,
}

/// Whether findings of a kind have a part that may stay.
fn has_part(kind: Kind) -> bool {
    matches!(kind, Kind::PaymentCard | Kind::Email | Kind::Ipv4 | Kind::Ipv6)
}

/// The word for all of them.
const ALL: &str = "all";

impl DetectorList {
    /// In the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = &Detector> {
        self.list.iter()
    }

    pub(super) fn check(&self, v: &mut Validator<'_>) {
        let mut private = None;
        for detector in &self.list {
            let (kind, config) = (detector.kind, &detector.config);
            let bits = match kind {
                Kind::Ipv4 => Some(32),
                Kind::Ipv6 => Some(128),
                _ => None,
            };
            if let Some(prefix) = config.prefix {
                match bits {
                    None => {
                        v.error(&detector.path("prefix"), format!("`{kind}` has no `prefix`; `ipv4` and `ipv6` have"))
                    }
                    Some(bits) if !(1..=bits).contains(&prefix) => {
                        v.error(&detector.path("prefix"), format!("`prefix` must be 1 to {bits}, got {prefix}"));
                    }
                    Some(_) => {}
                }
            }
            if bits.is_none() && config.skip_private.is_some() {
                let message = format!("`{kind}` has no `skip_private`; `ipv4` and `ipv6` have");
                v.error(&detector.path("skip_private"), message);
            }
            if bits.is_some() {
                let skip = config.skip_private.unwrap_or_default();
                if *private.get_or_insert(skip) != skip {
                    v.error(&detector.path("skip_private"), "`skip_private` must be the same for `ipv4` and `ipv6`");
                }
            }
            if kind == Kind::UrlQuery {
                if let Some(parameters) = &config.parameters {
                    let options = Options { query_parameters: parameters.clone(), ..Options::default() };
                    if let Err(error) = detectors::Scanner::new(&options) {
                        v.error(&detector.path("parameters"), error.to_string());
                    }
                }
            } else if config.parameters.is_some() {
                v.error(&detector.path("parameters"), format!("`{kind}` has no `parameters`; `url_query` has"));
            }
        }
    }

    /// Warns of settings that the action of a detector does not look at.
    pub(super) fn check_effects(&self, default: Action, tiers: &TiersConfig, v: &mut Validator<'_>) {
        for detector in &self.list {
            let (kind, config) = (detector.kind, &detector.config);
            let action = tiers.action(kind, config.action.unwrap_or(default));
            if config.prefix.is_some() && matches!(kind, Kind::Ipv4 | Kind::Ipv6) && action != Some(Action::Partial) {
                let message = "`prefix` has no effect without `action: partial`";
                v.warning(&detector.path("prefix"), codes::NO_EFFECT, message);
            }
            let instead = match action {
                None => "findings of its tier stay or are refused",
                Some(Action::Partial) if has_part(kind) => "`action: partial` leaves a part in place of what is found",
                Some(Action::Sha256 | Action::Hmac) => "the action puts a hash in place of what is found",
                Some(Action::Drop) => "`action: drop` leaves nothing in place of what is found",
                Some(Action::Mask | Action::Partial) => continue,
            };
            if config.label.is_some() {
                let message = format!("`label` has no effect: {instead}");
                v.warning(&detector.path("label"), codes::NO_EFFECT, message);
            }
        }
    }

    fn push(&mut self, place: &Node, index: usize, name: &str, settings: Option<&Node>, cx: &mut Decoder<'_>) {
        let Some(kind) = known(place, name, cx) else { return };
        if self.list.iter().any(|detector| detector.kind == kind) {
            let error = cx.error(place, codes::GIVEN_TWICE, format!("the detector `{name}` is given twice"));
            cx.push(error);
            return;
        }
        let config = settings.map_or_else(DetectorConfig::default, |settings| {
            cx.in_key(name, |cx| DetectorConfig::decode(settings, DetectorConfig::default(), cx))
        });
        self.list.push(Detector { kind, config, index, is_map: settings.is_some() });
    }
}

/// The kind of that name, or an error that names the nearest.
pub(super) fn known(place: &Node, name: &str, cx: &mut Decoder<'_>) -> Option<Kind> {
    let kind = Kind::from_name(name);
    if kind.is_none() {
        let names = || Kind::ALL.iter().map(|kind| kind.name());
        let message = format!("'{}' does not know the detector `{name}`", cx.quoted_path());
        let error = cx.error(place, codes::NOT_A_CHOICE, message);
        let error = error.with_expected(format!("one of {}", names().collect::<Vec<_>>().join(", ")));
        cx.push(match name {
            ALL => error.with_fix("`all` stands alone: write `detectors: all`"),
            _ => error.with_suggestion(nearest(name, names())),
        });
    }
    kind
}

impl Decode for DetectorList {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        let mut all = Self::default();
        match (&node.value, node.text()) {
            (Value::Null, _) => return base,
            (_, Some(ALL)) => {
                all.is_all = true;
                for (index, kind) in Kind::ALL.into_iter().enumerate() {
                    all.list.push(Detector { kind, config: DetectorConfig::default(), index, is_map: false });
                }
            }
            (Value::List(items), _) => {
                for (index, item) in items.iter().enumerate() {
                    cx.in_index(index, |cx| match (&item.value, item.text()) {
                        (Value::Map(entries), _) => {
                            for (key, settings) in entries {
                                let place = Node::new(Value::Null, key.origin.clone());
                                all.push(&place, index, &key.text, Some(settings), cx);
                            }
                        }
                        (_, Some(name)) => all.push(item, index, name, None, cx),
                        _ => cx.wrong_type(item, "the name of a detector, or a name with settings"),
                    });
                }
            }
            _ => cx.wrong_type(node, "`all` or a list of detectors"),
        }
        all
    }

    fn schema() -> Schema {
        Schema::List(|| Schema::Map(DetectorConfig::schema))
    }

    fn encode(&self) -> Value {
        if self.is_all {
            return Value::string(ALL);
        }
        let entry = |detector: &Detector| {
            let name = detector.kind.name();
            if detector.is_map {
                Value::Map(vec![(Key::new(name), Node::from(detector.config.encode()))])
            } else {
                Value::string(name)
            }
        };
        Value::List(self.list.iter().map(|detector| Node::from(entry(detector))).collect())
    }
}
