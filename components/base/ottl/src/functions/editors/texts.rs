//! Editors of all values of a map: `truncate_all`, `stringify_all`.

use crate::error::RunError;
use crate::expr::Target;
use crate::function::{Arguments, Built, Change, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::Value;

use super::{Step, each_entry};

const TARGET: Param = Param::required("target", ParamKind::Target);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "truncate_all",
        params: &[
            TARGET,
            Param::required("limit", ParamKind::Int),
            Param::optional("utf8_safe", ParamKind::Bool),
            Param::optional("truncation_marker", ParamKind::Text),
        ],
        contexts: &[],
        build: |arguments: &mut Arguments| {
            let (target, limit) = (arguments.target("target")?, arguments.int("limit")?);
            let limit =
                usize::try_from(limit).map_err(|_negative| format!("the limit cannot be negative, it is {limit}"))?;
            let marker = arguments.text_opt("truncation_marker").unwrap_or_default();
            if marker.len() > limit {
                let len = marker.len();
                return Err(format!("the truncation marker has {len} bytes, more than the limit of {limit}"));
            }
            // Half a character is replaced on the wire anyway, so both settings cut between characters; the
            // unsafe one shows the cut.
            let shows_cut = arguments.bool_opt("utf8_safe") == Some(false);
            Ok(Built::Editor(Box::new(TruncateAll { target, limit, marker, shows_cut })))
        },
    },
    Function {
        name: "stringify_all",
        params: &[TARGET],
        contexts: &[],
        build: |arguments: &mut Arguments| Ok(Built::Editor(Box::new(StringifyAll(arguments.target("target")?)))),
    },
];

/// Cuts texts to a number of bytes, the marker included.
struct TruncateAll {
    target: Target,
    limit: usize,
    marker: String,
    shows_cut: bool,
}

impl Change for TruncateAll {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        each_entry(&self.target, on, |_, value| match value.as_str() {
            Some(text) if text.len() > self.limit => Ok(Step::Set(Value::text(self.cut(text)))),
            _ => Ok(Step::Keep),
        })
    }
}

impl TruncateAll {
    fn cut(&self, text: &str) -> String {
        let room = self.limit - self.marker.len();
        let end = text.floor_char_boundary(room);
        let mut cut = text.get(..end).unwrap_or_default().to_owned();
        if self.shows_cut {
            // What repair of a cut character would leave.
            cut.extend(std::iter::repeat_n('?', room - end));
        }
        cut + &self.marker
    }
}

/// Makes every value a text.
struct StringifyAll(Target);

impl Change for StringifyAll {
    fn change(&self, on: &mut Subject<'_>) -> Result<(), RunError> {
        each_entry(&self.0, on, |_, value| match value.as_str() {
            Some(_) => Ok(Step::Keep),
            None => Ok(Step::Set(Value::text(value.to_value().to_text()))),
        })
    }
}
