//! The setting `tiers`: four lists of detectors' names and of patterns for attributes' keys.

use config::{Config, Decode, Decoder, Key, Node, Schema, Validator, Value, codes};
use detectors::Kind;

use super::{Action, DetectorList};
use crate::pattern;

/// How grave findings are. A detector that is named here is on.
#[derive(Clone, Debug, PartialEq, Config)]
pub struct TiersConfig {
    /// Detectors whose findings are reported and stay; keys (`key: <pattern>`) of attributes that pass unread.
    pub none: TierList,
    /// Detectors whose findings are shown in part (`action: partial`).
    pub low: TierList,
    /// Detectors whose findings are replaced by the default action, masked where that is `partial`; keys of attributes
    /// whose whole value is.
    pub high: TierList,
    /// Detectors whose findings, and keys whose presence, make the whole item be refused.
    pub forbidden: TierList,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TierEntry {
    /// All findings of a detector.
    Detector(Kind),
    /// Attributes whose key matches.
    Key(String),
    /// What could not be read, so that those behind it keep their places.
    Wrong,
}

/// The entries of a tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierList(pub Vec<TierEntry>);

impl TierList {
    /// Its detectors.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.0.iter().filter_map(|entry| match entry {
            TierEntry::Detector(kind) => Some(*kind),
            TierEntry::Key(_) | TierEntry::Wrong => None,
        })
    }

    /// Its patterns for keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|entry| match entry {
            TierEntry::Key(pattern) => Some(pattern.as_str()),
            TierEntry::Detector(_) | TierEntry::Wrong => None,
        })
    }
}

impl TiersConfig {
    /// What is done with findings of a kind whose action is `action` unless a tier says otherwise; nothing if they stay or are
    /// refused.
    pub(super) fn action(&self, kind: Kind, action: Action) -> Option<Action> {
        let holds = |list: &TierList| list.kinds().any(|held| held == kind);
        if holds(&self.none) || holds(&self.forbidden) {
            None
        } else if holds(&self.low) {
            Some(Action::Partial)
        } else if holds(&self.high) && action == Action::Partial {
            Some(Action::Mask)
        } else {
            Some(action)
        }
    }

    fn lists(&self) -> [(&'static str, &TierList); 4] {
        [("none", &self.none), ("low", &self.low), ("high", &self.high), ("forbidden", &self.forbidden)]
    }

    pub(super) fn check(&self, detectors: &DetectorList, v: &mut Validator<'_>) {
        let mut seen: Vec<(Kind, &str)> = Vec::new();
        for (tier, list) in self.lists() {
            for (index, entry) in list.0.iter().enumerate() {
                let place = format!("tiers::{tier}::{index}");
                match entry {
                    TierEntry::Key(_) if tier == "low" => {
                        v.error(
                            &place,
                            "a key's value has no part that could stay; use `high`, or a detector in `low`",
                        );
                    }
                    TierEntry::Key(_) | TierEntry::Wrong => {}
                    TierEntry::Detector(kind) => {
                        if let Some((_, other)) = seen.iter().find(|(seen, _)| seen == kind) {
                            v.error(&place, format!("`{kind}` is in the tier `{other}` already"));
                        }
                        seen.push((*kind, tier));
                        let acts = |name: Kind| {
                            detectors.iter().any(|detector| detector.kind == name && detector.config.action.is_some())
                        };
                        if acts(*kind) {
                            v.error(&place, format!("`{kind}` has an `action` already; give it that or a tier"));
                        }
                    }
                }
            }
        }
    }
}

/// What an item of a tier says.
fn entry(item: &Node, cx: &mut Decoder<'_>) -> Option<TierEntry> {
    match (&item.value, item.text()) {
        (Value::Map(entries), _) => match entries.as_slice() {
            [(key, pattern)] if &*key.text == "key" => cx.in_key("key", |cx| {
                let Some(text) = pattern.text() else {
                    cx.wrong_type(pattern, "a regular expression");
                    return None;
                };
                match pattern::compile(text) {
                    Ok(_) => return Some(TierEntry::Key(text.to_owned())),
                    Err(problem) => cx.push(cx.error(pattern, codes::INVALID_VALUE, problem)),
                }
                None
            }),
            _ => {
                cx.wrong_type(item, "the name of a detector, or `key: <regular expression>`");
                None
            }
        },
        (_, Some(name)) => {
            if let Some(kind) = Kind::from_name(name) {
                return Some(TierEntry::Detector(kind));
            }
            let names = || Kind::ALL.iter().map(|kind| kind.name());
            let message = format!("'{}' does not know the detector `{name}`", cx.quoted_path());
            let error = cx.error(item, codes::NOT_A_CHOICE, message);
            let error = error.with_suggestion(config::nearest(name, names()));
            cx.push(error.with_fix(format!("for attributes by their key, write `key: {name}`")));
            None
        }
        _ => {
            cx.wrong_type(item, "the name of a detector, or `key: <regular expression>`");
            None
        }
    }
}

impl Decode for TierList {
    fn decode(node: &Node, base: Self, cx: &mut Decoder<'_>) -> Self {
        let items = match &node.value {
            Value::Null => return base,
            Value::List(items) => items,
            _ => {
                cx.wrong_type(node, "a list");
                return base;
            }
        };
        let read = |(index, item)| cx.in_index(index, |cx| entry(item, cx).unwrap_or(TierEntry::Wrong));
        Self(items.iter().enumerate().map(read).collect())
    }

    fn schema() -> Schema {
        Schema::List(|| Schema::Any)
    }

    fn encode(&self) -> Value {
        let entry = |entry: &TierEntry| match entry {
            TierEntry::Detector(kind) => Value::string(kind.name()),
            TierEntry::Key(pattern) => Value::Map(vec![(Key::new("key"), Node::from(Value::string(pattern.as_str())))]),
            TierEntry::Wrong => Value::Null,
        };
        Value::List(self.0.iter().map(|it| Node::from(entry(it))).collect())
    }
}
