//! The queue in memory: bounded by requests, items or bytes, acknowledges on enqueue.
//!
//! Room is a fair semaphore, so senders that wait for it (`block_on_overflow`) are served in order. It holds batches,
//! that is, shared bytes; nothing is copied. What it inherits from the queue of a replaced exporter may exceed its capacity:
//! the excess is a debt that freed room pays off before it is room again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use component::BoxFuture;
use pdata::Batch;
use tokio::sync::{Notify, Semaphore, TryAcquireError};
use tokio::time::{Instant, timeout_at};

use crate::config::Sizer;
use crate::queue::{Entry, PutError, PutRefusal, Queue, Record, Ticket};

/// See the module's head.
pub struct MemoryQueue {
    sizer: Sizer,
    capacity: u64,
    waits_for_room: bool,
    room: Semaphore,
    work: Notify,
    state: Mutex<State>,
}

/// The first ticket of a put. What is inherited is older, so its tickets count from 0.
const PUTS: u64 = 1 << 63;

#[derive(Default)]
struct State {
    /// From a predecessor; claimed first.
    inherited: VecDeque<Record>,
    waiting: VecDeque<Record>,
    /// Given back, until somebody takes them, with their tickets.
    left: Vec<(u64, Batch)>,
    used: u64,
    /// Room taken that was not there.
    debt: u64,
    puts: u64,
    inherits: u64,
    closed: bool,
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueue").field("used", &self.used()).field("capacity", &self.capacity).finish()
    }
}

impl MemoryQueue {
    /// A queue that holds `capacity` in units of `sizer`. While it is full, a put waits if `waits_for_room`, else it is
    /// refused.
    #[must_use]
    pub fn new(capacity: u64, sizer: Sizer, waits_for_room: bool) -> Self {
        let permits = usize::try_from(capacity).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            sizer,
            capacity: permits as u64,
            waits_for_room,
            room: Semaphore::new(permits),
            work: Notify::new(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take_room(&self, size: u64, deadline: Option<Instant>) -> Result<(), PutRefusal> {
        let full = || PutRefusal::Full { used: self.used(), capacity: self.capacity, sizer: self.sizer };
        let too_large = PutRefusal::TooLarge { size, capacity: self.capacity, sizer: self.sizer };
        let Some(permits) = u32::try_from(size).ok().filter(|_| size <= self.capacity) else { return Err(too_large) };
        let permit = match self.room.try_acquire_many(permits) {
            Err(TryAcquireError::NoPermits) if self.waits_for_room => {
                let acquire = self.room.acquire_many(permits);
                let acquired = match deadline {
                    Some(deadline) => timeout_at(deadline, acquire).await.map_err(|_elapsed| full())?,
                    None => acquire.await,
                };
                acquired.map_err(|_closed| PutRefusal::Closed)?
            }
            Err(TryAcquireError::NoPermits) => return Err(full()),
            Err(TryAcquireError::Closed) => return Err(PutRefusal::Closed),
            Ok(permit) => permit,
        };
        permit.forget();
        Ok(())
    }

    fn free_room(&self, size: u64) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(size);
        let paid = size.min(state.debt);
        state.debt -= paid;
        self.room.add_permits(usize::try_from(size - paid).unwrap_or(usize::MAX));
    }
}

impl Queue for MemoryQueue {
    fn put(&self, entry: Entry) -> BoxFuture<'_, Result<(), PutError>> {
        Box::pin(async move {
            let size = self.sizer.size(&entry.batch);
            let deadline = entry.batch.context().deadline.map(Instant::from_std);
            if let Err(refusal) = self.take_room(size, deadline).await {
                return Err(PutError { refusal, entry: Box::new(entry) });
            }
            let mut state = self.lock();
            if state.closed {
                return Err(PutError { refusal: PutRefusal::Closed, entry: Box::new(entry) });
            }
            let ticket = Ticket { id: PUTS + state.puts, size };
            state.puts += 1;
            state.used += size;
            state.waiting.push_back(Record { ticket, entry });
            drop(state);
            self.work.notify_one();
            Ok(())
        })
    }

    fn inherit(&self, entry: Entry) -> BoxFuture<'_, Result<(), PutError>> {
        Box::pin(async move {
            let size = self.sizer.size(&entry.batch);
            let mut state = self.lock();
            if state.closed {
                return Err(PutError { refusal: PutRefusal::Closed, entry: Box::new(entry) });
            }
            let room = self.room.forget_permits(usize::try_from(size).unwrap_or(usize::MAX));
            state.debt += size.saturating_sub(room as u64);
            let ticket = Ticket { id: state.inherits, size };
            state.inherits += 1;
            state.used += size;
            state.inherited.push_back(Record { ticket, entry });
            drop(state);
            self.work.notify_one();
            Ok(())
        })
    }

    fn claim(&self) -> BoxFuture<'_, Option<Record>> {
        Box::pin(async move {
            loop {
                let work = self.work.notified();
                {
                    let mut state = self.lock();
                    let inherited = state.inherited.pop_front();
                    if let Some(record) = inherited.or_else(|| state.waiting.pop_front()) {
                        return Some(record);
                    }
                    if state.closed {
                        return None;
                    }
                }
                work.await;
            }
        })
    }

    fn commit(&self, ticket: Ticket) {
        self.free_room(ticket.size);
    }

    fn give_back(&self, ticket: Ticket, undelivered: Vec<Batch>) {
        self.lock().left.extend(undelivered.into_iter().map(|batch| (ticket.id, batch)));
        self.free_room(ticket.size);
    }

    fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.work.notify_waiters();
    }

    fn take_left(&self) -> Vec<Entry> {
        let mut state = self.lock();
        let unclaimed: Vec<Record> = {
            let State { inherited, waiting, .. } = &mut *state;
            inherited.drain(..).chain(waiting.drain(..)).collect()
        };
        let size = unclaimed.iter().map(|record| record.ticket.size).sum();
        state.used = state.used.saturating_sub(size);
        let mut left: Vec<(u64, Entry)> = state.left.drain(..).map(|(id, batch)| (id, Entry::new(batch))).collect();
        left.extend(unclaimed.into_iter().map(|record| (record.ticket.id, record.entry)));
        // They came back in the order in which attempts ended.
        left.sort_by_key(|(id, _)| *id);
        left.into_iter().map(|(_, entry)| entry).collect()
    }

    fn used(&self) -> u64 {
        self.lock().used
    }

    fn capacity(&self) -> u64 {
        self.capacity
    }
}
