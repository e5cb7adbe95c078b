//! Where a gRPC endpoint points.

use crate::endpoint::HostPort;

/// A server to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// `https://` forces TLS.
    pub(crate) forces_tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(HostPort),
    Unix(String),
}

impl Target {
    /// Reads `host:port`, `http(s)://…`, `dns:…`, `passthrough:…`, `unix:…`.
    pub(crate) fn parse(endpoint: &str) -> Result<Self, String> {
        let tcp = |text: &str, forces_tls| {
            let place = HostPort::parse(text).map_err(|error| error.to_string())?;
            if place.host.is_empty() {
                return Err(format!("endpoint `{endpoint}` lacks a host"));
            }
            Ok(Self { place: Place::Tcp(place), forces_tls })
        };
        // A path after the authority is ignored, as the Collector does.
        let authority = |text: &str| text.split('/').next().unwrap_or_default().to_owned();
        if let Some(rest) = endpoint.strip_prefix("https://") {
            return tcp(&authority(rest), true);
        }
        if let Some(rest) = endpoint.strip_prefix("http://") {
            return tcp(&authority(rest), false);
        }
        if let Some(rest) = endpoint.strip_prefix("unix:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() {
                return Err(format!("endpoint `{endpoint}` lacks the path of a socket"));
            }
            return Ok(Self { place: Place::Unix(path.to_owned()), forces_tls: false });
        }
        for scheme in ["dns:", "passthrough:"] {
            if let Some(rest) = endpoint.strip_prefix(scheme) {
                let host = match rest.strip_prefix("//").map(|rest| rest.split_once('/')) {
                    None => rest,
                    Some(Some(("", host))) => host,
                    Some(_) => {
                        return Err(format!(
                            "endpoint `{endpoint}` names a DNS server, which is not supported: write `{scheme}///host:port`"
                        ));
                    }
                };
                return tcp(host, false);
            }
        }
        match endpoint.split_once("://") {
            Some((scheme, _)) => Err(format!(
                "endpoint `{endpoint}` has the unknown scheme `{scheme}`: known are http, https, dns, unix, passthrough"
            )),
            None => tcp(endpoint, false),
        }
    }

    /// The host for TLS.
    pub(crate) fn host(&self) -> &str {
        match &self.place {
            Place::Tcp(place) => &place.host,
            Place::Unix(_) => "localhost",
        }
    }

    /// What goes in `:authority`.
    pub(crate) fn authority(&self) -> String {
        match &self.place {
            Place::Tcp(place) => place.to_string(),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_names_what_is_missing() {
        for (text, authority, forces_tls) in [
            ("localhost:4317", "localhost:4317", false),
            ("http://a.b:1", "a.b:1", false),
            ("https://a.b:1/path", "a.b:1", true),
            ("https://[::1]:443", "[::1]:443", true),
            ("dns:///a.b:1", "a.b:1", false),
            ("dns:a.b:1", "a.b:1", false),
            ("passthrough:///a.b:1", "a.b:1", false),
            ("unix:///run/x.sock", "localhost", false),
            ("unix:x.sock", "localhost", false),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.authority().as_str(), target.forces_tls), (authority, forces_tls), "{text}");
        }
        assert_eq!(Target::parse("unix:///run/x").unwrap().place, Place::Unix("/run/x".into()));
        for (text, part) in [
            ("localhost", "lacks a port"),
            ("https://localhost", "lacks a port"),
            (":4317", "lacks a host"),
            ("dns://8.8.8.8/a:1", "names a DNS server"),
            ("xds:///a:1", "unknown scheme `xds`"),
            ("unix://", "lacks the path"),
        ] {
            let error = Target::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
