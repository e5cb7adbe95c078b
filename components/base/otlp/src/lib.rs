//! OTLP as it looks from outside: its two encodings, its services' paths, its answers.
//!
//! - [`json`] translates OTLP/JSON to the wire bytes that [`pdata`] holds, and back.
//! - [`status`] is `google.rpc.Status` with `RetryInfo`, and the one place where statuses of gRPC and HTTP become
//!   [`component::DeliveryError`]s and the reverse.
//! - [`response`] is what a successful export is answered with, partial success included.
//! - [`paths`] names the gRPC methods and HTTP paths, [`Encoding`] the content types.
//!
//! Deliberately absent: sockets (`net`), configuration, any copy of OTLP's messages: everything follows the tables in
//! [`pdata::schema`].

pub mod encoding;
pub mod json;
pub mod paths;
pub mod response;
pub mod status;

pub use encoding::Encoding;
pub use response::ExportResponse;
pub use status::{HttpAnswer, Refusal, Status};
