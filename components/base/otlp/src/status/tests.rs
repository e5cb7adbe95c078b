use std::time::UNIX_EPOCH;

use component::{Code, DeliveryError};
use proptest::prelude::*;

use super::*;

/// Written down as protobuf's documentation says, so that both directions are held against something.
#[test]
fn status_bytes_are_those_of_the_definition() {
    let status = Status { code: Code::Unavailable, message: "no".into(), retry_after: Some(Duration::new(3, 5)) };
    let type_url = b"type.googleapis.com/google.rpc.RetryInfo";
    let mut expected = vec![0x08, 14, 0x12, 2, b'n', b'o', 0x1a, 2 + 40 + 2 + 6, 0x0a, 40];
    expected.extend_from_slice(type_url);
    expected.extend_from_slice(&[0x12, 6, 0x0a, 4, 0x08, 3, 0x10, 5]);
    assert_eq!(status.encode(Encoding::Proto), expected);
    assert_eq!(Status::decode(Encoding::Proto, &expected), Some(status));
    assert_eq!(Status::decode(Encoding::Proto, &[0x12, 9]), None);
}

#[test]
fn status_json_is_that_of_the_mapping() {
    let status =
        Status { code: Code::Unavailable, message: "a \"b\"".into(), retry_after: Some(Duration::from_millis(1500)) };
    let text = String::from_utf8(status.encode(Encoding::Json)).unwrap();
    assert_eq!(
        text,
        r#"{"code":14,"message":"a \"b\"","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500000000s"}]}"#
    );
    assert_eq!(Status::decode(Encoding::Json, text.as_bytes()), Some(status));
    let odd = br#"{"code":"3","details":[null,3,{"@type":"x/y","retryDelay":"1s"},{"retryDelay":7}],"message":null}"#;
    assert_eq!(Status::decode(Encoding::Json, odd), Some(Status::new(Code::InvalidArgument, "")));
    assert_eq!(Status::decode(Encoding::Json, b"<html>"), None);
}

/// code, retryable with RetryInfo absent and present
#[test]
fn grpc_refusals_follow_the_specification() {
    let delay = Some(Duration::from_secs(7));
    let details =
        Status { code: Code::Unavailable, message: String::new(), retry_after: delay }.encode(Encoding::Proto);
    for code in Code::ALL {
        let plain = Refusal::from_grpc(code, "why", &[]);
        let retryable = matches!(code.number(), 1 | 4 | 10 | 11 | 14 | 15);
        assert_eq!((plain.retryable, plain.retry_after, plain.code), (retryable, None, code), "{code}");
        let with_info = Refusal::from_grpc(code, "why", &details);
        assert_eq!((with_info.retryable, with_info.retry_after), (retryable || code.number() == 8, delay), "{code}");
    }
    assert_eq!(Refusal::from_grpc(Code::Aborted, "why", b"junk").message, "the destination answered ABORTED: why");
    assert_eq!(Refusal::from_grpc(Code::Aborted, " ", &[]).message, "the destination answered ABORTED");
    let long = "ä".repeat(2000);
    assert!(Refusal::from_grpc(Code::Aborted, &long, &[]).message.len() <= MESSAGE_BYTES_MAX + 50);
}

#[test]
fn http_refusals_follow_the_specification() {
    let read = |status, retry_after| Refusal::from_http(status, retry_after, None, b"", UNIX_EPOCH);
    for status in 300..=599 {
        let refusal = read(status, Some("3"));
        assert_eq!(refusal.retryable, matches!(status, 429 | 502 | 503 | 504), "{status}");
        assert_eq!(refusal.retry_after, matches!(status, 429 | 503).then_some(Duration::from_secs(3)), "{status}");
    }
    let delay = |value| read(503, Some(value)).retry_after;
    assert_eq!(delay("Thu, 01 Jan 1970 00:02:00 GMT"), Some(Duration::from_secs(120)));
    assert_eq!(delay("Thursday, 01-Jan-70 00:02:00 GMT"), Some(Duration::from_secs(120)));
    assert_eq!(
        Refusal::from_http(503, Some("Thu, 01 Jan 1970 00:00:00 GMT"), None, b"", UNIX_EPOCH + RETRY_DELAY_MAX)
            .retry_after,
        Some(Duration::ZERO)
    );
    assert_eq!(delay(" 5 "), Some(Duration::from_secs(5)));
    assert_eq!(delay("99999999999"), Some(RETRY_DELAY_MAX));
    for nonsense in ["-1", "soon", "", "1.5"] {
        assert_eq!(delay(nonsense), None, "{nonsense}");
    }
}

#[test]
fn http_messages_come_from_the_body_that_there_is() {
    let read = |content_type, body: &[u8]| Refusal::from_http(400, None, content_type, body, UNIX_EPOCH).message;
    let status = Status::new(Code::InvalidArgument, "bad id");
    let expected = "the destination answered HTTP 400: bad id";
    for encoding in [Encoding::Proto, Encoding::Json] {
        assert_eq!(read(Some(encoding.content_type()), &status.encode(encoding)), expected);
    }
    assert_eq!(read(Some("text/plain; charset=utf-8"), b"bad id\n"), expected);
    assert_eq!(read(None, &[0xff, 0xfe]), "the destination answered HTTP 400");
    assert_eq!(read(Some("application/json"), b"<html>"), "the destination answered HTTP 400");
}

/// Every kind of error and what both protocols' clients are told: never that a permanent error may be retried, never
/// that a retryable one may not.
#[test]
fn answers_keep_what_the_error_says_about_retrying() {
    let delay = Duration::from_millis(2500);
    for code in std::iter::once(None).chain(Code::ALL.map(Some)) {
        for retryable in [false, true] {
            for retry_after in [None, Some(delay)] {
                let mut error = match retryable {
                    true => DeliveryError::retryable_kept("x"),
                    false => DeliveryError::permanent("x"),
                };
                if let Some(code) = code {
                    error = error.with_code(code);
                }
                if let Some(delay) = retry_after {
                    error = error.with_retry_after(delay);
                }
                let status = Status::from_error(&error);
                assert_eq!(status.code.is_retryable(status.retry_after.is_some()), retryable, "{error:?}");
                let answer = HttpAnswer::from_error(&error);
                // The specification's 429 for RESOURCE_EXHAUSTED is the one answer that HTTP clients retry regardless.
                if status.code != Code::ResourceExhausted {
                    assert_eq!(Code::http_is_retryable(answer.status), retryable, "{error:?}");
                }
                assert_eq!(answer.retry_after_seconds.is_some(), status.retry_after.is_some(), "{error:?}");
                if retryable && retry_after.is_some() {
                    assert_eq!((status.retry_after, answer.retry_after_seconds), (Some(delay), Some(3)), "{error:?}");
                }
            }
        }
    }
}

#[test]
fn codes_of_destinations_survive_a_hop() {
    for code in Code::ALL.into_iter().filter(|code| *code != Code::Ok) {
        let error = Refusal::from_grpc(code, "", &[]).into_error(None);
        assert_eq!(Status::from_error(&error).code, code);
        assert_eq!(HttpAnswer::from_error(&error).status, code.to_http());
    }
    let plain = Refusal::from_http(429, None, None, b"", UNIX_EPOCH).into_error(None);
    assert_eq!(Status::from_error(&plain).retry_after, Some(RETRY_HINT));
}

#[test]
fn causes_are_told() {
    let error = DeliveryError::permanent("cannot store").with_source(std::io::Error::other("disk full"));
    assert_eq!(Status::from_error(&error).message, "cannot store: disk full");
}

proptest! {
    #![proptest_config(testkit::otlp_arbitrary::config(256))]

    #[test]
    fn statuses_round_trip(number in 0_u32..17, message: String, delay in prop::option::of((0..1_000_000_u64, 0..1_000_000_000_u32))) {
        let retry_after = delay.map(|(seconds, nanos)| Duration::new(seconds, nanos));
        let status = Status { code: Code::from_number(number), message, retry_after };
        for encoding in [Encoding::Proto, Encoding::Json] {
            prop_assert_eq!(Status::decode(encoding, &status.encode(encoding)), Some(status.clone()));
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        for encoding in [Encoding::Proto, Encoding::Json] {
            let _status = Status::decode(encoding, &bytes);
        }
        let _refusal = Refusal::from_http(500, None, None, &bytes, UNIX_EPOCH);
    }
}
