//! Creating the nodes of a plan, downstream first, and planning their edges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use component::factory::{ConnectorOutputs, Create, Outputs, Shared};
use component::fanout::BRANCHES_MAX;
use component::{
    BuildError, ComponentId, Consumer, Edge, ExtensionRef, Factory, Fanout, Host, Kind, Process, Processor, Row,
    Settings, Stage, Telemetry,
};
use config::{ConfigError, Errors, Node as ConfigNode, codes};
use pdata::{Gate, Signal};

use super::counts::{self, Counts, Side};
use super::layout::layout;
use super::{Graph, Identity, Instance, Node, NodeKey, Reach};
use crate::catalog::Catalog;
use crate::service::head::Head;
use crate::service::plan::{PipelineId, Plan, PlannedComponent, PlannedPipeline};
use crate::service::telemetry::trace::Traced;

/// Name of the edge from a connector to the pipelines it feeds, and by which the graph knows that it feeds one.
pub(super) fn connector_edge(id: &ComponentId, pipeline: &PipelineId) -> String {
    format!("{id} -> {pipeline}")
}

/// Name of the edge at which a pipeline begins.
fn first_edge(pipeline: &PipelineId) -> String {
    format!("{pipeline}: in")
}

/// A branch of a fan-out, with the name by which it is known across reloads.
type Branch = (String, Arc<dyn Consumer>);

struct Builder<'a> {
    plan: &'a Plan,
    root: &'a ConfigNode,
    catalog: &'a Catalog,
    host: &'a Host,
    old: &'a Graph,
    new: Graph,
    /// Limiters at the start of each pipeline.
    gates: BTreeMap<PipelineId, Vec<Arc<Gate>>>,
    errors: Errors,
    /// Paths and messages of the errors of components.
    reported: BTreeSet<(String, String)>,
}

impl Graph {
    /// Creates the graph of `plan`, taking over unchanged nodes of `old`. Binds, connects and changes nothing.
    ///
    /// # Errors
    /// Every component that cannot be built, at its place in `root`.
    pub fn build(plan: &Plan, root: &ConfigNode, catalog: &Catalog, host: &Host, old: &Self) -> Result<Self, Errors> {
        let new = Self {
            pipelines: plan
                .pipelines
                .iter()
                .map(|pipeline| (pipeline.id.clone(), pipeline.processors.iter().map(|p| p.id.clone()).collect()))
                .collect(),
            extension_order: plan.extensions.iter().map(|extension| extension.id.clone()).collect(),
            spans: Arc::clone(&old.spans),
            tenancy: Arc::clone(&old.tenancy),
            tenants: plan.tenant.clone(),
            ..Self::default()
        };
        let (gates, errors, reported) = (BTreeMap::new(), Errors::new(), BTreeSet::new());
        let mut builder = Builder { plan, root, catalog, host, old, new, gates, errors, reported };
        for extension in &plan.extensions {
            builder.extension(&extension.id);
        }
        for pipeline in plan.pipelines.iter().rev() {
            builder.pipeline(pipeline);
        }
        let receivers: BTreeSet<&ComponentId> = plan
            .pipelines
            .iter()
            .flat_map(|pipeline| pipeline.receivers.iter().map(|receiver| &receiver.id))
            .filter(|id| !plan.is_connector(id))
            .collect();
        for receiver in receivers {
            builder.receiver(receiver);
        }
        builder.roles();
        let Builder { mut new, errors, .. } = builder;
        new.layout = Arc::new(layout(plan, root, catalog, &new));
        if errors.has_errors() { Err(errors) } else { Ok(new) }
    }
}

impl<'a> Builder<'a> {
    fn component(&self, kind: Kind, id: &ComponentId) -> Option<(&'a PlannedComponent, &'a Factory)> {
        let component = self.plan.component(kind, id)?;
        Some((component, self.catalog.find(kind, component.type_name)?))
    }

    fn configurations(&self, component: &PlannedComponent) -> Vec<ConfigNode> {
        let mut configurations = vec![component.node.clone()];
        for reference in &component.references {
            if let Some(extension) = self.plan.component(Kind::Extension, reference) {
                configurations.extend(self.configurations(extension));
            }
        }
        configurations
    }

    /// Takes over the old node of that key if its identity is the same, else creates one. Returns its instance.
    fn node(
        &mut self,
        key: NodeKey,
        kind: Kind,
        id: &ComponentId,
        place: &str,
        create: impl FnOnce(&Factory, &PlannedComponent, Settings) -> Option<Result<Instance, BuildError>>,
    ) -> Option<Instance> {
        if let Some(node) = self.new.nodes.get(&key) {
            return Some(node.instance.clone());
        }
        let (component, factory) = self.component(kind, id)?;
        let identity = Identity {
            type_name: factory.type_name,
            configurations: self.configurations(component),
            place: place.to_owned(),
        };
        if let Some(old) = self.old.nodes.get(&key).filter(|old| *old.identity == identity) {
            let instance = old.instance.clone();
            self.new.nodes.insert(key, old.clone());
            return Some(instance);
        }
        let shared = self.shared(kind, id, &identity);
        let settings = Settings {
            id: id.clone(),
            telemetry: self.telemetry(kind, id),
            account: Arc::clone(self.host.account()),
            shared: shared.clone(),
        };
        match create(factory, component, settings)? {
            Ok(instance) => {
                self.new.fresh.insert(key.clone());
                self.new.nodes.insert(key, Node { identity: Arc::new(identity), instance: instance.clone(), shared });
                Some(instance)
            }
            Err(error) => {
                self.report(kind, id, component, &error);
                None
            }
        }
    }

    /// State shared by the instances of one component ID (other signal, other pipeline), but not with those of another
    /// configuration.
    fn shared(&self, kind: Kind, id: &ComponentId, identity: &Identity) -> Shared {
        let is_sibling = |key: &NodeKey| match (kind, key) {
            (Kind::Processor, NodeKey::Processor(_, other))
            | (Kind::Exporter, NodeKey::Exporter(other, _))
            | (Kind::Connector, NodeKey::Connector(other, _, _)) => other == id,
            _ => false,
        };
        let siblings = self.new.nodes.iter().chain(self.old.nodes.iter()).filter(|(key, _)| is_sibling(key));
        let mut same = siblings.filter(|(_, node)| node.identity.configurations == identity.configurations);
        same.next().map(|(_, node)| node.shared.clone()).unwrap_or_default()
    }

    fn report(&mut self, kind: Kind, id: &ComponentId, component: &PlannedComponent, error: &BuildError) {
        let mut path = format!("{}::{id}", kind.section());
        let mut origin = &component.origin;
        let mut node = self.root.get(kind.section()).and_then(|section| section.get(&id.to_string()));
        for key in error.path.split("::").filter(|key| !key.is_empty()) {
            path.push_str("::");
            path.push_str(key);
            node = node.and_then(|node| {
                let (key, child) = node.entry(key)?;
                origin = &key.origin;
                Some(child)
            });
        }
        // Once, whatever the number of pipelines and signals it is built for.
        if self.reported.insert((path.clone(), error.message.clone())) {
            self.errors.push(ConfigError::new(codes::INVALID_VALUE, error.message.clone()).at(origin).in_path(path));
        }
    }

    fn edge(&mut self, name: String, target: Arc<dyn Consumer>, gates: Vec<Arc<Gate>>, reach: Reach) -> Edge {
        self.new.reaches.insert(name.clone(), reach);
        let known = self.new.edges.get(&name).or_else(|| self.old.edges.get(&name)).cloned();
        let edge = known.unwrap_or_else(|| {
            let edge = Edge::new(name.as_str(), Arc::clone(&target), Arc::clone(self.host.account()));
            // Receivers start before the edges are connected.
            edge.set_gates(gates.clone());
            edge
        });
        self.new.edges.insert(name.clone(), edge.clone());
        self.new.targets.insert(name, (target, gates));
        edge
    }

    /// `next`, with a span about each batch when own traces are configured.
    fn traced(&self, kind: &str, id: &str, signal: Signal, next: Arc<dyn Consumer>) -> Arc<dyn Consumer> {
        if !self.plan.telemetry.traces.is_on() {
            return next;
        }
        Traced::before(&self.new.spans, kind, id, signal, kind == "receiver", next)
    }

    /// `inner` with its items counted by outcome, at level detailed.
    fn counted(
        &self,
        kind: Kind,
        side: Side,
        id: &ComponentId,
        pipeline: Option<&PipelineId>,
        signal: Signal,
        inner: Arc<dyn Consumer>,
    ) -> Arc<dyn Consumer> {
        if !self.plan.telemetry.metrics.is_detailed() {
            return inner;
        }
        let pipeline = pipeline.map(ToString::to_string);
        counts::by_outcome(self.host.registry(), kind, side, id, (signal, pipeline.as_deref()), inner)
    }

    /// What leads from the edge named `from` to `branches`.
    fn fanout(&mut self, from: &str, branches: Vec<Branch>, path: &str, origin: &config::Origin) -> Arc<dyn Consumer> {
        if branches.len() > BRANCHES_MAX {
            let message = format!("{} branches from one place; at most {BRANCHES_MAX} are supported", branches.len());
            self.errors.push(ConfigError::new(codes::BAD_PIPELINE, message).at(origin).in_path(path));
            return Fanout::over(Vec::new());
        }
        let mut roster = self.old.rosters.get(from).cloned().unwrap_or_default();
        let fanout = Fanout::of(&mut roster, branches);
        self.new.rosters.insert(from.to_owned(), roster);
        fanout
    }

    /// Whether every extension can do what the components that refer to it want of it.
    fn roles(&mut self) {
        let built: BTreeSet<(Kind, ComponentId)> = self.new.nodes.keys().map(NodeKey::component).collect();
        for (kind, id) in built {
            let Some((component, factory)) = self.component(kind, &id) else { continue };
            for ExtensionRef { id: wanted, role } in factory.extension_refs(&component.config) {
                let node = self.new.nodes.get(&NodeKey::Extension(wanted.clone()));
                if let Some(Instance::Extension(extension)) = node.map(|node| &node.instance)
                    && !role.suits(extension)
                {
                    self.report(kind, &id, component, &BuildError::new(role.mismatch(&wanted)));
                }
            }
        }
    }

    fn extension(&mut self, id: &ComponentId) {
        self.node(NodeKey::Extension(id.clone()), Kind::Extension, id, "", |factory, component, settings| {
            let Create::Extension(create) = factory.create() else { return None };
            Some(create(settings, &component.config).map(Instance::Extension))
        });
    }

    fn pipeline(&mut self, pipeline: &PlannedPipeline) {
        let id = &pipeline.id;
        let mut branches: Vec<Branch> = Vec::new();
        let mut reach = Reach::default();
        for exporter in &pipeline.exporters {
            if self.plan.is_connector(&exporter.id) {
                for (key, stage) in self.connector(&exporter.id, id.signal) {
                    branches.push((key.to_string(), stage));
                    reach.nodes.insert(key);
                }
            } else if let Some(stage) = self.exporter(&exporter.id, id.signal) {
                let key = NodeKey::Exporter(exporter.id.clone(), id.signal);
                let stage = self.counted(Kind::Exporter, Side::Consumed, &exporter.id, None, id.signal, stage);
                let stage = self.traced("exporter", &exporter.id.to_string(), id.signal, stage);
                branches.push((key.to_string(), stage));
                reach.nodes.insert(key);
            }
        }
        let end = format!("{id}: -> exporters");
        let mut next = self.fanout(&end, branches, &format!("service::pipelines::{id}"), &pipeline.origin);
        let mut row: Vec<Arc<dyn Process>> = Vec::new();
        let mut row_keys = BTreeSet::new();
        let mut gates = Vec::new();
        let mut out = self.edge(end, Arc::clone(&next), Vec::new(), reach.clone());
        for processor in pipeline.processors.iter().rev() {
            if !row.is_empty() {
                next = Arc::new(Row::new(row.clone(), out.clone()));
                reach = Reach { nodes: row_keys.clone(), edges: Reach::edge(out.name()).edges };
            }
            // Named after the processor alone: a reload may keep it while what stands behind it changes.
            let name = format!("{id}: {} ->", processor.id);
            let (onward, onward_reach): (Arc<dyn Consumer>, Reach) = match row.is_empty() {
                true => (Arc::new(out.clone()), Reach::edge(out.name())),
                false => (Arc::clone(&next), reach.clone()),
            };
            let behind = self.edge(name.clone(), Arc::clone(&onward), Vec::new(), onward_reach.clone());
            let (signal, given) = (id.signal, behind);
            let key = NodeKey::Processor(id.clone(), processor.id.clone());
            let place = id.to_string();
            let is_detailed = self.plan.telemetry.metrics.is_detailed();
            let detailed = is_detailed.then(|| Arc::clone(self.host.registry()));
            let instance =
                self.node(key.clone(), Kind::Processor, &processor.id, &place, |factory, component, settings| {
                    let Create::Processor(create) = factory.create() else { return None };
                    let counts = Counts::new(&settings.telemetry, signal);
                    let instance = |created| match created {
                        Processor::Sync(inner) => Instance::Process(counts.inside(
                            inner,
                            detailed.as_deref(),
                            &processor.id,
                            (signal, Some(&place)),
                        )),
                        Processor::Stateful(inner) => Instance::Stage(inner),
                    };
                    Some(create(settings, &component.config, signal, given).map(instance))
                });
            match instance {
                Some(Instance::Process(process)) => {
                    gates.extend(process.gate());
                    row.insert(0, process);
                    row_keys.insert(key);
                    // Rows hand on by themselves.
                    self.new.edges.remove(&name);
                    self.new.targets.remove(&name);
                    self.new.reaches.remove(&name);
                    // Not behind a stateful processor: only what runs in line protects the receiver.
                }
                Some(Instance::Stage(stage)) => {
                    row.clear();
                    row_keys.clear();
                    gates.clear();
                    let counts = Counts::new(&self.telemetry(Kind::Processor, &processor.id), signal);
                    let onward = self.counted(Kind::Processor, Side::Produced, &processor.id, Some(id), signal, onward);
                    let stage = self.counted(Kind::Processor, Side::Consumed, &processor.id, Some(id), signal, stage);
                    let (stage, onward) = counts.around(stage, onward);
                    self.edge(name, onward, Vec::new(), onward_reach);
                    next = stage;
                    reach = Reach::node(key);
                    let name = format!("{id}: -> {}", processor.id);
                    out = self.edge(name, Arc::clone(&next), Vec::new(), reach.clone());
                }
                _ => {}
            }
        }
        if !row.is_empty() {
            reach = Reach { nodes: row_keys, edges: Reach::edge(out.name()).edges };
            next = Arc::new(Row::new(row, out));
        }
        let next = self.traced("pipeline", &id.to_string(), id.signal, next);
        let first = self.edge(first_edge(id), next, Vec::new(), reach);
        let head = self.old.heads.get(id).cloned().unwrap_or_else(|| {
            let (ledger, tenancy) = (Arc::clone(self.host.ledger()), Arc::clone(&self.new.tenancy));
            Head::new(ledger, &id.to_string(), id.signal, tenancy, first)
        });
        self.new.heads.insert(id.clone(), head);
        self.gates.insert(id.clone(), gates);
    }

    fn telemetry(&self, kind: Kind, id: &ComponentId) -> Telemetry {
        Telemetry::new(Arc::clone(self.host.registry()), vec![(kind.as_str().to_owned(), id.to_string())])
    }

    fn exporter(&mut self, id: &ComponentId, signal: Signal) -> Option<Arc<dyn Stage>> {
        let key = NodeKey::Exporter(id.clone(), signal);
        let instance = self.node(key, Kind::Exporter, id, signal.as_str(), |factory, component, settings| {
            let Create::Exporter(create) = factory.create() else { return None };
            Some(create(settings, &component.config, signal).map(Instance::Stage))
        })?;
        let Instance::Stage(stage) = instance else { return None };
        Some(stage)
    }

    /// The connector's instances that take `from`: one for each signal of the pipelines it feeds.
    fn connector(&mut self, id: &ComponentId, from: Signal) -> Vec<(NodeKey, Arc<dyn Consumer>)> {
        let mut stages: Vec<(NodeKey, Arc<dyn Consumer>)> = Vec::new();
        for to in Signal::ALL {
            let fed: Vec<&PlannedPipeline> = self.plan.fed_by(id).filter(|pipeline| pipeline.id.signal == to).collect();
            let supported = self.component(Kind::Connector, id).is_some_and(
                |(_, factory)| matches!(factory.create(), Create::Connector(pairs, _) if pairs.contains(&(from, to))),
            );
            if fed.is_empty() || !supported {
                continue;
            }
            let mut pipelines = BTreeMap::new();
            let mut heads: Vec<Branch> = Vec::new();
            let mut reach = Reach::default();
            for pipeline in &fed {
                let Some(head) = self.new.heads.get(&pipeline.id).cloned() else { continue };
                heads.push((pipeline.id.to_string(), Arc::clone(&head) as Arc<dyn Consumer>));
                reach.edges.insert(first_edge(&pipeline.id));
                let name = connector_edge(id, &pipeline.id);
                let edge = self.edge(name, head, Vec::new(), Reach::edge(&first_edge(&pipeline.id)));
                pipelines.insert(pipeline.id.to_string(), edge);
            }
            let name = format!("{id} -> all {to}");
            let target = self.fanout(&name, heads, &format!("connectors::{id}"), &fed[0].origin);
            let target = self.counted(Kind::Connector, Side::Produced, id, None, to, target);
            let all = self.edge(name, target, Vec::new(), reach);
            let names: Vec<&str> = pipelines.keys().map(String::as_str).collect();
            let place = format!("{from} {to} {}", names.join(" "));
            let outputs = ConnectorOutputs { signal: to, all, pipelines };
            let key = NodeKey::Connector(id.clone(), from, to);
            let instance = self.node(key.clone(), Kind::Connector, id, &place, |factory, component, settings| {
                let Create::Connector(_, create) = factory.create() else { return None };
                Some(create(settings, &component.config, from, outputs).map(Instance::Stage))
            });
            if let Some(Instance::Stage(stage)) = instance {
                stages.push((key, self.counted(Kind::Connector, Side::Consumed, id, None, from, stage)));
            }
        }
        stages
    }

    /// What extensions put in front of every receiver.
    fn admission_gates(&self) -> Vec<Arc<Gate>> {
        let gate = |node: &Node| match &node.instance {
            Instance::Extension(extension) => extension.admission_gate(),
            _ => None,
        };
        self.new.nodes.values().filter_map(gate).collect()
    }

    fn receiver(&mut self, id: &ComponentId) {
        let mut outputs = Outputs::default();
        for signal in Signal::ALL {
            let fed: Vec<&PlannedPipeline> =
                self.plan.fed_by(id).filter(|pipeline| pipeline.id.signal == signal).collect();
            let Some(first) = fed.first() else { continue };
            let heads: Vec<Branch> = fed
                .iter()
                .filter_map(|pipeline| Some((pipeline.id.to_string(), self.new.heads.get(&pipeline.id).cloned()?)))
                .map(|(name, head)| (name, head as Arc<dyn Consumer>))
                .collect();
            let reach = Reach { edges: fed.iter().map(|p| first_edge(&p.id)).collect(), ..Reach::default() };
            let behind = fed.iter().flat_map(|p| self.gates.get(&p.id).cloned().unwrap_or_default());
            let gates = self.admission_gates().into_iter().chain(behind).collect();
            let name = format!("{id} -> {signal}");
            let target = self.fanout(&name, heads, &format!("receivers::{id}"), &first.origin);
            let target = self.counted(Kind::Receiver, Side::Produced, id, None, signal, target);
            let target = self.traced("receiver", &id.to_string(), signal, target);
            let edge = self.edge(name, target, gates, reach);
            outputs.0.insert(signal, edge);
        }
        let signals: Vec<&str> = outputs.0.keys().map(|signal| signal.as_str()).collect();
        let place = signals.join(" ");
        self.node(NodeKey::Receiver(id.clone()), Kind::Receiver, id, &place, |factory, component, settings| {
            let Create::Receiver(create) = factory.create() else { return None };
            Some(create(settings, &component.config, outputs).map(Instance::Receiver))
        });
    }
}
