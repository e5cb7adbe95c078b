//! From configuration to a running graph, and through reload and shutdown.

pub mod graph;
pub mod head;
pub mod plan;
pub mod telemetry;
pub mod tenancy;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::lifecycle::Phase;
use component::{ComponentId, Deadline, Extension, Host, Level, Registry, StartError};
use config::{Env, Errors, LoadOptions, Loaded};
use pdata::{AccountKey, ByteAccount, Ledger, Totals};
use tokio::sync::mpsc;

use crate::catalog::Catalog;
use graph::{Graph, Retiring, StopReport};
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

/// A reload after the new graph took over: what is left is to wait for the end of what it replaced.
pub struct Reload {
    created: usize,
    kept: usize,
    begun: Instant,
    deadline: Deadline,
    extensions: BTreeMap<ComponentId, Arc<dyn Extension>>,
    staged: telemetry::Staged,
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reload").field("created", &self.created).field("kept", &self.kept).finish_non_exhaustive()
    }
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
    fatal: Option<mpsc::Receiver<String>>,
    graph: Graph,
    /// What a reload replaced and that has not ended yet.
    retiring: Option<Retiring>,
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
        Ok(Self { options, catalog, host, fatal: Some(fatal), graph: old, retiring: None, plan, telemetry })
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

    /// Where errors arrive after which the process has to stop. `None` when it was asked for before.
    pub fn fatal_errors(&mut self) -> Option<mpsc::Receiver<String>> {
        self.fatal.take()
    }

    /// Reads the configuration again and changes what is different. What replaced components hold passes to those that take
    /// their place; components that cannot do that, or that nothing takes the place of, drain until the deadline. On any
    /// error the running graph goes on untouched.
    ///
    /// # Errors
    /// What is wrong with the new configuration, or which component could not start.
    pub async fn reload(&mut self, env: &dyn Env, deadline: Deadline) -> Result<ReloadReport, ServiceError> {
        let reload = self.begin_reload(env, deadline).await?;
        Ok(self.finish_reload(reload).await)
    }

    /// The first half of [`Service::reload`]: loads, validates, starts and connects. When it returns, everything new goes to
    /// the new graph, and the end of what was replaced has begun. An earlier reload whose second half was not run is
    /// waited for.
    ///
    /// # Errors
    /// As [`Service::reload`].
    pub async fn begin_reload(&mut self, env: &dyn Env, deadline: Deadline) -> Result<Reload, ServiceError> {
        let begun = Instant::now();
        if let Some(earlier) = &mut self.retiring {
            let _told = earlier.ended().await;
            self.retiring = None;
        }
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
        self.plan = plan;
        let old = std::mem::replace(&mut self.graph, graph);
        let replaced = old.retire(&mut self.graph, replaced);
        if !replaced.is_empty() {
            tracing::info!(?replaced, "the new configuration is in use; what it replaced comes to its end");
        }
        self.retiring = Some(replaced.spawn(deadline, self.host.clone()));
        Ok(Reload { created, kept, begun, deadline, extensions, staged })
    }

    /// The second half of [`Service::reload`]: waits for the end of what was replaced. The future may be dropped to shut
    /// down; [`Service::shutdown`] then waits for what is left of that end.
    pub async fn finish_reload(&mut self, reload: Reload) -> ReloadReport {
        let Reload { created, kept, begun, deadline, extensions, staged } = reload;
        let stopped = match &mut self.retiring {
            Some(retiring) => retiring.ended().await,
            None => StopReport::default(),
        };
        self.retiring = None;
        self.host.listeners().release(true);
        self.host.set_extensions(extensions);
        self.telemetry.commit(staged, &self.plan.telemetry, deadline).await;
        ReloadReport { created, kept, stopped, took: begun.elapsed() }
    }

    /// Stops accepting, drains until the deadline, and closes the books. What a reload replaced and has not ended yet goes on
    /// draining meanwhile, until the deadline that it was given if that is the earlier one.
    pub async fn shutdown(self, deadline: Deadline) -> ShutdownReport {
        self.host.set_phase(Phase::Stopping);
        // Held by a reload that was not finished.
        self.host.listeners().release(true);
        let all = self.graph.retire(&mut Graph::default(), BTreeMap::new());
        let stopped = all.run_after(self.retiring, deadline, &self.host).await;
        settled(self.host.ledger()).await;
        // What it tells last is how everything ended.
        self.telemetry.shutdown(Deadline::after(deadline.remaining().max(telemetry::GRACE))).await;
        ShutdownReport { accounts: self.host.ledger().read(), stopped }
    }
}

/// Waits a moment for tasks that were handed back a batch at the deadline and are about to say what becomes of it.
async fn settled(ledger: &Ledger) {
    for _ in 0..50 {
        if ledger.read().iter().all(|(_, totals)| totals.held == 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Without a `memory_limiter` the byte account is capped at half of what the process may use.
fn default_cap(available_bytes: Option<u64>) -> usize {
    available_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes / 2).unwrap_or(usize::MAX))
}
