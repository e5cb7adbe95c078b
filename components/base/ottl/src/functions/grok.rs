//! `ExtractGrokPatterns`: regular expressions put together from named ones, `%{NAME}`, `%{NAME:field}` or
//! `%{NAME:field:type}`.
//!
//! A pattern is expanded to one regular expression, in which several groups may bear one name: groups are numbered, and
//! the names kept beside. Of equal names the last that matched something wins. Expansion is bounded, since definitions
//! may refer to each other in circles.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::Regex;

use super::make::{Entries, Outcome, TARGET, converter, function, literal_texts, text, value};
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Arguments, Built, Convert, Function, Param, ParamKind};
use crate::pattern::{PATTERN_BYTES_MAX, compile};
use crate::subject::Subject;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[function(
    "ExtractGrokPatterns",
    &[
        TARGET,
        value("pattern"),
        Param::optional("named_captures_only", ParamKind::Bool),
        Param::optional("pattern_definitions", ParamKind::List),
    ],
    build,
)];

/// How deep definitions may refer to each other.
const DEPTH_MAX: usize = 32;

/// The standard definitions, in `patterns.txt` beside.
static STANDARD: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("grok/patterns.txt").lines();
    lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect()
});

/// What a type converts to.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Float,
    Bool,
}

struct Group {
    number: usize,
    field: String,
    kind: Kind,
}

/// An expanded and compiled pattern.
struct Compiled {
    regex: Regex,
    groups: Vec<Group>,
}

struct Definitions {
    own: HashMap<String, String>,
    named_only: bool,
}

fn build(arguments: &mut Arguments) -> Result<Built, String> {
    let named_only = arguments.bool_opt("named_captures_only").unwrap_or(false);
    let mut own = HashMap::new();
    for definition in
        literal_texts("pattern_definitions", arguments.list_opt("pattern_definitions").unwrap_or_default())?
    {
        let (name, regex) = definition
            .split_once('=')
            .ok_or_else(|| format!("the pattern definition `{definition}` is not written as `NAME=expression`"))?;
        if name.contains(':') {
            return Err(format!("the name `{name}` of a pattern definition contains `:`"));
        }
        own.insert(name.to_owned(), regex.to_owned());
    }
    let definitions = Definitions { own, named_only };
    let pattern = arguments.value("pattern")?;
    let pattern = match pattern.literal() {
        Some(Value::Str(text)) => Pattern::Known(definitions.compile(text)?),
        Some(other) => return Err(format!("a pattern must be a string, found {}", other.type_name())),
        None => Pattern::Computed { pattern, definitions, last: Mutex::new(None) },
    };
    converter(ExtractGrokPatterns { target: arguments.value("target")?, pattern })
}

enum Pattern {
    Known(Compiled),
    Computed { pattern: Expr, definitions: Definitions, last: Mutex<Option<(String, Arc<Compiled>)>> },
}

struct ExtractGrokPatterns {
    target: Expr,
    pattern: Pattern,
}

impl Convert for ExtractGrokPatterns {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let computed;
        let compiled = match &self.pattern {
            Pattern::Known(compiled) => compiled,
            Pattern::Computed { pattern, definitions, last } => {
                let pattern = text(pattern.eval(on)?)?;
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                computed = match &*last {
                    Some((known, compiled)) if *known == *pattern => Arc::clone(compiled),
                    _ => {
                        let compiled = Arc::new(definitions.compile(&pattern).map_err(RunError::new)?);
                        *last = Some((pattern.into_owned(), Arc::clone(&compiled)));
                        compiled
                    }
                };
                &*computed
            }
        };
        compiled.extract(&text(self.target.eval(on)?)?)
    }
}

impl Compiled {
    /// Without a match, no entry.
    fn extract(&self, text: &str) -> Outcome<'static> {
        let mut entries = Entries::default();
        let Some(captures) = self.regex.captures(text) else { return Ok(entries.finish()) };
        for group in &self.groups {
            let Some(found) = captures.get(group.number).map(|found| found.as_str()).filter(|found| !found.is_empty())
            else {
                continue;
            };
            let value = match group.kind {
                Kind::Text => Some(Value::text(found)),
                Kind::Int => found.parse().ok().map(Value::Int),
                Kind::Float => found.parse().ok().map(Value::Float),
                Kind::Bool => match found {
                    "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(Value::Bool(true)),
                    "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(Value::Bool(false)),
                    _ => None,
                },
            };
            let value = value.ok_or_else(|| {
                RunError::new(format!("the field `{}` is `{found}`, which is not of its type", group.field))
            })?;
            entries.put(group.field.clone(), value);
        }
        Ok(entries.finish())
    }
}

impl Definitions {
    fn compile(&self, pattern: &str) -> Result<Compiled, String> {
        let mut expansion = Expansion { definitions: self, regex: String::new(), names: Vec::new() };
        expansion.push(pattern, 0).map_err(|why| format!("the grok pattern `{pattern}` is refused: {why}"))?;
        let Expansion { regex, names, .. } = expansion;
        let groups: Vec<Group> = (1..)
            .zip(names)
            .filter_map(|(number, name)| name.map(|(field, kind)| Group { number, field, kind }))
            .collect();
        if self.named_only && groups.is_empty() {
            return Err(format!(
                "the grok pattern `{pattern}` names no field: at least one `%{{NAME:field}}` is needed"
            ));
        }
        Ok(Compiled { regex: compile(&regex)?, groups })
    }

    fn find(&self, name: &str) -> Result<&str, String> {
        let own = self.own.get(name).map(String::as_str);
        own.or_else(|| STANDARD.get(name).copied()).ok_or_else(|| format!("there is no pattern `{name}`"))
    }
}

/// A pattern on its way to a regular expression without names.
struct Expansion<'d> {
    definitions: &'d Definitions,
    regex: String,
    /// Of each group in order, the field that it is for.
    names: Vec<Option<(String, Kind)>>,
}

impl Expansion<'_> {
    fn push(&mut self, pattern: &str, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("its definitions refer to each other more than {DEPTH_MAX} deep"));
        }
        let mut rest = pattern;
        let mut in_class = false;
        while let Some(character) = rest.chars().next() {
            if let Some((reference, after)) = reference(rest) {
                self.push_reference(reference, depth)?;
                rest = after;
                continue;
            }
            let mut length = character.len_utf8();
            match character {
                '\\' => length += rest.chars().nth(1).map_or(0, char::len_utf8),
                '[' if in_class => {}
                '[' => {
                    in_class = true;
                    // A bracket that comes first is an element.
                    length += if rest.starts_with("[^]") { 2 } else { usize::from(rest.starts_with("[]")) };
                }
                ']' => in_class = false,
                '(' if !in_class => {
                    let name = rest.strip_prefix("(?P<").or_else(|| rest.strip_prefix("(?<"));
                    match name.and_then(|name| name.split_once('>')) {
                        Some((name, after)) => {
                            self.names.push(Some((name.replace("___", "."), Kind::Text)));
                            self.regex.push('(');
                            rest = after;
                            continue;
                        }
                        None if !rest.starts_with("(?") => self.names.push(None),
                        None => {}
                    }
                }
                _ => {}
            }
            self.regex.push_str(rest.get(..length).unwrap_or_default());
            rest = rest.get(length..).unwrap_or_default();
            if self.regex.len() > PATTERN_BYTES_MAX {
                return Err(format!("expanded it is longer than {PATTERN_BYTES_MAX} bytes"));
            }
        }
        Ok(())
    }

    fn push_reference(&mut self, reference: Reference<'_>, depth: usize) -> Result<(), String> {
        let kind = match reference.kind {
            None | Some("string") => Kind::Text,
            Some("int" | "long") => Kind::Int,
            Some("float" | "double") => Kind::Float,
            Some("bool" | "boolean") => Kind::Bool,
            Some(other) => {
                return Err(format!(
                    "`{other}` is not a type: it is one of int, long, float, double, bool, boolean, string"
                ));
            }
        };
        let field = match reference.field {
            Some(field) => Some(field),
            None if self.definitions.named_only => None,
            None => Some(reference.name),
        };
        self.names.push(field.map(|field| (field.to_owned(), kind)));
        self.regex.push('(');
        self.push(self.definitions.find(reference.name)?, depth + 1)?;
        self.regex.push(')');
        Ok(())
    }
}

struct Reference<'p> {
    name: &'p str,
    field: Option<&'p str>,
    kind: Option<&'p str>,
}

/// Takes `%{…}` off the front.
fn reference(rest: &str) -> Option<(Reference<'_>, &str)> {
    let (inside, after) = rest.strip_prefix("%{")?.split_once('}')?;
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let mut parts = inside.splitn(3, ':');
    let reference = Reference { name: parts.next()?, field: parts.next(), kind: parts.next() };
    let fits = is_word(reference.name)
        && reference.field.is_none_or(|field| is_word(&field.replace('.', "_")))
        && reference.kind.is_none_or(is_word);
    fits.then_some((reference, after))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, gives, map};
    use super::*;

    fn parse(pattern: &str, definitions: &[&str], named_only: bool, text: &str) -> String {
        let own = definitions.iter().filter_map(|definition| definition.split_once('='));
        let own = own.map(|(name, regex)| (name.to_owned(), regex.to_owned())).collect();
        match (Definitions { own, named_only }).compile(pattern) {
            Ok(compiled) => compiled.extract(text).map_or_else(|error| format!("error: {error}"), |map| map.to_text()),
            Err(error) => format!("refused: {error}"),
        }
    }

    #[test]
    fn every_standard_pattern_compiles() {
        assert_eq!(STANDARD.len(), 245);
        let definitions = Definitions { own: HashMap::new(), named_only: false };
        for name in STANDARD.keys() {
            let compiled = definitions.compile(&format!("%{{{name}}}"));
            assert!(compiled.is_ok(), "{name}: {:?}", compiled.err());
        }
    }

    #[test]
    fn fields() {
        for (pattern, definitions, named_only, text, expected) in [
            ("%{WORD:a} %{INT:n:int}", &[][..], true, "x 12", r#"{"a":"x","n":12}"#),
            ("%{WORD:a.b.c}", &[], true, "x", r#"{"a.b.c":"x"}"#),
            (
                "%{NUMBER:f:double} %{NUMBER:g:float} %{BOOL:b:boolean}",
                &[],
                true,
                "1.5 2 true",
                r#"{"b":true,"f":1.5,"g":2}"#,
            ),
            ("%{NUMBER}", &[], false, "42", r#"{"BASE10NUM":"42","NUMBER":"42"}"#),
            ("%{NUMBER}(?P<rest>.*)", &[], true, "42!", r#"{"rest":"!"}"#),
            ("%{WORD:a}", &[], true, "!", "{}"),
            ("%{ID:id}", &["ID=[A-Z]{2}%{INT:number:long}"], true, "AB12", r#"{"id":"AB12","number":12}"#),
            ("%{WORD:w}", &["WORD=[0-9]+"], true, "ab12", r#"{"w":"12"}"#),
            // Of equal names the last that matched something.
            ("(?:%{INT:x}|%{WORD:x})", &[], true, "ab", r#"{"x":"ab"}"#),
            ("%{INT:x} %{WORD:x}", &[], true, "1 ab", r#"{"x":"ab"}"#),
            (r"[]%{(]+%{WORD:w}\(", &[], true, "{(%]a(", r#"{"w":"a"}"#),
            ("%{IPV4:ip} (?:-|%{USER:user})", &[], true, "10.0.0.1 -", r#"{"ip":"10.0.0.1"}"#),
            ("%{INT:n:bool}", &[], true, "7", "error: the field `n` is `7`, which is not of its type"),
            ("%{INT:n:int}", &[], true, "99999999999999999999", "error: the field `n` is `99999999999999999999`"),
        ] {
            let found = parse(pattern, definitions, named_only, text);
            assert!(found.starts_with(expected), "{pattern}: {found}");
        }
    }

    #[test]
    fn lines_of_servers() {
        let line = concat!(
            r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326 "#,
            r#""http://x/" "Mozilla""#
        );
        assert_eq!(
            parse("%{COMBINEDAPACHELOG}", &[], true, line),
            concat!(
                r#"{"http.request.method":"GET","http.request.referrer":"http://x/","http.response.body.size":2326,"#,
                r#""http.response.status_code":200,"http.version":"1.0","source.address":"127.0.0.1","#,
                r#""timestamp":"10/Oct/2000:13:55:36 -0700","url.original":"/a.gif","user.name":"frank","#,
                r#""user_agent.original":"Mozilla"}"#
            )
        );
        assert_eq!(
            parse("%{SYSLOGLINE}", &[], true, "Mar 16 00:01:25 evita postfix/smtpd[1713]: connect from x"),
            r#"{"host.name":"evita","message":"connect from x","timestamp":"Mar 16 00:01:25"}"#
        );
    }

    #[test]
    fn what_is_refused() {
        for (pattern, definitions, expected) in [
            ("%{NONE}", &[][..], "there is no pattern `NONE`"),
            ("%{INT:n:integer}", &[], "`integer` is not a type"),
            ("plain", &[], "names no field"),
            ("%{A:a}", &["A=%{B}", "B=%{A}"], "its definitions refer to each other more than 32 deep"),
            ("%{A:a}", &["A=%{A}%{A}"], "more than 32 deep"),
            ("%{WORD:a}(", &[], "unclosed group"),
            (
                "%{A:a}",
                &["A=%{B}%{B}%{B}%{B}%{B}%{B}%{B}%{B}", "B=%{C}%{C}%{C}%{C}%{C}%{C}%{C}%{C}", "C=%{IP}%{IP}%{IP}"],
                "longer than 65536 bytes",
            ),
        ] {
            let found = parse(pattern, definitions, true, "");
            assert!(found.starts_with("refused: ") && found.contains(expected), "{pattern}: {found}");
        }
        let call = Call::to("ExtractGrokPatterns").arg("target", "x").arg("pattern", "%{WORD:w}");
        for (definition, expected) in [("A", "is not written as `NAME=expression`"), ("A:b=c", "contains `:`")] {
            let error = call.clone().list("pattern_definitions", vec![definition.into()]).build().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(
            call.list("pattern_definitions", vec![1.into()]).build().unwrap_err(),
            "argument `pattern_definitions` takes a list of literal strings"
        );
    }

    #[test]
    fn through_the_function() {
        let call = |target: Value<'static>| {
            Call::to("ExtractGrokPatterns")
                .arg("target", target)
                .arg("pattern", "%{WORD:w}")
                .flag("named_captures_only", true)
        };
        gives(call("abc".into()), map([("w", "abc".into())]));
        for (target, found) in [(Value::Int(1), "int"), (Value::Nil, "nil")] {
            let error = call(target).run().unwrap_err().to_string();
            assert_eq!(error, format!("expected a string, found {found}"));
        }
    }
}
