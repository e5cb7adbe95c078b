//! OTLP/gRPC: one `Export` method per signal.

use std::sync::Arc;

use bytes::Bytes;
use component::BoxFuture;
use net::server::{GrpcStatus, Invalid, RequestInfo, UnaryHandler};
use otlp::{Encoding, ExportResponse, Status, paths};
use pdata::{Charge, Overloaded, Signal};

use crate::context;
use crate::intake::Intake;
use crate::metrics::Reason;

/// Serves the methods of the signals that pipelines take from the receiver; others are not implemented.
#[derive(Debug)]
pub(crate) struct GrpcHandler(pub(crate) Arc<Intake>);

/// Methods are numbered as [`Signal::ALL`].
fn signal(method: usize) -> Signal {
    Signal::ALL.get(method).copied().unwrap_or(Signal::Traces)
}

impl UnaryHandler for GrpcHandler {
    fn method(&self, path: &str) -> Option<usize> {
        Signal::ALL.iter().position(|signal| paths::grpc_method(*signal) == path && self.0.takes(*signal))
    }

    fn admit(&self, method: usize, bytes: usize) -> Result<Charge, Overloaded> {
        self.0.admit(signal(method), bytes)
    }

    fn refuse(&self, overloaded: Overloaded) -> GrpcStatus {
        grpc_status(self.0.refuse(&overloaded))
    }

    fn invalid(&self, reason: Invalid) {
        self.0.metrics.invalid(match reason {
            Invalid::HttpMethod => Reason::Method,
            Invalid::ContentType => Reason::ContentType,
            Invalid::Path => Reason::Path,
            Invalid::Encoding => Reason::ContentEncoding,
            Invalid::Unauthenticated => Reason::Unauthenticated,
            Invalid::TooLarge => Reason::TooLarge,
            Invalid::Message => Reason::Body,
        });
    }

    fn call(
        &self,
        method: usize,
        body: Vec<u8>,
        charge: Charge,
        request: RequestInfo,
    ) -> BoxFuture<'static, Result<Bytes, GrpcStatus>> {
        let (intake, signal) = (Arc::clone(&self.0), signal(method));
        Box::pin(async move {
            let context = || context::of_request(request, intake.transport());
            match intake.take(signal, Encoding::Proto, body, charge, context).await {
                Ok(accepted) if accepted.rejected_items == 0 && accepted.message.is_none() => Ok(Bytes::new()),
                Ok(accepted) => Ok(ExportResponse::from(&accepted).encode(signal, Encoding::Proto).into()),
                Err(status) => Err(grpc_status(status)),
            }
        })
    }
}

/// Details say nothing that code and message do not, unless there is a delay to tell.
fn grpc_status(status: Status) -> GrpcStatus {
    let details = match status.retry_after {
        Some(_) => status.encode(Encoding::Proto).into(),
        None => Bytes::new(),
    };
    GrpcStatus { code: status.code, message: status.message, details }
}
