//! The interface of a queue: put → claim → commit, or return. The same in memory as on disk.
//!
//! A record is what was put: one batch as it came. Batching behind the queue merges and splits records, so a record is
//! committed when its last item is answered, in whatever requests its items went; what a shutdown leaves undelivered is
//! given back. Room is taken by a record until it is committed, so that what is being sent counts as held.

use std::fmt;

use component::BoxFuture;
use pdata::Batch;

use crate::claims::Waiter;
use crate::config::Sizer;

/// What is put: a batch, with its context and its stake in the ledger, and whoever waits for the outcome.
#[derive(Debug)]
#[must_use = "an entry holds items; settle or pass on its batch"]
pub struct Entry {
    /// The batch. A queue that outlives the process stores its context but for the deadline.
    pub batch: Batch,
    pub(crate) waiter: Option<Waiter>,
}

impl Entry {
    /// An entry nobody waits for.
    pub fn new(batch: Batch) -> Self {
        Self { batch, waiter: None }
    }
}

/// The identity of a record in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Ascending in the order of puts; what was inherited is older than any put.
    pub id: u64,
    /// The room it takes, in the queue's unit.
    pub size: u64,
}

/// A record that was claimed: to be committed or given back under its ticket.
#[derive(Debug)]
#[must_use = "a record holds items"]
pub struct Record {
    /// Which.
    pub ticket: Ticket,
    /// What was put.
    pub entry: Entry,
}

/// Why an entry was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutRefusal {
    /// There is no room now.
    Full {
        /// Room taken, in units of `sizer`.
        used: u64,
        /// All room.
        capacity: u64,
        /// The unit.
        sizer: Sizer,
    },
    /// It would not even fit an empty queue.
    TooLarge {
        /// Its size, in units of `sizer`.
        size: u64,
        /// All room.
        capacity: u64,
        /// The unit.
        sizer: Sizer,
    },
    /// The queue is being shut down.
    Closed,
    /// The record could not be stored: why.
    Storage(String),
}

impl fmt::Display for PutRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { used, capacity, sizer } => {
                write!(f, "sending queue is full: {used} of {capacity} {}", sizer.noun())
            }
            Self::TooLarge { size, capacity, sizer } => {
                let noun = sizer.noun();
                write!(f, "element size too large: {size} {noun}, the whole sending queue holds {capacity}")
            }
            Self::Closed => f.write_str("sending queue is shut down"),
            Self::Storage(why) => write!(f, "cannot store in the sending queue: {why}"),
        }
    }
}

/// An entry that was not taken, handed back.
#[derive(Debug)]
pub struct PutError {
    /// Why.
    pub refusal: PutRefusal,
    /// The entry.
    pub entry: Box<Entry>,
}

/// What stays on disk when a queue that outlives the process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Records.
    pub records: u64,
    /// Items in them.
    pub items: u64,
    /// Whether another queue has them now: that of a successor.
    pub is_shared: bool,
}

/// A queue of records: first in, first out.
pub trait Queue: Send + Sync + 'static {
    /// Takes responsibility for `entry`: in memory at once, on disk when it is durable there. Waits for room only where
    /// configured to, at most until the deadline in the batch's context.
    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), PutError>>;

    /// As [`Queue::put`], for what the queue of a predecessor held: in front of everything that was put (a queue on disk only
    /// appends), and beyond the capacity if need be. Other puts find no room until what is held fits again. Refuses only when it is closed, or cannot
    /// store it.
    fn inherit(&self, entry: Entry) -> BoxFuture<'_, Result<(), PutError>>;

    /// Waits for the oldest record that nobody has claimed, inherited ones first. `None` when the queue is closed and has no such record.
    /// Dropping the future loses nothing.
    fn claim(&self) -> BoxFuture<'_, Option<Record>>;

    /// Every item of the record is answered: forgets it and frees its room.
    fn commit(&self, ticket: Ticket);

    /// A claimed record ends undelivered in part; `undelivered` are its open items in order. A queue that outlives the
    /// process keeps the record, one in memory keeps them for [`Queue::take_left`].
    fn give_back(&self, ticket: Ticket, undelivered: Vec<Batch>);

    /// Refuses further puts, those that wait for room included, and lets [`Queue::claim`] come to its end: when everything was
    /// claimed, or at once if what is left stays.
    fn close(&self);

    /// After [`Queue::close`]: takes out what would be gone with the process, in the order of the tickets. Empty for queues
    /// that outlive it.
    fn take_left(&self) -> Vec<Entry>;

    /// Whether what is left stays for the next process.
    fn outlives_process(&self) -> bool {
        false
    }

    /// After [`Queue::close`]: claims the oldest record that would stay, to be passed on to a successor that does not find it
    /// there. `None` when there is none.
    fn next_kept(&self) -> BoxFuture<'_, Option<Record>> {
        Box::pin(async { None })
    }

    /// After everything was committed or given back: makes durable what is known and lets go of it. Says what stays.
    fn finish(&self) -> BoxFuture<'_, Kept> {
        Box::pin(async { Kept::default() })
    }

    /// Room taken, in the queue's unit.
    fn used(&self) -> u64;

    /// All room.
    fn capacity(&self) -> u64;
}
