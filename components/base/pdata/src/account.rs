//! One account of all telemetry bytes held in memory.
//!
//! Bodies are charged as their bytes arrive ([`Charge::grow`]), frozen together with their charge
//! ([`Charge::freeze`]), and released with the last clone of the resulting [`Bytes`]. Receivers ask the account (and
//! the gates that memory limiters put in front of pipelines) before they read a body.
//!
//! The account counts capacity handed out to telemetry bodies, not allocator overhead; a memory limiter compares RSS too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

/// How long a refused sender is told to wait.
pub const RETRY_HINT: Duration = Duration::from_secs(1);

/// The process-wide account of telemetry bytes. Cheap to share: an `Arc` of a few atomics.
#[derive(Debug)]
pub struct ByteAccount {
    held: AtomicUsize,
    cap: AtomicUsize,
    peak: AtomicUsize,
    taken: AtomicU64,
    refused_requests: AtomicU64,
}

/// What is short when bytes are not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Memory for telemetry.
    Memory,
    /// Anything, at a gate that lets a share of requests in.
    Load,
}

/// Why bytes were not admitted. Retryable by definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded {
    /// What is short.
    pub shortage: Shortage,
    /// Bytes on the account when asked.
    pub held: usize,
    /// Bytes asked for.
    pub asked: usize,
    /// The limit that was in the way, in bytes.
    pub limit: usize,
    /// How long the sender should wait before it tries again.
    pub retry_after: Duration,
}

impl fmt::Display for Overloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, asked, limit, .. } = self;
        match self.shortage {
            Shortage::Memory => write!(
                f,
                "data refused due to high memory usage: {held} bytes held, {asked} more asked for, limit {limit}"
            ),
            Shortage::Load => f.write_str("data refused due to overload, try again later"),
        }
    }
}

impl std::error::Error for Overloaded {}

impl ByteAccount {
    /// An account that admits up to `cap_bytes`.
    #[must_use]
    pub fn new(cap_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            cap: AtomicUsize::new(cap_bytes),
            peak: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            refused_requests: AtomicU64::new(0),
        })
    }

    /// An account without a cap, for tests and tools.
    #[must_use]
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The most bytes ever held at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Bytes ever taken, given back or not.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The cap in bytes.
    #[must_use]
    pub fn cap(&self) -> usize {
        self.cap.load(Ordering::Relaxed)
    }

    /// Replaces the cap. Bytes already held stay.
    pub fn set_cap(&self, cap_bytes: usize) {
        self.cap.store(cap_bytes, Ordering::Relaxed);
    }

    /// How many requests for bytes were refused since the start.
    #[must_use]
    pub fn refused_requests(&self) -> u64 {
        self.refused_requests.load(Ordering::Relaxed)
    }

    /// Takes `bytes` if they fit under the cap.
    ///
    /// # Errors
    /// [`Overloaded`] when they do not; nothing is taken then.
    pub fn try_charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, Overloaded> {
        let mut charge = Charge { account: Arc::clone(self), bytes: 0, limit: usize::MAX };
        charge.grow(bytes)?;
        Ok(charge)
    }

    /// Takes `bytes` without asking: for data that replaces data already admitted (an edit's result, a merge).
    #[must_use]
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        self.add(bytes);
        Charge { account: Arc::clone(self), bytes, limit: usize::MAX }
    }

    fn add(&self, bytes: usize) {
        let now = self.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.peak.fetch_max(now, Ordering::Relaxed);
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn try_add(&self, bytes: usize, limit: usize) -> Result<(), Overloaded> {
        let limit = self.cap().min(limit);
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            self.refused_requests.fetch_add(1, Ordering::Relaxed);
            let (shortage, retry_after) = (Shortage::Memory, RETRY_HINT);
            return Err(Overloaded { shortage, held: before, asked: bytes, limit, retry_after });
        }
        self.peak.fetch_max(before.saturating_add(bytes), Ordering::Relaxed);
        self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Bytes taken from a [`ByteAccount`]; given back when dropped.
pub struct Charge {
    account: Arc<ByteAccount>,
    bytes: usize,
    /// What the account may hold when this charge grows; at most its cap counts.
    limit: usize,
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").field("bytes", &self.bytes).finish()
    }
}

impl Charge {
    /// Bytes taken.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets the charge grow only while the account holds at most `bytes`: a memory limiter's bar for a body that turns
    /// out larger than announced (decompression).
    #[must_use]
    pub fn limited_to(mut self, bytes: usize) -> Self {
        self.limit = self.limit.min(bytes);
        self
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Overloaded`] when they do not fit; the charge stays as it was.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Overloaded> {
        self.account.try_add(bytes, self.limit)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Gives back what exceeds `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(excess) = self.bytes.checked_sub(bytes) {
            self.account.held.fetch_sub(excess, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }

    /// Sets the charge to `bytes` without asking, up or down.
    pub fn resize(&mut self, bytes: usize) {
        if let Some(more) = bytes.checked_sub(self.bytes) {
            self.account.add(more);
            self.bytes = bytes;
        } else {
            self.shrink_to(bytes);
        }
    }

    /// The account it was taken from.
    #[must_use]
    pub fn account(&self) -> &Arc<ByteAccount> {
        &self.account
    }

    /// Joins the body and its charge: the charge is given back when the last clone or slice of the result is gone.
    /// The charge is first set to the buffer's capacity, so what is counted is what is occupied.
    #[must_use]
    pub fn freeze(mut self, body: Vec<u8>) -> Bytes {
        self.resize(body.capacity());
        Bytes::from_owner(Charged { body, _charge: self })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Charged {
    body: Vec<u8>,
    _charge: Charge,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// The golden ratio of 2^32: multiples of it, in 32 bits, are spread as evenly as can be, however many are taken.
const GOLDEN: u32 = 0x9e37_79b9;

/// All requests, as a share at a gate.
const EVERY: u64 = 1 << 32;

/// `hint` ±50 %, another one each turn, so that those who are refused together do not come back together.
fn jittered(hint: Duration, turn: u64) -> Duration {
    let place = f64::from((turn as u32).wrapping_mul(GOLDEN)) / EVERY as f64;
    hint.mul_f64(0.5 + place)
}

/// A memory limiter's bar in front of a pipeline, or in front of all. The graph hands the gates that lie downstream to each
/// receiver's edge, which asks them before a body is read.
#[derive(Debug)]
pub struct Gate {
    soft_bytes: AtomicUsize,
    closed: AtomicBool,
    /// How many of [`EVERY`] requests are let in.
    admitted: AtomicU64,
    asked: AtomicU32,
    retry_millis: AtomicU64,
    refused_requests: AtomicU64,
}

impl Gate {
    /// A gate that closes when the account would exceed `soft_bytes`, or when [`Gate::set_closed`] says so.
    #[must_use]
    pub fn new(soft_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            soft_bytes: AtomicUsize::new(soft_bytes),
            closed: AtomicBool::new(false),
            admitted: AtomicU64::new(EVERY),
            asked: AtomicU32::new(0),
            retry_millis: AtomicU64::new(RETRY_HINT.as_millis() as u64),
            refused_requests: AtomicU64::new(0),
        })
    }

    /// Replaces the soft limit.
    pub fn set_soft_bytes(&self, soft_bytes: usize) {
        self.soft_bytes.store(soft_bytes, Ordering::Relaxed);
    }

    /// The soft limit.
    #[must_use]
    pub fn soft_bytes(&self) -> usize {
        self.soft_bytes.load(Ordering::Relaxed)
    }

    /// Closes or opens the gate regardless of the account (memory measured by other means is over the limit).
    pub fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::Relaxed);
    }

    /// Whether [`Gate::set_closed`] closed it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Lets in this share of requests, 0 to 1, evenly spread, whatever the account holds; all of them to begin with. Those
    /// that are refused are told to come back after `retry_hint` ±50 %.
    pub fn set_admitted(&self, share: f64, retry_hint: Duration) {
        self.retry_millis.store(u64::try_from(retry_hint.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.admitted.store((share.clamp(0.0, 1.0) * EVERY as f64) as u64, Ordering::Relaxed);
    }

    fn is_unlucky(&self) -> bool {
        let admitted = self.admitted.load(Ordering::Relaxed);
        admitted < EVERY && u64::from(self.asked.fetch_add(GOLDEN, Ordering::Relaxed)) >= admitted
    }

    fn retry_hint(&self) -> Duration {
        Duration::from_millis(self.retry_millis.load(Ordering::Relaxed))
    }

    /// How many requests it has refused.
    #[must_use]
    pub fn refused_requests(&self) -> u64 {
        self.refused_requests.load(Ordering::Relaxed)
    }

    /// May `more_bytes` be added to what `account` holds?
    ///
    /// # Errors
    /// [`Overloaded`] when the gate is closed, the sum would reach the soft limit, or the request is not of the share that is
    /// let in.
    pub fn check(&self, account: &ByteAccount, more_bytes: usize) -> Result<(), Overloaded> {
        let (held, limit) = (account.held(), self.soft_bytes());
        if self.is_closed() || held.saturating_add(more_bytes) >= limit {
            self.refused_requests.fetch_add(1, Ordering::Relaxed);
            return Err(Overloaded {
                shortage: Shortage::Memory,
                held,
                asked: more_bytes,
                limit,
                retry_after: RETRY_HINT,
            });
        }
        if self.is_unlucky() {
            let turn = self.refused_requests.fetch_add(1, Ordering::Relaxed);
            let retry_after = jittered(self.retry_hint(), turn);
            return Err(Overloaded { shortage: Shortage::Load, held, asked: more_bytes, limit, retry_after });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_above_the_cap_and_takes_nothing() {
        let account = ByteAccount::new(100);
        let first = account.try_charge(60).unwrap();
        let refusal = account.try_charge(41).unwrap_err();
        assert_eq!((refusal.held, refusal.asked, refusal.limit), (60, 41, 100));
        assert_eq!(account.held(), 60);
        drop(first);
        assert_eq!(account.held(), 0);
        assert_eq!(account.refused_requests(), 1);
    }

    #[test]
    fn a_limited_charge_stops_growing_at_its_limit() {
        let account = ByteAccount::new(100);
        let mut charge = account.try_charge(10).unwrap().limited_to(50);
        assert_eq!(charge.grow(41).unwrap_err().limit, 50);
        charge.grow(40).unwrap();
        assert!(account.try_charge(50).is_ok(), "the account's own cap is higher");
    }

    #[test]
    fn frozen_bytes_release_with_the_last_clone() {
        let account = ByteAccount::unlimited();
        let mut body = Vec::with_capacity(64);
        body.extend_from_slice(b"hello");
        let bytes = account.try_charge(5).unwrap().freeze(body);
        let slice = bytes.slice(1..3);
        assert_eq!(account.held(), 64);
        drop(bytes);
        assert_eq!(account.held(), 64);
        drop(slice);
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn gate_closes_at_its_soft_limit() {
        let account = ByteAccount::unlimited();
        let gate = Gate::new(10);
        assert!(gate.check(&account, 9).is_ok());
        assert!(gate.check(&account, 10).is_err());
        gate.set_closed(true);
        assert!(gate.check(&account, 0).is_err());
        assert_eq!(gate.refused_requests(), 2);
    }

    #[test]
    fn gate_lets_a_share_in_evenly_and_spreads_who_comes_back() {
        let account = ByteAccount::unlimited();
        let gate = Gate::new(usize::MAX);
        gate.set_admitted(0.25, Duration::from_secs(4));
        let mut refusals = Vec::new();
        for hundred in 1..=10 {
            let asked = (0..100).map(|_| gate.check(&account, 1));
            refusals.extend(asked.filter_map(Result::err));
            let expected = 75 * hundred;
            assert!(refusals.len().abs_diff(expected) <= 2, "{} instead of {expected}", refusals.len());
        }
        assert!(refusals.iter().all(|refusal| refusal.shortage == Shortage::Load));
        let delays = refusals.iter().map(|refusal| refusal.retry_after.as_secs_f64());
        assert!(delays.clone().all(|delay| (2.0..6.0).contains(&delay)));
        assert!((delays.sum::<f64>() / refusals.len() as f64 - 4.0).abs() < 0.05);
        assert_eq!(refusals[0].to_string(), "data refused due to overload, try again later");
        gate.set_admitted(1.0, RETRY_HINT);
        assert!((0..100).all(|_| gate.check(&account, 1).is_ok()));
        gate.set_admitted(0.0, RETRY_HINT);
        assert!((0..100).all(|_| gate.check(&account, 1).is_err()));
    }
}
