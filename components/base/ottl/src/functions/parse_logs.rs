//! Log lines of web servers: `ParseCLF` (the NCSA Common Log Format, and Apache's combined one) and `ParseELF` (W3C's
//! Extended Log Format).

use std::sync::LazyLock;

use regex::Regex;

use super::make::{Entries, Outcome, TARGET, check_count, digest_or_fail, function_in};
use crate::context::Context;
use crate::error::RunError;
use crate::function::{Function, Param, ParamKind};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function_in(&[Context::Log], "ParseCLF", &[TARGET, Param::optional("format", ParamKind::Text)], |arguments| {
        let is_combined = match arguments.text_opt("format").as_deref() {
            None | Some("clf") => false,
            Some("combined") => true,
            Some(other) => return Err(format!("`{other}` is not a format: it is clf or combined")),
        };
        digest_or_fail(arguments, "target", move |text| clf(text, is_combined))
    }),
    function_in(&[Context::Log], "ParseELF", &[TARGET], |arguments| digest_or_fail(arguments, "target", elf)),
];

/// The seven fields of a line, and what follows.
static CLF: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\S+) (\S+)(.*)$"#).ok());
/// Referrer and agent behind them.
static COMBINED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^ "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"$"#).ok());

fn clf(text: &str, is_combined: bool) -> Outcome<'static> {
    if text.is_empty() {
        return Err("there is no line in an empty string".into());
    }
    let format = if is_combined { "combined" } else { "clf" };
    let wrong = || RunError::new(format!("the line is not in the format `{format}`"));
    let fields = CLF.as_ref().and_then(|regex| regex.captures(text.trim())).ok_or_else(wrong)?;
    let field = |number: usize| fields.get(number).map_or("", |field| field.as_str());
    let number = |what: &str, text: &str| {
        let number = text.parse().map_err(|_error| RunError::new(format!("the {what} `{text}` is not a number")));
        number.map(Value::Int)
    };
    let mut entries = Entries::default();
    entries.put_text("clf.remote_host", field(1));
    entries.put_text("clf.rfc931", field(2));
    entries.put_text("clf.auth_user", field(3));
    entries.put_text("clf.timestamp", field(4));
    let request = unescaped(field(5));
    entries.put_text("clf.request", request.as_str());
    let mut parts = request.splitn(3, ' ');
    if let (Some(method), Some(uri), Some(protocol)) = (parts.next(), parts.next(), parts.next()) {
        entries.put_text("clf.method", method);
        entries.put_text("clf.request_uri", uri);
        entries.put_text("clf.protocol", protocol);
    }
    entries.put("clf.status", number("status", field(6))?);
    if field(7) != "-" {
        entries.put("clf.bytes", number("size", field(7))?);
    }
    if is_combined {
        let rest = COMBINED.as_ref().and_then(|regex| regex.captures(field(8))).ok_or_else(wrong)?;
        entries.put_text("clf.referer", unescaped(rest.get(1).map_or("", |field| field.as_str())));
        entries.put_text("clf.user_agent", unescaped(rest.get(2).map_or("", |field| field.as_str())));
    } else if !field(8).is_empty() {
        return Err(wrong());
    }
    Ok(entries.finish())
}

/// Undoes what Apache escapes in quoted fields: quotes, control characters, and `\xHH` for bytes.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let Some(escaped) = after.chars().next() else {
            out.push(b'\\');
            rest = after;
            break;
        };
        rest = after.get(escaped.len_utf8()..).unwrap_or_default();
        match escaped {
            '\\' => out.push(b'\\'),
            '"' => out.push(b'"'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            'r' => out.push(b'\r'),
            'b' => out.push(8),
            'f' => out.push(12),
            'v' => out.push(11),
            'x' => {
                let digits = rest.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => {
                        out.push(byte);
                        rest = rest.get(2..).unwrap_or_default();
                    }
                    None => out.extend_from_slice(b"\\x"),
                }
            }
            other => {
                out.push(b'\\');
                out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Directives (`#Fields: …`) and entries, each a map of the fields named last. Values that an entry lacks are `-`; those
/// that it has too many are dropped.
fn elf(text: &str) -> Outcome<'static> {
    if text.is_empty() {
        return Err("there is no log in an empty string".into());
    }
    let mut log = Entries::default();
    log.put("elf.entries", Value::Nil);
    let mut has_version = false;
    let mut names: Vec<&str> = Vec::new();
    let mut count = 0;
    let mut lines: Vec<Value<'static>> = Vec::new();
    for line in text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()) {
        let Some(directive) = line.strip_prefix('#') else {
            if names.is_empty() {
                return Err("an entry stands before the directive `#Fields`".into());
            }
            count += names.len();
            check_count(count)?;
            let mut values = values(line)?.into_iter();
            let mut entry = Entries::default();
            for name in &names {
                entry.put_text((*name).to_owned(), values.next().unwrap_or_else(|| "-".to_owned()));
            }
            lines.push(entry.finish());
            continue;
        };
        let Some((key, value)) = directive.split_once(':').map(|(key, value)| (key.trim(), value.trim())) else {
            if directive.trim_start().get(..6).is_some_and(|key| key.eq_ignore_ascii_case("fields")) {
                return Err(RunError::new(format!("the directive `{line}` has no colon")));
            }
            continue;
        };
        let known = match key.to_ascii_lowercase().as_str() {
            "version" => {
                has_version = true;
                "elf.version"
            }
            "fields" => {
                names = value.split_whitespace().collect();
                continue;
            }
            "software" => "elf.software",
            "date" => "elf.date",
            "start-date" => "elf.start_date",
            "end-date" => "elf.end_date",
            "remark" => "elf.remark",
            _ => continue,
        };
        log.put_text(known, value);
    }
    if !has_version {
        return Err("the directive `#Version` is missing".into());
    }
    log.put("elf.entries", Value::List(lines));
    log.put("elf.fields", Value::List(names.into_iter().map(Value::text).collect()));
    Ok(log.finish())
}

/// Splits an entry at spaces and tabs outside of quotes; two quotes inside are one.
fn values(line: &str) -> Result<Vec<String>, RunError> {
    let mut values = Vec::new();
    let mut rest = line.trim_start_matches([' ', '\t']);
    while !rest.is_empty() {
        let after = if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut value = String::new();
            loop {
                let (before, after) = quoted
                    .split_once('"')
                    .ok_or_else(|| RunError::new(format!("a quoted value of the entry `{line}` is not closed")))?;
                value.push_str(before);
                match after.strip_prefix('"') {
                    Some(after) => {
                        value.push('"');
                        quoted = after;
                    }
                    None => {
                        values.push(value);
                        break after;
                    }
                }
            }
        } else {
            let (value, after) = rest.split_at(rest.find([' ', '\t']).unwrap_or(rest.len()));
            values.push(value.to_owned());
            after
        };
        rest = after.trim_start_matches([' ', '\t']);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, list, map};
    use super::*;

    #[test]
    fn common_log_format() {
        let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326"#;
        let expected = || {
            vec![
                ("clf.remote_host", Value::from("127.0.0.1")),
                ("clf.rfc931", "-".into()),
                ("clf.auth_user", "frank".into()),
                ("clf.timestamp", "10/Oct/2000:13:55:36 -0700".into()),
                ("clf.request", "GET /a.gif HTTP/1.0".into()),
                ("clf.method", "GET".into()),
                ("clf.request_uri", "/a.gif".into()),
                ("clf.protocol", "HTTP/1.0".into()),
                ("clf.status", 200.into()),
                ("clf.bytes", 2326.into()),
            ]
        };
        let of = |entries: Vec<(&'static str, Value<'static>)>| {
            Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
        };
        let call = |line: &str| Call::to("ParseCLF").arg("target", line.to_owned());
        gives(call(line), of(expected()));
        gives(call(&format!(" {line}\n")).text("format", "clf"), of(expected()));
        let mut combined = expected();
        combined.push(("clf.referer", "http://x/".into()));
        combined.push(("clf.user_agent", "a \"b\"".into()));
        let line = format!(r#"{line} "http://x/" "a \"b\"""#);
        gives(call(&line).text("format", "combined"), of(combined));
        fails(call(&line), "the line is not in the format `clf`");

        let odd = r#"h - - [t] "a\"\\\n\x41\xc3\xa9\q\xzz" 200 -"#;
        let Value::Map(parsed) = call(odd).run().unwrap() else { panic!("a map") };
        assert_eq!(parsed.get("clf.request").unwrap().to_text(), "a\"\\\nAé\\q\\xzz");
        assert!(parsed.get("clf.bytes").is_none() && parsed.get("clf.method").is_none());
    }

    #[test]
    fn lines_that_are_not() {
        let call = |line: &'static str| Call::to("ParseCLF").arg("target", line);
        for (line, error) in [
            ("", "there is no line in an empty string"),
            ("hello", "the line is not in the format `clf`"),
            (r#"h - - [t] "x" OK 1"#, "the status `OK` is not a number"),
            (r#"h - - [t] "x" 200 big"#, "the size `big` is not a number"),
            (r#"h - - [t] "x 200 1"#, "the line is not in the format"),
        ] {
            fails(call(line), error);
        }
        fails(call(r#"h - - [t] "x" 200 1"#).text("format", "combined"), "the line is not in the format `combined`");
        fails(Call::to("ParseCLF").arg("target", 1), "expected a string, found int");
        let error = call("x").text("format", "elf").build().unwrap_err();
        assert_eq!(error, "`elf` is not a format: it is clf or combined");
    }

    #[test]
    fn extended_log_format() {
        let text = "#Version: 1.0\r\n#Software: IIS\n#Other\n#Fields: date cs-uri x\n\n2024-01-01 /a \"b \"\"c\"\"\"\n\
                    2024-01-02 /b\n#fields: y\n1 2\n";
        let entry = |x: &'static str, uri: &'static str, date: &'static str| {
            map([("date", date.into()), ("cs-uri", uri.into()), ("x", x.into())])
        };
        let expected = map([
            (
                "elf.entries",
                Value::List(vec![
                    entry("b \"c\"", "/a", "2024-01-01"),
                    entry("-", "/b", "2024-01-02"),
                    map([("y", "1".into())]),
                ]),
            ),
            ("elf.version", "1.0".into()),
            ("elf.software", "IIS".into()),
            ("elf.fields", list(["y"])),
        ]);
        gives(Call::to("ParseELF").arg("target", text), expected);
        for (text, error) in [
            ("", "there is no log in an empty string"),
            ("#Fields: a\n1", "the directive `#Version` is missing"),
            ("#Version: 1.0\n1", "an entry stands before the directive `#Fields`"),
            ("#Version: 1.0\n#Fields a", "the directive `#Fields a` has no colon"),
            ("#Version: 1.0\n#Fields: a\n\"x", "a quoted value of the entry `\"x` is not closed"),
        ] {
            fails(Call::to("ParseELF").arg("target", text), error);
        }
        // Short entries are filled up, so that a small log could become a large one.
        let log = format!("#Version: 1.0\n#Fields: {}\n{}", "a b ".repeat(500), "x\n".repeat(500));
        fails(Call::to("ParseELF").arg("target", log), "the text holds more than 262144 values");
        fails(Call::to("ParseELF").arg("target", Value::Nil), "expected a string, found nil");
    }
}
