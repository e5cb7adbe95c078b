//! The books: where every item went.
//!
//! An [`Account`] exists per pipeline, signal and tenant. Items enter it as *received*, *recovered*, *derived* or as
//! *fan-out copies*, and leave it as *delivered*, *rejected*, *dropped* (by reason) or *refused*. While they are inside,
//! a [`Stake`] travels with the batch that carries them, and the account's *held* is what live stakes sum up to: it
//! goes down when a stake is dropped, whether or not anybody said where its items went. A component that loses items
//! without saying so therefore shows up as a difference:
//!
//! `received + recovered + derived + copies - delivered - rejected - dropped - refused - held - persisted`
//!
//! *Persisted* are items that only a queue on disk holds: no live batch carries them ([`Stake::persist`]) until they are
//! read again ([`Account::resume`]). What is persisted when the process ends is there for the next one, whose books it
//! enters as *recovered*.
//!
//! Every move takes the account's lock once, so each account balances whenever its lock is free, and a [`Ledger::read`]
//! is one consistent cut: it holds all the locks at once.
//!
//! Cost: one uncontended lock per batch and move.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::signal::Signal;

/// Tenants counted apart per pipeline; further ones share the account [`OTHER_TENANTS`].
pub const TENANTS_MAX: usize = 1000;

/// The tenant label under which tenants beyond [`TENANTS_MAX`] are counted together.
pub const OTHER_TENANTS: &str = "_other";

/// Whose books.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// Pipeline ID as in the YAML, `traces/backend`.
    pub pipeline: Arc<str>,
    /// The pipeline's signal.
    pub signal: Signal,
    /// Tenant; empty for the anonymous one.
    pub tenant: Arc<str>,
}

/// A snapshot of one account; all numbers are items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entered from a receiver or from a connector's other side.
    pub received: u64,
    /// Read back from storage after a restart.
    pub recovered: u64,
    /// Created inside the pipeline.
    pub derived: u64,
    /// Additional copies made for further branches of a fan-out.
    pub copies: u64,
    /// Taken over by a destination, a store, or a connector.
    pub delivered: u64,
    /// Refused for good by a destination.
    pub rejected: u64,
    /// Handed back to the sender, who may try again.
    pub refused: u64,
    /// Given up inside the pipeline, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Carried by live batches now.
    pub held: u64,
    /// On disk now, in a queue that outlives the process, and carried by no live batch.
    pub persisted: u64,
}

impl Totals {
    /// Items that entered.
    #[must_use]
    pub fn entered(&self) -> u64 {
        self.received + self.recovered + self.derived + self.copies
    }

    /// Items that left with a stated outcome.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.delivered + self.rejected + self.refused + self.dropped.values().sum::<u64>()
    }

    /// 0 when the books balance; positive when items vanished, negative when items appeared from nowhere.
    #[must_use]
    pub fn difference(&self) -> i128 {
        i128::from(self.entered()) - i128::from(self.left()) - i128::from(self.held) - i128::from(self.persisted)
    }
}

/// Where items went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A destination, store or connector took responsibility.
    Delivered,
    /// A destination refused them for good.
    Rejected,
    /// Handed back to the sender.
    Refused,
    /// Given up, with the reason as it appears on `/metrics`.
    Dropped(&'static str),
}

/// One account. Obtain it from [`Ledger::account`].
pub struct Account {
    key: AccountKey,
    totals: Mutex<Totals>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose books these are.
    #[must_use]
    pub fn key(&self) -> &AccountKey {
        &self.key
    }

    /// `items` enter from a receiver or connector.
    pub fn receive(self: &Arc<Self>, items: u64) -> Stake {
        self.enter(items, |totals| &mut totals.received)
    }

    /// `items` are read back from storage.
    pub fn recover(self: &Arc<Self>, items: u64) -> Stake {
        self.enter(items, |totals| &mut totals.recovered)
    }

    /// `items` are created inside the pipeline.
    pub fn derive(self: &Arc<Self>, items: u64) -> Stake {
        self.enter(items, |totals| &mut totals.derived)
    }

    /// `items` that were [persisted](Stake::persist) are read again. More than are persisted were persisted in part, the
    /// others having been delivered: those are further copies, and enter as derived.
    pub fn resume(self: &Arc<Self>, items: u64) -> Stake {
        let mut totals = self.lock();
        let known = items.min(totals.persisted);
        totals.persisted -= known;
        totals.derived += items - known;
        totals.held += items;
        drop(totals);
        Stake { runs: SmallVec::from_iter([Run { account: Arc::clone(self), items }]) }
    }

    fn enter(self: &Arc<Self>, items: u64, field: impl FnOnce(&mut Totals) -> &mut u64) -> Stake {
        let mut totals = self.lock();
        *field(&mut totals) += items;
        totals.held += items;
        drop(totals);
        Stake { runs: SmallVec::from_iter([Run { account: Arc::clone(self), items }]) }
    }

    fn settle(&self, items: u64, outcome: Outcome) {
        let mut totals = self.lock();
        match outcome {
            Outcome::Delivered => totals.delivered += items,
            Outcome::Rejected => totals.rejected += items,
            Outcome::Refused => totals.refused += items,
            Outcome::Dropped(reason) => *totals.dropped.entry(reason).or_default() += items,
        }
        totals.held = totals.held.saturating_sub(items);
    }

    /// A snapshot of this account alone.
    #[must_use]
    pub fn read(&self) -> Totals {
        self.lock().clone()
    }
}

struct Run {
    account: Arc<Account>,
    items: u64,
}

/// The ledger's side of the items in a batch, in the batch's order: which account each belongs to.
///
/// Not `Clone`: copying items is a move in the books, see [`Stake::copy`]. Dropping a stake that still holds items
/// without settling them makes a difference in the books.
#[must_use = "dropping an unsettled stake is a loss in the books"]
#[derive(Default)]
pub struct Stake {
    runs: SmallVec<[Run; 1]>,
}

impl fmt::Debug for Stake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.runs.iter().map(|run| (&run.account.key, run.items))).finish()
    }
}

impl Stake {
    /// A stake in no account: batches outside any pipeline.
    pub fn none() -> Self {
        Self::default()
    }

    /// Items accounted for. Zero for [`Stake::none`].
    #[must_use]
    pub fn items(&self) -> u64 {
        self.runs.iter().map(|run| run.items).sum()
    }

    /// Whether it belongs to no account at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether all items belong to the same account, or to none; their order does not matter then.
    #[must_use]
    pub fn is_of_one_account(&self) -> bool {
        self.runs.len() <= 1
    }

    /// The account of the first items, into which derived items go.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.runs.first().map(|run| &run.account)
    }

    /// The accounts of the items, in their order, and how many are in each.
    pub fn runs(&self) -> impl Iterator<Item = (&Arc<Account>, u64)> {
        self.runs.iter().map(|run| (&run.account, run.items))
    }

    /// The items are on disk and will be read from there; no batch carries them any longer.
    pub fn persist(mut self) {
        for run in std::mem::take(&mut self.runs) {
            let mut totals = run.account.lock();
            totals.held = totals.held.saturating_sub(run.items);
            totals.persisted += run.items;
        }
    }

    /// Appends the stake of items that were appended to the batch.
    pub fn merge(&mut self, mut other: Self) {
        for run in std::mem::take(&mut other.runs) {
            match self.runs.last_mut() {
                Some(last) if Arc::ptr_eq(&last.account, &run.account) => last.items += run.items,
                _ => self.runs.push(run),
            }
        }
    }

    /// Takes the stake of the first `items` items.
    pub fn split_front(&mut self, items: u64) -> Self {
        let mut front = Self::none();
        let mut wanted = items;
        while wanted > 0
            && let Some(run) = self.runs.first_mut()
        {
            let taken = wanted.min(run.items);
            run.items -= taken;
            wanted -= taken;
            let account = Arc::clone(&run.account);
            if run.items == 0 {
                self.runs.remove(0);
            }
            front.merge(Self { runs: SmallVec::from_iter([Run { account, items: taken }]) });
        }
        front
    }

    /// Registers a fan-out copy of all items and returns its stake.
    pub fn copy(&self) -> Self {
        let runs = self.runs.iter().map(|run| {
            let mut totals = run.account.lock();
            totals.copies += run.items;
            totals.held += run.items;
            drop(totals);
            Run { account: Arc::clone(&run.account), items: run.items }
        });
        Self { runs: runs.collect() }
    }

    /// Registers `items` created from these in the same account, and returns their stake.
    pub fn derive(&self, items: u64) -> Self {
        self.account().map_or_else(Self::none, |account| account.derive(items))
    }

    /// Says where all items went.
    pub fn settle(mut self, outcome: Outcome) {
        for run in std::mem::take(&mut self.runs) {
            run.account.settle(run.items, outcome);
        }
    }

    /// Says where the `items` items from position `at` on went; the others stay.
    pub fn settle_range(&mut self, at: u64, items: u64, outcome: Outcome) {
        if items == 0 {
            return;
        }
        let mut kept = self.split_front(at);
        self.split_front(items).settle(outcome);
        kept.merge(std::mem::take(self));
        *self = kept;
    }

    /// Makes the stake follow what the batch really carries. Items that vanished unsaid leave *held* and thereby show
    /// as a difference; items that appeared unsaid raise *held* alone, which shows too.
    pub fn reconcile(&mut self, items: u64) {
        let known = self.items();
        if known == items || self.runs.is_empty() {
            return;
        }
        if known > items {
            let kept = self.split_front(items);
            drop(std::mem::replace(self, kept));
        } else if let Some(run) = self.runs.last_mut() {
            let more = items - known;
            run.account.lock().held += more;
            run.items += more;
        }
    }
}

impl Drop for Stake {
    fn drop(&mut self) {
        for run in &self.runs {
            let mut totals = run.account.lock();
            totals.held = totals.held.saturating_sub(run.items);
        }
    }
}

/// All accounts of the process. They outlive reloads, so that nothing disappears from the books.
#[derive(Debug)]
pub struct Ledger {
    accounts: Mutex<BTreeMap<AccountKey, Arc<Account>>>,
    run: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        let run = RandomState::new().hash_one(std::process::id());
        Self { accounts: Mutex::default(), run }
    }
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AccountKey, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A random number that tells these books from others: in storage, what these have as persisted from what an earlier process
    /// left.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.run
    }

    /// The account of that pipeline and tenant, opened at first use.
    #[must_use]
    pub fn account(&self, pipeline: &Arc<str>, signal: Signal, tenant: &str) -> Arc<Account> {
        let mut accounts = self.lock();
        let mut key = AccountKey { pipeline: Arc::clone(pipeline), signal, tenant: tenant.into() };
        if !tenant.is_empty() && !accounts.contains_key(&key) {
            let tenants = accounts.keys().filter(|k| k.pipeline == key.pipeline && k.signal == signal).count();
            if tenants >= TENANTS_MAX {
                key.tenant = OTHER_TENANTS.into();
            }
        }
        Arc::clone(
            accounts
                .entry(key.clone())
                .or_insert_with(|| Arc::new(Account { key, totals: Mutex::new(Totals::default()) })),
        )
    }

    /// One consistent cut through all accounts, sorted by key.
    #[must_use]
    pub fn read(&self) -> Vec<(AccountKey, Totals)> {
        let accounts = self.lock();
        let guards: Vec<_> = accounts.values().map(|account| (&account.key, account.lock())).collect();
        guards.iter().map(|(key, totals)| ((*key).clone(), (**totals).clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (Arc<Ledger>, Arc<Account>) {
        let ledger = Ledger::new();
        let account = ledger.account(&"traces".into(), Signal::Traces, "");
        (ledger, account)
    }

    #[test]
    fn outcomes_balance_and_a_leak_does_not() {
        let (_ledger, account) = open();
        let mut stake = account.receive(10);
        let copy = stake.copy();
        assert_eq!(account.read().held, 20);
        assert_eq!(account.read().difference(), 0);
        copy.settle(Outcome::Delivered);
        stake.settle_range(2, 3, Outcome::Dropped("filtered"));
        assert_eq!(stake.items(), 7);
        assert_eq!(account.read().difference(), 0);
        drop(stake);
        assert_eq!(account.read().held, 0);
        assert_eq!(account.read().difference(), 7);
    }

    #[test]
    fn merged_stakes_split_back_in_order() {
        let ledger = Ledger::new();
        let (a, b) = (ledger.account(&"a".into(), Signal::Logs, ""), ledger.account(&"b".into(), Signal::Logs, ""));
        let mut merged = a.receive(3);
        merged.merge(b.receive(4));
        let front = merged.split_front(5);
        front.settle(Outcome::Delivered);
        merged.settle(Outcome::Rejected);
        assert_eq!((a.read().delivered, a.read().rejected), (3, 0));
        assert_eq!((b.read().delivered, b.read().rejected), (2, 2));
        assert!(ledger.read().iter().all(|(_, totals)| totals.difference() == 0 && totals.held == 0));
    }

    #[test]
    fn what_is_persisted_is_neither_held_nor_gone() {
        let (_ledger, account) = open();
        let mut stake = account.receive(10);
        stake.split_front(4).settle(Outcome::Delivered);
        stake.persist();
        let totals = account.read();
        assert_eq!((totals.held, totals.persisted, totals.left(), totals.difference()), (0, 6, 4, 0));
        // The record has all ten of them.
        account.resume(10).settle(Outcome::Delivered);
        let totals = account.read();
        assert_eq!((totals.persisted, totals.derived, totals.delivered, totals.difference()), (0, 4, 14, 0));
    }

    #[test]
    fn reconcile_exposes_items_lost_or_invented() {
        let (_ledger, account) = open();
        let mut stake = account.receive(5);
        stake.reconcile(3);
        assert_eq!(account.read().difference(), 2);
        stake.reconcile(6);
        assert_eq!(account.read().difference(), -1);
        stake.settle(Outcome::Delivered);
        assert_eq!(account.read().difference(), -1);
    }

    #[test]
    fn tenants_beyond_the_limit_share_an_account() {
        let ledger = Ledger::new();
        let pipeline: Arc<str> = "traces".into();
        for n in 0..TENANTS_MAX + 5 {
            ledger.account(&pipeline, Signal::Traces, &format!("t{n}")).receive(1).settle(Outcome::Delivered);
        }
        let read = ledger.read();
        assert_eq!(read.len(), TENANTS_MAX + 1);
        let other = read.iter().find(|(key, _)| &*key.tenant == OTHER_TENANTS).unwrap();
        assert_eq!(other.1.delivered, 5);
    }
}
