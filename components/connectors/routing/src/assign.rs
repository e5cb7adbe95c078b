//! Which items of a batch go where.

use ottl::{Context, Subject};
use pdata::edit::{Editor, Level, Place, Walk};
use pdata::{Payload, Segment};
use statements::{ErrorMode, Failures};

use crate::table::Route;

/// Neighbouring items that go to the same routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many.
    pub items: u64,
    /// Routes that get a copy, a bit each.
    pub copies: u64,
    /// The route that takes them; `None` for the default pipelines.
    pub taken_by: Option<usize>,
}

impl Run {
    /// Whether a route gets them, as a copy or for good. `None` stands for the default pipelines.
    #[must_use]
    pub fn goes_to(&self, route: Option<usize>) -> bool {
        self.taken_by == route || route.is_some_and(|route| self.copies >> route & 1 == 1)
    }
}

/// What a route found out about the resource or metric around an item, which holds for the next one, too.
#[derive(Clone, Copy, Debug, Default)]
struct Known(Option<bool>);

/// Asks the routes about every item, in order. Statements may change what they route.
///
/// # Errors
/// What refuses the batch.
pub fn assign(
    editor: &mut Editor,
    request: &pdata::Context,
    routes: &[Route],
    mode: ErrorMode,
    failures: &Failures,
) -> Result<Vec<Run>, String> {
    let mut walk = Walk::items(editor);
    let mut on = Subject::new(editor, request);
    let mut known = vec![Known::default(); routes.len()];
    let mut runs: Vec<Run> = Vec::new();
    while let Some(place) = walk.next(on.editor) {
        on.at(&place, Level::Items);
        forget(&mut known, routes, &place);
        let (mut copies, mut taken_by) = (0, None);
        for (number, (route, known)) in routes.iter().zip(&mut known).enumerate() {
            let matches = match known.0 {
                Some(matches) => matches,
                None => match route.test.matches(&mut on) {
                    Ok(matches) => matches,
                    Err(error) => {
                        failures.meet(mode, &route.test, route.test.text(), &error)?;
                        false
                    }
                },
            };
            if is_around_items(route.test.context()) {
                known.0 = Some(matches);
            }
            if matches && route.copies {
                copies |= 1 << number;
            } else if matches {
                taken_by = Some(number);
                break;
            }
        }
        let run = Run { items: 1, copies, taken_by };
        match runs.last_mut() {
            Some(last) if (last.copies, last.taken_by) == (copies, taken_by) => last.items += 1,
            _ => runs.push(run),
        }
    }
    Ok(runs)
}

fn is_around_items(context: Context) -> bool {
    matches!(context, Context::Resource | Context::Metric)
}

/// Forgets what is no longer around.
fn forget(known: &mut [Known], routes: &[Route], place: &Place) {
    let Some(entered) = place.entered() else { return };
    for (known, route) in known.iter_mut().zip(routes) {
        if entered == Level::Groups || route.test.context() == Context::Metric {
            known.0 = None;
        }
    }
}

/// The items of a payload that go to a route; shares the bytes where that is all of them.
#[must_use]
pub fn part(payload: &Payload, runs: &[Run], route: Option<usize>) -> Payload {
    let mut part = payload.clone();
    if runs.iter().all(|run| run.goes_to(route)) {
        return part;
    }
    let mut flags = runs.iter().flat_map(|run| std::iter::repeat_n(run.goes_to(route), run.items as usize));
    part.retain(|_| flags.next().unwrap_or(false));
    let segments: Vec<Segment> = part.segments().iter().filter(|segment| segment.items() > 0).cloned().collect();
    Payload::from_segments(payload.signal(), segments)
}
