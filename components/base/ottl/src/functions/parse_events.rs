//! Security events: `ParseCEF` (ArcSight's Common Event Format) and `ParseLEEF` (QRadar's Log Event Extended Format, 1.0
//! and 2.0). What stands before the event, such as a syslog header, is skipped.

use super::make::{Entries, Outcome, TARGET, digest_or_fail, function_in};
use crate::context::Context;
use crate::error::RunError;
use crate::function::Function;

pub(super) const FUNCTIONS: &[Function] = &[
    function_in(&[Context::Log], "ParseCEF", &[TARGET], |arguments| digest_or_fail(arguments, "target", cef)),
    function_in(&[Context::Log], "ParseLEEF", &[TARGET], |arguments| digest_or_fail(arguments, "target", leef)),
];

/// From the prefix on.
fn event<'t>(text: &'t str, prefix: &str) -> Result<&'t str, RunError> {
    let at = text.find(prefix).and_then(|at| text.get(at + prefix.len()..));
    at.ok_or_else(|| RunError::new(format!("the text is no event: it has no `{prefix}`")))
}

fn cef(text: &str) -> Outcome<'static> {
    const NAMES: [&str; 7] = [
        "cef.version",
        "cef.device_vendor",
        "cef.device_product",
        "cef.device_version",
        "cef.device_event_class_id",
        "cef.name",
        "cef.severity",
    ];
    let mut rest = event(text, "CEF:")?;
    let mut entries = Entries::default();
    for (index, name) in NAMES.into_iter().enumerate() {
        let end = delimiter(rest);
        let (field, after) = rest.split_at(end.unwrap_or(rest.len()));
        if index == 0 {
            if field.is_empty() {
                return Err("the event has no version".into());
            }
            entries.put_text(name, field);
        } else {
            entries.put_text(name, unescaped(field, |c| matches!(c, '|' | '\\').then_some(c)));
        }
        if end.is_none() && index + 1 < NAMES.len() {
            let found = index + 1;
            return Err(RunError::new(format!("the event's header has {found} fields, 7 are needed")));
        }
        rest = after.strip_prefix('|').unwrap_or(after);
    }
    let mut extensions = Entries::default();
    let mut keys = cef_keys(rest).into_iter().peekable();
    while let Some((key, _, value_at)) = keys.next() {
        let end = keys.peek().map_or(rest.len(), |(_, key_at, _)| *key_at);
        let value = rest.get(value_at..end).unwrap_or_default().trim_end_matches(' ');
        let value = unescaped(value, |c| match c {
            '\\' | '=' => Some(c),
            'n' => Some('\n'),
            'r' => Some('\r'),
            _ => None,
        });
        extensions.put_text(key.to_owned(), value);
    }
    entries.put("cef.extensions", extensions.finish());
    Ok(entries.finish())
}

/// The first pipe that is not escaped.
fn delimiter(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let found = (c == '|' && !is_escaped).then_some(at);
        is_escaped = c == '\\' && !is_escaped;
        found
    })
}

/// Each key, where it starts, and where its value does. Keys are words before `=`, at the start or behind a space, so that
/// values may contain spaces.
fn cef_keys(text: &str) -> Vec<(&str, usize, usize)> {
    let mut keys = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let word = rest.get(..length).unwrap_or_default();
        if length > 0 && rest.as_bytes().get(length) == Some(&b'=') {
            keys.push((word, at, at + length + 1));
            at += length + 1;
        }
        at = next_word(text, at);
    }
    keys
}

/// Behind the next space.
fn next_word(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find(' ')).map_or(text.len(), |space| at + space + 1)
}

/// Replaces a backslash and the character behind it where `replace` knows it.
fn unescaped(text: &str, replace: impl Fn(char) -> Option<char>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match characters.peek().and_then(|next| replace(*next)) {
            Some(replaced) if c == '\\' => {
                out.push(replaced);
                characters.next();
            }
            _ => out.push(c),
        }
    }
    out
}

fn leef(text: &str) -> Outcome<'static> {
    let event = event(text, "LEEF:")?;
    let (version, rest) = event.split_once('|').ok_or("the event has no header: it contains no `|`")?;
    if !matches!(version, "1.0" | "2.0") {
        return Err(RunError::new(format!("LEEF `{version}` is not supported: the version is 1.0 or 2.0")));
    }
    let mut entries = Entries::default();
    entries.put_text("leef.version", version);
    let mut fields = rest.splitn(5, '|');
    for (index, name) in
        ["leef.vendor", "leef.product.name", "leef.product.version", "leef.event.id"].into_iter().enumerate()
    {
        let field = fields.next().ok_or_else(|| {
            RunError::new(format!("the event's header has {index} fields behind the version, 4 are needed"))
        })?;
        entries.put_text(name, field);
    }
    let mut attributes = fields.next().unwrap_or_default();
    let mut delimiter = "\t".to_owned();
    if version == "2.0" {
        // The delimiter may be left out; what contains `=` is no delimiter but the first attributes.
        let (specified, after) = attributes.split_once('|').unwrap_or((attributes, ""));
        if !specified.contains('=') {
            delimiter = leef_delimiter(specified)?;
            attributes = after;
        }
    }
    let mut parsed = Entries::default();
    for (key, value) in attributes.split(&*delimiter).filter_map(|pair| pair.split_once('=')) {
        if !key.is_empty() {
            parsed.put_text(key.to_owned(), value);
        }
    }
    entries.put("leef.attributes", parsed.finish());
    Ok(entries.finish())
}

/// A character, or its number as `0x5e`.
fn leef_delimiter(text: &str) -> Result<String, RunError> {
    let wrong = || RunError::new(format!("`{text}` is not a delimiter: it is one character, or its number as `0x5e`"));
    if text.is_empty() {
        return Ok("\t".to_owned());
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| digits.len() == 2 && byte.is_ascii());
        return byte.map(|byte| char::from(byte).to_string()).ok_or_else(wrong);
    }
    if text.len() == 1 { Ok(text.to_owned()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, map};
    use crate::value::Value;

    fn of(entries: &[(&'static str, &'static str)]) -> Value<'static> {
        Value::Map(entries.iter().map(|(key, value)| ((*key).into(), Value::from(*value))).collect())
    }

    fn cef_of(fields: [&'static str; 7], extensions: &[(&'static str, &'static str)]) -> Value<'static> {
        let [version, vendor, product, device_version, class, name, severity] = fields.map(Value::from);
        map([
            ("cef.version", version),
            ("cef.device_vendor", vendor),
            ("cef.device_product", product),
            ("cef.device_version", device_version),
            ("cef.device_event_class_id", class),
            ("cef.name", name),
            ("cef.severity", severity),
            ("cef.extensions", of(extensions)),
        ])
    }

    #[test]
    fn common_events() {
        for (text, expected) in [
            (
                "<13>Jan 18 host CEF:0|V|P|1.0|100|worm stopped|10|src=10.0.0.1 msg=a b=c d  dst=2.1.2.2 ",
                cef_of(
                    ["0", "V", "P", "1.0", "100", "worm stopped", "10"],
                    &[("src", "10.0.0.1"), ("msg", "a"), ("b", "c d"), ("dst", "2.1.2.2")],
                ),
            ),
            (
                r"CEF:1|a\|b|c\\d|e\f|5|n|Low|msg=x\=y\\z\nl\rm\q act=",
                cef_of(["1", "a|b", r"c\d", r"e\f", "5", "n", "Low"], &[("msg", "x=y\\z\nl\rm\\q"), ("act", "")]),
            ),
            ("CEF:0|V|P|1|2|n|3", cef_of(["0", "V", "P", "1", "2", "n", "3"], &[])),
            ("CEF:0|V|P|1|2|n|3|no pairs", cef_of(["0", "V", "P", "1", "2", "n", "3"], &[])),
            (
                "CEF:0|V|P|1|2|n|3|a=b=c x-y=z é=1",
                cef_of(["0", "V", "P", "1", "2", "n", "3"], &[("a", "b=c x-y=z é=1")]),
            ),
            ("CEF:0|V|P|1|2|n|3|a=1 a=2", cef_of(["0", "V", "P", "1", "2", "n", "3"], &[("a", "2")])),
        ] {
            gives(Call::to("ParseCEF").arg("target", text), expected);
        }
        for (text, error) in [
            ("", "it has no `CEF:`"),
            ("cef:0|", "it has no `CEF:`"),
            ("CEF:|V|P|1|2|n|3|", "the event has no version"),
            ("CEF:0|V|P", "the event's header has 3 fields, 7 are needed"),
        ] {
            fails(Call::to("ParseCEF").arg("target", text), error);
        }
        fails(Call::to("ParseCEF").arg("target", 1), "expected a string, found int");
    }

    #[test]
    fn extended_events() {
        let expected = |version: &'static str, attributes: &[(&'static str, &'static str)]| {
            map([
                ("leef.version", version.into()),
                ("leef.vendor", "V".into()),
                ("leef.product.name", "P".into()),
                ("leef.product.version", "1".into()),
                ("leef.event.id", "7".into()),
                ("leef.attributes", of(attributes)),
            ])
        };
        let pair = [("a", "1"), ("b", "x y")];
        for (text, version, attributes) in [
            ("Jan 18 host LEEF:1.0|V|P|1|7|a=1\tb=x y", "1.0", &pair[..]),
            ("LEEF:1.0|V|P|1|7|a=1\t\tb=x y\tbad\t=v", "1.0", &pair),
            ("LEEF:1.0|V|P|1|7", "1.0", &[]),
            ("LEEF:2.0|V|P|1|7", "2.0", &[]),
            ("LEEF:2.0|V|P|1|7|^|a=1^b=x y", "2.0", &pair),
            ("LEEF:2.0|V|P|1|7|0x5e|a=1^b=x y", "2.0", &pair),
            ("LEEF:2.0|V|P|1|7||a=1\tb=x y", "2.0", &pair),
            ("LEEF:2.0|V|P|1|7|a=1\tb=x y", "2.0", &pair),
            ("LEEF:2.0|V|P|1|7|a=1|2", "2.0", &[("a", "1|2")]),
            ("LEEF:1.0|V|P|1|7|a=b=c", "1.0", &[("a", "b=c")]),
        ] {
            gives(Call::to("ParseLEEF").arg("target", text), expected(version, attributes));
        }
        for (text, error) in [
            ("", "it has no `LEEF:`"),
            ("LEEF:1.0", "the event has no header"),
            ("LEEF:3.0|V|P|1|7|", "LEEF `3.0` is not supported"),
            ("LEEF:1.0|V|P", "the event's header has 2 fields behind the version, 4 are needed"),
            ("LEEF:2.0|V|P|1|7|ab|a", "`ab` is not a delimiter"),
            ("LEEF:2.0|V|P|1|7|0x|a", "`0x` is not a delimiter"),
            ("LEEF:2.0|V|P|1|7|0x5e5e|a", "`0x5e5e` is not a delimiter"),
        ] {
            fails(Call::to("ParseLEEF").arg("target", text), error);
        }
    }
}
