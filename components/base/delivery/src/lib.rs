//! The onion around every exporter, from the outside in: queue → batch → retry → timeout → the exporter's own send.
//!
//! An exporter implements [`Transport`] (one request, one attempt) and hands it to [`Delivery::new`], which is the
//! component the graph sees. What the onion promises:
//!
//! - The sender is never held up: a full queue refuses at once with the batch handed back, unless the configuration asks
//!   to wait (`block_on_overflow`, `wait_for_result`, or no queue at all).
//! - Every item that was accepted is delivered, rejected by the destination, or dropped with a reason, and says so in
//!   the ledger. A record leaves the queue when its last item is answered, in however many requests they went.
//! - What exceeds the size a destination takes is split before it is sent, and again after a refusal for size.
//! - An exporter that a reload replaces passes its queue to its successor; nothing is dropped by that.
//! - During shutdown sending and retrying go on until the deadline; only what is left then is dropped, with numbers in
//!   the log. A queue on disk keeps it instead: no further attempt is begun, and the next process goes on.
//!
//! Reading order: [`config`], [`transport`], [`queue`] (the interface), `memory` and [`disk`] (in memory, on disk), `record` (what is stored), `claims` (which items
//! belong to which record), `feed` (batching), `backoff`, `limit` (sizes), `attempt` (one request to its end),
//! [`delivery`] (lifecycle), `metrics` and `report` (what operators see).
//!
//! Deliberately absent: sockets, wire formats, statuses of any protocol (the transports and the crates `net` and `otlp`).

mod attempt;
mod backoff;
mod claims;
pub mod config;
pub mod delivery;
pub mod disk;
mod feed;
mod limit;
mod memory;
mod metrics;
pub mod queue;
mod record;
mod report;
pub mod transport;

pub use config::{BatchConfig, DeliveryConfig, PartitionConfig, QueueConfig, RetryConfig, Sizer, TimeoutConfig};
pub use delivery::{Delivery, DeliverySettings};
pub use disk::DiskQueue;
pub use memory::MemoryQueue;
pub use queue::{Entry, Kept, PutError, PutRefusal, Queue, Record, Ticket};
pub use transport::{SendError, SizeRefusal, Transport, user_agent};

#[cfg(test)]
mod tests;
