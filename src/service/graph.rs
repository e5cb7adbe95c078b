//! The running graph: nodes, the edges between them, and how one graph becomes another.
//!
//! [`Graph::build`] creates what a plan asks for, taking over every node of the old graph whose identity (kind, ID,
//! signal, pipeline, resolved configuration, extensions it refers to) is the same. Nothing is bound or swapped by it.
//! [`Graph::start`] starts the new nodes, [`Graph::connect`] swaps the edges, and [`Graph::retire`] ends nodes that are no
//! longer wanted: those that have a successor hand over to it, the others drain, upstream first, so that each has a
//! neighbour that still works.

mod build;
mod counts;
mod layout;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use component::edge::Replaced;
use component::lifecycle::Layout;
use component::{
    Component, ComponentId, Consumer, Edge, Extension, Health, Host, Kind, Process, Roster, Stage, StartError,
    factory::Shared,
};
use pdata::{Gate, Signal};

use super::head::Head;
use super::plan::PipelineId;
use super::telemetry::trace::SpanSlot;
use super::tenancy::{Tenancy, TenantConfig};
pub use layout::redact;
pub use stop::{Retirement, Retiring, StopReport};

/// Key of an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKey {
    /// One per ID.
    Receiver(ComponentId),
    /// One per ID and pipeline.
    Processor(PipelineId, ComponentId),
    /// One per ID and signal.
    Exporter(ComponentId, Signal),
    /// One per ID and pair of signals.
    Connector(ComponentId, Signal, Signal),
    /// One per ID.
    Extension(ComponentId),
}

impl NodeKey {
    /// The component it is an instance of.
    fn component(&self) -> (Kind, ComponentId) {
        match self {
            Self::Receiver(id) => (Kind::Receiver, id.clone()),
            Self::Processor(_, id) => (Kind::Processor, id.clone()),
            Self::Exporter(id, _) => (Kind::Exporter, id.clone()),
            Self::Connector(id, _, _) => (Kind::Connector, id.clone()),
            Self::Extension(id) => (Kind::Extension, id.clone()),
        }
    }

    /// Its kind and ID: whom a listening socket belongs to.
    fn owner(&self) -> String {
        let (kind, id) = self.component();
        format!("{kind} {id}")
    }
}

impl std::fmt::Display for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Receiver(id) => write!(f, "receiver `{id}`"),
            Self::Processor(pipeline, id) => write!(f, "processor `{id}` of {pipeline}"),
            Self::Exporter(id, signal) => write!(f, "exporter `{id}` for {signal}"),
            Self::Connector(id, from, to) => write!(f, "connector `{id}` from {from} to {to}"),
            Self::Extension(id) => write!(f, "extension `{id}`"),
        }
    }
}

/// What a node is.
#[derive(Clone)]
enum Instance {
    Receiver(Arc<dyn Component>),
    Process(Arc<dyn Process>),
    Stage(Arc<dyn Stage>),
    Extension(Arc<dyn Extension>),
}

impl Instance {
    fn component(&self) -> &dyn Component {
        match self {
            Self::Receiver(receiver) => &**receiver,
            Self::Process(process) => &**process,
            Self::Stage(stage) => &**stage,
            Self::Extension(extension) => &**extension,
        }
    }
}

/// What makes a node the same node across a reload.
#[derive(PartialEq)]
struct Identity {
    type_name: &'static str,
    /// The resolved configuration of the component, then of the extensions it refers to.
    configurations: Vec<config::Node>,
    /// Signals and pipelines it was created for.
    place: String,
}

#[derive(Clone)]
struct Node {
    identity: Arc<Identity>,
    instance: Instance,
    shared: Shared,
}

/// Where an edge leads, and the gates that admission at it asks.
type Target = (Arc<dyn Consumer>, Vec<Arc<Gate>>);

/// What the target of an edge calls before the next edge: nodes, and those next edges. Batches handed over at an edge are
/// inside these nodes, or past one of these edges, until they are answered.
#[derive(Clone, Debug, Default)]
struct Reach {
    nodes: BTreeSet<NodeKey>,
    edges: BTreeSet<String>,
}

impl Reach {
    fn node(key: NodeKey) -> Self {
        Self { nodes: BTreeSet::from([key]), ..Self::default() }
    }

    fn edge(name: &str) -> Self {
        Self { edges: BTreeSet::from([name.to_owned()]), ..Self::default() }
    }
}

/// An edge of this or an earlier graph as it was before a reload: batches may still be inside what it led to.
#[derive(Clone)]
struct Former {
    name: String,
    reach: Reach,
    /// What it led to; `None` for an edge that no longer exists and was not swapped.
    target: Option<Arc<Replaced>>,
}

/// Nodes and edges of a configuration.
#[derive(Default)]
pub struct Graph {
    nodes: BTreeMap<NodeKey, Node>,
    edges: BTreeMap<String, Edge>,
    heads: BTreeMap<PipelineId, Arc<Head>>,
    /// Upstream first, each with its processors in order.
    pipelines: Vec<(PipelineId, Vec<ComponentId>)>,
    extension_order: Vec<ComponentId>,
    /// What each edge shall lead to.
    targets: BTreeMap<String, Target>,
    /// What each edge leads to.
    reaches: BTreeMap<String, Reach>,
    /// Edges as they were before reloads, as long as batches that were handed over then are not answered.
    former: Vec<Former>,
    /// The branches of fan-outs, by the edge that leads to them, and handed on from graph to graph: a batch that waits for
    /// another attempt remembers by it which branches have it.
    rosters: BTreeMap<String, Roster>,
    /// Nodes that were not in the graph before.
    fresh: BTreeSet<NodeKey>,
    /// Where own traces find their tracer; the same one in the graph that follows.
    spans: Arc<SpanSlot>,
    /// What health endpoints tell about it.
    layout: Arc<Layout>,
    /// Who telemetry belongs to: the same in the graph that follows, which uses its own `tenants` once connected.
    tenancy: Arc<Tenancy>,
    tenants: TenantConfig,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("nodes", &self.nodes.keys().map(ToString::to_string).collect::<Vec<_>>())
            .field("edges", &self.edges)
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// The edges, with their counters.
    #[must_use]
    pub fn edges(&self) -> &BTreeMap<String, Edge> {
        &self.edges
    }

    /// Where own traces find their tracer.
    #[must_use]
    pub fn spans(&self) -> &Arc<SpanSlot> {
        &self.spans
    }

    /// How many nodes were created rather than taken over.
    #[must_use]
    pub fn fresh_count(&self) -> usize {
        self.fresh.len()
    }

    /// Kind and ID (`receiver otlp`) of nodes that `successor` does not keep: their sockets can be taken over.
    pub(super) fn replaced_by(&self, successor: &Self) -> BTreeSet<String> {
        let gone = self.nodes.iter().filter(|(key, node)| {
            successor.nodes.get(key).is_none_or(|kept| !Arc::ptr_eq(&kept.identity, &node.identity))
        });
        gone.map(|(key, _)| key.owner()).collect()
    }

    /// The keys of all nodes.
    pub fn keys(&self) -> impl Iterator<Item = &NodeKey> {
        self.nodes.keys()
    }

    /// Every node in the order of starting: extensions, exporters, connectors and processors from downstream to
    /// upstream, receivers. Its reverse is the order of stopping.
    fn start_order(&self) -> Vec<NodeKey> {
        let mut order: Vec<NodeKey> = self.extension_order.iter().cloned().map(NodeKey::Extension).collect();
        order.extend(self.nodes.keys().filter(|key| matches!(key, NodeKey::Exporter(..))).cloned());
        for (pipeline, processors) in self.pipelines.iter().rev() {
            // A connector that feeds this pipeline stops before it and starts after it.
            order.extend(processors.iter().rev().map(|id| NodeKey::Processor(pipeline.clone(), id.clone())));
            let feeds = |key: &&NodeKey| matches!(key, NodeKey::Connector(id, _, _) if self.edges.contains_key(&build::connector_edge(id, pipeline)));
            for connector in self.nodes.keys().filter(feeds) {
                order.retain(|key| key != connector);
                order.push(connector.clone());
            }
        }
        order.extend(self.nodes.keys().filter(|key| matches!(key, NodeKey::Receiver(_))).cloned());
        order
    }

    /// Starts the fresh nodes, and tells health endpoints what runs. Nodes of `running` that are replaced go on, and health
    /// tells of those until all have started. On an error the nodes already started are stopped again.
    ///
    /// # Errors
    /// The first component's that could not start.
    pub async fn start(&self, host: &Host, running: &Self) -> Result<(), StartError> {
        let mut started = Vec::new();
        let replaces = |key: &NodeKey| running.nodes.contains_key(key);
        for key in self.start_order() {
            let Some(node) = self.nodes.get(&key).filter(|_| self.fresh.contains(&key)) else { continue };
            let tell = |health| {
                if !replaces(&key) {
                    host.report_health(key.to_string(), health);
                }
            };
            tell(Health::Starting);
            match node.instance.component().start(host).await {
                Ok(()) => {
                    tell(Health::Ok);
                    tracing::debug!(component = %key, "started");
                    started.push(key);
                }
                Err(error) => {
                    // After a reload that failed, nothing is wrong with what runs.
                    let is_first = running.nodes.is_empty();
                    tell(if is_first { Health::Permanent(error.to_string()) } else { Health::Stopped });
                    let deadline = component::Deadline::after(stop::ROLLBACK);
                    for key in started.iter().rev() {
                        if let Some(node) = self.nodes.get(key) {
                            stop::stop_node(key, node, deadline, (!replaces(key)).then_some(host)).await;
                        }
                    }
                    return Err(error);
                }
            }
        }
        for key in started.iter().filter(|key| replaces(key)) {
            host.report_health(key.to_string(), Health::Ok);
        }
        host.set_layout(Arc::clone(&self.layout));
        Ok(())
    }

    /// Directs every edge to where this graph wants it. Returns the targets that were in use before, by edge.
    #[must_use]
    pub fn connect(&mut self) -> BTreeMap<String, Replaced> {
        let mut replaced = BTreeMap::new();
        for (name, (target, gates)) in std::mem::take(&mut self.targets) {
            if let Some(edge) = self.edges.get(&name) {
                edge.set_gates(gates);
                replaced.insert(name, edge.swap(target));
            }
        }
        self.fresh.clear();
        self.tenancy.set(&self.tenants);
        replaced
    }

    /// The running extensions, for the host.
    #[must_use]
    pub fn extensions(&self) -> BTreeMap<ComponentId, Arc<dyn Extension>> {
        let extension = |(key, node): (&NodeKey, &Node)| match (key, &node.instance) {
            (NodeKey::Extension(id), Instance::Extension(extension)) => Some((id.clone(), Arc::clone(extension))),
            _ => None,
        };
        self.nodes.iter().filter_map(extension).collect()
    }
}
