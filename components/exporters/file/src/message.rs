//! A payload as the bytes that stand in a file.
//!
//! JSON: one request and a newline. Protobuf, and everything compressed: four bytes with the length, big-endian, then the
//! request.

use std::io;

use pdata::Payload;

use crate::config::{Compression, FileConfig, Format};

/// How payloads are written.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    format: Format,
    /// Level of zstd, when messages are compressed.
    zstd_level: Option<i32>,
}

impl Encoder {
    /// As configured.
    #[must_use]
    pub fn new(config: &FileConfig) -> Self {
        let zstd_level = (config.compression == Compression::Zstd).then_some(config.compression_params.level);
        Self { format: config.format, zstd_level }
    }

    /// The message.
    ///
    /// # Errors
    /// A message of more than 4 GiB, or zstd's error.
    pub fn encode(self, payload: &Payload) -> io::Result<Vec<u8>> {
        match (self.format, self.zstd_level) {
            (Format::Json, None) => {
                let mut line = json(payload);
                line.push('\n');
                Ok(line.into_bytes())
            }
            (Format::Json, Some(level)) => framed(&zstd::bulk::compress(json(payload).as_bytes(), level)?),
            (Format::Proto, None) => framed(&payload.to_bytes()),
            (Format::Proto, Some(level)) => framed(&zstd::bulk::compress(&payload.to_bytes(), level)?),
        }
    }
}

fn json(payload: &Payload) -> String {
    // JSON of telemetry is about twice as long as protobuf.
    let mut text = String::with_capacity(payload.encoded_len().saturating_mul(2));
    otlp::json::write_payload(payload, &mut text);
    text
}

fn framed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(bytes.len())
        .map_err(|_too_long| io::Error::other(format!("a message of {} bytes does not fit its frame", bytes.len())))?;
    let mut message = Vec::with_capacity(bytes.len() + 4);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(bytes);
    Ok(message)
}
