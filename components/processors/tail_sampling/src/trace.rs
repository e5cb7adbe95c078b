//! A trace that waits: its spans as bytes, and what is known of them.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pdata::ledger::Stake;
use sampling::Threshold;

use crate::envelope::{Envelope, Sender};
use crate::pages::Piece;
use crate::policy::{Decision, Facts};

/// Spans that came together are kept in pieces of this size, a larger span alone.
pub const CHUNK_BYTES_MAX: usize = 64 << 10;

/// What the allocator makes of an allocation.
#[must_use]
pub const fn allocated(bytes: usize) -> usize {
    let with_header = (bytes + 8).next_multiple_of(16);
    if with_header < 32 { 32 } else { with_header }
}

/// The threshold that the degraded mode's step `gate` set for a new trace, in steps of 2^-32; none where it was not on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor(u32);

impl Floor {
    /// None.
    pub const NONE: Self = Self(0);

    /// Of how many parts of 2^56 are rejected, rounded down.
    #[must_use]
    pub fn rejecting(parts: u64) -> Self {
        Self(u32::try_from(parts >> 24).unwrap_or(u32::MAX))
    }

    /// As a threshold.
    #[must_use]
    pub fn threshold(self) -> Threshold {
        Threshold::rejecting(u64::from(self.0) << 24)
    }
}

/// No policy keeps the span by itself, or none was asked.
pub const NOT_ALONE: u16 = u16::MAX;

/// Spans of a trace that came together, of one scope.
#[derive(Debug)]
pub struct Chunk {
    /// Fields `spans` of a `ScopeSpans`, tags and lengths included.
    pub bytes: Box<[u8]>,
    /// Resource and scope.
    pub envelope: Arc<Envelope>,
    /// Spans.
    pub spans: u32,
    /// The policy that keeps each of them whatever else the trace holds, by place; [`NOT_ALONE`] for none.
    pub alone: u16,
}

/// A chunk that waits.
#[derive(Debug)]
pub struct Stored {
    /// See [`Chunk::bytes`].
    pub piece: Piece,
    /// See [`Chunk::envelope`].
    pub envelope: Arc<Envelope>,
    /// See [`Chunk::spans`].
    pub spans: u32,
    /// See [`Chunk::alone`].
    pub alone: u16,
}

impl From<Stored> for Chunk {
    fn from(Stored { piece, envelope, spans, alone }: Stored) -> Self {
        Self { bytes: piece.to_bytes(), envelope, spans, alone }
    }
}

/// When the first sampler of this process was made, in ns since the epoch: one that a reload makes is given what its
/// predecessor had.
#[must_use]
pub fn process_began() -> u64 {
    static BEGAN: LazyLock<u64> = LazyLock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    });
    *BEGAN
}

/// A trace that waits for its decision.
#[derive(Debug)]
pub struct Trace {
    /// Orders traces by arrival.
    pub number: u64,
    /// Who sent it.
    pub sender: Arc<Sender>,
    /// When its first span arrived, since the start of the processor.
    pub arrived: Duration,
    /// The tick at which it is decided.
    pub due: u64,
    /// The gate's threshold when it was new.
    pub floor: Floor,
    /// What follows from the votes so far, where policies are asked as spans arrive.
    pub so_far: Decision,
    /// What is known of it.
    pub facts: Facts,
    /// Its side of the books.
    pub stake: Stake,
    /// Its spans in order of arrival.
    pub chunks: Vec<Stored>,
    /// Bytes of its chunks.
    pub chunk_bytes: usize,
}

impl Trace {
    /// Bytes that it occupies beside its chunks' in pages.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        allocated(size_of::<Self>()) + allocated(self.chunks.capacity() * size_of::<Stored>())
    }

    /// Adds spans.
    pub fn push(&mut self, chunk: Stored) {
        if self.chunks.len() == self.chunks.capacity() {
            self.chunks.reserve_exact(self.chunks.len() / 2 + 1);
        }
        self.chunk_bytes += chunk.piece.len();
        self.chunks.push(chunk);
    }
}

/// Spans on their way out.
#[derive(Debug)]
pub struct Kept {
    /// Who sent them.
    pub sender: Arc<Sender>,
    /// The spans.
    pub chunks: Vec<Chunk>,
    /// Their side of the books.
    pub stake: Stake,
    /// Why they are kept; none for spans that are passed on undecided.
    pub decision: Option<Decision>,
    /// What spans carry at least that no policy keeps by themselves.
    pub floor: Floor,
}

impl From<(Trace, Option<Decision>)> for Kept {
    fn from((trace, decision): (Trace, Option<Decision>)) -> Self {
        let chunks = trace.chunks.into_iter().map(Chunk::from).collect();
        Self { sender: trace.sender, chunks, stake: trace.stake, decision, floor: trace.floor }
    }
}
