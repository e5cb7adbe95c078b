//! Sending OTLP over gRPC: configuration and transport, for the exporters that do (`otlp_grpc`, `load_balancing`).
//!
//! Gives unary calls through `net`'s channel. What a status means is decided in `otlp`; this crate puts them together and
//! knows how gRPC servers refuse for size. It never looks inside a request, and leaves queueing and retrying to `delivery`.
//!
//! Reading order: [`config`], [`transport`].

pub mod config;
pub mod transport;

pub use crate::config::OtlpGrpcConfig;
pub use crate::transport::GrpcTransport;
