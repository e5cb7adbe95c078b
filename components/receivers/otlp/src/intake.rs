//! From a request's body to the pipeline's answer, the same for both transports.
//!
//! Per request: one validating pass, one context, one batch; nothing per item.

use std::sync::Arc;

use component::{Accepted, Code, Consumer, Edge, Outputs, Telemetry};
use otlp::json::{self, DecodeError};
use otlp::{Encoding, Status};
use pdata::validate::Repairs;
use pdata::{Batch, Charge, Context, Overloaded, Payload, Signal, Utf8Policy};

use crate::metrics::{ItemMetrics, Reason, RequestMetrics};

/// JSON beyond this size in bytes is translated on a thread for blocking work, so that other requests of this thread do
/// not wait for it (JSON is read at some 400 MB/s).
const INLINE_JSON_BYTES_MAX: usize = 1 << 20;

/// One transport's way into the pipelines.
#[derive(Debug)]
pub(crate) struct Intake {
    transport: &'static str,
    policy: Utf8Policy,
    /// In the order of [`Signal::ALL`]; `None` for signals that no pipeline takes from this receiver.
    entries: [Option<Entry>; Signal::ALL.len()],
    pub(crate) metrics: RequestMetrics,
}

#[derive(Debug)]
struct Entry {
    edge: Edge,
    metrics: ItemMetrics,
}

impl Intake {
    pub(crate) fn new(
        transport: &'static str,
        policy: Utf8Policy,
        outputs: &Outputs,
        telemetry: &Telemetry,
    ) -> Arc<Self> {
        let entry = |signal| {
            let edge = outputs.get(signal)?.clone();
            Some(Entry { edge, metrics: ItemMetrics::new(telemetry, transport, signal) })
        };
        let entries = Signal::ALL.map(entry);
        Arc::new(Self { transport, policy, entries, metrics: RequestMetrics::new(telemetry, transport) })
    }

    pub(crate) fn transport(&self) -> &'static str {
        self.transport
    }

    fn entry(&self, signal: Signal) -> Option<&Entry> {
        let [traces, metrics, logs] = &self.entries;
        match signal {
            Signal::Traces => traces.as_ref(),
            Signal::Metrics => metrics.as_ref(),
            Signal::Logs => logs.as_ref(),
        }
    }

    /// Whether a pipeline takes `signal` from this receiver.
    pub(crate) fn takes(&self, signal: Signal) -> bool {
        self.entry(signal).is_some()
    }

    /// Asks for room for a body of `bytes`. Refusals are counted by [`Intake::refuse`].
    pub(crate) fn admit(&self, signal: Signal, bytes: usize) -> Result<Charge, Overloaded> {
        match self.entry(signal) {
            Some(entry) => entry.edge.admit(bytes),
            // Not reached: the router knows which signals are taken.
            None => {
                let (shortage, retry_after) = (pdata::account::Shortage::Memory, pdata::account::RETRY_HINT);
                Err(Overloaded { shortage, held: 0, asked: bytes, limit: 0, retry_after })
            }
        }
    }

    /// The answer to a request that was not admitted.
    pub(crate) fn refuse(&self, overloaded: &Overloaded) -> Status {
        self.metrics.overloaded();
        Status::overloaded(overloaded)
    }

    /// Takes a request's body to the pipeline and waits for its answer.
    pub(crate) async fn take(
        &self,
        signal: Signal,
        encoding: Encoding,
        body: Vec<u8>,
        charge: Charge,
        context: impl FnOnce() -> Context,
    ) -> Result<Accepted, Status> {
        let Some(entry) = self.entry(signal) else {
            return Err(Status::new(Code::Unimplemented, format!("no pipeline takes {signal} from this receiver")));
        };
        let (payload, repairs) = self.read(signal, encoding, body, charge).await?;
        if repairs.utf8_strings > 0 {
            self.metrics.repaired_strings.add(repairs.utf8_strings);
        }
        let items = payload.items();
        if items == 0 {
            self.metrics.succeeded.add(1);
            return Ok(Accepted::all());
        }
        let unanswered = Unanswered { intake: self, entry, items };
        let answer = entry.edge.consume(Batch::new(payload, Arc::new(context()))).await;
        unanswered.answered();
        match answer {
            Ok(accepted) => {
                let rejected = accepted.rejected_items.min(items);
                entry.metrics.accepted.add(items - rejected);
                if rejected > 0 {
                    entry.metrics.refused.add(rejected);
                }
                self.metrics.succeeded.add(1);
                Ok(accepted)
            }
            Err(error) => {
                entry.metrics.refused.add(items);
                self.metrics.refused.add(1);
                // A batch that comes back inside has been settled by the head of the pipeline.
                Err(Status::from_error(&error))
            }
        }
    }

    async fn read(
        &self,
        signal: Signal,
        encoding: Encoding,
        body: Vec<u8>,
        charge: Charge,
    ) -> Result<(Payload, Repairs), Status> {
        let policy = self.policy;
        let read = match encoding {
            Encoding::Proto => {
                Payload::from_body(signal, body, charge, policy).map_err(|invalid| self.malformed(&invalid))?
            }
            Encoding::Json => {
                let translated = if body.len() <= INLINE_JSON_BYTES_MAX {
                    json::decode_payload(signal, body, charge, policy)
                } else {
                    let work = move || json::decode_payload(signal, body, charge, policy);
                    tokio::task::spawn_blocking(work).await.map_err(|_panicked| self.fault(signal))?
                };
                translated.map_err(|error| match error {
                    DecodeError::Invalid(invalid) => self.malformed(&invalid),
                    DecodeError::Overloaded(overloaded) => self.refuse(&overloaded),
                })?
            }
        };
        Ok(read)
    }

    #[cold]
    fn malformed(&self, invalid: &dyn std::error::Error) -> Status {
        self.metrics.invalid(Reason::Malformed);
        Status::new(Code::InvalidArgument, invalid.to_string())
    }

    #[cold]
    fn fault(&self, signal: Signal) -> Status {
        self.metrics.failed.add(1);
        Status::new(Code::Internal, format!("the receiver failed to read the {signal}"))
    }
}

/// Counts items whose hand-over never came to an answer: the pipeline panicked, or was cut off at the end of a shutdown.
struct Unanswered<'a> {
    intake: &'a Intake,
    entry: &'a Entry,
    items: u64,
}

impl Unanswered<'_> {
    fn answered(mut self) {
        self.items = 0;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.items > 0 {
            self.entry.metrics.failed.add(self.items);
            self.intake.metrics.failed.add(1);
        }
    }
}
