//! The scenarios with samplers. What arrives is not what was accepted there: the books compare traces, by what has to be kept.
//!
//! A Collector keeps decoded spans and has no bound on their bytes: a load ends where the subject holds
//! [`HELD_BYTES_MAX`], so that a run fits into a machine of 8 GiB.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, interval, sleep};

use super::{Balance, Figure, Outcome, Run, START_LIMIT, mib, percentiles};
use crate::load::{self, LoadReport, LoadSettings, Unit, Window};
use crate::payload::{Class, ITEMS_PER_REQUEST, Pool};
use crate::process::ticks_per_second;
use crate::sampled::Sampled;
use crate::work::Work;

/// Resident bytes at which a load is ended.
const HELD_BYTES_MAX: u64 = 5 << 30;
/// How often resident memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often the subject is asked for its own figures, in looks.
const ASK_EVERY: u64 = 10;
/// The subject's own figure of what it holds.
const HELD_BYTES: &str = "weir_tail_sampling_held_bytes";
/// How long the sink must stay silent before a sampler is taken to have sent all: more than a second, in which samplers decide.
const SILENCE: Duration = Duration::from_millis(2500);
/// The longest that what was kept may take to arrive after everything was decided.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(30);
/// What `probabilistic_sampler` keeps.
const HEAD_SHARE: RangeInclusive<f64> = 0.095..=0.105;
/// What ten policies keep by chance of traces that none of them has to, and spans per second for which limits leave room.
const TAIL_SHARE: RangeInclusive<f64> = 0.008..=0.013;
const TAIL_SPANS_PER_SECOND: f64 = 360.0;
/// How much more than its rate a limit gives at once, in seconds of it; and how much later traces are decided than they come.
const TAIL_BURST_SECONDS: f64 = 10.0;

/// `decision_wait` where nothing is short.
const WAIT_SECONDS: u64 = 5;
/// Spans per second.
const STEADY_RATE: f64 = 100_000.0;
/// How long the buffer fills before anything can be decided, and how long decisions go on beside the load.
const STEADY_FILL: Duration = Duration::from_millis(4800);
const STEADY_MEASURED: Duration = Duration::from_secs(15);

/// The budget where memory is short, what is offered as a multiple of it, and how long at most, all of it within the wait.
const BUDGET_MIB: u64 = 256;
const BUDGET_TIMES: u64 = 10;
const BUDGET_WAIT_SECONDS: u64 = 30;

/// Spans of the giant, how fast they come, and how fast others do.
const GIANT_SPANS: u64 = 1_000_000;
const GIANT_RATE: f64 = 150_000.0;
const GIANT_BESIDE_RATE: f64 = 20_000.0;
const GIANT_SECONDS: u64 = 15;
/// How long the others come before the giant.
const GIANT_AFTER: Duration = Duration::from_secs(1);

/// What a tail sampler is given to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// A steady load that fits.
    Steady,
    /// Ten times more than fits, as fast as it is taken.
    Budget,
    /// A trace of a million spans among others.
    Giant,
}

impl Tail {
    pub(super) fn work(self) -> Work {
        let (wait_seconds, traces, budget_mib) = match self {
            Self::Steady => (WAIT_SECONDS, 100_000, None),
            Self::Budget => (BUDGET_WAIT_SECONDS, 1_000_000, Some(BUDGET_MIB)),
            Self::Giant => (WAIT_SECONDS, 100_000, Some(BUDGET_MIB)),
        };
        Work::TailSampling { wait_seconds, traces, budget_mib }
    }
}

/// What was seen of a subject while something was done.
#[derive(Debug, Default)]
struct Seen {
    /// The largest value of its own gauge of what it holds, in bytes.
    gauge_max: Option<f64>,
    /// What was resident when its load was ended for that.
    stopped_at_bytes: Option<u64>,
}

impl Seen {
    fn gauge_mib(&self) -> f64 {
        self.gauge_max.map_or(f64::NAN, |bytes| bytes / f64::from(1 << 20))
    }
}

impl Run<'_> {
    /// Through a sampler that decides at once.
    pub(super) async fn head(&mut self) -> anyhow::Result<Outcome> {
        let ticks = ticks_per_second();
        let pool = Arc::clone(&self.pool);
        self.subject.wait_until_listening(START_LIMIT).await?;
        let mut all = load::run(self.head_load(self.measure.warm_up, 0), Arc::clone(&pool)).await;
        self.wait_for_silence(Duration::ZERO).await?;
        let cpu_before = self.subject.cpu_time(ticks)?;
        let settings = self.head_load(self.measure.duration, all.next_number);
        let report = load::run(settings, Arc::clone(&pool)).await;
        all.merge(&report);
        let arrived_items = self.wait_for_silence(Duration::ZERO).await?;
        // The silence after the last arrival costs next to nothing.
        let cpu = self.subject.cpu_time(ticks)?.saturating_sub(cpu_before);
        let mut balance = Balance { arrived_items, ..Balance::default() };
        balance.add(&all);
        balance.sampled = Some(match &pool.renewal {
            Some(renewal) => Sampled::traces(renewal, &all.acked_numbers, &self.sink.traces(), |_| false, HEAD_SHARE),
            None => Sampled::items(balance.accepted_items, arrived_items, HEAD_SHARE),
        });
        let mut figures = vec![
            Figure { name: "items per CPU-second", value: report.acked_items as f64 / cpu.as_secs_f64().max(0.01) },
            Figure { name: "items per second", value: report.items_per_second() },
        ];
        figures.extend(percentiles(["latency p50, ms", "latency p99, ms"], &report.acked_latencies));
        figures.push(Figure { name: "peak RSS, MiB", value: mib(self.subject.memory()?.peak_bytes) });
        Ok(Outcome { figures, balance: Some(balance) })
    }

    /// Every request goes through with some of its items.
    fn head_load(&self, duration: Duration, first_number: u64) -> LoadSettings {
        let (max, arrived) = (self.measure.window_request_count, Arc::clone(&self.sink.counters.accepted_requests));
        LoadSettings {
            first_number,
            window: (max > 0).then_some(Window { unit: Unit::Requests, arrived, max }),
            ..self.load_settings(duration)
        }
    }

    /// Through a sampler that waits for whole traces.
    pub(super) async fn tail(&mut self, tail: Tail) -> anyhow::Result<Outcome> {
        self.subject.wait_until_listening(START_LIMIT).await?;
        match tail {
            Tail::Steady => self.tail_steady().await,
            Tail::Budget => self.tail_budget().await,
            Tail::Giant => self.tail_giant().await,
        }
    }

    async fn tail_steady(&mut self) -> anyhow::Result<Outcome> {
        let ticks = ticks_per_second();
        let (cpu_before, memory_before) = (self.subject.cpu_time(ticks)?, self.subject.memory()?.resident_bytes);
        let (stop, mut seen) = (Arc::<AtomicBool>::default(), Seen::default());
        let steady = |first_number, settings| LoadSettings {
            rate: Some(STEADY_RATE),
            first_number,
            stop: Arc::clone(&stop),
            ..settings
        };
        let fill = load::run(steady(0, self.load_settings(STEADY_FILL)), Arc::clone(&self.pool));
        let mut all = self.watched(fill, &stop, &mut seen).await?;
        // Nothing is decided yet: everything accepted waits.
        let (held, waiting) = (self.subject.memory()?.resident_bytes.saturating_sub(memory_before), all.acked_items);
        let rest = steady(all.next_number, self.load_settings(STEADY_MEASURED));
        let rest = load::run(rest, Arc::clone(&self.pool));
        let measured = self.watched(rest, &stop, &mut seen).await?;
        all.merge(&measured);
        all.elapsed += measured.elapsed;
        let arrived = self.wait_for_silence(Duration::from_secs(WAIT_SECONDS + 1)).await?;
        let cpu = self.subject.cpu_time(ticks)?.saturating_sub(cpu_before);
        let peak = self.subject.memory()?.peak_bytes.saturating_sub(memory_before);
        let mut figures = vec![
            Figure { name: "spans per CPU-second", value: all.acked_items as f64 / cpu.as_secs_f64().max(0.01) },
            Figure { name: "spans per second", value: measured.items_per_second() },
            Figure { name: "RSS per waiting span, bytes", value: held as f64 / waiting.max(1) as f64 },
            Figure { name: "peak RSS above start, MiB", value: mib(peak) },
        ];
        figures.extend(percentiles(["latency p50, ms", "latency p99, ms"], &measured.acked_latencies));
        Ok(Outcome { figures, balance: Some(self.tail_balance(&all, arrived, &seen)?) })
    }

    async fn tail_budget(&mut self) -> anyhow::Result<Outcome> {
        let ticks = ticks_per_second();
        let (cpu_before, memory_before) = (self.subject.cpu_time(ticks)?, self.subject.memory()?.resident_bytes);
        let (stop, mut seen) = (Arc::<AtomicBool>::default(), Seen::default());
        let offered_bytes = BUDGET_TIMES * (BUDGET_MIB << 20);
        let settings = LoadSettings {
            request_count_max: offered_bytes.div_ceil(self.pool.request_bytes()),
            stop: Arc::clone(&stop),
            ..self.load_settings(Duration::from_secs(BUDGET_WAIT_SECONDS))
        };
        let load = load::run(settings, Arc::clone(&self.pool));
        let report = self.watched(load, &stop, &mut seen).await?;
        let cpu = self.subject.cpu_time(ticks)?.saturating_sub(cpu_before);
        let arrived = self.wait_for_silence(Duration::from_secs(BUDGET_WAIT_SECONDS + 1)).await?;
        let peak = self.subject.memory()?.peak_bytes.saturating_sub(memory_before);
        let balance = self.tail_balance(&report, arrived, &seen)?;
        let errors = balance.sampled.as_ref().map(|sampled| sampled.errors).unwrap_or_default();
        let mut figures = vec![
            Figure { name: "accepted, MiB", value: mib(report.acked_requests * self.pool.request_bytes()) },
            Figure { name: "refused requests", value: report.refused_requests() as f64 },
            Figure { name: "peak RSS above start, MiB", value: mib(peak) },
            Figure { name: "own gauge at most, MiB", value: seen.gauge_mib() },
            Figure { name: "traces with errors, sent", value: errors.sent as f64 },
            Figure { name: "of them arrived whole", value: errors.arrived as f64 },
            Figure {
                name: "spans per CPU-second of load",
                value: report.acked_items as f64 / cpu.as_secs_f64().max(0.01),
            },
        ];
        figures.extend(percentiles(["latency p50, ms", "latency p99, ms"], &report.acked_latencies));
        Ok(Outcome { figures, balance: Some(balance) })
    }

    async fn tail_giant(&mut self) -> anyhow::Result<Outcome> {
        let memory_before = self.subject.memory()?.resident_bytes;
        let (stop, mut seen) = (Arc::<AtomicBool>::default(), Seen::default());
        let (pool, giant) = (Arc::clone(&self.pool), Arc::new(Pool::of_one_trace(ITEMS_PER_REQUEST)));
        let id = giant.renewal.as_ref().map(|renewal| renewal.trace_id(0, 0)).context("giant has no ID")?;
        let duration = Duration::from_secs(GIANT_SECONDS);
        let at_rate = |rate, settings| LoadSettings { rate: Some(rate), stop: Arc::clone(&stop), ..settings };
        let beside = at_rate(GIANT_BESIDE_RATE, self.load_settings(duration));
        // It has connections of its own; what is measured are the others.
        let of_giant = LoadSettings {
            request_count_max: GIANT_SPANS.div_ceil(ITEMS_PER_REQUEST as u64),
            ..at_rate(GIANT_RATE, self.load_settings(duration.saturating_sub(GIANT_AFTER)))
        };
        let both = async move {
            let giant = async {
                sleep(GIANT_AFTER).await;
                load::run(of_giant, giant).await
            };
            tokio::join!(load::run(beside, pool), giant)
        };
        let (report, of_giant) = self.watched(both, &stop, &mut seen).await?;
        let arrived = self.wait_for_silence(Duration::from_secs(WAIT_SECONDS + 1)).await?;
        let peak = self.subject.memory()?.peak_bytes.saturating_sub(memory_before);
        let giant_arrived = self.sink.traces().get(&id).copied().unwrap_or_default();
        let mut balance = self.tail_balance(&report, arrived.saturating_sub(giant_arrived.into()), &seen)?;
        for (reason, count) in of_giant.refused.iter().chain(&of_giant.errors) {
            balance.turned_away.push((format!("{reason} (of the giant)"), *count));
        }
        let mut figures = vec![
            Figure { name: "giant's spans, accepted", value: of_giant.acked_items as f64 },
            Figure { name: "of them arrived", value: f64::from(giant_arrived) },
            Figure { name: "peak RSS above start, MiB", value: mib(peak) },
            Figure { name: "own gauge at most, MiB", value: seen.gauge_mib() },
        ];
        figures.extend(percentiles(["others' latency p50, ms", "others' latency p99, ms"], &report.acked_latencies));
        figures.push(Figure { name: "others' longest, ms", value: report.acked_latencies.percentile_ms(1.0) });
        Ok(Outcome { figures, balance: Some(balance) })
    }

    /// The books of whole traces.
    fn tail_balance(&self, report: &LoadReport, arrived_items: u64, seen: &Seen) -> anyhow::Result<Balance> {
        let renewal = self.pool.renewal.as_ref().context("load is not of whole traces")?;
        let (numbers, traces) = (&report.acked_numbers, self.sink.traces());
        let mut balance = Balance { arrived_items, ..Balance::default() };
        balance.add(report);
        let seconds = report.elapsed.as_secs_f64() + TAIL_BURST_SECONDS;
        let limited = TAIL_SPANS_PER_SECOND * seconds / report.acked_items.max(1) as f64;
        let expected = *TAIL_SHARE.start()..=TAIL_SHARE.end() + limited;
        balance.sampled = Some(Sampled::traces(renewal, numbers, &traces, |class| class != Class::Plain, expected));
        balance.note = seen.stopped_at_bytes.map(|bytes| format!("load ended at {:.0} MiB resident", mib(bytes)));
        Ok(balance)
    }

    /// Does something with an eye on the subject: sets `stop` when it holds too much.
    async fn watched<T>(
        &mut self,
        work: impl Future<Output = T>,
        stop: &AtomicBool,
        seen: &mut Seen,
    ) -> anyhow::Result<T> {
        let mut work = pin!(work);
        let mut looks = interval(LOOK_EVERY);
        for count in 0_u64.. {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = looks.tick() => self.look(count, stop, seen).await?,
            }
        }
        Ok(work.await)
    }

    async fn look(&mut self, count: u64, stop: &AtomicBool, seen: &mut Seen) -> anyhow::Result<()> {
        let resident = self.subject.memory()?.resident_bytes;
        if resident > HELD_BYTES_MAX && !stop.swap(true, Relaxed) {
            seen.stopped_at_bytes = Some(resident);
        }
        if count.is_multiple_of(ASK_EVERY)
            && let Some(gauge) = self.subject.own_metric(HELD_BYTES).await
        {
            seen.gauge_max = Some(seen.gauge_max.map_or(gauge, |most| most.max(gauge)));
        }
        Ok(())
    }

    /// Waits for `least`, and on until nothing has arrived for [`SILENCE`]; returns the items that have.
    async fn wait_for_silence(&mut self, least: Duration) -> anyhow::Result<u64> {
        let began = Instant::now();
        let (mut arrived, mut moved) = (self.sink.items(), began);
        while (began.elapsed() < least || moved.elapsed() < SILENCE) && began.elapsed() < least + ARRIVAL_LIMIT {
            sleep(Duration::from_millis(10)).await;
            self.subject.check_alive()?;
            let now = self.sink.items();
            if now != arrived {
                (arrived, moved) = (now, Instant::now());
            }
        }
        Ok(arrived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_fits_into_the_time_it_is_given() {
        let spans = (BUDGET_TIMES * (BUDGET_MIB << 20)) as f64 / Pool::of_whole_traces().item_bytes();
        assert!(spans / (BUDGET_WAIT_SECONDS as f64) < 200_000.0, "{spans}");
        assert!(GIANT_SPANS as f64 / GIANT_RATE + GIANT_AFTER.as_secs_f64() < GIANT_SECONDS as f64);
        assert!(STEADY_FILL < Duration::from_secs(WAIT_SECONDS), "something would be decided");
    }
}
