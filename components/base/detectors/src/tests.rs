//! The pass against the plain reference, and work in proportion to length.

use crate::bytes::WORK;
use crate::reference::Reference;
use crate::{Finding, Hint, Kind, Kinds, Options, Place, Scanner};
use proptest::prelude::*;

#[path = "../corpus/any_bytes.rs"]
mod any_bytes;

/// Pieces of texts: whole values, parts of them, what stands around them, and what is mistaken for them.
const PIECES: &[&str] = &[
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111",
    "1111",
    "3782 822463 10005",
    "378282246310005",
    "6759649826438453",
    "621234 5678901234569",
    "621234",
    "token%3Dabc",
    "%74oken=abc",
    "eyJhbGciOiJub25lIn0.e30",
    ".eyJhbGciOiJub25lIn0.e30.x.y.z.w",
    "BEARER ",
    "bearer+",
    "4000000000000000006",
    "card",
    "536-22-1234",
    "536 22 1234",
    "536.22.1234",
    "536221234",
    "536",
    "22",
    "1234",
    "ssn",
    "912-70-1234",
    "itin",
    "jane@x.org",
    "jane",
    "x.org",
    "@",
    "j\u{f6}rg@example.de",
    "a@b.co.uk",
    "user@host",
    "user@1000.service",
    "10.1.2.3",
    "1.2.3.4.5",
    "255.255.255.255",
    "8.8.8.8",
    "version",
    "Chrome/",
    "2001:db8::1",
    "fe80::1",
    "::1",
    "::ffff:10.1.2.3",
    "1:2:3:4:5:6:7:8",
    "12:34:56",
    "00:1a:2b:3c:4d:5e",
    "00:11:22:33:44:55:66:77",
    "::",
    "db8",
    "f64::consts",
    "+4915112345678",
    "+49 151 12345678",
    "+1 (555) 234-5678",
    "+1000",
    "+0200",
    "phone",
    "DE89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "DE89",
    "NO9386011117947",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.abc",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    "eyJ",
    "AKIAIOSFODNN7EXAMPLE",
    "AKIA",
    "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5000000",
    "glpat-aBcDeFgHiJ0123456789",
    "sk-",
    "sk-ant-api03-AbCdEfGhIjKlMnOpQrSt0123456789",
    "sk-AbCdEfGhIjKlMnOpQrStT3BlbkFJ0123",
    "dapi0123456789abcdef0123456789abcdef",
    "hf_",
    "xoxb-123456789012-AbCd",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "Bearer ",
    "abc123def456",
    "basic ",
    "dXNlcjpwYXNzd29yZA==",
    "Authorization: ",
    "\"authorization\":\"",
    "Bearer swordfish",
    "Cookie: ",
    "set-cookie",
    "sid=swordfish; ",
    ";",
    "password: swordfish",
    "/* c */",
    "password",
    "--password ",
    "\"password\"",
    "token",
    "api_key",
    "=",
    ":",
    "=>",
    "hunter2",
    "\"hunter2\"",
    "${X}",
    "https://",
    "user:pass@",
    "?token=",
    "&code=",
    ";sig=",
    "#",
    "abc",
    "%40",
    "%34",
    "%3A",
    "%25",
    "%",
    "%20",
    "SELECT a FROM t WHERE x = ",
    "'it''s'",
    "'",
    "\"",
    "`",
    "\\'",
    "--",
    "/*",
    "*/",
    "$$",
    "$1",
    "0x1F",
    "1.5e3",
    ".5",
    "IN (1,2)",
    "q'[",
    "123e4567-e89b-12d3-a456-426614174000",
    "41111111-1111-4111-8111-411111111111",
    " ",
    " ",
    " ",
    " ",
    ".",
    ",",
    "-",
    "_",
    "+",
    "/",
    "(",
    ")",
    "\n",
    "a",
    "e",
    "f",
    "0",
    "1",
    "9",
    "x",
    "\u{6f22}",
    "\u{ff14}",
    "\u{a0}",
    "\u{200b}",
    "\u{2011}",
    "\u{ff20}",
    "\u{e4}",
    "\u{43f}",
    "4111\u{a0}1111\u{a0}1111\u{a0}1111",
    "ccn",
    "visa",
    "PAN",
    "x5",
    "DE89.3704.0044.0532.0130.00",
    "\u{fc}",
    "\\",
    "\\n",
    "\\\"",
    "\\u0026",
    "v",
    "1700000000000",
    "0.4111111111111111",
];

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn place() -> impl Strategy<Value = Place<'static>> {
    let keys = prop::sample::select(vec![
        "",
        "",
        "user.ssn",
        "card",
        "phone",
        "db.password",
        "api.token",
        "cookie",
        "set-cookie",
        "http.authorization",
        "db.query.text",
        "url.full",
    ]);
    let hints = prop::sample::select(vec![Hint::Text, Hint::Text, Hint::Sql, Hint::SqlValue, Hint::Url]);
    (hints, keys).prop_map(|(hint, key)| Place::new(hint, key.as_bytes()))
}

struct Both {
    scanner: Scanner,
    reference: Reference,
}

impl Both {
    fn new(kinds: Kinds, skip_private_ips: bool) -> Self {
        let options = Options { kinds, skip_private_ips, ..Options::default() };
        Self { scanner: Scanner::new(&options).unwrap(), reference: Reference::new(&options) }
    }

    fn compare(&self, text: &[u8], place: Place<'_>) -> Result<(), String> {
        let mut found = Vec::new();
        self.scanner.scan(text, place, &mut found);
        let expected = self.reference.scan(text, place);
        let show = |findings: &[Finding]| {
            let one =
                |f: &Finding| format!("{} {}..{} `{}`", f.kind, f.start, f.end, text[f.start..f.end].escape_ascii());
            findings.iter().map(one).collect::<Vec<_>>()
        };
        if found != expected {
            let (found, expected) = (show(&found), show(&expected));
            return Err(format!("`{}` {place:?}\n found {found:?}\n expected {expected:?}", text.escape_ascii()));
        }
        any_bytes::findings(text, &found)
    }
}

#[test]
fn numbers_joined_by_points_are_read_across_blocks() {
    let both = Both::new(Kinds::ALL, false);
    let runs = [
        "1.2.3.4.5",
        "100051.2.3.4.5",
        "10.20.30.40",
        "255.255.255.255",
        "a1.2.3.4",
        "v 1.2.3.4",
        "1.2.3.4a",
        "1.2.3.4.",
        "256.1.1.1",
        "01.1.1.1",
        "1.2.3",
        "219.09.9999",
        "..1.2.3.4",
    ];
    for run in runs {
        for before in 0..=2 * crate::classes::BLOCK {
            for behind in ["", " and more of the text that is longer than an address"] {
                let text = format!("{}{run}{behind}", " ".repeat(before));
                both.compare(text.as_bytes(), Place::text()).unwrap();
            }
        }
    }
}

#[test]
fn the_pass_finds_what_the_reference_finds() {
    let each: Vec<Both> = Kind::ALL.into_iter().map(|kind| Both::new(Kinds::NONE.with(kind), false)).collect();
    let all = [Both::new(Kinds::ALL, false), Both::new(Kinds::ALL, true)];
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1500);
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        proptest::test_runner::Config { failure_persistence: None, cases, ..Default::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let outcome = runner.run(&(text(), place()), |(text, place)| {
        for both in each.iter().chain(&all) {
            both.compare(&text, place).map_err(TestCaseError::fail)?;
        }
        Ok(())
    });
    if let Err(wrong) = outcome {
        panic!("{wrong}");
    }
}

/// A scanner with a hole must not pass: one that does not know cards is told from the reference.
#[test]
fn the_comparison_sees_a_lost_finding() {
    let mut broken = Both::new(Kinds::ALL, false);
    broken.scanner =
        Scanner::new(&Options { kinds: Kinds::ALL.without(Kind::PaymentCard), ..Options::default() }).unwrap();
    assert!(broken.compare(b"4111111111111111", Place::text()).is_err());
}

/// Texts on which a scan could look at the same bytes again and again.
const HARD: &[&str] = &[
    "a@",
    "a.",
    "1.",
    "1:",
    "::",
    "a:b",
    "%25",
    "%40",
    "@",
    "aaaaaaaa",
    "11111111",
    "1 ",
    "4111 ",
    "123-45-",
    "+49 ",
    "+1",
    "eyJ",
    "eyJ.",
    "eyJ-",
    "eyJhbGciOiJub25lIn0.",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ",
    "-----END ",
    "Bearer ",
    "basic ",
    "Basic AAAA",
    "sk-ant-",
    "glpat-",
    "xoxb-aaaaaaaaaaaa-",
    "password=",
    "password=a(",
    "password=\"",
    "password='\\",
    "\"token\":",
    "?token=",
    "?token=;",
    "&a=",
    "https://a:",
    "https://",
    "://",
    "phone=1 ",
    "SELECT ",
    "'",
    "\\'",
    "\"",
    "`",
    "$$",
    "$a$",
    "$a",
    "(",
    ")",
    "[",
    "[a",
    "/*",
    "--",
    "#",
    "q'[",
    "E'",
    "a.b.",
    "x.org@",
    "DE89 ",
    "DE89",
    "ssn 536221234 ",
    "card 4000000000000000006 ",
    "1-",
    "0x",
    "\\",
    "\u{fc}",
    "a=b;",
    "?a=b;c",
    "user[",
    "%5B",
    "12345678-1234-",
    "(\"a\",",
    "v",
    "1e+",
    "Session_Id_",
    "--token ",
    "cookie=",
    "\u{a0}",
    "a\u{200b}",
    "\u{ff20}a",
    "\u{43f}@\u{43f}",
    "card4",
    "card ",
    "ccn4111111111111111",
    "Cookie: a=b;",
    "cookie=\"",
    "Authorization: Bearer ",
    "password: a\n",
    "/*a*/",
    "-- a\n(",
];

/// Sixteen times the length is sixteen times the bytes looked at, not 256 times; and no byte is looked at very often.
#[test]
fn work_grows_with_length() {
    let scanner = Scanner::new(&Options::default()).unwrap();
    let mut found = Vec::new();
    for hard in HARD {
        for (before, hint) in [("", Hint::Text), ("", Hint::Url), ("SELECT a FROM t WHERE x IN (", Hint::Sql)] {
            let mut work = |bytes: usize| {
                let text = [before, &hard.repeat(bytes / hard.len())].concat();
                WORK.set(0);
                scanner.scan(text.as_bytes(), Place::new(hint, b"password"), &mut found);
                WORK.get()
            };
            let (small, large) = (work(4 << 10), work(64 << 10));
            assert!(small > 0 && large < 18 * small, "`{hard}` {hint:?}: {small} bytes of 4 KiB, {large} of 64 KiB");
            assert!(large < 400 * (64 << 10), "`{hard}` {hint:?}: each byte {} times", large >> 16);
        }
    }
}

#[test]
fn ten_megabytes_are_one_value() {
    let scanner = Scanner::new(&Options::default()).unwrap();
    let mut text = b"GET /a?q=1 HTTP/1.1 from 10.1.2.3 user jane at 12:34:56 ".repeat(10 << 20 >> 6);
    let end = text.len();
    text.extend_from_slice(b"jane@x.org");
    let mut found = Vec::new();
    scanner.scan(&text, Place::text(), &mut found);
    assert_eq!(found.last(), Some(&Finding { kind: Kind::Email, start: end, end: text.len() }));
    assert_eq!(found.len(), (10 << 20 >> 6) + 1);
}

#[test]
fn values_cut_anywhere_break_nothing() {
    let scanner = Scanner::new(&Options::default()).unwrap();
    let mut found = Vec::new();
    for piece in PIECES {
        let bytes = piece.as_bytes();
        for from in 0..=bytes.len() {
            any_bytes::any_bytes(&[b"\0", &bytes[from..]].concat()).unwrap();
            for to in from..=bytes.len() {
                for hint in [Hint::Text, Hint::Sql, Hint::Url] {
                    scanner.scan(&bytes[from..to], Place::new(hint, b""), &mut found);
                    any_bytes::findings(&bytes[from..to], &found).unwrap();
                }
            }
        }
    }
}
