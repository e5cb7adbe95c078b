//! From the loaded tree to a plan: every component decoded, every pipeline resolved, everything wrong collected.
//!
//! A plan is what a configuration means, before anything exists. Whether components can be built from it is the graph's
//! business ([`super::graph`]).

mod check;
mod idle;
mod request;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use component::factory::AnyConfig;
use component::{ComponentId, Kind};
use config::{ConfigError, Errors, Node, Origin, Value, codes, nearest};
use pdata::Signal;

use super::telemetry::TelemetryConfig;
use super::tenancy::TenantConfig;
use crate::catalog::Catalog;

/// The ID of a pipeline: `signal[/name]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId {
    /// What flows through it.
    pub signal: Signal,
    /// The part behind the slash; may be empty.
    pub name: String,
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.signal)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}

/// A component as configured.
#[derive(Clone, Debug)]
pub struct PlannedComponent {
    /// Canonical type name, by which the catalog finds its factory.
    pub type_name: &'static str,
    /// The decoded configuration.
    pub config: AnyConfig,
    /// The resolved configuration: equal nodes, equal component. Contains secrets; never print it.
    pub node: Node,
    /// Extensions it refers to.
    pub references: Vec<ComponentId>,
    /// Where its key stands.
    pub origin: Origin,
}

/// A reference to a component inside a pipeline.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Which component.
    pub id: ComponentId,
    /// Where the reference stands.
    pub origin: Origin,
}

/// A pipeline as configured.
#[derive(Clone, Debug)]
pub struct PlannedPipeline {
    /// Its ID.
    pub id: PipelineId,
    /// Receivers and connectors.
    pub receivers: Vec<Reference>,
    /// Processors in order.
    pub processors: Vec<Reference>,
    /// Exporters and connectors.
    pub exporters: Vec<Reference>,
    /// Where its key stands.
    pub origin: Origin,
}

/// What a configuration means.
#[derive(Debug)]
pub struct Plan {
    /// Every configured component, used or not.
    pub components: BTreeMap<(Kind, ComponentId), PlannedComponent>,
    /// Pipelines, upstream before downstream where connectors join them.
    pub pipelines: Vec<PlannedPipeline>,
    /// Extensions to start, in order.
    pub extensions: Vec<Reference>,
    /// Own logs, metrics and traces.
    pub telemetry: TelemetryConfig,
    /// Who telemetry belongs to.
    pub tenant: TenantConfig,
    /// What should be known but stops nothing.
    pub warnings: Vec<ConfigError>,
}

impl Plan {
    /// The configured component, if there is one.
    #[must_use]
    pub fn component(&self, kind: Kind, id: &ComponentId) -> Option<&PlannedComponent> {
        self.components.get(&(kind, id.clone()))
    }

    /// Whether `id` is a connector.
    #[must_use]
    pub fn is_connector(&self, id: &ComponentId) -> bool {
        self.component(Kind::Connector, id).is_some()
    }

    /// Pipelines that start with connector `id`.
    pub fn fed_by<'a>(&'a self, id: &'a ComponentId) -> impl Iterator<Item = &'a PlannedPipeline> {
        self.pipelines.iter().filter(move |pipeline| pipeline.receivers.iter().any(|receiver| receiver.id == *id))
    }

    /// Pipelines that end in connector or exporter `id`.
    pub fn feeding<'a>(&'a self, id: &'a ComponentId) -> impl Iterator<Item = &'a PlannedPipeline> {
        self.pipelines.iter().filter(move |pipeline| pipeline.exporters.iter().any(|exporter| exporter.id == *id))
    }
}

const SECTIONS: [Kind; 5] = [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Connector, Kind::Extension];
const TOP_KEYS: [&str; 6] = ["receivers", "processors", "exporters", "connectors", "extensions", "service"];
const SERVICE_KEYS: [&str; 4] = ["extensions", "pipelines", "telemetry", "tenant"];
const PIPELINE_KEYS: [&str; 3] = ["receivers", "processors", "exporters"];

/// Makes a plan of a loaded tree.
///
/// # Errors
/// Everything that is wrong with the configuration, warnings included.
pub fn plan(root: &Node, catalog: &Catalog) -> Result<Plan, Errors> {
    let mut errors = Errors::new();
    refuse_unknown_keys(root, "", &TOP_KEYS, &mut errors);
    if root.entries().is_empty() {
        errors.push(ConfigError::new(codes::EMPTY_PIPELINE, "empty configuration file").at(&root.origin));
        return Err(errors);
    }
    let mut components = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for kind in SECTIONS {
        decode_section(root, kind, catalog, &mut components, &mut unknown, &mut errors);
    }
    for kind in [Kind::Receiver, Kind::Exporter] {
        let configured = components.keys().any(|(found, _)| *found == kind || *found == Kind::Connector);
        if !configured && root.get(kind.section()).is_none_or(|section| section.entries().is_empty()) {
            let message = format!("no {kind} configuration specified in config");
            errors.push(ConfigError::new(codes::EMPTY_PIPELINE, message).at(&root.origin));
        }
    }
    let service = root.get("service");
    if let Some(service) = service {
        refuse_unknown_keys(service, "service", &SERVICE_KEYS, &mut errors);
    }
    let section = |key: &str| service.and_then(|service| service.get(key));
    let extensions =
        section("extensions").map_or_else(Vec::new, |node| references(node, "service::extensions", &mut errors));
    let telemetry = section("telemetry").map_or_else(TelemetryConfig::default, |node| {
        config::decode(node, TelemetryConfig::default(), "service::telemetry", &mut errors)
    });
    let tenant = section("tenant").map_or_else(TenantConfig::default, |node| {
        config::decode(node, TenantConfig::default(), "service::tenant", &mut errors)
    });
    let pipelines = decode_pipelines(section("pipelines"), service.unwrap_or(root), &mut errors);
    let mut plan = Plan { components, pipelines, extensions, telemetry, tenant, warnings: Vec::new() };
    check::check(&mut plan, catalog, &unknown, &mut errors);
    let ((), mut warnings) = errors.into_result(())?;
    warnings.extend(request::lost(&plan, catalog, service));
    warnings.extend(idle::settings(&plan, catalog));
    plan.warnings = warnings;
    Ok(plan)
}

fn refuse_unknown_keys(node: &Node, path: &str, known: &[&str], errors: &mut Errors) {
    let mut unknown: Vec<_> = node.entries().iter().filter(|(key, _)| !known.contains(&&*key.text)).collect();
    unknown.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
    let names: Vec<&str> = unknown.iter().map(|(key, _)| &*key.text).collect();
    if let Some((first, _)) = unknown.first() {
        errors.push(
            ConfigError::new(codes::UNKNOWN_KEY, format!("'{path}' has invalid keys: {}", names.join(", ")))
                .at(&first.origin)
                .with_suggestion(nearest(&first.text, known.iter().copied()))
                .with_expected(format!("one of {}", known.join(", "))),
        );
    }
}

fn parse_id(text: &str, origin: &Origin, path: &str, errors: &mut Errors) -> Option<ComponentId> {
    match text.parse::<ComponentId>() {
        Ok(id) => Some(id),
        Err(error) => {
            errors.push(ConfigError::new(codes::WRONG_TYPE, error.to_string()).at(origin).in_path(path));
            None
        }
    }
}

fn decode_section(
    root: &Node,
    kind: Kind,
    catalog: &Catalog,
    components: &mut BTreeMap<(Kind, ComponentId), PlannedComponent>,
    unknown: &mut BTreeSet<(Kind, ComponentId)>,
    errors: &mut Errors,
) {
    let Some(section) = root.get(kind.section()) else { return };
    if !matches!(section.value, Value::Null | Value::Map(_)) {
        let message = format!("`{}` must be a map, found {}", kind.section(), section.describe());
        errors.push(ConfigError::new(codes::WRONG_TYPE, message).at(&section.origin));
        return;
    }
    for (key, node) in section.entries() {
        let Some(id) = parse_id(&key.text, &key.origin, kind.section(), errors) else { continue };
        let Some(factory) = catalog.find(kind, id.type_name()) else {
            errors.push(unknown_type(kind, &id, &key.origin, catalog));
            unknown.insert((kind, id));
            continue;
        };
        let path = format!("{}::{id}", kind.section());
        if factory.type_name != id.type_name() {
            errors.push(
                ConfigError::warning(
                    codes::DEPRECATED,
                    format!("`{}` is a deprecated name of the {kind} `{}`", id.type_name(), factory.type_name),
                )
                .at(&key.origin)
                .in_path(path.clone())
                .with_suggestion(Some(factory.type_name)),
            );
        }
        if components.contains_key(&(kind, id.clone())) {
            errors.push(
                ConfigError::new(codes::DUPLICATE_KEY, format!("duplicate name \"{id}\" after trimming spaces"))
                    .at(&key.origin)
                    .in_path(kind.section()),
            );
            continue;
        }
        let config = factory.decode(node, &path, errors);
        let planned = PlannedComponent {
            type_name: factory.type_name,
            references: factory.references(&config),
            config,
            node: node.clone(),
            origin: key.origin.clone(),
        };
        components.insert((kind, id), planned);
    }
}

fn unknown_type(kind: Kind, id: &ComponentId, origin: &Origin, catalog: &Catalog) -> ConfigError {
    if kind == Kind::Exporter && id.type_name() == "logging" {
        let message = "the logging exporter has been deprecated, use the debug exporter instead";
        return ConfigError::new(codes::UNKNOWN_COMPONENT, message).at(origin).with_suggestion(Some("debug"));
    }
    let known: Vec<&str> = catalog.of_kind(kind).map(|factory| factory.type_name).collect();
    let names = catalog.of_kind(kind).flat_map(|factory| factory.aliases.iter().copied().chain([factory.type_name]));
    let message = format!(
        "'{}' unknown type: \"{}\" for id: \"{id}\" (valid values: [{}])",
        kind.section(),
        id.type_name(),
        known.join(" ")
    );
    ConfigError::new(codes::UNKNOWN_COMPONENT, message).at(origin).with_suggestion(nearest(id.type_name(), names))
}

/// A list of component IDs; a single text is split at commas, as everywhere.
fn references(node: &Node, path: &str, errors: &mut Errors) -> Vec<Reference> {
    let texts: Vec<Node> =
        config::decode::<Vec<NodeText>>(node, Vec::new(), path, errors).into_iter().map(|text| text.0).collect();
    texts
        .iter()
        .filter_map(|text| {
            let id = parse_id(text.text()?, &text.origin, path, errors)?;
            Some(Reference { id, origin: text.origin.clone() })
        })
        .collect()
}

/// A text that remembers where it stands.
struct NodeText(Node);

impl config::Decode for NodeText {
    const SPLIT_SCALAR: bool = true;

    fn decode(node: &Node, base: Self, cx: &mut config::Decoder<'_>) -> Self {
        if node.text().is_none() {
            cx.wrong_type(node, "text");
            return base;
        }
        Self(node.clone())
    }

    fn schema() -> config::Schema {
        <String as config::Decode>::schema()
    }
}

impl Default for NodeText {
    fn default() -> Self {
        Self(Node::new(Value::Null, Origin::default()))
    }
}

fn decode_pipelines(node: Option<&Node>, service: &Node, errors: &mut Errors) -> Vec<PlannedPipeline> {
    let entries = node.map(Node::entries).unwrap_or_default();
    if entries.is_empty() {
        let message = "service must have at least one pipeline";
        errors.push(ConfigError::new(codes::NO_PIPELINES, message).at(&service.origin).in_path("service::pipelines"));
    }
    let mut pipelines: Vec<PlannedPipeline> = Vec::new();
    for (key, node) in entries {
        let Some(id) = parse_id(&key.text, &key.origin, "service::pipelines", errors) else { continue };
        let Some(signal) = Signal::parse(id.type_name()) else {
            let signals = Signal::ALL.map(Signal::as_str);
            let message = format!("unknown signal \"{}\": a pipeline is named signal[/name]", id.type_name());
            errors.push(
                ConfigError::new(codes::BAD_PIPELINE, message)
                    .at(&key.origin)
                    .in_path(format!("service::pipelines::{id}"))
                    .with_suggestion(nearest(id.type_name(), signals))
                    .with_expected(format!("one of {}", signals.join(", "))),
            );
            continue;
        };
        let id = PipelineId { signal, name: id.name().to_owned() };
        let path = format!("service::pipelines::{id}");
        refuse_unknown_keys(node, &format!("service.pipelines[{id}]"), &PIPELINE_KEYS, errors);
        let list = |key: &str, errors: &mut Errors| {
            node.get(key).map_or_else(Vec::new, |list| references(list, &format!("{path}::{key}"), errors))
        };
        pipelines.push(PlannedPipeline {
            id,
            receivers: list("receivers", errors),
            processors: list("processors", errors),
            exporters: list("exporters", errors),
            origin: key.origin.clone(),
        });
    }
    pipelines
}
