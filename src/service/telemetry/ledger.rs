//! The books on `/metrics` and at exit.

use std::fmt::Write as _;
use std::sync::Arc;

use component::telemetry::{Labels, Level, Metric, MetricKind, Observer, Registry};
use pdata::{AccountKey, Ledger, Totals};

const ITEMS: Metric = Metric {
    name: "weir_ledger_items",
    help: "Items by what became of them, per pipeline and tenant; dropped ones with their reason",
    unit: "{items}",
    level: Level::Basic,
};
const DIFFERENCE: Metric = Metric {
    name: "weir_ledger_difference",
    help: "Items that entered minus items that left and items held or persisted; anything but 0 is a bug in weir",
    unit: "{items}",
    level: Level::Basic,
};

/// Shows `ledger` in `registry` for as long as the observers live.
#[must_use]
pub fn observe(ledger: &Arc<Ledger>, registry: &Registry) -> Vec<Observer> {
    let (items, difference) = (Arc::clone(ledger), Arc::clone(ledger));
    vec![
        registry.observe(ITEMS, MetricKind::Gauge, move || items.read().iter().flat_map(|(k, t)| rows(k, t)).collect()),
        registry.observe(DIFFERENCE, MetricKind::Gauge, move || {
            difference.read().iter().map(|(key, totals)| (labels(key), totals.difference() as f64)).collect()
        }),
    ]
}

fn labels(key: &AccountKey) -> Labels {
    let mut labels =
        vec![("pipeline".to_owned(), key.pipeline.to_string()), ("data_type".to_owned(), key.signal.to_string())];
    if !key.tenant.is_empty() {
        labels.push(("tenant".to_owned(), key.tenant.to_string()));
    }
    labels
}

fn rows(key: &AccountKey, totals: &Totals) -> Vec<(Labels, f64)> {
    let with = |state: &str, reason: Option<&str>, items: u64| {
        let mut labels = labels(key);
        labels.push(("state".to_owned(), state.to_owned()));
        labels.extend(reason.map(|reason| ("reason".to_owned(), reason.to_owned())));
        (labels, items as f64)
    };
    let mut rows: Vec<_> = columns(totals).map(|(state, items)| with(state, None, items)).to_vec();
    rows.extend(totals.dropped.iter().map(|(reason, items)| with("dropped", Some(reason), *items)));
    rows
}

fn columns(totals: &Totals) -> [(&'static str, u64); 9] {
    [
        ("received", totals.received),
        ("recovered", totals.recovered),
        ("derived", totals.derived),
        ("copies", totals.copies),
        ("delivered", totals.delivered),
        ("rejected", totals.rejected),
        ("refused", totals.refused),
        ("held", totals.held),
        ("persisted", totals.persisted),
    ]
}

/// The books as a table, one line per account, with the difference in the last column. Columns that are 0 everywhere are
/// left out.
#[must_use]
pub fn table(accounts: &[(AccountKey, Totals)]) -> String {
    let mut columns_of: Vec<(String, Vec<i128>)> = Vec::new();
    let names: Vec<String> = accounts
        .iter()
        .map(|(key, _)| {
            if key.tenant.is_empty() { key.pipeline.to_string() } else { format!("{} [{}]", key.pipeline, key.tenant) }
        })
        .collect();
    let states = columns(&Totals::default()).map(|(state, _)| state);
    for (n, state) in states.iter().enumerate() {
        let values = accounts.iter().map(|(_, totals)| i128::from(columns(totals)[n].1)).collect();
        columns_of.push(((*state).to_owned(), values));
    }
    let mut reasons: Vec<&str> = accounts.iter().flat_map(|(_, totals)| totals.dropped.keys().copied()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let values = accounts.iter().map(|(_, t)| t.dropped.get(reason).copied().unwrap_or_default().into()).collect();
        columns_of.push((format!("dropped:{reason}"), values));
    }
    columns_of.retain(|(name, values)| name == "received" || values.iter().any(|value| *value != 0));
    columns_of.push(("difference".to_owned(), accounts.iter().map(|(_, totals)| totals.difference()).collect()));
    let name_width = names.iter().map(String::len).chain(["pipeline".len()]).max().unwrap_or_default();
    let mut out = format!("{:<name_width$}", "pipeline");
    let width = |(name, values): &(String, Vec<i128>)| {
        values.iter().map(|value| value.to_string().len()).chain([name.len()]).max().unwrap_or_default() + 2
    };
    for column in &columns_of {
        let _infallible = write!(out, "{:>1$}", column.0, width(column));
    }
    for (row, name) in names.iter().enumerate() {
        let _infallible = write!(out, "\n{name:<name_width$}");
        for column in &columns_of {
            let _infallible = write!(out, "{:>1$}", column.1[row], width(column));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use pdata::{Outcome, Signal};

    use super::*;

    #[test]
    fn table_shows_what_happened_and_the_difference() {
        let ledger = Ledger::new();
        let account = ledger.account(&"traces/in".into(), Signal::Traces, "");
        account.receive(1200).settle(Outcome::Delivered);
        account.receive(7).settle(Outcome::Dropped("shutdown"));
        drop(account.receive(1));
        let text = table(&ledger.read());
        assert_eq!(
            text,
            "pipeline   received  delivered  dropped:shutdown  difference\n\
             traces/in      1208       1200                 7           1"
        );
        let registry = Registry::new(Level::Basic);
        let observers = observe(&ledger, &registry);
        let difference = registry.read().into_iter().find(|r| r.metric.name == DIFFERENCE.name).unwrap();
        assert_eq!(difference.series[0].1, component::telemetry::Value::Number(1.0));
        drop(observers);
    }
}
