//! Where endpoints come from: a fixed list, or all addresses of a name.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use component::BoxFuture;
use tokio::time::timeout;

use crate::config::{DnsConfig, ResolverConfig};

/// The port of endpoints that name none.
const PORT: &str = "4317";

/// Names the endpoints there are.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// What it is called in metrics.
    fn name(&self) -> &'static str;

    /// How often it is to be asked again; `None` if its answer does not change.
    fn interval(&self) -> Option<Duration>;

    /// The names of all endpoints now, sorted.
    ///
    /// # Errors
    /// Why they cannot be told.
    fn resolve(&self) -> BoxFuture<'_, Result<Vec<String>, String>>;
}

/// The resolver that is configured; `None` without any.
#[must_use]
pub fn of_config(config: &ResolverConfig) -> Option<Box<dyn Resolver>> {
    if let Some(list) = config.r#static.get() {
        let mut names = list.hostnames.clone();
        names.sort();
        return Some(Box::new(Static(names)));
    }
    config.dns.get().map(|dns| -> Box<dyn Resolver> { Box::new(Dns(dns.clone())) })
}

/// The endpoint of that name: with the default port, where it has none.
#[must_use]
pub fn with_port(name: &str) -> String {
    let has_port = match name.rsplit_once(']') {
        Some((_, rest)) => rest.starts_with(':'),
        None => name.contains(':'),
    };
    if has_port { name.to_owned() } else { format!("{name}:{PORT}") }
}

#[derive(Debug)]
struct Static(Vec<String>);

impl Resolver for Static {
    fn name(&self) -> &'static str {
        "static"
    }

    fn interval(&self) -> Option<Duration> {
        None
    }

    fn resolve(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[derive(Debug)]
struct Dns(DnsConfig);

impl Resolver for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn interval(&self) -> Option<Duration> {
        Some(if self.0.interval.is_zero() { Duration::from_secs(5) } else { self.0.interval })
    }

    fn resolve(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        Box::pin(async move {
            let DnsConfig { hostname, port, timeout: limit, .. } = &self.0;
            let limit = if limit.is_zero() { Duration::from_secs(1) } else { *limit };
            match timeout(limit, tokio::net::lookup_host((hostname.as_str(), 0))).await {
                Ok(Ok(found)) => Ok(names(found.map(|address| address.ip()), port)),
                Ok(Err(error)) => Err(format!("cannot resolve `{hostname}`: {error}")),
                Err(_elapsed) => Err(format!("cannot resolve `{hostname}`: no answer after {limit:?}")),
            }
        })
    }
}

/// Each address once, as an endpoint.
fn names(addresses: impl Iterator<Item = IpAddr>, port: &str) -> Vec<String> {
    let mut names: Vec<String> = addresses
        .map(|address| {
            let host = match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => match address.to_ipv4_mapped() {
                    Some(address) => address.to_string(),
                    None => format!("[{address}]"),
                },
            };
            if port.is_empty() { host } else { format!("{host}:{port}") }
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_endpoints() {
        let addresses =
            || ["10.0.0.2", "::1", "10.0.0.1", "10.0.0.2", "::ffff:10.0.0.9"].map(|text| text.parse().unwrap());
        assert_eq!(
            names(addresses().into_iter(), "4317"),
            ["10.0.0.1:4317", "10.0.0.2:4317", "10.0.0.9:4317", "[::1]:4317"]
        );
        assert_eq!(names(addresses().into_iter(), ""), ["10.0.0.1", "10.0.0.2", "10.0.0.9", "[::1]"]);
    }

    #[test]
    fn endpoints_without_a_port_get_the_default() {
        for (name, expected) in [
            ("a", "a:4317"),
            ("a:1", "a:1"),
            ("[::1]", "[::1]:4317"),
            ("[::1]:9", "[::1]:9"),
            ("http://a:1", "http://a:1"),
        ] {
            assert_eq!(with_port(name), expected);
        }
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_an_error_and_a_real_one_resolves() {
        let dns = |hostname: &str| Dns(DnsConfig { hostname: hostname.to_owned(), ..DnsConfig::default() });
        let error = dns("weir.invalid").resolve().await.unwrap_err();
        assert!(error.starts_with("cannot resolve `weir.invalid`: "), "{error}");
        assert!(dns("127.0.0.1").resolve().await.unwrap().contains(&"127.0.0.1:4317".to_owned()));
    }
}
