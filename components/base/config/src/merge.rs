//! Merging of sources: maps key by key, everything else replaced by the later one.

use crate::node::{Key, Node, Value};
use std::{collections::HashMap, sync::Arc};

/// Lays `over` onto `under`. Keys keep the place of their first appearance in the order, and take value and origin of
/// the last.
pub fn merge(under: Node, over: Node) -> Node {
    merge_at(under, over, &mut |_, under, over| (under, over), &mut Vec::new())
}

/// As [`merge`], but the lists `service::extensions`, `service::**::receivers` and `service::**::exporters` are appended,
/// without repeating what is there already (feature gate `confmap.enableMergeAppendOption`).
pub fn merge_appending(under: Node, over: Node) -> Node {
    let mut append = |path: &[Arc<str>], under: Node, over: Node| {
        let appends = match path {
            [first, .., last] if &**first == "service" => {
                matches!(&**last, "receivers" | "exporters") || (path.len() == 2 && &**last == "extensions")
            }
            _ => false,
        };
        match (under.value, over.value) {
            (Value::List(mut items), Value::List(more)) if appends => {
                for item in more {
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                let joined = Node { value: Value::List(items), origin: under.origin.clone(), expansion: None };
                (Node { value: Value::Null, origin: under.origin, expansion: None }, joined)
            }
            (below, above) => (Node { value: below, ..under }, Node { value: above, ..over }),
        }
    };
    merge_at(under, over, &mut append, &mut Vec::new())
}

/// Gets the chance to change two values that are about to replace each other.
type Adjust<'a> = dyn FnMut(&[Arc<str>], Node, Node) -> (Node, Node) + 'a;

fn merge_at(under: Node, over: Node, adjust: &mut Adjust<'_>, path: &mut Vec<Arc<str>>) -> Node {
    let (under, over) = match (&under.value, &over.value) {
        (Value::Map(_), Value::Map(_)) => (under, over),
        _ => return adjust(path, under, over).1,
    };
    let (Value::Map(below), Value::Map(above)) = (under.value, over.value) else { unreachable!("both are maps") };
    let mut places: HashMap<Arc<str>, usize> = HashMap::with_capacity(below.len());
    let mut merged: Vec<(Key, Option<Node>)> = Vec::with_capacity(below.len() + above.len());
    for (key, node) in below {
        places.insert(Arc::clone(&key.text), merged.len());
        merged.push((key, Some(node)));
    }
    for (key, node) in above {
        match places.get(&key.text) {
            Some(place) => {
                let slot = &mut merged[*place];
                let old = slot.1.take().unwrap_or_default();
                path.push(Arc::clone(&key.text));
                slot.1 = Some(merge_at(old, node, adjust, path));
                path.pop();
                slot.0 = key;
            }
            None => {
                places.insert(Arc::clone(&key.text), merged.len());
                merged.push((key, Some(node)));
            }
        }
    }
    let entries = merged.into_iter().map(|(key, node)| (key, node.unwrap_or_default())).collect();
    Node { value: Value::Map(entries), origin: over.origin, expansion: None }
}
