//! Runs a load: workers that send a pool's requests in turn until a number or a time is reached, and what came of it.
//!
//! A load is closed: each worker waits for its answer before the next request. Two brakes can be put on it: a rate, and a window
//! over what the sink has not counted yet, which keeps a subject that acknowledges early from being driven into refusals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::client::{Channel, Endpoint, Outcome};
use crate::latency::Latencies;
use crate::payload::{Payload, Pool};
use crate::wire::Transport;

/// How long a worker waits after a failure of the transport, and before it sends a refused request again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a worker waits before it looks at a full window again, and between attempts to be accepted first.
const TICK: Duration = Duration::from_millis(1);

/// A bound on what was sent and has not been counted at the far end.
#[derive(Debug, Clone)]
pub struct Window {
    /// What is counted.
    pub unit: Unit,
    /// What was counted at the far end; grows while the load runs.
    pub arrived: Arc<AtomicU64>,
    /// How much may be under way.
    pub max: u64,
}

/// What a window counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Items, where all of them go through.
    Items,
    /// Requests, where each goes through with a part of its items.
    Requests,
}

impl Window {
    fn size(&self, payload: &Payload) -> u64 {
        match self.unit {
            Unit::Items => payload.item_count,
            Unit::Requests => 1,
        }
    }
}

/// How to run a load.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// Where to.
    pub endpoint: Arc<Endpoint>,
    /// Connections; over HTTP/1 times `in_flight_count`.
    pub connection_count: usize,
    /// Requests under way per connection.
    pub in_flight_count: usize,
    /// The number of the first request: a load that goes on where another ended sends no trace ID again.
    pub first_number: u64,
    /// Requests after which the load ends; a request that is sent again counts once.
    pub request_count_max: u64,
    /// Time after which no request is started.
    pub duration: Duration,
    /// Items per second at most, averaged over the run.
    pub rate: Option<f64>,
    /// Whether refused requests that may be sent again are, until `duration` is over.
    pub is_retrying: bool,
    /// How long to wait for an answer.
    pub answer_timeout: Duration,
    /// A bound on what is under way through the subject.
    pub window: Option<Window>,
    /// No request is started once this is set.
    pub stop: Arc<AtomicBool>,
}

/// What came of a load.
#[derive(Debug, Default, Clone)]
pub struct LoadReport {
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Requests sent, repetitions included.
    pub sent_requests: u64,
    /// Body bytes sent.
    pub sent_bytes: u64,
    /// Requests acknowledged.
    pub acked_requests: u64,
    /// Items in acknowledged requests, less those that a partial success rejected.
    pub acked_items: u64,
    /// The first number that no request had; some below it were not sent either.
    pub next_number: u64,
    /// Numbers of acknowledged requests, in no order.
    pub acked_numbers: Vec<u64>,
    /// Items that partial successes rejected.
    pub rejected_items: u64,
    /// Refusals by code.
    pub refused: BTreeMap<String, u64>,
    /// Requests without an answer, by what happened.
    pub errors: BTreeMap<String, u64>,
    /// From sending to answer, of acknowledged requests.
    pub acked_latencies: Latencies,
    /// From sending to answer, of refused requests.
    pub refused_latencies: Latencies,
}

impl LoadReport {
    /// Refusals of all codes.
    #[must_use]
    pub fn refused_requests(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Requests without an answer.
    #[must_use]
    pub fn error_requests(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Acknowledged items per second of wall-clock time.
    #[must_use]
    pub fn items_per_second(&self) -> f64 {
        self.acked_items as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sent_requests += other.sent_requests;
        self.sent_bytes += other.sent_bytes;
        self.acked_requests += other.acked_requests;
        self.acked_items += other.acked_items;
        self.next_number = self.next_number.max(other.next_number);
        self.acked_numbers.extend(&other.acked_numbers);
        self.rejected_items += other.rejected_items;
        for (mine, theirs) in [(&mut self.refused, &other.refused), (&mut self.errors, &other.errors)] {
            for (reason, count) in theirs {
                *mine.entry(reason.clone()).or_default() += count;
            }
        }
        self.acked_latencies.merge(&other.acked_latencies);
        self.refused_latencies.merge(&other.refused_latencies);
    }

    fn record(&mut self, (number, payload): (u64, &Payload), outcome: &Outcome, latency: Duration) {
        self.sent_requests += 1;
        self.sent_bytes += payload.body.len() as u64;
        match outcome {
            Outcome::Acked { rejected_item_count } => {
                let rejected = (*rejected_item_count).min(payload.item_count);
                self.acked_requests += 1;
                self.acked_numbers.push(number);
                self.acked_items += payload.item_count - rejected;
                self.rejected_items += rejected;
                self.acked_latencies.record(latency);
            }
            Outcome::Refused { code, .. } => {
                *self.refused.entry(code.to_string()).or_default() += 1;
                self.refused_latencies.record(latency);
            }
            Outcome::Failed(reason) => *self.errors.entry(reason.clone()).or_default() += 1,
        }
    }
}

/// What all workers of a load look at.
#[derive(Debug)]
struct Shared {
    settings: LoadSettings,
    pool: Arc<Pool>,
    started: Instant,
    arrived_before: u64,
    /// Requests handed out to workers.
    next_request: AtomicU64,
    /// What counts against the window.
    window_used: AtomicU64,
}

/// A request that a worker is to send.
struct Taken<'p> {
    number: u64,
    payload: &'p Payload,
    body: Bytes,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.settings.stop.load(Relaxed) || self.started.elapsed() >= self.settings.duration
    }

    /// The next request, once rate and window let it go; `None` when the load is over.
    async fn take(&self) -> Option<Taken<'_>> {
        let place = self.next_request.fetch_add(1, Relaxed);
        if place >= self.settings.request_count_max || self.is_over() {
            return None;
        }
        let number = self.settings.first_number + place;
        let (payload, body) = self.pool.request(number)?;
        if let Some(rate) = self.settings.rate {
            let due = self.started + Duration::from_secs_f64(place as f64 * payload.item_count as f64 / rate);
            if due >= self.started + self.settings.duration {
                return None;
            }
            sleep_until(due).await;
        }
        if let Some(window) = &self.settings.window {
            while self.window_used.load(Relaxed) >= window.max + (window.arrived.load(Relaxed) - self.arrived_before) {
                if self.is_over() {
                    return None;
                }
                sleep(TICK).await;
            }
            self.window_used.fetch_add(window.size(payload), Relaxed);
        }
        Some(Taken { number, payload, body })
    }

    /// Sends one request to its end, repetitions included.
    async fn handle(&self, channel: &mut Channel, taken: Taken<'_>, report: &mut LoadReport) {
        let Taken { number, payload, body } = taken;
        loop {
            let sent = Instant::now();
            let answer = timeout(self.settings.answer_timeout, channel.send(body.clone())).await;
            let outcome = answer.unwrap_or_else(|_| {
                channel.abandon();
                Outcome::Failed("no answer in time".to_owned())
            });
            report.record((number, payload), &outcome, sent.elapsed());
            match outcome {
                Outcome::Acked { rejected_item_count } => self.leave_window(Unit::Items, rejected_item_count),
                Outcome::Refused { is_retryable: true, .. } if self.settings.is_retrying && !self.is_over() => {
                    sleep(PAUSE).await;
                    continue;
                }
                Outcome::Refused { .. } => self.leave_window_whole(payload),
                Outcome::Failed(_) => {
                    self.leave_window_whole(payload);
                    sleep(PAUSE).await;
                }
            }
            return;
        }
    }

    /// What will not arrive does not hold the window.
    fn leave_window(&self, unit: Unit, count: u64) {
        if self.settings.window.as_ref().is_some_and(|window| window.unit == unit) {
            self.window_used.fetch_sub(count, Relaxed);
        }
    }

    fn leave_window_whole(&self, payload: &Payload) {
        if let Some(window) = &self.settings.window {
            self.leave_window(window.unit, window.size(payload));
        }
    }
}

/// Sends requests from `pool` as `settings` say and waits for the last answer.
pub async fn run(settings: LoadSettings, pool: Arc<Pool>) -> LoadReport {
    let shared = Arc::new(Shared {
        arrived_before: settings.window.as_ref().map_or(0, |window| window.arrived.load(Relaxed)),
        pool,
        started: Instant::now(),
        next_request: AtomicU64::new(0),
        window_used: AtomicU64::new(0),
        settings,
    });
    let mut workers = JoinSet::new();
    for _ in 0..shared.settings.connection_count {
        let connection = Channel::new(Arc::clone(&shared.settings.endpoint));
        for _ in 0..shared.settings.in_flight_count {
            let mut channel = match shared.pool.transport {
                Transport::Grpc => connection.clone(),
                Transport::Http => Channel::new(Arc::clone(&shared.settings.endpoint)),
            };
            let shared = Arc::clone(&shared);
            workers.spawn(async move {
                let mut report = LoadReport::default();
                while let Some(taken) = shared.take().await {
                    shared.handle(&mut channel, taken, &mut report).await;
                }
                report
            });
        }
    }
    let mut total = LoadReport::default();
    while let Some(worker) = workers.join_next().await {
        match worker {
            Ok(report) => total.merge(&report),
            Err(error) => *total.errors.entry(format!("worker: {error}")).or_default() += 1,
        }
    }
    total.elapsed = shared.started.elapsed();
    total.next_number = shared.settings.first_number + shared.next_request.load(Relaxed);
    total
}

/// Tries every millisecond until one request is accepted; returns when that was. `limit` bounds the whole wait.
///
/// # Errors
///
/// The last outcome, when `limit` is over.
pub async fn until_first_accept(
    endpoint: Arc<Endpoint>,
    payload: &Payload,
    limit: Duration,
) -> Result<std::time::Instant, String> {
    let mut channel = Channel::new(endpoint);
    let mut last = "nothing was tried".to_owned();
    let attempts = async {
        loop {
            match channel.send(payload.body.clone()).await {
                Outcome::Acked { .. } => return std::time::Instant::now(),
                Outcome::Refused { code, .. } => last = format!("refused with {code}"),
                Outcome::Failed(reason) => last = reason,
            }
            sleep(TICK).await;
        }
    };
    match timeout(limit, attempts).await {
        Ok(accepted) => Ok(accepted),
        Err(_) => Err(format!("no request was accepted in {} s, last: {last}", limit.as_secs_f64())),
    }
}
