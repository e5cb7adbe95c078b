//! The standard functions.

use crate::function::Function;

/// Every standard editor and converter.
#[must_use]
pub fn standard() -> Vec<Function> {
    let mut functions = Vec::new();
    functions.sort_by_key(|function: &Function| function.name);
    functions
}
