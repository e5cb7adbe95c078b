//! The shared limiter: a task that measures at every interval and closes or opens the gate.
//!
//! It runs from the first start of a component that uses it to the last shutdown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::memory::Probe;
use component::telemetry::{Metric, MetricKind, Observer};
use component::{BuildError, Level, Settings};
use pdata::{ByteAccount, Gate};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::config::MemoryLimiterConfig;
use crate::limits::Limits;
use crate::rule::{Measured, Reason, Rule};

/// One per component ID.
#[derive(Debug)]
pub struct Limiter {
    id: String,
    limits: Limits,
    interval: Duration,
    probe: Arc<Probe>,
    account: Arc<ByteAccount>,
    gate: Arc<Gate>,
    running: Mutex<Running>,
    _refused_requests: Observer,
}

#[derive(Debug, Default)]
struct Running {
    users: usize,
    task: Option<JoinHandle<()>>,
}

impl Limiter {
    /// A limiter that does not measure yet; its gate already knows the soft limit. The requests that the gate refuses are
    /// counted as the metric named `refused_requests`.
    ///
    /// # Errors
    /// Why a percentage cannot be used.
    pub fn new(
        settings: &Settings,
        config: &MemoryLimiterConfig,
        refused_requests: &'static str,
        probe: Arc<Probe>,
    ) -> Result<Arc<Self>, BuildError> {
        let limits = Limits::resolve(config, || probe.total_bytes())
            .map_err(|error| BuildError::at("limit_percentage", error))?;
        let gate = Gate::new(usize::try_from(limits.soft).unwrap_or(usize::MAX));
        let labels = settings.telemetry.labels(&[]);
        let observed = Arc::clone(&gate);
        let metric = Metric {
            name: refused_requests,
            help: "Requests refused before their body was read.",
            unit: "{requests}",
            level: Level::Basic,
        };
        let refused_requests = settings
            .telemetry
            .registry()
            .observe(metric, MetricKind::Counter, move || vec![(labels.clone(), observed.refused_requests() as f64)]);
        Ok(Arc::new(Self {
            id: settings.id.to_string(),
            limits,
            interval: config.check_interval.as_std().unwrap_or_default(),
            probe,
            account: Arc::clone(&settings.account),
            gate,
            running: Mutex::default(),
            _refused_requests: refused_requests,
        }))
    }

    /// What receivers ask.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Whether a batch that is already in memory has to go back: the last measurement says so, or telemetry is at the
    /// soft limit right now.
    #[must_use]
    pub fn must_refuse(&self) -> bool {
        self.gate.is_closed() || self.account.held() as u64 >= self.limits.soft
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a user; the first one starts the measuring.
    pub(crate) fn start(self: &Arc<Self>) {
        let mut running = self.lock();
        running.users += 1;
        if running.task.is_none() {
            let Limits { soft, hard } = self.limits;
            tracing::info!(id = %self.id, soft_limit_bytes = soft, hard_limit_bytes = hard, "memory limiter configured");
            let limiter = Arc::clone(self);
            running.task = Some(tokio::spawn(async move { limiter.run().await }));
        }
    }

    /// Takes a user away; the last one stops the measuring and opens the gate.
    pub(crate) async fn stop(&self) {
        let task = {
            let mut running = self.lock();
            running.users = running.users.saturating_sub(1);
            if running.users > 0 {
                return;
            }
            running.task.take()
        };
        if let Some(task) = task {
            task.abort();
            // Aborted on purpose; there is nothing to learn from the join.
            let _aborted = task.await;
        }
        self.gate.set_closed(false);
    }

    async fn run(&self) {
        let mut rule = Rule::new(self.limits);
        let mut refusing = None;
        let mut ticks = tokio::time::interval_at(Instant::now() + self.interval, self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let measured =
                Measured { telemetry_bytes: self.account.held() as u64, resident_bytes: self.probe.resident_bytes() };
            let reason = rule.judge(measured);
            self.gate.set_closed(reason.is_some());
            if reason.is_some() != refusing.is_some() {
                self.report(reason, measured);
            }
            refusing = reason;
        }
    }

    fn report(&self, reason: Option<Reason>, measured: Measured) {
        let Measured { telemetry_bytes, resident_bytes } = measured;
        let (id, resident_bytes) = (&self.id, resident_bytes.unwrap_or_default());
        match reason {
            Some(reason) => {
                let reason = reason.as_str();
                tracing::warn!(%id, telemetry_bytes, resident_bytes, reason, "memory is short, refusing data");
            }
            None => tracing::info!(%id, telemetry_bytes, resident_bytes, "memory is back within limits"),
        }
    }
}
