//! What a statement is run on: one record of a payload under edit, and what is around it.

use pdata::edit::{At, Editor, Msg, Place};

use crate::context::Context;
use crate::error::RunError;
use crate::value::{Map, Value};

/// A record and its surroundings. A component makes one per batch, and moves it from record to record.
#[derive(Debug)]
pub struct Subject<'t> {
    /// The telemetry.
    pub editor: &'t mut Editor,
    /// Who sent it (`otelcol.client…`).
    pub request: &'t pdata::Context,
    /// `ResourceSpans` or sibling.
    pub group: Option<Msg>,
    /// `ScopeSpans` or sibling.
    pub scope_group: Option<Msg>,
    /// The metric, for metrics and below.
    pub metric: Option<Msg>,
    /// The `Gauge`, `Sum`, … around a data point.
    pub data: Option<Msg>,
    /// The span, data point or log record.
    pub item: Option<At>,
    /// The event of a span or the exemplar of a data point, and its number among its siblings.
    pub child: Option<(At, u32)>,
    /// `cache` of each context, by [`Context`] as a number.
    pub caches: [Map<'static>; Context::COUNT],
    /// Where text is copied from one path to another.
    pub(crate) scratch: String,
    /// How many reads have looked into the unopened item so far.
    pub(crate) peeks: u8,
    /// Values of the parameters of lambdas that are being run, innermost last.
    pub locals: Vec<Value<'static>>,
}

impl<'t> Subject<'t> {
    /// On nothing yet.
    #[must_use]
    pub fn new(editor: &'t mut Editor, request: &'t pdata::Context) -> Self {
        Self {
            editor,
            request,
            group: None,
            scope_group: None,
            metric: None,
            data: None,
            item: None,
            child: None,
            caches: std::array::from_fn(|_| Map::new()),
            scratch: String::new(),
            peeks: 0,
            locals: Vec::new(),
        }
    }

    /// Says that the item is going to be opened in any case: what is read before need not be looked for in its bytes.
    pub fn opens_item(&mut self) {
        self.peeks = u8::MAX;
    }

    /// Moves to an item. See [`Subject::at`], which empties caches too.
    pub fn at_item(&mut self, place: &Place) {
        (self.group, self.scope_group) = (place.group(), place.scope_group());
        (self.metric, self.data) = (place.metric(), place.data());
        (self.item, self.child, self.peeks) = (Some(place.at()), None, 0);
    }

    /// The opened span, data point or log record.
    ///
    /// # Errors
    /// [`RunError`] where there is none: in contexts above items.
    #[inline]
    pub fn item(&mut self) -> Result<Msg, RunError> {
        self.item.and_then(|at| self.editor.open(at)).ok_or_else(|| "there is no record here".into())
    }

    /// The opened resource, which is added if the telemetry has none.
    ///
    /// # Errors
    /// [`RunError`] where there is none.
    pub fn resource(&mut self) -> Result<Msg, RunError> {
        let group = self.group.ok_or("there is no resource here")?;
        Ok(self.editor.resource(group)?)
    }

    /// The opened instrumentation scope, which is added if the telemetry has none.
    ///
    /// # Errors
    /// [`RunError`] where there is none.
    pub fn scope(&mut self) -> Result<Msg, RunError> {
        let group = self.scope_group.ok_or("there is no scope here")?;
        Ok(self.editor.scope(group)?)
    }
}
