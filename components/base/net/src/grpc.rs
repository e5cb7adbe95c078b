//! gRPC's words in HTTP/2 headers, for both sides: encodings, timeouts, statuses.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use component::Code;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::compression::Algorithm;
use crate::server::GrpcStatus;

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(crate) const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
pub(crate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(crate) const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub(crate) const CONTENT_TYPE_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
pub(crate) const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("identity,gzip,zstd,snappy");

/// Binary headers are base64, without padding when sent, with or without when received.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest status message sent, in bytes after encoding; the rest is cut, since clients bound headers.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// The compression a request announces.
pub(crate) fn request_encoding(headers: &HeaderMap) -> Result<Option<Algorithm>, GrpcStatus> {
    let Some(value) = headers.get(&GRPC_ENCODING) else { return Ok(None) };
    match value.as_bytes() {
        b"" | b"identity" => Ok(None),
        b"gzip" => Ok(Some(Algorithm::Gzip)),
        b"zstd" => Ok(Some(Algorithm::Zstd)),
        b"snappy" => Ok(Some(Algorithm::SnappyFramed)),
        other => {
            let shown = String::from_utf8_lossy(other);
            let message = format!("grpc: Decompressor is not installed for grpc-encoding \"{shown}\"");
            Err(GrpcStatus::new(Code::Unimplemented, message))
        }
    }
}

/// `grpc-timeout`: up to eight digits and a unit.
pub(crate) fn parse_timeout(headers: &HeaderMap) -> Result<Option<Duration>, GrpcStatus> {
    let Some(value) = headers.get(&GRPC_TIMEOUT) else { return Ok(None) };
    let parsed = value.as_bytes().split_last().and_then(|(unit, digits)| {
        if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(match unit {
            b'H' => Duration::from_secs(number.saturating_mul(3600)),
            b'M' => Duration::from_secs(number.saturating_mul(60)),
            b'S' => Duration::from_secs(number),
            b'm' => Duration::from_millis(number),
            b'u' => Duration::from_micros(number),
            b'n' => Duration::from_nanos(number),
            _ => return None,
        })
    });
    parsed.map(Some).ok_or_else(|| {
        let shown = String::from_utf8_lossy(value.as_bytes()).into_owned();
        GrpcStatus::new(Code::Internal, format!("malformed grpc-timeout: `{shown}`"))
    })
}

/// The value of `grpc-timeout` for a duration, rounded up.
pub(crate) fn format_timeout(timeout: Duration) -> HeaderValue {
    const MAX: u128 = 99_999_999;
    let nanos = timeout.as_nanos();
    let units = [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000), ("M", 60_000_000_000)];
    let fitting = units.into_iter().find(|(_, unit)| nanos.div_ceil(*unit) <= MAX);
    let (unit, number) = fitting.map_or(("M", MAX), |(name, unit)| (name, nanos.div_ceil(unit)));
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or_else(|_| HeaderValue::from_static("99999999M"))
}

/// Writes a status as headers or trailers.
pub(crate) fn status_headers(headers: &mut HeaderMap, status: &GrpcStatus) {
    headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(status.code.number())));
    if !status.message.is_empty() {
        headers.insert(GRPC_MESSAGE, percent_encode(&status.message));
    }
    if !status.details.is_empty()
        && let Ok(value) = HeaderValue::try_from(BASE64.encode(&status.details))
    {
        headers.insert(GRPC_DETAILS, value);
    }
}

/// Reads a status from headers or trailers; `None` if there is none.
pub(crate) fn read_status(headers: &HeaderMap) -> Option<GrpcStatus> {
    let number = headers.get(&GRPC_STATUS)?.to_str().ok().and_then(|text| text.trim().parse().ok());
    let message = headers.get(&GRPC_MESSAGE).map(|value| percent_decode(value.as_bytes())).unwrap_or_default();
    let details = headers.get(&GRPC_DETAILS).and_then(|value| BASE64.decode(value.as_bytes()).ok()).unwrap_or_default();
    Some(GrpcStatus { code: number.map_or(Code::Unknown, Code::from_number), message, details: Bytes::from(details) })
}

/// Everything but printable ASCII, and `%`, is encoded.
fn percent_encode(message: &str) -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(message.len());
    for byte in message.bytes() {
        if encoded.len() >= MESSAGE_BYTES_MAX {
            break;
        }
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(byte);
        } else {
            encoded.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Decodes what can be decoded and leaves the rest, as the specification asks.
fn percent_decode(encoded: &[u8]) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if let (b'%', [high, low, behind @ ..]) = (byte, after)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            decoded.push(high << 4 | low);
            rest = behind;
        } else {
            decoded.push(*byte);
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_and_written() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("100m", Duration::from_millis(100)),
            ("7u", Duration::from_micros(7)),
            ("7n", Duration::from_nanos(7)),
        ] {
            let headers = HeaderMap::from_iter([(GRPC_TIMEOUT, HeaderValue::from_static(text))]);
            assert_eq!(parse_timeout(&headers).unwrap(), Some(expected));
            let back = HeaderMap::from_iter([(GRPC_TIMEOUT, format_timeout(expected))]);
            let read = parse_timeout(&back).unwrap().unwrap();
            assert!(read >= expected && read <= expected + expected / 1000, "{text} {read:?}");
        }
        for bad in ["", "1", "S", "123456789S", "1x", "-1S", "1.5S"] {
            let headers = HeaderMap::from_iter([(GRPC_TIMEOUT, HeaderValue::from_static(bad))]);
            assert_eq!(parse_timeout(&headers).unwrap_err().code, Code::Internal, "{bad}");
        }
    }

    #[test]
    fn a_status_survives_headers() {
        let status = GrpcStatus {
            code: Code::ResourceExhausted,
            message: "100 % \u{fc}ber\nthe limit".to_owned(),
            details: Bytes::from_static(&[8, 8, 0xff, 0]),
        };
        let mut headers = HeaderMap::new();
        status_headers(&mut headers, &status);
        assert_eq!(headers[GRPC_MESSAGE], "100 %25 %C3%BCber%0Athe limit");
        assert!(!headers[GRPC_DETAILS].to_str().unwrap().contains('='));
        assert_eq!(read_status(&headers), Some(status));
        assert_eq!(read_status(&HeaderMap::new()), None);
        assert_eq!(percent_decode(b"50% off %zz %41"), "50% off %zz A");
    }
}
