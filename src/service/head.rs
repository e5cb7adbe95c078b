//! Where a pipeline begins: batches get their tenant and enter its books here, and leave them again when they are refused.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use component::{ConsumeFuture, ConsumeResult, Consumer, Edge, parts};
use futures_util::future::join_all;
use pdata::{Account, Batch, Context, Ledger, Outcome, Signal, Stake};

use super::tenancy::{Divided, Tenancy};

/// Tenants whose account is remembered without asking the ledger.
const REMEMBERED_MAX: usize = pdata::ledger::TENANTS_MAX;

/// First consumer of a pipeline.
#[derive(Debug)]
pub struct Head {
    ledger: Arc<Ledger>,
    pipeline: Arc<str>,
    signal: Signal,
    anonymous: Arc<Account>,
    tenants: RwLock<BTreeMap<Arc<str>, Arc<Account>>>,
    tenancy: Arc<Tenancy>,
    next: Edge,
}

impl Head {
    /// The head of `pipeline`, in front of `next`.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, pipeline: &str, signal: Signal, tenancy: Arc<Tenancy>, next: Edge) -> Arc<Self> {
        let pipeline: Arc<str> = pipeline.into();
        let anonymous = ledger.account(&pipeline, signal, "");
        Arc::new(Self { ledger, pipeline, signal, anonymous, tenants: RwLock::default(), tenancy, next })
    }

    fn account(&self, batch: &Batch) -> Arc<Account> {
        let Some(tenant) = &batch.context().tenant else { return Arc::clone(&self.anonymous) };
        if let Some(account) = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant) {
            return Arc::clone(account);
        }
        let account = self.ledger.account(&self.pipeline, self.signal, tenant);
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() < REMEMBERED_MAX {
            tenants.insert(Arc::clone(tenant), Arc::clone(&account));
        }
        account
    }

    async fn enter(&self, mut batch: Batch) -> ConsumeResult {
        let entered = self.account(&batch).receive(batch.items());
        let outer = batch.replace_stake(entered);
        leave(outer, self.next.consume(batch).await)
    }
}

impl Consumer for Head {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let parts = match self.tenancy.divide(batch) {
                Divided::Whole(batch) => return self.enter(batch).await,
                Divided::Parts(parts) => parts,
            };
            // What goes back is one batch again, whose tenants are found out anew.
            let answers = join_all(parts.into_iter().map(|part| self.enter(part))).await;
            parts::combine(answers, |_, back| {
                let context = Context { tenant: None, ..(**back.context()).clone() };
                back.set_context(Arc::new(context));
            })
        })
    }
}

/// Settles `outer`, the stake with which the batch came out of another pipeline (nothing, when it came from a receiver),
/// by the answer of this one. What comes back is refused in this pipeline's books and stands in the outer ones again.
fn leave(mut outer: Stake, mut answer: ConsumeResult) -> ConsumeResult {
    let undelivered = answer.as_mut().err().and_then(component::DeliveryError::take_undelivered);
    let Some(mut back) = undelivered else {
        outer.settle(Outcome::Delivered);
        return answer;
    };
    let (items, known) = (back.items(), outer.items());
    if outer.is_none() || known >= items {
        outer.split_front(known.saturating_sub(items)).settle(Outcome::Delivered);
    } else {
        let derived = outer.derive(items - known);
        outer.merge(derived);
    }
    back.replace_stake(outer).settle(Outcome::Refused);
    answer.map_err(|error| error.with_undelivered(back))
}

#[cfg(test)]
mod tests {
    use component::{Accepted, DeliveryError};
    use pdata::{ByteAccount, Payload, Segment, Totals};

    use super::*;

    /// Answers as told, settling what it takes.
    struct Scripted(fn(Batch) -> ConsumeResult);

    impl Consumer for Scripted {
        fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
            let answer = self.0(batch);
            Box::pin(async move { answer })
        }
    }

    fn batch(items: u32) -> Batch {
        let segment = Segment::trusted(bytes::Bytes::new(), items);
        Batch::new(Payload::from_segments(Signal::Logs, [segment]), Arc::new(Context::default()))
    }

    async fn run(script: fn(Batch) -> ConsumeResult, outer: Option<&Arc<Account>>) -> (Totals, Option<u64>) {
        let ledger = Ledger::new();
        let edge = Edge::new("test", Arc::new(Scripted(script)), ByteAccount::unlimited());
        let head = Head::new(Arc::clone(&ledger), "logs", Signal::Logs, Arc::default(), edge);
        let mut batch = batch(5);
        if let Some(outer) = outer {
            *batch.stake_mut() = outer.receive(5);
        }
        let mut answer = head.consume(batch).await;
        let back = answer.as_mut().err().and_then(DeliveryError::take_undelivered).map(|batch| {
            let items = batch.items();
            batch.settle(Outcome::Refused);
            items
        });
        (ledger.read()[0].1.clone(), back)
    }

    #[tokio::test]
    async fn refused_batches_leave_the_books_as_refused() {
        let refuse = |batch| Err(DeliveryError::retryable("full", batch));
        let (totals, back) = run(refuse, None).await;
        assert_eq!((totals.received, totals.refused, totals.held, back), (5, 5, 0, Some(5)));
        assert_eq!(totals.difference(), 0);
    }

    #[tokio::test]
    async fn both_pipelines_of_a_connector_balance() {
        let ledger = Ledger::new();
        let outer = ledger.account(&"logs/up".into(), Signal::Logs, "");
        let deliver = |batch: Batch| {
            batch.settle(Outcome::Delivered);
            Ok(Accepted::all())
        };
        let (inner, _) = run(deliver, Some(&outer)).await;
        assert_eq!((inner.delivered, outer.read().delivered), (5, 5));
        let refuse = |batch| Err(DeliveryError::retryable("full", batch));
        let (inner, back) = run(refuse, Some(&outer)).await;
        assert_eq!((inner.refused, outer.read().refused, back), (5, 5, Some(5)));
        assert_eq!((inner.difference(), outer.read().difference(), outer.read().held), (0, 0, 0));
    }
}
