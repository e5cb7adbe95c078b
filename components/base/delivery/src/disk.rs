//! The queue on disk: acknowledges what is durable, hands out the oldest first, and keeps what is not delivered for the next
//! process.
//!
//! A `DiskQueue` is one exporter's view of a spool (`base/spool`), which a reload's successor shares: each claims what nobody
//! has. What was put a moment ago is still in memory and handed out without being read; behind a backlog, a few records are
//! read ahead. Items on disk are persisted in the books, not held.
//!
//! Order: oldest first, but what several tasks put at the same time, what was given back, and what was inherited comes in the
//! order in which it was stored.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use component::{BoxFuture, Counter, Stored};
use pdata::{Batch, ByteAccount, Ledger, Outcome, Payload, Utf8Policy};
use spool::{Claimed, Found, Put, Size, Spool, SpoolError, Unreadable};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::config::Sizer;
use crate::queue::{Entry, Kept, PutError, PutRefusal, Queue, Record, Ticket};
use crate::record;

/// Bytes of records read ahead, at most, unless one alone has more.
const AHEAD_BYTES: usize = 1 << 20;
/// Records read ahead, at most.
const AHEAD_RECORDS: usize = 64;

/// See the module's head. Cheap to clone.
#[derive(Clone)]
pub struct DiskQueue(Arc<Inner>);

struct Inner {
    sizer: Sizer,
    capacity: u64,
    waits_for_room: bool,
    opened: RwLock<Option<Opened>>,
    /// Held by the sender that waits for room before the others.
    line: tokio::sync::Mutex<()>,
    ahead: Mutex<Ahead>,
    /// Something is ahead, or it was closed.
    changed: Notify,
}

/// What it works with while it is open.
#[derive(Clone)]
struct Opened {
    spool: Spool<Stored>,
    account: Arc<ByteAccount>,
    ledger: Arc<Ledger>,
    recovered: Counter,
}

#[derive(Default)]
struct Ahead {
    records: VecDeque<Record>,
    is_reading: bool,
    is_closed: bool,
}

impl fmt::Debug for DiskQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskQueue").field("used", &self.used()).field("capacity", &self.0.capacity).finish()
    }
}

fn measure(sizer: Sizer, size: Size) -> u64 {
    match sizer {
        Sizer::Requests => size.records,
        Sizer::Items => size.items,
        Sizer::Bytes => size.bytes,
    }
}

fn size_of(batch: &Batch) -> Size {
    Size::of(batch.items(), batch.encoded_len() as u64)
}

impl DiskQueue {
    /// A queue that holds `capacity` in units of `sizer`, once it is opened. While it is full, a put waits if
    /// `waits_for_room`, else it is refused.
    #[must_use]
    pub fn new(capacity: u64, sizer: Sizer, waits_for_room: bool) -> Self {
        Self(Arc::new(Inner {
            sizer,
            capacity,
            waits_for_room,
            opened: RwLock::default(),
            line: tokio::sync::Mutex::default(),
            ahead: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Uses `spool` from now on. What is read is charged to `account` and stands in the books of `ledger`; items of former
    /// processes are counted by `recovered`. Returns what an
    /// earlier process left in it; `None` if it was closed meanwhile.
    pub(crate) fn open(
        &self,
        spool: Spool<Stored>,
        account: &Arc<ByteAccount>,
        ledger: &Arc<Ledger>,
        recovered: Counter,
    ) -> Option<Size> {
        if !spool.join() {
            return None;
        }
        let is_shared = spool.users() > 1;
        let found = if is_shared { Size::default() } else { spool.held() };
        let (account, ledger) = (Arc::clone(account), Arc::clone(ledger));
        let opened = Opened { spool, account, ledger, recovered };
        *self.0.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Some(found)
    }

    fn opened(&self) -> Option<Opened> {
        self.0.opened.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.0.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full(&self, held: Size) -> PutRefusal {
        let Inner { sizer, capacity, .. } = *self.0;
        PutRefusal::Full { used: measure(sizer, held), capacity, sizer }
    }

    /// Takes room for `size`, or says why not.
    async fn take_room(&self, spool: &Spool<Stored>, size: Size, deadline: Option<Instant>) -> Result<(), PutRefusal> {
        let Inner { sizer, capacity, waits_for_room, .. } = *self.0;
        let asked = measure(sizer, size);
        if asked > capacity {
            return Err(PutRefusal::TooLarge { size: asked, capacity, sizer });
        }
        let fits = |held| measure(sizer, held).saturating_add(asked) <= capacity;
        if !waits_for_room {
            return spool.reserve(size, fits).map_err(|held| self.full(held));
        }
        let waiting = async {
            let _first_in_line = self.0.line.lock().await;
            loop {
                let mut changed = std::pin::pin!(spool.changed());
                let mut closed = std::pin::pin!(self.0.changed.notified());
                changed.as_mut().enable();
                closed.as_mut().enable();
                if self.ahead().is_closed {
                    return Err(PutRefusal::Closed);
                }
                if spool.reserve(size, fits).is_ok() {
                    return Ok(());
                }
                tokio::select! {
                    () = changed => {}
                    () = closed => {}
                }
            }
        };
        match deadline {
            Some(deadline) => timeout_at(deadline, waiting).await.unwrap_or_else(|_| Err(self.full(spool.held()))),
            None => waiting.await,
        }
    }

    /// Stores an entry whose room is taken.
    async fn store(&self, spool: &Spool<Stored>, entry: Entry, size: Size) -> Result<(), PutError> {
        let Entry { batch, waiter } = entry;
        let body = batch.payload().segments().iter().map(|segment| segment.bytes().clone()).collect();
        let (payload, context) = (batch.payload().clone(), Arc::clone(batch.context()));
        let put = Put { head: record::encode(&batch), body, size, live: Stored(batch) };
        match spool.append(put).await {
            Ok(_) => Ok(()),
            Err((error, live)) => {
                // Lost by a panic: the books show it, and the sender has its telemetry back.
                let batch = live.map_or_else(|| Batch::new(payload, context), |Stored(batch)| batch);
                let refusal = match error {
                    SpoolError::Closed => PutRefusal::Closed,
                    error => PutRefusal::Storage(error.in_full()),
                };
                Err(PutError { refusal, entry: Box::new(Entry { batch, waiter }) })
            }
        }
    }

    /// Begins to read ahead, unless somebody does.
    fn read_ahead(&self, opened: Opened) {
        if std::mem::replace(&mut self.ahead().is_reading, true) {
            return;
        }
        let queue = self.clone();
        // It ends by itself, and tells.
        drop(tokio::task::spawn_blocking(move || {
            let records = opened.read(AHEAD_BYTES, AHEAD_RECORDS);
            let mut ahead = queue.ahead();
            ahead.is_reading = false;
            if ahead.is_closed {
                records.into_iter().for_each(|record| opened.put_back(record));
            } else {
                ahead.records.extend(records);
            }
            drop(ahead);
            queue.0.changed.notify_waiters();
        }));
    }
}

impl Opened {
    /// Claims and reads the oldest records, of `bytes_max` or one.
    fn read(&self, bytes_max: usize, records_max: usize) -> Vec<Record> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && records.len() < records_max
            && let Some(claimed) = self.spool.claim()
        {
            match claimed {
                Ok(claimed) => {
                    if let Some(record) = self.record(claimed) {
                        bytes += record.entry.batch.encoded_len();
                        records.push(record);
                    }
                }
                Err(unreadable) => self.unreadable(&unreadable),
            }
        }
        records
    }

    fn record(&self, claimed: Claimed<Stored>) -> Option<Record> {
        let Claimed { sequence, run, found } = claimed;
        let batch = match found {
            Found::Resident(Stored(batch)) => batch,
            Found::Stored(stored) => {
                let is_ours = run == self.spool.run();
                let Some(head) = record::decode(&stored.head) else {
                    tracing::error!(spool = %self.spool.directory().display(), sequence, "a stored record cannot be understood");
                    self.spool.damaged(sequence);
                    return None;
                };
                let charge = self.account.charge(stored.body.len());
                let stake = head.stake(&self.ledger, is_ours);
                let read = Payload::from_body(head.signal, stored.body, charge, Utf8Policy::Repair);
                let items = stake.items();
                let payload = match read {
                    Ok((payload, _)) if stake.is_none() || payload.items() == items => payload,
                    other => {
                        let error = other.err().map(|invalid| invalid.to_string());
                        tracing::error!(
                            spool = %self.spool.directory().display(), sequence, error, lost_items = items,
                            "a stored record is not telemetry"
                        );
                        stake.settle(Outcome::Dropped(DAMAGED));
                        self.spool.damaged(sequence);
                        return None;
                    }
                };
                if !is_ours {
                    self.recovered.add(payload.items());
                }
                Batch::from_parts(payload, Arc::new(head.context), stake)
            }
        };
        // The room is the spool's matter.
        let ticket = Ticket { id: sequence, size: 0 };
        Some(Record { ticket, entry: Entry::new(batch) })
    }

    fn unreadable(&self, unreadable: &Unreadable) {
        let Unreadable { run, items, head, error } = unreadable;
        let error = error.in_full();
        tracing::error!(error, lost_items = items, "a stored record is damaged; its file is put aside");
        // Without a head nobody knows whose items they were: what was persisted of them stays so, in the file put aside.
        if let Some(head) = head.as_ref().and_then(|head| record::decode(head)) {
            head.stake(&self.ledger, *run == self.spool.run()).settle(Outcome::Dropped(DAMAGED));
        }
    }

    fn put_back(&self, record: Record) {
        self.give_back(record.ticket, [record.entry.batch]);
    }

    fn give_back(&self, ticket: Ticket, undelivered: impl IntoIterator<Item = Batch>) {
        for batch in undelivered {
            let (_, _, stake) = batch.into_parts();
            stake.persist();
        }
        self.spool.give_back(ticket.id);
    }
}

/// Why items are dropped whose record is damaged.
const DAMAGED: &str = "damaged_on_disk";

impl Queue for DiskQueue {
    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), PutError>> {
        Box::pin(async move {
            let closed = || PutRefusal::Closed;
            let Some(Opened { spool, .. }) = self.opened().filter(|_| !self.ahead().is_closed) else {
                return Err(PutError { refusal: closed(), entry: Box::new(entry) });
            };
            let size = size_of(&entry.batch);
            let deadline = entry.batch.context().deadline.map(Instant::from_std);
            if let Err(refusal) = self.take_room(&spool, size, deadline).await {
                return Err(PutError { refusal, entry: Box::new(entry) });
            }
            self.store(&spool, entry, size).await
        })
    }

    fn inherit(&self, entry: Entry) -> BoxFuture<'_, Result<(), PutError>> {
        Box::pin(async move {
            let Some(Opened { spool, .. }) = self.opened().filter(|_| !self.ahead().is_closed) else {
                return Err(PutError { refusal: PutRefusal::Closed, entry: Box::new(entry) });
            };
            let size = size_of(&entry.batch);
            // Fits always.
            let _always = spool.reserve(size, |_| true);
            self.store(&spool, entry, size).await
        })
    }

    fn claim(&self) -> BoxFuture<'_, Option<Record>> {
        Box::pin(async move {
            let opened = self.opened()?;
            loop {
                let mut stored = std::pin::pin!(opened.spool.changed());
                let mut changed = std::pin::pin!(self.0.changed.notified());
                stored.as_mut().enable();
                changed.as_mut().enable();
                let is_reading = {
                    let mut ahead = self.ahead();
                    if ahead.is_closed {
                        return None;
                    }
                    if let Some(record) = ahead.records.pop_front() {
                        return Some(record);
                    }
                    ahead.is_reading
                };
                if !is_reading {
                    match opened.spool.claim_resident() {
                        Ok(Some(claimed)) => match opened.record(claimed) {
                            Some(record) => return Some(record),
                            None => continue,
                        },
                        Ok(None) => {}
                        Err(()) => self.read_ahead(opened.clone()),
                    }
                }
                tokio::select! {
                    () = stored => {}
                    () = changed => {}
                }
            }
        })
    }

    fn commit(&self, ticket: Ticket) {
        if let Some(opened) = self.opened() {
            opened.spool.commit(ticket.id);
        }
    }

    fn give_back(&self, ticket: Ticket, undelivered: Vec<Batch>) {
        if let Some(opened) = self.opened() {
            opened.give_back(ticket, undelivered);
        }
    }

    fn close(&self) {
        self.ahead().is_closed = true;
        self.0.changed.notify_waiters();
    }

    fn take_left(&self) -> Vec<Entry> {
        let ahead = std::mem::take(&mut self.ahead().records);
        if let Some(opened) = self.opened() {
            ahead.into_iter().for_each(|record| opened.put_back(record));
        }
        Vec::new()
    }

    fn outlives_process(&self) -> bool {
        true
    }

    fn next_kept(&self) -> BoxFuture<'_, Option<Record>> {
        Box::pin(async move {
            let opened = self.opened().filter(|opened| opened.spool.users() == 1)?;
            let read = tokio::task::spawn_blocking(move || opened.read(1, 1).pop());
            // A runtime that ends reads nothing more.
            read.await.ok().flatten()
        })
    }

    fn finish(&self) -> BoxFuture<'_, Kept> {
        Box::pin(async move {
            loop {
                let mut changed = std::pin::pin!(self.0.changed.notified());
                changed.as_mut().enable();
                if !self.ahead().is_reading {
                    break;
                }
                changed.await;
            }
            let opened = self.0.opened.write().unwrap_or_else(PoisonError::into_inner).take();
            let Some(Opened { spool, .. }) = opened else { return Kept::default() };
            let stays = spool.leave().await;
            Kept { records: stays.records, items: stays.items, is_shared: spool.users() > 0 }
        })
    }

    fn used(&self) -> u64 {
        self.opened().map_or(0, |opened| measure(self.0.sizer, opened.spool.held()))
    }

    fn capacity(&self) -> u64 {
        self.0.capacity
    }
}
