//! Functions that only this processor has.

use ottl::Function;

/// All of them.
#[must_use]
pub fn all() -> Vec<Function> {
    Vec::new()
}
