//! The contract between weir and its components.
//!
//! A pipeline is a chain called in line: a receiver hands a [`pdata::Batch`] to an [`Edge`], which hands it to the next
//! [`Consumer`], and the answer comes back as the return value. `Ok` means that the next stage took responsibility;
//! `Err` is a [`DeliveryError`], permanent or retryable, and a retryable one hands back the batch that was not
//! delivered. Backpressure, errors and acknowledgements therefore travel upstream without a channel.
//!
//! # What a component promises
//! - Creating one does not bind, connect or spawn; [`Component::start`] does. Starting returns when it is ready.
//! - [`Component::shutdown`] returns when nothing of it runs any more, works without a start, and works twice. After it
//!   returned, the component hands nothing to its edges.
//! - Every item is settled once in its stake (see [`pdata::ledger`]): whoever takes a batch in either passes it on, hands
//!   it back inside an error, or says where it went.
//! - Everything that holds items is bounded in bytes, counts what it drops with the reason, and never panics on data.
//! - A component that acknowledges before it has forwarded passes what it holds on to its successor when a reload replaces
//!   it ([`Component::hand_over`], [`Consumer::inherit`]).
//! - Work that must happen once a batch was handed over happens in a task its client cannot cancel ([`run_to_end`]).
//!
//! Reading order: [`consumer`], [`error`], [`edge`], [`row`], [`fanout`], [`outbox`], [`lifecycle`], [`factory`],
//! [`extension`], [`storage`], [`telemetry`], [`pressure`], [`decisions`], [`request`].
//!
//! Deliberately absent: YAML (`config`), sockets and TLS (`net`), any concrete component.

pub mod consumer;
pub mod decisions;
pub mod edge;
pub mod error;
pub mod extension;
pub mod factory;
pub mod fanout;
pub mod lifecycle;
pub mod listen;
pub mod memory;
pub mod outbox;
pub mod pages;
pub mod parts;
pub mod pressure;
pub mod request;
pub mod row;
pub mod status;
pub mod storage;
pub mod telemetry;

pub use config::ComponentId;
pub use consumer::{Accepted, ConsumeFuture, ConsumeResult, Consumer, Memory, run_to_end};
pub use edge::Edge;
pub use error::{BuildError, DeliveryError, ShutdownError, StartError};
pub use extension::{
    AuthError, ClientAuth, ClientHeader, Extension, ExtensionRef, HeaderAction, RequestHeaders, Role, ServerAuth,
};
pub use factory::{ConnectorOutputs, Factory, Kind, Outputs, Settings, Stability};
pub use fanout::{Fanout, Roster};
pub use lifecycle::{BoxFuture, Component, Deadline, Health, Host, Stage};
pub use outbox::{Outbox, OutboxSettings};
pub use pressure::Pressure;
pub use request::RequestKept;
pub use row::{Edit, Process, Processor, Row};
pub use status::Code;
pub use storage::{Storage, StorageClient, Stored};
pub use telemetry::{Counter, Gauge, Histogram, Level, Registry, Telemetry};
