//! Bringing together what belongs to the same resource and scope.
//!
//! Two resources are the same when everything in their groups but the scopes is equal byte by byte (attributes in the
//! same order, schema, unknown fields); scopes likewise. Metrics of the same name are not merged.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::batch::Batch;
use crate::index::Index;
use crate::payload::{Payload, Segment};
use crate::validate::BYTES_MAX;
use crate::wire::{put_tag, put_varint, varint_len};

/// A group (of a resource or scope) to be written: its other fields, and what was found in all its occurrences.
struct Group<'a, T> {
    others: Cow<'a, [u8]>,
    inside: Vec<T>,
}

/// Positions of groups by their other fields.
type Known<'a> = HashMap<Cow<'a, [u8]>, usize>;
type Scope<'a> = Group<'a, &'a [u8]>;
type Resource<'a> = Group<'a, Scope<'a>>;

impl Payload {
    /// Merges identical resources and scopes across the payload into one segment, in the order of their first occurrence.
    /// Returns whether there were any; if not, the payload stays as it is.
    ///
    /// Items keep their order within a scope but not across the payload, see [`Batch::regroup`].
    pub fn regroup(&mut self) -> bool {
        if self.encoded_len() > BYTES_MAX
            || self.segments().iter().map(Segment::items).try_fold(0_u32, u32::checked_add).is_none()
        {
            return false;
        }
        let Some(body) = self.regrouped() else { return false };
        let account = self.segments().iter().find_map(Segment::account);
        let segment = Segment::charged(body, self.items() as u32, account);
        *self = Self::from_segments(self.signal(), [segment]);
        true
    }

    fn regrouped(&self) -> Option<Vec<u8>> {
        let mut resources: Vec<Resource<'_>> = Vec::new();
        let mut known: HashMap<Cow<'_, [u8]>, (usize, Known<'_>)> = HashMap::new();
        let mut unknown: Vec<u8> = Vec::new();
        let mut merged = false;
        for segment in self.segments() {
            let index = segment.item_index(self.signal());
            let bytes = &segment.bytes()[..];
            let groups = index.nodes(0).iter().map(|node| (node.start, node.end));
            unknown.extend_from_slice(&others(bytes, 0, bytes.len() as u32, groups));
            for (number, node) in index.nodes(0).iter().enumerate() {
                let scopes = index.children(0, number);
                let inside = nodes(index, 1).get(scopes.clone()).unwrap_or_default().iter();
                let header = others(bytes, node.content, node.end, inside.map(|node| (node.start, node.end)));
                let fresh = (resources.len(), HashMap::new());
                let (at, known_scopes) = known.entry(header.clone()).or_insert(fresh);
                if *at == resources.len() {
                    resources.push(Group { others: header, inside: Vec::new() });
                } else {
                    merged = true;
                }
                let Some(resource) = resources.get_mut(*at) else { continue };
                for scope in scopes {
                    let Some(node) = nodes(index, 1).get(scope) else { continue };
                    let fields = fields_of(index, scope);
                    let header = others(bytes, node.content, node.end, fields.iter().copied());
                    let at = *known_scopes.entry(header.clone()).or_insert(resource.inside.len());
                    if at == resource.inside.len() {
                        resource.inside.push(Group { others: header, inside: Vec::new() });
                    } else {
                        merged = true;
                    }
                    let slices = fields.iter().filter_map(|(start, end)| bytes.get(*start as usize..*end as usize));
                    if let Some(scope) = resource.inside.get_mut(at) {
                        scope.inside.extend(slices);
                    }
                }
            }
        }
        merged.then(|| write(&resources, &unknown))
    }
}

fn nodes(index: &Index, level: usize) -> &[crate::index::Node] {
    index.nodes(level)
}

/// Where the spans, log records or metrics of a scope are.
fn fields_of(index: &Index, scope: usize) -> Vec<(u32, u32)> {
    let children = index.children(1, scope);
    if index.levels() > 2 {
        nodes(index, 2).get(children).unwrap_or_default().iter().map(|node| (node.start, node.end)).collect()
    } else {
        index.items().get(children).unwrap_or_default().iter().map(|item| (item.start, item.end)).collect()
    }
}

/// What is in `from..to` beside `children`.
fn others(bytes: &[u8], from: u32, to: u32, children: impl Iterator<Item = (u32, u32)>) -> Cow<'_, [u8]> {
    let mut found: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut at = from;
    for (start, end) in children.chain([(to, to)]) {
        let gap = bytes.get(at as usize..start as usize).unwrap_or_default();
        if found.is_empty() {
            found = Cow::Borrowed(gap);
        } else if !gap.is_empty() {
            found.to_mut().extend_from_slice(gap);
        }
        at = end;
    }
    found
}

fn write(resources: &[Resource<'_>], unknown: &[u8]) -> Vec<u8> {
    let scope_len =
        |scope: &Scope<'_>| scope.others.len() + scope.inside.iter().map(|field| field.len()).sum::<usize>();
    let field_len = |content: usize| 1 + varint_len(content as u64) + content;
    let lengths: Vec<usize> = resources
        .iter()
        .map(|resource| resource.others.len() + resource.inside.iter().map(|s| field_len(scope_len(s))).sum::<usize>())
        .collect();
    let total = unknown.len() + lengths.iter().copied().map(field_len).sum::<usize>();
    let mut out = Vec::with_capacity(total);
    for (resource, len) in resources.iter().zip(lengths) {
        header(&mut out, 1, len);
        out.extend_from_slice(&resource.others);
        for scope in &resource.inside {
            header(&mut out, 2, scope_len(scope));
            out.extend_from_slice(&scope.others);
            for field in &scope.inside {
                out.extend_from_slice(field);
            }
        }
    }
    out.extend_from_slice(unknown);
    debug_assert_eq!(out.len(), total, "what was measured is what was written");
    out
}

fn header(out: &mut Vec<u8>, field: u32, len: usize) {
    put_tag(out, field, crate::wire::LEN);
    put_varint(out, len as u64);
}

impl Batch {
    /// Merges identical resources and scopes, see [`Payload::regroup`]. A batch whose items belong to several accounts
    /// of the ledger stays as it is, since their order says which are whose.
    pub fn regroup(&mut self) -> bool {
        if !self.stake().is_of_one_account() {
            return false;
        }
        let mut payload = self.payload().clone();
        let merged = payload.regroup();
        if merged {
            self.set_payload(payload);
        }
        merged
    }
}
