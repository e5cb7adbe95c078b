//! Built-in limits, for where the Collector has none and a listener could be exhausted. All are generous: a well-behaved
//! client never meets them.

use std::time::Duration;

/// Connections one listener serves at a time; more are closed at once and counted.
pub const CONNECTIONS_MAX: usize = 10_000;

/// Streams of one HTTP/2 connection at a time, unless `max_concurrent_streams` says otherwise.
pub const STREAMS_MAX: u32 = 1000;

/// All header names and values of a request, in bytes (gRPC's own default is 16 MiB; HTTP servers have 8 to 64 KiB).
pub const HEADER_BYTES_MAX: u32 = 64 << 10;

/// Time to complete a TLS handshake.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for the first bytes of a connection, and for the head of an HTTP/1 request from its first byte.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// Time a connection may stay without a request. Longer than any sensible export interval, since a connection that closes
/// just when a request comes costs the client a retry.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Time between two parts of a body.
pub const BODY_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for a peer to take an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for running requests after GOAWAY, where `max_connection_age_grace` is not given.
pub const GRACE: Duration = Duration::from_secs(60);

/// Time between HTTP/2 pings to silent clients, gRPC's default.
pub const KEEPALIVE_TIME: Duration = Duration::from_secs(2 * 60 * 60);

/// Time for the answer to an HTTP/2 ping, gRPC's default.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// HTTP/2 window of a stream in bytes: what a peer may send of one body before it is read.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// HTTP/2 window of a connection in bytes: what a peer may send in all before it is read. Bounds the bytes that are not on
/// the byte account.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Largest HTTP/2 frame accepted in bytes. A connection keeps a read buffer of about the largest frame it received; clients
/// that use large frames cost a third less than with 16 KiB (`examples/unary_floor.rs`).
pub const FRAME_BYTES_MAX: u32 = 256 << 10;

/// gRPC's limit of a message in bytes where `max_recv_msg_size_mib` is 0.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Limit of an HTTP body in bytes where `max_request_body_size` is 0.
pub const HTTP_BODY_BYTES_MAX: usize = 20 << 20;

/// Time for a whole body, where no `read_timeout` and no `grpc-timeout` is shorter.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10 * 60);
