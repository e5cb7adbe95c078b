//! `Format`: text from a format with Go's verbs (`%d`, `%-5s`, `%08.3f`, `%[2]v`, `%*d`) and a list of values.
//!
//! As in Go nothing is an error: what does not fit shows in the text (`%!d(string=x)`, `%!d(MISSING)`). This file goes
//! through the format; [`verbs`] writes single values. How long the text may become is bounded, since widths may come
//! from telemetry.

mod verbs;

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use self::verbs::{Style, type_name, write_value};
use super::make::{Outcome, TEXT_BYTES_MAX, converter, function};
use crate::error::RunError;
use crate::expr::Expr;
use crate::function::{Convert, Function, Param, ParamKind};
use crate::subject::Subject;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[function(
    "Format",
    &[Param::required("format", ParamKind::Text), Param::required("vals", ParamKind::List)],
    |arguments| converter(Format { format: arguments.text("format")?, values: arguments.list("vals")? }),
)];

/// Greatest width and precision.
const WIDTH_MAX: usize = 1_000_000;

struct Format {
    format: String,
    values: Vec<Expr>,
}

impl Convert for Format {
    fn convert<'c>(&'c self, on: &mut Subject<'_>) -> Outcome<'c> {
        let values: Vec<Value<'c>> = self.values.iter().map(|value| value.eval(on)).collect::<Result<_, _>>()?;
        let mut state = State { values: &values, next: 0, is_reordered: false, is_index_good: true };
        let mut out = String::new();
        let mut rest = self.format.chars().peekable();
        while let Some(character) = rest.next() {
            if character == '%' {
                state.directive(&mut rest, &mut out);
            } else {
                out.push(character);
            }
            check(&out)?;
        }
        state.extra(&mut out);
        check(&out)?;
        Ok(Value::Str(Cow::Owned(out)))
    }
}

fn check(out: &str) -> Result<(), RunError> {
    if out.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(RunError::new(format!("the formatted text is longer than {TEXT_BYTES_MAX} bytes")))
}

/// Where we are in the values.
struct State<'a, 'v> {
    values: &'a [Value<'v>],
    next: usize,
    /// Whether an explicit index was met: then values may be left over.
    is_reordered: bool,
    /// Whether the last explicit index was one of a value.
    is_index_good: bool,
}

impl State<'_, '_> {
    /// What stands behind a percent sign.
    fn directive(&mut self, rest: &mut Peekable<Chars<'_>>, out: &mut String) {
        let mut style = Style::default();
        self.is_index_good = true;
        while let Some(flag) = rest.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => (style.minus, style.zero) = (true, false),
                '+' => style.plus = true,
                '#' => style.sharp = true,
                ' ' => style.space = true,
                _ => style.zero = !style.minus,
            }
        }
        self.index(rest);
        if rest.next_if_eq(&'*').is_some() {
            match self.star() {
                Some(width) => {
                    if width < 0 {
                        (style.minus, style.zero) = (true, false);
                    }
                    style.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
        } else if let Ok(width) = number(rest) {
            style.width = width.unwrap_or(0);
        } else {
            out.push_str("%!(NOVERB)");
            rest.by_ref().for_each(drop);
            return;
        }
        if rest.next_if_eq(&'.').is_some() {
            self.index(rest);
            if rest.next_if_eq(&'*').is_some() {
                style.precision = self.star().and_then(|precision| usize::try_from(precision).ok());
                if style.precision.is_none() {
                    out.push_str("%!(BADPREC)");
                }
            } else if let Ok(precision) = number(rest) {
                style.precision = Some(precision.unwrap_or(0));
            } else {
                out.push_str("%!(NOVERB)");
                rest.by_ref().for_each(drop);
                return;
            }
        }
        self.index(rest);
        match rest.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) if !self.is_index_good => out.push_str(&format!("%!{verb}(BADINDEX)")),
            Some(verb) => match self.values.get(self.next) {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(value) => {
                    self.next += 1;
                    write_value(value, verb, &style, out);
                }
            },
        }
    }

    /// `[3]`: the next value is the third.
    fn index(&mut self, rest: &mut Peekable<Chars<'_>>) {
        if rest.next_if_eq(&'[').is_none() {
            return;
        }
        self.is_reordered = true;
        let inside: String = rest.clone().take_while(|c| *c != ']').collect();
        if !rest.clone().any(|c| c == ']') {
            // Nothing closes it: only the bracket is passed over.
            self.is_index_good = false;
            return;
        }
        while rest.next().is_some_and(|c| c != ']') {}
        match inside.parse::<usize>() {
            Ok(index) if (1..=self.values.len()).contains(&index) => self.next = index - 1,
            _ => self.is_index_good = false,
        }
    }

    /// A width or precision that is a value.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        value.as_int().ok().filter(|number| number.unsigned_abs() <= WIDTH_MAX as u64)
    }

    /// Values that no verb took.
    fn extra(&self, out: &mut String) {
        let extra = self.values.get(self.next..).unwrap_or_default();
        if self.is_reordered || extra.is_empty() {
            return;
        }
        out.push_str("%!(EXTRA ");
        for (index, value) in extra.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            if matches!(value, Value::Nil) {
                out.push_str("<nil>");
            } else {
                out.push_str(type_name(value));
                out.push('=');
                write_value(value, 'v', &Style::default(), out);
            }
        }
        out.push(')');
    }
}

/// Takes a number off the front, if there is one.
///
/// # Errors
/// When it is too large.
fn number(rest: &mut Peekable<Chars<'_>>) -> Result<Option<usize>, ()> {
    let mut number = None;
    while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
        rest.next();
        let sum = number.unwrap_or(0) * 10 + digit as usize;
        if sum > WIDTH_MAX {
            return Err(());
        }
        number = Some(sum);
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Call, fails, gives, list};
    use super::*;

    fn check_all(cases: Vec<(&str, Vec<Value<'static>>, &str)>) {
        for (format, values, expected) in cases {
            gives(Call::to("Format").text("format", format).list("vals", values), expected.to_owned());
        }
    }

    #[test]
    fn formats() {
        check_all(vec![
            ("plain", vec![], "plain"),
            ("%d|%s|%v|%05.2f", vec![1.into(), "a".into(), Value::Nil, 1.234_56.into()], "1|a|<nil>|01.23"),
            ("100%% %d%%", vec![5.into()], "100% 5%"),
            ("%3%|%-5%|", vec![], "%|%|"),
            (
                "%*d|%-*d|%.*f",
                vec![5.into(), 1.into(), 4.into(), 2.into(), 2.into(), 1.234_56.into()],
                "    1|2   |1.23",
            ),
            ("%*d", vec![(-4).into(), 1.into()], "1   "),
            ("%[1]d %[1]v %[2]s", vec![1.into(), "a".into()], "1 1 a"),
            ("%[2]d %[1]d", vec![1.into(), 2.into()], "2 1"),
            ("%[3]*.[2]*[1]f", vec![12.0.into(), 2.into(), 6.into()], " 12.00"),
            ("é%cé", vec![233.into()], "ééé"),
        ]);
    }

    #[test]
    fn what_does_not_fit_shows() {
        check_all(vec![
            ("%d", vec!["x".into()], "%!d(string=x)"),
            ("%d %d", vec![1.into()], "1 %!d(MISSING)"),
            ("%d", vec![1.into(), 2.into()], "1%!(EXTRA int64=2)"),
            ("", vec![1.into(), "a".into(), Value::Nil, 1.5.into()], "%!(EXTRA int64=1, string=a, <nil>, float64=1.5)"),
            ("%", vec![], "%!(NOVERB)"),
            ("a%-", vec![1.into()], "a%!(NOVERB)%!(EXTRA int64=1)"),
            ("%!|%y", vec![1.into()], "%!!(int64=1)|%!y(MISSING)"),
            ("%z", vec![42.into()], "%!z(int64=42)"),
            ("%*d", vec!["x".into(), 1.into()], "%!(BADWIDTH)1"),
            ("%.*d|%d", vec![(-1).into(), 7.into(), 8.into()], "%!(BADPREC)7|8"),
            ("%[5]d %d", vec![1.into(), 2.into()], "%!d(BADINDEX) 1"),
            ("%[x]d", vec![1.into()], "%!d(BADINDEX)"),
            ("%[0]d", vec![1.into()], "%!d(BADINDEX)"),
            ("%[", vec![1.into()], "%!(NOVERB)"),
            ("%.2147483648d", vec![1.into()], "%!(NOVERB)%!(EXTRA int64=1)"),
            ("%s", vec![list(["a", "b"])], "[a b]"),
        ]);
    }

    #[test]
    fn the_text_is_bounded() {
        let values = vec![Value::Int(1); 8];
        let call = Call::to("Format").text("format", &"%999999d".repeat(8)).list("vals", values);
        fails(call, "the formatted text is longer than 4194304 bytes");
    }
}
