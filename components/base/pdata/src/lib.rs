//! Telemetry that stays on the wire.
//!
//! A [`Batch`] is one or more serialized OTLP export requests (`ExportTraceServiceRequest` and its siblings) as they
//! arrived, validated once by [`validate`], plus a [`Context`] and a [`Stake`] in the ledger. Nothing here decodes to
//! a tree of structs.
//!
//! Reading order: [`signal`], [`wire`] (varints and fields), [`schema`] (OTLP's field tables), [`validate`],
//! [`payload`], [`context`], [`account`] (bytes in memory), [`ledger`] (items accounted for), [`batch`].
//! Then what is done with telemetry: [`view`] (reading in place), [`index`] (where items are), [`split`], [`partition`],
//! [`retain`], [`regroup`], [`edit`], [`build`] (creating).
//!
//! Deliberately absent: I/O, async, serde, JSON (see the `otlp` crate), configuration.

pub mod account;
pub mod batch;
pub mod build;
pub mod context;
pub mod edit;
pub mod index;
pub mod ledger;
pub mod partition;
pub mod payload;
pub mod regroup;
pub mod retain;
pub mod schema;
mod select;
pub mod signal;
pub mod split;
pub mod validate;
pub mod view;
pub mod wire;

pub use account::{ByteAccount, Charge, Gate, Overloaded};
pub use batch::Batch;
pub use context::{AuthData, Context, Metadata, RequestPart, TraceContext};
pub use edit::{EditError, Editor, OpenBatch};
pub use ledger::{Account, AccountKey, Ledger, Outcome, Stake, Totals};
pub use payload::{Payload, Segment};
pub use signal::Signal;
pub use validate::{Invalid, Repairs, Utf8Policy, Validated};
