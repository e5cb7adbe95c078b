//! `set`.

use crate::error::RunError;
use crate::expr::{Expr, Target};
use crate::function::{Arguments, Built, Change, Function, Param, ParamKind};
use crate::subject::Subject;

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "set",
    params: &[Param::required("target", ParamKind::Target), Param::required("value", ParamKind::Value)],
    contexts: &[],
    build: |arguments: &mut Arguments| {
        let (target, value) = (arguments.target("target")?, arguments.value("value")?);
        Ok(Built::Editor(Box::new(Set { target, value })))
    },
}];

/// Sets a path; nil sets nothing.
struct Set {
    target: Target,
    value: Expr,
}

impl Change for Set {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        self.target.set_from(&self.value, on)
    }
}
