//! `URL`: the parts of a URI under the names of the semantic conventions, as Go's `net/url` sees them.
//!
//! What begins with `?` is a query, whose parameters become lists under `query`.

use super::make::{Entries, Outcome, digest_or_fail, function, value};
use crate::error::RunError;
use crate::function::Function;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] =
    &[function("URL", &[value("uri")], |arguments| digest_or_fail(arguments, "uri", parse))];

fn parse(text: &str) -> Outcome<'static> {
    let outcome = match text.strip_prefix('?') {
        _ if text.is_empty() => Err("it is empty".to_owned()),
        Some(query) => parameters(query),
        None => parts(text),
    };
    outcome.map_err(|why| RunError::new(format!("`{text}` is not a URL: {why}")))
}

fn parameters(query: &str) -> Result<Value<'static>, String> {
    let mut parameters = Entries::default();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        if parameter.contains(';') {
            return Err("a query is separated by `&`, not by `;`".to_owned());
        }
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (unescaped(&name.replace('+', " "))?, unescaped(&value.replace('+', " "))?);
        match parameters.slot(name.into()) {
            Value::List(values) => values.push(Value::text(value)),
            other => *other = Value::List(vec![Value::text(value)]),
        }
    }
    let mut entries = Entries::default();
    let parameters = parameters.finish();
    if !matches!(&parameters, Value::Map(map) if map.is_empty()) {
        entries.put("query", parameters);
    }
    Ok(entries.finish())
}

fn parts(text: &str) -> Result<Value<'static>, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("it contains control characters".to_owned());
    }
    let mut entries = Entries::default();
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let mut original = String::new();
    if !scheme.is_empty() {
        original.push_str(&scheme);
        original.push(':');
    }
    // `mailto:a@b` has neither host nor path.
    let is_opaque = !scheme.is_empty() && !rest.starts_with('/');
    let mut authority = Authority::default();
    let mut path = String::new();
    if is_opaque {
        original.push_str(rest);
    } else {
        let mut escaped_path = rest;
        if let Some(after) = rest.strip_prefix("//")
            && !(scheme.is_empty() && after.starts_with('/'))
        {
            let (before, slash) = after.split_at(after.find('/').unwrap_or(after.len()));
            authority = parse_authority(before)?;
            escaped_path = slash;
            original.push_str("//");
            original.push_str(&authority.text);
        } else if scheme.is_empty() && rest.split('/').next().is_some_and(|first| first.contains(':')) {
            return Err("its first segment contains a colon".to_owned());
        }
        path = unescaped(escaped_path)?;
        push_escaped(escaped_path, &mut original);
    }
    if let Some(query) = query {
        original.push('?');
        original.push_str(query);
    }
    if !fragment.is_empty() {
        original.push('#');
        push_escaped(fragment, &mut original);
    }
    entries.put_text("url.original", original);
    entries.put_text("url.domain", authority.host);
    entries.put_text("url.scheme", scheme);
    entries.put_text("url.path", path.as_str());
    if let Some(port) = authority.port {
        entries.put("url.port", Value::Int(port));
    }
    if !fragment.is_empty() {
        entries.put_text("url.fragment", unescaped(fragment)?);
    }
    if let Some(user) = authority.user {
        entries.put_text("url.user_info", user.text);
        if !user.name.is_empty() {
            entries.put_text("url.username", user.name);
        }
        if let Some(password) = user.password {
            entries.put_text("url.password", password);
        }
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        entries.put_text("url.query", query);
    }
    if let Some((_, extension)) = path.rsplit_once('.').filter(|(_, extension)| !extension.is_empty()) {
        entries.put_text("url.extension", extension);
    }
    Ok(entries.finish())
}

/// The scheme in lower case, and what is behind its colon.
fn scheme(text: &str) -> Result<(String, &str), String> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("the scheme before its colon is missing".to_owned()),
            ':' => {
                let (scheme, rest) = text.split_at(at);
                return Ok((scheme.to_ascii_lowercase(), rest.strip_prefix(':').unwrap_or(rest)));
            }
            _ => break,
        }
    }
    Ok((String::new(), text))
}

#[derive(Default)]
struct Authority {
    /// As it is written.
    text: String,
    user: Option<User>,
    /// Without brackets.
    host: String,
    port: Option<i64>,
}

struct User {
    text: String,
    name: String,
    password: Option<String>,
}

fn parse_authority(text: &str) -> Result<Authority, String> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    let user = user.map(|text| {
        if text.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}', '/', '?', '#', '[', ']', '@']) {
            return Err("its user contains characters that must be escaped".to_owned());
        }
        let (name, password) = match text.split_once(':') {
            Some((name, password)) => (name, Some(password)),
            None => (text, None),
        };
        let password = password.map(unescaped).transpose()?;
        Ok(User { text: text.to_owned(), name: unescaped(name)?, password })
    });
    let user = user.transpose()?;
    let (host, port) = match host.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']').ok_or("the bracket of its address is not closed")?;
            // A zone behind the address is escaped.
            (unescaped(address)?, port)
        }
        None => {
            let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
            if let Some(bad) = name.chars().find(|c| " \"<>\\^`{|}/?#[]@".contains(*c)) {
                return Err(format!("its host contains `{bad}`"));
            }
            // Of ASCII only what may not stand for itself is escaped.
            let host = unescaped(name)?;
            if name.contains('%') && host.is_ascii() {
                return Err("its host contains an escape".to_owned());
            }
            (host, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some("") => None,
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_error| format!("its port `{digits}` is too large"))?)
        }
        None if port.is_empty() => None,
        _ => return Err(format!("its port `{port}` is not a number")),
    };
    Ok(Authority { text: text.to_owned(), user, host, port })
}

/// Undoes `%20`. Bytes that are no text become U+FFFD.
fn unescaped(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.extend_from_slice(before.as_bytes());
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.ok_or_else(|| format!("`%{}` is not an escape", after.chars().take(2).collect::<String>()))?);
        rest = after.get(2..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Escapes what may not stand in a path or fragment; escapes stay.
fn push_escaped(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@%!'()*[]?".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15]
                    .into_iter()
                    .filter_map(|half| HEX.get(usize::from(half)))
                    .map(|digit| char::from(*digit)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, list, map};
    use super::*;

    fn url(text: &str) -> Call {
        Call::to("URL").arg("uri", text.to_owned())
    }

    #[test]
    fn all_parts() {
        let text = "https://user:pa%20ss@www.example.com:8080/a/b%20c.html?x=1&y=%20#frag%20ment";
        gives(
            url(text),
            map([
                ("url.original", text.into()),
                ("url.domain", "www.example.com".into()),
                ("url.scheme", "https".into()),
                ("url.path", "/a/b c.html".into()),
                ("url.port", 8080.into()),
                ("url.fragment", "frag ment".into()),
                ("url.user_info", "user:pa%20ss".into()),
                ("url.username", "user".into()),
                ("url.password", "pa ss".into()),
                ("url.query", "x=1&y=%20".into()),
                ("url.extension", "html".into()),
            ]),
        );
    }

    #[test]
    fn some_parts() {
        for (text, original, domain, scheme, path) in [
            ("http://example.com", "http://example.com", "example.com", "http", ""),
            ("//host/path", "//host/path", "host", "", "/path"),
            ("relative/path", "relative/path", "", "", "relative/path"),
            ("mailto:joe@example.com", "mailto:joe@example.com", "", "mailto", ""),
            ("a:b:c/d", "a:b:c/d", "", "a", ""),
            ("foo:/bar", "foo:/bar", "", "foo", "/bar"),
            ("foo:///bar", "foo:///bar", "", "foo", "/bar"),
            ("HTTP://Host/x", "http://Host/x", "Host", "http", "/x"),
            ("http://host:/x", "http://host:/x", "host", "http", "/x"),
            ("http://[fe80::1%25en0]/", "http://[fe80::1%25en0]/", "fe80::1%en0", "http", "/"),
            ("http://x/a%2Fb", "http://x/a%2Fb", "x", "http", "/a/b"),
            ("http://x/ü", "http://x/%C3%BC", "x", "http", "/ü"),
            ("http://x?", "http://x?", "x", "http", ""),
            ("http://x#", "http://x", "x", "http", ""),
            ("http://x/c.", "http://x/c.", "x", "http", "/c."),
        ] {
            let parts =
                [("url.original", original), ("url.domain", domain), ("url.scheme", scheme), ("url.path", path)];
            gives(url(text), map(parts.map(|(key, value)| (key, value.into()))));
        }
        let part = |text: &str, key: &str| match url(text).run().unwrap() {
            Value::Map(map) => map.get(key).map(Value::to_text),
            other => panic!("{other:?}"),
        };
        assert_eq!(part("http://[::1]:80/x", "url.domain").as_deref(), Some("::1"));
        assert_eq!(part("http://[::1]:80/x", "url.port").as_deref(), Some("80"));
        assert_eq!(part("http://user@host", "url.user_info").as_deref(), Some("user"));
        assert_eq!(part("http://user@host", "url.password"), None);
        assert_eq!(part("http://user:@host", "url.password").as_deref(), Some(""));
        assert_eq!(part("/path/file.txt?x=1#f", "url.extension").as_deref(), Some("txt"));
    }

    #[test]
    fn queries() {
        gives(
            url("?a=1&b=x+y%21&a=3&c&"),
            map([("query", map([("a", list(["1", "3"])), ("b", list(["x y!"])), ("c", list([""]))]))]),
        );
        gives(url("?"), map([]));
        fails(url("?a=%zz"), "`?a=%zz` is not a URL: `%zz` is not an escape");
        fails(url("?a=1;b"), "a query is separated by `&`, not by `;`");
    }

    #[test]
    fn what_is_none() {
        for (text, error) in [
            ("", "`` is not a URL: it is empty"),
            ("://x", "the scheme before its colon is missing"),
            ("1http://x", "its first segment contains a colon"),
            ("http://a b/", "its host contains ` `"),
            ("http://host:port/", "its port `:port` is not a number"),
            ("http://host:99999999999999999999/", "is too large"),
            ("http://x/%zz", "`%zz` is not an escape"),
            ("http://ex%41mple.com/", "its host contains an escape"),
            ("http://[::1/", "the bracket of its address is not closed"),
            ("http://x/\u{1}", "it contains control characters"),
        ] {
            fails(url(text), error);
        }
        fails(Call::to("URL").arg("uri", 1), "expected a string, found int");
    }
}
