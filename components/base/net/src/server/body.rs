//! Reading request bodies at the peer's pace, which is bounded.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The peer was too slow.
    #[error("the body did not arrive in time")]
    Timeout,
    /// The connection or stream broke.
    #[error("the body broke off: {}", crate::report(.0))]
    Broken(hyper::Error),
}

/// A body and how long it may take.
pub(crate) struct BodyReader {
    body: Incoming,
    stall: Duration,
    end: Instant,
    last: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl BodyReader {
    /// The next part has to come within `stall`, the whole before `end`.
    pub(crate) fn new(body: Incoming, stall: Duration, end: Instant) -> Self {
        Self { body, stall, end, last: Instant::now(), timer: None }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_end(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The next part, not empty; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            let frame = poll_fn(|cx| {
                if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
                    return Poll::Ready(Ok(frame));
                }
                // One timer per body, made when it first has to wait, and moved only when it fires.
                loop {
                    let due = self.end.min(self.last.checked_add(self.stall).unwrap_or(self.end));
                    let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    if Instant::now() >= due {
                        return Poll::Ready(Err(ReadError::Timeout));
                    }
                    timer.as_mut().reset(due);
                }
            })
            .await?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(ReadError::Broken(error)),
                Some(Ok(frame)) => {
                    self.last = Instant::now();
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
