//! One export call, and what its failure means.

use std::sync::Arc;

use bytes::Bytes;
use component::{Accepted, BoxFuture, BuildError, Code, Host, Settings, StartError};
use delivery::{SendError, SizeRefusal, Transport, user_agent};
use net::client::{CallError, ClientSettings, GrpcChannel};
use net::endpoint::HostPort;
use otlp::{Encoding, ExportResponse, Refusal, paths};
use pdata::{Context, Payload, Signal};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::config::OtlpGrpcConfig;

/// What gRPC servers take unless configured otherwise, in bytes (`MaxRecvMsgSize` of grpc-go, and others').
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// Calls `Export` of one signal's service.
#[derive(Debug)]
pub struct GrpcTransport {
    channel: Arc<GrpcChannel>,
    signal: Signal,
    endpoint: String,
}

impl GrpcTransport {
    /// A transport for `signal`. Does not connect.
    ///
    /// # Errors
    /// Settings that no connection can be made from: certificates that cannot be read.
    pub fn new(config: &OtlpGrpcConfig, settings: &Settings, signal: Signal) -> Result<Self, BuildError> {
        let client =
            ClientSettings { id: settings.id.clone(), telemetry: settings.telemetry.clone(), user_agent: user_agent() };
        let channel = GrpcChannel::new(&config.client, client)?;
        Ok(Self { channel, signal, endpoint: config.client.endpoint.clone() })
    }

    /// Labels of what was sent: host and port, where the endpoint has them.
    #[must_use]
    pub fn sent_labels(&self) -> Vec<(&'static str, String)> {
        let place = self.endpoint.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
        match HostPort::parse(place) {
            Ok(place) => vec![("server_address", place.host), ("server_port", place.port.to_string())],
            Err(_) => Vec::new(),
        }
    }
}

impl Transport for GrpcTransport {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async { self.channel.start(host) })
    }

    fn send<'a>(
        &'a self,
        payload: &'a Payload,
        context: &'a Context,
        deadline: Option<Instant>,
    ) -> BoxFuture<'a, Result<Accepted, SendError>> {
        Box::pin(async move {
            let message: SmallVec<[Bytes; 4]> =
                payload.segments().iter().map(|segment| segment.bytes().clone()).collect();
            let path = paths::grpc_method(self.signal);
            match self.channel.unary(path, &message, context, deadline.map(Instant::into_std)).await {
                Ok(reply) => accepted(self.signal, &reply.message),
                Err(error) => Err(send_error(error)),
            }
        })
    }

    fn request_limit(&self) -> Option<usize> {
        Some(REQUEST_BYTES_MAX)
    }

    fn metadata_keys(&self) -> Vec<String> {
        self.channel.metadata_keys()
    }

    fn destination(&self) -> String {
        self.endpoint.clone()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.channel.shutdown())
    }
}

/// What an `OK` says. A message that is none cannot be told from one that reports a rejection, so it counts as that.
fn accepted(signal: Signal, message: &[u8]) -> Result<Accepted, SendError> {
    let response = ExportResponse::decode(signal, Encoding::Proto, message)
        .map_err(|error| SendError::permanent("response", error.to_string()).with_code(Code::Internal))?;
    let message = Some(response.message).filter(|message| !message.is_empty());
    Ok(Accepted { rejected_items: response.rejected_items, message: message.map(Into::into) })
}

fn send_error(error: CallError) -> SendError {
    match error {
        CallError::Status(status) => refused(Refusal::from_grpc(status.code, &status.message, &status.details)),
        CallError::Timeout { .. } => SendError::timeout(error.to_string()),
        CallError::Transport { phase, ref message, ref hint, .. } => {
            let failed = SendError::retryable(phase.as_str(), message.clone()).with_code(error.code());
            match hint {
                Some(hint) => failed.with_advice(hint.clone()),
                None => failed,
            }
        }
    }
}

/// An answer other than `OK`. `OUT_OF_RANGE` is how tonic servers refuse for size.
fn refused(refusal: Refusal) -> SendError {
    let size = match (refusal.code, SizeRefusal::in_message(&refusal.message)) {
        (Code::ResourceExhausted | Code::OutOfRange, named @ SizeRefusal::Named(_)) => named,
        (Code::ResourceExhausted, unclear) if !refusal.retryable => unclear,
        _ => SizeRefusal::No,
    };
    let cause = refusal.code.name();
    let error = match refusal.retryable {
        true => SendError::retryable(cause, refusal.message),
        false => SendError::permanent(cause, refusal.message),
    };
    let error = error.with_code(refusal.code).with_size(size);
    match refusal.retry_after {
        Some(delay) => error.with_retry_after(delay),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use net::client::Phase;

    use super::*;

    #[test]
    fn hints_become_advice_and_phases_causes() {
        let error = send_error(CallError::Transport {
            phase: Phase::Tls,
            message: "broken".into(),
            hint: Some("set `tls::insecure`".into()),
            is_unprocessed: true,
        });
        assert_eq!((error.cause(), error.message(), error.advice()), ("tls", "broken", Some("set `tls::insecure`")));
        assert!(!error.is_permanent());
        let error = send_error(CallError::Timeout { phase: Phase::Connect, elapsed: Duration::from_millis(5003) });
        assert_eq!(error.message(), "timed out after 5003 ms while trying to connect");
        assert_eq!(error.code(), Some(Code::DeadlineExceeded));
    }
}
