//! What passes between the nodes of the graph, at level `detailed`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use component::Edge;
use component::edge::EdgeCounts;
use component::telemetry::{Level, Metric, MetricKind, Observer, Registry};

const fn metric(name: &'static str, help: &'static str, unit: &'static str) -> Metric {
    Metric { name, help, unit, level: Level::Detailed }
}

const BATCHES: Metric = metric("weir_edge_batches", "Batches handed over between two nodes of the graph", "{batches}");
const ITEMS: Metric = metric("weir_edge_items", "Items handed over between two nodes of the graph", "{items}");
const BYTES: Metric = metric("weir_edge_bytes", "Serialized bytes handed over between two nodes of the graph", "By");
const FAILED: Metric = metric("weir_edge_failed_items", "Items handed over and answered with an error", "{items}");

type Read = fn(EdgeCounts) -> u64;

/// The edges of the running graph.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges(Arc<RwLock<BTreeMap<String, Edge>>>);

impl Edges {
    /// Shows these from now on.
    pub(super) fn set(&self, edges: &BTreeMap<String, Edge>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clone_from(edges);
    }

    /// Shows them in `registry` for as long as the observers live.
    pub(super) fn observe(&self, registry: &Registry) -> Vec<Observer> {
        let readers: [(Metric, Read); 4] = [
            (BATCHES, |counts| counts.batches),
            (ITEMS, |counts| counts.items),
            (BYTES, |counts| counts.bytes),
            (FAILED, |counts| counts.failed_items),
        ];
        let observe = |(metric, read): (Metric, Read)| {
            let edges = self.clone();
            registry.observe(metric, MetricKind::Counter, move || {
                let edges = edges.0.read().unwrap_or_else(PoisonError::into_inner);
                let series = |(name, edge): (&String, &Edge)| {
                    (vec![("edge".to_owned(), name.clone())], read(edge.counts()) as f64)
                };
                edges.iter().map(series).collect()
            })
        };
        readers.into_iter().map(observe).collect()
    }
}
