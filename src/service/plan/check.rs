//! What must hold between components: references, signals, connectors, cycles.

use std::collections::BTreeSet;

use component::factory::Create;
use component::{ComponentId, Factory, Kind};
use config::{ConfigError, Errors, Key, Node, Origin, codes, nearest};
use pdata::Signal;

use super::{PipelineId, Plan, PlannedPipeline, Reference};
use crate::catalog::Catalog;

/// Checks `plan` and puts its pipelines in order, upstream first. References to components of an `unknown` type are not
/// reported again.
pub(super) fn check(plan: &mut Plan, catalog: &Catalog, unknown: &BTreeSet<(Kind, ComponentId)>, errors: &mut Errors) {
    ambiguous_ids(plan, errors);
    extensions(plan, unknown, errors);
    for pipeline in &plan.pipelines {
        let path = format!("service::pipelines::{}", pipeline.id);
        for (list, what) in [(&pipeline.receivers, "receiver"), (&pipeline.exporters, "exporter")] {
            if list.is_empty() {
                let message = format!("must have at least one {what}");
                errors
                    .push(ConfigError::new(codes::EMPTY_PIPELINE, message).at(&pipeline.origin).in_path(path.clone()));
            }
        }
        check_references(plan, catalog, unknown, pipeline, &path, errors);
    }
    connectors(plan, catalog, errors);
    order(plan, catalog, errors);
}

fn ambiguous_ids(plan: &Plan, errors: &mut Errors) {
    for ((_, id), connector) in plan.components.iter().filter(|((kind, _), _)| *kind == Kind::Connector) {
        for kind in [Kind::Receiver, Kind::Exporter] {
            let Some(other) = plan.component(kind, id) else { continue };
            let message = format!(
                "ambiguous ID: Found both \"{id}\" {kind} and \"{id}\" connector. Change one of the components' IDs to \
                 eliminate ambiguity (e.g. rename \"{id}\" connector to \"{id}/connector\")"
            );
            errors.push(
                ConfigError::new(codes::AMBIGUOUS_ID, message)
                    .at(&connector.origin)
                    .in_path(format!("connectors::{id}"))
                    .with_related(&other.origin, format!("the {kind}")),
            );
        }
    }
}

fn undefined(plan: &Plan, kinds: &[Kind], reference: &Reference, path: &str) -> ConfigError {
    let what = kinds.first().map_or("component", |kind| kind.as_str());
    let message = format!("references {what} \"{}\" which is not configured", reference.id);
    let configured: Vec<String> =
        plan.components.keys().filter(|(kind, _)| kinds.contains(kind)).map(|(_, id)| id.to_string()).collect();
    let near = nearest(&reference.id.to_string(), configured.iter().map(String::as_str)).map(str::to_owned);
    let mut error = ConfigError::new(codes::UNDEFINED_REFERENCE, message)
        .at(&reference.origin)
        .in_path(path)
        .with_suggestion(near.as_deref());
    if !configured.is_empty() {
        error = error.with_expected(format!("one of {}", configured.join(", ")));
    }
    error
}

fn extensions(plan: &Plan, unknown: &BTreeSet<(Kind, ComponentId)>, errors: &mut Errors) {
    let mut started = BTreeSet::new();
    for reference in &plan.extensions {
        let key = (Kind::Extension, reference.id.clone());
        if !plan.components.contains_key(&key) && !unknown.contains(&key) {
            errors.push(undefined(plan, &[Kind::Extension], reference, "service::extensions"));
        }
        if !started.insert(&reference.id) {
            let message = format!("references extension \"{}\" multiple times", reference.id);
            let error = ConfigError::new(codes::DUPLICATE_REFERENCE, message);
            errors.push(error.at(&reference.origin).in_path("service::extensions"));
        }
    }
    // Only components that will be built need their extensions.
    let used: BTreeSet<(Kind, &ComponentId)> = used_components(plan).collect();
    for ((kind, id), component) in plan.components.iter().filter(|((kind, id), _)| used.contains(&(*kind, id))) {
        for extension in component.references.iter().filter(|extension| !started.contains(extension)) {
            let is_configured = plan.component(Kind::Extension, extension).is_some();
            let (hint, fix) = if is_configured {
                ("it is configured, but not listed in `service::extensions`", "list it in `service::extensions`".into())
            } else {
                let fix = format!("configure `{extension}` under `extensions` and list it in `service::extensions`");
                ("it is not configured", fix)
            };
            let name = extension.to_string();
            let configured: Vec<String> = plan
                .components
                .keys()
                .filter(|(kind, other)| *kind == Kind::Extension && other != extension)
                .map(|(_, id)| id.to_string())
                .collect();
            let near = nearest(&name, configured.iter().map(String::as_str)).filter(|_| !is_configured);
            errors.push(
                ConfigError::new(codes::UNDEFINED_REFERENCE, format!("references extension \"{extension}\": {hint}"))
                    .at(referring(&component.node, &name).unwrap_or(&component.origin))
                    .in_path(format!("{}::{id}", kind.section()))
                    .with_suggestion(near)
                    .with_fix(fix),
            );
        }
    }
}

/// Keys under which components name extensions.
const REFERENCE_KEYS: [&str; 5] = ["authenticator", "id", "storage", "encoding", "additional_auth"];

/// Where a component's configuration names an extension.
fn referring<'n>(node: &'n Node, extension: &str) -> Option<&'n Origin> {
    let named = |(key, value): &'n (Key, Node)| {
        (REFERENCE_KEYS.contains(&&*key.text) && value.text().map(str::trim) == Some(extension))
            .then_some(&value.origin)
    };
    let inside = node.entries().iter().map(|(_, value)| value).chain(node.items());
    node.entries().iter().find_map(named).or_else(|| inside.into_iter().find_map(|value| referring(value, extension)))
}

fn used_components(plan: &Plan) -> impl Iterator<Item = (Kind, &ComponentId)> {
    let of = |pipeline: &'_ PlannedPipeline| -> Vec<(Kind, ComponentId)> {
        let lists = [
            (Kind::Receiver, &pipeline.receivers),
            (Kind::Processor, &pipeline.processors),
            (Kind::Exporter, &pipeline.exporters),
        ];
        lists.iter().flat_map(|(kind, list)| list.iter().map(|reference| (*kind, reference.id.clone()))).collect()
    };
    let used: BTreeSet<(Kind, ComponentId)> = plan.pipelines.iter().flat_map(of).collect();
    let extensions: BTreeSet<ComponentId> = plan.extensions.iter().map(|reference| reference.id.clone()).collect();
    plan.components.keys().filter_map(move |(kind, id)| {
        let is_used = match kind {
            Kind::Extension => extensions.contains(id),
            Kind::Connector => {
                used.contains(&(Kind::Receiver, id.clone())) || used.contains(&(Kind::Exporter, id.clone()))
            }
            kind => used.contains(&(*kind, id.clone())),
        };
        is_used.then_some((*kind, id))
    })
}

fn check_references(
    plan: &Plan,
    catalog: &Catalog,
    unknown: &BTreeSet<(Kind, ComponentId)>,
    pipeline: &PlannedPipeline,
    path: &str,
    errors: &mut Errors,
) {
    let mut seen = BTreeSet::new();
    let lists: [(&[Reference], &[Kind]); 3] = [
        (&pipeline.receivers, &[Kind::Receiver, Kind::Connector]),
        (&pipeline.processors, &[Kind::Processor]),
        (&pipeline.exporters, &[Kind::Exporter, Kind::Connector]),
    ];
    for (references, kinds) in lists {
        for reference in references {
            let Some((kind, component)) =
                kinds.iter().find_map(|kind| Some((*kind, plan.component(*kind, &reference.id)?)))
            else {
                if !kinds.iter().any(|kind| unknown.contains(&(*kind, reference.id.clone()))) {
                    errors.push(undefined(plan, kinds, reference, path));
                }
                continue;
            };
            let place = kinds.first().copied().unwrap_or(kind);
            if !seen.insert((place, &reference.id)) {
                let message = format!("references {place} \"{}\" multiple times", reference.id);
                let error = ConfigError::new(codes::DUPLICATE_REFERENCE, message);
                errors.push(error.at(&reference.origin).in_path(path));
            }
            let factory = catalog.find(kind, component.type_name);
            let followed = factory.filter(|_| pipeline.id.signal == Signal::Logs);
            if let Some(followed) = followed.and_then(|factory| factory.followed(&component.config))
                && !is_in_traces(plan, &followed)
            {
                let message = format!("follows the decisions of \"{followed}\", which is in no pipeline of traces");
                errors.push(
                    ConfigError::new(codes::UNDEFINED_REFERENCE, message)
                        .at(&component.origin)
                        .in_path(format!("{}::{}", kind.section(), reference.id))
                        .with_fix(format!("list `{followed}` among the processors of a pipeline of traces")),
                );
            }
            if kind != Kind::Connector && factory.is_some_and(|factory| !factory.supports(pipeline.id.signal)) {
                let message = format!(
                    "failed to create \"{}\" {kind} for data type \"{}\": telemetry type is not supported",
                    reference.id, pipeline.id.signal
                );
                let mut error = ConfigError::new(codes::WRONG_SIGNAL, message).at(&reference.origin).in_path(path);
                if let Some(factory) = factory {
                    let names: Vec<&str> = factory.signals.iter().map(|(signal, _)| signal.as_str()).collect();
                    error = error.with_expected(format!("it supports {}", names.join(", ")));
                }
                errors.push(error);
            }
        }
    }
}

/// Whether a processor is in a pipeline of traces.
fn is_in_traces(plan: &Plan, processor: &ComponentId) -> bool {
    let mut traces = plan.pipelines.iter().filter(|pipeline| pipeline.id.signal == Signal::Traces);
    traces.any(|pipeline| pipeline.processors.iter().any(|reference| reference.id == *processor))
}

/// The pairs of signals for which connector `id` may be used.
fn pairs(plan: &Plan, catalog: &Catalog, id: &ComponentId) -> &'static [(Signal, Signal)] {
    let create = plan
        .component(Kind::Connector, id)
        .and_then(|component| catalog.find(Kind::Connector, component.type_name))
        .map(Factory::create);
    match create {
        Some(Create::Connector(pairs, _)) => pairs,
        _ => &[],
    }
}

fn connectors(plan: &Plan, catalog: &Catalog, errors: &mut Errors) {
    for (_, id) in plan.components.keys().filter(|(kind, _)| *kind == Kind::Connector) {
        let supported = pairs(plan, catalog, id);
        let ends: Vec<&PlannedPipeline> = plan.feeding(id).collect();
        let starts: Vec<&PlannedPipeline> = plan.fed_by(id).collect();
        let joined =
            |end: &PlannedPipeline, start: &PlannedPipeline| supported.contains(&(end.id.signal, start.id.signal));
        let sides = [(&ends, &starts, "exporter", "receiver", true), (&starts, &ends, "receiver", "exporter", false)];
        for (used, others, used_as, missing_as, used_is_end) in sides {
            for pipeline in used {
                let wired = others
                    .iter()
                    .any(|other| if used_is_end { joined(pipeline, other) } else { joined(other, pipeline) });
                if wired {
                    continue;
                }
                let list = if used_is_end { &pipeline.exporters } else { &pipeline.receivers };
                let origin = list.iter().find(|reference| reference.id == *id).map_or(&pipeline.origin, |r| &r.origin);
                let pairs: Vec<String> = supported.iter().map(|(from, to)| format!("{from} to {to}")).collect();
                errors.push(
                    ConfigError::new(
                        codes::HALF_WIRED_CONNECTOR,
                        format!(
                            "failed to build pipelines: connector \"{id}\" used as {used_as} in [{}] pipeline but not used \
                             in any supported {missing_as} pipeline",
                            pipeline.id
                        ),
                    )
                    .at(origin)
                    .with_expected(format!("signal pairs it supports: {}", pairs.join(", ")))
                    .with_fix(format!("list `{id}` under `{missing_as}s` of another pipeline, or remove it here")),
                );
            }
        }
    }
}

/// Sorts pipelines upstream first (otherwise in the order of their IDs) and reports cycles.
fn order(plan: &mut Plan, catalog: &Catalog, errors: &mut Errors) {
    plan.pipelines.sort_by(|a, b| a.id.cmp(&b.id));
    // Pipelines that are followed come first where connectors allow it, so that they end first.
    let followed: BTreeSet<(&PipelineId, ComponentId)> = plan
        .pipelines
        .iter()
        .flat_map(|pipeline| pipeline.processors.iter().map(move |processor| (&pipeline.id, &processor.id)))
        .filter_map(|(pipeline, id)| {
            let component = plan.component(Kind::Processor, id)?;
            Some((pipeline, catalog.find(Kind::Processor, component.type_name)?.followed(&component.config)?))
        })
        .collect();
    let follows = |pipeline: &PlannedPipeline, other: &PlannedPipeline| {
        let is_in = |id: &ComponentId| other.processors.iter().any(|processor| processor.id == *id);
        other.id.signal == Signal::Traces && followed.iter().any(|(of, id)| **of == pipeline.id && is_in(id))
    };
    let mut ordered: Vec<PipelineId> = Vec::new();
    let mut waiting: Vec<&PlannedPipeline> = plan.pipelines.iter().collect();
    while !waiting.is_empty() {
        let (ready, mut blocked): (Vec<_>, Vec<_>) = waiting.iter().partition(|pipeline| {
            pipeline.receivers.iter().all(|receiver| {
                !plan.is_connector(&receiver.id) || plan.feeding(&receiver.id).all(|up| ordered.contains(&up.id))
            })
        });
        if ready.is_empty() {
            errors.push(cycle(plan, &blocked));
            return;
        }
        let (free, following): (Vec<_>, Vec<_>) =
            ready.iter().partition(|pipeline| !waiting.iter().any(|other| follows(pipeline, other)));
        let ready = if free.is_empty() {
            ready
        } else {
            blocked.extend(following);
            free
        };
        ordered.extend(ready.iter().map(|pipeline| pipeline.id.clone()));
        waiting = blocked;
    }
    plan.pipelines.sort_by_key(|pipeline| ordered.iter().position(|id| *id == pipeline.id));
}

/// Names one cycle among pipelines that all wait for each other.
fn cycle(plan: &Plan, blocked: &[&PlannedPipeline]) -> ConfigError {
    let Some(start) = blocked.first() else { return ConfigError::new(codes::CYCLE, "cycle detected") };
    // Walk upstream inside the blocked set until a pipeline repeats: that part of the walk is a cycle.
    let mut walk: Vec<(&PlannedPipeline, Option<&ComponentId>)> = vec![(start, None)];
    while let Some((current, _)) = walk.last().copied() {
        let upstream = current.receivers.iter().find_map(|receiver| {
            let up = plan.feeding(&receiver.id).find(|up| blocked.iter().any(|b| b.id == up.id))?;
            plan.is_connector(&receiver.id).then_some((up, &receiver.id))
        });
        let Some((up, connector)) = upstream else { break };
        if let Some(at) = walk.iter().position(|(pipeline, _)| pipeline.id == up.id) {
            let mut names: Vec<String> = walk
                .iter()
                .skip(at)
                .zip(walk.iter().skip(at + 1).map(|(_, via)| *via).chain([Some(connector)]))
                .filter_map(|((down, _), via)| {
                    let via = via?;
                    let from = plan.feeding(via).next().map_or(down.id.signal, |up| up.id.signal);
                    Some(format!("connector \"{via}\" ({from} to {})", down.id.signal))
                })
                .collect();
            names.reverse();
            if let Some(first) = names.first().cloned() {
                names.push(first);
            }
            let origin = up.exporters.iter().find(|e| e.id == *connector).map_or(&up.origin, |e| &e.origin);
            let message = format!("failed to build pipelines: cycle detected: {}", names.join(" -> "));
            return ConfigError::new(codes::CYCLE, message).at(origin);
        }
        walk.push((up, Some(connector)));
    }
    ConfigError::new(codes::CYCLE, "failed to build pipelines: cycle detected").at(&start.origin)
}
