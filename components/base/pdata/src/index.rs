//! Where things are in a request: a tree of byte ranges, resource → scope → (metric → data →) item.
//!
//! Built on first use ([`Segment::item_index`](crate::Segment::item_index)) by one walk over the headers of the containers; items
//! are not entered. One `Vec` per level, offsets of 32 bits (which is what limits requests to
//! [`BYTES_MAX`](crate::validate::BYTES_MAX)).

use std::ops::Range;

use smallvec::SmallVec;

use crate::signal::Signal;
use crate::wire::Fields;

/// A container (resource group, scope group, metric, data of a metric) in the bytes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where its field starts, at the tag.
    pub start: u32,
    /// Where its content starts.
    pub content: u32,
    /// Where it ends.
    pub end: u32,
    /// Its first child on the next level; its children end where the next node's start.
    first_child: u32,
    /// The first item in it; its items end where the next node's start.
    first_item: u32,
    /// Bytes of the nodes of this level before it.
    before: u32,
}

/// An item in the bytes of a request, its tag and length included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRange {
    /// Where its field starts, at the tag.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Bytes of the items before it.
    before: u32,
}

/// The index of one request.
#[derive(Clone, Debug)]
pub struct Index {
    /// Each level ends with a node that stands for the end.
    levels: SmallVec<[Vec<Node>; 4]>,
    items: Vec<ItemRange>,
    item_bytes: u32,
}

/// The fields that lead from a request to its items, level by level.
const fn shape(signal: Signal) -> &'static [&'static [u32]] {
    match signal {
        Signal::Traces | Signal::Logs => &[&[1], &[2], &[2]],
        Signal::Metrics => &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]],
    }
}

impl Index {
    /// Indexes a request that passed validation and holds about `items` items.
    #[must_use]
    pub fn new(signal: Signal, request: &[u8], items: u32) -> Self {
        let shape = shape(signal);
        let mut index = Self {
            levels: shape.iter().skip(1).map(|_| Vec::new()).collect(),
            items: Vec::with_capacity(items as usize),
            item_bytes: 0,
        };
        index.walk(shape, 0, request, 0);
        for level in 0..index.levels.len() {
            let end = Node { start: u32::MAX, content: u32::MAX, end: u32::MAX, ..index.next(level) };
            if let Some(nodes) = index.levels.get_mut(level) {
                nodes.push(end);
            }
        }
        index
    }

    fn walk(&mut self, shape: &[&[u32]], level: usize, message: &[u8], base: u32) {
        let Some((numbers, below)) = shape.split_first() else { return };
        for raw in Fields::new(message) {
            if !numbers.contains(&raw.number) {
                continue;
            }
            let (start, end) = (base + raw.start as u32, base + raw.end as u32);
            if below.is_empty() {
                self.items.push(ItemRange { start, end, before: self.item_bytes });
                self.item_bytes += end - start;
                continue;
            }
            let content = base + raw.value.start as u32;
            let node = Node { start, content, end, ..self.next(level) };
            if let Some(nodes) = self.levels.get_mut(level) {
                nodes.push(node);
            }
            self.walk(below, level + 1, message.get(raw.value).unwrap_or_default(), content);
        }
    }

    /// A node of `level` whose children and items are yet to come.
    fn next(&self, level: usize) -> Node {
        let first_item = self.items.len() as u32;
        let first_child = self.levels.get(level + 1).map_or(first_item, |below| below.len() as u32);
        let last = self.levels.get(level).and_then(|nodes| nodes.last());
        let before = last.map_or(0, |last| last.before + (last.end - last.start));
        Node { start: 0, content: 0, end: 0, first_child, first_item, before }
    }

    /// The items in order.
    #[must_use]
    pub fn items(&self) -> &[ItemRange] {
        &self.items
    }

    /// Levels above the items: 2 (resource, scope), or 4 for metrics (metric, data).
    #[must_use]
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The containers of a level in order; 0 are the resource groups.
    #[must_use]
    pub fn nodes(&self, level: usize) -> &[Node] {
        self.levels.get(level).and_then(|nodes| nodes.split_last()).map_or(&[], |(_end, nodes)| nodes)
    }

    /// Positions, on the next level, of what is in a container (of items on the last level).
    #[must_use]
    pub fn children(&self, level: usize, node: usize) -> Range<usize> {
        let first = |at| self.at(level, at).map_or(0, |node| node.first_child as usize);
        first(node)..first(node + 1)
    }

    /// Positions of the items in a container.
    #[must_use]
    pub fn items_of(&self, level: usize, node: usize) -> Range<u32> {
        let first = |at| self.at(level, at).map_or(0, |node| node.first_item);
        first(node)..first(node + 1)
    }

    /// Where a container (or, on the level below them, an item) starts, at its tag, and ends.
    pub(crate) fn ends(&self, level: usize, at: usize) -> (u32, u32) {
        if level == self.levels() {
            self.items.get(at).map_or((0, 0), |item| (item.start, item.end))
        } else {
            self.at(level, at).map_or((0, 0), |node| (node.start, node.end))
        }
    }

    /// Bytes of the containers (or, on the level below them, items) at those positions.
    pub(crate) fn bytes_of(&self, level: usize, positions: Range<usize>) -> u32 {
        let before = |at: usize| {
            if level == self.levels() {
                self.items.get(at).map_or(self.item_bytes, |item| item.before)
            } else {
                self.at(level, at).map_or(0, |node| node.before)
            }
        };
        before(positions.end) - before(positions.start)
    }

    fn at(&self, level: usize, node: usize) -> Option<&Node> {
        self.levels.get(level)?.get(node)
    }
}
