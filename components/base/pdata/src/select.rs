//! Copying chosen items of a request, with what is around them, into a request of their own: the machine below
//! [splitting](crate::split), [dividing](crate::partition) and [removing](crate::retain).
//!
//! A container (resource group, scope group, metric) all of whose items are chosen is copied as it stands, neighbours in
//! one go. One of which some are chosen is written anew, with all its other fields. One of which none are chosen is left
//! out. A container that holds no items at all goes, in a split, with the item before it in the container around it
//! (else with the one after it); when items are removed it stays.

use std::ops::Range;

use crate::index::Index;
use crate::payload::Segment;
use crate::signal::Signal;
use crate::wire::{self, LEN, put_tag, put_varint, varint_len};

/// Items to copy.
pub(crate) struct Selection<'a> {
    bytes: &'a [u8],
    index: &'a Index,
    /// Positions, ascending, none empty, none touching.
    kept: &'a [Range<u32>],
    /// Whether containers without items stay wherever they are.
    keeps_empty: bool,
}

enum Plan {
    Skip,
    Whole,
    Parts,
}

impl<'a> Selection<'a> {
    /// The items at `kept` (one range), as a part of a split.
    pub(crate) fn part(segment: &'a Segment, signal: Signal, kept: &'a Range<u32>) -> Self {
        let index = segment.item_index(signal);
        Self { bytes: segment.bytes(), index, kept: std::slice::from_ref(kept), keeps_empty: false }
    }

    /// The items at `kept`, one of several parts that all items are divided into.
    pub(crate) fn chosen(segment: &'a Segment, signal: Signal, kept: &'a [Range<u32>]) -> Self {
        Self { bytes: segment.bytes(), index: segment.item_index(signal), kept, keeps_empty: false }
    }

    /// What is left when all but the items at `kept` are removed.
    pub(crate) fn rest(segment: &'a Segment, signal: Signal, kept: &'a [Range<u32>]) -> Self {
        Self { bytes: segment.bytes(), index: segment.item_index(signal), kept, keeps_empty: true }
    }

    /// The size of the copy in bytes.
    pub(crate) fn measure(&self) -> usize {
        self.lengths(&mut Vec::new())
    }

    /// The copy. Allocates exactly its size.
    pub(crate) fn copy(&self) -> Vec<u8> {
        let mut lengths = Vec::new();
        let len = self.lengths(&mut lengths);
        let mut emit = Emit { selection: self, lengths: lengths.iter(), out: Vec::with_capacity(len), pending: 0..0 };
        emit.container(0, 0..self.index.nodes(0).len(), 0..self.bytes.len() as u32, 0, self.has_start());
        emit.flush();
        debug_assert_eq!(emit.out.len(), len, "what was measured is what was copied");
        emit.out
    }

    fn lengths(&self, lengths: &mut Vec<u32>) -> usize {
        let end = self.bytes.len() as u32;
        self.container(0, 0..self.index.nodes(0).len(), 0..end, 0, self.has_start(), lengths) as usize
    }

    /// Whether fields beside the groups, which only a later version of OTLP could define, are in the copy.
    fn has_start(&self) -> bool {
        self.keeps_empty || self.index.items().is_empty() || self.contains(0)
    }

    fn contains(&self, item: u32) -> bool {
        self.kept_in(item..item + 1) > 0
    }

    /// How many of the items at `range` are kept.
    fn kept_in(&self, range: Range<u32>) -> u32 {
        let first = self.kept.partition_point(|kept| kept.end <= range.start);
        let overlaps = self.kept.iter().skip(first).take_while(|kept| kept.start < range.end);
        overlaps.map(|kept| kept.end.min(range.end) - kept.start.max(range.start)).sum()
    }

    fn plan(&self, level: usize, node: usize, first_around: u32) -> Plan {
        let items = self.index.items_of(level, node);
        if items.is_empty() {
            let beside = if items.start > first_around { items.start - 1 } else { items.start };
            let stays = self.keeps_empty || self.index.items().is_empty() || self.contains(beside);
            return if stays { Plan::Whole } else { Plan::Skip };
        }
        match self.kept_in(items.clone()) {
            0 => Plan::Skip,
            kept if kept == items.end - items.start => Plan::Whole,
            _ => Plan::Parts,
        }
    }

    /// Those of a container's `children` among which all that is copied is.
    fn window(&self, level: usize, children: Range<usize>) -> Range<usize> {
        let (false, [kept]) = (self.keeps_empty, self.kept) else { return children };
        if level == self.index.levels() {
            let (start, end) = (kept.start as usize, kept.end as usize);
            return start.clamp(children.start, children.end)..end.clamp(children.start, children.end);
        }
        let Range { start, end } = children;
        let first = partition_point(start..end, |child| self.index.items_of(level, child).end < kept.start);
        first..partition_point(first..end, |child| self.index.items_of(level, child).start <= kept.end)
    }

    /// The size of what is copied of a container, whose children are at `children` and whose content is at `content`.
    /// Appends the sizes of the containers in it that are written anew, in the order in which they are written.
    fn container(
        &self,
        level: usize,
        children: Range<usize>,
        content: Range<u32>,
        first_item: u32,
        others: bool,
        lengths: &mut Vec<u32>,
    ) -> u32 {
        let all = self.index.bytes_of(level, children.clone());
        let mut total = if others { content.end - content.start - all } else { 0 };
        let window = self.window(level, children);
        if level == self.index.levels() {
            let (start, end) = (window.start as u32, window.end as u32);
            let first = self.kept.partition_point(|kept| kept.end <= start);
            for kept in self.kept.iter().skip(first).take_while(|kept| kept.start < end) {
                let (from, to) = (kept.start.max(start) as usize, kept.end.min(end) as usize);
                total += self.index.bytes_of(level, from..to);
            }
            return total;
        }
        for child in window {
            let Some(node) = self.index.nodes(level).get(child) else { break };
            match self.plan(level, child, first_item) {
                Plan::Skip => {}
                Plan::Whole => total += node.end - node.start,
                Plan::Parts => {
                    let slot = lengths.len();
                    lengths.push(0);
                    let below = self.index.children(level, child);
                    let first = self.index.items_of(level, child).start;
                    let inner = self.container(level + 1, below, node.content..node.end, first, true, lengths);
                    if let Some(length) = lengths.get_mut(slot) {
                        *length = inner;
                    }
                    let header = varint_len(self.tag(node.start)) + varint_len(u64::from(inner));
                    total += header as u32 + inner;
                }
            }
        }
        total
    }

    fn tag(&self, at: u32) -> u64 {
        wire::read_varint(self.bytes, &mut (at as usize)).unwrap_or_default()
    }
}

struct Emit<'s, 'a> {
    selection: &'s Selection<'a>,
    lengths: std::slice::Iter<'s, u32>,
    out: Vec<u8>,
    /// What is to be copied, once it is known where it ends.
    pending: Range<u32>,
}

impl Emit<'_, '_> {
    fn keep(&mut self, from: u32, to: u32) {
        if from != self.pending.end {
            self.flush();
            self.pending.start = from;
        }
        self.pending.end = to;
    }

    fn flush(&mut self) {
        let Range { start, end } = self.pending;
        self.out.extend_from_slice(self.selection.bytes.get(start as usize..end as usize).unwrap_or_default());
        self.pending = end..end;
    }

    /// Copies what [`Selection::container`] measured.
    fn container(&mut self, level: usize, children: Range<usize>, content: Range<u32>, first_item: u32, others: bool) {
        let (selection, index) = (self.selection, self.selection.index);
        let window = selection.window(level, children.clone());
        let mut at = content.start;
        if others {
            at = self.between(level, children.start..window.start, at);
        }
        if level == index.levels() {
            at = self.items(window.clone(), at, others);
        }
        for child in window.clone().filter(|_| level < index.levels()) {
            let (start, end) = index.ends(level, child);
            if others {
                self.keep(at, start);
            }
            at = end;
            match selection.plan(level, child, first_item) {
                Plan::Skip => {}
                Plan::Whole => self.keep(start, end),
                Plan::Parts => {
                    let Some(node) = index.nodes(level).get(child) else { break };
                    self.flush();
                    let inner = self.lengths.next().copied().unwrap_or_default();
                    put_tag(&mut self.out, (selection.tag(start) >> 3) as u32, LEN);
                    put_varint(&mut self.out, u64::from(inner));
                    self.pending = node.content..node.content;
                    let first = index.items_of(level, child).start;
                    self.container(level + 1, index.children(level, child), node.content..end, first, true);
                    self.flush();
                }
            }
        }
        if others {
            at = self.between(level, window.end..children.end, at);
            self.keep(at, content.end);
        }
    }

    /// Copies the chosen ones of the items at `window`, run by run, the first of which comes after `at`; and what is between
    /// items, if that is wanted. Returns where the last item that was looked at ends.
    fn items(&mut self, window: Range<usize>, mut at: u32, others: bool) -> u32 {
        let (selection, index) = (self.selection, self.selection.index);
        let level = index.levels();
        let (mut next, last) = (window.start, window.end as u32);
        let first = selection.kept.partition_point(|kept| kept.end as usize <= window.start);
        for kept in selection.kept.iter().skip(first).take_while(|kept| kept.start < last) {
            let (from, to) = ((kept.start as usize).max(window.start), (kept.end as usize).min(window.end));
            if others {
                at = self.between(level, next..from, at);
                let end = index.ends(level, to - 1).1;
                self.keep(at, end);
                at = end;
            } else {
                for item in from..to {
                    let (start, end) = index.ends(level, item);
                    self.keep(start, end);
                    at = end;
                }
            }
            next = to;
        }
        if others { self.between(level, next..window.end, at) } else { at }
    }

    /// Copies what is beside the children at `skipped`, the first of which comes after `at`. Returns where they end.
    fn between(&mut self, level: usize, skipped: Range<usize>, mut at: u32) -> u32 {
        let index = self.selection.index;
        let Some(last) = skipped.clone().next_back() else { return at };
        let end = index.ends(level, last).1;
        let first = index.ends(level, skipped.start).0;
        self.keep(at, first);
        if end - first == index.bytes_of(level, skipped.clone()) {
            // One after another, as usual: nothing between them.
            return end;
        }
        at = first;
        for child in skipped {
            let (start, end) = index.ends(level, child);
            self.keep(at, start);
            at = end;
        }
        at
    }
}

/// The first position in a range sorted by `is_before` for which that is false.
fn partition_point(range: Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    let Range { mut start, mut end } = range;
    while start < end {
        let middle = start + (end - start) / 2;
        if is_before(middle) {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    start
}
