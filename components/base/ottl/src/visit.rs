//! Which records there are: every record of a context in order, to be changed or removed.

use pdata::edit::{At, Editor, Level, OpenBatch, Place, Walk};
use pdata::schema::{EXPONENTIAL_HISTOGRAM_DATA_POINT, HISTOGRAM_DATA_POINT, NUMBER_DATA_POINT};
use pdata::{Outcome, Signal};
use smallvec::SmallVec;

use crate::context::Context;
use crate::subject::Subject;

/// Number of a span's events.
const EVENTS: u32 = 11;

/// Calls `run` for every record of a context, in order. Contexts that the signal does not have are not met.
///
/// # Errors
/// The first that `run` returns; it is not called again then.
pub fn visit<E>(
    editor: &mut Editor,
    request: &pdata::Context,
    context: Context,
    mut run: impl FnMut(&mut Subject<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(level) = level(context, editor.signal()) else { return Ok(()) };
    let mut walk = Walk::new(editor, level);
    let mut on = Subject::new(editor, request);
    while let Some(place) = walk.next(on.editor) {
        on.at(&place, level);
        match context {
            Context::SpanEvent | Context::Exemplar => children(&mut on, context, |on, _| run(on))?,
            _ => run(&mut on)?,
        }
    }
    Ok(())
}

/// Calls `keep` for every record of a context, in order, and removes those of which it says no; says how many those
/// were: groups, scopes, metrics, items, or events and exemplars.
///
/// Items that are removed, alone or with what is around them, are settled with `outcome`. Removed events and exemplars
/// are no items: nothing is settled, and the span or data point stays.
///
/// # Errors
/// The first that `keep` returns. What was removed before stays removed, and is settled.
pub fn retain<E>(
    batch: &mut OpenBatch,
    context: Context,
    outcome: Outcome,
    mut keep: impl FnMut(&mut Subject<'_>) -> Result<bool, E>,
) -> Result<u64, E> {
    let Some(level) = level(context, batch.editor().signal()) else { return Ok(0) };
    let (editor, stake, request) = batch.parts_mut();
    let mut walk = Walk::new(editor, level);
    let mut on = Subject::new(editor, request);
    // Items next to each other leave the books in one move.
    let (mut position, mut pending, mut removed) = (0, 0, 0);
    let mut result = Ok(());
    while let Some(place) = walk.next(on.editor) {
        on.at(&place, level);
        if matches!(context, Context::SpanEvent | Context::Exemplar) {
            result = children(&mut on, context, |on, at| {
                if !keep(on)? {
                    removed += u64::from(on.editor.remove(at));
                }
                Ok(())
            });
        } else {
            match keep(&mut on) {
                Ok(true) => {
                    stake.settle_range(position, std::mem::take(&mut pending), outcome);
                    position += u64::from(on.editor.items_at(place.at()));
                }
                Ok(false) => {
                    let items = u64::from(on.editor.items_at(place.at()));
                    if on.editor.remove(place.at()) {
                        pending += items;
                        removed += 1;
                    }
                }
                Err(error) => result = Err(error),
            }
        }
        if result.is_err() {
            break;
        }
    }
    stake.settle_range(position, pending, outcome);
    result.map(|()| removed)
}

/// What is walked for a context; `None` if the signal has no such records.
fn level(context: Context, signal: Signal) -> Option<Level> {
    match (context, signal) {
        (Context::Resource, _) => Some(Level::Groups),
        (Context::Scope, _) => Some(Level::Scopes),
        (Context::Metric, Signal::Metrics) => Some(Level::Metrics),
        (Context::Span | Context::SpanEvent, Signal::Traces)
        | (Context::DataPoint | Context::Exemplar, Signal::Metrics)
        | (Context::Log, Signal::Logs) => Some(Level::Items),
        _ => None,
    }
}

/// Calls `run` for each event or exemplar of the record.
fn children<E>(
    on: &mut Subject<'_>,
    context: Context,
    mut run: impl FnMut(&mut Subject<'_>, At) -> Result<(), E>,
) -> Result<(), E> {
    let Ok(item) = on.item() else { return Ok(()) };
    let number = match context {
        Context::SpanEvent => EVENTS,
        _ => match on.editor.table(item) {
            table if std::ptr::eq(table, &raw const NUMBER_DATA_POINT) => 5,
            table if std::ptr::eq(table, &raw const HISTOGRAM_DATA_POINT) => 8,
            table if std::ptr::eq(table, &raw const EXPONENTIAL_HISTOGRAM_DATA_POINT) => 11,
            _ => return Ok(()),
        },
    };
    // Those that are there now: a statement that sets the list puts others in their place, which are not met.
    let there: SmallVec<[At; 16]> = on.editor.occurrences(item, number).collect();
    for (at, index) in there.into_iter().zip(0..) {
        if on.editor.open(at).is_some() {
            on.child = Some((at, index));
            on.clear_cache(context);
            run(on, at)?;
        }
    }
    on.child = None;
    Ok(())
}

impl Subject<'_> {
    /// Moves to where a walk of that level is. Caches of what is new there are emptied.
    pub fn at(&mut self, place: &Place, level: Level) {
        match level {
            Level::Items => self.at_item(place),
            Level::Metrics => {
                (self.group, self.scope_group, self.data) = (place.group(), place.scope_group(), None);
                (self.metric, self.item, self.child) = (self.editor.open(place.at()), None, None);
            }
            Level::Scopes => {
                (self.group, self.metric, self.data) = (place.group(), None, None);
                (self.scope_group, self.item, self.child) = (self.editor.open(place.at()), None, None);
            }
            Level::Groups => {
                (self.scope_group, self.metric, self.data) = (None, None, None);
                (self.group, self.item, self.child) = (self.editor.open(place.at()), None, None);
            }
        }
        // Handles do not tell what is new: those of records that were left are given to others.
        let outermost = place.entered().unwrap_or(level);
        if outermost == Level::Groups {
            self.clear_cache(Context::Resource);
        }
        if matches!(outermost, Level::Groups | Level::Scopes) {
            self.clear_cache(Context::Scope);
        }
        if outermost != Level::Items {
            self.clear_cache(Context::Metric);
        }
        for context in [Context::Span, Context::SpanEvent, Context::DataPoint, Context::Exemplar, Context::Log] {
            self.clear_cache(context);
        }
    }

    /// Empties the scratch map of a context.
    #[inline]
    pub fn clear_cache(&mut self, context: Context) {
        if let Some(cache) = self.caches.get_mut(context as usize)
            && !cache.is_empty()
        {
            cache.entries_mut().clear();
        }
    }
}
