//! `periodic` readers: metrics, sent every so often and once more at the end.
//!
//! One task per reader owns its state. With deltas, what an export that failed would have told is in the next one, and a
//! reader that a reload replaces hands its state to the one that takes its place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use component::telemetry::{Exponential, Labels, MetricKind, Value};
use component::{Counter, Deadline, Host, StartError};
use pdata::build::{
    self, AttributesWriter, Buckets, ExponentialHistogramFields, ExponentialHistogramPoints, HistogramFields,
    MetricFields, NumberFields, PayloadBuilder, Points,
};
use pdata::view::Number;
use pdata::{Payload, Signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::config::{PeriodicConfig, Temporality};
use super::resource::Resource;
use super::send::Sender;
use super::view::{Shown, Views};
use super::{FAILED_EXPORTS, attributes};

/// What one reader sends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pushing {
    pub(super) config: PeriodicConfig,
    pub(super) views: Arc<Views>,
    pub(super) resource: Arc<Resource>,
}

impl Pushing {
    fn temporality(&self) -> Temporality {
        self.config.exporter.otlp.as_ref().map_or(Temporality::Cumulative, |otlp| otlp.temporality_preference)
    }

    /// Reads certificates.
    ///
    /// # Errors
    /// Certificates, headers and endpoints that cannot be used.
    pub(super) fn sender(&self, host: &Host) -> Result<Sender, StartError> {
        match &self.config.exporter.otlp {
            Some(otlp) => Sender::otlp(&otlp.otlp, Signal::Metrics, host),
            None => Ok(Sender::console(Signal::Metrics)),
        }
    }
}

/// What a reader told last: the totals, and when. The default is the beginning, when all were 0.
#[derive(Debug, Default)]
pub(super) struct Told {
    at_unix_nano: u64,
    totals: BTreeMap<(String, Labels), Value>,
    exponentials: BTreeMap<(String, Labels), Exponential>,
}

/// A reader at work.
#[derive(Debug)]
pub(super) struct Pusher {
    pub(super) pushing: Pushing,
    stop: watch::Sender<Option<Deadline>>,
    task: JoinHandle<Told>,
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pusher {
    /// Starts the reader's task.
    pub(super) fn start(pushing: Pushing, sender: Sender, told: Told, host: &Host) -> Self {
        let (stop, stopped) = watch::channel(None);
        let failures = host.registry().counter(FAILED_EXPORTS, vec![("signal".to_owned(), "metrics".to_owned())]);
        let work = Work { pushing: pushing.clone(), sender, host: host.clone(), failures };
        Self { pushing, stop, task: tokio::spawn(work.run(told, stopped)) }
    }

    /// Sends once more, within the deadline, and ends. Returns what it has told.
    pub(super) async fn close(mut self, deadline: Deadline) -> Told {
        self.stop.send_replace(Some(deadline));
        // The task bounds its sending by the deadline.
        (&mut self.task).await.unwrap_or_default()
    }
}

struct Work {
    pushing: Pushing,
    sender: Sender,
    host: Host,
    failures: Counter,
}

impl Work {
    async fn run(self, mut told: Told, mut stop: watch::Receiver<Option<Deadline>>) -> Told {
        let period = Duration::from_millis(self.pushing.config.interval);
        let timeout = Duration::from_millis(self.pushing.config.timeout);
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => tokio::select! {
                    () = self.export(&mut told, timeout) => {}
                    () = over(stop.clone()) => break,
                },
                _ = stop.changed() => break,
            }
        }
        let left = (*stop.borrow()).map_or(Duration::ZERO, Deadline::remaining);
        if !left.is_zero() {
            self.export(&mut told, timeout.min(left)).await;
        }
        self.sender.close().await;
        told
    }

    async fn export(&self, told: &mut Told, time: Duration) {
        let metrics = self.pushing.views.apply(self.host.registry().read_fine());
        let now = unix_nano(SystemTime::now());
        let started = unix_nano(self.host.registry().started());
        let resource = &self.pushing.resource;
        let (payload, now_told) = encode(&metrics, resource, self.pushing.temporality(), started, now, told);
        if payload.items() == 0 {
            return;
        }
        match self.sender.send(&payload, time).await {
            Ok(()) => *told = now_told,
            Err(error) => {
                self.failures.add(1);
                tracing::warn!(error, "cannot send own metrics");
            }
        }
    }
}

/// Waits until it shall stop and the time for that is over.
pub(super) async fn over(mut stop: watch::Receiver<Option<Deadline>>) {
    let deadline = match stop.wait_for(Option::is_some).await {
        Ok(deadline) => *deadline,
        // Whoever would stop it is gone.
        Err(_) => None,
    };
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline.instant()).await;
    }
}

pub(super) fn unix_nano(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// The payload, and what will have been told with it.
fn encode(
    metrics: &[Shown],
    resource: &Resource,
    temporality: Temporality,
    started: u64,
    now: u64,
    told: &Told,
) -> (Payload, Told) {
    let delta = temporality == Temporality::Delta;
    let wire = if delta { build::Temporality::Delta } else { build::Temporality::Cumulative };
    let since = if delta { told.at_unix_nano.max(started) } else { started };
    let (mut totals, mut exponentials) = (BTreeMap::new(), BTreeMap::new());
    let mut builder = PayloadBuilder::metrics();
    builder.resource(
        &resource.schema_url,
        |writer| attributes(writer, resource),
        |scopes| {
            scopes.scope(
                resource.scope_name(),
                resource.scope_version(),
                |_| {},
                |items| {
                    for shown in metrics {
                        let fields = MetricFields { name: &shown.name, description: &shown.help, unit: shown.unit };
                        let sums = matches!(shown.kind, MetricKind::Counter | MetricKind::Histogram);
                        let series: Vec<(&Labels, Value)> = shown
                            .series
                            .iter()
                            .map(|(labels, total)| {
                                let key = (shown.name.to_string(), labels.clone());
                                let before = told.totals.get(&key).filter(|_| delta && sums);
                                let value = before.map_or_else(|| total.clone(), |before| difference(total, before));
                                if sums {
                                    totals.insert(key, total.clone());
                                }
                                (labels, value)
                            })
                            .collect();
                        let number = |value: &Value, since: u64| NumberFields {
                            start_time_unix_nano: since,
                            time_unix_nano: now,
                            value: number(value, shown.unit),
                            flags: 0,
                        };
                        if !shown.exponentials.is_empty() {
                            items.exponential_histogram(&fields, wire, |points| {
                                for (labels, total) in &shown.exponentials {
                                    let key = (shown.name.to_string(), labels.clone());
                                    let before = told.exponentials.get(&key).filter(|_| delta);
                                    let added = before.and_then(|before| total.since(before));
                                    exponential(points, added.as_ref().unwrap_or(total), labels, since, now);
                                    exponentials.insert(key, total.clone());
                                }
                            });
                            continue;
                        }
                        match shown.kind {
                            MetricKind::Gauge => items.gauge(&fields, |points| {
                                for (labels, value) in &series {
                                    points.point(&number(value, 0), |point| label(point.attributes(), labels));
                                }
                            }),
                            MetricKind::UpDownCounter => {
                                items.sum(&fields, build::Temporality::Cumulative, false, |points| {
                                    for (labels, value) in &series {
                                        points
                                            .point(&number(value, started), |point| label(point.attributes(), labels));
                                    }
                                })
                            }
                            MetricKind::Counter => items.sum(&fields, wire, true, |points| {
                                for (labels, value) in &series {
                                    points.point(&number(value, since), |point| label(point.attributes(), labels));
                                }
                            }),
                            MetricKind::Histogram => items.histogram(&fields, wire, |points| {
                                for (labels, value) in &series {
                                    let Value::Histogram { bounds, counts, sum } = value else { continue };
                                    let fields = HistogramFields {
                                        start_time_unix_nano: since,
                                        time_unix_nano: now,
                                        count: counts.iter().sum(),
                                        sum: Some(*sum),
                                        bucket_counts: counts,
                                        explicit_bounds: bounds,
                                        ..HistogramFields::default()
                                    };
                                    points.point(&fields, |point| label(point.attributes(), labels));
                                }
                            }),
                        };
                    }
                },
            );
        },
    );
    (builder.finish(None), Told { at_unix_nano: now, totals, exponentials })
}

fn exponential(
    points: &mut Points<'_, ExponentialHistogramPoints>,
    value: &Exponential,
    labels: &Labels,
    since: u64,
    now: u64,
) {
    let fields = ExponentialHistogramFields {
        start_time_unix_nano: since,
        time_unix_nano: now,
        count: value.count(),
        sum: Some(value.sum),
        min: Some(value.min).filter(|min| min.is_finite()),
        max: Some(value.max).filter(|max| max.is_finite()),
        scale: value.scale,
        zero_count: value.zero_count,
        positive: Some(Buckets { offset: value.positive.offset, bucket_counts: &value.positive.counts }),
        negative: Some(Buckets { offset: value.negative.offset, bucket_counts: &value.negative.counts }),
        ..ExponentialHistogramFields::default()
    };
    points.point(&fields, |point| label(point.attributes(), labels));
}

fn label(mut writer: AttributesWriter<'_>, labels: &Labels) {
    for (name, value) in labels {
        writer.str(name, value);
    }
}

/// Whole numbers as integers, but times and ratios always as doubles: a metric must not change its type.
fn number(value: &Value, unit: &str) -> Option<Number> {
    let Value::Number(number) = value else { return None };
    let whole = number.fract() == 0.0 && number.abs() < i64::MAX as f64 && !matches!(unit, "s" | "ms" | "1");
    #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
    Some(if whole { Number::Int(*number as i64) } else { Number::Double(*number) })
}

/// What was added since `before`. A total that went down began anew.
fn difference(total: &Value, before: &Value) -> Value {
    match (total, before) {
        (Value::Number(total), Value::Number(before)) if total >= before => Value::Number(total - before),
        (
            Value::Histogram { bounds, counts, sum },
            Value::Histogram { bounds: old_bounds, counts: old_counts, sum: old_sum },
        ) if bounds == old_bounds && counts.iter().zip(old_counts).all(|(new, old)| new >= old) => Value::Histogram {
            bounds: bounds.clone(),
            counts: counts.iter().zip(old_counts).map(|(new, old)| new - old).collect(),
            sum: sum - old_sum,
        },
        _ => total.clone(),
    }
}

#[cfg(test)]
mod tests {
    use component::telemetry::{Metric, Registry};
    use component::{Level, Telemetry};

    use super::*;

    const SENT: Metric = Metric { name: "sent", help: "Sent", unit: "{spans}", level: Level::Basic };
    const SIZES: Metric = Metric { name: "sizes", help: "Sizes", unit: "By", level: Level::Basic };
    const OPEN: Metric = Metric { name: "open", help: "Open", unit: "", level: Level::Basic };
    const AGE: Metric = Metric { name: "age", help: "Age", unit: "s", level: Level::Basic };

    fn json(payload: &Payload) -> serde_json::Value {
        let mut text = String::new();
        otlp::json::write_payload(payload, &mut text);
        let request: serde_json::Value = serde_json::from_str(&text).unwrap();
        request["resourceMetrics"][0].clone()
    }

    #[test]
    fn every_kind_has_its_form_and_deltas_are_what_was_added() {
        let registry = Registry::new(Level::Detailed);
        let telemetry = Telemetry::new(Arc::clone(&registry), vec![("exporter".to_owned(), "otlp/2".to_owned())]);
        let (sent, sizes) = (telemetry.counter(SENT, &[]), telemetry.histogram(SIZES, &[10.0], &[]));
        telemetry.up_down_counter(OPEN, &[]).add(-2);
        let _age = telemetry.gauge(AGE, &[], || 3.0);
        let resource = Resource::test(&[("service.name", "weir")]);
        let mut told = Told::default();
        let mut export = |temporality, now| {
            let (payload, now_told) =
                encode(&Views::default().apply(registry.read_fine()), &resource, temporality, 5, now, &told);
            told = now_told;
            assert_eq!(payload.items(), 4);
            json(&payload)
        };
        sent.add(7);
        sizes.record(3.0);
        let first = export(Temporality::Delta, 100);
        sent.add(2);
        sizes.record(30.0);
        let second = export(Temporality::Delta, 200);
        let total = export(Temporality::Cumulative, 300);
        assert_eq!(first["resource"]["attributes"][0]["value"]["stringValue"], "weir");
        let metric = |request: &serde_json::Value, name: &str| {
            let metrics = request["scopeMetrics"][0]["metrics"].as_array().unwrap().clone();
            metrics.into_iter().find(|metric| metric["name"] == name).unwrap()
        };
        let sum = |request: &serde_json::Value| {
            let sum = metric(request, "sent")["sum"].clone();
            let point = sum["dataPoints"][0].clone();
            assert_eq!((&sum["isMonotonic"], &point["attributes"][0]["key"]), (&true.into(), &"exporter".into()));
            let texts =
                ["startTimeUnixNano", "timeUnixNano", "asInt"].map(|key| point[key].as_str().unwrap().to_owned());
            (sum["aggregationTemporality"].as_i64().unwrap(), texts)
        };
        let of = |temporality, texts: [&str; 3]| (temporality, texts.map(str::to_owned));
        assert_eq!(sum(&first), of(1, ["5", "100", "7"]));
        assert_eq!(sum(&second), of(1, ["100", "200", "2"]));
        assert_eq!(sum(&total), of(2, ["5", "300", "9"]));
        let buckets = |request| metric(request, "sizes")["histogram"]["dataPoints"][0]["bucketCounts"].clone();
        assert_eq!(buckets(&second), serde_json::json!(["0", "1"]));
        assert_eq!(buckets(&total), serde_json::json!(["1", "1"]));
        let open = metric(&second, "open")["sum"].clone();
        assert_eq!((&open["aggregationTemporality"], &open["dataPoints"][0]["asInt"]), (&2.into(), &"-2".into()));
        assert_eq!(metric(&second, "age")["gauge"]["dataPoints"][0]["asDouble"], 3.0);
    }

    #[test]
    fn exponential_histograms_are_sent_as_such_and_their_deltas_too() {
        let registry = Registry::new(Level::Detailed);
        registry.set_fine_bounds(|_: &Metric| component::telemetry::Fine {
            bounds: Vec::new(),
            exponential: Some(component::telemetry::ExponentialLimits { max_scale: 20, max_size: 4 }),
        });
        let sizes = registry.histogram(SIZES, &[10.0], vec![("exporter".to_owned(), "otlp".to_owned())]);
        let (resource, views, mut told) = (Resource::test(&[]), Views::new(&[], true), Told::default());
        let mut export = |temporality, now| {
            let shown = views.apply(registry.read_fine());
            let (payload, now_told) = encode(&shown, &resource, temporality, 5, now, &told);
            told = now_told;
            json(&payload)["scopeMetrics"][0]["metrics"][0].clone()
        };
        sizes.record(3.0);
        let first = export(Temporality::Delta, 100);
        for value in [0.0, 5.0, 33.0] {
            sizes.record(value);
        }
        let (second, total) = (export(Temporality::Delta, 200), export(Temporality::Cumulative, 300));
        let point = |metric: &serde_json::Value| metric["exponentialHistogram"]["dataPoints"][0].clone();
        assert_eq!(first["exponentialHistogram"]["aggregationTemporality"], 1);
        assert_eq!(first["unit"], "By");
        let (first, second, total) = (point(&first), point(&second), point(&total));
        let texts = |point: &serde_json::Value, keys: [&str; 5]| keys.map(|key| point[key].to_string()).join(" ");
        assert_eq!(texts(&first, ["scale", "count", "sum", "min", "zeroCount"]), "20 \"1\" 3 3 null");
        // Four buckets reach from 3 to 33 when bounds grow by 4: the 3 of before lies in (1, 4], 5 in (4, 16], 33 in (16, 64].
        assert_eq!(texts(&second, ["scale", "count", "sum", "min", "zeroCount"]), "-1 \"3\" 38 null \"1\"");
        assert_eq!(second["positive"]["bucketCounts"], serde_json::json!(["0", "1", "1"]));
        assert_eq!(texts(&total, ["scale", "count", "sum", "max", "zeroCount"]), "-1 \"4\" 41 33 \"1\"");
        assert_eq!(second["attributes"][0]["value"]["stringValue"], "otlp");
        assert_eq!(second["startTimeUnixNano"], "100");
    }
}
