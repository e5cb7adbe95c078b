//! Servers and clients that components share: gRPC and HTTP on hyper, TLS, compression, limits.
//!
//! The gRPC path is unary and takes and gives raw bytes: a body is admitted by its length prefix before it is read, copied
//! once into a buffer of its own size, and handed over with its charge on the byte account. What the bytes mean is for
//! the `otlp` crate and the components to know; this crate knows no signal.
//!
//! Reading order: [`tls`], [`compression`], [`server`] (listening, connections, gRPC, HTTP), [`client`].
//!
//! Everything a peer can make grow has a bound: see [`server::limits`]. Errors towards peers are answered in the protocol
//! they speak, where that can be known.

pub mod client;
pub mod compression;
pub mod endpoint;
mod grpc;
pub mod server;
mod socket;
pub mod tls;
pub mod watched;

/// An error and its causes in one line, outermost first.
#[must_use]
pub fn report(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod testing;
