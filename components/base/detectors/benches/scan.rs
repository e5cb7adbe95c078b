//! How fast text is scanned, in bytes per second of one thread: all detectors on, over made-up logs with and without
//! planted values, line by line; beside them plain regular expressions of the same shapes, without any validation.

use detectors::{Place, Scanner};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use regex::bytes::{Regex, RegexSet};

#[path = "../corpus/corpus.rs"]
mod corpus;

fn main() {
    divan::main();
}

const BYTES: usize = 4 << 20;

fn lines(planted: u64) -> (Vec<String>, BytesCount) {
    let lines = corpus::corpus(1, BYTES, planted).lines;
    let bytes: usize = lines.iter().map(String::len).sum();
    (lines, BytesCount::new(bytes))
}

/// Of 100 lines so many hold a planted value.
#[divan::bench(args = [0, 1, 10, 100])]
fn all_detectors(bencher: Bencher<'_, '_>, planted: u64) {
    let (lines, bytes) = lines(planted);
    let scanner = Scanner::new(&detectors::Options::default()).expect("the default options are valid");
    let mut findings = Vec::new();
    bencher.counter(bytes).bench_local(|| {
        for line in &lines {
            scanner.scan(black_box(line.as_bytes()), Place::text(), &mut findings);
            black_box(&findings);
        }
    });
}

/// Short values, as attributes have them.
#[divan::bench]
fn all_detectors_on_attributes(bencher: Bencher<'_, '_>) {
    let keys = ["http.request.method", "url.path", "user_agent.original", "k8s.pod.name", "server.address"];
    let values: Vec<_> =
        lines(0).0.iter().flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let bytes: usize = values.iter().map(String::len).sum();
    let scanner = Scanner::new(&detectors::Options::default()).expect("the default options are valid");
    let mut findings = Vec::new();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        for (value, key) in values.iter().zip(keys.iter().cycle()) {
            scanner.scan(black_box(value.as_bytes()), Place::of_key(key.as_bytes()), &mut findings);
            black_box(&findings);
        }
    });
}

#[divan::bench]
fn sql(bencher: Bencher<'_, '_>) {
    let statement = b"SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email = 'jane@x.org' \
        AND o.created_at BETWEEN '2026-01-01' AND '2026-02-01' AND o.status IN (1, 2, 3) ORDER BY o.created_at DESC LIMIT 50";
    let scanner = Scanner::new(&detectors::Options::default()).expect("the default options are valid");
    let mut findings = Vec::new();
    bencher.counter(BytesCount::of_slice(statement)).bench_local(|| {
        scanner.scan(black_box(statement), Place::of_key(b"db.query.text"), &mut findings);
        black_box(&findings);
    });
}

const SHAPES: [&str; 20] = [
    r"(?-u)\b[2-6]\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}\b",
    r"(?-u)\b\d{3}-\d{2}-\d{4}\b",
    r"(?-u)[A-Za-z0-9._+~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    r"(?-u)\b(?:\d{1,3}\.){3}\d{1,3}\b",
    r"(?-u)(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}",
    r"(?-u)\+[1-9](?:[ -]?\d){7,14}\b",
    r"(?-u)\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}[A-Z0-9]{0,3}\b",
    r"(?-u)\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    r"(?-u)\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    r"(?-u)\bgh[opsur]_[A-Za-z0-9]{36}",
    r"(?-u)\bglpat-[A-Za-z0-9_-]{20}",
    r"(?-u)\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"(?-u)\bAIza[A-Za-z0-9_-]{35}",
    r"(?-u)\bsk-[A-Za-z0-9_-]{20,}",
    r"(?-u)\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"(?-u)-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"(?i-u)\b(?:bearer|basic) +[A-Za-z0-9._~+/-]{8,}=*",
    r"(?-u)[A-Za-z][A-Za-z0-9+.-]*://[^\s/@]+@",
    r"(?i-u)[?&;#](?:token|access_token|code|state|password|secret|api_key|key|sig|session|email)=[^&\s]+",
    r#"(?i-u)(?:password|passwd|pwd|secret|token|api_?key)["']?\s*[=:]\s*["']?[^\s"',;]{4,}"#,
];

#[divan::bench(sample_count = 5)]
fn twenty_regexes_one_after_another(bencher: Bencher<'_, '_>) {
    let (lines, bytes) = lines(0);
    let shapes: Vec<Regex> = SHAPES.iter().map(|shape| Regex::new(shape).expect("the shapes are valid")).collect();
    bencher.counter(bytes).bench_local(|| {
        for line in &lines {
            for shape in &shapes {
                black_box(shape.find_iter(black_box(line.as_bytes())).count());
            }
        }
    });
}

#[divan::bench(sample_count = 5)]
fn a_set_of_twenty_regexes(bencher: Bencher<'_, '_>) {
    let (lines, bytes) = lines(0);
    let shapes = RegexSet::new(SHAPES).expect("the shapes are valid");
    bencher.counter(bytes).bench_local(|| {
        for line in &lines {
            black_box(shapes.matches(black_box(line.as_bytes())));
        }
    });
}
