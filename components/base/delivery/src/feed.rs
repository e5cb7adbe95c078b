//! From records to requests: batching behind the queue.
//!
//! Without a `batch` block each record is a request. With one, records are merged per partition (tenant, authenticated
//! sender, and the metadata keys that something reads) until `min_size` or `flush_timeout`, and split above `max_size`.
//! What waits here is claimed but not committed, so the queue's bound covers it. Merging moves no bytes.
//!
//! One task owns a feed: the dispatcher.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use pdata::Context;
use tokio::time::{Instant, timeout_at};

use crate::claims::Request;
use crate::config::{BatchConfig, QueueConfig, Sizer, duration};
use crate::queue::Queue;

/// What batches look like.
#[derive(Clone, Debug)]
pub(crate) struct Batching {
    pub(crate) flush_timeout: Duration,
    pub(crate) size_min: u64,
    /// `None` for any.
    pub(crate) size_max: Option<u64>,
    pub(crate) sizer: Sizer,
    /// Metadata keys that something reads after merging.
    pub(crate) metadata_keys: Vec<String>,
}

impl Batching {
    pub(crate) fn of_config(queue: &QueueConfig, batch: &BatchConfig) -> Self {
        Self {
            flush_timeout: duration(batch.flush_timeout),
            size_min: u64::try_from(batch.min_size).unwrap_or_default(),
            size_max: u64::try_from(batch.max_size).ok().filter(|size| *size > 0),
            sizer: queue.batch_sizer(batch),
            metadata_keys: batch.partition.metadata_keys.clone(),
        }
    }
}

impl Batching {
    /// `request` in parts of at most `size_max`, as far as there is memory for them; the last one may be larger.
    fn split(&self, request: Request) -> Vec<Request> {
        let (items_max, bytes_max) = match self.sizer {
            Sizer::Bytes => (None, self.size_max.map(|size| usize::try_from(size).unwrap_or(usize::MAX))),
            Sizer::Items | Sizer::Requests => (self.size_max, None),
        };
        request.split(items_max, bytes_max)
    }
}

/// Items that wait for others.
struct Partition {
    request: Request,
    size: u64,
    serial: u64,
}

/// Turns records into requests.
pub(crate) struct Feed {
    queue: Arc<dyn Queue>,
    batching: Option<Arc<Batching>>,
    /// By hash of what must be equal for merging.
    partitions: HashMap<u64, Vec<Partition>>,
    /// When partitions are due, in order; an entry whose partition was sent meanwhile is void.
    due: VecDeque<(Instant, u64, u64)>,
    /// The length at which `due` is cleared of void entries.
    due_max: usize,
    ready: VecDeque<Request>,
    serials: u64,
}

/// [`Feed::due`] is left alone up to this length.
const DUE_MIN: usize = 64;

impl Feed {
    pub(crate) fn new(queue: Arc<dyn Queue>, batching: Option<Batching>) -> Self {
        Self {
            queue,
            batching: batching.map(Arc::new),
            partitions: HashMap::new(),
            due: VecDeque::new(),
            due_max: DUE_MIN,
            ready: VecDeque::new(),
            serials: 0,
        }
    }

    /// Waits for the next request. `None` when the queue is closed and everything was handed out. Dropping the future
    /// loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Request> {
        loop {
            if let Some(request) = self.next_ready() {
                return Some(request);
            }
            let Some(batching) = self.batching.clone() else {
                return self.queue.claim().await.map(|record| Request::of_record(record, &self.queue));
            };
            if self.flush_due(Instant::now()) {
                continue;
            }
            let claimed = match self.due.front() {
                Some((at, _, _)) => match timeout_at(*at, self.queue.claim()).await {
                    Ok(claimed) => claimed,
                    Err(_elapsed) => continue,
                },
                None => self.queue.claim().await,
            };
            match claimed {
                Some(record) => self.add(Request::of_record(record, &self.queue), &batching),
                None => {
                    self.flush_all();
                    return self.next_ready();
                }
            }
        }
    }

    /// The next request that is ready, cut to size: of what would multiply by its resources, only so much is cut at a time.
    fn next_ready(&mut self) -> Option<Request> {
        let request = self.ready.pop_front()?;
        let Some(batching) = self.batching.clone() else { return Some(request) };
        if batching.size_max.is_none_or(|size_max| batching.sizer.size(request.batch()) <= size_max) {
            return Some(request);
        }
        let parts = batching.split(request);
        parts.into_iter().rev().for_each(|part| self.ready.push_front(part));
        self.ready.pop_front()
    }

    /// Takes out everything that was claimed and not handed out.
    pub(crate) fn take_left(&mut self) -> Vec<Request> {
        self.flush_all();
        self.ready.drain(..).collect()
    }

    fn add(&mut self, request: Request, batching: &Batching) {
        let hash = partition_hash(request.batch().context(), &batching.metadata_keys);
        let peers = self.partitions.entry(hash).or_default();
        let merges = |peer: &Partition| {
            peer.request.batch().context().merges_with(request.batch().context(), &batching.metadata_keys)
        };
        let size = batching.sizer.size(request.batch());
        let mut partition = match peers.iter().position(merges) {
            Some(at) => {
                let mut partition = peers.swap_remove(at);
                partition.request.append(request);
                partition.size += size;
                partition
            }
            None => {
                let serial = self.schedule(hash, batching);
                Partition { request, size, serial }
            }
        };
        if let Some(size_max) = batching.size_max
            && partition.size > size_max
        {
            let mut parts = batching.split(partition.request);
            let Some(last) = parts.pop() else { return };
            self.ready.extend(parts);
            // What is left came with the latest record, so its time starts now.
            let serial = self.schedule(hash, batching);
            partition = Partition { size: batching.sizer.size(last.batch()), request: last, serial };
        }
        if partition.size >= batching.size_min {
            self.ready.push_back(partition.request);
        } else {
            self.partitions.entry(hash).or_default().push(partition);
        }
        if self.partitions.get(&hash).is_some_and(Vec::is_empty) {
            self.partitions.remove(&hash);
        }
    }

    /// Says when a new partition is due, and gives its serial number.
    fn schedule(&mut self, hash: u64, batching: &Batching) -> u64 {
        if self.due.len() >= self.due_max {
            // Partitions that fill up fast behind one that waits long leave many void entries.
            let partitions = &self.partitions;
            let is_live = |hash: &u64, serial: u64| {
                partitions.get(hash).is_some_and(|peers| peers.iter().any(|partition| partition.serial == serial))
            };
            self.due.retain(|(_, hash, serial)| is_live(hash, *serial));
            self.due_max = DUE_MIN + 2 * self.due.len();
        }
        self.serials += 1;
        self.due.push_back((Instant::now() + batching.flush_timeout, hash, self.serials));
        self.serials
    }

    /// Moves partitions whose time has come to what is ready. Whether there were any.
    fn flush_due(&mut self, now: Instant) -> bool {
        let mut flushed = false;
        while let Some((at, hash, serial)) = self.due.front().copied() {
            let partitions = self.partitions.get_mut(&hash);
            let position = partitions.and_then(|peers| {
                let at = peers.iter().position(|partition| partition.serial == serial)?;
                Some((peers, at))
            });
            match position {
                Some(_) if at > now => break,
                Some((peers, at)) => {
                    self.ready.push_back(peers.swap_remove(at).request);
                    if peers.is_empty() {
                        self.partitions.remove(&hash);
                    }
                    flushed = true;
                }
                None => {}
            }
            self.due.pop_front();
        }
        flushed
    }

    fn flush_all(&mut self) {
        self.due.clear();
        let mut partitions: Vec<Partition> = self.partitions.drain().flat_map(|(_, peers)| peers).collect();
        partitions.sort_by_key(|partition| partition.serial);
        self.ready.extend(partitions.into_iter().map(|partition| partition.request));
    }
}

/// Equal for contexts that merge.
fn partition_hash(context: &Context, metadata_keys: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    context.tenant.hash(&mut hasher);
    for auth in context.auth.iter() {
        for (name, values) in &auth.attributes {
            name.hash(&mut hasher);
            values.hash(&mut hasher);
        }
    }
    for key in metadata_keys {
        for value in context.metadata.values(key) {
            value.hash(&mut hasher);
        }
        hasher.write_u8(0);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use pdata::{Batch, Context};

    use super::*;
    use crate::memory::MemoryQueue;
    use crate::queue::Entry;

    /// One tenant sends a little, another much: what is noted about flushed batches of the second does not pile up until
    /// the first one's is due.
    #[tokio::test(start_paused = true)]
    async fn what_is_noted_about_times_stays_bounded() {
        let queue: Arc<dyn Queue> = Arc::new(MemoryQueue::new(10, Sizer::Requests, false));
        let batching = Batching {
            flush_timeout: Duration::from_secs(3600),
            size_min: 5,
            size_max: None,
            sizer: Sizer::Items,
            metadata_keys: Vec::new(),
        };
        let mut feed = Feed::new(Arc::clone(&queue), Some(batching));
        let put = |tenant: &str, items: u64| {
            let context = Context { tenant: Some(tenant.into()), ..Context::default() };
            Entry::new(Batch::new(crate::tests::support::spans(0..items, 8), Arc::new(context)))
        };
        queue.put(put("slow", 1)).await.unwrap();
        for _ in 0..1000 {
            queue.put(put("fast", 2)).await.unwrap();
            queue.put(put("fast", 3)).await.unwrap();
            let request = feed.next().await.unwrap();
            assert_eq!(request.items(), 5);
            request.unsent();
        }
        assert!(feed.due.len() <= 2 * DUE_MIN, "{}", feed.due.len());
        queue.close();
        assert_eq!(feed.next().await.unwrap().items(), 1);
        assert!(feed.next().await.is_none());
    }
}
