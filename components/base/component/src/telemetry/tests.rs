use super::*;

const SPANS: Metric = Metric { name: "spans", help: "h", unit: "{spans}", level: Level::Basic };
const SIZES: Metric = Metric { name: "sizes", help: "h", unit: "By", level: Level::Detailed };

#[test]
fn same_labels_give_the_same_series_in_any_order() {
    let registry = Registry::new(Level::Normal);
    let label = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    registry.counter(SPANS, vec![label("b", "1"), label("a", "2")]).add(2);
    registry.counter(SPANS, vec![label("a", "2"), label("b", "1")]).add(3);
    let read = registry.read();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].series, [(vec![label("a", "2"), label("b", "1")], Value::Number(5.0))]);
}

#[test]
fn level_hides_without_losing_counts() {
    let registry = Registry::new(Level::Normal);
    let sizes = registry.histogram(SIZES, &[1.0, 2.0], Labels::new());
    for value in [0.5, 1.0, 1.5, 9.0] {
        sizes.record(value);
    }
    assert!(registry.read().is_empty());
    registry.set_level(Level::Detailed);
    let Value::Histogram { counts, sum, .. } = registry.read()[0].series[0].1.clone() else { panic!() };
    assert_eq!(counts, [2, 1, 1]);
    assert!((sum - 12.0).abs() < 1e-9);
}

#[test]
fn finer_buckets_are_told_to_those_who_ask_and_merge_exactly() {
    let registry = Registry::new(Level::Detailed);
    let early = registry.histogram(SIZES, &[1.0, 10.0], Labels::new());
    registry.set_fine_bounds(|metric| if metric.name == "sizes" { vec![5.0, 100.0, 1.0] } else { vec![9.0] });
    let late = registry.histogram(SIZES, &[1.0, 10.0], vec![("late".to_owned(), String::new())]);
    for histogram in [early, late] {
        for value in [1.0, 5.0, 6.0, 10.0, 11.0, 200.0] {
            histogram.record(value);
        }
    }
    for (labels, value) in &registry.read_fine()[0].series {
        let fine = Value::Histogram { bounds: vec![1.0, 5.0, 10.0, 100.0], counts: vec![1, 1, 2, 1, 1], sum: 233.0 };
        assert_eq!(*value, fine, "{labels:?}");
        let wanted = Value::Histogram { bounds: vec![5.0, 100.0], counts: vec![2, 3, 1], sum: 233.0 };
        assert_eq!(value.clone().in_buckets(&[5.0, 100.0]), wanted);
    }
    for (labels, value) in &registry.read()[0].series {
        let declared = Value::Histogram { bounds: vec![1.0, 10.0], counts: vec![1, 3, 2], sum: 233.0 };
        assert_eq!(*value, declared, "{labels:?}");
    }
}

#[test]
fn an_observed_gauge_goes_with_its_registration() {
    let telemetry = Telemetry::detached();
    let observer = telemetry.gauge(SPANS, &[("q", "1")], || 7.0);
    assert_eq!(telemetry.registry().read()[0].series[0].1, Value::Number(7.0));
    let successor = telemetry.gauge(SPANS, &[("q", "1")], || 8.0);
    let read = telemetry.registry().read();
    assert_eq!(read[0].series, [(vec![("q".to_owned(), "1".to_owned())], Value::Number(8.0))], "one series, the newer");
    drop((observer, successor));
    assert!(telemetry.registry().read().is_empty());
}
