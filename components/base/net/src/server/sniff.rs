//! Which protocol a peer speaks, from its first bytes; and answers that a peer who speaks the wrong one can read.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What every HTTP/2 client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Time and bytes granted to a peer to read an answer before the connection is closed.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 << 10;

/// What the first bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The peer closed without a byte, as TCP health checks do.
    Nothing,
    Http1,
    H2,
    Tls,
    Garbage,
}

/// Reads as many bytes as it takes to tell; they are returned to be read again.
pub(crate) async fn sniff(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Protocol, Bytes)> {
    let mut buffer = [0; PREFACE.len()];
    let mut filled = 0;
    loop {
        let read = stream.read(buffer.get_mut(filled..).unwrap_or_default()).await?;
        filled += read;
        let seen = buffer.get(..filled).unwrap_or_default();
        let protocol =
            if read == 0 { Some(if filled == 0 { Protocol::Nothing } else { Protocol::Garbage }) } else { tell(seen) };
        if let Some(protocol) = protocol {
            return Ok((protocol, Bytes::copy_from_slice(seen)));
        }
    }
}

/// `None` when more bytes are needed.
fn tell(seen: &[u8]) -> Option<Protocol> {
    if PREFACE.starts_with(seen) {
        return (seen.len() == PREFACE.len()).then_some(Protocol::H2);
    }
    match seen {
        [0x16, 0x03, ..] => Some(Protocol::Tls),
        [0x16] => None,
        _ => {
            // An HTTP/1 method is a word in capitals; leading line breaks are allowed.
            let method = seen.trim_ascii_start();
            let letters = method.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
            match method.get(letters) {
                Some(b' ') if letters > 0 => Some(Protocol::Http1),
                None if seen.len() < PREFACE.len() => None,
                _ => Some(Protocol::Garbage),
            }
        }
    }
}

/// An answer in HTTP/1, for peers that speak it.
pub(crate) fn http1_answer(status: &str, text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
    .into_bytes()
}

/// Empty SETTINGS and a GOAWAY (`INADEQUATE_SECURITY`) with `text` as debug data, for peers that speak HTTP/2 in plaintext.
pub(crate) fn h2_answer(text: &str) -> Vec<u8> {
    let mut frames = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    let length = u32::try_from(8 + text.len()).unwrap_or(8).to_be_bytes();
    frames.extend_from_slice(length.get(1..).unwrap_or_default());
    frames.extend_from_slice(&[7, 0, 0, 0, 0, 0]);
    frames.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0xc]);
    frames.extend_from_slice(text.as_bytes());
    frames
}

/// A fatal TLS alert (`handshake_failure`), for peers that try TLS on a plaintext port.
pub(crate) const TLS_ALERT: &[u8] = &[21, 3, 1, 0, 2, 2, 40];

/// Sends a last answer and closes, giving the peer time to read it (closing with unread input would reset the connection).
pub(crate) async fn answer_and_close(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) {
    let talk = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // The peer is wrong here anyway; it may have gone.
    let _gone = tokio::time::timeout(LINGER, talk).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_protocols_apart_also_byte_by_byte() {
        let h2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0";
        for (input, expected) in [
            (h2, Protocol::H2),
            (b"POST /v1/traces HTTP/1.1\r\n", Protocol::Http1),
            (b"GET / HTTP/1.0\r\n\r\n", Protocol::Http1),
            (b"PRI / HTTP/1.1\r\n", Protocol::Http1),
            (b"M-SEARCH * HTTP/1.1\r\n", Protocol::Http1),
            (b"\x16\x03\x01\x02\0\x01", Protocol::Tls),
            (b"", Protocol::Nothing),
            (b"\0\0\0\0", Protocol::Garbage),
            (b"hello there", Protocol::Garbage),
            (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", Protocol::Garbage),
            (b"PRI * HTT", Protocol::Garbage),
            (b"\x16", Protocol::Garbage),
        ] {
            let mut whole = input;
            let (protocol, bytes) = sniff(&mut whole).await.unwrap();
            assert_eq!(protocol, expected, "{input:?}");
            assert_eq!([&bytes[..], whole].concat(), input);
            let (mut near, mut far) = tokio::io::duplex(1);
            let writer = tokio::spawn(async move {
                // The reader stops when it knows enough.
                let _closed = near.write_all(input).await;
            });
            assert_eq!(sniff(&mut far).await.unwrap().0, expected, "{input:?}");
            drop(far);
            writer.await.unwrap();
        }
    }
}
