//! What was found, by rule, place and service: the start of a privacy audit. Never a value.
//!
//! Bounded: beyond [`ENTRIES_MAX`] combinations, and for paths that are too long, findings are counted together. All
//! instances of one component ID share an inventory. It is read at `/redaction/inventory` of the page that serves
//! `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::rules::Rule;

/// Most combinations that are told apart.
pub(crate) const ENTRIES_MAX: usize = 2000;
/// Stands for places and services that are not told apart.
const OTHER: &str = "_other";

/// Findings that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) rule: Rule,
    pub(crate) path: Box<str>,
    pub(crate) service: Box<str>,
}

impl Entry {
    /// The same for places and services that are not told apart.
    pub(crate) fn unspecific(self) -> Self {
        Self { path: OTHER.into(), service: OTHER.into(), ..self }
    }
}

#[derive(Clone, Copy, Debug)]
struct Count {
    findings: u64,
    first: SystemTime,
    last: SystemTime,
}

/// The inventory of a component.
#[derive(Debug, Default)]
pub(crate) struct Inventory(Mutex<BTreeMap<Entry, Count>>);

impl Inventory {
    /// Adds findings.
    pub(crate) fn add(&self, findings: impl IntoIterator<Item = (Entry, u64)>, now: SystemTime) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (entry, findings) in findings {
            let entry =
                if entries.len() < ENTRIES_MAX || entries.contains_key(&entry) { entry } else { entry.unspecific() };
            let count = entries.entry(entry).or_insert(Count { findings: 0, first: now, last: now });
            count.findings += findings;
            count.last = now;
        }
    }

    /// The inventory as a JSON array, the most findings first.
    pub(crate) fn to_json(&self) -> String {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut entries: Vec<(Entry, Count)> = entries.into_iter().collect();
        entries.sort_by_key(|(_, count)| std::cmp::Reverse(count.findings));
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut out = String::from("[");
        for (index, (entry, count)) in entries.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str("{\"detector\":");
            put_string(&mut out, entry.rule.name());
            out.push_str(",\"path\":");
            put_string(&mut out, &entry.path);
            out.push_str(",\"service\":");
            put_string(&mut out, &entry.service);
            let (first, last) = (seconds(count.first), seconds(count.last));
            let findings = count.findings;
            out.push_str(&format!(",\"findings\":{findings},\"first_unix_s\":{first},\"last_unix_s\":{last}}}"));
        }
        out.push(']');
        out
    }
}

fn put_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn entry(path: &str) -> Entry {
        Entry { rule: Rule::BlockedValue, path: path.into(), service: "shop\"\n".into() }
    }

    #[test]
    fn findings_add_up_and_are_told_as_json() {
        let inventory = Inventory::default();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        inventory.add([(entry("a"), 1), (entry("b"), 5)], at(10));
        inventory.add([(entry("a"), 2)], at(20));
        let json: serde_json::Value = serde_json::from_str(&inventory.to_json()).unwrap();
        let expected = serde_json::json!([
            {"detector": "blocked_values", "path": "b", "service": "shop\"\n", "findings": 5, "first_unix_s": 10, "last_unix_s": 10},
            {"detector": "blocked_values", "path": "a", "service": "shop\"\n", "findings": 3, "first_unix_s": 10, "last_unix_s": 20},
        ]);
        assert_eq!(json, expected);
    }

    #[test]
    fn an_endless_variety_is_bounded() {
        let inventory = Inventory::default();
        let many = (0..ENTRIES_MAX + 100).map(|number| (entry(&number.to_string()), 1));
        inventory.add(many, UNIX_EPOCH);
        let json: serde_json::Value = serde_json::from_str(&inventory.to_json()).unwrap();
        let list = json.as_array().unwrap();
        assert_eq!(list.len(), ENTRIES_MAX + 1);
        assert_eq!((&list[0]["path"], &list[0]["findings"]), (&OTHER.into(), &100.into()));
    }
}
