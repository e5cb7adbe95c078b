//! `http(s)://host[:port][/path][?query]`.

use crate::endpoint::HostPort;

/// A URL to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    is_https: bool,
    /// Without user information; the port only if it is not the scheme's.
    authority: String,
    place: HostPort,
    path_and_query: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fail = |why: &str| Err(format!("URL `{text}` {why}"));
        let (is_https, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, _)) => return fail(&format!("has the unknown scheme `{scheme}`: known are http and https")),
            None => return fail("lacks a scheme: write `http://…` or `https://…`"),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("URL with user information: give credentials by `auth` or `headers`".to_owned());
        }
        let has_port =
            authority.rsplit_once(':').is_some_and(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
        let with_port =
            if has_port { authority.to_owned() } else { format!("{authority}:{}", if is_https { 443 } else { 80 }) };
        let place = HostPort::parse(&with_port).map_err(|error| format!("URL `{text}` is not usable: {error}"))?;
        if place.host.is_empty() {
            return fail("lacks a host");
        }
        let path_and_query = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if http::uri::PathAndQuery::try_from(path_and_query.as_str()).is_err() {
            return fail("has characters in its path that must be encoded");
        }
        Ok(Self { is_https, authority: authority.to_owned(), place, path_and_query })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn place(&self) -> &HostPort {
        &self.place
    }

    pub(crate) fn path_and_query(&self) -> &str {
        &self.path_and_query
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn reads_urls_and_names_what_is_wrong() {
        for (text, authority, place, path) in [
            ("http://a.b", "a.b", "a.b:80", "/"),
            ("HTTPS://a.b/v1?x=y#z", "a.b", "a.b:443", "/v1?x=y"),
            ("http://a.b:4318/v1/traces", "a.b:4318", "a.b:4318", "/v1/traces"),
            ("http://a.b?x", "a.b", "a.b:80", "/?x"),
            ("https://[::1]/", "[::1]", "[::1]:443", "/"),
            ("https://[::1]:1", "[::1]:1", "[::1]:1", "/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.authority(), url.place().to_string().as_str(), url.path_and_query()),
                (authority, place, path)
            );
        }
        for (text, part) in [
            ("a.b:4318", "lacks a scheme"),
            ("ftp://a", "unknown scheme `ftp`"),
            ("http://", "lacks a host"),
            ("http://:80", "lacks a host"),
            ("http://a:x", "invalid port"),
            ("http://u:p@a", "user information"),
            ("http://a/ b", "must be encoded"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
