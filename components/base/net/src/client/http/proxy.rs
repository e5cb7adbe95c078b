//! Which proxy a request goes through: the configured one, else the environment's, by the rules of Go's `net/http`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::client::http::url::Url;
use crate::endpoint::HostPort;

/// A proxy that speaks HTTP in plaintext.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) place: HostPort,
    /// `Proxy-Authorization`. A secret.
    pub(crate) credentials: Option<HeaderValue>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Reads `http://[user:password@]host:port`. Errors do not quote the text, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return Err(format!("a proxy with scheme `{scheme}` is not supported: use `http://`")),
            None => text,
        };
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let credentials = user.map(|user| {
            let decoded = crate::server::http::form_decode(&user.replace('+', "%2B"));
            let decoded = if decoded.contains(':') { decoded } else { format!("{decoded}:") };
            let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(decoded)))
                .map_err(|error| format!("the proxy's credentials cannot be sent: {error}"))?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        let url = Url::parse(&format!("http://{host}")).map_err(|error| format!("proxy: {error}"))?;
        Ok(Self { place: url.place().clone(), credentials: credentials.transpose()? })
    }
}

/// The proxies in force.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Hosts that are reached directly.
    direct: Vec<String>,
    is_from_environment: bool,
}

impl Proxies {
    /// `proxy_url`, or what the environment says when it is empty.
    pub(crate) fn new(proxy_url: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        if !proxy_url.is_empty() {
            let proxy = Proxy::parse(proxy_url)?;
            return Ok(Self {
                http: Some(proxy.clone()),
                https: Some(proxy),
                direct: Vec::new(),
                is_from_environment: false,
            });
        }
        let either =
            |upper: &str| env(upper).or_else(|| env(&upper.to_ascii_lowercase())).filter(|text| !text.is_empty());
        let parse = |name: &str| {
            either(name).map(|text| Proxy::parse(&text).map_err(|error| format!("`{name}`: {error}"))).transpose()
        };
        let direct = either("NO_PROXY").unwrap_or_default();
        Ok(Self {
            http: parse("HTTP_PROXY")?,
            https: parse("HTTPS_PROXY")?,
            direct: direct
                .split(',')
                .map(|host| host.trim().to_ascii_lowercase())
                .filter(|host| !host.is_empty())
                .collect(),
            is_from_environment: true,
        })
    }

    /// The proxy for a URL.
    pub(crate) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.is_https() { self.https.as_ref() } else { self.http.as_ref() }?;
        let place = url.place();
        let host = place.host.to_ascii_lowercase();
        let is_direct = |pattern: &String| {
            let (name, port) = match pattern.rsplit_once(':') {
                Some((name, port)) if port.parse::<u16>().is_ok() && !name.contains(':') => (name, port.parse().ok()),
                _ => (pattern.as_str(), None),
            };
            let suffix = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).unwrap_or(name);
            let covers = host.strip_suffix(suffix).is_some_and(|front| front.is_empty() || front.ends_with('.'));
            let covers_itself = name == suffix || host != suffix;
            (name == "*" || (covers && covers_itself)) && port.is_none_or(|port: u16| port == place.port)
        };
        // As in Go, the environment's proxies are never asked for this machine.
        let is_local = host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        let bypass = self.direct.iter().any(is_direct) || (is_local && self.is_from_environment);
        (!bypass).then_some(proxy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses_by_scheme_and_host() {
        let env = |name: &str| match name {
            "HTTP_PROXY" => Some("http://proxy:3128".to_owned()),
            "https_proxy" => Some("secure:1".to_owned()),
            "NO_PROXY" => Some("direct.io, .sub.io,10.0.0.1:4318".to_owned()),
            _ => None,
        };
        let proxies = Proxies::new("", env).unwrap();
        for (url, expected) in [
            ("http://a.b", Some("proxy:3128")),
            ("https://a.b", Some("secure:1")),
            ("http://direct.io", None),
            ("http://x.direct.io", None),
            ("http://notdirect.io", Some("proxy:3128")),
            ("http://x.sub.io", None),
            ("http://sub.io", Some("proxy:3128")),
            ("http://10.0.0.1:4318", None),
            ("http://10.0.0.1:4319", Some("proxy:3128")),
            ("http://localhost:1", None),
            ("http://127.0.0.1:1", None),
        ] {
            let proxy = proxies.of(&Url::parse(url).unwrap());
            assert_eq!(proxy.map(|proxy| proxy.place.to_string()).as_deref(), expected, "{url}");
        }
        assert!(Proxies::new("", |_| None).unwrap().of(&Url::parse("http://a.b").unwrap()).is_none());
    }

    #[test]
    fn a_configured_proxy_is_always_used_and_hides_its_password() {
        let proxies = Proxies::new("http://user:p%40ss@proxy:3128", |_| Some("http://other:1".to_owned())).unwrap();
        let proxy = proxies.of(&Url::parse("https://localhost").unwrap()).unwrap();
        assert_eq!(proxy.place.to_string(), "proxy:3128");
        assert_eq!(proxy.credentials.as_ref().unwrap(), "Basic dXNlcjpwQHNz");
        assert!(!format!("{proxies:?}").contains("dXNl"));
        assert!(Proxy::parse("socks5://a:1").unwrap_err().contains("scheme `socks5`"));
    }
}
