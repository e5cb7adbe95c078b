//! What aggregating makes of metrics.

use ottl::Context::{DataPoint, Metric};

use crate::functions::testing::{Sample, check, fails, refused, run};

const FUNCTIONS: [&str; 6] = ["sum", "max", "min", "mean", "median", "count"];

#[test]
fn attributes_that_are_not_listed_go() {
    let metric = || {
        let sum = Sample::sum("s", 2, true).double(1, 100.0, &[("key1", "val1"), ("key2", "a")]);
        sum.double(1, 50.0, &[("key2", "b"), ("key1", "val1")]).double(1, 20.0, &[("key2", "b")])
    };
    let kept = "{key1=val1,key2=a}@1 100 | {key2=b,key1=val1}@1 50 | {key2=b}@1 20";
    for (arguments, points) in [
        ("[\"none\"]", "{}@1 170"),
        ("[]", "{}@1 170"),
        ("attributes=[\"key1\"]", "{key1=val1}@1 150 | {}@1 20"),
        ("[\"key1\", \"key1\"]", "{key1=val1}@1 150 | {}@1 20"),
        ("[\"key2\"]", "{key2=a}@1 100 | {key2=b}@1 70"),
        ("[\"key2\", \"key1\"]", kept),
    ] {
        let statement = format!("aggregate_on_attributes(\"sum\", {arguments})");
        check(Metric, &[&statement], &[metric()], &[&format!("s sum 2 monotonic: {points}")]);
    }
    let statements = ["aggregate_on_attributes(\"sum\")"];
    check(Metric, &statements, &[metric()], &[&format!("s sum 2 monotonic: {kept}")]);
}

#[test]
fn values_become_one() {
    let metric = || {
        let gauge = Sample::gauge("g").int(1, 1, &[("a", "x"), ("b", "1")]).int(1, 2, &[("a", "y"), ("b", "1")]);
        gauge.int(1, 4, &[("a", "z"), ("b", "1")]).int(1, 8, &[("b", "1")]).int(1, 16, &[("a", "new"), ("b", "1")])
    };
    for (arguments, points) in [
        ("\"a\", [\"x\", \"y\"], \"n\"", "{a=n,b=1}@1 3 | {a=z,b=1}@1 4 | {b=1}@1 8 | {a=new,b=1}@1 16"),
        ("\"a\", [\"x\", \"y\"], \"new\"", "{a=new,b=1}@1 19 | {a=z,b=1}@1 4 | {b=1}@1 8"),
        ("\"a\", [\"x\", \"y\"], \"z\"", "{a=z,b=1}@1 7 | {b=1}@1 8 | {a=new,b=1}@1 16"),
        ("\"c\", [\"x\"], \"z\"", "{a=x,b=1}@1 1 | {a=y,b=1}@1 2 | {a=z,b=1}@1 4 | {b=1}@1 8 | {a=new,b=1}@1 16"),
        ("\"a\", [], \"z\"", "{a=x,b=1}@1 1 | {a=y,b=1}@1 2 | {a=z,b=1}@1 4 | {b=1}@1 8 | {a=new,b=1}@1 16"),
    ] {
        let statement = format!("aggregate_on_attribute_value(\"sum\", {arguments})");
        check(Metric, &[&statement], &[metric()], &[&format!("g gauge: {points}")]);
    }
    let named = "aggregate_on_attribute_value(aggregation_function=\"max\", attribute=\"a\", values=[\"x\",\"y\"], new_value=\"\")";
    let expected = "g gauge: {a=,b=1}@1 2 | {a=z,b=1}@1 4 | {b=1}@1 8 | {a=new,b=1}@1 16";
    check(Metric, &[named], &[metric()], &[expected]);
    // An integer is no text.
    let int = || Sample::gauge("g").int(1, 1, &[]).attribute(7, "a", &[0x18, 1]);
    let statement = "aggregate_on_attribute_value(\"sum\", \"a\", [\"1\", \"\"], \"n\")";
    check(Metric, &[statement], &[int()], &["g gauge: {a=1}@1 1"]);
}

#[test]
fn numbers_are_merged_by_each_function() {
    let ints = |values: &[i64]| values.iter().fold(Sample::gauge("g"), |gauge, value| gauge.int(1, *value, &[]));
    let doubles = |values: &[f64]| values.iter().fold(Sample::gauge("g"), |gauge, value| gauge.double(1, *value, &[]));
    let mixed = || Sample::gauge("g").int(1, 1, &[]).double(1, 2.5, &[]).int(1, 4, &[]);
    let cases = [
        (ints(&[5, 1, 9, 2]), ["17", "9", "1", "4", "3", "4"]),
        (ints(&[5, 1, 9]), ["15", "9", "1", "5", "5", "3"]),
        (ints(&[-5, 0]), ["-5", "0", "-5", "-2", "-2", "2"]),
        (ints(&[7]), ["7", "7", "7", "7", "7", "1"]),
        (doubles(&[100.0, 50.5]), ["150.5", "100", "50.5", "75.25", "75.25", "2"]),
        (doubles(&[50.0, 1.5, 30.0]), ["81.5", "50", "1.5", "27.166667", "30", "3"]),
        (doubles(&[1.5, f64::NAN]), ["NaN", "NaN", "NaN", "NaN", "NaN", "2"]),
        (mixed(), ["7.5", "4", "1", "2.5", "2.5", "3"]),
        (
            ints(&[i64::MAX, 1]),
            ["9223372036854776000", "9223372036854775807", "1", "4611686018427387904", "4611686018427387904", "2"],
        ),
        (mixed().none(1), ["7.5", "4", "1", "2.5", "2.5", "3"]),
        (Sample::gauge("g").none(1).none(1), ["none flags1"; 6]),
    ];
    for (metric, expected) in cases {
        for (function, value) in FUNCTIONS.iter().zip(expected) {
            let statement = format!("aggregate_on_attributes(\"{function}\", [])");
            check(Metric, &[&statement], std::slice::from_ref(&metric), &[&format!("g gauge: {{}}@1 {value}")]);
        }
    }
}

#[test]
fn points_of_different_times_stay_apart() {
    let points = |temporality| {
        let sum =
            Sample::sum("s", temporality, false).int(5, 1, &[("a", "x")]).start(3).int(6, 2, &[("a", "x")]).start(3);
        sum.int(5, 4, &[("a", "y")]).start(2).int(5, 8, &[("a", "z")]).start(3)
    };
    for (temporality, expected) in [
        (2, "s sum 2: {}@2-5 13 | {}@3-6 2"),
        (0, "s sum: {}@2-5 13 | {}@3-6 2"),
        (1, "s sum 1: {}@3-5 9 | {}@3-6 2 | {}@2-5 4"),
    ] {
        check(Metric, &["aggregate_on_attributes(\"sum\", [])"], &[points(temporality)], &[expected]);
    }
}

#[test]
fn attributes_are_compared_by_value() {
    let attribute = |value: &[u8]| Sample::gauge("g").int(1, 1, &[]).attribute(7, "a", value);
    // 1 as integer, number, truth, text and bytes; a map in two orders; a repeated key.
    let int = [0x18, 1];
    let one = 1f64.to_le_bytes();
    let double = [&[0x21][..], &one].concat();
    let map = |first: &[u8], second: &[u8]| {
        let pair = |key: &[u8]| [&[0x0a, 7, 0x0a, 1][..], key, &[0x12, 2], &int].concat();
        [&[0x32, 18][..], &pair(first), &pair(second)].concat()
    };
    let sample = attribute(&int).int(1, 2, &[]).attribute(7, "a", &double).int(1, 4, &[]).attribute(7, "a", &[0x10, 1]);
    let sample = sample.int(1, 8, &[("a", "1")]).int(1, 16, &[]).attribute(7, "a", &[0x3a, 1, b'1']);
    let sample = sample.int(1, 32, &[]).attribute(7, "a", &map(b"k", b"l"));
    let sample = sample.int(1, 64, &[]).attribute(7, "a", &map(b"l", b"k"));
    let sample = sample.int(1, 128, &[("a", "1"), ("a", "2")]).int(1, 256, &[]);
    let (metrics, errors) = run(Metric, &["aggregate_on_attributes(\"sum\")"], &[sample]);
    let values: Vec<&str> = metrics[0].split(" | ").map(|point| point.rsplit(' ').next().unwrap()).collect();
    assert_eq!((values.join(" ").as_str(), errors.len()), ("1 2 4 136 16 96 256", 0), "{metrics:?}");
}

#[test]
fn of_a_number_the_first_point_tells_the_rest() {
    let metric = Sample::gauge("g").int(1, 1, &[("a", "x")]).exemplar(1).flags(4).unknown().int(1, 2, &[]).exemplar(2);
    let statement = "aggregate_on_attributes(\"sum\", [])";
    check(Metric, &[statement], &[metric], &["g gauge: {}@1 3 flags4 ex1 unknown"]);
    let single = Sample::gauge("g").int(1, 1, &[("a", "x")]).exemplar(1).unknown();
    check(Metric, &[statement], &[single], &["g gauge: {}@1 1 ex1 unknown"]);
}

#[test]
fn what_has_nothing_to_merge_is_not_touched() {
    let metric = Sample::gauge("g").int(1, 1, &[("a", "x")]).int(1, 1, &[("a", "y")]);
    for statement in [
        "aggregate_on_attributes(\"sum\")",
        "aggregate_on_attributes(\"max\", [\"a\", \"b\"])",
        "aggregate_on_attribute_value(\"sum\", \"a\", [\"none\"], \"n\")",
    ] {
        check(
            Metric,
            &[statement],
            &[metric.clone(), Sample::gauge("e"), Sample::empty("m")],
            &["g gauge: {a=x}@1 1 | {a=y}@1 1", "e gauge:", "m empty"],
        );
    }
}

#[test]
fn histograms_are_added_up() {
    let bounds = [5.0, 10.0];
    let metric = || {
        let histogram = Sample::histogram("h", 1).explicit(5, &[1, 2, 3], &bounds).attributes(&[("a", "x")]);
        let histogram = histogram.sum_min_max(40.0, 1.0, 20.0).start(3).exemplar(1).unknown();
        let histogram = histogram.explicit(5, &[10, 0, 5], &bounds).attributes(&[("a", "y")]);
        histogram
            .sum_min_max(2.5, 0.5, 12.0)
            .start(3)
            .exemplar(2)
            .explicit(5, &[0, 0, 0], &bounds)
            .start(3)
            .sum_min_max(0.0, 0.0, 0.0)
    };
    let expected = "h histogram 1: {}@3-5 n21 sum42.5 min0.5 max20 [11 (5) 2 (10) 8] ex1 ex2 unknown";
    for function in FUNCTIONS {
        let statement = format!("aggregate_on_attributes(\"{function}\", [])");
        check(Metric, &[&statement], &[metric()], &[expected]);
    }
    let statement = "aggregate_on_attribute_value(\"sum\", \"a\", [\"x\", \"y\"], \"z\")";
    let expected = "h histogram 1: {a=z}@3-5 n21 sum42.5 min0.5 max20 [11 (5) 2 (10) 8] ex1 ex2 unknown \
                    | {}@3-5 n0 sum0 min0 max0 [0 (5) 0 (10) 0]";
    check(Metric, &[statement], &[metric()], &[expected]);
}

#[test]
fn histograms_that_do_not_fit_stay_apart() {
    let start = || Sample::histogram("h", 2).explicit(5, &[1, 2], &[5.0]);
    for (metric, expected) in [
        (start().explicit(5, &[1, 2], &[6.0]), "{}@5 n3 [1 (5) 2] | {}@5 n3 [1 (6) 2]"),
        (start().explicit(5, &[1, 2], &[5.0]).min(1.0), "{}@5 n3 [1 (5) 2] | {}@5 n3 min1 [1 (5) 2]"),
        (start().explicit(5, &[1, 2], &[5.0]).max(1.0), "{}@5 n3 [1 (5) 2] | {}@5 n3 max1 [1 (5) 2]"),
        (start().explicit(5, &[1, 2], &[5.0]).flags(1), "{}@5 n3 [1 (5) 2] | {}@5 n3 [1 (5) 2] flags1"),
        (start().explicit(5, &[], &[]).count(3), "{}@5 n3 [1 (5) 2] | {}@5 n3 [;]"),
        // A sum of which a part is not known is not known.
        (start().total(9.0).explicit(5, &[1, 2], &[5.0]), "{}@5 n6 [2 (5) 4]"),
        (start().explicit(5, &[1, 2], &[5.0]).total(9.0), "{}@5 n6 [2 (5) 4]"),
        (start().total(9.0).explicit(5, &[0, 0], &[5.0]), "{}@5 n3 sum9 [1 (5) 2]"),
        (start().start(4).explicit(5, &[1, 2], &[5.0]).start(3), "{}@3-5 n6 [2 (5) 4]"),
    ] {
        let expected = format!("h histogram 2: {expected}");
        check(Metric, &["aggregate_on_attributes(\"sum\", [])"], &[metric], &[&expected]);
    }
    let without_buckets = Sample::histogram("h", 2).explicit(5, &[], &[]).count(3).explicit(5, &[], &[]).count(4);
    check(Metric, &["aggregate_on_attributes(\"sum\")"], &[without_buckets], &["h histogram 2: {}@5 n7 [;]"]);
}

#[test]
fn exponential_histograms_are_added_up() {
    let first = |zeros| {
        let sample = Sample::exponential("e", 2).buckets(5, 1, zeros, (2, &[1, 2]), (0, &[3]));
        sample.attributes(&[("a", "x")]).start(4)
    };
    for (metric, expected) in [
        (
            first(1)
                .sum_min_max(9.0, 1.0, 4.0)
                .exemplar(1)
                .unknown()
                .buckets(5, 1, 2, (2, &[4, 5, 6]), (1, &[7]))
                .start(3)
                .sum_min_max(1.0, 2.0, 5.0)
                .exemplar(2),
            "{}@3-5 n31 sum10 min1 max5 s1 z3 +2[5 7 6] -0[3 7] ex1 ex2 unknown",
        ),
        // Other offsets: buckets are added where they are.
        (first(0).buckets(5, 1, 0, (-1, &[8, 0, 0, 9]), (0, &[])).start(4), "{}@4-5 n23 s1 +-1[8 0 0 10 2] -0[3]"),
        (first(0).buckets(5, 1, 0, (5, &[8]), (0, &[])).start(4), "{}@4-5 n14 s1 +2[1 2 0 8] -0[3]"),
        // Of another scale: at the coarser.
        (first(0).buckets(5, 0, 0, (1, &[8]), (0, &[])).start(4), "{}@4-5 n14 s0 +1[11] -0[3]"),
        (first(0).buckets(5, -1, 0, (0, &[8]), (0, &[])).start(4), "{}@4-5 n14 s-1 +0[11] -0[3]"),
        // Nothing counted.
        (first(0).buckets(5, 7, 0, (0, &[]), (0, &[])), "{}@4-5 n6 s1 +2[1 2] -0[3]"),
        // Other thresholds: what is below the larger one is zero.
        (
            first(0).zero_threshold(0.5).buckets(5, 1, 6, (9, &[8]), (0, &[])).zero_threshold(1.5).start(4),
            "{}@4-5 n20 s1 z9~1.5 +2[1 2 0 0 0 0 0 8]",
        ),
        (
            first(0).buckets(5, 1, 6, (9, &[8]), (0, &[])).zero_threshold(2.5).start(4),
            "{}@4-5 n20 s1 z10~2.828427 +3[2 0 0 0 0 0 8]",
        ),
        (
            first(0).flags(1).buckets(5, 1, 0, (0, &[1]), (0, &[])),
            "{}@4-5 n6 s1 +2[1 2] -0[3] flags1 | {}@5 n1 s1 +0[1]",
        ),
    ] {
        let expected = format!("e exponential 2: {expected}");
        check(Metric, &["aggregate_on_attributes(\"sum\", [])"], &[metric], &[&expected]);
    }
}

#[test]
fn buckets_far_apart_do_not_take_all_memory() {
    let far = Sample::exponential("e", 2).buckets(5, 20, 0, (i32::MIN, &[1]), (0, &[]));
    let far = far.buckets(5, 20, 0, (i32::MAX - 1, &[2]), (0, &[]));
    let (metrics, errors) = run(Metric, &["aggregate_on_attributes(\"sum\")"], &[far]);
    assert_eq!(errors, [""; 0]);
    let (_, buckets) = metrics[0].split_once('[').unwrap();
    let counts: Vec<u64> = buckets.trim_end_matches(']').split(' ').map(|count| count.parse().unwrap()).collect();
    assert!(counts.len() <= 320 && counts.len() > 160 && metrics[0].contains(" s-4 "), "{metrics:?}");
    assert_eq!((counts.first(), counts.last(), counts.iter().sum::<u64>()), (Some(&1), Some(&2), 3));
}

#[test]
fn totals_are_kept() {
    // Points of three series and four times, in a mixed order.
    let mut sum = Sample::sum("s", 1, true);
    let mut histogram = Sample::histogram("h", 1);
    let mut exponential = Sample::exponential("e", 1);
    let mut total = 0;
    for number in 0..60_u64 {
        let attributes = [("a", ["x", "y", "z"][(number * 7 % 3) as usize]), ("b", ["1", "2"][(number % 2) as usize])];
        let (time, value) = (1 + number * 5 % 4, 1 + number * number % 11);
        total += value;
        sum = sum.int(time, value as i64, &attributes);
        histogram = histogram.explicit(time, &[value, 0], &[5.0]).attributes(&attributes);
        let offset = (number as i32 - 30) * 3;
        exponential =
            exponential.buckets(time, (number % 5) as i32, 0, (offset, &[value]), (0, &[])).attributes(&attributes);
    }
    for attributes in ["", ", []", ", [\"a\"]", ", [\"b\"]"] {
        let statement = format!("aggregate_on_attributes(\"sum\"{attributes})");
        let samples = [sum.clone(), histogram.clone(), exponential.clone()];
        let (metrics, errors) = run(Metric, &[&statement], &samples);
        assert_eq!(errors, [""; 0]);
        for metric in metrics {
            let (head, points) = metric.split_once(": ").unwrap();
            let points: Vec<&str> = points.split(" | ").collect();
            assert!(points.len() < 60 && points.len() >= 4, "{metric}");
            let value = |point: &&str| match head.chars().next() {
                Some('s') => point.rsplit(' ').next().unwrap().parse::<u64>().unwrap(),
                Some('h') => point.split(['[', ' ']).nth(3).unwrap().parse().unwrap(),
                _ => {
                    point.split(['[', ']']).nth(1).unwrap().split(' ').map(|count| count.parse::<u64>().unwrap()).sum()
                }
            };
            assert_eq!(points.iter().map(value).sum::<u64>(), total, "{metric}");
        }
    }
}

#[test]
fn summaries_are_refused() {
    let summary = || Sample::summary("q").quantiles(1, 4, 20.0, &[(0.5, 3.0)], &[("a", "x")]);
    for statement in
        ["aggregate_on_attributes(\"sum\")", "aggregate_on_attribute_value(\"sum\", \"a\", [\"x\"], \"y\")"]
    {
        fails(Metric, statement, &[summary()], "does not aggregate summaries");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for (statement, error) in [
        ("aggregate_on_attributes(\"Sum\")", "not `Sum`"),
        ("aggregate_on_attributes(\"avg\", [\"a\"])", "not `avg`"),
        ("aggregate_on_attributes(\"sum\", [1])", "literal strings"),
        ("aggregate_on_attributes(\"sum\", \"a\")", "attributes"),
        ("aggregate_on_attribute_value(\"sum\", \"a\", [name], \"y\")", "literal strings"),
        ("aggregate_on_attribute_value(\"p99\", \"a\", [\"x\"], \"y\")", "not `p99`"),
        ("aggregate_on_attribute_value(\"sum\", \"a\", [\"x\"])", "new_value"),
    ] {
        refused(Metric, statement, error);
    }
    refused(DataPoint, "aggregate_on_attributes(\"sum\")", "aggregate_on_attributes");
}
