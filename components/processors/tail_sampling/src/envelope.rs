//! What stands around spans, kept once: resources and scopes as they came, bytes and all, and who sent them.
//!
//! Entries are shared by `Arc`; the tables forget those that nobody else holds ([`Envelopes::sweep`]). What they occupy is
//! on one gauge, from their making to their end.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pdata::account::Charge;
use pdata::wire::{Fields, LEN};
use pdata::{ByteAccount, Context};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::conditions::{Bits, Conditions};

/// What an entry of a table costs beside its bytes, about: the `Arc`, the table's slot, the allocator.
const ENTRY_BYTES: usize = 96;

/// Bytes on the account of all telemetry, and on the tables' gauge, for as long as it lives.
#[derive(Debug)]
struct Held {
    gauge: Arc<AtomicUsize>,
    charge: Charge,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.fetch_sub(self.charge.bytes(), Ordering::Relaxed);
    }
}

/// A resource, and what it answers to conditions.
#[derive(Debug)]
pub struct Resource {
    /// All fields of its `ResourceSpans` but the spans.
    pub bytes: Box<[u8]>,
    /// Answers to conditions.
    pub bits: Bits,
    /// Values that make kinds of traces.
    pub fields: SmallVec<[u64; 1]>,
    _held: Held,
}

/// A resource and a scope.
#[derive(Debug)]
pub struct Envelope {
    /// The resource.
    pub resource: Arc<Resource>,
    /// All fields of the `ScopeSpans` but the spans.
    pub scope: Box<[u8]>,
    _held: Held,
}

/// Who sent a trace: what stays of a request's context.
#[derive(Debug)]
pub struct Sender {
    /// Tenant and authentication.
    pub context: Arc<Context>,
    /// Of both.
    pub hash: u64,
    /// Of the tenant alone, the same in every process.
    pub tenant: u64,
    _held: Held,
}

/// One for the process, so that a successor knows traces by the same hashes.
fn random() -> &'static RandomState {
    static RANDOM: OnceLock<RandomState> = OnceLock::new();
    RANDOM.get_or_init(RandomState::new)
}

/// The tables.
#[derive(Debug)]
pub struct Envelopes {
    account: Arc<ByteAccount>,
    gauge: Arc<AtomicUsize>,
    /// What was left after the last sweep.
    swept: AtomicUsize,
    seed: u64,
    random: &'static RandomState,
    resources: Mutex<HashMap<u64, Arc<Resource>>>,
    envelopes: Mutex<HashMap<u64, Arc<Envelope>>>,
    senders: Mutex<HashMap<u64, Arc<Sender>>>,
}

impl Envelopes {
    /// Empty ones, whose entries are charged to `account`.
    #[must_use]
    pub fn new(account: Arc<ByteAccount>) -> Self {
        let random = random();
        Self {
            account,
            gauge: Arc::default(),
            swept: AtomicUsize::new(0),
            seed: random.hash_one(0_u8),
            random,
            resources: Mutex::default(),
            envelopes: Mutex::default(),
            senders: Mutex::default(),
        }
    }

    fn held(&self, bytes: usize) -> Held {
        self.gauge.fetch_add(bytes, Ordering::Relaxed);
        Held { gauge: Arc::clone(&self.gauge), charge: self.account.charge(bytes) }
    }

    /// Bytes that all entries occupy.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.gauge.load(Ordering::Relaxed)
    }

    /// A hash of a trace of a sender that nobody outside can aim at.
    #[must_use]
    pub fn hash(&self, trace_id: &[u8; 16], sender: &Sender) -> u64 {
        xxh3_64_with_seed(trace_id, self.seed ^ sender.hash)
    }

    /// The resource with those bytes.
    pub fn resource(&self, bytes: &[u8], conditions: &Conditions) -> Arc<Resource> {
        let hash = xxh3_64_with_seed(bytes, self.seed);
        let mut resources = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        let known = resources.get(&hash).filter(|known| *known.bytes == *bytes);
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let mut bits = Bits::from_elem(0, conditions.words());
        let mut fields = SmallVec::from_elem(0, conditions.fields());
        let message = Fields::new(bytes).find(|field| field.number == 1 && field.wire_type == LEN);
        if let Some(message) = message {
            conditions.read_resource(bytes.get(message.value).unwrap_or_default(), &mut bits, &mut fields);
        }
        let held = self.held(bytes.len() + size_of::<Resource>() + ENTRY_BYTES);
        let resource = Arc::new(Resource { bytes: bytes.into(), bits, fields, _held: held });
        resources.insert(hash, Arc::clone(&resource));
        resource
    }

    /// The scope with those bytes in that resource.
    pub fn envelope(&self, resource: &Arc<Resource>, scope: &[u8]) -> Arc<Envelope> {
        let address = Arc::as_ptr(resource) as usize as u64;
        let hash = xxh3_64_with_seed(scope, self.seed ^ address);
        let mut envelopes = self.envelopes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &&Arc<Envelope>| Arc::ptr_eq(&known.resource, resource) && *known.scope == *scope;
        if let Some(known) = envelopes.get(&hash).filter(is_same) {
            return Arc::clone(known);
        }
        let held = self.held(scope.len() + size_of::<Envelope>() + ENTRY_BYTES);
        let envelope = Arc::new(Envelope { resource: Arc::clone(resource), scope: scope.into(), _held: held });
        envelopes.insert(hash, Arc::clone(&envelope));
        envelope
    }

    /// The sender of a request.
    pub fn sender(&self, context: &Context) -> Arc<Sender> {
        let mut hasher = self.random.build_hasher();
        context.tenant.hash(&mut hasher);
        if let Some(auth) = &context.auth {
            auth.attributes.hash(&mut hasher);
        }
        let hash = hasher.finish();
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &&Arc<Sender>| known.context.merges_with(context, &[]);
        if let Some(known) = senders.get(&hash).filter(is_same) {
            return Arc::clone(known);
        }
        let kept = Context {
            auth: context.auth.clone(),
            tenant: context.tenant.clone(),
            arrival: context.arrival,
            ..Context::default()
        };
        let tenant = xxh3_64_with_seed(context.tenant_name().as_bytes(), 0);
        let held = self.held(size_of::<Sender>() + size_of::<Context>() + ENTRY_BYTES);
        let sender = Arc::new(Sender { context: Arc::new(kept), hash, tenant, _held: held });
        senders.insert(hash, Arc::clone(&sender));
        sender
    }

    /// Forgets what nobody else holds.
    pub fn sweep(&self) {
        fn sweep<T>(table: &Mutex<HashMap<u64, Arc<T>>>) {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            table.retain(|_, entry| Arc::strong_count(entry) > 1);
            if table.capacity() > 64 && table.len() < table.capacity() / 8 {
                table.shrink_to_fit();
            }
        }
        sweep(&self.envelopes);
        sweep(&self.resources);
        sweep(&self.senders);
        self.swept.store(self.held_bytes(), Ordering::Relaxed);
    }

    /// The same where there is much that may not be needed.
    pub fn sweep_if_grown(&self) {
        if self.held_bytes() > self.swept.load(Ordering::Relaxed) * 2 + (64 << 10) {
            self.sweep();
        }
    }
}
