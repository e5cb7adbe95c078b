//! Finds personal data and secrets in text, and checks what it finds.
//!
//! [`Scanner`] goes over a text once and gives byte ranges with their [`Kind`]; shapes are confirmed by checksums,
//! ranges and lengths before they count. [`render`] turns a found value into the form that is hashed for pseudonyms or
//! into a shortened form that may stay.
//!
//! Deliberately absent: I/O, configuration, telemetry, replacing text, personal names (no pattern tells them from other
//! words; see README.md).

mod bytes;
mod card;
mod classes;
mod email;
mod header;
mod iban;
mod ip;
mod kind;
mod merge;
mod options;
mod pass;
mod phone;
pub mod render;
mod scanner;
mod secret;
mod sql;
mod ssn;
mod token;
mod unescape;
mod url;

pub use kind::{Kind, Kinds};
pub use options::{Finding, Hint, KeySense, Options, OptionsError, Place, QUERY_PARAMETER_BYTES_MAX, QUERY_PARAMETERS};
pub use scanner::Scanner;

// Files that tests share name the crate as others do.
#[cfg(test)]
extern crate self as detectors;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
