//! What operators read: one line per cause and interval that says what happened, what it did to the data, and what to do.
//!
//! A destination that is away fails hundreds of attempts a second; the first of a cause is told at once, the others are
//! summed up and told with the next line of that cause, when sending works again, or at shutdown. Causes are classes of
//! failures (status names, phases), of which a transport has few.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use component::lifecycle::Health;
use component::{Code, ComponentId, Host};
use pdata::Signal;
use spool::Size;
use tokio::time::Instant;

use crate::queue::{Kept, Queue};
use crate::transport::SendError;

/// Time between two lines of one cause.
const INTERVAL: Duration = Duration::from_secs(60);

/// Sending works again when no attempt failed for this long.
const QUIET: Duration = Duration::from_secs(10);

/// What a failure did to the items.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// They are sent again after this delay.
    Retried(Duration),
    /// They are gone or handed back, in numbers.
    Ended {
        /// Gone.
        lost_items: u64,
        /// Handed back to senders that wait.
        handed_back_items: u64,
    },
}

#[derive(Debug)]
struct Cause {
    told: Instant,
    failures: u64,
    lost_items: u64,
    handed_back_items: u64,
}

#[derive(Debug, Default)]
struct State {
    causes: BTreeMap<&'static str, Cause>,
    last_failure: Option<Instant>,
}

/// Tells about one exporter and signal.
pub(crate) struct Report {
    exporter: ComponentId,
    signal: Signal,
    destination: String,
    queue: Option<Arc<dyn Queue>>,
    unit: &'static str,
    host: OnceLock<Host>,
    failing: AtomicBool,
    /// A successor tells about the exporter's health.
    replaced: AtomicBool,
    created: Instant,
    /// Milliseconds from `created` to the last success, and one more; 0 before the first.
    last_success_ms: AtomicU64,
    state: Mutex<State>,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("exporter", &self.exporter).finish_non_exhaustive()
    }
}

impl Report {
    pub(crate) fn new(
        exporter: ComponentId,
        signal: Signal,
        destination: String,
        queue: Option<Arc<dyn Queue>>,
        unit: &'static str,
    ) -> Self {
        let (host, failing, state) = (OnceLock::new(), AtomicBool::new(false), Mutex::default());
        let replaced = AtomicBool::new(false);
        let (created, last_success_ms) = (Instant::now(), AtomicU64::new(0));
        Self { exporter, signal, destination, queue, unit, host, failing, replaced, created, last_success_ms, state }
    }

    /// From now on health is reported to `host`.
    pub(crate) fn started(&self, host: &Host) {
        // A second start keeps the first host; there is one per process.
        let _first = self.host.set(host.clone());
    }

    /// Where to.
    pub(crate) fn destination(&self) -> &str {
        &self.destination
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// Seconds since something was sent; not a number before the first time.
    pub(crate) fn last_success_age_seconds(&self) -> f64 {
        match self.last_success_ms.load(Ordering::Relaxed) {
            0 => f64::NAN,
            at => self.age_ms().saturating_sub(at - 1) as f64 / 1000.0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a successor reports the exporter's health.
    pub(crate) fn replaced(&self) {
        self.replaced.store(true, Ordering::Relaxed);
    }

    fn health(&self, health: Health) {
        if let Some(host) = self.host.get().filter(|_| !self.replaced.load(Ordering::Relaxed)) {
            host.report_health(format!("exporter `{}` for {}", self.exporter, self.signal), health);
        }
    }

    /// ``12 of 1000 requests queued``, or that there is no queue.
    fn queued(&self) -> String {
        match &self.queue {
            Some(queue) => format!("{} of {} {}", queue.used(), queue.capacity(), self.unit),
            None => "no queue".to_owned(),
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&self, error: &SendError, items: u64, fate: Fate) {
        let now = Instant::now();
        let (lost_items, handed_back_items) = match fate {
            Fate::Retried(_) => (0, 0),
            Fate::Ended { lost_items, handed_back_items } => (lost_items, handed_back_items),
        };
        let told = {
            let mut state = self.lock();
            state.last_failure = Some(now);
            let known = state.causes.contains_key(error.cause());
            let cause = state.causes.entry(error.cause()).or_insert_with(|| Cause {
                told: now,
                failures: 0,
                lost_items: 0,
                handed_back_items: 0,
            });
            cause.failures += 1;
            cause.lost_items += lost_items;
            cause.handed_back_items += handed_back_items;
            (!known || now.duration_since(cause.told) >= INTERVAL).then(|| {
                cause.told = now;
                let taken = (cause.failures, cause.lost_items, cause.handed_back_items);
                (cause.failures, cause.lost_items, cause.handed_back_items) = (0, 0, 0);
                taken
            })
        };
        if !self.failing.swap(true, Ordering::Relaxed) {
            self.health(Health::Recoverable(format!("{}: {error}", self.destination)));
        }
        let Some((failures, lost, handed_back)) = told else { return };
        let advice = advice(error);
        let queued = self.queued();
        let (exporter, signal, destination, cause) = (&self.exporter, self.signal, &self.destination, error.cause());
        match fate {
            Fate::Retried(delay) if lost == 0 => tracing::warn!(
                %exporter, %signal, %destination, %error, cause, failures, items, queued, lost_items = 0_u64,
                handed_back_items = handed_back, retry_in = ?delay, advice, "sending failed; the data is kept and retried"
            ),
            _ if lost > 0 => tracing::error!(
                %exporter, %signal, %destination, %error, cause, failures, items, queued, lost_items = lost,
                handed_back_items = handed_back, advice, "sending failed; data is lost"
            ),
            _ => tracing::warn!(
                %exporter, %signal, %destination, %error, cause, failures, items, queued, lost_items = 0_u64,
                handed_back_items = handed_back, advice, "sending failed; the data was handed back to its sender"
            ),
        }
    }

    /// A request was refused for its size and goes out in parts.
    pub(crate) fn split(&self, error: &SendError, bytes: usize, parts_bytes_max: usize) {
        let (exporter, signal, destination) = (&self.exporter, self.signal, &self.destination);
        tracing::warn!(
            %exporter, %signal, %destination, %error, bytes, parts_bytes_max, lost_items = 0_u64,
            "the destination refused a request for its size; sending it in parts"
        );
    }

    /// A request went out, but the destination refused some of its items for good.
    pub(crate) fn partial_success(&self, items: u64, rejected_items: u64, answer: &str) {
        let (exporter, signal, destination) = (&self.exporter, self.signal, &self.destination);
        tracing::warn!(
            %exporter, %signal, %destination, items, lost_items = rejected_items, answer,
            "partial success: the destination took a request with a remark, or but for some items"
        );
    }

    /// An attempt succeeded.
    pub(crate) fn succeeded(&self) {
        self.last_success_ms.store(self.age_ms() + 1, Ordering::Relaxed);
        if !self.failing.load(Ordering::Relaxed) {
            return;
        }
        let quiet = self.lock().last_failure.is_none_or(|at| at.elapsed() >= QUIET);
        if quiet && self.failing.swap(false, Ordering::Relaxed) {
            self.health(Health::Ok);
            self.untold("sending works again");
        }
    }

    /// Tells what was summed up and not told, and forgets the causes.
    pub(crate) fn untold(&self, message: &'static str) {
        let causes = std::mem::take(&mut self.lock().causes);
        let sum = |of: fn(&Cause) -> u64| causes.values().map(of).sum::<u64>();
        let (failures, lost_items) = (sum(|cause| cause.failures), sum(|cause| cause.lost_items));
        let handed_back_items = sum(|cause| cause.handed_back_items);
        let queued = self.queued();
        let (exporter, signal, destination) = (&self.exporter, self.signal, &self.destination);
        if lost_items > 0 {
            tracing::error!(
                %exporter, %signal, %destination, failures, queued, lost_items, handed_back_items, "{message}; data was lost"
            );
        } else if !causes.is_empty() {
            tracing::info!(%exporter, %signal, %destination, failures, queued, lost_items, handed_back_items, "{message}");
        }
    }

    /// A successor goes on with what was not sent.
    pub(crate) fn handed_over(&self, items: u64, batches: usize) {
        let (exporter, signal, destination) = (&self.exporter, self.signal, &self.destination);
        tracing::info!(%exporter, %signal, %destination, items, batches, "the queue passes to the exporter's successor");
    }

    /// An earlier process left something on disk.
    pub(crate) fn found(&self, found: Size) {
        let (exporter, signal, destination) = (&self.exporter, self.signal, &self.destination);
        let Size { records, items, bytes } = found;
        tracing::info!(%exporter, %signal, %destination, items, records, bytes, "found on disk what was not sent before");
    }

    /// What was not sent stays on disk.
    pub(crate) fn kept(&self, kept: Kept, has_successor: bool) {
        let (exporter, signal, destination) = (&self.exporter, self.signal, &self.destination);
        let Kept { records, items, is_shared } = kept;
        match (is_shared, has_successor) {
            (true, _) => tracing::info!(
                %exporter, %signal, %destination, items, records, "the queue on disk passes to the exporter's successor"
            ),
            (false, false) => tracing::info!(
                %exporter, %signal, %destination, items, records, lost_items = 0_u64,
                "what was not sent stays on disk for the next start"
            ),
            (false, true) => tracing::warn!(
                %exporter, %signal, %destination, items, records, lost_items = 0_u64,
                "what was not sent stays on disk until an exporter of this ID has this storage again"
            ),
        }
    }

    /// The shutdown's deadline came before everything was sent.
    pub(crate) fn left_behind(&self, lost_items: u64, batches: usize) {
        let (exporter, signal, destination) = (&self.exporter, self.signal, &self.destination);
        tracing::error!(
            %exporter, %signal, %destination, lost_items, batches,
            "shutdown deadline passed before everything was sent; the rest is lost"
        );
    }
}

/// What the operator can do: the transport's advice, else what the status suggests.
fn advice(error: &SendError) -> &str {
    if let Some(advice) = error.advice() {
        return advice;
    }
    match error.code() {
        Some(Code::Unauthenticated) => "check the credentials: `auth`, `headers`",
        Some(Code::PermissionDenied) => {
            "the credentials are known but not allowed to write here: check tenant and rights"
        }
        Some(Code::Unimplemented | Code::NotFound) => {
            "the destination does not serve this signal at this address: check `endpoint` and the path"
        }
        Some(Code::InvalidArgument) => "the destination cannot read the data: check what else it says, and its version",
        Some(Code::ResourceExhausted) => "the destination is over its limits: check quotas there, or send less",
        Some(Code::DeadlineExceeded) => "the destination is slow or not reachable: check it, or raise `timeout`",
        Some(Code::Unavailable) => "check that the destination runs and can be reached",
        _ => "",
    }
}
