//! The second version over gRPC: `grpc.health.v1.Health/Check`. The empty service is all of weir, others are pipelines.
//!
//! `Watch` streams, which the unary server does not; it is answered with `UNIMPLEMENTED`, on which clients of the
//! protocol are told to fall back to calling it healthy or to `Check`.
//! Source: `grpc/health/v1/health.proto`.

use std::sync::Arc;

use bytes::Bytes;
use component::{BoxFuture, Code};
use net::server::{GrpcStatus, RequestInfo, UnaryHandler};
use pdata::wire::{Fields, LEN, put_varint_field};
use pdata::{ByteAccount, Charge, Overloaded};

use crate::verdict::Judge;

/// Bytes that all requests may hold at a time: each one is a service name.
pub(crate) const REQUESTS_BYTES_MAX: usize = 1 << 20;

const SERVING: u64 = 1;
const NOT_SERVING: u64 = 2;

/// Serves `Check`.
pub(crate) struct Handler {
    pub(crate) judge: Arc<Judge>,
    pub(crate) account: Arc<ByteAccount>,
}

impl Handler {
    fn check(&self, request: &[u8]) -> Result<Bytes, GrpcStatus> {
        let (extensions, pipelines) = self.judge.groups();
        let verdict = match &*service(request)? {
            "" => self.judge.service(extensions.as_ref(), &pipelines),
            wanted => match pipelines.into_iter().find(|(id, _)| id == wanted) {
                Some((_, group)) => group.verdict,
                None => return Err(GrpcStatus::new(Code::NotFound, format!("unknown service `{wanted}`"))),
            },
        };
        let mut answer = Vec::new();
        put_varint_field(&mut answer, 1, if self.judge.is_healthy(&verdict) { SERVING } else { NOT_SERVING });
        Ok(answer.into())
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
        (path == "/grpc.health.v1.Health/Check").then_some(0)
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
}
