//! Cross-origin requests of browsers (Fetch standard, section CORS protocol), with the defaults of the library that the
//! Collector uses.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Response, StatusCode};

use crate::server::config::CorsConfig;
use crate::server::http::{HttpResponse, RequestHead};

/// Methods that scripts may use.
const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::HEAD];
/// Headers that scripts may set where `allowed_headers` is empty.
const HEADERS: [&str; 3] = ["accept", "content-type", "x-requested-with"];

/// Which origins may do what.
#[derive(Debug)]
pub(super) struct Cors {
    /// In lower case; `*` stands for any characters.
    origins: Vec<String>,
    any_origin: bool,
    headers: Vec<String>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

impl Cors {
    /// `None` when no origin is allowed.
    pub(super) fn new(config: &CorsConfig) -> Option<Self> {
        if config.allowed_origins.is_empty() {
            return None;
        }
        let lower = |list: &[String]| list.iter().map(|item| item.to_ascii_lowercase()).collect::<Vec<_>>();
        let mut headers = lower(&config.allowed_headers);
        if headers.is_empty() {
            headers = HEADERS.map(str::to_owned).to_vec();
        }
        let exposed = HeaderValue::try_from(config.exposed_headers.join(", ")).ok();
        Some(Self {
            origins: lower(&config.allowed_origins),
            any_origin: config.allowed_origins.iter().any(|origin| origin == "*"),
            headers,
            exposed: exposed.filter(|value| !value.is_empty()),
            max_age: (config.max_age > 0).then(|| HeaderValue::from(config.max_age)),
        })
    }

    fn allows(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.any_origin || self.origins.iter().any(|pattern| matches(pattern, &origin))
    }

    /// The origin to answer with, if the request's is allowed.
    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        let allows = self.allows(origin.to_str().ok()?);
        allows.then(|| if self.any_origin { HeaderValue::from_static("*") } else { origin.clone() })
    }

    /// The answer to a preflight; `None` if the request is none.
    pub(super) fn preflight(&self, head: &RequestHead) -> Option<HttpResponse> {
        let method = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        let method = method.filter(|_| head.method == Method::OPTIONS)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for name in ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"] {
            headers.append(VARY, HeaderValue::from_static(name));
        }
        let Some(origin) = self.allowed(head.headers.get(ORIGIN)) else { return Some(response) };
        let wanted = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        let names = wanted.map_or(Some(""), |value| value.to_str().ok());
        let allowed = |name: &str| self.headers.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(name));
        let fine =
            names.is_some_and(|names| names.split(',').map(str::trim).all(|name| name.is_empty() || allowed(name)));
        if !fine || !METHODS.iter().any(|known| known.as_str().as_bytes() == method.as_bytes()) {
            return Some(response);
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if let Some(max_age) = &self.max_age {
            headers.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
        }
        Some(response)
    }

    /// Adds to the answer of any other request.
    pub(super) fn actual(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = self.allowed(origin) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Some(exposed) = &self.exposed {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// Whether `text` is `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("https://a.b", "https://a.b", true),
            ("https://a.b", "https://a.bc", false),
            ("https://*.b", "https://x.y.b", true),
            ("https://*.b", "https://b", false),
            ("*://a*c*", "http://abcd", true),
            ("*://a*c*e", "http://abcd", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
