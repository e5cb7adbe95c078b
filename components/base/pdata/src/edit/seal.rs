//! The end of an edit: what changed is measured, then encoded, once.
//!
//! Only messages that changed are visited. Recursion goes as deep as messages nest, which validation and
//! [`EditError::Depth`](super::EditError::Depth) bound.

use crate::payload::{Payload, Segment};
use crate::wire::{LEN, put_tag, put_varint};

use super::Editor;
use super::nodes::header_len;
use super::tree::{CHILD, NEW, REMOVED};

impl Editor {
    /// Ends the edit. Segments without a change are handed on as they came; the others are encoded into buffers of their
    /// own, charged where the original is, without asking, since they replace what was admitted. Segments without items
    /// left are dropped.
    #[must_use]
    pub fn seal(mut self) -> Payload {
        let mut sealed = Payload::empty(self.signal);
        for number in 0..self.items.len() {
            if let Some(segment) = self.sealed_segment(number) {
                sealed.append(Payload::from_segments(self.signal, [segment]));
            }
        }
        sealed
    }

    /// A segment as edits have left it; `None` when it has no items left.
    pub(super) fn sealed_segment(&mut self, number: usize) -> Option<Segment> {
        let root = number as u32;
        if !self.node(root).changed {
            return self.store.segments.get(number).cloned();
        }
        if !self.measure(root) {
            return None;
        }
        let len = self.node(root).len as usize;
        let mut body = Vec::with_capacity(len);
        self.emit(root, &mut body);
        debug_assert_eq!(body.len(), len, "what was measured is what was encoded");
        Some(Segment::charged(body, self.items[number], self.store.segments[number].account()))
    }

    /// Computes the lengths of a message that changed and of those in it that did. `false` if nothing is left of it but
    /// a group, scope or metric whose items were all removed.
    pub(super) fn measure(&mut self, id: u32) -> bool {
        let (first, end) = (self.node(id).first, self.node(id).first + self.node(id).count);
        let (mut total, mut states) = (0, 0);
        for slot in &self.slots[first as usize..end as usize] {
            states |= slot.state;
            total += if slot.state & (CHILD | REMOVED) == 0 { slot.len } else { 0 };
        }
        // Most messages that changed have none in them that was opened.
        let opened = if states & CHILD == 0 { first..first } else { first..end };
        for index in opened {
            let slot = self.slots[index as usize];
            if slot.state & CHILD == 0 || slot.state & REMOVED != 0 {
                continue;
            }
            if !self.node(slot.print).changed {
                total += slot.len;
            } else if self.measure(slot.print) {
                let content = self.node(slot.print).len;
                total += header_len(slot.number, content) + content;
            } else {
                self.slots[index as usize].state |= REMOVED;
                self.node_mut(id).lost_items = true;
            }
        }
        self.node_mut(id).len = total;
        !self.node(id).lost_items || self.has_items(id)
    }

    fn has_items(&self, id: u32) -> bool {
        let way = self.node(id).way;
        self.slots_of(id).iter().any(|slot| slot.state & REMOVED == 0 && self.leads_to_items(way, slot.number))
    }

    /// Appends the content of a message that was measured.
    pub(super) fn emit(&self, id: u32, out: &mut Vec<u8>) {
        let source = self.store.buffer(self.node(id).source);
        let arena = &self.store.arena[..];
        // Fields that lie one after another in the source are copied at once.
        let (mut run_start, mut run_end) = (0, 0);
        for slot in self.slots_of(id) {
            if slot.state == 0 && slot.start == run_end {
                run_end += slot.len;
                continue;
            }
            if slot.state & REMOVED != 0 {
                continue;
            }
            let opened = slot.state & CHILD != 0 && self.node(slot.print).changed;
            if slot.state & NEW == 0 && !opened {
                if slot.start != run_end {
                    copy(source, run_start, run_end, out);
                    run_start = slot.start;
                }
                run_end = slot.start + slot.len;
                continue;
            }
            copy(source, run_start, run_end, out);
            (run_start, run_end) = (0, 0);
            if opened {
                put_tag(out, u32::from(slot.number), LEN);
                put_varint(out, u64::from(self.node(slot.print).len));
                self.emit(slot.print, out);
            } else {
                copy(arena, slot.start, slot.start + slot.len, out);
            }
        }
        copy(source, run_start, run_end, out);
    }
}

#[inline]
fn copy(from: &[u8], start: u32, end: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(from.get(start as usize..end as usize).unwrap_or_default());
}
