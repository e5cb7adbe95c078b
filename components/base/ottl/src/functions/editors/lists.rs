//! Editors of lists: `append`, `delete_index`.

use crate::error::RunError;
use crate::expr::{Expr, Target};
use crate::function::{Arguments, Built, Change, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::Value;

const TARGET: Param = Param::required("target", ParamKind::Target);

/// The most values in a list that `append` makes.
const LIST_MAX: usize = 65_536;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "append",
        params: &[TARGET, Param::optional("value", ParamKind::Value), Param::optional("values", ParamKind::List)],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let target = arguments.target("target")?;
            let (value, values) = (arguments.value_opt("value"), arguments.list_opt("values"));
            if value.is_none() && values.is_none() {
                return Err("`append` needs `value` or `values`".to_owned());
            }
            let values = value.into_iter().chain(values.into_iter().flatten()).collect();
            Ok(Built::Editor(Box::new(Append { target, values })))
        },
    },
    Function {
        name: "delete_index",
        params: &[
            TARGET,
            Param::required("start_index", ParamKind::Value),
            Param::optional("end_index", ParamKind::Value),
        ],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, start) = (arguments.target("target")?, arguments.value("start_index")?);
            let end = arguments.value_opt("end_index");
            Ok(Built::Editor(Box::new(DeleteIndex { target, start, end })))
        },
    },
];

/// Adds values behind what is there, which becomes a list if it is none.
struct Append {
    target: Target,
    values: Vec<Expr>,
}

impl Change for Append {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let mut list = match self.target.0.convert(on)?.into_owned() {
            Value::Nil => Vec::new(),
            Value::List(values) => values,
            scalar @ (Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_)) => vec![scalar],
            other => return Err(RunError::expected("a list or a scalar", &other)),
        };
        if list.len() + self.values.len() > LIST_MAX {
            return Err(RunError::new(format!("a list of more than {LIST_MAX} values would be made")));
        }
        for value in &self.values {
            list.push(value.eval(on)?.into_owned());
        }
        self.target.0.set(on, Value::List(list))
    }
}

/// Removes the values from one index to before another.
struct DeleteIndex {
    target: Target,
    start: Expr,
    end: Option<Expr>,
}

impl Change for DeleteIndex {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        let mut list = match self.target.0.convert(on)?.into_owned() {
            Value::List(values) => values,
            other => return Err(RunError::expected("a list", &other)),
        };
        let start = self.start.eval(on)?.as_int()?;
        let end = match &self.end {
            Some(end) => end.eval(on)?.as_int()?,
            None => start.saturating_add(1),
        };
        let len = list.len();
        if start == 0 && end == len as i64 {
            return self.target.0.set(on, Value::List(Vec::new()));
        }
        let inside = |index: i64| usize::try_from(index).ok().filter(|index| *index <= len);
        match (inside(start), inside(end)) {
            (Some(first), Some(last)) if first < len && first <= last => drop(list.drain(first..last)),
            _ => {
                return Err(RunError::new(format!("{start} to {end} is out of the bounds of a list of {len} values")));
            }
        }
        self.target.0.set(on, Value::List(list))
    }
}
