//! Three answers about health. `/livez`: the process answers. `/readyz`: every pipeline runs, so traffic may come.
//! `/health`: how each component is doing, with queues and causes; for people and monitoring, never for liveness probes.

use component::lifecycle::Phase;
use component::telemetry::Value;
use component::{Health, Host};
use serde_json::{Map, Value as Json, json};

/// HTTP status and JSON of `/health`: 200 while everything runs, in trouble it expects to recover from included; 503 before,
/// after, and when a component will not recover.
#[must_use]
pub(super) fn health(host: &Host) -> (u16, String) {
    let phase = *host.phase().borrow();
    let mut worst = Worst::Ok;
    let mut components = Vec::new();
    for (component, health) in host.health() {
        let (status, error) = match &health {
            Health::Starting => ("starting", None),
            Health::Ok => ("ok", None),
            Health::Recoverable(why) => ("recoverable_error", Some(why)),
            Health::Permanent(why) => ("permanent_error", Some(why)),
            Health::Stopping => ("stopping", None),
            // A reload has taken it away.
            Health::Stopped if phase == Phase::Running => continue,
            Health::Stopped => ("stopped", None),
        };
        worst = worst.max(match &health {
            Health::Permanent(_) => Worst::Permanent,
            Health::Recoverable(_) => Worst::Recoverable,
            _ => Worst::Ok,
        });
        let mut entry = json!({"component": component, "status": status});
        if let (Some(error), Some(entry)) = (error, entry.as_object_mut()) {
            entry.insert("error".to_owned(), error.as_str().into());
        }
        components.push(entry);
    }
    let (code, status) = match (phase, worst) {
        (Phase::Starting, _) => (503, "starting"),
        (Phase::Stopping, _) => (503, "stopping"),
        (Phase::Running, Worst::Ok) => (200, "ok"),
        (Phase::Running, Worst::Recoverable) => (200, "degraded"),
        (Phase::Running, Worst::Permanent) => (503, "failed"),
    };
    let difference: i128 = host.ledger().read().iter().map(|(_, totals)| totals.difference()).sum();
    let mut body = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": host.registry().started().elapsed().unwrap_or_default().as_secs(),
        "components": components,
        "queues": queues(host),
        "destinations": destinations(host),
        "bytes_held": host.account().held(),
        "ledger_difference": i64::try_from(difference).unwrap_or(i64::MAX),
    });
    let pressure = host.pressure();
    if let (true, Some(body)) = (pressure.is_sensed(), body.as_object_mut()) {
        let value = (pressure.value() * 1000.0).round() / 1000.0;
        body.insert("overload".to_owned(), json!({"step": pressure.step().as_str(), "pressure": value}));
    }
    (code, format!("{body}\n"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Ok,
    Recoverable,
    Permanent,
}

/// Size and capacity of each sending queue.
fn queues(host: &Host) -> Vec<Json> {
    let readings = host.registry().read();
    let series = |name: &str| readings.iter().find(|r| r.metric.name == name).map(|r| r.series.as_slice());
    let capacities = series("otelcol_exporter_queue_capacity").unwrap_or_default();
    let sizes = series("otelcol_exporter_queue_size").unwrap_or_default();
    let queue = |(labels, size): &(Vec<(String, String)>, Value)| {
        let mut queue: Map<String, Json> =
            labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let capacity = capacities.iter().find(|(same, _)| same == labels).map(|(_, capacity)| capacity);
        for (name, value) in [("size", Some(size)), ("capacity", capacity)] {
            if let Some(Value::Number(number)) = value {
                queue.insert(name.to_owned(), (*number).into());
            }
        }
        Json::Object(queue)
    };
    sizes.iter().map(queue).collect()
}

/// Each exporter's destination: seconds since it last took something (null before the first time), and what is wrong.
fn destinations(host: &Host) -> Vec<Json> {
    let (readings, health) = (host.registry().read(), host.health());
    let ages = readings.iter().find(|reading| reading.metric.name == "weir_exporter_last_success_age");
    let destination = |(labels, age): &(Vec<(String, String)>, Value)| {
        let mut destination: Map<String, Json> =
            labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        if let Value::Number(age) = age {
            destination.insert("last_success_age_seconds".to_owned(), (*age).into());
        }
        let label =
            |wanted: &str| labels.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str());
        let name = format!("exporter `{}` for {}", label("exporter"), label("data_type"));
        if let Some(Health::Recoverable(cause) | Health::Permanent(cause)) = health.get(&name) {
            destination.insert("cause".to_owned(), cause.as_str().into());
        }
        Json::Object(destination)
    };
    ages.into_iter().flat_map(|reading| &reading.series).map(destination).collect()
}

/// HTTP status and text of `/readyz`.
#[must_use]
pub(super) fn ready(host: &Host) -> (u16, &'static str) {
    match *host.phase().borrow() {
        Phase::Starting => (503, "starting\n"),
        Phase::Running => (200, "ready\n"),
        Phase::Stopping => (503, "stopping\n"),
    }
}

#[cfg(test)]
mod tests {
    use component::Registry;
    use component::telemetry::{Level, Metric, MetricKind};
    use pdata::{ByteAccount, Ledger};

    use super::*;

    #[test]
    fn health_follows_phase_and_components() {
        let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Basic));
        let state = || {
            let (code, text) = health(&host);
            let body: Json = serde_json::from_str(&text).unwrap();
            (code, body["status"].as_str().unwrap().to_owned(), ready(&host).0)
        };
        let is = |code, status: &str, ready| (code, status.to_owned(), ready);
        assert_eq!(state(), is(503, "starting", 503));
        host.set_phase(Phase::Running);
        host.report_health("receiver `otlp`", Health::Ok);
        host.report_health("exporter `old`", Health::Stopped);
        assert_eq!(state(), is(200, "ok", 200));
        host.report_health("exporter `a`", Health::Recoverable("connection refused".into()));
        assert_eq!(state(), is(200, "degraded", 200));
        host.report_health("exporter `b`", Health::Permanent("gone".into()));
        assert_eq!(state(), is(503, "failed", 200));
        host.set_phase(Phase::Stopping);
        assert_eq!(state(), is(503, "stopping", 503));
    }

    #[test]
    fn health_names_causes_and_queues() {
        let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Basic));
        let metric = |name| Metric { name, help: "", unit: "", level: Level::Basic };
        let labels = vec![("exporter".to_owned(), "otlp".to_owned())];
        let observe = |name, value| {
            let labels = labels.clone();
            host.registry().observe(metric(name), MetricKind::Gauge, move || vec![(labels.clone(), value)])
        };
        let _observers =
            [observe("otelcol_exporter_queue_size", 3.0), observe("otelcol_exporter_queue_capacity", 10.0)];
        host.set_phase(Phase::Running);
        host.report_health("exporter `a`", Health::Recoverable("connection refused".into()));
        host.report_health("exporter `old`", Health::Stopped);
        let body: Json = serde_json::from_str(&health(&host).1).unwrap();
        let component = json!({
            "component": "exporter `a`", "status": "recoverable_error", "error": "connection refused"
        });
        assert_eq!(body["components"], json!([component]));
        assert_eq!(body["queues"], json!([{"exporter": "otlp", "size": 3.0, "capacity": 10.0}]));
        assert_eq!(body["ledger_difference"], 0);
    }

    #[test]
    fn health_tells_the_step_of_the_degraded_mode_where_somebody_measures() {
        let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Basic));
        let body = || serde_json::from_str::<Json>(&health(&host).1).unwrap();
        assert_eq!(body()["overload"], Json::Null);
        let sensor = host.pressure().sense();
        let (step, value) = (component::pressure::Step::Thin, 0.61234);
        sensor.set(&component::pressure::Reading { step, value, ..Default::default() });
        assert_eq!(body()["overload"], json!({"step": "thin", "pressure": 0.612}));
    }

    #[test]
    fn health_tells_when_destinations_last_took_something_and_what_is_wrong() {
        let (host, _fatal) = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Basic));
        let metric = Metric { name: "weir_exporter_last_success_age", help: "", unit: "s", level: Level::Basic };
        let labels = |signal: &str| {
            let pairs = [("exporter", "otlp/eu"), ("data_type", signal), ("destination", "eu:4317")];
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
        };
        let _ages = host
            .registry()
            .observe(metric, MetricKind::Gauge, move || vec![(labels("logs"), f64::NAN), (labels("traces"), 12.5)]);
        host.report_health("exporter `otlp/eu` for logs", Health::Recoverable("connection refused".into()));
        host.report_health("exporter `otlp/eu` for traces", Health::Ok);
        let body: Json = serde_json::from_str(&health(&host).1).unwrap();
        let entry = |signal: &str, age: Json| json!({"exporter": "otlp/eu", "data_type": signal, "destination": "eu:4317", "last_success_age_seconds": age});
        let mut logs = entry("logs", Json::Null);
        logs["cause"] = "connection refused".into();
        assert_eq!(body["destinations"], json!([logs, entry("traces", 12.5.into())]));
    }
}
