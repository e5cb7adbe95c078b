//! Starting, stopping, and what a component is given to live with.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::discriminant;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use pdata::{ByteAccount, Ledger};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::ComponentId;
use crate::consumer::Consumer;
use crate::error::{ShutdownError, StartError};
use crate::extension::Extension;
use crate::listen::Listeners;
use crate::pressure::Pressure;
use crate::telemetry::Registry;

/// A boxed future, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// By when something has to be finished. Uses tokio's clock, so tests can pause it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `duration` from now.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        let now = Instant::now();
        // 30 years stand for "never"; an addition that overflows must not panic.
        Self(now.checked_add(duration).unwrap_or_else(|| now + Duration::from_secs(946_080_000)))
    }

    /// The instant.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }

    /// Whether it is over.
    #[must_use]
    pub fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }

    /// Time left, zero when over.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Waits for `work`, at most until the deadline.
    pub async fn bound<T>(self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.0, work).await.ok()
    }
}

/// Anything with a life: see the promises in the crate's head.
pub trait Component: Send + Sync + 'static {
    /// Binds, connects, spawns. Returns when ready to work.
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        let _ = host;
        Box::pin(async { Ok(()) })
    }

    /// Stops taking, drains within the deadline, settles what is left, and ends every task.
    fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        let _ = deadline;
        Box::pin(async { Ok(()) })
    }

    /// Called instead of [`Component::shutdown`] when a reload replaces this component by `successor`, of the same kind and
    /// ID, which runs already and gets everything new. `None` (the default) for components that cannot pass on what they
    /// hold: those are shut down, and drain.
    ///
    /// From this call on, what still arrives here goes to the successor ([`Consumer::consume`]). The future lets work
    /// that cannot be taken back (an attempt to send) come to its end, until the deadline at most, passes on everything
    /// that this component acknowledged ([`Consumer::inherit`]), in order, and ends every task. Nothing is settled by that:
    /// the items are held before and after.
    fn hand_over(
        &self,
        successor: &Arc<dyn Consumer>,
        deadline: Deadline,
    ) -> Option<BoxFuture<'_, Result<(), ShutdownError>>> {
        let _ = (successor, deadline);
        None
    }
}

/// A consumer with a life: exporters, connectors, stateful processors.
pub trait Stage: Component + Consumer {}

impl<T: Component + Consumer> Stage for T {}

/// Health of one component, as it reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not started yet.
    #[default]
    Starting,
    /// Works.
    Ok,
    /// Works again after trouble, or is in trouble it expects to recover from: why.
    Recoverable(String),
    /// Will not recover without a change: why.
    Permanent(String),
    /// Draining.
    Stopping,
    /// Stopped.
    Stopped,
}

/// How a component is doing, and since when it is doing like that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// How.
    pub health: Health,
    /// Since when; another text about the same kind of trouble does not change it.
    pub since: SystemTime,
    /// The same time for measuring.
    pub since_instant: Instant,
}

impl HealthReport {
    fn now(health: Health) -> Self {
        Self { health, since: SystemTime::now(), since_instant: Instant::now() }
    }
}

/// Which components run where, for health endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The components of each pipeline, by the pipeline's ID.
    pub pipelines: BTreeMap<String, Vec<Part>>,
    /// Extensions in the order of starting.
    pub extensions: Vec<Part>,
    /// The configuration without its secrets, as JSON.
    pub config_json: String,
}

/// A component in a [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `receiver`, `processor`, …
    pub kind: &'static str,
    /// Its component ID.
    pub id: String,
    /// Under which name its health is reported.
    pub health_name: String,
}

/// Which headers of a request carry its trace. Of two that are valid, the last one counts; outgoing requests get both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum TraceHeaders {
    /// `traceparent` (W3C).
    #[default]
    W3c,
    /// `b3`, or the `x-b3-…` headers.
    B3,
    /// `traceparent`, then B3's.
    W3cThenB3,
    /// B3's, then `traceparent`.
    B3ThenW3c,
    /// None: traces are neither read from requests nor passed on.
    Off,
}

/// State of the service as a whole, for health endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Components are being started.
    #[default]
    Starting,
    /// Every pipeline runs.
    Running,
    /// Shutdown has begun.
    Stopping,
}

/// What the service lends to its components. Cheap to clone.
#[derive(Clone)]
pub struct Host(Arc<HostInner>);

struct HostInner {
    extensions: RwLock<BTreeMap<ComponentId, Arc<dyn Extension>>>,
    health: RwLock<BTreeMap<String, HealthReport>>,
    layout: RwLock<Arc<Layout>>,
    /// A [`TraceHeaders`].
    trace_headers: AtomicU8,
    phase: watch::Sender<Phase>,
    health_changes: watch::Sender<()>,
    listeners: Listeners,
    account: Arc<ByteAccount>,
    ledger: Arc<Ledger>,
    registry: Arc<Registry>,
    fatal: mpsc::Sender<String>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// A host, and where its components' fatal errors arrive.
    #[must_use]
    pub fn new(
        account: Arc<ByteAccount>,
        ledger: Arc<Ledger>,
        registry: Arc<Registry>,
    ) -> (Self, mpsc::Receiver<String>) {
        let (fatal, fatal_errors) = mpsc::channel(16);
        let inner = HostInner {
            extensions: RwLock::default(),
            health: RwLock::default(),
            layout: RwLock::default(),
            trace_headers: AtomicU8::new(TraceHeaders::default() as u8),
            phase: watch::Sender::new(Phase::Starting),
            health_changes: watch::Sender::new(()),
            listeners: Listeners::default(),
            account,
            ledger,
            registry,
            fatal,
        };
        (Self(Arc::new(inner)), fatal_errors)
    }

    /// The running extension of that ID.
    #[must_use]
    pub fn extension(&self, id: &ComponentId) -> Option<Arc<dyn Extension>> {
        self.0.extensions.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Replaces the set of running extensions. For the service.
    pub fn set_extensions(&self, extensions: BTreeMap<ComponentId, Arc<dyn Extension>>) {
        *self.0.extensions.write().unwrap_or_else(PoisonError::into_inner) = extensions;
    }

    /// Listening sockets that outlive a reload.
    #[must_use]
    pub fn listeners(&self) -> &Listeners {
        &self.0.listeners
    }

    /// The process-wide account of telemetry bytes.
    #[must_use]
    pub fn account(&self) -> &Arc<ByteAccount> {
        &self.0.account
    }

    /// The books.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.0.ledger
    }

    /// Own metrics.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// The degraded mode.
    #[must_use]
    pub fn pressure(&self) -> &Arc<Pressure> {
        self.0.registry.pressure()
    }

    /// Notes how `component` is doing. Names are those of [`Part::health_name`].
    pub fn report_health(&self, component: impl Into<String>, health: Health) {
        let mut reports = self.0.health.write().unwrap_or_else(PoisonError::into_inner);
        let report = reports.entry(component.into()).or_insert_with(|| HealthReport::now(Health::default()));
        if discriminant(&report.health) == discriminant(&health) {
            report.health = health;
        } else {
            *report = HealthReport::now(health);
            drop(reports);
            self.0.health_changes.send_replace(());
        }
    }

    /// Tells when a component's health becomes another, or the layout does.
    #[must_use]
    pub fn health_changes(&self) -> watch::Receiver<()> {
        self.0.health_changes.subscribe()
    }

    /// How every component is doing.
    #[must_use]
    pub fn health(&self) -> BTreeMap<String, Health> {
        self.health_reports().into_iter().map(|(component, report)| (component, report.health)).collect()
    }

    /// How every component is doing, and since when.
    #[must_use]
    pub fn health_reports(&self) -> BTreeMap<String, HealthReport> {
        self.0.health.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which components run where; empty until the service has started.
    #[must_use]
    pub fn layout(&self) -> Arc<Layout> {
        Arc::clone(&self.0.layout.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets which components run where. For the service.
    pub fn set_layout(&self, layout: Arc<Layout>) {
        *self.0.layout.write().unwrap_or_else(PoisonError::into_inner) = layout;
        self.0.health_changes.send_replace(());
    }

    /// Which headers of requests, incoming and outgoing, carry their trace. W3C's unless the service has set others.
    #[must_use]
    pub fn trace_headers(&self) -> TraceHeaders {
        let all =
            [TraceHeaders::W3c, TraceHeaders::B3, TraceHeaders::W3cThenB3, TraceHeaders::B3ThenW3c, TraceHeaders::Off];
        all.get(usize::from(self.0.trace_headers.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// Sets which headers of requests carry their trace. For the service.
    pub fn set_trace_headers(&self, headers: TraceHeaders) {
        self.0.trace_headers.store(headers as u8, Ordering::Relaxed);
    }

    /// Follows the service's phase.
    #[must_use]
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }

    /// Sets the service's phase. For the service.
    pub fn set_phase(&self, phase: Phase) {
        self.0.phase.send_replace(phase);
    }

    /// Reports an error after which the process has to stop (a listener that died).
    pub fn fatal(&self, error: impl Into<String>) {
        // A full channel means that an earlier fatal error is already stopping the process.
        let _already_stopping = self.0.fatal.try_send(error.into());
    }
}
