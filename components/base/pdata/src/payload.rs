//! The telemetry of a batch: serialized export requests, one after another.
//!
//! Serialized OTLP requests concatenate (their only field is repeated), so a payload is a rope of [`Segment`]s and
//! merging moves no bytes. Segments are immutable and have passed [`crate::validate`].

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::account::{ByteAccount, Charge};
use crate::index::Index;
use crate::signal::Signal;
use crate::validate::{self, Invalid, Repairs, Utf8Policy};

/// One serialized export request that has been validated.
#[derive(Clone, Debug)]
pub struct Segment {
    bytes: Bytes,
    items: u32,
    shared: Arc<Shared>,
}

/// What the clones of a segment share.
#[derive(Debug)]
struct Shared {
    /// Where the bytes, and copies of parts of them, are charged.
    account: Option<Arc<ByteAccount>>,
    index: OnceLock<Index>,
}

impl Segment {
    /// Wraps bytes that are known to be a valid request with `items` items, because this program wrote them.
    #[must_use]
    pub fn trusted(bytes: Bytes, items: u32) -> Self {
        Self::new(bytes, items, None)
    }

    fn new(bytes: Bytes, items: u32, account: Option<Arc<ByteAccount>>) -> Self {
        Self { bytes, items, shared: Arc::new(Shared { account, index: OnceLock::new() }) }
    }

    /// Wraps a valid request with `items` items that this program wrote, and charges it to `account` without asking.
    #[must_use]
    pub fn charged(body: Vec<u8>, items: u32, account: Option<&Arc<ByteAccount>>) -> Self {
        match account {
            Some(account) => Self::frozen(body, account.charge(0), items),
            None => Self::new(body.into(), items, None),
        }
    }

    /// Joins a valid request with `items` items and its charge, which is set to what the body occupies.
    #[must_use]
    pub fn frozen(body: Vec<u8>, charge: Charge, items: u32) -> Self {
        let account = Arc::clone(charge.account());
        Self::new(charge.freeze(body), items, Some(account))
    }

    /// The account its bytes are charged to; parts cut from it are charged there too.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<ByteAccount>> {
        self.shared.account.as_ref()
    }

    /// Where resources, scopes, metrics and items are in it. Built on first use, shared by clones.
    #[must_use]
    pub fn item_index(&self, signal: Signal) -> &Index {
        self.shared.index.get_or_init(|| Index::new(signal, &self.bytes, self.items))
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
        let segment = Segment::frozen(body, charge, validated.items);
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
