//! The standard functions.

mod editors;

use crate::function::Function;

/// Every standard editor and converter.
#[must_use]
pub fn standard() -> Vec<Function> {
    let mut functions = editors::all();
    functions.sort_by_key(|function: &Function| function.name);
    functions
}
