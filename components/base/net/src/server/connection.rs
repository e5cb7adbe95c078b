//! The life of one connection: how long it may be idle, old, or slow, and how it ends.
//!
//! Time is looked at in ticks of a quarter of the shortest bound (15 s at most), so a bound is met within 25 %.

use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::server::limits;

/// What the server tells its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    #[default]
    Run,
    /// Finish what runs, take no more.
    Drain,
    /// End now.
    Cut,
}

/// Bounds on a connection's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) idle: Duration,
    /// For the head of an HTTP/1 request.
    pub(crate) head: Duration,
    pub(crate) age: Option<Duration>,
    /// For running requests once the connection is asked to end.
    pub(crate) grace: Duration,
}

impl Bounds {
    fn tick(&self) -> Duration {
        let shortest = [self.idle, self.head, self.grace].into_iter().chain(self.age).min().unwrap_or_default();
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(15))
    }
}

/// What happens on a connection, written by its requests and read by its driver. Times are milliseconds since it was opened.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Instant,
    /// Whether bytes that arrive between requests are the head of the next one (HTTP/1).
    has_heads: bool,
    requests: AtomicUsize,
    answers: AtomicUsize,
    last_ms: AtomicU64,
    /// One more than the time; 0 while no head is arriving.
    head_ms: AtomicU64,
}

impl Activity {
    pub(crate) fn new(has_heads: bool) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            has_heads,
            requests: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            head_ms: AtomicU64::new(0),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Bytes arrived.
    pub(crate) fn note_read(&self) {
        if self.has_heads && self.requests.load(Ordering::Relaxed) == 0 && self.head_ms.load(Ordering::Relaxed) == 0 {
            self.head_ms.store(self.now_ms() + 1, Ordering::Relaxed);
        }
    }

    /// A request begins; it ends when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_ms.store(0, Ordering::Relaxed);
        Running { activity: Arc::clone(self), answering: false }
    }

    fn since(&self, then_ms: u64) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(then_ms))
    }

    fn verdict(&self, bounds: &Bounds) -> Verdict {
        let quiet = self.since(self.last_ms.load(Ordering::Relaxed));
        if self.requests.load(Ordering::Relaxed) > 0 {
            let stuck = self.answers.load(Ordering::Relaxed) > 0 && quiet >= limits::ANSWER_TIMEOUT;
            return if stuck { Verdict::Cut("answer_timeout") } else { Verdict::Keep };
        }
        match self.head_ms.load(Ordering::Relaxed) {
            0 if quiet >= bounds.idle => Verdict::End,
            0 => Verdict::Keep,
            since if self.since(since - 1) >= bounds.head => Verdict::Cut("header_timeout"),
            _ => Verdict::Keep,
        }
    }
}

enum Verdict {
    Keep,
    End,
    Cut(&'static str),
}

/// A request that is being served. Moves into the answer's body, so that it ends when the answer was sent.
#[derive(Debug)]
pub(crate) struct Running {
    activity: Arc<Activity>,
    answering: bool,
}

impl Running {
    /// The answer is ready, now the peer has to take it.
    pub(crate) fn answering(&mut self) {
        self.answering = true;
        self.activity.last_ms.store(self.activity.now_ms(), Ordering::Relaxed);
        self.activity.answers.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.answering {
            self.activity.answers.fetch_sub(1, Ordering::Relaxed);
        }
        self.activity.last_ms.store(self.activity.now_ms(), Ordering::Relaxed);
        self.activity.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection of hyper's that can be asked to end.
pub(crate) trait Graceful {
    fn finish(self: Pin<&mut Self>);
}

impl<I, S> Graceful for http1::Connection<I, S>
where
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::ResBody: Body + 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn Error + Send + Sync>>,
    I: Read + Write + Unpin,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, E> Graceful for http2::Connection<I, S, E>
where
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::ResBody: Body + 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn Error + Send + Sync>>,
    I: Read + Write + Unpin,
    E: Http2ServerConnExec<S::Future, S::ResBody>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As agreed, or by the peer.
    Closed,
    /// By a rule of ours, which is named.
    Cut(&'static str),
    Failed(hyper::Error),
}

/// Runs a connection to its end.
pub(crate) async fn drive<C>(
    connection: C,
    bounds: Bounds,
    activity: &Activity,
    stop: &mut watch::Receiver<Stop>,
) -> End
where
    C: Future<Output = hyper::Result<()>> + Graceful,
{
    let mut connection = pin!(connection);
    let tick = bounds.tick();
    let mut ticks = interval_at(Instant::now() + tick, tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let age_end = bounds.age.and_then(|age| activity.opened.checked_add(age));
    let mut cut_at = None;
    let mut draining = false;
    loop {
        let stopping = tokio::select! {
            biased;
            result = connection.as_mut() => return result.map_or_else(End::Failed, |()| End::Closed),
            changed = stop.changed() => changed.is_err() || *stop.borrow_and_update() != Stop::Run,
            _ = ticks.tick() => false,
        };
        if stopping {
            if *stop.borrow() == Stop::Cut || stop.has_changed().is_err() {
                return End::Cut("shutdown");
            }
            // The server's own deadline bounds this one.
            draining = true;
            connection.as_mut().finish();
            continue;
        }
        let now = Instant::now();
        if cut_at.is_some_and(|at| now >= at) {
            return End::Cut("grace_over");
        }
        match activity.verdict(&bounds) {
            Verdict::Cut(reason) => return End::Cut(reason),
            verdict => {
                let old = age_end.is_some_and(|end| now >= end);
                if !draining && (old || matches!(verdict, Verdict::End)) {
                    draining = true;
                    cut_at = now.checked_add(bounds.grace);
                    connection.as_mut().finish();
                }
            }
        }
    }
}
