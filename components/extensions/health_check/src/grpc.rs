//! The second version over gRPC: `grpc.health.v1.Health/Check` and `Watch`. The empty service is all of weir, others are
//! pipelines.
//!
//! A watcher is a task that waits for a change of phase or health, or for the time at which a recoverable error begins to
//! count, and sends the status when it is another one. A watcher that does not read holds one status; it is told the next one
//! as it is by then. Source: `grpc/health/v1/health.proto`.

use std::sync::Arc;

use bytes::Bytes;
use component::{BoxFuture, Code};
use net::server::{GrpcStatus, Messages, RequestInfo, UnaryHandler};
use pdata::wire::{Fields, LEN, put_varint_field};
use pdata::{ByteAccount, Charge, Overloaded};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::verdict::Judge;

/// Bytes that all requests may hold at a time: each one is a service name.
pub(crate) const REQUESTS_BYTES_MAX: usize = 1 << 20;

/// Calls of `Watch` at a time; further ones are refused.
pub(crate) const WATCHERS_MAX: usize = 100;

const CHECK: usize = 0;
const WATCH: usize = 1;

/// `ServingStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serving {
    Yes = 1,
    No = 2,
    /// `SERVICE_UNKNOWN`: it may come with a reload.
    Unknown = 3,
}

impl Serving {
    fn message(self) -> Bytes {
        let mut message = Vec::new();
        put_varint_field(&mut message, 1, self as u64);
        message.into()
    }
}

/// Serves `Check` and `Watch`.
pub(crate) struct Handler {
    judge: Arc<Judge>,
    account: Arc<ByteAccount>,
    watchers: Arc<Semaphore>,
    /// Whether watching is over.
    over: watch::Receiver<bool>,
}

impl Handler {
    /// Watchers end when `over` becomes true, or its sender goes.
    pub(crate) fn new(judge: Arc<Judge>, account: Arc<ByteAccount>, over: watch::Receiver<bool>) -> Self {
        Self { judge, account, watchers: Arc::new(Semaphore::new(WATCHERS_MAX)), over }
    }

    fn check(&self, request: &[u8]) -> Result<Bytes, GrpcStatus> {
        let wanted = service(request)?;
        match serving(&self.judge, &wanted).0 {
            Serving::Unknown => Err(GrpcStatus::new(Code::NotFound, format!("unknown service `{wanted}`"))),
            known => Ok(known.message()),
        }
    }

    fn watch(&self, request: &[u8]) -> Result<Messages, GrpcStatus> {
        let wanted = service(request)?;
        let permit = Arc::clone(&self.watchers).try_acquire_owned().map_err(|_none_left| {
            GrpcStatus::new(Code::ResourceExhausted, format!("there are {WATCHERS_MAX} watchers already"))
        })?;
        let (statuses, messages) = mpsc::channel(1);
        let watcher =
            Watcher { judge: Arc::clone(&self.judge), wanted, statuses, over: self.over.clone(), _permit: permit };
        tokio::spawn(watcher.run());
        Ok(messages)
    }
}

/// How the service or pipeline is doing, and when that may change without anything happening.
fn serving(judge: &Judge, wanted: &str) -> (Serving, Option<Instant>) {
    let (extensions, pipelines) = judge.groups();
    let verdict = match wanted {
        "" => judge.service(extensions.as_ref(), &pipelines),
        wanted => match pipelines.into_iter().find(|(id, _)| id == wanted) {
            Some((_, group)) => group.verdict,
            None => return (Serving::Unknown, None),
        },
    };
    (if judge.is_healthy(&verdict) { Serving::Yes } else { Serving::No }, judge.counts_from(&verdict))
}

struct Watcher {
    judge: Arc<Judge>,
    wanted: String,
    statuses: mpsc::Sender<Result<Bytes, GrpcStatus>>,
    over: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Watcher {
    async fn run(mut self) {
        let (mut phase, mut health) = self.judge.changes();
        let mut told = None;
        loop {
            // Marked as seen before they are read, so that no change is missed.
            phase.mark_unchanged();
            health.mark_unchanged();
            let is_over = *self.over.borrow_and_update() || self.over.has_changed().is_err();
            let (now, changes_at) = serving(&self.judge, &self.wanted);
            if told != Some(now) {
                told = Some(now);
                if self.statuses.send(Ok(now.message())).await.is_err() {
                    return;
                }
                // It may have waited long.
                continue;
            }
            if is_over {
                let status = GrpcStatus::new(Code::Cancelled, "the server is shutting down");
                // Nobody hears it when the client went away.
                let _gone = self.statuses.send(Err(status)).await;
                return;
            }
            let alarm = async {
                match changes_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // A sender that is gone takes part in shutdown, of which `over` tells.
            tokio::select! {
                Ok(()) = phase.changed() => {}
                Ok(()) = health.changed() => {}
                _ = self.over.changed() => {}
                () = alarm => {}
                () = self.statuses.closed() => return,
            }
        }
    }
}

/// Field 1 of the request, the last one if it is repeated.
fn service(request: &[u8]) -> Result<String, GrpcStatus> {
    let mut service = String::new();
    let mut end = 0;
    for field in Fields::new(request) {
        end = field.end;
        if (field.number, field.wire_type) == (1, LEN) {
            let text = request.get(field.value).unwrap_or_default();
            let text = std::str::from_utf8(text)
                .map_err(|_invalid| GrpcStatus::new(Code::InvalidArgument, "`service` is not UTF-8"))?;
            text.clone_into(&mut service);
        }
    }
    if end < request.len() {
        return Err(GrpcStatus::new(Code::InvalidArgument, format!("the request is not protobuf at byte {end}")));
    }
    Ok(service)
}

impl UnaryHandler for Handler {
    fn method(&self, path: &str) -> Option<usize> {
        match path {
            "/grpc.health.v1.Health/Check" => Some(CHECK),
            "/grpc.health.v1.Health/Watch" => Some(WATCH),
            _ => None,
        }
    }

    fn admit(&self, _: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.account.try_charge(bytes)
    }

    fn refuse(&self, overloaded: Overloaded) -> GrpcStatus {
        GrpcStatus::new(Code::ResourceExhausted, overloaded.to_string())
    }

    fn call(
        &self,
        _: usize,
        body: Vec<u8>,
        _charge: Charge,
        _: RequestInfo,
    ) -> BoxFuture<'static, Result<Bytes, GrpcStatus>> {
        let answer = self.check(&body);
        Box::pin(async { answer })
    }

    fn stream(&self, method: usize, body: &[u8]) -> Option<Result<Messages, GrpcStatus>> {
        (method == WATCH).then(|| self.watch(body))
    }
}
