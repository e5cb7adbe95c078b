//! One request, to its end: fitted to the destination's size, attempted, retried, and answered.
//!
//! Ends in exactly one of the answers of [`Request`]; what is split ends part by part.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use component::Accepted;
use pdata::Payload;
use pdata::split::AROUND_BYTES_MIN;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::{Backoff, Retry};
use crate::claims::{Ended, Request};
use crate::limit::SizeLimit;
use crate::metrics::Metrics;
use crate::report::{Fate, Report};
use crate::transport::{SendError, Transport};

/// One of the places for requests being sent at the same time (`num_consumers`).
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    /// For requests that are not limited in number.
    pub(crate) fn unlimited() -> Self {
        Self { slots: None, permit: None }
    }

    pub(crate) fn taken(slots: Arc<Semaphore>, permit: OwnedSemaphorePermit) -> Self {
        Self { slots: Some(slots), permit: Some(permit) }
    }

    fn release(&mut self) {
        self.permit = None;
    }

    async fn take_again(&mut self) {
        if let (Some(slots), None) = (&self.slots, &self.permit) {
            // The semaphore is never closed.
            self.permit = Arc::clone(slots).acquire_owned().await.ok();
        }
    }
}

/// Sends requests through a transport.
pub(crate) struct Courier {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Retry,
    pub(crate) limit: SizeLimit,
    pub(crate) metrics: Metrics,
    pub(crate) report: Report,
    /// Set when the end begins.
    pub(crate) stop: watch::Sender<Option<Stop>>,
}

/// How sending comes to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// When every attempt has ended.
    pub(crate) at: Instant,
    /// Whether somebody goes on with what is not sent: a successor, or the next process. Then attempts that run are the last
    /// ones.
    pub(crate) hands_over: bool,
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").field("report", &self.report).finish_non_exhaustive()
    }
}

/// How an attempt ended.
enum Attempt {
    Answered(Accepted),
    Failed(SendError),
    /// By the drain's deadline.
    Stopped,
}

impl Courier {
    /// Brings `request` to its end.
    pub(crate) async fn deliver(&self, request: Request, mut slot: Slot) {
        let mut parts = VecDeque::from([request]);
        let mut is_first = true;
        while let Some(part) = parts.pop_front() {
            if !std::mem::take(&mut is_first) && self.hands_over() {
                self.unsent(part);
                continue;
            }
            // Parts of one item are sent even if they are too large: the limit may be a guess.
            let fitting = match self.limit.bytes_max() {
                Some(bytes_max) if part.items() > 1 && part.encoded_len() > bytes_max => {
                    part.split(None, Some(bytes_max))
                }
                _ => vec![part],
            };
            let mut fitting = fitting.into_iter();
            let Some(first) = fitting.next() else { continue };
            fitting.rev().for_each(|part| parts.push_front(part));
            let smaller = self.send(first, &mut slot).await;
            smaller.into_iter().rev().for_each(|part| parts.push_front(part));
        }
    }

    /// Attempts `request` until it is answered. What is returned is to be sent in its place.
    async fn send(&self, request: Request, slot: &mut Slot) -> Vec<Request> {
        let mut backoff = Backoff::new(&self.retry, request.deadline());
        loop {
            let error = match self.attempt(&request).await {
                Attempt::Answered(accepted) => {
                    self.delivered(request, &accepted);
                    return Vec::new();
                }
                Attempt::Stopped => {
                    self.unsent(request);
                    return Vec::new();
                }
                Attempt::Failed(error) => error,
            };
            let bytes = request.encoded_len();
            let parts_bytes_max = self.limit.refused(&error, bytes);
            if let Some(parts_bytes_max) = parts_bytes_max
                && request.items() > 1
                && !is_all_around(request.batch().payload())
            {
                self.report.split(&error, bytes, parts_bytes_max);
                return smaller(request, parts_bytes_max);
            }
            if error.is_permanent() || parts_bytes_max.is_some() {
                self.rejected(request, &error);
                return Vec::new();
            }
            if self.stop.borrow().is_some_and(|stop| !stop.hands_over) {
                backoff.drain();
            }
            match backoff.next(error.retry_after()) {
                Ok(delay) => {
                    self.report.failed(&error, request.items(), Fate::Retried(delay));
                    if !self.wait(delay, &error, &mut backoff, slot).await {
                        self.unsent(request);
                        return Vec::new();
                    }
                }
                Err(give_up) => {
                    let items = request.items();
                    self.metrics.send_failed(items, error.error_type(), false);
                    let ended = request.failed(&error, give_up.prefix(), give_up.reason());
                    self.tell_end(&error, items, ended);
                    return Vec::new();
                }
            }
        }
    }

    async fn attempt(&self, request: &Request) -> Attempt {
        let timeout_at = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let deadline = [timeout_at, request.deadline()].into_iter().flatten().min();
        let batch = request.batch();
        let _in_flight = self.metrics.sending(batch);
        let started = Instant::now();
        let send = self.transport.send(batch.payload(), batch.context(), deadline);
        tokio::select! {
            biased;
            answer = send => match answer {
                Ok(accepted) => Attempt::Answered(accepted),
                Err(error) => Attempt::Failed(error),
            },
            () = passed(deadline) => {
                let elapsed = started.elapsed();
                Attempt::Failed(SendError::timeout(format!("no answer to an attempt to send after {elapsed:?}")))
            }
            () = self.stopped() => Attempt::Stopped,
        }
    }

    /// Sits out `delay`, or what draining makes of it. `false`: there is no time for another attempt.
    async fn wait(&self, delay: Duration, error: &SendError, backoff: &mut Backoff<'_>, slot: &mut Slot) -> bool {
        let mut stop = self.stop.subscribe();
        let draining = stop.borrow().is_some();
        tokio::select! {
            () = sleep(delay), if !draining => return true,
            () = async { drop(stop.wait_for(Option::is_some).await) } => {}
        }
        let Some(Stop { at: stop_at, hands_over }) = *self.stop.borrow() else { return true };
        if hands_over {
            return false;
        }
        let Some(delay) = backoff.next_in_drain(error.retry_after(), stop_at) else { return false };
        // Others are sent meanwhile, so that a backlog drains at the destination's speed and not at that of the delays.
        slot.release();
        sleep(delay).await;
        tokio::select! {
            () = slot.take_again() => true,
            () = sleep_until(stop_at) => false,
        }
    }

    /// Waits for the time when every attempt has ended.
    async fn stopped(&self) {
        passed(self.stopping().await.map(|stop| stop.at)).await;
    }

    /// Waits for the time when no further request is begun: at once when somebody goes on, else as the attempts.
    pub(crate) async fn closing(&self) {
        match self.stopping().await {
            Some(Stop { hands_over: true, .. }) => {}
            stop => passed(stop.map(|stop| stop.at)).await,
        }
    }

    async fn stopping(&self) -> Option<Stop> {
        // The sender is `self`, which outlives this.
        self.stop.subscribe().wait_for(Option::is_some).await.ok().and_then(|stop| *stop)
    }

    fn hands_over(&self) -> bool {
        self.stop.borrow().is_some_and(|stop| stop.hands_over)
    }

    fn delivered(&self, request: Request, accepted: &Accepted) {
        let items = request.items();
        let rejected = accepted.rejected_items.min(items);
        self.metrics.sent(items);
        self.metrics.rejected(rejected);
        if rejected > 0 || accepted.message.is_some() {
            self.report.partial_success(items, rejected, accepted.message.as_deref().unwrap_or_default());
        }
        self.report.succeeded();
        request.delivered(accepted);
    }

    fn rejected(&self, request: Request, error: &SendError) {
        let items = request.items();
        self.metrics.send_failed(items, error.error_type(), true);
        self.metrics.rejected(items);
        let ended = request.rejected(error);
        self.tell_end(error, items, ended);
    }

    fn tell_end(&self, error: &SendError, items: u64, ended: Ended) {
        let Ended { lost_items, handed_back_items, .. } = ended;
        self.report.failed(error, items, Fate::Ended { lost_items, handed_back_items });
    }

    /// The end came first. What goes back to the queue is told by whoever empties it.
    pub(crate) fn unsent(&self, request: Request) {
        let ended = request.unsent();
        if !self.hands_over() {
            self.metrics.send_failed(ended.handed_back_items, "Shutdown", false);
        }
    }
}

/// Whether half of the items would make a request of about the same size, either half: then it is the resource, scope or
/// metric around them that is too large, and a request for every item would repeat and send it for nothing.
fn is_all_around(payload: &Payload) -> bool {
    let bytes = payload.encoded_len();
    bytes > AROUND_BYTES_MIN && {
        let halves = payload.clone().split_max(Some(payload.items().div_ceil(2)), None);
        halves.iter().all(|half| half.encoded_len() > bytes - bytes / 16)
    }
}

/// `request` in parts of at most `bytes_max`, at least two.
fn smaller(request: Request, bytes_max: usize) -> Vec<Request> {
    let items = request.items();
    let mut parts = request.split(None, Some(bytes_max));
    if parts.len() == 1 {
        // Resource and scope of the items weigh more than they do.
        parts = parts.into_iter().flat_map(|part| part.split(Some(items.div_ceil(2)), None)).collect();
    }
    parts
}

/// Waits until `at`; for ever without.
async fn passed(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
