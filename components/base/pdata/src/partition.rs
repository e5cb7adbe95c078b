//! Dividing items among several destinations in one pass.
//!
//! Every item is looked at once. A segment all of whose items go the same way is shared as it is; of the others each part
//! is copied once, with the resources and scopes around its items. A container without items goes with the item before it.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::Batch;
use crate::ledger::Stake;
use crate::payload::{Payload, Segment};
use crate::select::Selection;
use crate::view::Item;

/// A run of neighbouring items: their part, and how many.
type Run = (usize, u64);

impl Payload {
    /// Divides the items into `count` parts, each in the order of the whole: `part_of` says for each item which, below
    /// `count` (beyond counts as the last). Parts without items have no segments.
    #[must_use]
    pub fn partition(&self, count: usize, part_of: impl FnMut(Item<'_>) -> usize) -> Vec<Self> {
        self.partition_noting(count, part_of).0
    }

    fn partition_noting(&self, count: usize, mut part_of: impl FnMut(Item<'_>) -> usize) -> (Vec<Self>, Vec<Run>) {
        let signal = self.signal();
        let mut parts: Vec<Vec<Segment>> = std::iter::repeat_with(Vec::new).take(count.max(1)).collect();
        let last = parts.len() - 1;
        let mut runs: Vec<Run> = Vec::new();
        for segment in self.segments().iter().filter(|segment| segment.items() > 0) {
            let mut kept: Vec<Vec<Range<u32>>> = vec![Vec::new(); parts.len()];
            let mut position = 0_u32;
            segment.for_each_item(signal, |item| {
                let part = part_of(item).min(last);
                match runs.last_mut() {
                    Some((same, items)) if *same == part => *items += 1,
                    _ => runs.push((part, 1)),
                }
                if let Some(ranges) = kept.get_mut(part) {
                    match ranges.last_mut() {
                        Some(range) if range.end == position => range.end += 1,
                        _ => ranges.push(position..position + 1),
                    }
                }
                position += 1;
            });
            debug_assert_eq!(position, segment.items(), "a segment knows how many items it has");
            for (ranges, part) in kept.iter().zip(&mut parts) {
                let items: u32 = ranges.iter().map(|range| range.end - range.start).sum();
                if items == segment.items() {
                    part.push(segment.clone());
                } else if items > 0 {
                    let body = Selection::chosen(segment, signal, ranges).copy();
                    part.push(Segment::charged(body, items, segment.account()));
                }
            }
        }
        (parts.into_iter().map(|segments| Self::from_segments(signal, segments)).collect(), runs)
    }
}

impl Batch {
    /// Divides the items into `count` parts as [`Payload::partition`] does, each with its stake. Returns those that have
    /// items, with their numbers; a batch without items is one part, number 0.
    #[must_use = "dropping a batch is a loss in the books; settle it or pass it on"]
    pub fn partition(self, count: usize, part_of: impl FnMut(Item<'_>) -> usize) -> Vec<(usize, Self)> {
        let (parts, runs) = self.payload().partition_noting(count, part_of);
        match runs.as_slice() {
            [] => return vec![(0, self)],
            [(part, _)] => return vec![(*part, self)],
            _ => {}
        }
        let pending = self.pending().clone();
        let (_whole, context, mut stake) = self.into_parts();
        let mut stakes: Vec<Stake> = std::iter::repeat_with(Stake::none).take(parts.len()).collect();
        if stake.is_of_one_account() {
            for (payload, part) in parts.iter().zip(&mut stakes) {
                *part = stake.split_front(payload.items());
            }
        } else {
            for (part, items) in runs {
                let piece = stake.split_front(items);
                if let Some(stake) = stakes.get_mut(part) {
                    stake.merge(piece);
                }
            }
        }
        let with_items = parts.into_iter().zip(stakes).enumerate().filter(|(_, (payload, _))| payload.items() > 0);
        with_items
            .map(|(number, (payload, stake))| {
                let mut batch = Self::from_parts(payload, Arc::clone(&context), stake);
                batch.restore_pending(pending.clone());
                (number, batch)
            })
            .collect()
    }
}
