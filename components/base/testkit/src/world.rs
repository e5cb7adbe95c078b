//! What a component is created and started with, the head of a pipeline, and checks of the books.

use std::sync::Arc;

use component::factory::Shared;
use component::telemetry::Value;
use component::{
    ComponentId, ConsumeFuture, Consumer, DeliveryError, Edge, Host, Kind, Level, Registry, Settings, Telemetry,
};
use pdata::{AccountKey, Batch, ByteAccount, Ledger, Outcome, Signal, Totals};
use tokio::sync::mpsc;

/// Everything a program has exactly one of.
#[derive(Debug)]
pub struct World {
    /// Bytes of telemetry.
    pub account: Arc<ByteAccount>,
    /// The books.
    pub ledger: Arc<Ledger>,
    /// Own metrics, at level detailed.
    pub registry: Arc<Registry>,
    /// What components are started with.
    pub host: Host,
    /// State shared between instances of one component ID.
    pub shared: Shared,
    /// Where fatal errors arrive.
    pub fatal_errors: mpsc::Receiver<String>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A fresh one, its account without a cap.
    #[must_use]
    pub fn new() -> Self {
        let (account, ledger, registry) = (ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Detailed));
        let (host, fatal_errors) = Host::new(Arc::clone(&account), Arc::clone(&ledger), Arc::clone(&registry));
        Self { account, ledger, registry, host, shared: Shared::default(), fatal_errors }
    }

    /// Settings for a component; its metrics carry the label `<kind>` = `<id>`.
    #[must_use]
    pub fn settings(&self, kind: Kind, id: &ComponentId) -> Settings {
        let labels = vec![(kind.as_str().to_owned(), id.to_string())];
        Settings {
            id: id.clone(),
            telemetry: Telemetry::new(Arc::clone(&self.registry), labels),
            account: Arc::clone(&self.account),
            shared: self.shared.clone(),
        }
    }

    /// An edge to `target`.
    pub fn edge(&self, target: Arc<dyn Consumer>) -> Edge {
        Edge::new("test", target, Arc::clone(&self.account))
    }

    /// The head of a pipeline in front of `next`.
    #[must_use]
    pub fn head(&self, next: Arc<dyn Consumer>) -> Head {
        Head { ledger: Arc::clone(&self.ledger), next }
    }

    /// Opens the stake of a batch in the account of the pipeline `<signal>/test`, as the head of a pipeline does.
    pub fn open(&self, batch: Batch) -> Batch {
        open(&self.ledger, batch)
    }

    /// The totals of the pipeline `<signal>/test` for the anonymous tenant.
    #[must_use]
    pub fn totals(&self, signal: Signal) -> Totals {
        self.ledger.account(&pipeline(signal), signal, "").read()
    }

    /// Whether every account balances.
    ///
    /// # Errors
    /// The accounts that do not, with their totals.
    pub fn check_difference(&self) -> Result<(), String> {
        self.check(|totals| totals.difference() == 0)
    }

    /// Whether every account balances and holds nothing.
    ///
    /// # Errors
    /// The accounts for which that is not so, with their totals.
    pub fn check_settled(&self) -> Result<(), String> {
        self.check(|totals| totals.difference() == 0 && totals.held == 0)
    }

    fn check(&self, holds: impl Fn(&Totals) -> bool) -> Result<(), String> {
        let wrong: Vec<(AccountKey, Totals)> =
            self.ledger.read().into_iter().filter(|(_, totals)| !holds(totals)).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let lines = wrong.iter().map(|(key, totals)| {
            let (pipeline, tenant) = (&key.pipeline, &key.tenant);
            format!("pipeline `{pipeline}`, tenant `{tenant}`: difference {}, {totals:?}", totals.difference())
        });
        Err(lines.collect::<Vec<_>>().join("\n"))
    }

    /// The sum over all series of a counter or gauge, and the count of a histogram. `None` if there is no such metric.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let reading = self.registry.read().into_iter().find(|reading| reading.metric.name == name)?;
        let values = reading.series.iter().map(|(_, value)| match value {
            Value::Number(number) => *number,
            Value::Histogram { counts, .. } => counts.iter().sum::<u64>() as f64,
        });
        Some(values.sum())
    }
}

fn pipeline(signal: Signal) -> Arc<str> {
    format!("{signal}/test").into()
}

fn open(ledger: &Arc<Ledger>, mut batch: Batch) -> Batch {
    let signal = batch.signal();
    let account = ledger.account(&pipeline(signal), signal, batch.context().tenant_name());
    let _none = batch.replace_stake(account.receive(batch.items()));
    batch
}

/// Opens the stake of every batch, hands it on, and settles what comes back as refused.
pub struct Head {
    ledger: Arc<Ledger>,
    next: Arc<dyn Consumer>,
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Head")
    }
}

impl Consumer for Head {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            self.next.consume(open(&self.ledger, batch)).await.map_err(|mut error: DeliveryError| {
                if let Some(back) = error.take_undelivered() {
                    back.settle(Outcome::Refused);
                }
                error
            })
        })
    }
}
