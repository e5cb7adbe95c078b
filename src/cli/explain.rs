//! `weir explain`: what an error code means, and why a trace was kept or dropped.

use std::time::Duration;

use anyhow::Context as _;

use super::{Failure, healthcheck};

/// How long a running weir is waited for.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Where tail samplers answer, below the address of own metrics.
const DECISIONS: &str = "tail_sampling/decisions";

/// Prints what an error code means.
pub(super) fn code(code: &str) -> Result<(), Failure> {
    if let Some(text) = config::explain(code) {
        return super::print(text);
    }
    let near = config::nearest(&code.to_ascii_uppercase(), config::codes::ALL.iter().copied());
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Err(Failure::Usage(format!("no such code `{code}`{hint}")))
}

/// Asks a running weir what its tail samplers decided about a trace, or until when it waits, and prints the answer, JSON.
/// Fails if none knows.
pub(super) fn trace(id: &str, address: &str) -> Result<(), Failure> {
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::Usage(format!("`{id}` is no trace ID: 32 hexadecimal digits are expected")));
    }
    let url = format!("{}/{DECISIONS}?trace_id={}", address.trim_end_matches('/'), id.to_ascii_lowercase());
    let (status, body) = healthcheck::get(&url, TIMEOUT).with_context(|| format!("cannot ask `{url}`"))?;
    match status {
        200 if body.contains("\"decision\":") => super::print(&body),
        200 => Err(anyhow::anyhow!("trace `{id}` does not wait, and no decision about it is remembered").into()),
        404 => Err(anyhow::anyhow!("nothing at `{address}` samples whole traces").into()),
        status => Err(anyhow::anyhow!("`{url}` answers {status}: {}", body.trim()).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn answering(with: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let bytes = stream.read(&mut request).unwrap();
            stream.write_all(with.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..bytes]).into_owned()
        });
        (address, server)
    }

    #[test]
    fn the_answer_decides() {
        let id = "0123456789ABCDEF0123456789abcdef";
        for (with, is_ok) in [
            ("HTTP/1.1 200 OK\r\n\r\n{\"tail_sampling\":[{\"decision\":\"sampled\"}]}", true),
            ("HTTP/1.1 200 OK\r\n\r\n{\"tail_sampling\":[]}", false),
            ("HTTP/1.1 404 Not Found\r\n\r\n", false),
        ] {
            let (address, server) = answering(with);
            assert_eq!(trace(id, &address).is_ok(), is_ok, "{with}");
            let request = server.join().unwrap();
            let expected = "GET /tail_sampling/decisions?trace_id=0123456789abcdef0123456789abcdef ";
            assert!(request.starts_with(expected), "{request}");
        }
        for id in ["", "1", "0123456789abcdef0123456789abcdeg"] {
            assert!(matches!(trace(id, "http://localhost:1"), Err(Failure::Usage(_))), "{id}");
        }
    }

    #[test]
    fn codes_are_explained() {
        assert!(code("E0102").is_ok());
        assert!(matches!(code("E9999"), Err(Failure::Usage(_))));
    }
}
