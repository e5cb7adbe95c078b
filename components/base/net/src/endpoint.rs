//! `host:port`, as Go reads it: `localhost:4317`, `:4317`, `[::1]:4317`, `0.0.0.0:4317`.

use std::fmt;

/// A host (without brackets; empty for every address) and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// DNS name or address; empty for every address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a text is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EndpointError(String);

impl HostPort {
    /// Reads `host:port`; the port must be there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let fail = |why: &str| Err(EndpointError(format!("endpoint `{text}` {why}")));
        if text.is_empty() {
            return Err(EndpointError("`endpoint` must not be empty".to_owned()));
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let Some((host, rest)) = rest.split_once(']') else { return fail("lacks a `]`") };
            let Some(port) = rest.strip_prefix(':') else { return fail("lacks a port: add one, as in `[::1]:4317`") };
            (host, port)
        } else {
            match text.rsplit_once(':') {
                None => return fail("lacks a port: add one, as in `localhost:4317`"),
                Some((host, _)) if host.contains(':') => {
                    return fail("has too many colons: write IPv6 addresses in brackets, as in `[::1]:4317`");
                }
                Some((host, port)) => (host, port),
            }
        };
        if host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#' | '[' | ']')) {
            return fail("is not of the form `host:port`");
        }
        match port.parse() {
            Ok(port) if !port_has_sign(text) => Ok(Self { host: host.to_owned(), port }),
            _ => fail(&format!("has an invalid port `{port}`: it must be a number from 0 to 65535")),
        }
    }
}

fn port_has_sign(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.starts_with('+'))
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostPort;

    #[test]
    fn reads_what_go_reads() {
        for (text, host, port) in [
            ("localhost:4317", "localhost", 4317),
            (":4317", "", 4317),
            ("0.0.0.0:0", "0.0.0.0", 0),
            ("[::1]:65535", "::1", 65535),
            ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ] {
            let parsed = HostPort::parse(text).unwrap();
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port));
            assert_eq!(parsed.to_string(), text);
        }
        for (text, part) in [
            ("", "must not be empty"),
            ("localhost", "lacks a port"),
            ("::1:4317", "too many colons"),
            ("[::1]", "lacks a port"),
            ("[::1:4317", "lacks a `]`"),
            ("localhost:", "invalid port"),
            ("localhost:otlp", "invalid port"),
            ("localhost:65536", "invalid port"),
            ("localhost:+1", "invalid port"),
            ("a b:1", "not of the form"),
            ("http://x:1", "too many colons"),
        ] {
            let error = HostPort::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
