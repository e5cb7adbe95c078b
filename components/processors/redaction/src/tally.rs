//! What was found in one batch, counted.
//!
//! Findings come again and again from the same few places: those are counted without writing down where it was, in a small
//! table in front of the map of all.

use std::collections::HashMap;

use crate::inventory::{ENTRIES_MAX, Entry};
use crate::path::Path;
use crate::rules::Rule;
use crate::same::is_same;

const RECENT: usize = 64;

/// Counts of findings by rule, place and service.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: HashMap<Entry, u64>,
    /// Not in `counts` yet; each at a place that its rule and path give. Empty until something is found.
    recent: Vec<Option<(Entry, u64)>>,
}

impl Tally {
    /// Counts findings.
    pub(crate) fn add(&mut self, rule: Rule, path: &Path<'_>, service: &str, count: u64) {
        if self.recent.is_empty() {
            self.recent.resize_with(RECENT, || None);
        }
        let Some(recent) = self.recent.get_mut((rule.index() ^ path.hint()) % RECENT) else { return };
        if let Some((known, sum)) = recent
            && known.rule == rule
            && path.reads(&known.path)
            && is_same(known.service.as_bytes(), service.as_bytes())
        {
            *sum += count;
            return;
        }
        let entry = Entry { rule, path: path.text().into(), service: service.into() };
        if let Some((entry, sum)) = recent.replace((entry, count)) {
            put(&mut self.counts, entry, sum);
        }
    }

    /// Gives out all counts, and begins anew.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (Entry, u64)> {
        for (entry, sum) in self.recent.iter_mut().filter_map(Option::take) {
            put(&mut self.counts, entry, sum);
        }
        self.counts.drain()
    }
}

fn put(counts: &mut HashMap<Entry, u64>, mut entry: Entry, sum: u64) {
    if counts.len() >= ENTRIES_MAX && !counts.contains_key(&entry) {
        entry = entry.unspecific();
    }
    *counts.entry(entry).or_default() += sum;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_whatever_throws_out_what() {
        let root = Path::root("log");
        let keys: Vec<String> = (0..3 * RECENT).map(|number| format!("key{number}")).collect();
        let mut tally = Tally::default();
        for round in 0..3 {
            for key in &keys {
                tally.add(Rule::Url, &root.name(key.as_bytes()), "shop", round);
                tally.add(Rule::Database, &root.name(key.as_bytes()), "shop", 1);
            }
        }
        tally.add(Rule::Url, &root.name(b"key0"), "other", 7);
        let mut counts: Vec<(Entry, u64)> = tally.take().collect();
        assert_eq!(counts.len(), 2 * keys.len() + 1);
        counts.retain(|(entry, _)| &*entry.path == "log.key0");
        counts.sort();
        let counts: Vec<_> = counts.iter().map(|(entry, sum)| (entry.rule, &*entry.service, *sum)).collect();
        assert_eq!(counts, [(Rule::Url, "other", 7), (Rule::Url, "shop", 3), (Rule::Database, "shop", 3)]);
        assert_eq!(tally.take().count(), 0);
    }

    #[test]
    fn an_endless_variety_is_bounded() {
        let mut tally = Tally::default();
        for number in 0..ENTRIES_MAX + 100 {
            tally.add(Rule::Url, &Path::root("log").name(number.to_string().as_bytes()), "shop", 1);
        }
        let counts: Vec<(Entry, u64)> = tally.take().collect();
        assert_eq!((counts.len(), counts.iter().map(|(_, sum)| sum).sum::<u64>()), (ENTRIES_MAX + 1, 2100));
    }
}
