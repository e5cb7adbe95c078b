//! Edges, fan-out, rows and outbox on a paused clock: nothing is lost, doubled, processed twice, or left unaccounted for.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use component::outbox::Full;
use component::{
    Accepted, Code, Component, ConsumeFuture, ConsumeResult, Consumer, Deadline, DeliveryError, Edge, Fanout, Outbox,
    OutboxSettings, Process, Roster, Row,
};
use pdata::{Account, Batch, ByteAccount, Context, Gate, Ledger, Outcome, Payload, Segment, Signal};

/// Takes batches as scripted: `Ok` delivers, `Err(true)` hands back, `Err(false)` rejects for good. Then always delivers.
#[derive(Default)]
struct Sink {
    script: Mutex<VecDeque<Result<(), bool>>>,
    taken: Mutex<Vec<u64>>,
    calls: AtomicUsize,
    delay: Duration,
}

impl Sink {
    fn scripted(script: &[Result<(), bool>]) -> Arc<Self> {
        Arc::new(Self { script: Mutex::new(script.iter().copied().collect()), ..Self::default() })
    }

    fn taken(&self) -> Vec<u64> {
        self.taken.lock().unwrap().clone()
    }
}

impl Consumer for Sink {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(self.delay).await;
            match self.script.lock().unwrap().pop_front() {
                Some(Err(true)) => Err(DeliveryError::retryable("not now", batch).with_code(Code::Unavailable)),
                Some(Err(false)) => {
                    batch.settle(Outcome::Rejected);
                    Err(DeliveryError::permanent("never"))
                }
                _ => {
                    self.taken.lock().unwrap().push(batch.items());
                    batch.settle(Outcome::Delivered);
                    Ok(Accepted::all())
                }
            }
        })
    }
}

fn edge(target: Arc<dyn Consumer>) -> Edge {
    Edge::new("test", target, ByteAccount::unlimited())
}

fn account() -> Arc<Account> {
    Ledger::new().account(&"logs".into(), Signal::Logs, "")
}

fn batch(account: &Arc<Account>, items: u32) -> Batch {
    let segment = Segment::trusted(Bytes::from(vec![0; items as usize]), items);
    let payload = Payload::from_segments(Signal::Logs, [segment]);
    Batch::from_parts(payload, Arc::new(Context::default()), account.receive(u64::from(items)))
}

fn refuse(answer: ConsumeResult) -> DeliveryError {
    let mut error = answer.unwrap_err();
    if let Some(back) = error.take_undelivered() {
        back.settle(Outcome::Refused);
    }
    error
}

#[tokio::test]
async fn a_swapped_edge_lets_running_hand_overs_finish() {
    tokio::time::pause();
    let (old, new) = (Arc::new(Sink { delay: Duration::from_secs(1), ..Sink::default() }), Sink::scripted(&[]));
    let (account, edge) = (account(), edge(Arc::clone(&old) as Arc<dyn Consumer>));
    let running = tokio::spawn({
        let (edge, batch) = (edge.clone(), batch(&account, 1));
        async move { edge.consume(batch).await.is_ok() }
    });
    tokio::task::yield_now().await;
    let replaced = edge.swap(Arc::clone(&new) as Arc<dyn Consumer>);
    assert!(replaced.is_busy());
    assert!(!replaced.drained(Deadline::after(Duration::from_millis(100))).await);
    edge.consume(batch(&account, 2)).await.unwrap();
    assert!(replaced.drained(Deadline::after(Duration::from_secs(5))).await);
    assert!(running.await.unwrap());
    assert_eq!((old.taken(), new.taken()), (vec![1], vec![2]));
    assert_eq!((edge.counts().batches, edge.counts().items), (2, 3));
}

#[tokio::test]
async fn an_edge_asks_gates_and_account_before_a_body_is_read() {
    let account = ByteAccount::new(100);
    let edge = Edge::new("test", Sink::scripted(&[]), Arc::clone(&account));
    let gate = Gate::new(50);
    edge.set_gates(vec![Arc::clone(&gate)]);
    let charge = edge.admit(40).unwrap();
    assert_eq!(edge.admit(10).unwrap_err().limit, 50);
    edge.set_gates(Vec::new());
    assert_eq!(edge.admit(61).unwrap_err().limit, 100);
    drop(charge);
    gate.set_closed(true);
    edge.set_gates(vec![gate]);
    assert!(edge.admit(0).is_err());
}

#[tokio::test]
async fn fan_out_delivers_to_all_and_books_the_copies() {
    let (a, b, account) = (Sink::scripted(&[]), Sink::scripted(&[]), account());
    let fanout = Fanout::over(vec![Arc::clone(&a) as Arc<dyn Consumer>, Arc::clone(&b) as Arc<dyn Consumer>]);
    fanout.consume(batch(&account, 5)).await.unwrap();
    assert_eq!((a.taken(), b.taken()), (vec![5], vec![5]));
    let totals = account.read();
    assert_eq!((totals.copies, totals.delivered, totals.held, totals.difference()), (5, 10, 0, 0));
}

#[tokio::test]
async fn a_retry_goes_only_to_branches_that_lack_the_batch() {
    let (a, b, c, account) =
        (Sink::scripted(&[]), Sink::scripted(&[Err(true)]), Sink::scripted(&[Err(true), Err(false)]), account());
    let branches: Vec<Arc<dyn Consumer>> = vec![a.clone(), b.clone(), c.clone()];
    let fanout = Fanout::over(branches);
    let mut error = fanout.consume(batch(&account, 4)).await.unwrap_err();
    assert!(error.is_retryable());
    assert_eq!(error.code(), Some(Code::Unavailable));
    let back = error.take_undelivered().unwrap();
    assert_eq!(account.read().difference(), 0);
    let error = refuse(fanout.consume(back).await);
    assert!(!error.is_retryable(), "the last branch refused for good");
    assert_eq!((a.taken(), b.taken(), c.taken()), (vec![4], vec![4], vec![]));
    let totals = account.read();
    assert_eq!((totals.delivered, totals.rejected, totals.held, totals.difference()), (8, 4, 0, 0));
}

/// Appends a byte to the payload each time, so that processing twice shows.
struct Mark(AtomicUsize);

impl Component for Mark {}

impl Process for Mark {
    fn process(&self, mut batch: Batch) -> Result<Option<Batch>, DeliveryError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let mut bytes = batch.payload().to_bytes().to_vec();
        bytes.push(1);
        let segment = Segment::trusted(bytes.into(), batch.items() as u32);
        batch.set_payload(Payload::from_segments(Signal::Logs, [segment]));
        Ok(Some(batch))
    }

    fn mutates(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_row_hands_back_the_batch_as_it_came() {
    let (sink, account) = (Sink::scripted(&[Err(true)]), account());
    let marks = || Arc::new(Mark(AtomicUsize::new(0))) as Arc<dyn Process>;
    let row = Row::new(vec![marks(), marks()], edge(sink));
    let batch = batch(&account, 3);
    let before = batch.payload().to_bytes();
    let mut error = row.consume(batch).await.unwrap_err();
    let back = error.take_undelivered().unwrap();
    assert_eq!(back.payload().to_bytes(), before);
    row.consume(back).await.unwrap();
    let totals = account.read();
    assert_eq!((totals.received, totals.delivered, totals.difference()), (3, 3, 0));
}

fn outbox(next: Arc<Sink>, bytes_max: usize) -> Outbox {
    Outbox::new(edge(next), OutboxSettings { bytes_max, workers: 2, ..OutboxSettings::default() })
}

#[tokio::test(start_paused = true)]
async fn an_outbox_retries_until_delivered() {
    let (sink, account) = (Sink::scripted(&[Err(true); 20]), account());
    let outbox = outbox(Arc::clone(&sink), 1000);
    outbox.start();
    for items in [1, 2, 3] {
        outbox.try_send(batch(&account, items)).unwrap();
    }
    assert_eq!(outbox.drain(Deadline::after(Duration::from_secs(600))).await, 0);
    let mut taken = sink.taken();
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3]);
    assert_eq!((account.read().delivered, account.read().difference(), outbox.bytes()), (6, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_hands_back_and_takes_again() {
    let (sink, account) = (Arc::new(Sink { delay: Duration::from_secs(1), ..Sink::default() }), account());
    let outbox = outbox(Arc::clone(&sink), 10);
    outbox.start();
    outbox.try_send(batch(&account, 12)).expect("one batch over the limit is taken when empty");
    let Full(back) = outbox.try_send(batch(&account, 1)).unwrap_err();
    let waiting = outbox.send(back, Deadline::after(Duration::from_secs(10))).await;
    assert!(waiting.is_ok());
    outbox.drain(Deadline::after(Duration::from_secs(10))).await;
    assert_eq!(sink.taken(), [12, 1]);
    let Full(late) = outbox.try_send(batch(&account, 1)).expect_err("a drained outbox takes nothing");
    late.settle(Outcome::Refused);
    assert_eq!(account.read().difference(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_at_the_deadline_is_named() {
    let (sink, account) = (Sink::scripted(&[Err(true); 10_000]), account());
    let outbox = outbox(Arc::clone(&sink), 1000);
    outbox.start();
    for _ in 0..5 {
        outbox.try_send(batch(&account, 10)).unwrap();
    }
    let begun = tokio::time::Instant::now();
    assert_eq!(outbox.drain(Deadline::after(Duration::from_secs(3))).await, 50);
    assert!(begun.elapsed() <= Duration::from_secs(4), "{:?}", begun.elapsed());
    let totals = account.read();
    assert_eq!((totals.dropped.get("shutdown"), totals.held, totals.difference()), (Some(&50), 0, 0));
}

/// The next component does not answer for minutes. The drain ends nevertheless; what comes back later is named then.
#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline_though_the_next_component_does_not_answer() {
    for is_delivered in [true, false] {
        let script: &[Result<(), bool>] = if is_delivered { &[] } else { &[Err(true); 2] };
        let sink = Sink {
            delay: Duration::from_secs(600),
            script: Mutex::new(script.iter().copied().collect()),
            ..Sink::default()
        };
        let (sink, account) = (Arc::new(sink), account());
        let outbox = outbox(Arc::clone(&sink), 1000);
        outbox.start();
        for _ in 0..5 {
            outbox.try_send(batch(&account, 10)).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun = tokio::time::Instant::now();
        // Two workers have a batch each.
        assert_eq!(outbox.drain(Deadline::after(Duration::from_secs(3))).await, 30);
        assert_eq!(begun.elapsed().as_secs(), 3);
        let totals = account.read();
        assert_eq!((totals.dropped.get("shutdown"), totals.held, totals.difference()), (Some(&30), 20, 0));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let totals = account.read();
        let dropped = if is_delivered { 30 } else { 50 };
        assert_eq!((totals.dropped.get("shutdown"), totals.held, totals.difference()), (Some(&dropped), 0, 0));
        assert_eq!((outbox.bytes(), outbox.dropped_items()), (0, dropped));
    }
}

/// An outbox as a component: what the successor of another one is.
struct Holding(Outbox);

impl Consumer for Holding {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        self.inherit(batch)
    }

    fn inherit(&self, batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            let answer = self.0.inherit(batch).await;
            answer.map(|()| Accepted::all()).map_err(|Full(back)| DeliveryError::retryable("stopped", back))
        })
    }
}

/// Of what a replaced component holds, some waits, some sits out a delay, and some is at the next component. All of it goes
/// through its successor's outbox, in order, which takes nothing else until it is within its bound again.
#[tokio::test(start_paused = true)]
async fn an_outbox_passes_everything_on() {
    for delay in [0, 2, 60] {
        let slow =
            Sink { delay: Duration::from_secs(delay), script: Mutex::new([Err(true)].into()), ..Sink::default() };
        let (slow, sink, account) = (Arc::new(slow), Sink::scripted(&[]), account());
        let one = OutboxSettings { bytes_max: 100, workers: 1, ..OutboxSettings::default() };
        let old = Outbox::new(edge(Arc::clone(&slow) as Arc<dyn Consumer>), one.clone());
        let new = Outbox::new(edge(Arc::clone(&sink) as Arc<dyn Consumer>), OutboxSettings { bytes_max: 10, ..one });
        old.start();
        for items in 1..=9 {
            old.try_send(batch(&account, items)).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let heir: Arc<dyn Consumer> = Arc::new(Holding(new.clone()));
        let begun = tokio::time::Instant::now();
        assert_eq!(old.hand_over(&heir, Deadline::after(Duration::from_secs(5))).await, 0);
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
        assert_eq!((account.read().held, account.read().difference()), (45, 0));
        let in_flight = if delay == 60 { 1 } else { 0 };
        assert_eq!((old.bytes(), new.bytes()), (in_flight, 45 - in_flight));
        let Full(refused) = new.try_send(batch(&account, 1)).unwrap_err();
        refused.settle(Outcome::Refused);
        let Full(refused) = old.try_send(batch(&account, 1)).unwrap_err();
        refused.settle(Outcome::Refused);
        new.start();
        tokio::time::sleep(Duration::from_secs(600)).await;
        let expected = if delay == 60 { vec![2, 3, 4, 5, 6, 7, 8, 9, 1] } else { (1..=9).collect() };
        assert_eq!(sink.taken(), expected, "after {delay} s");
        new.try_send(batch(&account, 1)).unwrap();
        // The successor has stopped as well when something comes back.
        new.drain(Deadline::after(Duration::from_secs(1))).await;
        let Full(late) = old.inherit(batch(&account, 7)).await.unwrap_err();
        late.settle(Outcome::Refused);
        let totals = account.read();
        assert_eq!((totals.delivered, totals.refused, totals.held, totals.difference()), (46, 9, 0, 0));
    }
}

#[tokio::test]
async fn branches_keep_their_places_in_a_roster() {
    let (a, b, account) = (Sink::scripted(&[Err(true)]), Sink::scripted(&[]), account());
    let branch = |name: &str, sink: &Arc<Sink>| (name.to_owned(), Arc::clone(sink) as Arc<dyn Consumer>);
    let mut roster = Roster::default();
    let fanout = Fanout::of(&mut roster, vec![branch("a", &a), branch("b", &b)]);
    let mut back = fanout.consume(batch(&account, 4)).await.unwrap_err().take_undelivered().unwrap();
    // Others come and go, more than there are places.
    for n in 0..100 {
        let others = (0..60).map(|other| branch(&format!("{n} {other}"), &b));
        let _others = Fanout::of(&mut roster, others.chain([branch("a", &a)]).collect());
    }
    let alone = Fanout::of(&mut roster, vec![branch("a", &Sink::scripted(&[Err(true)]))]);
    back = alone.consume(back).await.unwrap_err().take_undelivered().unwrap();
    let fanout = Fanout::of(&mut roster, vec![branch("b", &b), branch("a", &a)]);
    fanout.consume(back).await.unwrap();
    assert_eq!((a.taken(), b.taken()), (vec![4], vec![4]));
    assert_eq!((account.read().delivered, account.read().held, account.read().difference()), (8, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_ends_the_retries() {
    let (sink, account) = (Sink::scripted(&[Err(true), Err(false)]), account());
    let outbox = outbox(Arc::clone(&sink), 1000);
    outbox.start();
    outbox.try_send(batch(&account, 4)).unwrap();
    outbox.drain(Deadline::after(Duration::from_secs(60))).await;
    assert_eq!((account.read().rejected, account.read().difference()), (4, 0));
    assert_eq!(sink.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn work_runs_to_its_end_when_the_client_goes_away() {
    let done = Arc::new(AtomicUsize::new(0));
    let work = {
        let done = Arc::clone(&done);
        component::run_to_end(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            done.fetch_add(1, Ordering::SeqCst);
        })
    };
    // The client's side is polled once and dropped.
    let _gone = tokio::time::timeout(Duration::from_millis(1), work).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert_eq!(component::run_to_end(async { panic!("a bug") as u32 }).await, None);
}

/// Delivers all but `left` items and hands those back, as an exporter does that had to split a batch.
struct Partial(u64);

impl Consumer for Partial {
    fn consume(&self, mut batch: Batch) -> ConsumeFuture<'_> {
        let delivered = batch.split_front_items(batch.items() - self.0);
        delivered.settle(Outcome::Delivered);
        Box::pin(async move { Err(DeliveryError::retryable("the rest was refused", batch)) })
    }
}

#[tokio::test]
async fn branches_that_lack_different_parts_get_the_whole_again() {
    let account = account();
    let fanout = Fanout::over(vec![Arc::new(Partial(1)), Arc::new(Partial(3))]);
    let records: Vec<Segment> =
        (0..4).map(|_| Segment::trusted(Bytes::from_static(&[0x0a, 0x04, 0x12, 0x02, 0x12, 0x00]), 1)).collect();
    let payload = Payload::from_segments(Signal::Logs, records);
    let batch = Batch::from_parts(payload, Arc::new(Context::default()), account.receive(4));
    let mut error = fanout.consume(batch).await.unwrap_err();
    let back = error.take_undelivered().unwrap();
    assert_eq!((back.items(), back.stake().items()), (4, 4));
    back.settle(Outcome::Refused);
    assert_eq!((account.read().held, account.read().difference()), (0, 0));
}
