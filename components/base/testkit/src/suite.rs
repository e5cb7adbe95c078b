//! The contract of components, as suites. Every component runs [`contract`]; each part can be run alone.
//!
//! Suites need a runtime with a paused clock (`#[tokio::test(start_paused = true)]`): they let hours pass.

mod books;
mod classes;
mod lifecycle;
mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use component::factory::{AnyConfig, Create};
use component::{
    Component, ComponentId, ConnectorOutputs, Consumer, Deadline, Factory, Kind, Outputs, Process, Processor, Row,
};
use config::{Errors, Limits, Source};
use pdata::Signal;

pub use books::books;
pub use classes::error_classes;
pub use lifecycle::lifecycle;
pub use shape::config_shape;

use crate::world::World;

/// How long shutdowns may take.
pub const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// A component under test: a factory, a configuration, a signal.
#[derive(Debug)]
pub struct Subject {
    factory: Factory,
    yaml: String,
    signal: Signal,
    invalid_default: Option<String>,
}

/// A component that was built.
pub struct Built {
    /// Its life.
    pub component: Arc<dyn Component>,
    /// Where batches go in; receivers and extensions have none.
    pub consumer: Option<Arc<dyn Consumer>>,
    /// Whether it is a synchronous processor, which has no say in what is handed on after its shutdown.
    pub is_sync: bool,
}

impl std::fmt::Debug for Built {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built").field("is_sync", &self.is_sync).finish_non_exhaustive()
    }
}

impl Subject {
    /// With the default configuration, for the first signal it supports.
    #[must_use]
    pub fn new(factory: Factory) -> Self {
        let signal = factory.signals.first().map_or(Signal::Traces, |(signal, _)| *signal);
        Self { factory, yaml: "{}".to_owned(), signal, invalid_default: None }
    }

    /// With this block as its configuration.
    #[must_use]
    pub fn with_config(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.yaml);
        self
    }

    /// For this signal.
    #[must_use]
    pub fn with_signal(mut self, signal: Signal) -> Self {
        self.signal = signal;
        self
    }

    /// The default configuration is refused with a message that contains `message`.
    #[must_use]
    pub fn with_invalid_default(mut self, message: &str) -> Self {
        self.invalid_default = Some(message.to_owned());
        self
    }

    fn id(&self) -> ComponentId {
        ComponentId::with_name(self.factory.type_name, "test")
    }

    /// Decodes and validates `yaml`.
    fn decode(&self, yaml: &str) -> Result<AnyConfig, Errors> {
        let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default())?;
        let mut errors = Errors::new();
        let path = format!("{}::{}", self.factory.kind.section(), self.id());
        let config = self.factory.decode(&node, &path, &mut errors);
        errors.into_result(config).map(|(config, _warnings)| config)
    }

    /// Builds it in front of `next`.
    ///
    /// # Errors
    /// Why that is not possible, as text.
    pub fn build(&self, world: &World, next: Arc<dyn Consumer>) -> Result<Built, String> {
        let config = self.decode(&self.yaml).map_err(|errors| format!("the configuration is refused: {errors}"))?;
        let settings = world.settings(self.factory.kind, &self.id());
        let edge = world.edge(next);
        let failed = |error: component::BuildError| format!("cannot be built: {error}");
        Ok(match self.factory.create() {
            Create::Receiver(create) => {
                let outputs = self.factory.signals.iter().map(|(signal, _)| (*signal, edge.clone())).collect();
                let component = create(settings, &config, Outputs(outputs)).map_err(failed)?;
                Built { component, consumer: None, is_sync: false }
            }
            Create::Processor(create) => match create(settings, &config, self.signal, edge.clone()).map_err(failed)? {
                Processor::Sync(process) => {
                    let row = Row::new(vec![Arc::<dyn Process>::clone(&process)], edge);
                    Built { component: process, consumer: Some(Arc::new(row)), is_sync: true }
                }
                Processor::Stateful(stage) => stage_of(stage),
            },
            Create::Exporter(create) => stage_of(create(settings, &config, self.signal).map_err(failed)?),
            Create::Connector(pairs, create) => {
                let to = pairs.iter().find(|(from, _)| *from == self.signal).map_or(self.signal, |(_, to)| *to);
                let pipelines = BTreeMap::from([(format!("{to}/out"), edge.clone())]);
                let outputs = ConnectorOutputs { signal: to, all: edge, pipelines };
                stage_of(create(settings, &config, self.signal, outputs).map_err(failed)?)
            }
            Create::Extension(create) => {
                let component = create(settings, &config).map_err(failed)?;
                Built { component, consumer: None, is_sync: false }
            }
        })
    }

    /// Whether batches it takes reach the consumer it was built in front of.
    fn hands_on(&self) -> bool {
        matches!(self.factory.kind, Kind::Processor | Kind::Connector)
    }
}

fn stage_of(stage: Arc<dyn component::Stage>) -> Built {
    Built { component: Arc::<dyn component::Stage>::clone(&stage), consumer: Some(stage), is_sync: false }
}

async fn start(built: &Built, world: &World) -> Result<(), String> {
    built.component.start(&world.host).await.map_err(|error| format!("does not start: {error}"))
}

/// Shuts down within [`SHUTDOWN_MAX`]. Errors of the shutdown itself (items dropped at the deadline) are no violation.
async fn stop(built: &Built) -> Result<(), String> {
    let deadline = Deadline::after(SHUTDOWN_MAX);
    let limit = Deadline::after(SHUTDOWN_MAX + Duration::from_secs(1));
    match limit.bound(built.component.shutdown(deadline)).await {
        Some(_result) => Ok(()),
        None => Err("shutdown takes more than a second longer than its deadline".to_owned()),
    }
}

/// All suites that fit the component's kind.
///
/// # Errors
/// Everything that is wrong, one line each.
pub async fn contract(subject: &Subject) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (suite, result) in [
        ("config shape", config_shape(subject)),
        ("lifecycle", lifecycle(subject).await),
        ("books", books(subject).await),
        ("error classes", error_classes(subject).await),
    ] {
        if let Err(error) = result {
            wrong.push(format!("{suite}: {error}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
