//! Converters of letters' case and of identifiers' style.

use std::borrow::Cow;

use super::make::{Outcome, TARGET, function, of_text, text, unary_with};
use crate::function::{Function, Param, ParamKind};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function("ToLowerCase", &[TARGET], |arguments| of_text(arguments, |text| Ok(Value::Str(lower(text))))),
    function("ToUpperCase", &[TARGET], |arguments| of_text(arguments, |text| Ok(Value::Str(upper(text))))),
    function("ToSnakeCase", &[TARGET], |arguments| of_text(arguments, |text| Ok(Value::text(snake(&text))))),
    function("ToCamelCase", &[TARGET], |arguments| of_text(arguments, |text| Ok(Value::text(camel(&text))))),
    function("ConvertCase", &[TARGET, Param::required("to_case", ParamKind::Text)], |arguments| {
        let to_case = arguments.text("to_case")?;
        let convert: for<'v> fn(Cow<'v, str>) -> Outcome<'v> = match to_case.as_str() {
            "lower" => |text| Ok(Value::Str(lower(text))),
            "upper" => |text| Ok(Value::Str(upper(text))),
            "snake" => |text| Ok(Value::text(snake(&text))),
            "camel" => |text| Ok(Value::text(camel(&text))),
            other => return Err(format!("`{other}` is not a case: it is one of lower, upper, snake, camel")),
        };
        unary_with(arguments, "target", convert, |convert, value| convert(text(value)?))
    }),
];

/// Letter by letter: letters whose other case is several letters stay.
fn map_letters(text: &str, map: impl Fn(char) -> Option<char>) -> String {
    text.chars().map(|letter| map(letter).unwrap_or(letter)).collect()
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

fn lower(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(text.to_ascii_lowercase()) } else { text }
    } else {
        Cow::Owned(map_letters(&text, |letter| only(letter.to_lowercase())))
    }
}

fn upper(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) { Cow::Owned(text.to_ascii_uppercase()) } else { text }
    } else {
        Cow::Owned(map_letters(&text, |letter| only(letter.to_uppercase())))
    }
}

/// What matters of a character for where words end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upper,
    Lower,
    Digit,
    Separator,
    Other,
}

fn kind(character: char) -> Kind {
    match character {
        'A'..='Z' => Kind::Upper,
        'a'..='z' => Kind::Lower,
        '0'..='9' => Kind::Digit,
        '_' | ' ' | '-' | '.' => Kind::Separator,
        _ => Kind::Other,
    }
}

/// `HTTPServer.v2` is `http_server_v_2`. A word ends where lower meets upper, where letters meet digits, before the last
/// of several capitals that a small letter follows, and at each separator.
fn snake(text: &str) -> String {
    let text = text.trim();
    let mut out = String::with_capacity(text.len() + 8);
    let mut characters = text.chars().peekable();
    let mut before = Kind::Other;
    while let Some(character) = characters.next() {
        let here = kind(character);
        let next = characters.peek().map_or(Kind::Other, |&next| kind(next));
        if here == Kind::Separator {
            out.push('_');
        } else {
            if here == Kind::Upper && next == Kind::Lower && before == Kind::Upper {
                out.push('_');
            }
            out.push(character.to_ascii_lowercase());
            let ends = match here {
                Kind::Upper => next == Kind::Digit,
                Kind::Lower => matches!(next, Kind::Upper | Kind::Digit),
                Kind::Digit => matches!(next, Kind::Upper | Kind::Lower),
                Kind::Separator | Kind::Other => false,
            };
            if ends {
                out.push('_');
            }
        }
        before = here;
    }
    out
}

/// `http_serverV2` is `HttpServerV2`. Capitals after capitals become small; what is neither letter nor digit is dropped.
fn camel(text: &str) -> String {
    let text = text.trim();
    let mut out = String::with_capacity(text.len());
    let (mut starts_word, mut after_upper) = (true, false);
    for character in text.chars() {
        let here = kind(character);
        match here {
            Kind::Upper => {
                out.push(if after_upper && !starts_word { character.to_ascii_lowercase() } else { character })
            }
            Kind::Lower => out.push(if starts_word { character.to_ascii_uppercase() } else { character }),
            Kind::Digit => out.push(character),
            Kind::Separator | Kind::Other => {}
        }
        starts_word = matches!(here, Kind::Digit | Kind::Separator);
        after_upper = here == Kind::Upper;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives};
    use super::*;

    #[test]
    fn cases() {
        for (input, lower, upper, snake, camel) in [
            ("", "", "", "", ""),
            ("testString", "teststring", "TESTSTRING", "test_string", "TestString"),
            ("test-String", "test-string", "TEST-STRING", "test_string", "TestString"),
            ("JSONData", "jsondata", "JSONDATA", "json_data", "Jsondata"),
            ("  a b.c ", "  a b.c ", "  A B.C ", "a_b_c", "ABC"),
            ("v2API3", "v2api3", "V2API3", "v_2_api_3", "V2Api3"),
            ("HTTPServer_a1b", "httpserver_a1b", "HTTPSERVER_A1B", "http_server_a_1_b", "HttpserverA1B"),
            ("Grüße", "grüße", "GRÜßE", "grüße", "Gre"),
        ] {
            for (to_case, expected) in [("lower", lower), ("upper", upper), ("snake", snake), ("camel", camel)] {
                gives(Call::to("ConvertCase").arg("target", input).text("to_case", to_case), expected);
            }
            gives(Call::to("ToLowerCase").arg("target", input), lower);
            gives(Call::to("ToUpperCase").arg("target", input), upper);
            gives(Call::to("ToSnakeCase").arg("target", input), snake);
            gives(Call::to("ToCamelCase").arg("target", input), camel);
        }
    }

    #[test]
    fn other_cases_and_types_are_refused() {
        let error = Call::to("ConvertCase").arg("target", "a").text("to_case", "title").build().unwrap_err();
        assert!(error.contains("`title` is not a case"), "{error}");
        for name in ["ToLowerCase", "ToUpperCase", "ToSnakeCase", "ToCamelCase"] {
            fails(Call::to(name).arg("target", 1), "expected a string, found int");
            fails(Call::to(name).arg("target", Value::Nil), "expected a string, found nil");
        }
    }
}
