//! Receiving the body of an HTTP request.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use pdata::{Charge, Overloaded};

use crate::compression::{Algorithm, InflateError, inflate};
use crate::server::body::BodyReader;
use crate::server::http::{Refusal, RequestHead};

/// First allocation for a body of unknown length, in bytes.
const FIRST_BYTES: usize = 16 << 10;

/// What of an unwanted body is read so that the client gets to read the answer.
const DISCARD_BYTES_MAX: usize = 1 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// The content encodings a server decompresses.
#[derive(Debug)]
pub(super) struct Encodings(Vec<(String, Algorithm)>);

impl Encodings {
    pub(super) fn new(names: &[String]) -> Self {
        let known = |name: &String| algorithm(name).map(|algorithm| (name.clone(), algorithm));
        Self(names.iter().filter_map(known).collect())
    }

    /// The algorithm of a request; `None` for plain bodies. With no encoding switched on, bodies are left as they are.
    fn of(&self, head: &RequestHead) -> Result<Option<Algorithm>, Refusal> {
        let Some(value) = head.headers.get(CONTENT_ENCODING) else { return Ok(None) };
        if self.0.is_empty() || value.is_empty() || value.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Ok(None);
        }
        let found = self.0.iter().find(|(name, _)| value.as_bytes().eq_ignore_ascii_case(name.as_bytes()));
        match found {
            Some((_, algorithm)) => Ok(Some(*algorithm)),
            None => Err(Refusal::UnsupportedEncoding(String::from_utf8_lossy(value.as_bytes()).into_owned())),
        }
    }
}

fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "gzip" => Algorithm::Gzip,
        "zstd" => Algorithm::Zstd,
        // HTTP's deflate is zlib (RFC 9110, section 8.4.1.2).
        "zlib" | "deflate" => Algorithm::Zlib,
        "snappy" => Algorithm::SnappyBlock,
        "x-snappy-framed" => Algorithm::SnappyFramed,
        _ => return None,
    })
}

/// Reads, admits and decompresses a body of up to `bytes_max`. `open` is called only when the body is wanted.
pub(super) async fn receive(
    encodings: &Encodings,
    head: &RequestHead,
    open: impl FnOnce() -> Option<BodyReader>,
    bytes_max: usize,
    admit: impl FnOnce(usize) -> Result<Charge, Overloaded>,
) -> Result<(Vec<u8>, Charge), Refusal> {
    let algorithm = encodings.of(head)?;
    let announced = head.content_length.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(Refusal::TooLarge { limit: bytes_max });
    }
    let mut charge = admit(announced.unwrap_or(0)).map_err(Refusal::Overloaded)?;
    let mut body = Vec::with_capacity(announced.unwrap_or(0));
    if let Some(mut reader) = open() {
        while let Some(part) = next(&mut reader).await? {
            let bytes = body.len() + part.len();
            if bytes > bytes_max {
                return Err(Refusal::TooLarge { limit: bytes_max });
            }
            if bytes > body.capacity() {
                let grown = bytes.max(body.capacity().saturating_mul(2)).max(FIRST_BYTES).min(bytes_max);
                charge.grow(grown - body.capacity()).map_err(Refusal::Overloaded)?;
                body.reserve_exact(grown - body.len());
            }
            body.extend_from_slice(&part);
        }
    }
    let Some(algorithm) = algorithm else {
        if body.capacity() / 4 * 3 > body.len() {
            body.shrink_to_fit();
        }
        charge.resize(body.capacity());
        return Ok((body, charge));
    };
    match inflate(algorithm, body, bytes_max, &mut charge).await {
        Ok(body) => Ok((body, charge)),
        Err(InflateError::TooLarge { limit }) => Err(Refusal::TooLarge { limit }),
        Err(InflateError::Overloaded(overloaded)) => Err(Refusal::Overloaded(overloaded)),
        Err(InflateError::Malformed(why)) => Err(Refusal::Decompress(format!("cannot decompress the body: {why}"))),
    }
}

async fn next(reader: &mut BodyReader) -> Result<Option<Bytes>, Refusal> {
    reader.next().await.map_err(|error| Refusal::BodyRead(error.to_string()))
}

/// Reads a little of a body that nobody wants, beside the answer. An HTTP/1 connection whose input is not read is reset,
/// and the client might not see why.
pub(super) fn discard(mut body: Incoming) {
    tokio::spawn(tokio::time::timeout(DISCARD_TIMEOUT, async move {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARD_BYTES_MAX {
                break;
            }
        }
    }));
}

/// Decodes `+` and `%41`; what is not text becomes U+FFFD.
pub(crate) fn form_decode(text: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, behind @ ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                decoded.push(digit(*high).unwrap_or(0) << 4 | digit(*low).unwrap_or(0));
                rest = behind;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
