//! Receiving the one message of a unary request.

use bytes::{Buf, Bytes};
use component::Code;
use pdata::{Charge, Overloaded};

use crate::compression::{Algorithm, InflateError, inflate};
use crate::server::body::{BodyReader, ReadError};
use crate::server::grpc::GrpcStatus;

/// Flag and length.
const PREFIX_BYTES: usize = 5;

fn read_failed(error: &ReadError) -> GrpcStatus {
    let code = match error {
        ReadError::Timeout => Code::DeadlineExceeded,
        ReadError::Broken(_) => Code::Cancelled,
    };
    GrpcStatus::new(code, error.to_string())
}

/// Reads, admits and decompresses the message. Nothing of a refused body is kept.
pub(super) async fn receive(
    mut reader: BodyReader,
    encoding: Option<Algorithm>,
    bytes_max: usize,
    admit: impl Fn(usize) -> Result<Charge, Overloaded>,
    refuse: impl Fn(Overloaded) -> GrpcStatus,
) -> Result<(Vec<u8>, Charge), GrpcStatus> {
    let (is_compressed, bytes, first) = prefix(&mut reader).await?;
    let algorithm = match (is_compressed, encoding) {
        (false, _) => None,
        (true, Some(algorithm)) => Some(algorithm),
        (true, None) => {
            let message = "grpc: compressed flag set with identity or empty encoding";
            return Err(GrpcStatus::new(Code::Internal, message));
        }
    };
    if bytes > bytes_max {
        return Err(too_large(bytes, bytes_max));
    }
    let mut charge = admit(bytes).map_err(&refuse)?;
    let body = read(reader, first, bytes).await?;
    let Some(algorithm) = algorithm else { return Ok((body, charge)) };
    match inflate(algorithm, body, bytes_max, &mut charge).await {
        Ok(message) => Ok((message, charge)),
        Err(InflateError::TooLarge { limit }) => Err(GrpcStatus::new(
            Code::ResourceExhausted,
            format!("grpc: received message after decompression larger than max {limit}"),
        )),
        Err(InflateError::Overloaded(overloaded)) => Err(refuse(overloaded)),
        Err(InflateError::Malformed(why)) => {
            Err(GrpcStatus::new(Code::Internal, format!("grpc: failed to decompress the received message: {why}")))
        }
    }
}

fn too_large(bytes: usize, bytes_max: usize) -> GrpcStatus {
    let message = format!("grpc: received message larger than max ({bytes} vs. {bytes_max})");
    GrpcStatus::new(Code::ResourceExhausted, message)
}

/// The compression flag, the length, and what came behind them in the same frame.
async fn prefix(reader: &mut BodyReader) -> Result<(bool, usize, Bytes), GrpcStatus> {
    let mut prefix = [0; PREFIX_BYTES];
    let mut filled = 0;
    loop {
        let Some(mut data) = reader.next().await.map_err(|error| read_failed(&error))? else {
            return Err(if filled == 0 {
                GrpcStatus::new(Code::Internal, "received no request message from a unary RPC")
            } else {
                GrpcStatus::new(Code::Internal, "unexpected end of the message prefix")
            });
        };
        let taken = data.len().min(PREFIX_BYTES - filled);
        if let Some(into) = prefix.get_mut(filled..filled + taken) {
            data.copy_to_slice(into);
        }
        filled += taken;
        if filled == PREFIX_BYTES {
            let [flag, a, b, c, d] = prefix;
            let bytes = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            return match flag {
                0 | 1 => Ok((flag == 1, bytes, data)),
                other => {
                    let message = format!("grpc: received unexpected payload format {other}");
                    Err(GrpcStatus::new(Code::Internal, message))
                }
            };
        }
    }
}

/// Copies the message's parts, once, into a buffer of its size, and makes sure that nothing follows.
async fn read(mut reader: BodyReader, first: Bytes, bytes: usize) -> Result<Vec<u8>, GrpcStatus> {
    let more = || GrpcStatus::new(Code::Internal, "received more than one request message in a unary RPC");
    let mut body = Vec::with_capacity(bytes);
    let mut part = first;
    loop {
        if part.len() > bytes - body.len() {
            return Err(more());
        }
        body.extend_from_slice(&part);
        if reader.is_end() {
            break;
        }
        // The frame's buffer is free to be read into again.
        drop(part);
        match reader.next().await.map_err(|error| read_failed(&error))? {
            Some(next) => part = next,
            None => break,
        }
    }
    if body.len() < bytes {
        let message = format!("unexpected end of the message: {} of {bytes} bytes came", body.len());
        return Err(GrpcStatus::new(Code::Internal, message));
    }
    Ok(body)
}
