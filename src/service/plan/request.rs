//! Who reads something of the request that telemetry came with where it is gone: receivers keep metadata only if told to, and
//! what puts requests together (`batch`, `tail_sampling`) keeps none or what it is told to. Warned about, because finding
//! nothing can be meant: another protocol, or telemetry that comes without requests.
//!
//! What is read and kept is declared by factories ([`component::request`]); this walks the pipelines upstream.

use std::collections::BTreeMap;

use component::{ComponentId, Factory, Kind, RequestKept};
use config::{ConfigError, Node, Origin, codes};
use pdata::RequestPart;

use super::{PipelineId, Plan, PlannedComponent, PlannedPipeline, Reference};
use crate::catalog::Catalog;

/// Most extensions that refer to each other in a row.
const REFERENCES_MAX: usize = 8;

/// Warnings about what is read and not there, of a plan without errors.
pub(super) fn lost<'p>(plan: &'p Plan, catalog: &'p Catalog, service: Option<&'p Node>) -> Vec<ConfigError> {
    let mut search = Search { plan, catalog, warnings: Vec::new() };
    for pipeline in &plan.pipelines {
        for (before, processor) in pipeline.processors.iter().enumerate() {
            search.reader(pipeline, before, Kind::Processor, processor);
        }
        for exporter in &pipeline.exporters {
            let kind = if plan.is_connector(&exporter.id) { Kind::Connector } else { Kind::Exporter };
            search.reader(pipeline, pipeline.processors.len(), kind, exporter);
        }
    }
    search.tenant(service);
    search.warnings
}

/// What does not keep something.
#[derive(Clone)]
struct Loser<'p> {
    id: &'p ComponentId,
    kind: Kind,
    pipeline: &'p PipelineId,
    remedy: &'static str,
}

struct Search<'p> {
    plan: &'p Plan,
    catalog: &'p Catalog,
    warnings: Vec<ConfigError>,
}

/// What is behind whole pipelines, for those that were looked at.
type Known<'p> = BTreeMap<&'p PipelineId, Option<Loser<'p>>>;

impl<'p> Search<'p> {
    fn find(&self, kind: Kind, id: &ComponentId) -> Option<(&'p PlannedComponent, &'p Factory)> {
        let component = self.plan.component(kind, id)?;
        Some((component, self.catalog.find(kind, component.type_name)?))
    }

    /// Warns about what a component reads in vain, itself or by the extensions that it refers to, behind so many processors.
    fn reader(&mut self, pipeline: &'p PlannedPipeline, before: usize, kind: Kind, reference: &Reference) {
        let Some((component, factory)) = self.find(kind, &reference.id) else { return };
        let own = factory.request_reads(&component.config, Some(pipeline.id.signal));
        let mut reads: Vec<(RequestPart, &PlannedComponent, String)> = Vec::new();
        reads.extend(own.into_iter().map(|part| (part, component, format!("{}::{}", kind.section(), reference.id))));
        let mut extensions: Vec<&ComponentId> = component.references.iter().collect();
        for _ in 0..REFERENCES_MAX {
            let mut further = Vec::new();
            for id in extensions {
                let Some((extension, factory)) = self.find(Kind::Extension, id) else { continue };
                let parts = factory.request_reads(&extension.config, None);
                reads.extend(parts.into_iter().map(|part| (part, extension, format!("extensions::{id}"))));
                further.extend(extension.references.iter());
            }
            extensions = further;
        }
        for (part, by, path) in reads {
            let Some(loser) = self.loser(pipeline, before, &part, &mut Known::new()) else { continue };
            let origin = place(&by.node, &part).unwrap_or(&by.origin);
            let reader = if kind == Kind::Processor { reference.id.to_string() } else { String::new() };
            let warning = warning(&part, &loser, &reader).at(origin).in_path(path);
            // The same component in several pipelines behind the same one is told once.
            if !self.warnings.iter().any(|other| other.message == warning.message && other.origin == warning.origin) {
                self.warnings.push(warning);
            }
        }
    }

    /// Tenants that are named by a header which no receiver keeps.
    fn tenant(&mut self, service: Option<&'p Node>) {
        let from = service.and_then(|service| service.get("tenant")?.get("from"));
        for header in from.map(Node::items).unwrap_or_default().iter().filter_map(|source| source.get("header")) {
            let Some(name) = header.text() else { continue };
            let part = RequestPart::Metadata(name.to_owned());
            let receivers = |pipeline: &&PlannedPipeline| {
                pipeline.receivers.iter().any(|receiver| !self.plan.is_connector(&receiver.id))
            };
            let losers: Vec<Option<Loser<'_>>> = self
                .plan
                .pipelines
                .iter()
                .filter(receivers)
                .map(|pipeline| self.loser(pipeline, 0, &part, &mut Known::new()))
                .collect();
            // One that keeps it is enough: who sends to the others may have no tenant.
            if let Some(Some(loser)) = losers.first()
                && losers.iter().all(Option::is_some)
            {
                let path = "service::tenant::from";
                self.warnings.push(warning(&part, loser, "").at(&header.origin).in_path(path));
            }
        }
    }

    /// What has lost a part of every request by the time so many processors of a pipeline have seen it; the last that does.
    fn loser(
        &self,
        pipeline: &'p PlannedPipeline,
        before: usize,
        part: &RequestPart,
        known: &mut Known<'p>,
    ) -> Option<Loser<'p>> {
        for reference in pipeline.processors.iter().take(before).rev() {
            if let Some(loser) = self.loses(pipeline, Kind::Processor, &reference.id, part) {
                return Some(loser);
            }
        }
        let mut first = None;
        for reference in &pipeline.receivers {
            if self.plan.is_connector(&reference.id) {
                if let Some(loser) = self.loses(pipeline, Kind::Connector, &reference.id, part) {
                    first.get_or_insert(loser);
                    continue;
                }
                for upstream in self.plan.feeding(&reference.id) {
                    let loser = match known.get(&upstream.id) {
                        Some(loser) => loser.clone(),
                        None => {
                            let loser = self.loser(upstream, upstream.processors.len(), part, known);
                            known.insert(&upstream.id, loser.clone());
                            loser
                        }
                    };
                    first.get_or_insert(loser?);
                }
            } else {
                first.get_or_insert(self.loses(pipeline, Kind::Receiver, &reference.id, part)?);
            }
        }
        first
    }

    fn loses(
        &self,
        pipeline: &'p PlannedPipeline,
        kind: Kind,
        id: &'p ComponentId,
        part: &RequestPart,
    ) -> Option<Loser<'p>> {
        let (component, factory) = self.find(kind, id)?;
        let kept: RequestKept = factory.request_kept(&component.config);
        (!kept.keeps(part)).then_some(Loser { id, kind, pipeline: &pipeline.id, remedy: kept.remedy })
    }
}

fn warning(part: &RequestPart, loser: &Loser<'_>, reader: &str) -> ConfigError {
    let Loser { id, kind, pipeline, remedy } = loser;
    let what = match part {
        RequestPart::Address => "the sender's address".to_owned(),
        RequestPart::Metadata(name) => format!("the request's metadata \"{name}\""),
        RequestPart::AnyMetadata => "the request's metadata".to_owned(),
    };
    let message =
        format!("reads {what}, which {kind} \"{id}\" of pipeline \"{pipeline}\" does not keep: nothing is found");
    let mut fixes = Vec::new();
    if !remedy.is_empty() && *part != RequestPart::Address {
        fixes.push(format!("{remedy} `{}::{id}`", kind.section()));
    }
    if *kind == Kind::Processor && !reader.is_empty() {
        fixes.push(format!("list `{reader}` in front of `{id}`"));
    }
    let warning = ConfigError::warning(codes::LOST_REQUEST, message);
    if fixes.is_empty() { warning } else { warning.with_fix(fixes.join(", or ")) }
}

/// Where a configuration says what it reads.
fn place<'n>(node: &'n Node, part: &RequestPart) -> Option<&'n Origin> {
    let wanted = match part {
        RequestPart::Address => "client.addr",
        RequestPart::Metadata(name) => name,
        RequestPart::AnyMetadata => ".metadata",
    };
    if let Some(text) = node.text() {
        let (text, wanted) = (text.to_ascii_lowercase(), wanted.to_ascii_lowercase());
        let is_named =
            text == wanted || text.ends_with(&format!(".{wanted}")) || text.contains(&format!("\"{wanted}\""));
        let is_meant = match part {
            RequestPart::Metadata(_) => is_named,
            RequestPart::Address => text.contains(&wanted),
            RequestPart::AnyMetadata => text.contains(&wanted) && !text.contains(".metadata[\""),
        };
        return is_meant.then_some(&node.origin);
    }
    // The key of an action is what is written.
    let settings = node.entries().iter().filter(|(key, _)| &*key.text != "key").map(|(_, value)| value);
    settings.chain(node.items()).find_map(|value| place(value, part))
}
