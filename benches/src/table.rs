//! From single runs to medians, a ratio, a table and JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::sampled::Sampled;
use crate::scenario::{Balance, Outcome};

/// All runs of one scenario on one subject.
#[derive(Debug, Clone)]
pub struct Runs {
    /// The scenario.
    pub scenario: &'static str,
    /// `weir` or `collector`.
    pub subject: &'static str,
    /// One per round.
    pub outcomes: Vec<Outcome>,
}

impl Runs {
    /// Each figure's name and median, in the scenario's order.
    #[must_use]
    pub fn medians(&self) -> Vec<(&'static str, f64)> {
        let first = self.outcomes.first().map(|outcome| outcome.figures.as_slice()).unwrap_or_default();
        let values = |index: usize| {
            let figures = self.outcomes.iter().filter_map(move |outcome| outcome.figures.get(index));
            figures.map(|figure| figure.value).collect::<Vec<_>>()
        };
        first.iter().enumerate().map(|(index, figure)| (figure.name, median(values(index)))).collect()
    }

    /// Whether the books of every run that sent something are even.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.balances().all(Balance::is_even)
    }

    fn balances(&self) -> impl Iterator<Item = &Balance> {
        self.outcomes.iter().filter_map(|outcome| outcome.balance.as_ref())
    }

    /// One line about all rounds: accepted, arrived, and what was turned away.
    fn balance_line(&self) -> Option<String> {
        let (mut accepted, mut arrived, mut runs) = (0, 0, 0);
        let mut turned_away = std::collections::BTreeMap::<&str, u64>::new();
        for balance in self.balances() {
            accepted += balance.accepted_items;
            arrived += balance.arrived_items;
            runs += 1;
            for (reason, count) in &balance.turned_away {
                *turned_away.entry(reason).or_default() += count;
            }
        }
        if runs == 0 {
            return None;
        }
        let sampled: Vec<&Sampled> = self.balances().filter_map(|balance| balance.sampled.as_ref()).collect();
        let verdict = if self.is_even() { "even" } else { "NOT EVEN" };
        let mut line = format!("{verdict}: accepted {accepted}, arrived {arrived} items");
        if let Some(first) = sampled.first() {
            let sum = |count: fn(&Sampled) -> u64| sampled.iter().map(|sampled| count(sampled)).sum::<u64>();
            let share = sampled.iter().map(|sampled| sampled.share).sum::<f64>() / sampled.len() as f64 * 100.0;
            let expected = (first.expected.start() * 100.0, first.expected.end() * 100.0);
            write!(line, "; by chance {share:.2} % (expected {:.1} to {:.1})", expected.0, expected.1).ok()?;
            if sum(|sampled| sampled.certain.sent) > 0 {
                let (sent, arrived) = (sum(|sampled| sampled.certain.sent), sum(|sampled| sampled.certain.arrived));
                write!(line, ", {arrived} of {sent} traces that must be kept").ok()?;
            }
            write!(line, ", {} traces in part", sum(|sampled| sampled.split_traces)).ok()?;
        }
        for note in self.balances().filter_map(|balance| balance.note.as_deref()) {
            write!(line, "; {note}").ok()?;
        }
        for (reason, count) in turned_away {
            write!(line, "; turned away {count} requests: {reason}").ok()?;
        }
        Some(line)
    }
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => values.get(middle.wrapping_sub(1)).map_or(*upper, |lower| (lower + upper) / 2.0),
    }
}

/// The two subjects' runs of each scenario, side by side.
fn pairs(all: &[Runs]) -> Vec<(&'static str, Option<&Runs>, Option<&Runs>)> {
    let mut names: Vec<&'static str> = all.iter().map(|runs| runs.scenario).collect();
    names.dedup();
    let find = |name, subject| all.iter().find(|runs| runs.scenario == name && runs.subject == subject);
    names.into_iter().map(|name| (name, find(name, "weir"), find(name, "collector"))).collect()
}

/// Medians of both subjects and weir ÷ collector, per figure; then the books of each scenario.
#[must_use]
pub fn text(all: &[Runs]) -> String {
    let mut lines = vec![format!(
        "{:<16} {:<30} {:>14} {:>14} {:>14}",
        "scenario", "figure (median)", "weir", "collector", "weir/collector"
    )];
    let mut books = Vec::new();
    for (scenario, weir, collector) in pairs(all) {
        let medians = [weir, collector].map(|runs| runs.map(Runs::medians).unwrap_or_default());
        let [weir_medians, collector_medians] = &medians;
        for index in 0..weir_medians.len().max(collector_medians.len()) {
            let (weir, collector) = (weir_medians.get(index), collector_medians.get(index));
            let name = weir.or(collector).map_or("", |(name, _)| name);
            let ratio = match (weir, collector) {
                (Some((_, weir)), Some((_, collector))) if *collector > 0.0 && weir.is_finite() => {
                    format!("{:.3}", weir / collector)
                }
                _ => "-".to_owned(),
            };
            lines.push(format!(
                "{:<16} {name:<30} {:>14} {:>14} {ratio:>14}",
                if index == 0 { scenario } else { "" },
                weir.map_or_else(|| "-".to_owned(), |(_, value)| number(*value)),
                collector.map_or_else(|| "-".to_owned(), |(_, value)| number(*value)),
            ));
        }
        for runs in [weir, collector].into_iter().flatten() {
            if let Some(line) = runs.balance_line() {
                books.push(format!("{scenario:<16} {:<10} {line}", runs.subject));
            }
        }
    }
    lines.push(String::new());
    lines.push("books, all rounds together, warm-up included".to_owned());
    lines.extend(books);
    lines.join("\n")
}

/// `-` for what a subject does not have; three digits behind the point below 10, one below 1000, none but separators above.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value < 10.0 {
        return format!("{value:.3}");
    }
    if value < 1000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// Every run, the medians and the ratios.
#[must_use]
pub fn json(all: &[Runs], settings: &Value) -> Value {
    let of = |runs: &Runs| {
        let rounds: Vec<Value> = runs.outcomes.iter().map(outcome_json).collect();
        let medians: serde_json::Map<String, Value> =
            runs.medians().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        json!({ "median": medians, "even": runs.is_even(), "rounds": rounds })
    };
    let scenarios: Vec<Value> = pairs(all)
        .into_iter()
        .map(|(scenario, weir, collector)| {
            let mut ratio = serde_json::Map::new();
            if let (Some(weir), Some(collector)) = (weir, collector) {
                for ((name, mine), (_, theirs)) in weir.medians().into_iter().zip(collector.medians()) {
                    if theirs > 0.0 && mine.is_finite() {
                        ratio.insert(name.to_owned(), json!(mine / theirs));
                    }
                }
            }
            json!({ "scenario": scenario, "weir": weir.map(of), "collector": collector.map(of), "ratio": ratio })
        })
        .collect();
    json!({ "settings": settings, "scenarios": scenarios })
}

fn outcome_json(outcome: &Outcome) -> Value {
    let figures: serde_json::Map<String, Value> =
        outcome.figures.iter().map(|figure| (figure.name.to_owned(), json!(figure.value))).collect();
    let balance = outcome.balance.as_ref().map(|balance| {
        let turned_away: serde_json::Map<String, Value> =
            balance.turned_away.iter().map(|(reason, count)| (reason.clone(), json!(count))).collect();
        json!({
            "accepted_items": balance.accepted_items,
            "arrived_items": balance.arrived_items,
            "even": balance.is_even(),
            "turned_away_requests": turned_away,
            "note": balance.note,
            "sampled": balance.sampled.as_ref().map(|sampled| json!({
                "share_by_chance": sampled.share,
                "share_expected": [sampled.expected.start(), sampled.expected.end()],
                "certain_traces": [sampled.certain.sent, sampled.certain.arrived],
                "error_traces": [sampled.errors.sent, sampled.errors.arrived],
                "split_traces": sampled.split_traces,
            })),
        })
    });
    json!({ "figures": figures, "balance": balance })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampled::Pair;
    use crate::scenario::Figure;

    fn runs(subject: &'static str, values: &[f64], arrived_items: u64) -> Runs {
        let balance = Balance {
            accepted_items: 10,
            arrived_items,
            turned_away: vec![("UNAVAILABLE".into(), 2)],
            ..Balance::default()
        };
        let outcome =
            |value| Outcome { figures: vec![Figure { name: "speed", value }], balance: Some(balance.clone()) };
        Runs { scenario: "s", subject, outcomes: values.iter().copied().map(outcome).collect() }
    }

    #[test]
    fn median_is_the_middle() {
        for (values, expected) in [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 2.0], 3.0)] {
            assert!((median(values.clone()) - expected).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn table_shows_medians_ratio_and_uneven_books() {
        let all = [runs("weir", &[3000.0, 4000.0, 9000.0], 10), runs("collector", &[500.0], 9)];
        let table = text(&all);
        let line = table.lines().nth(1).unwrap();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["s", "speed", "4", "000", "500.0", "8.000"]);
        assert!(table.contains("weir       even: accepted 30, arrived 30 items; turned away 6 requests: UNAVAILABLE"));
        assert!(table.contains("collector  NOT EVEN: accepted 10, arrived 9 items"), "{table}");
        let json = json(&all, &json!({}));
        assert_eq!(json["scenarios"][0]["ratio"]["speed"], 8.0);
        assert_eq!(json["scenarios"][0]["collector"]["rounds"][0]["balance"]["even"], false);
    }

    #[test]
    fn one_subject_alone_has_no_ratio() {
        let table = text(&[runs("collector", &[5.0], 10)]);
        assert_eq!(
            table.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(),
            ["s", "speed", "-", "5.000", "-"]
        );
    }

    #[test]
    fn books_of_a_sampler_tell_what_was_kept() {
        let kept =
            |share| Sampled { certain: Pair { sent: 20, arrived: 20 }, ..Sampled::items(1000, share, 0.09..=0.11) };
        let mut all = runs("weir", &[1.0], 120);
        let balance = all.outcomes[0].balance.as_mut().unwrap();
        (balance.sampled, balance.note) = (Some(kept(100)), Some("ended early".into()));
        let line = all.balance_line().unwrap();
        let expected = "even: accepted 10, arrived 120 items; by chance 10.00 % (expected 9.0 to 11.0), 20 of 20 traces that \
                        must be kept, 0 traces in part; ended early; turned away 2 requests: UNAVAILABLE";
        assert_eq!(line, expected);
        all.outcomes[0].balance.as_mut().unwrap().sampled = Some(kept(120));
        assert!(all.balance_line().unwrap().starts_with("NOT EVEN"));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [number(1.5), number(20.25), number(999.95), number(1_234_567.0), number(f64::NAN)],
            ["1.500", "20.2", "1000.0", "1 234 567", "-"]
        );
    }
}
