//! The onion as a whole, against a scripted destination on a paused clock.

mod batching;
mod drain;
mod handover;
mod model;
mod persistence;
mod queueing;
mod reporting;
mod retrying;
mod sizes;
pub(crate) mod support;
