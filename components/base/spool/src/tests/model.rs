//! Random sequences of everything one can do, with a disk that fills up and fails, against a model; then a crash, and what is
//! there is what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::disk::MemDisk;
use super::durable::{Bench, small};

#[derive(Clone, Debug)]
enum Step {
    Put {
        records: u64,
        len: usize,
    },
    Claim,
    Commit {
        nth: usize,
    },
    GiveBack {
        nth: usize,
    },
    Space(Option<u64>),
    SyncFails(bool),
    CutFails(bool),
    Flush,
    /// A crash: of the process, or of the machine.
    Crash {
        power_loss: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..8_u64, 0..900_usize).prop_map(|(records, len)| Step::Put { records, len }),
        8 => Just(Step::Claim),
        6 => any::<usize>().prop_map(|nth| Step::Commit { nth }),
        2 => any::<usize>().prop_map(|nth| Step::GiveBack { nth }),
        2 => (0..12_000_u64).prop_map(|space| Step::Space(Some(space))),
        3 => Just(Step::Space(None)),
        1 => any::<bool>().prop_map(Step::SyncFails),
        1 => any::<bool>().prop_map(Step::CutFails),
        1 => Just(Step::Flush),
        2 => any::<bool>().prop_map(|power_loss| Step::Crash { power_loss }),
    ]
}

/// A record, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Acknowledged, not committed.
    Stored,
    /// Not acknowledged; it may be there all the same.
    Refused,
    Committed,
}

struct World {
    disk: MemDisk,
    bench: Bench,
    fates: BTreeMap<u64, Fate>,
    /// Of this run: number by sequence.
    numbers: BTreeMap<u64, u64>,
    claimed: Vec<(u64, u64)>,
    unclaimed: BTreeSet<u64>,
    random: u64,
}

impl World {
    fn chance(random: &mut u64) -> u64 {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *random >> 33
    }

    async fn put(&mut self, records: u64, len: usize) {
        let first = self.fates.len() as u64;
        let puts = (first..first + records).map(|number| self.bench.put(number, len));
        // All at once, so that they make a group.
        let answers = join_all(puts.collect()).await;
        for (number, answer) in (first..).zip(answers) {
            match answer {
                Ok(sequence) => {
                    self.fates.insert(number, Fate::Stored);
                    assert_eq!(self.numbers.insert(sequence, number), None, "a sequence number is given once");
                    self.unclaimed.insert(sequence);
                }
                Err(_) => {
                    self.fates.insert(number, Fate::Refused);
                }
            }
        }
    }

    fn claim(&mut self) {
        let expected = self.unclaimed.pop_first();
        let claimed = self.bench.claim();
        assert_eq!(claimed.map(|(sequence, _)| sequence), expected, "the oldest");
        let Some((sequence, number)) = claimed else { return };
        let number = number.unwrap();
        assert_eq!(self.numbers[&sequence], number);
        self.claimed.push((sequence, number));
    }

    /// What the next process finds is all that was acknowledged and not committed, in order. What was refused or committed may
    /// be there too: the latter only if power was lost, or a file could neither be cut nor written.
    async fn crash(&mut self, power_loss: bool) {
        self.bench.idle().await;
        let mut random = self.random;
        let disk = self.disk.after_crash(power_loss, || Self::chance(&mut random));
        self.random = random;
        let bench = Bench::open(&disk, small());
        let held = bench.spool.held().records;
        let mut found = Vec::new();
        while let Some((sequence, number)) = bench.claim() {
            found.push((sequence, number.unwrap()));
        }
        assert_eq!(found.len() as u64, held);
        assert_eq!(bench.noted.damaged_records.load(Ordering::SeqCst), 0);
        assert_eq!(bench.noted.put_aside.load(Ordering::SeqCst), 0);
        let there: BTreeSet<u64> = found.iter().map(|(_, number)| *number).collect();
        assert_eq!(there.len(), found.len(), "each once");
        for (number, fate) in &self.fates {
            let is_there = there.contains(number);
            match fate {
                Fate::Stored => assert!(is_there, "{number} was acknowledged"),
                Fate::Committed => assert!(power_loss || !is_there, "{number} was committed"),
                Fate::Refused => {}
            }
        }
        // From here on they are what the spool holds.
        self.numbers = found.iter().copied().collect();
        for number in &there {
            self.fates.insert(*number, Fate::Stored);
        }
        self.unclaimed = found.iter().map(|(sequence, _)| *sequence).collect();
        self.claimed.clear();
        found.iter().for_each(|(sequence, _)| bench.spool.give_back(*sequence));
        self.disk = disk;
        self.bench = bench;
    }

    async fn step(&mut self, step: Step) {
        let faults = &self.disk.faults;
        match step {
            Step::Put { records, len } => self.put(records, len).await,
            Step::Claim => self.claim(),
            Step::Commit { nth } if !self.claimed.is_empty() => {
                let (sequence, number) = self.claimed.swap_remove(nth % self.claimed.len());
                self.bench.spool.commit(sequence);
                self.fates.insert(number, Fate::Committed);
            }
            Step::GiveBack { nth } if !self.claimed.is_empty() => {
                let (sequence, _) = self.claimed.swap_remove(nth % self.claimed.len());
                self.bench.spool.give_back(sequence);
                self.unclaimed.insert(sequence);
            }
            Step::Commit { .. } | Step::GiveBack { .. } => {}
            Step::Space(space) => faults.space.store(space.unwrap_or(u64::MAX), Ordering::SeqCst),
            Step::SyncFails(fails) => faults.sync_fails.store(fails, Ordering::SeqCst),
            Step::CutFails(fails) => faults.cut_fails.store(fails, Ordering::SeqCst),
            Step::Flush => {
                let stays = self.bench.spool.flush().await;
                assert_eq!(stays.records, (self.unclaimed.len() + self.claimed.len()) as u64);
            }
            Step::Crash { power_loss } => self.crash(power_loss).await,
        }
        assert_eq!(self.bench.spool.held().records, (self.unclaimed.len() + self.claimed.len()) as u64);
    }
}

async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut is_ready = true;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_acknowledged_and_not_committed_is_there(steps in prop::collection::vec(step(), 1..60), random: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let disk = MemDisk::new();
            let bench = Bench::open(&disk, small());
            let mut world = World {
                disk, bench, fates: BTreeMap::new(), numbers: BTreeMap::new(), claimed: Vec::new(),
                unclaimed: BTreeSet::new(), random,
            };
            for step in steps {
                world.step(step).await;
            }
            world.crash(false).await;
        });
    }
}
