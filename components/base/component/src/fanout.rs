//! One batch to several consumers.
//!
//! Every branch gets a copy (which shares the bytes) and all branches run at once, so a slow one delays the answer but
//! not its siblings. The answers combine: any retryable error makes the whole retryable. A batch handed back remembers
//! which branches still lack it ([`pdata::Batch::pending`]), so that whoever keeps and retries it does not send it twice
//! to those that have it. It remembers them by their place in a [`Roster`], which outlives fan-out and branches: a reload
//! may replace a branch by another of the same name, put something around it, or take its siblings away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use pdata::{Batch, Outcome};

use crate::consumer::{Accepted, ConsumeFuture, Consumer};
use crate::error::DeliveryError;

/// The most branches one fan-out can have (pending branches are a bit set).
pub const BRANCHES_MAX: usize = 64;

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Which branch of a fan-out is which, by name: its identity across reloads.
#[derive(Clone, Debug)]
pub struct Roster {
    id: u32,
    /// The place of a name is the branch's bit.
    names: Vec<String>,
}

impl Default for Roster {
    fn default() -> Self {
        Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), names: Vec::new() }
    }
}

impl Roster {
    /// Makes `names` the current branches. Those that are known keep their places; new ones get places that were never
    /// used, and when there are no more, those of branches that are gone.
    ///
    /// # Panics
    /// With more than [`BRANCHES_MAX`] names; the graph refuses such configurations before.
    pub fn call<'a>(&mut self, names: impl Iterator<Item = &'a str> + Clone) {
        for name in names.clone().filter(|name| !self.names.iter().any(|known| known == name)).collect::<Vec<_>>() {
            if self.names.len() < BRANCHES_MAX {
                self.names.push(name.to_owned());
                continue;
            }
            let free = self.names.iter_mut().find(|known| !names.clone().any(|name| name == known.as_str()));
            *free.expect("a fan-out has at most `BRANCHES_MAX` branches") = name.to_owned();
        }
    }

    fn bit(&self, name: &str) -> u64 {
        self.names.iter().position(|known| known == name).map_or(0, |at| 1 << at)
    }

    fn is_plain(&self) -> bool {
        self.names.len() <= 1
    }
}

/// Hands every batch to all of its branches.
pub struct Fanout {
    id: u32,
    /// Each with its bit.
    branches: Vec<(u64, Arc<dyn Consumer>)>,
}

impl std::fmt::Debug for Fanout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fanout").field("id", &self.id).field("branches", &self.branches.len()).finish()
    }
}

impl Fanout {
    /// A consumer in front of `branches`: the branch itself when there is one.
    ///
    /// # Panics
    /// With more than [`BRANCHES_MAX`] branches; the graph refuses such configurations before.
    #[must_use]
    pub fn over(branches: Vec<Arc<dyn Consumer>>) -> Arc<dyn Consumer> {
        assert!(branches.len() <= BRANCHES_MAX, "a fan-out has at most {BRANCHES_MAX} branches");
        let names: Vec<String> = (0..branches.len()).map(|n| n.to_string()).collect();
        Self::of(&mut Roster::default(), names.into_iter().zip(branches).collect())
    }

    /// A consumer in front of `branches`, each with its name in `roster`: the branch itself when there never was another.
    ///
    /// # Panics
    /// As [`Roster::call`].
    #[must_use]
    pub fn of(roster: &mut Roster, mut branches: Vec<(String, Arc<dyn Consumer>)>) -> Arc<dyn Consumer> {
        roster.call(branches.iter().map(|(name, _)| name.as_str()));
        if roster.is_plain() && branches.len() == 1 {
            return branches.remove(0).1;
        }
        let branches = branches.into_iter().map(|(name, branch)| (roster.bit(&name), branch)).collect();
        Arc::new(Self { id: roster.id, branches })
    }
}

impl Consumer for Fanout {
    fn consume(&self, mut batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let pending = batch.take_pending(self.id).unwrap_or(u64::MAX);
            let targets: Vec<&(u64, Arc<dyn Consumer>)> =
                self.branches.iter().filter(|(bit, _)| pending & bit != 0).collect();
            let Some((last, others)) = targets.split_last() else {
                // Those that lacked it are no longer there.
                batch.settle(Outcome::Dropped("branch_removed"));
                return Ok(Accepted::all());
            };
            let whole = (batch.payload().clone(), Arc::clone(batch.context()));
            let mut calls: Vec<_> = others.iter().map(|(_, branch)| branch.consume(batch.copy())).collect();
            calls.push(last.1.consume(batch));
            let answers = join_all(calls).await;
            let mut accepted = Accepted::all();
            let mut failed: Option<DeliveryError> = None;
            let mut failed_branches = 0_u64;
            let mut undelivered = None;
            let mut parts_differ = false;
            for ((bit, _), answer) in targets.iter().zip(answers) {
                match answer {
                    Ok(answer) => accepted = accepted.and(answer),
                    Err(mut error) => {
                        if error.is_retryable() {
                            failed_branches |= bit;
                        }
                        parts_differ |= error.is_retryable() && error.undelivered_items() < whole.0.items();
                        match (error.take_undelivered(), &undelivered) {
                            (Some(back), None) if error.is_retryable() => undelivered = Some(back),
                            // Another copy of the same items goes back already, or nobody will send this one again.
                            (Some(back), _) => back.settle(Outcome::Refused),
                            (None, _) => {}
                        }
                        failed = Some(match failed.take() {
                            Some(first) => join(first, error),
                            None => error,
                        });
                    }
                }
            }
            match (failed, undelivered) {
                (None, _) => Ok(accepted),
                (Some(error), None) => Err(error),
                (Some(error), Some(mut back)) => {
                    // A branch that delivered part of it hands back the rest, which need not be what another one lacks: the
                    // whole goes back then, rather twice to one than never to the other.
                    if parts_differ {
                        back.rewind(whole.0, whole.1);
                    }
                    back.set_pending(self.id, failed_branches);
                    Err(error.with_undelivered(back))
                }
            }
        })
    }
}

/// Both errors in one: retryable if one of them is, with the longer delay.
fn join(first: DeliveryError, second: DeliveryError) -> DeliveryError {
    let delay = first.retry_after().max(second.retry_after());
    let message = if first.message() == second.message() {
        first.message().to_owned()
    } else {
        format!("{}; {}", first.message(), second.message())
    };
    let retryable = first.is_retryable() || second.is_retryable();
    let leading = if first.is_retryable() == retryable { &first } else { &second };
    let mut joined = if retryable { DeliveryError::retryable_kept(message) } else { DeliveryError::permanent(message) };
    if let Some(code) = leading.code() {
        joined = joined.with_code(code);
    }
    if let Some(delay) = delay {
        joined = joined.with_retry_after(delay);
    }
    joined
}
