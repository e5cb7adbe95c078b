//! OTTL as it stands in a configuration: what to do about errors ([`ErrorMode`]), lists of texts and groups ([`Entry`]),
//! and errors of the language at their place in the YAML ([`report`]).
//!
//! Deliberately absent: the language (`ottl`), and what a component does with what it compiles.

pub mod contexts;
mod entry;
mod mode;

pub use entry::{Entry, Groups};
pub use mode::{ErrorMode, Failures};

/// Reports what is wrong with the statement written at the setting `field`, a path from the validator's block.
pub fn report(v: &mut config::Validator<'_>, field: &str, error: &ottl::ParseError) {
    v.error_inside(field, &error.text, error.span.clone(), error.message.clone(), error.help.as_deref());
}
