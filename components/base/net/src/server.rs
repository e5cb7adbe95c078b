//! Servers: listening, connections with limits, unary gRPC, HTTP.
//!
//! Reading order: [`config`], [`limits`], [`listen`] (sockets), `stream` (what a connection reads and writes), `sniff`
//! (which protocol a peer speaks), `connection` (its life), `accept` (the loop), `entrance` (the start), [`grpc`],
//! [`http`].

mod accept;
mod body;
pub mod config;
mod connection;
mod entrance;
pub mod grpc;
pub mod http;
pub mod limits;
pub mod listen;
pub(crate) mod metrics;
mod request;
mod sniff;
mod stream;

use component::{ComponentId, Telemetry};

pub use config::{GrpcServerConfig, HttpServerConfig};
pub use grpc::{GrpcServer, GrpcStatus, Invalid, Messages, UnaryHandler};
pub use http::{HttpHandler, HttpResponse, HttpServer, Refusal, RequestHead, Route};
pub use request::RequestInfo;

/// What code passes to a server beside its configuration.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The component that serves.
    pub id: ComponentId,
    /// Its own metrics.
    pub telemetry: Telemetry,
}
