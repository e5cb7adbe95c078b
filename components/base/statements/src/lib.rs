//! OTTL as it stands in a configuration: what to do about errors ([`ErrorMode`], [`Failures`]), lists of texts and groups ([`Entry`]),
//! and errors at their place in the YAML ([`Problem`]).
//!
//! Deliberately absent: the language (`ottl`), and what a component does with what it compiles.

pub mod contexts;
mod entry;
mod mode;
mod problem;

pub use entry::{Entry, Groups};
pub use mode::{ErrorMode, Failures, Placed};
pub use problem::{Problem, Wrong};
