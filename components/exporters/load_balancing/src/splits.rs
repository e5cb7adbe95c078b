//! Counts traces whose spans may be on two endpoints, because the owner of their key changed while they ran.
//!
//! For [`OPEN_MAX`] after a change of the ring, every span is compared with the rings before: its trace counts, once, if
//! another endpoint owned it then, and the span began before that endpoint had got its last one. An endpoint that failed
//! got nothing since it did; one that is well may still get spans from agents that learn of the change later, for `lag`.
//!
//! Spans that began later than that say nothing: a trace whose every later span does is not counted. While no ring has changed
//! for long, nothing is compared.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use component::Counter;
use pdata::Payload;
use pdata::view::ItemView;
use tokio::time::Instant;

use crate::ring::Ring;
use crate::router::Table;

/// How long after a change of the ring traces are looked at.
pub const OPEN_MAX: Duration = Duration::from_secs(300);
/// Rings that are remembered.
pub const RINGS_MAX: usize = 16;
/// Traces that are remembered as counted; beyond that, they may be counted again.
const COUNTED_MAX: usize = 1 << 16;

/// A ring that was.
#[derive(Debug)]
struct Former {
    ring: Ring,
    /// Address of each owner, and when it got its last span, in ns since the epoch.
    owners: Vec<(String, u64)>,
    until: Instant,
}

#[derive(Debug, Default)]
struct Watched {
    formers: Vec<Former>,
    counted: HashSet<[u8; 16]>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Splits {
    counter: Counter,
    lag: Duration,
    /// Whether there are former rings.
    watches: AtomicBool,
    watched: Mutex<Watched>,
}

impl Splits {
    /// Counts with `counter`. `lag`: how much later than this one other agents may learn of a change.
    #[must_use]
    pub fn new(counter: Counter, lag: Duration) -> Self {
        Self { counter, lag, watches: AtomicBool::new(false), watched: Mutex::default() }
    }

    /// `table` is not in use any more.
    pub fn left(&self, table: &Table) {
        let now = unix_ns(SystemTime::now());
        let of = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let owners = table.endpoints.iter().map(|endpoint| {
            let last = match endpoint.failing() {
                Some((long, _)) => now.saturating_sub(of(long)),
                None => now.saturating_add(of(self.lag)),
            };
            (endpoint.address.clone(), last)
        });
        let former = Former { ring: table.ring.clone(), owners: owners.collect(), until: Instant::now() + OPEN_MAX };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.formers.len() == RINGS_MAX {
            watched.formers.remove(0);
        }
        watched.formers.push(former);
        self.watches.store(true, Ordering::Relaxed);
    }

    /// Looks at spans that go to `owners` of `table`, one for each.
    pub fn look(&self, payload: &Payload, owners: &[usize], table: &Table) {
        if !self.watches.load(Ordering::Relaxed) {
            return;
        }
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Watched { formers, counted } = &mut *watched;
        let now = Instant::now();
        formers.retain(|former| former.until > now);
        if formers.is_empty() {
            *counted = HashSet::new();
            return self.watches.store(false, Ordering::Relaxed);
        }
        let mut owners = owners.iter();
        payload.for_each_item(|item| {
            let endpoint = owners.next().and_then(|owner| table.endpoints.get(*owner));
            let (ItemView::Span(span), Some(endpoint)) = (item.view, endpoint) else { return };
            let Some(trace_id) = span.trace_id() else { return };
            let began = span.start_time_unix_nano();
            let moved = formers.iter().any(|former| {
                let owner = former.ring.owner(trace_id).and_then(|owner| former.owners.get(owner));
                owner.is_some_and(|(address, last)| *address != endpoint.address && began <= *last)
            });
            if moved && counted.insert(*trace_id) {
                self.counter.add(1);
                if counted.len() > COUNTED_MAX {
                    counted.clear();
                }
            }
        });
    }
}

fn unix_ns(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
