//! `ParseCSV`: one row, with the names of its columns. Line breaks in a row belong to the field they are in, quoted or not.

use super::make::{Entries, TARGET, binary_with, check_count, function, text, value};
use crate::error::RunError;
use crate::function::{Arguments, Built, Function, Param, ParamKind};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[function(
    "ParseCSV",
    &[
        TARGET,
        value("header"),
        Param::optional("delimiter", ParamKind::Text),
        Param::optional("header_delimiter", ParamKind::Text),
        Param::optional("mode", ParamKind::Text),
    ],
    build,
)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Quotes stand around fields, and double within.
    Strict,
    /// Quotes may stand anywhere.
    LazyQuotes,
    /// Quotes are characters as any other.
    IgnoreQuotes,
}

struct Row {
    delimiter: char,
    header_delimiter: char,
    mode: Mode,
}

fn build(arguments: &mut Arguments) -> Result<Built, String> {
    let mut character = |name: &'static str| {
        let Some(text) = arguments.text_opt(name) else { return Ok(None) };
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) => Ok(Some(only)),
            _ => Err(format!("argument `{name}` takes a single character, found `{text}`")),
        }
    };
    let delimiter = character("delimiter")?.unwrap_or(',');
    let header_delimiter = character("header_delimiter")?.unwrap_or(delimiter);
    let mode = match arguments.text_opt("mode").as_deref() {
        None | Some("strict") => Mode::Strict,
        Some("lazyQuotes") => Mode::LazyQuotes,
        Some("ignoreQuotes") => Mode::IgnoreQuotes,
        Some(other) => {
            return Err(format!("`{other}` is not a mode: it is one of strict, lazyQuotes, ignoreQuotes"));
        }
    };
    if mode != Mode::IgnoreQuotes && matches!(delimiter, '"' | '\r' | '\n' | '\u{fffd}') {
        return Err(format!("`{delimiter}` cannot be a delimiter"));
    }
    binary_with(arguments, ["target", "header"], Row { delimiter, header_delimiter, mode }, |row, target, header| {
        row.parse(&text(target)?, &text(header)?)
    })
}

impl Row {
    fn parse(&self, row: &str, header: &str) -> Result<Value<'static>, RunError> {
        if header.is_empty() {
            return Err("the header is empty: it names the columns".into());
        }
        let fields = match self.mode {
            Mode::IgnoreQuotes => row.split(self.delimiter).map(str::to_owned).collect(),
            Mode::Strict | Mode::LazyQuotes => self.fields(row)?,
        };
        let columns = header.split(self.header_delimiter);
        let expected = columns.clone().count();
        if fields.len() != expected {
            let found = fields.len();
            return Err(RunError::new(format!("the row has {found} fields, the header names {expected}")));
        }
        let mut entries = Entries::default();
        for (column, field) in columns.zip(fields) {
            entries.put_text(column.to_owned(), field);
        }
        Ok(entries.finish())
    }

    /// Splits at delimiters and line breaks, and joins what line breaks parted. Empty lines between are left out.
    fn fields(&self, row: &str) -> Result<Vec<String>, RunError> {
        let row = row.replace("\r\n", "\n");
        let mut fields: Vec<String> = Vec::new();
        let mut rest = row.as_str();
        let mut starts_line = true;
        loop {
            if starts_line {
                rest = rest.trim_start_matches('\n');
                if rest.is_empty() {
                    break;
                }
            }
            let (field, after) = match rest.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted)?,
                None => self.bare(rest)?,
            };
            check_count(fields.len())?;
            match fields.last_mut() {
                Some(last) if starts_line => {
                    last.push('\n');
                    last.push_str(&field);
                }
                _ => fields.push(field),
            }
            match after.chars().next() {
                None => break,
                Some(end) => {
                    starts_line = end == '\n';
                    rest = after.get(end.len_utf8()..).unwrap_or_default();
                }
            }
        }
        if fields.is_empty() { Err("there is no row in an empty string".into()) } else { Ok(fields) }
    }

    fn bare<'t>(&self, rest: &'t str) -> Result<(String, &'t str), RunError> {
        let end = rest.find([self.delimiter, '\n']).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        if self.mode == Mode::Strict && field.contains('"') {
            return Err(RunError::new(format!("there is a quote inside of the field `{field}`, which is not quoted")));
        }
        Ok((field.to_owned(), after))
    }

    /// A field after its opening quote, up to the delimiter or line break behind it.
    fn quoted<'t>(&self, mut rest: &'t str) -> Result<(String, &'t str), RunError> {
        let mut field = String::new();
        let lazy = self.mode == Mode::LazyQuotes;
        while let Some((before, after)) = rest.split_once('"') {
            field.push_str(before);
            if let Some(after) = after.strip_prefix('"') {
                field.push('"');
                rest = after;
            } else if after.is_empty() || after.starts_with([self.delimiter, '\n']) {
                return Ok((field, after));
            } else if lazy {
                field.push('"');
                rest = after;
            } else {
                return Err(RunError::new(format!("a quoted field is followed by `{}`", first_of(after))));
            }
        }
        if lazy {
            field.push_str(rest.strip_suffix('\n').unwrap_or(rest));
            return Ok((field, ""));
        }
        Err("a quoted field is not closed".into())
    }
}

fn first_of(text: &str) -> String {
    text.chars().take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, map};
    use super::*;

    fn call(row: &'static str, header: &'static str) -> Call {
        Call::to("ParseCSV").arg("target", row).arg("header", header)
    }

    fn xy(x: &'static str, y: &'static str) -> Value<'static> {
        map([("x", x.into()), ("y", y.into())])
    }

    #[test]
    fn rows() {
        for (row, expected) in [
            ("a,b", xy("a", "b")),
            (" a, b ", xy(" a", " b ")),
            ("a,", xy("a", "")),
            (",", xy("", "")),
            ("\"a,b\",c", xy("a,b", "c")),
            ("\"a\"\"b\",c", xy("a\"b", "c")),
            ("\"a\nb\",c", xy("a\nb", "c")),
            ("a\nb,c", xy("a\nb", "c")),
            ("a\n\nb,c", xy("a\nb", "c")),
            ("a\r\nb,c\r\n", xy("a\nb", "c")),
            ("é,ü", xy("é", "ü")),
        ] {
            gives(call(row, "x,y"), expected.clone());
            gives(call(row, "x,y").text("mode", "strict"), expected);
        }
        gives(call("a;b", "x|y").text("delimiter", ";").text("header_delimiter", "|"), xy("a", "b"));
        gives(call("a\tb", "x\ty").text("delimiter", "\t"), xy("a", "b"));
        gives(call("a,b", "x,x"), map([("x", "b".into())]));
    }

    #[test]
    fn quotes() {
        for (row, mode, expected) in [
            ("a\"b,c", "lazyQuotes", xy("a\"b", "c")),
            ("\"a\"b\",c", "lazyQuotes", xy("a\"b", "c")),
            ("a,\"b", "lazyQuotes", xy("a", "b")),
            ("\"a\",c", "ignoreQuotes", xy("\"a\"", "c")),
            ("\"a,b\"", "ignoreQuotes", xy("\"a", "b\"")),
        ] {
            gives(call(row, "x,y").text("mode", mode), expected);
        }
        gives(call("", "x").text("mode", "ignoreQuotes"), map([("x", "".into())]));
        fails(call("a\"b,c", "x,y"), "there is a quote inside of the field `a\"b`");
        fails(call("\"a\"b\",c", "x,y"), "a quoted field is followed by `b`");
        fails(call("a,\"b", "x,y"), "a quoted field is not closed");
    }

    #[test]
    fn what_does_not_fit() {
        fails(call("a,b,c", "x,y"), "the row has 3 fields, the header names 2");
        fails(call("a", "x,y"), "the row has 1 fields, the header names 2");
        fails(call("", "x"), "there is no row in an empty string");
        fails(call("\n", "x"), "there is no row in an empty string");
        fails(call("a", ""), "the header is empty");
        fails(Call::to("ParseCSV").arg("target", 1).arg("header", "x"), "expected a string, found int");
        fails(Call::to("ParseCSV").arg("target", "a").arg("header", Value::Nil), "expected a string, found nil");
        for (name, text, error) in [
            ("delimiter", "ab", "argument `delimiter` takes a single character, found `ab`"),
            ("delimiter", "", "argument `delimiter` takes a single character, found ``"),
            ("header_delimiter", "::", "argument `header_delimiter` takes a single character"),
            ("mode", "fast", "`fast` is not a mode"),
            ("delimiter", "\"", "cannot be a delimiter"),
        ] {
            let found = call("a,b", "x,y").text(name, text).build().unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }
}
