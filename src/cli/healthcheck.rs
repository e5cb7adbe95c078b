//! `weir healthcheck`: an HTTP GET, for images without a shell.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::Context as _;

use super::Failure;

/// The most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Asks `url`; succeeds on a 2xx status.
pub(super) fn healthcheck(url: &str, timeout: Duration) -> Result<(), Failure> {
    let (status, body) = get(url, timeout).with_context(|| format!("cannot ask `{url}`"))?;
    let body = body.trim();
    if (200..300).contains(&status) {
        super::print(&format!("{status} {body}\n"))?;
        return Ok(());
    }
    super::diagnose(&format!("{status} {body}"));
    Err(Failure::Silent)
}

/// Status and body of the answer to a GET.
pub(super) fn get(url: &str, timeout: Duration) -> anyhow::Result<(u16, String)> {
    let rest = url.strip_prefix("http://").context("the URL must begin with http://")?;
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    let target = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let mut last = anyhow::anyhow!("`{target}` has no address");
    for address in target.to_socket_addrs().with_context(|| format!("resolve `{target}`"))? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return ask(stream, authority, path, timeout),
            Err(error) => last = anyhow::Error::from(error).context(format!("connect to {address}")),
        }
    }
    Err(last)
}

fn ask(mut stream: TcpStream, authority: &str, path: &str, timeout: Duration) -> anyhow::Result<(u16, String)> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context("send the request")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).context("read the answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|status| status.parse().ok())
        .context("the answer is not HTTP")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answer(with: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _bytes = stream.read(&mut request).unwrap();
            stream.write_all(with.as_bytes()).unwrap();
        });
        format!("http://{address}/health")
    }

    #[test]
    fn status_decides() {
        let limit = Duration::from_secs(5);
        assert!(healthcheck(&answer("HTTP/1.1 200 OK\r\n\r\n{}"), limit).is_ok());
        assert!(healthcheck(&answer("HTTP/1.1 503 Service Unavailable\r\n\r\n{}"), limit).is_err());
        assert!(healthcheck(&answer("SSH-2.0-x\r\n"), limit).is_err());
        assert!(healthcheck("localhost:1", limit).is_err());
    }
}
