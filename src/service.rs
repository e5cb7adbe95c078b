//! From configuration to a running graph, and through reload and shutdown.

pub mod graph;
pub mod head;
pub mod plan;
pub mod telemetry;

use std::sync::Arc;
use std::time::{Duration, Instant};

use component::lifecycle::Phase;
use component::{Deadline, Host, Level, Registry, StartError};
use config::{Env, Errors, LoadOptions, Loaded};
use pdata::{AccountKey, ByteAccount, Ledger, Totals};
use tokio::sync::mpsc;

use crate::catalog::Catalog;
use graph::{Graph, StopReport};
use plan::Plan;

/// How the service is run; what the command line says.
#[derive(Clone, Debug, Default)]
pub struct ServiceOptions {
    /// Locations of the configuration, merged left to right.
    pub uris: Vec<String>,
    /// `--set` overrides.
    pub sets: Vec<String>,
    /// How to load.
    pub load: LoadOptions,
    /// Cap of the byte account; `None` is half of the memory this process may use.
    pub account_bytes_max: Option<usize>,
    /// What the command line says about logs.
    pub log: telemetry::LogOverrides,
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration is wrong.
    #[error("{} in the configuration", plural(.0.error_count(), "error"))]
    Config(Box<Errors>),
    /// A component could not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

impl From<Errors> for ServiceError {
    fn from(errors: Errors) -> Self {
        Self::Config(Box::new(errors))
    }
}

/// Everything up to binding and connecting: what `validate` runs, and what start and reload begin with.
///
/// # Errors
/// Everything that is wrong, warnings included.
pub fn prepare(
    options: &ServiceOptions,
    env: &dyn Env,
    catalog: &Catalog,
    host: &Host,
    old: &Graph,
) -> Result<(Loaded, Plan, Graph), Errors> {
    let loaded = config::load(&options.uris, &options.sets, env, &options.load)?;
    let mut plan = plan::plan(&loaded.root, catalog)?;
    plan.warnings.extend(loaded.warnings.sorted().into_iter().cloned());
    let graph = Graph::build(&plan, &loaded.root, catalog, host, old)?;
    Ok((loaded, plan, graph))
}

/// What a reload did.
#[derive(Clone, Debug)]
pub struct ReloadReport {
    /// Components that were created.
    pub created: usize,
    /// Components that went on untouched.
    pub kept: usize,
    /// What could not be stopped cleanly.
    pub stopped: StopReport,
    /// From reading the file to the last replaced component's end.
    pub took: Duration,
}

/// What a shutdown left behind.
#[derive(Clone, Debug)]
pub struct ShutdownReport {
    /// The books at the end.
    pub accounts: Vec<(AccountKey, Totals)>,
    /// What could not be stopped cleanly.
    pub stopped: StopReport,
}

impl ShutdownReport {
    /// Whether every item is accounted for and none is left inside.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.accounts.iter().all(|(_, totals)| totals.difference() == 0 && totals.held == 0)
    }
}

/// A running weir.
#[derive(Debug)]
pub struct Service {
    options: ServiceOptions,
    catalog: Arc<Catalog>,
    host: Host,
    fatal: mpsc::Receiver<String>,
    graph: Graph,
    plan: Plan,
    telemetry: telemetry::OwnTelemetry,
}

impl Service {
    /// Loads, validates, builds and starts.
    ///
    /// # Errors
    /// [`ServiceError`]; nothing runs then.
    pub async fn start(options: ServiceOptions, catalog: Arc<Catalog>, env: &dyn Env) -> Result<Self, ServiceError> {
        let cap = options
            .account_bytes_max
            .unwrap_or_else(|| default_cap(component::memory::Probe::default().total_bytes().ok()));
        let ledger = Ledger::new();
        let registry = Registry::new(Level::Normal);
        let (host, fatal) = Host::new(ByteAccount::new(cap), Arc::clone(&ledger), Arc::clone(&registry));
        let mut old = Graph::default();
        let (_loaded, plan, mut graph) = prepare(&options, env, &catalog, &host, &old)?;
        let telemetry =
            telemetry::OwnTelemetry::start(&plan.telemetry, options.log.clone(), &host, Arc::clone(graph.spans()))
                .await?;
        for warning in &plan.warnings {
            tracing::warn!(code = warning.code, "{warning}");
        }
        host.set_extensions(graph.extensions());
        graph.start(&host, &old).await?;
        let _nothing_before = graph.connect();
        telemetry.show_edges(graph.edges());
        std::mem::swap(&mut old, &mut graph);
        host.set_phase(Phase::Running);
        Ok(Self { options, catalog, host, fatal, graph: old, plan, telemetry })
    }

    /// What the components share.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The running graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Own telemetry.
    #[must_use]
    pub fn telemetry(&self) -> &telemetry::OwnTelemetry {
        &self.telemetry
    }

    /// What runs.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Waits for an error after which the process has to stop.
    pub async fn fatal(&mut self) -> String {
        match self.fatal.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Reads the configuration again and changes what is different. Replaced components drain until the deadline. On any
    /// error the running graph goes on untouched.
    ///
    /// # Errors
    /// What is wrong with the new configuration, or which component could not start.
    pub async fn reload(&mut self, env: &dyn Env, deadline: Deadline) -> Result<ReloadReport, ServiceError> {
        let begun = Instant::now();
        let (_loaded, plan, mut graph) = prepare(&self.options, env, &self.catalog, &self.host, &self.graph)?;
        for warning in &plan.warnings {
            tracing::warn!(code = warning.code, "{warning}");
        }
        let staged = self.telemetry.stage(&plan.telemetry).await?;
        let created = graph.fresh_count();
        let kept = graph.keys().count() - created;
        let extensions = graph.extensions();
        self.host.set_extensions(self.graph.extensions().into_iter().chain(extensions.clone()).collect());
        self.host.listeners().hold(self.graph.replaced_by(&graph));
        if let Err(error) = graph.start(&self.host, &self.graph).await {
            self.host.set_extensions(self.graph.extensions());
            self.host.listeners().release(false);
            return Err(error.into());
        }
        let replaced = graph.connect();
        self.telemetry.show_edges(graph.edges());
        let old = std::mem::replace(&mut self.graph, graph);
        let stopped = old.stop(&self.graph, replaced, deadline, &self.host).await;
        self.host.listeners().release(true);
        self.host.set_extensions(extensions);
        self.telemetry.commit(staged, &plan.telemetry, deadline).await;
        self.plan = plan;
        Ok(ReloadReport { created, kept, stopped, took: begun.elapsed() })
    }

    /// Stops accepting, drains until the deadline, and closes the books.
    pub async fn shutdown(self, deadline: Deadline) -> ShutdownReport {
        self.host.set_phase(Phase::Stopping);
        let stopped = self.graph.stop(&Graph::default(), Vec::new(), deadline, &self.host).await;
        // What it tells last is how everything ended.
        self.telemetry.shutdown(Deadline::after(deadline.remaining().max(telemetry::GRACE))).await;
        ShutdownReport { accounts: self.host.ledger().read(), stopped }
    }
}

/// Without a `memory_limiter` the byte account is capped at half of what the process may use.
fn default_cap(available_bytes: Option<u64>) -> usize {
    available_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes / 2).unwrap_or(usize::MAX))
}
