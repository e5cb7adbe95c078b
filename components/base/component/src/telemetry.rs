//! Own metrics: a registry of counters, gauges and histograms under the Collector's names.
//!
//! A registry of ours rather than a facade's recorder, because three readers need the same values (the Prometheus page,
//! periodic OTLP readers, the ledger's consistent cut), levels decide what exists, and a reload must be able to take
//! gauges of replaced components away. Recording is one atomic operation; series are created at build time of the
//! component, never per item.

mod exponential;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::decisions::Decisions;
use crate::pages::Pages;
use crate::pressure::Pressure;

pub use exponential::{Exponential, ExponentialBuckets, ExponentialLimits, SCALE_MAX, SCALE_MIN};

/// How much the program tells about itself (`service::telemetry::metrics::level`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    None,
    /// The essential.
    Basic,
    /// The default.
    #[default]
    Normal,
    /// Everything.
    Detailed,
}

/// Labels of a series: names and values, sorted by name.
pub type Labels = Vec<(String, String)>;

/// A counter of things. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value that goes up and down. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A distribution over buckets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<ArcSwap<HistogramState>>);

#[derive(Debug)]
struct HistogramState {
    bounds: Vec<f64>,
    counts: Vec<AtomicU64>,
    /// Bits of an `f64`.
    sum: AtomicU64,
    /// Where somebody asked for it.
    exponential: Option<(ExponentialLimits, Mutex<Exponential>)>,
}

impl HistogramState {
    fn new(bounds: Vec<f64>, exponential: Option<ExponentialLimits>) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        let exponential = exponential.map(|limits| (limits, Mutex::new(Exponential::new(limits.max_scale))));
        Self { bounds, counts, sum: AtomicU64::new(0_f64.to_bits()), exponential }
    }
}

impl Histogram {
    fn new(form: Form) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(HistogramState::new(form.bounds, form.exponential))))
    }

    /// Records one value.
    pub fn record(&self, value: f64) {
        let state = self.0.load();
        let bucket = state.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = state.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |bits: u64| Some((f64::from_bits(bits) + value).to_bits());
        let _previous = state.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if let Some((limits, exponential)) = &state.exponential {
            exponential.lock().unwrap_or_else(PoisonError::into_inner).record(value, limits.max_size);
        }
    }

    /// Records in this form from now on. What was counted in other buckets cannot be told apart by them, so counting begins
    /// anew.
    fn set_form(&self, form: Form) {
        let state = self.0.load();
        if state.bounds != form.bounds || state.exponential.as_ref().map(|(limits, _)| *limits) != form.exponential {
            self.0.store(Arc::new(HistogramState::new(form.bounds, form.exponential)));
        }
    }

    fn read_exponential(&self) -> Option<Exponential> {
        let state = self.0.load();
        let (_, exponential) = state.exponential.as_ref()?;
        Some(exponential.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn read(&self) -> Value {
        let state = self.0.load();
        Value::Histogram {
            bounds: state.bounds.clone(),
            counts: state.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: f64::from_bits(state.sum.load(Ordering::Relaxed)),
        }
    }
}

/// Bucket bounds for sizes in items, as the Collector's batch histogram has them.
pub const ITEM_BUCKETS: &[f64] = &[
    10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 8000.0,
    9000.0, 10000.0, 20000.0, 30000.0, 50000.0, 100_000.0,
];

/// Bucket bounds for sizes in bytes.
pub const BYTE_BUCKETS: &[f64] = &[
    10.0,
    25.0,
    50.0,
    75.0,
    100.0,
    250.0,
    500.0,
    750.0,
    1000.0,
    2000.0,
    3000.0,
    4000.0,
    5000.0,
    6000.0,
    7000.0,
    8000.0,
    9000.0,
    10_000.0,
    20_000.0,
    30_000.0,
    50_000.0,
    100_000.0,
    200_000.0,
    300_000.0,
    400_000.0,
    500_000.0,
    600_000.0,
    700_000.0,
    800_000.0,
    900_000.0,
    1_000_000.0,
    2_000_000.0,
    3_000_000.0,
    4_000_000.0,
    5_000_000.0,
    6_000_000.0,
    7_000_000.0,
    8_000_000.0,
    9_000_000.0,
];

/// Bucket bounds for durations in seconds, OpenTelemetry's advice for HTTP and RPC.
pub const SECOND_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Monotonic sum.
    Counter,
    /// Current value.
    Gauge,
    /// Sum that goes up and down.
    UpDownCounter,
    /// Distribution.
    Histogram,
}

/// A metric's identity. Declare one as a constant per metric, so that its facts have one home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name without type and unit suffixes: `otelcol_exporter_sent_spans`.
    pub name: &'static str,
    /// What it counts, for `# HELP`.
    pub help: &'static str,
    /// UCUM unit: `{spans}`, `By`, `s`.
    pub unit: &'static str,
    /// From which level on it exists.
    pub level: Level,
}

/// A reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Counters and gauges.
    Number(f64),
    /// `counts` has one entry more than `bounds`; bounds are inclusive upper ones.
    Histogram {
        /// Upper bounds, ascending.
        bounds: Vec<f64>,
        /// Per bucket, not cumulative.
        counts: Vec<u64>,
        /// Sum of the recorded values.
        sum: f64,
    },
}

impl Value {
    /// A histogram over `wanted` buckets: exact, as long as every wanted bound is one of those it has. Numbers stay.
    #[must_use]
    pub fn in_buckets(self, wanted: &[f64]) -> Self {
        let (bounds, counts, sum) = match self {
            Self::Histogram { bounds, counts, sum } if bounds != wanted => (bounds, counts, sum),
            same => return same,
        };
        let mut merged = vec![0; wanted.len() + 1];
        for (index, count) in counts.iter().enumerate() {
            let place = bounds.get(index).map_or(wanted.len(), |upper| wanted.partition_point(|bound| bound < upper));
            if let Some(bucket) = merged.get_mut(place) {
                *bucket += count;
            }
        }
        Self::Histogram { bounds: wanted.to_vec(), counts: merged, sum }
    }
}

/// All series of one metric, read at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which metric.
    pub metric: Metric,
    /// What it is.
    pub kind: MetricKind,
    /// The bounds its histograms are declared with; empty for others.
    pub bounds: Vec<f64>,
    /// Its series, sorted by labels.
    pub series: Vec<(Labels, Value)>,
    /// Its histograms in exponential form, sorted by labels; empty unless [asked for](Registry::set_fine_bounds).
    pub exponentials: Vec<(Labels, Exponential)>,
}

/// What readers want of the histograms of a metric beside the buckets they are declared with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fine {
    /// Further bounds.
    pub bounds: Vec<f64>,
    /// To count in exponential buckets too, this fine.
    pub exponential: Option<ExponentialLimits>,
}

impl From<Vec<f64>> for Fine {
    fn from(bounds: Vec<f64>) -> Self {
        Self { bounds, exponential: None }
    }
}

type FineOf = dyn Fn(&Metric) -> Fine + Send + Sync;

/// How a histogram counts.
struct Form {
    bounds: Vec<f64>,
    exponential: Option<ExponentialLimits>,
}

type Observe = dyn Fn() -> Vec<(Labels, f64)> + Send + Sync;

struct Family {
    metric: Metric,
    kind: MetricKind,
    /// As the histograms are declared.
    bounds: Vec<f64>,
    counters: BTreeMap<Labels, Counter>,
    gauges: BTreeMap<Labels, Gauge>,
    histograms: BTreeMap<Labels, Histogram>,
    observers: Vec<Weak<Observe>>,
}

/// All own metrics of the process.
pub struct Registry {
    level: AtomicU8,
    started: SystemTime,
    families: Mutex<BTreeMap<&'static str, Family>>,
    /// Taken while `families` is held.
    fine: Mutex<Option<Box<FineOf>>>,
    pages: Pages,
    pressure: Arc<Pressure>,
    decisions: Arc<Decisions>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("families", &self.lock().len()).finish_non_exhaustive()
    }
}

/// Keeps an observed gauge alive; dropping it removes the gauge's series.
#[must_use = "an observer lives as long as its registration"]
pub struct Observer(#[expect(dead_code, reason = "held for its drop")] Arc<Observe>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(level: Level) -> Arc<Self> {
        Arc::new(Self {
            level: AtomicU8::new(level as u8),
            started: SystemTime::now(),
            families: Mutex::default(),
            fine: Mutex::default(),
            pages: Pages::default(),
            pressure: Arc::default(),
            decisions: Arc::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What components publish about themselves beside metrics.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// The degraded mode of the process.
    #[must_use]
    pub fn pressure(&self) -> &Arc<Pressure> {
        &self.pressure
    }

    /// What samplers of traces decided.
    #[must_use]
    pub fn decisions(&self) -> &Arc<Decisions> {
        &self.decisions
    }

    /// When counting began.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// The level of what is shown.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.level.load(Ordering::Relaxed) {
            0 => Level::None,
            1 => Level::Basic,
            2 => Level::Normal,
            _ => Level::Detailed,
        }
    }

    /// Changes the level of what is shown. Everything is counted at any level.
    pub fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    fn with_family<T>(&self, metric: Metric, kind: MetricKind, with: impl FnOnce(&mut Family) -> T) -> T {
        let mut families = self.lock();
        let family = families.entry(metric.name).or_insert_with(|| Family {
            metric,
            kind,
            bounds: Vec::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            histograms: BTreeMap::new(),
            observers: Vec::new(),
        });
        with(family)
    }

    /// The counter with these labels; the same one for the same labels.
    #[must_use]
    pub fn counter(&self, metric: Metric, labels: Labels) -> Counter {
        self.with_family(metric, MetricKind::Counter, |family| {
            family.counters.entry(sorted(labels)).or_default().clone()
        })
    }

    /// The up-down counter with these labels.
    #[must_use]
    pub fn up_down_counter(&self, metric: Metric, labels: Labels) -> Gauge {
        self.with_family(metric, MetricKind::UpDownCounter, |family| {
            family.gauges.entry(sorted(labels)).or_default().clone()
        })
    }

    /// The histogram with these labels.
    #[must_use]
    pub fn histogram(&self, metric: Metric, bounds: &[f64], labels: Labels) -> Histogram {
        self.with_family(metric, MetricKind::Histogram, |family| {
            if family.histograms.is_empty() {
                family.bounds = bounds.to_vec();
            }
            let form = self.form(family);
            family.histograms.entry(sorted(labels)).or_insert_with(|| Histogram::new(form)).clone()
        })
    }

    /// The declared bounds and the further ones, ascending; and the exponential form.
    fn form(&self, family: &Family) -> Form {
        let fine = self.fine.lock().unwrap_or_else(PoisonError::into_inner);
        let fine = fine.as_ref().map(|fine| fine(&family.metric)).unwrap_or_default();
        let mut bounds: Vec<f64> = family.bounds.iter().copied().chain(fine.bounds).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Form { bounds, exponential: fine.exponential }
    }

    /// Makes histograms count in further buckets too, which only [`Registry::read_fine`] tells. Those whose buckets change by
    /// this count anew.
    pub fn set_fine_bounds<F: Into<Fine>>(&self, fine: impl Fn(&Metric) -> F + Send + Sync + 'static) {
        let families = self.lock();
        *self.fine.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(move |metric| fine(metric).into()));
        for family in families.values() {
            family.histograms.values().for_each(|histogram| histogram.set_form(self.form(family)));
        }
    }

    /// Values that are asked for when somebody reads. `kind` is [`MetricKind::Gauge`] or [`MetricKind::Counter`].
    pub fn observe(
        &self,
        metric: Metric,
        kind: MetricKind,
        observe: impl Fn() -> Vec<(Labels, f64)> + Send + Sync + 'static,
    ) -> Observer {
        let observe: Arc<Observe> = Arc::new(observe);
        self.with_family(metric, kind, |family| family.observers.push(Arc::downgrade(&observe)));
        Observer(observe)
    }

    /// Reads everything the level shows, sorted by name and labels.
    #[must_use]
    pub fn read(&self) -> Vec<Reading> {
        let mut readings = self.read_fine();
        for reading in readings.iter_mut().filter(|reading| reading.kind == MetricKind::Histogram) {
            let series = std::mem::take(&mut reading.series).into_iter();
            reading.series = series.map(|(labels, value)| (labels, value.in_buckets(&reading.bounds))).collect();
            reading.exponentials.clear();
        }
        readings
    }

    /// As [`Registry::read`], with histograms in all the buckets they count in, exponential ones included.
    #[must_use]
    pub fn read_fine(&self) -> Vec<Reading> {
        let level = self.level();
        // Observers may take other locks (the ledger's), so they run after this one is released.
        let mut readings = Vec::new();
        let mut observers = Vec::new();
        for family in self.lock().values_mut().filter(|family| family.metric.level <= level) {
            family.observers.retain(|observer| observer.strong_count() > 0);
            let mut series: Vec<(Labels, Value)> = Vec::new();
            series.extend(family.counters.iter().map(|(labels, c)| (labels.clone(), Value::Number(c.get() as f64))));
            series.extend(family.gauges.iter().map(|(labels, g)| (labels.clone(), Value::Number(g.get() as f64))));
            series.extend(family.histograms.iter().map(|(labels, h)| (labels.clone(), h.read())));
            observers.push(family.observers.iter().filter_map(Weak::upgrade).collect::<Vec<_>>());
            let exponential =
                |(labels, histogram): (&Labels, &Histogram)| Some((labels.clone(), histogram.read_exponential()?));
            let exponentials = family.histograms.iter().filter_map(exponential).collect();
            let bounds = family.bounds.clone();
            readings.push(Reading { metric: family.metric, kind: family.kind, bounds, series, exponentials });
        }
        for (reading, observers) in readings.iter_mut().zip(observers) {
            for observe in observers {
                reading
                    .series
                    .extend(observe().into_iter().map(|(labels, value)| (sorted(labels), Value::Number(value))));
            }
            // While a replaced component drains, it and its successor observe under the same labels. The sort is stable and
            // successors register later, so the last of equals is the successor's.
            reading.series.sort_by(|(a, _), (b, _)| a.cmp(b));
            reading.series.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    std::mem::swap(later, kept);
                }
                same
            });
        }
        readings.retain(|reading| !reading.series.is_empty());
        readings
    }
}

fn sorted(mut labels: Labels) -> Labels {
    labels.sort();
    labels
}

/// A registry seen by one component: adds its labels to every series.
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Arc<Registry>,
    labels: Arc<Labels>,
}

impl Telemetry {
    /// A view that adds `labels` (`receiver` = `otlp/2`).
    #[must_use]
    pub fn new(registry: Arc<Registry>, labels: Labels) -> Self {
        Self { registry, labels: Arc::new(labels) }
    }

    /// A view that leads nowhere, for tests.
    #[must_use]
    pub fn detached() -> Self {
        Self::new(Registry::new(Level::Detailed), Labels::new())
    }

    /// The registry behind it.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The component's labels and these.
    #[must_use]
    pub fn labels(&self, more: &[(&str, &str)]) -> Labels {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.labels.iter().cloned().chain(more).collect()
    }

    /// A counter of this component.
    #[must_use]
    pub fn counter(&self, metric: Metric, labels: &[(&str, &str)]) -> Counter {
        self.registry.counter(metric, self.labels(labels))
    }

    /// An up-down counter of this component.
    #[must_use]
    pub fn up_down_counter(&self, metric: Metric, labels: &[(&str, &str)]) -> Gauge {
        self.registry.up_down_counter(metric, self.labels(labels))
    }

    /// A histogram of this component.
    #[must_use]
    pub fn histogram(&self, metric: Metric, bounds: &[f64], labels: &[(&str, &str)]) -> Histogram {
        self.registry.histogram(metric, bounds, self.labels(labels))
    }

    /// A gauge of this component that is asked for when somebody reads.
    pub fn gauge(
        &self,
        metric: Metric,
        labels: &[(&str, &str)],
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Observer {
        let labels = self.labels(labels);
        self.registry.observe(metric, MetricKind::Gauge, move || vec![(labels.clone(), value())])
    }
}

#[cfg(test)]
mod tests;
