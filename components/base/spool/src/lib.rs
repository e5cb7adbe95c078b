//! A log of records on disk, for queues that outlive the process: append, claim, commit, give back.
//!
//! A spool is a directory of segments, files of bounded size that only grow until they are sealed, and that are removed when
//! every record in them is committed. `FORMAT.md` describes the bytes. What it promises:
//!
//! - [`Spool::append`] answers when the record is durable; all who wait at the same time share one fsync. It is refused as
//!   a whole or stored as a whole: a full disk leaves nothing half done, and it works again when there is room.
//! - Commits need no space: their place is written when a segment is created, and removing a file needs none either.
//! - Opening costs a fixed amount per segment; only a segment that was not sealed (the last one before a crash) is read
//!   through. Neither opening nor draining takes memory in proportion to what waits.
//! - Every byte that is read is checked. A tail that was being written is cut off; what is damaged is left out, counted, and
//!   put aside in a file that ends with `.damaged`; the rest is used.
//! - What was not committed is there after a crash, in order. What was committed in the last moments before it may be there
//!   again: delivery is at least once.
//! - One process has a spool at a time.
//!
//! Reading order: [`spool`], `state` (what is known in memory), `worker` (what happens on disk), `segment`, `format`,
//! [`disk`].
//!
//! Deliberately absent: telemetry, configuration, metrics ([`Watch`] tells what there is to count), capacities in other
//! terms than bytes on disk.

pub mod disk;
pub mod error;
mod format;
mod segment;
pub mod spool;
mod state;
mod worker;

pub use disk::{Disk, DiskFile, OsDisk};
pub use error::SpoolError;
pub use format::Size;
pub use segment::Stored;
pub use spool::{Claimed, Found, Options, Put, Resident, Spool, Unreadable, Watch, WeakSpool};

#[cfg(test)]
mod tests;
