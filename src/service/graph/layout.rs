//! What health endpoints and people see of a graph: which components run where, and the configuration without its secrets.

use component::lifecycle::{Layout, Part};
use component::{ComponentId, Kind};
use config::{Node, Value, print};

use super::{Graph, NodeKey};
use crate::catalog::Catalog;
use crate::service::plan::Plan;
use crate::service::telemetry::TelemetryConfig;

/// The layout of `graph`, which was built from `plan` and `root`.
pub(super) fn layout(plan: &Plan, root: &Node, catalog: &Catalog, graph: &Graph) -> Layout {
    let part = |kind: Kind, id: &ComponentId, key: NodeKey| Part {
        kind: kind.as_str(),
        id: id.to_string(),
        health_name: key.to_string(),
    };
    // A connector's instances belong to the pipelines of their two signals.
    let connectors = |id: &ComponentId, is_wanted: &dyn Fn(&NodeKey) -> bool| -> Vec<Part> {
        let keys = graph.nodes.keys().filter(|key| matches!(key, NodeKey::Connector(found, _, _) if found == id));
        keys.filter(|key| is_wanted(key)).map(|key| part(Kind::Connector, id, key.clone())).collect()
    };
    let pipelines = plan.pipelines.iter().map(|pipeline| {
        let signal = pipeline.id.signal;
        let mut parts = Vec::new();
        for id in pipeline.receivers.iter().map(|receiver| &receiver.id) {
            if plan.is_connector(id) {
                parts.extend(connectors(id, &|key| matches!(key, NodeKey::Connector(_, _, to) if *to == signal)));
            } else {
                parts.push(part(Kind::Receiver, id, NodeKey::Receiver(id.clone())));
            }
        }
        for id in pipeline.processors.iter().map(|processor| &processor.id) {
            parts.push(part(Kind::Processor, id, NodeKey::Processor(pipeline.id.clone(), id.clone())));
        }
        for id in pipeline.exporters.iter().map(|exporter| &exporter.id) {
            if plan.is_connector(id) {
                parts.extend(connectors(id, &|key| matches!(key, NodeKey::Connector(_, from, _) if *from == signal)));
            } else {
                parts.push(part(Kind::Exporter, id, NodeKey::Exporter(id.clone(), signal)));
            }
        }
        (pipeline.id.to_string(), parts)
    });
    let extension = |id: &ComponentId| part(Kind::Extension, id, NodeKey::Extension(id.clone()));
    Layout {
        pipelines: pipelines.collect(),
        extensions: plan.extensions.iter().map(|reference| extension(&reference.id)).collect(),
        config_json: print::to_json(&redact(root.clone(), catalog)),
    }
}

/// Hides secrets by the schema of each component; in blocks of unknown components by the names of keys.
#[must_use]
pub fn redact(mut root: Node, catalog: &Catalog) -> Node {
    let Value::Map(sections) = &mut root.value else { return root };
    for (section, node) in sections {
        let kind = [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Connector, Kind::Extension]
            .into_iter()
            .find(|kind| kind.section() == &*section.text);
        let (Some(kind), Value::Map(components)) = (kind, &mut node.value) else {
            let telemetry =
                node.get("telemetry").map(|node| <TelemetryConfig as config::Decode>::schema().redact(node));
            *node = config::Schema::Any.redact(node);
            if let (Some(telemetry), "service") = (telemetry, &*section.text) {
                *node.get_path_mut_or_insert(&["telemetry"]) = telemetry;
            }
            continue;
        };
        for (key, component) in components {
            let type_name = key.text.split('/').next().unwrap_or_default().trim();
            let schema = catalog.find(kind, type_name).map_or(config::Schema::Any, component::Factory::schema);
            *component = schema.redact(component);
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use component::{Host, Level, Registry};
    use pdata::{ByteAccount, Ledger};

    use super::*;

    #[test]
    fn every_component_of_a_pipeline_has_the_name_its_health_is_reported_under() {
        let yaml = "receivers: {nop: }\nexporters: {nop: , otlp_grpc: {endpoint: 'a:1', headers: {k: hunter2}}}\n\
                    connectors: {forward: }\nprocessors: {batch: }\nextensions: {health_check: }\nservice:\n  \
                    extensions: [health_check]\n  pipelines:\n    traces: {receivers: [nop], processors: [batch], \
                    exporters: [forward]}\n    traces/2: {receivers: [forward], exporters: [nop, otlp_grpc]}\n";
        let root = config::parse(&config::Source::new("a.yaml", yaml), &config::Limits::default()).unwrap();
        let catalog = Catalog::default();
        let plan = crate::service::plan::plan(&root, &catalog).unwrap();
        let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Basic));
        let graph = Graph::build(&plan, &root, &catalog, &host, &Graph::default()).unwrap();
        let layout = &graph.layout;
        let names = |parts: &[Part]| parts.iter().map(|part| part.health_name.clone()).collect::<Vec<_>>();
        assert_eq!(
            names(&layout.pipelines["traces"]),
            ["receiver `nop`", "processor `batch` of traces", "connector `forward` from traces to traces"]
        );
        assert_eq!(
            names(&layout.pipelines["traces/2"]),
            [
                "connector `forward` from traces to traces",
                "exporter `nop` for traces",
                "exporter `otlp_grpc` for traces"
            ]
        );
        assert_eq!(names(&layout.extensions), ["extension `health_check`"]);
        let all = layout.pipelines.values().chain([&layout.extensions]).flatten();
        for name in all.map(|part| &part.health_name) {
            assert!(graph.keys().any(|key| key.to_string() == *name), "{name}");
        }
        assert!(layout.config_json.contains("a:1") && !layout.config_json.contains("hunter2"));
    }
}
