//! The telemetry of a batch: serialized export requests, one after another.
//!
//! Serialized OTLP requests concatenate (their only field is repeated), so a payload is a rope of [`Segment`]s and
//! merging moves no bytes. Segments are immutable and have passed [`crate::validate`].

use bytes::Bytes;
use smallvec::SmallVec;

use crate::account::Charge;
use crate::signal::Signal;
use crate::validate::{self, Invalid, Repairs, Utf8Policy};

/// One serialized export request that has been validated.
#[derive(Clone, Debug)]
pub struct Segment {
    bytes: Bytes,
    items: u32,
}

impl Segment {
    /// Wraps bytes that are known to be a valid request with `items` items, because this program wrote them.
    #[must_use]
    pub fn trusted(bytes: Bytes, items: u32) -> Self {
        Self { bytes, items }
    }

    /// The serialized request.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Items in it.
    #[must_use]
    pub fn items(&self) -> u32 {
        self.items
    }
}

/// Telemetry of one signal, on the wire. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Payload {
    signal: Signal,
    segments: SmallVec<[Segment; 1]>,
}

impl Payload {
    /// No items.
    #[must_use]
    pub fn empty(signal: Signal) -> Self {
        Self { signal, segments: SmallVec::new() }
    }

    /// Validates a request that arrived, joins it with its charge, and freezes it.
    ///
    /// # Errors
    /// [`Invalid`] when it is malformed.
    pub fn from_body(
        signal: Signal,
        mut body: Vec<u8>,
        charge: Charge,
        policy: Utf8Policy,
    ) -> Result<(Self, Repairs), Invalid> {
        let validated = validate::validate(signal, &mut body, policy)?;
        let segment = Segment { bytes: charge.freeze(body), items: validated.items };
        Ok((Self { signal, segments: SmallVec::from_iter([segment]) }, validated.repairs))
    }

    /// A payload of segments, in order.
    #[must_use]
    pub fn from_segments(signal: Signal, segments: impl IntoIterator<Item = Segment>) -> Self {
        Self { signal, segments: segments.into_iter().collect() }
    }

    /// What it carries.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The segments in order. Their bytes, one after another, are one serialized export request.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The segments in order, to be put together anew.
    #[must_use]
    pub fn into_segments(self) -> SmallVec<[Segment; 1]> {
        self.segments
    }

    /// Spans, data points or log records.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.items)).sum()
    }

    /// Size of the serialized request in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes.len()).sum()
    }

    /// Appends `other`, which must be of the same signal. Moves no bytes.
    pub fn append(&mut self, other: Self) {
        debug_assert_eq!(self.signal, other.signal, "payloads of one signal are merged");
        self.segments.extend(other.segments);
    }

    /// The serialized request in one buffer: the segment itself when there is one, else a copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self.segments.as_slice() {
            [only] => only.bytes.clone(),
            segments => segments.iter().map(|segment| &segment.bytes[..]).collect::<Vec<_>>().concat().into(),
        }
    }
}
