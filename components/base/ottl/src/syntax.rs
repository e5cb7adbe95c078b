//! From text to trees with positions, and back to text.

mod parse;
mod print;
mod token;
pub(crate) mod tree;

pub(crate) use self::parse::{Goal, parse};
pub(crate) use self::tree::{Call, Compare, Math, Node, NodeKind, Path, Root, Span};

/// Longest statement, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 64 << 10;
/// How deep expressions may be nested.
pub(crate) const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests;
