//! Clients: a gRPC channel for unary calls, and an HTTP client with a pool.
//!
//! Reading order: [`config`], [`error`] (what can go wrong, by phase, with hints), `connect` (one connection), [`grpc`],
//! [`http`]. Retrying is for the caller; a client only retries what certainly was not sent.

pub mod config;
mod connect;
pub mod error;
mod gather;
pub mod grpc;
mod headers;
pub mod http;
mod metrics;
mod rope;

use component::{ComponentId, Telemetry};

pub use config::{GrpcClientConfig, HttpClientConfig};
pub use error::{CallError, Phase};
pub use grpc::{GrpcChannel, UnaryReply};
pub use http::{HttpClient, HttpReply};

/// What code passes to a client beside its configuration.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The component that sends.
    pub id: ComponentId,
    /// Its own metrics.
    pub telemetry: Telemetry,
    /// `User-Agent`, where the configuration gives none.
    pub user_agent: String,
}
