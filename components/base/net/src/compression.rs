//! Compression of bodies, both ways, bounded by size.
//!
//! Inflating never trusts what a body says about itself: capacity is charged to the byte account before it is allocated,
//! at most one step ahead of what was really produced, and the limit holds for what comes out. Long work yields to the
//! scheduler between steps, so that no worker thread is held for more than about a millisecond.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use pdata::{Charge, Overloaded};

/// Output produced between two yields, in bytes.
const INFLATE_STEP_BYTES: usize = 1 << 20;
/// Input compressed between two yields, in bytes.
const DEFLATE_STEP_BYTES: usize = 64 << 10;
/// The largest body that is decompressed in one call, in bytes: about 2 ms of work.
const AT_ONCE_BYTES_MAX: usize = 4 << 20;
/// How a gzip member compressed with deflate begins (RFC 1952).
const GZIP_START: &[u8] = b"\x1f\x8b\x08";
/// Deflate cannot expand further than this.
const DEFLATE_RATIO_MAX: usize = 1032;
/// Highest zstd window a sender may ask for, as a power of two: 8 MiB, what RFC 8878 asks decoders to support.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// First bytes of the framed snappy format.
const SNAPPY_STREAM_START: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// An algorithm, by what its name means on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// gzip (RFC 1952).
    Gzip,
    /// zlib (RFC 1950), which is what HTTP calls `deflate`.
    Zlib,
    /// Zstandard (RFC 8878).
    Zstd,
    /// Snappy in one block. Reads the framed format too.
    SnappyBlock,
    /// Snappy in frames. Reads the block format too.
    SnappyFramed,
}

/// Why a body could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// It is larger than the limit when decompressed.
    #[error("decompressed body is larger than the limit of {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// It does not fit in memory at the moment.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// It is not in the format that was announced.
    #[error("{0}")]
    Malformed(String),
}

/// Decompresses `input` into a buffer that fits. `charge` covers `input` when called, and the result when it returns.
///
/// # Errors
/// [`InflateError`]; the charge is then somewhere in between, and is meant to be dropped.
pub async fn inflate(
    algorithm: Algorithm,
    input: Vec<u8>,
    bytes_max: usize,
    charge: &mut Charge,
) -> Result<Vec<u8>, InflateError> {
    let output = match algorithm {
        Algorithm::SnappyBlock | Algorithm::SnappyFramed => {
            if input.starts_with(SNAPPY_STREAM_START) {
                // The frames' sizes are only known by reading them.
                read_all(snap::read::FrameDecoder::new(&*input), None, bytes_max, charge).await?
            } else {
                snappy_block(&input, bytes_max, charge)?
            }
        }
        Algorithm::Gzip => match gzip_at_once(&input, bytes_max, charge)? {
            Some(output) => output,
            None => read_all(MultiGzDecoder::new(&*input), gzip_size(&input), bytes_max, charge).await?,
        },
        Algorithm::Zlib => read_all(ZlibDecoder::new(&*input), None, bytes_max, charge).await?,
        Algorithm::Zstd => {
            let malformed = |error: io::Error| InflateError::Malformed(error.to_string());
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&*input).map_err(malformed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(malformed)?;
            let size = zstd::zstd_safe::get_frame_content_size(&input).ok().flatten();
            read_all(decoder, size.and_then(|size| usize::try_from(size).ok()), bytes_max, charge).await?
        }
    };
    drop(input);
    charge.resize(output.capacity());
    Ok(output)
}

/// The size that a gzip body of one member says it has (modulo 4 GiB). A hint only.
fn gzip_size(input: &[u8]) -> Option<usize> {
    let trailer = input.last_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*trailer)).ok()
}

/// Decompresses a gzip body of one member in one call, which takes less than half the time of reading it as a stream.
///
/// `None` when it is not the plain case: larger than [`AT_ONCE_BYTES_MAX`], a size in its trailer that is not true, more
/// than one member, malformed. The stream then decides, and finds the words for what is wrong.
fn gzip_at_once(input: &[u8], bytes_max: usize, charge: &mut Charge) -> Result<Option<Vec<u8>>, InflateError> {
    let Some(size) = gzip_size(input).filter(|size| *size <= bytes_max.min(AT_ONCE_BYTES_MAX)) else {
        return Ok(None);
    };
    // A size beyond deflate's best ratio is a lie; a further member begins with the same three bytes.
    let another_member = input.get(1..).is_some_and(|rest| memchr::memmem::find(rest, GZIP_START).is_some());
    if !input.starts_with(GZIP_START) || another_member || size / DEFLATE_RATIO_MAX > input.len() {
        return Ok(None);
    }
    let before = charge.bytes();
    charge.grow(size)?;
    let mut output = vec![0; size];
    match libdeflater::Decompressor::new().gzip_decompress(input, &mut output) {
        Ok(written) if written == size => Ok(Some(output)),
        _ => {
            charge.shrink_to(before);
            Ok(None)
        }
    }
}

fn snappy_block(input: &[u8], bytes_max: usize, charge: &mut Charge) -> Result<Vec<u8>, InflateError> {
    let malformed = |error: snap::Error| InflateError::Malformed(error.to_string());
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = snap::raw::decompress_len(input).map_err(malformed)?;
    if bytes > bytes_max {
        return Err(InflateError::TooLarge { limit: bytes_max });
    }
    charge.grow(bytes)?;
    let mut output = vec![0; bytes];
    let written = snap::raw::Decoder::new().decompress(input, &mut output).map_err(malformed)?;
    output.truncate(written);
    Ok(output)
}

async fn read_all(
    mut source: impl Read,
    hint: Option<usize>,
    bytes_max: usize,
    charge: &mut Charge,
) -> Result<Vec<u8>, InflateError> {
    let mut output = Vec::new();
    // A hint that is right saves growing; one that lies costs at most a step.
    let mut next = hint.unwrap_or(0).clamp(4 << 10, INFLATE_STEP_BYTES);
    loop {
        let room = bytes_max.saturating_sub(output.len());
        let step = next.min(INFLATE_STEP_BYTES).min(room.saturating_add(1));
        if output.capacity() - output.len() < step {
            // Once half of a hinted size is there, the hint is believed.
            let believed = hint.filter(|hint| *hint <= bytes_max && output.len() >= hint / 2);
            let grown = believed.unwrap_or(0).max(output.len() + step).max(output.capacity().saturating_mul(2));
            let grown = grown.min(bytes_max.saturating_add(1)).max(output.len() + step);
            charge.grow(grown - output.capacity())?;
            output.reserve_exact(grown - output.len());
        }
        let before = output.len();
        let taken = source
            .by_ref()
            .take(u64::try_from(step).unwrap_or(u64::MAX))
            .read_to_end(&mut output)
            .map_err(|error| InflateError::Malformed(error.to_string()))?;
        if output.len() > bytes_max {
            return Err(InflateError::TooLarge { limit: bytes_max });
        }
        if output.len() - before < step || taken == 0 {
            break;
        }
        next = INFLATE_STEP_BYTES;
        tokio::task::yield_now().await;
    }
    if output.capacity() / 4 * 3 > output.len() {
        output.shrink_to_fit();
    }
    Ok(output)
}

/// Compresses a rope of buffers. `level` is the codec's own scale; `None` is the codec's default.
///
/// # Errors
/// What the codec answers (levels out of its range).
pub async fn deflate(algorithm: Algorithm, level: Option<i32>, rope: &[Bytes]) -> io::Result<Vec<u8>> {
    let bytes: usize = rope.iter().map(Bytes::len).sum();
    let output = Vec::with_capacity(bytes / 6 + 64);
    let flate = || match level {
        None | Some(-1) => flate2::Compression::default(),
        Some(level) => flate2::Compression::new(u32::try_from(level).unwrap_or(1).min(9)),
    };
    match algorithm {
        Algorithm::Gzip => {
            write_all(flate2::write::GzEncoder::new(output, flate()), rope, |encoder| encoder.finish()).await
        }
        Algorithm::Zlib => {
            write_all(flate2::write::ZlibEncoder::new(output, flate()), rope, |encoder| encoder.finish()).await
        }
        Algorithm::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(output, level.unwrap_or(0))?;
            encoder.set_pledged_src_size(u64::try_from(bytes).ok())?;
            encoder.include_contentsize(true)?;
            write_all(encoder, rope, |encoder| encoder.finish()).await
        }
        Algorithm::SnappyFramed => {
            let finish = |encoder: snap::write::FrameEncoder<Vec<u8>>| {
                encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))
            };
            write_all(snap::write::FrameEncoder::new(output), rope, finish).await
        }
        Algorithm::SnappyBlock => {
            let joined;
            let input = match rope {
                [one] => one,
                _ => {
                    joined = Bytes::from(rope.concat());
                    &joined
                }
            };
            snap::raw::Encoder::new().compress_vec(input).map_err(io::Error::other)
        }
    }
}

async fn write_all<W: Write>(
    mut encoder: W,
    rope: &[Bytes],
    finish: impl FnOnce(W) -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let mut since_yield = 0;
    for part in rope {
        for step in part.chunks(DEFLATE_STEP_BYTES) {
            if since_yield >= DEFLATE_STEP_BYTES {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
            encoder.write_all(step)?;
            since_yield += step.len();
        }
    }
    finish(encoder)
}

#[cfg(test)]
mod tests;
