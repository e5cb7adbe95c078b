//! The nearest known name to a mistyped one.

use std::collections::BTreeMap;

/// Names longer than this are not compared: the cost is quadratic, and nobody mistypes so much.
const NAME_CHARS_MAX: usize = 128;

/// The candidate closest to `name`, if it is close enough to be what the user meant: at most a third of the longer
/// name's characters may differ, case and the difference between `-`, `_` and nothing count for little, and a candidate
/// that contains the name (or is contained in it) is accepted last.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = fold(name);
    if wanted.is_empty() || wanted.len() > NAME_CHARS_MAX {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    let mut containing: Option<(usize, &str)> = None;
    for candidate in candidates {
        let folded = fold(candidate);
        if folded.is_empty() || folded.len() > NAME_CHARS_MAX {
            continue;
        }
        let distance = distance(&wanted, &folded);
        let allowed = (wanted.len().max(folded.len()) / 3).max(1);
        if distance <= allowed && distance < wanted.len() && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
        let shorter = wanted.len().min(folded.len());
        if shorter >= 4 && shares_word(&wanted, &folded) && containing.is_none_or(|(least, _)| distance < least) {
            containing = Some((distance, candidate));
        }
    }
    best.or(containing).map(|(_, candidate)| candidate)
}

/// What to end a message with that refuses `name`: ``; did you mean `x`?``, or nothing where no candidate is close.
#[must_use]
pub fn meant<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn fold(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).map(|c| if matches!(c, '-' | ' ' | '.') { '_' } else { c }).collect()
}

/// Whether one name is a run inside the other, as in `queue` and `sending_queue`, or both have a word of four or more
/// letters in common, as in `queue_settings` and `sending_queue`.
fn shares_word(a: &[char], b: &[char]) -> bool {
    let words = |name: &[char]| -> Vec<Vec<char>> {
        name.split(|c| *c == '_').filter(|word| word.len() >= 4).map(<[char]>::to_vec).collect()
    };
    let inside = |short: &[char], long: &[char]| long.windows(short.len()).any(|window| window == short);
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    inside(short, long) || words(a).iter().any(|word| words(b).contains(word))
}

/// Damerau-Levenshtein distance: insertions, deletions, substitutions, and swaps of neighbours (also with letters in
/// between), after Lowrance and Wagner, 1975.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 2;
    let far = a.len() + b.len();
    let mut table = vec![0; (a.len() + 2) * width];
    let at = |i: usize, j: usize| i * width + j;
    table[at(0, 0)] = far;
    for i in 0..=a.len() {
        table[at(i + 1, 0)] = far;
        table[at(i + 1, 1)] = i;
    }
    for j in 0..=b.len() {
        table[at(0, j + 1)] = far;
        table[at(1, j + 1)] = j;
    }
    let mut last_row: BTreeMap<char, usize> = BTreeMap::new();
    for i in 1..=a.len() {
        let mut last_match = 0;
        for j in 1..=b.len() {
            let row = last_row.get(&b[j - 1]).copied().unwrap_or(0);
            let column = last_match;
            let cost = if a[i - 1] == b[j - 1] {
                last_match = j;
                0
            } else {
                1
            };
            let substituted = table[at(i, j)] + cost;
            let inserted = table[at(i + 1, j)] + 1;
            let deleted = table[at(i, j + 1)] + 1;
            let swapped = table[at(row, column)] + (i - row - 1) + 1 + (j - column - 1);
            table[at(i + 1, j + 1)] = substituted.min(inserted).min(deleted).min(swapped);
        }
        last_row.insert(a[i - 1], i);
    }
    table[at(a.len() + 1, b.len() + 1)]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn counts_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("a", "", 1),
            ("grpc", "grpc", 0),
            ("grcp", "grpc", 1),
            ("htp", "http", 1),
            ("kitten", "sitting", 3),
            ("ca", "abc", 2),
        ] {
            assert_eq!(distance(&chars(a), &chars(b)), edits, "{a} {b}");
            assert_eq!(distance(&chars(b), &chars(a)), edits, "{b} {a}");
        }
    }

    #[test]
    fn suggests_what_was_meant_and_nothing_else() {
        let keys = ["enabled", "num_consumers", "queue_size", "sending_queue", "endpoint", "tls"];
        for (typed, expected) in [
            ("endpiont", Some("endpoint")),
            ("Endpoint", Some("endpoint")),
            ("queue-size", Some("queue_size")),
            ("queueSize", Some("queue_size")),
            ("queue", Some("queue_size")),
            ("tsl", Some("tls")),
            ("zzz", None),
            ("", None),
            ("t", None),
        ] {
            assert_eq!(nearest(typed, keys), expected, "{typed}");
        }
        assert_eq!(nearest("queue_settings", ["endpoint", "sending_queue", "tls"]), Some("sending_queue"));
    }
}
