//! Ways through a payload: its groups, scopes, metrics or items, in order.
//!
//! A [`Walk`] holds places, not references, so one edits as one goes. What was opened on the way and stayed as it was
//! is forgotten when the walk moves on, so that reading a batch of any size takes the memory of one item.

use super::tree::{At, CHILD, Msg};
use super::{EditError, Editor};
use crate::signal::Signal;

/// What a [`Walk`] visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `ResourceSpans` and its siblings.
    Groups,
    /// `ScopeSpans` and its siblings.
    Scopes,
    /// Metrics; visits nothing in other signals.
    Metrics,
    /// Spans, data points, log records.
    Items,
}

/// Where a [`Walk`] is, and what is around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    at: At,
    around: [Msg; PLACES],
    depth: u8,
    /// The outermost of `around` that is new, as an index.
    entered: u8,
}

/// Request, group, scope group, metric, data.
const PLACES: usize = 5;

impl Place {
    /// What is visited: an item, a metric, a scope group, a group. To be opened with [`Editor::open`], read with
    /// [`Editor::bytes`], removed with [`Editor::remove`].
    #[must_use]
    pub fn at(&self) -> At {
        self.at
    }

    /// The `ResourceSpans` or sibling around it. For a visited group see [`Place::at`].
    #[must_use]
    pub fn group(&self) -> Option<Msg> {
        self.around(1)
    }

    /// The `ScopeSpans` or sibling around it.
    #[must_use]
    pub fn scope_group(&self) -> Option<Msg> {
        self.around(2)
    }

    /// The metric around a data point.
    #[must_use]
    pub fn metric(&self) -> Option<Msg> {
        self.around(3)
    }

    /// The `Gauge`, `Sum`, … around a data point; its kind tells what [`Editor::table`] says.
    #[must_use]
    pub fn data(&self) -> Option<Msg> {
        self.around(4)
    }

    /// The outermost of what is around this place that was not around the one before: a group, a scope group, a metric.
    /// `None` if they are all the same. For what is worked out once for each of them; their [`Msg`]s do not tell, since
    /// those of messages that were left are given to others.
    #[must_use]
    pub fn entered(&self) -> Option<Level> {
        match self.entered {
            0 | 1 => Some(Level::Groups),
            2 => Some(Level::Scopes),
            3 | 4 => Some(Level::Metrics),
            _ => None,
        }
    }

    fn around(&self, level: u8) -> Option<Msg> {
        (level < self.depth).then(|| self.around[usize::from(level)])
    }
}

/// State of the editor at a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    nodes: u32,
    slots: u32,
    changes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    message: Msg,
    next: u32,
    /// Before the current field of the message was entered.
    mark: Mark,
}

/// A way through all items (or metrics, scopes, groups) of a payload.
///
/// Handles of what was opened in one place are valid until the walk moves on; those of what is around it until the
/// walk leaves that.
#[derive(Clone, Debug)]
pub struct Walk {
    frames: [Frame; PLACES],
    depth: u8,
    stop: u8,
    next_request: u32,
    /// The least depth entered since the last place.
    entered: u8,
}

/// Of [`Walk::entered`]: nothing.
const NOTHING: u8 = u8::MAX;

impl Walk {
    /// A way through all of `level`.
    #[must_use]
    pub fn new(editor: &Editor, level: Level) -> Self {
        let stop = match (level, editor.signal()) {
            (Level::Groups, _) => 1,
            (Level::Scopes, _) => 2,
            (Level::Items, Signal::Traces | Signal::Logs) | (Level::Metrics, Signal::Metrics) => 3,
            (Level::Items, Signal::Metrics) => 5,
            (Level::Metrics, _) => 0,
        };
        let frame = Frame { message: Msg(0), next: 0, mark: Mark::default() };
        Self { frames: [frame; PLACES], depth: 0, stop, next_request: 0, entered: NOTHING }
    }

    /// A way through all items.
    #[must_use]
    pub fn items(editor: &Editor) -> Self {
        Self::new(editor, Level::Items)
    }

    /// Moves on. `None` at the end. What was added meanwhile behind the current place is visited.
    pub fn next(&mut self, editor: &mut Editor) -> Option<Place> {
        if self.stop == 0 {
            return None;
        }
        loop {
            let Some(frame) = usize::from(self.depth).checked_sub(1).and_then(|top| self.frames.get_mut(top)) else {
                if self.next_request as usize >= editor.items.len() {
                    return None;
                }
                self.enter(editor, Msg(self.next_request));
                self.next_request += 1;
                continue;
            };
            let node = frame.message.0;
            if let Some(left) = frame.next.checked_sub(1) {
                editor.forget(frame.mark, At { node, slot: left });
            }
            let from = frame.next;
            let found = editor.slots_of(node).get(from as usize..).and_then(|slots| {
                slots.iter().position(|slot| {
                    slot.state & super::tree::REMOVED == 0 && editor.leads_to_items(self.depth, slot.number)
                })
            });
            let Some(found) = found else {
                self.depth -= 1;
                continue;
            };
            let at = At { node, slot: from + found as u32 };
            frame.next = at.slot + 1;
            frame.mark = editor.mark();
            if self.depth == self.stop {
                let entered = std::mem::replace(&mut self.entered, NOTHING);
                return Some(Place { at, around: self.frames.map(|frame| frame.message), depth: self.depth, entered });
            }
            match editor.open(at) {
                Some(message) => self.enter(editor, message),
                None => debug_assert!(false, "what leads to items is a message"),
            }
        }
    }

    fn enter(&mut self, editor: &Editor, message: Msg) {
        if let Some(frame) = self.frames.get_mut(usize::from(self.depth)) {
            *frame = Frame { message, next: 0, mark: editor.mark() };
            self.entered = self.entered.min(self.depth);
            self.depth += 1;
        }
    }
}

impl Editor {
    fn mark(&self) -> Mark {
        Mark { nodes: self.nodes.len() as u32, slots: self.slots.len() as u32, changes: self.changes }
    }

    /// Forgets what was opened since, if nothing was changed since and all of it is inside the field `left`.
    fn forget(&mut self, mark: Mark, left: At) {
        if self.changes != mark.changes || self.nodes.len() == mark.nodes as usize {
            return;
        }
        let opened = &self.nodes[mark.nodes as usize..];
        let outside = |node: &&super::tree::Node| {
            node.parent < mark.nodes && (node.parent, node.parent_slot) != (left.node, left.slot)
        };
        if opened.iter().any(|node| outside(&node)) {
            return;
        }
        self.nodes.truncate(mark.nodes as usize);
        self.slots.truncate(mark.slots as usize);
        let mut slot = *self.slot(left);
        if slot.state & CHILD != 0 && slot.print >= mark.nodes {
            slot.state &= !CHILD;
            slot.print = self.print_of(left.node, &slot);
            *self.slot_mut(left) = slot;
        }
    }

    /// Opens the resource of a group; adds an empty one if it has none.
    ///
    /// # Errors
    /// As [`Editor::sub_or_add`].
    pub fn resource(&mut self, group: Msg) -> Result<Msg, EditError> {
        self.sub_or_add(group, 1)
    }

    /// Opens the scope of a scope group; adds an empty one if it has none.
    ///
    /// # Errors
    /// As [`Editor::sub_or_add`].
    pub fn scope(&mut self, scope_group: Msg) -> Result<Msg, EditError> {
        self.sub_or_add(scope_group, 1)
    }
}
