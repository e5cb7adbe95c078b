//! What each kind finds and what it leaves, line by line. `«` and `»` in a case mark what must be found; a case without
//! them must find nothing. `key ⇒ text` gives the attribute key.

use detectors::{Finding, Hint, Kind, Kinds, Options, Place, Scanner};

/// Kinds whose ends are those of a value or statement, whatever it holds: their cases stand alone.
const VALUES: [Kind; 4] = [Kind::PrivateKey, Kind::UrlQuery, Kind::SecretAssignment, Kind::SqlLiteral];

#[expect(clippy::unwrap_used, reason = "test helper")]
fn scanner(options: &Options) -> Scanner {
    Scanner::new(options).unwrap()
}

/// The text without marks, and the marked ranges.
#[expect(clippy::unwrap_used, reason = "test helper")]
fn unmarked(marked: &str) -> (Vec<u8>, Vec<(usize, usize)>) {
    let (mut text, mut ranges, mut start) = (String::new(), Vec::new(), None);
    for c in marked.chars() {
        match c {
            '«' => start = Some(text.len()),
            '»' => ranges.push((start.take().unwrap(), text.len())),
            c => text.push(c),
        }
    }
    (text.into_bytes(), ranges)
}

fn marked(text: &[u8], findings: &[Finding]) -> String {
    let mut out = Vec::new();
    let mut from = 0;
    for finding in findings {
        out.extend_from_slice(&text[from..finding.start]);
        out.extend_from_slice("«".as_bytes());
        out.extend_from_slice(&text[finding.start..finding.end]);
        out.extend_from_slice("»".as_bytes());
        from = finding.end;
    }
    out.extend_from_slice(&text[from..]);
    String::from_utf8_lossy(&out).into_owned()
}

/// Every case of `cases`, one per line, with only `kind` on.
fn check(kind: Kind, hint: Hint, cases: &str) {
    check_options(&Options { kinds: Kinds::NONE.with(kind), ..Options::default() }, hint, cases);
}

fn check_options(options: &Options, hint: Hint, cases: &str) {
    let scanner = scanner(options);
    let mut wrong = Vec::new();
    for case in cases.lines().filter(|line| !line.trim().is_empty()) {
        let (key, case) = case.split_once(" ⇒ ").unwrap_or(("", case));
        let case = case.replace('␤', "\n");
        let (text, expected) = unmarked(&case);
        // At the text's ends and within, between neighbours that are no part of anything.
        for (before, after) in [("", ""), ("", " "), ("(", ")"), ("漢", "漢"), ("٣", "٣")] {
            let sole = before.is_empty() && after.is_empty();
            if !sole
                && (hint != Hint::Text || !key.is_empty() || options.kinds.iter().any(|kind| VALUES.contains(&kind)))
            {
                continue;
            }
            let text: Vec<u8> = [before.as_bytes(), &text, after.as_bytes()].concat();
            let mut findings = Vec::new();
            let place = Place::of_key(key.as_bytes());
            let place = if hint == Hint::Text { place } else { Place::new(hint, key.as_bytes()) };
            scanner.scan(&text, place, &mut findings);
            let found: Vec<_> = findings.iter().map(|f| (f.start - before.len(), f.end - before.len())).collect();
            if found != expected {
                wrong.push(format!("expected {case}\n   found {}", marked(&text, &findings)));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn payment_cards() {
    check(Kind::PaymentCard, Hint::Text, include_str!("kinds/payment_card.txt"));
}

#[test]
fn social_security_numbers() {
    check(Kind::UsSsn, Hint::Text, include_str!("kinds/us_ssn.txt"));
    check(Kind::UsItin, Hint::Text, include_str!("kinds/us_itin.txt"));
}

#[test]
fn emails() {
    check(Kind::Email, Hint::Text, include_str!("kinds/email.txt"));
}

#[test]
fn addresses() {
    check(Kind::Ipv4, Hint::Text, include_str!("kinds/ipv4.txt"));
    check(Kind::Ipv6, Hint::Text, include_str!("kinds/ipv6.txt"));
}

#[test]
fn private_addresses_can_stay() {
    let kinds = Kinds::NONE.with(Kind::Ipv4).with(Kind::Ipv6);
    let options = Options { kinds, skip_private_ips: true, ..Options::default() };
    check_options(
        &options,
        Hint::Text,
        "10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 127.0.0.1 169.254.1.1 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255
«8.8.8.8» «172.32.0.1» «100.128.0.1» «11.0.0.1»
fe80::1 fd00::1 ::1 ff02::1 2001:db8::1 ::ffff:10.0.0.1
«2606:4700:4700::1111» «::ffff:8.8.8.8»",
    );
}

#[test]
fn phones() {
    check(Kind::Phone, Hint::Text, include_str!("kinds/phone.txt"));
}

#[test]
fn ibans() {
    check(Kind::Iban, Hint::Text, include_str!("kinds/iban.txt"));
}

#[test]
fn web_tokens() {
    check(Kind::Jwt, Hint::Text, include_str!("kinds/jwt.txt"));
}

#[test]
fn tokens_and_keys() {
    check(Kind::ApiToken, Hint::Text, include_str!("kinds/api_token.txt"));
    check(Kind::CloudKey, Hint::Text, include_str!("kinds/cloud_key.txt"));
    check(Kind::PrivateKey, Hint::Text, include_str!("kinds/private_key.txt"));
    check(Kind::Credentials, Hint::Text, include_str!("kinds/credentials.txt"));
}

#[test]
fn assigned_secrets() {
    check(Kind::SecretAssignment, Hint::Text, include_str!("kinds/secret_assignment.txt"));
    check(Kind::SecretAssignment, Hint::Url, "password=«hunter2»&remember");
}

#[test]
fn urls() {
    check(Kind::UrlUserinfo, Hint::Text, include_str!("kinds/url_userinfo.txt"));
    check(Kind::UrlQuery, Hint::Url, include_str!("kinds/url_query.txt"));
}

#[test]
fn a_parameter_at_the_start_needs_the_hint() {
    check(Kind::UrlQuery, Hint::Text, "token=abcdef&code=«42»");
    check(Kind::UrlQuery, Hint::Url, "token=«abcdef»&code=«42»");
}

#[test]
fn named_parameters_are_the_callers() {
    let options = Options {
        kinds: Kinds::NONE.with(Kind::UrlQuery),
        query_parameters: vec!["User-Name".to_owned()],
        ..Options::default()
    };
    check_options(&options, Hint::Text, "/a?user-name=«jane»&token=abc&USER%2dNAME=«x»");
}

#[test]
fn sql_literals() {
    check(Kind::SqlLiteral, Hint::Sql, include_str!("kinds/sql_literal.txt"));
}

#[test]
fn statements_in_plain_text_are_known_by_their_beginning() {
    check(Kind::SqlLiteral, Hint::Text, include_str!("kinds/sql_in_text.txt"));
}

#[test]
fn escaped_values_are_found_by_every_kind() {
    check_options(&Options::default(), Hint::Text, include_str!("kinds/escaped.txt"));
}

#[test]
fn labels_are_not_found_again() {
    let scanner = scanner(&Options::default());
    let mut findings = Vec::new();
    for kind in Kind::ALL {
        for text in
            [kind.label().to_owned(), format!("mail {} sent", kind.label()), format!("password={}", kind.label())]
        {
            let secret_word = kind.label() == "REDACTED" || kind.label() == "?";
            scanner.scan(text.as_bytes(), Place::text(), &mut findings);
            assert!(findings.is_empty() || secret_word && text.contains("password"), "{text}: {findings:?}");
        }
    }
}

#[test]
fn unusable_parameters_are_refused() {
    let refused = |name: &str| {
        let options = Options { query_parameters: vec![name.to_owned()], ..Options::default() };
        Scanner::new(&options).unwrap_err().to_string()
    };
    assert_eq!(refused(""), "query parameter `` has 0 bytes, need 1 to 64");
    assert_eq!(refused(&"x".repeat(65)), format!("query parameter `{}` has 65 bytes, need 1 to 64", "x".repeat(65)));
    assert_eq!(refused("a&b"), "query parameter `a&b` holds `&`, which ends a name");
}

#[test]
fn everything_at_once() {
    check_options(&Options::default(), Hint::Text, include_str!("kinds/together.txt"));
}

#[test]
fn the_readme_lists_every_kind() {
    let readme = include_str!("../README.md");
    for kind in Kind::ALL {
        let row = format!("| `{kind}` | `{}` |", kind.label());
        assert!(readme.contains(&row), "{row}");
    }
}
