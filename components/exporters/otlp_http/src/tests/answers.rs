//! What the exporter makes of answers.

use std::time::{Duration, Instant, SystemTime};

use component::Code;
use otlp::{Encoding, ExportResponse, Status};
use pdata::{Payload, Segment, Signal};
use testkit::items;
use testkit::server::{HttpAnswer as Answer, Server};

use super::{Bench, ONCE};

#[tokio::test]
async fn every_status_ends_as_the_specification_says() {
    for status in
        [200, 201, 202, 204, 301, 307, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 501, 502, 503, 504, 505]
    {
        let body = Status::new(Code::Unknown, "because").encode(Encoding::Proto);
        let server = Server::http(move |_, _| {
            let answer = Answer::status(status);
            if status < 300 { answer } else { answer.body("application/x-protobuf", body.clone()) }
        })
        .await;
        let bench = Bench::new(&server, Signal::Traces, ONCE).await;
        let result = bench.send(items::spans(3)).await;
        let expected = match (status, result) {
            (200..300, result) => {
                assert!(result.is_ok(), "{status}");
                (3, 0, 0)
            }
            (_, Ok(_)) => panic!("{status} is no success"),
            (_, Err(error)) => {
                assert!(error.message().contains(&format!("HTTP {status}")), "{error}");
                assert!(error.message().contains("because"), "{error}");
                assert_eq!(error.is_retryable(), matches!(status, 429 | 502 | 503 | 504), "{status}");
                if error.is_retryable() { (0, 0, 3) } else { (0, 3, 0) }
            }
        };
        // A refusal for size is followed by parts.
        assert_eq!(server.calls().len() == 1, status != 413, "{status}");
        let books = bench.finish(Signal::Traces).await;
        assert_eq!((books.delivered, books.rejected, books.refused), expected, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_and_as_date() {
    let in_a_while = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
    for (status, value, expected) in [
        (429, "7".to_owned(), Some(7..=7)),
        (503, "0".to_owned(), Some(0..=0)),
        (503, in_a_while(), Some(97..=100)),
        (429, in_a_while(), Some(97..=100)),
        (502, "7".to_owned(), None),
        (503, "soon".to_owned(), None),
    ] {
        let header = value.clone();
        let server = Server::http(move |_, _| Answer::status(status).header("retry-after", header.clone())).await;
        let bench = Bench::new(&server, Signal::Traces, ONCE).await;
        let error = bench.send(items::spans(3)).await.unwrap_err();
        assert!(error.is_retryable());
        let delay = error.retry_after().map(|delay| delay.as_secs());
        match expected {
            None => assert_eq!(delay, None, "{status} {value}"),
            Some(range) => assert!(range.contains(&delay.unwrap()), "{status} {value}: {delay:?}"),
        }
        assert_eq!(bench.finish(Signal::Traces).await.refused, 3);
    }
}

#[tokio::test]
async fn waits_as_long_as_retry_after_says() {
    let server = Server::http(|_, before| match before {
        0 => Answer::status(429).header("retry-after", "1"),
        _ => Answer::status(200),
    })
    .await;
    let more = "sending_queue: {wait_for_result: true}, retry_on_failure: {initial_interval: 10ms, max_interval: 10ms}";
    let bench = Bench::new(&server, Signal::Logs, more).await;
    let began = Instant::now();
    bench.send(items::logs(2)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(bench.finish(Signal::Logs).await.delivered, 2);
}

#[tokio::test]
async fn partial_success_is_read_in_both_encodings() {
    for encoding in [Encoding::Proto, Encoding::Json] {
        let response = ExportResponse { rejected_items: 2, message: "too old".into() };
        let body = response.encode(Signal::Metrics, encoding);
        let server = Server::http(move |_, _| Answer::status(200).body(encoding.content_type(), body.clone())).await;
        let bench = Bench::new(&server, Signal::Metrics, "sending_queue: {wait_for_result: true}").await;
        let accepted = bench.send(items::points(7)).await.unwrap();
        assert_eq!((accepted.rejected_items, accepted.message.as_deref()), (2, Some("too old")));
        assert_eq!(server.calls().len(), 1);
        let books = bench.finish(Signal::Metrics).await;
        assert_eq!((books.delivered, books.rejected), (5, 2));
    }
}

/// Only a body that says it is OTLP is read; one that then is not, is final.
#[tokio::test]
async fn bodies_of_success_are_read_by_their_exact_type() {
    for (content_type, body, is_ok) in [
        ("text/plain", &b"fine"[..], true),
        ("application/json; charset=utf-8", b"fine", true),
        ("application/json", b"fine", false),
        ("application/json", b"", true),
        ("application/x-protobuf", &[0x0a, 99], false),
        ("application/x-protobuf", b"", true),
    ] {
        let server = Server::http(move |_, _| Answer::status(200).body(content_type, body)).await;
        let bench = Bench::new(&server, Signal::Traces, ONCE).await;
        let result = bench.send(items::spans(3)).await;
        assert_eq!(result.is_ok(), is_ok, "{content_type} {body:?}");
        assert!(result.err().is_none_or(|error| !error.is_retryable()));
        let books = bench.finish(Signal::Traces).await;
        assert_eq!((books.delivered, books.rejected), if is_ok { (3, 0) } else { (0, 3) });
    }
}

#[tokio::test]
async fn no_more_than_64_kib_of_an_answer_are_read() {
    let server = Server::http(|_, _| Answer::status(200).body("application/json", vec![b' '; 1 << 20])).await;
    let bench = Bench::new(&server, Signal::Traces, ONCE).await;
    bench.send(items::spans(3)).await.unwrap();
    assert_eq!(bench.finish(Signal::Traces).await.delivered, 3);
}

#[tokio::test]
async fn a_413_gets_parts_and_the_limit_is_remembered() {
    for words in ["request body is larger than the limit of 100000 bytes", "go away"] {
        let server = Server::http(move |post, _| match post.body.len() {
            0..=100_000 => Answer::status(200),
            _ => Answer::status(413).body("text/plain", words),
        })
        .await;
        let bench = Bench::new(&server, Signal::Traces, "sending_queue: {wait_for_result: true}").await;
        bench.send(items::spans(5000)).await.unwrap();
        let refused = |server: &Server| server.calls().iter().filter(|post| post.body.len() > 100_000).count();
        let first = refused(&server);
        assert!(first > 0);
        bench.send(items::spans(5000)).await.unwrap();
        assert_eq!(refused(&server), first, "the second time it knew");
        let mut numbers = Vec::new();
        for post in server.calls().into_iter().filter(|post| post.body.len() <= 100_000) {
            let count = pdata::validate::check(Signal::Traces, &post.body).unwrap();
            let payload = Payload::from_segments(Signal::Traces, [Segment::trusted(post.body.into(), count)]);
            numbers.extend(items::numbers(&payload).unwrap());
        }
        assert_eq!(numbers, (0..5000).chain(0..5000).collect::<Vec<_>>());
        assert_eq!(bench.finish(Signal::Traces).await.delivered, 10_000);
    }
}

#[tokio::test]
async fn no_server_and_no_answer_are_retryable_and_named() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let bench = Bench::with(&format!("{{endpoint: 'http://{address}', {ONCE}}}"), Signal::Traces).await;
    let error = bench.send(items::spans(3)).await.unwrap_err();
    assert_eq!((error.is_retryable(), error.code()), (true, Some(Code::Unavailable)));
    assert!(error.message().contains(&address.to_string()), "{error}");
    assert_eq!(bench.finish(Signal::Traces).await.refused, 3);

    let server = Server::http(|_, _| Answer { delay: Duration::from_secs(60), ..Answer::status(200) }).await;
    let bench = Bench::new(&server, Signal::Traces, &format!("timeout: 200ms, {ONCE}")).await;
    let error = bench.send(items::spans(3)).await.unwrap_err();
    assert_eq!((error.is_retryable(), error.code()), (true, Some(Code::DeadlineExceeded)));
    assert_eq!(bench.finish(Signal::Traces).await.refused, 3);
}
