//! What the program tells about itself: `service::telemetry`.
//!
//! [`TelemetryConfig`] is what users write. [`OwnTelemetry`] lives as long as the service: logs (`logs`); metrics of the
//! [`ledger`], the process (`process`) and the graph (`edges`), seen through views (`view`), on pages (`pages`, `page`, `health`)
//! or sent (`push`); spans (`trace`); `send` sends. A reload first [stages](OwnTelemetry::stage) everything that can
//! fail, then [commits](OwnTelemetry::commit) what cannot.

mod config;
mod edges;
mod health;
pub mod ledger;
mod logs;
mod page;
mod pages;
mod process;
mod push;
mod resource;
mod send;
pub mod trace;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::config::ComponentId;
use component::telemetry::{Metric, Observer};
use component::{Deadline, Edge, Host, Level, StartError};
use pdata::build::AttributesWriter;

pub use config::TelemetryConfig;
use config::{AttributeValue, HistogramAggregation, PeriodicConfig, ReaderConfig};
use edges::Edges;
use logs::Logs;
use pages::{Page, Rendering};
use push::{Pusher, Pushing, Told};
use resource::Resource;
use send::Sender;
use trace::{Processors, SpanSlot};
use view::Views;

/// Time that own telemetry has to end in when the shutdown's deadline has passed.
pub const GRACE: Duration = Duration::from_secs(1);

const FAILED_EXPORTS: Metric = Metric {
    name: "weir_own_telemetry_failed_exports",
    help: "Exports of weir's own telemetry that were given up, by signal",
    unit: "{exports}",
    level: Level::Basic,
};
const DROPPED_SPANS: Metric = Metric {
    name: "weir_own_telemetry_dropped_spans",
    help: "Spans about batches that were dropped: their queue was full, or they could not be sent",
    unit: "{spans}",
    level: Level::Basic,
};

/// What the command line says about logs, over the configuration.
#[derive(Clone, Debug, Default)]
pub struct LogOverrides {
    /// Least severe level.
    pub level: Option<String>,
    /// Whether lines are JSON.
    pub json: Option<bool>,
}

/// Whose errors these are.
fn id() -> ComponentId {
    "telemetry".parse().expect("a word is a component ID")
}

fn start_error(attempted: String, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StartError {
    StartError::new(&id(), attempted, source)
}

fn attributes(writer: &mut AttributesWriter<'_>, resource: &Resource) {
    for (name, value) in &resource.attributes {
        match value {
            AttributeValue::Text(text) => writer.str(name, text),
            AttributeValue::Bool(value) => writer.bool(name, *value),
            AttributeValue::Int(value) => writer.i64(name, *value),
            AttributeValue::Double(value) => writer.f64(name, *value),
        };
    }
}

/// Own telemetry while the service runs.
#[derive(Debug)]
pub struct OwnTelemetry {
    host: Host,
    overrides: LogOverrides,
    instance_id: String,
    pages: Vec<Page>,
    pushers: Vec<Pusher>,
    spans: Arc<SpanSlot>,
    processors: Option<Processors>,
    edges: Edges,
    _observers: Vec<Observer>,
}

/// What a configuration needs beyond what is running: open outputs and sockets. Dropping it closes them.
#[derive(Debug)]
pub struct Staged {
    resource: Arc<Resource>,
    logs: Logs,
    pages: Vec<Page>,
    /// Readers that do not run yet, with their senders.
    pushers: Vec<(Pushing, Sender)>,
    /// Senders of the span processors, unless those that run go on.
    spans: Option<Vec<Sender>>,
}

impl OwnTelemetry {
    /// Sets up logs, shows metrics, and makes spans for the graph that has this slot.
    ///
    /// # Errors
    /// As [`OwnTelemetry::stage`].
    pub async fn start(
        config: &TelemetryConfig,
        overrides: LogOverrides,
        host: &Host,
        spans: Arc<SpanSlot>,
    ) -> Result<Self, StartError> {
        let edges = Edges::default();
        let mut observers = ledger::observe(host.ledger(), host.registry());
        observers.extend(process::observe(host));
        observers.extend(edges.observe(host.registry()));
        let mut own = Self {
            host: host.clone(),
            overrides,
            instance_id: resource::uuid(),
            pages: Vec::new(),
            pushers: Vec::new(),
            spans,
            processors: None,
            edges,
            _observers: observers,
        };
        let staged = own.stage(config).await?;
        own.commit(staged, config, Deadline::after(Duration::ZERO)).await;
        Ok(own)
    }

    /// Opens what `config` needs and is not open yet; what runs goes on as it is.
    ///
    /// # Errors
    /// Log files that cannot be opened, addresses that cannot be listened on, certificates that cannot be used.
    pub async fn stage(&self, config: &TelemetryConfig) -> Result<Staged, StartError> {
        let resource = Arc::new(Resource::new(&config.resource, &self.instance_id));
        let logs = Logs::prepare(&config.logs, &self.overrides, &resource)?;
        let mut pages = Vec::new();
        for rendering in renderings(config, &resource) {
            if !self.pages.iter().any(|page| page.serves(&rendering.config)) {
                pages.push(Page::open(rendering, &self.host).await?);
            }
        }
        let mut pushers = Vec::new();
        for pushing in pushings(config, &resource) {
            if !self.pushers.iter().any(|pusher| pusher.pushing == pushing) {
                let sender = pushing.sender(&self.host)?;
                pushers.push((pushing, sender));
            }
        }
        let goes_on = |running: &Processors| running.config == config.traces && running.resource == resource;
        let spans = match &self.processors {
            Some(running) if goes_on(running) => None,
            _ => Some(trace::senders(&config.traces, &self.host)?),
        };
        Ok(Staged { resource, logs, pages, pushers, spans })
    }

    /// Takes over a changed configuration. What is no longer wanted has until the deadline to end.
    pub async fn commit(&mut self, staged: Staged, config: &TelemetryConfig, deadline: Deadline) {
        let Staged { resource, logs, pages, pushers, spans } = staged;
        logs.install();
        self.host.registry().set_level(config.metrics.level.into());
        let wanted = config.metrics.views.clone();
        let is_exponential = readers(config).filter_map(|reader| reader.periodic.as_ref()).any(wants_exponential);
        self.host.registry().set_fine_bounds(move |metric| view::fine(&wanted, is_exponential, metric));
        self.host.set_trace_headers(config.traces.trace_headers());
        self.pages.extend(pages);
        let mut kept = Vec::new();
        for rendering in renderings(config, &resource) {
            if let Some(at) = self.pages.iter().position(|page| page.serves(&rendering.config)) {
                let page = self.pages.swap_remove(at);
                page.set(rendering);
                kept.push(page);
            }
        }
        for gone in std::mem::replace(&mut self.pages, kept) {
            gone.close(deadline).await;
        }
        let wanted: Vec<Pushing> = pushings(config, &resource).collect();
        let (kept, gone): (Vec<Pusher>, Vec<Pusher>) =
            std::mem::take(&mut self.pushers).into_iter().partition(|pusher| wanted.contains(&pusher.pushing));
        self.pushers = kept;
        let mut told: VecDeque<Told> = VecDeque::new();
        for gone in gone {
            told.push_back(gone.close(deadline).await);
        }
        for (pushing, sender) in pushers {
            let told = told.pop_front().unwrap_or_default();
            self.pushers.push(Pusher::start(pushing, sender, told, &self.host));
        }
        if let Some(senders) = spans {
            let new = config.traces.is_on().then(|| Processors::start(&config.traces, senders, &resource, &self.host));
            self.spans.set(new.as_ref().map(Processors::tracer));
            if let Some(old) = std::mem::replace(&mut self.processors, new) {
                old.close(deadline).await;
            }
        }
    }

    /// Shows the counters of these edges from now on.
    pub fn show_edges(&self, edges: &BTreeMap<String, Edge>) {
        self.edges.set(edges);
    }

    /// Where metrics can be read, in the order of the readers.
    #[must_use]
    pub fn page_addrs(&self) -> Vec<SocketAddr> {
        self.pages.iter().filter_map(Page::local_addr).collect()
    }

    /// Ends it after everything else has ended: sends spans and metrics once more, closes pages.
    pub async fn shutdown(mut self, deadline: Deadline) {
        self.spans.set(None);
        if let Some(processors) = self.processors.take() {
            processors.close(deadline).await;
        }
        for pusher in self.pushers.drain(..) {
            pusher.close(deadline).await;
        }
        for page in self.pages.drain(..) {
            page.close(deadline).await;
        }
    }
}

/// Each reader has its own, because they remember series.
fn views(config: &TelemetryConfig, is_exponential: bool) -> Arc<Views> {
    Arc::new(Views::new(&config.metrics.views, is_exponential))
}

/// Whether a reader wants exponential histograms where no view says otherwise.
fn wants_exponential(reader: &PeriodicConfig) -> bool {
    let otlp = reader.exporter.otlp.as_ref();
    otlp.is_some_and(|otlp| otlp.default_histogram_aggregation == HistogramAggregation::Exponential)
}

fn readers(config: &TelemetryConfig) -> impl Iterator<Item = &ReaderConfig> {
    let shown = Level::from(config.metrics.level) > Level::None;
    config.metrics.readers.iter().filter(move |_| shown)
}

/// The pages that `config` wants.
fn renderings<'a>(config: &'a TelemetryConfig, resource: &'a Arc<Resource>) -> impl Iterator<Item = Rendering> + 'a {
    let pages = readers(config).filter_map(|reader| reader.prometheus());
    pages.map(move |page| Rendering {
        config: page.clone(),
        views: views(config, false),
        resource: Arc::clone(resource),
    })
}

/// The periodic readers that `config` wants.
fn pushings<'a>(config: &'a TelemetryConfig, resource: &'a Arc<Resource>) -> impl Iterator<Item = Pushing> + 'a {
    let periodic = readers(config).filter_map(|reader| reader.periodic.as_ref());
    periodic.map(move |periodic| Pushing {
        config: periodic.clone(),
        views: views(config, wants_exponential(periodic)),
        resource: Arc::clone(resource),
    })
}
