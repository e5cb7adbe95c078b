//! Literals in the text of SQL statements.
//!
//! A tokeniser without a grammar, for any dialect and for statements cut short; in doubt a thing is a literal. Literals are
//! single-quoted strings (with `N`, `E`, `B`, `X`, `R`, `U&` before them, Oracle's `q'[…]'`), dollar-quoted ones, numbers
//! (also hexadecimal, binary and with exponents), and bare UUIDs. Kept: keywords, names (bare, in backticks, in brackets)
//! with the digits in them, placeholders (`$1`, `:1`, `?`, `@p1`), comments apart from the numbers and quoted parts in
//! them.
//!
//! Two things mean different things in different dialects:
//! - Backslashes before quotes escape them in MySQL, not in standard SQL. A statement with one is read both ways; the way
//!   that leaves no quote open is the right one, and if that does not tell, what is a literal either way is one.
//! - Double quotes are names in standard SQL, strings in MySQL. They are taken as names when they look like one and stand
//!   where names stand: joined by a point, or behind `SELECT`, `FROM`, `WHERE`, `INTO`, …; behind an operator, in `VALUES`,
//!   `IN`, arguments, and everywhere else they are strings. Keys of JSON (statements of document stores) are kept.

use crate::bytes::{at, before, digits_end, find, find_byte, is_alnum, looked_at, run_end};
use crate::{Finding, Kind};

/// The first four letters of the verbs, as numbers that compare quickly.
const FIRST: [u32; 12] = {
    let verbs: [&[u8; 4]; 12] =
        [b"sele", b"inse", b"upda", b"dele", b"repl", b"merg", b"with", b"call", b"exec", b"crea", b"alte", b"expl"];
    let mut first = [0; 12];
    let mut which = 0;
    while which < verbs.len() {
        first[which] = u32::from_le_bytes(*verbs[which]);
        which += 1;
    }
    first
};

/// What verbs begin with, and what may stand before them, as bits of the bytes' lower five.
const FIRST_BYTES: u32 = {
    let (mut bits, mut which) = (1 << (b'(' & 31) | 1 << (b' ' & 31), 0);
    while which < FIRST.len() {
        bits |= 1 << (FIRST[which] & 31);
        which += 1;
    }
    // Comments.
    bits |= 1 << (b'/' & 31) | 1 << (b'-' & 31);
    // Other whitespace.
    bits | 1 << b'\t' | 1 << b'\n' | 1 << 0x0c | 1 << b'\r'
};

/// Whether a text begins like a statement: with a verb and the word that must go with it.
#[inline]
pub(crate) fn is_statement(text: &[u8]) -> bool {
    // Most texts are done here.
    match text.first_chunk::<4>() {
        Some(first) if FIRST_BYTES >> (first[0] & 31) & 1 == 1 => {
            let [byte, second, ..] = *first;
            let first = u32::from_le_bytes(*first) | 0x2020_2020;
            let is_verb = FIRST.contains(&first);
            let leads = match byte {
                b'/' => second == b'*',
                b'-' => second == b'-',
                _ => !(first as u8).is_ascii_lowercase(),
            };
            (is_verb || leads) && is_statement_in_full(text)
        }
        _ => false,
    }
}

/// The end of the whitespace and comments at `start`.
fn skipped(text: &[u8], start: usize) -> usize {
    let mut place = start;
    loop {
        place = run_end(text, place, |byte| byte.is_ascii_whitespace());
        let rest = text.get(place..).unwrap_or_default();
        place += match rest {
            [b'/', b'*', body @ ..] => find(body, b"*/").map_or(rest.len(), |end| end + 4),
            [b'-', b'-', body @ ..] => find_byte(body, b'\n').map_or(rest.len(), |end| end + 3),
            _ => return place,
        };
    }
}

#[inline(never)]
fn is_statement_in_full(text: &[u8]) -> bool {
    let mut start = skipped(text, 0);
    while at(text, start) == b'(' {
        start = skipped(text, start + 1);
    }
    let Some(first) = text.get(start..).and_then(|rest| rest.first_chunk::<4>()) else { return false };
    if !FIRST.contains(&(u32::from_le_bytes(*first) | 0x2020_2020)) {
        return false;
    }
    let word_at = |from: usize| {
        let end = run_end(text, from, |byte| byte.is_ascii_alphabetic());
        (text.get(from..end.min(from + 16)).unwrap_or_default(), end)
    };
    let (verb, end) = word_at(start);
    let is = |word: &[u8], names: &[&[u8]]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if verb.len() < 4
        || !is(
            verb,
            &[
                b"select", b"insert", b"update", b"delete", b"replace", b"merge", b"with", b"call", b"exec",
                b"execute", b"create", b"alter", b"explain",
            ],
        )
    {
        return false;
    }
    let gap = skipped(text, end);
    if gap == end {
        return false;
    }
    let (next, _) = word_at(gap);
    let has = |word: &[u8]| crate::bytes::has_word(text.get(end..).unwrap_or_default(), &[word]);
    match verb.to_ascii_lowercase().as_slice() {
        b"select" => has(b"from"),
        b"insert" | b"replace" | b"merge" => is(next, &[b"into", b"ignore", b"overwrite"]),
        b"update" => has(b"set"),
        b"delete" => is(next, &[b"from"]),
        b"with" => has(b"as") && (has(b"select") || has(b"insert") || has(b"update")),
        b"explain" => has(b"select") || has(b"update") || has(b"insert") || has(b"delete"),
        b"create" | b"alter" => {
            is(next, &[b"user", b"role", b"login", b"table", b"index", b"view", b"database", b"unique", b"function"])
        }
        _ => text.get(gap..).is_some_and(|rest| {
            let name = run_end(rest, 0, |byte| is_alnum(byte) || matches!(byte, b'_' | b'.'));
            name > 0 && (at(rest, name) == b'(' || matches!(verb, b"exec" | b"EXEC" | b"EXECUTE" | b"CALL"))
        }),
    }
}

/// Appends the literals of `text` to `out`.
pub(crate) fn literals(text: &[u8], out: &mut Vec<Finding>) {
    let mut read = |backslashes: bool| {
        let from = out.len();
        let mut found = |start, end| out.push(Finding { kind: Kind::SqlLiteral, start, end });
        let complete = Reader::new(text, backslashes).read(&mut found);
        (from, complete)
    };
    let (plain, plain_complete) = read(false);
    if !text.windows(2).any(|pair| matches!(pair, b"\\'" | b"\\\"")) {
        return;
    }
    let (escaped, escaped_complete) = read(true);
    match (plain_complete, escaped_complete) {
        (true, false) => out.truncate(escaped),
        (false, true) => {
            out.drain(plain..escaped);
        }
        _ => {}
    }
}

/// What stands before a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Previous {
    Word,
    Point,
    Operator,
    Other,
}

/// How deep parentheses are followed; below, double quotes are strings.
const DEPTH_MAX: usize = 64;

struct Reader<'a> {
    text: &'a [u8],
    place: usize,
    backslashes: bool,
    /// Whether every quote was closed.
    complete: bool,
    previous: Previous,
    /// Whether names stand here, as the last telling keyword has it.
    names: bool,
    /// Whether that keyword is followed by a list of columns in parentheses.
    columns: bool,
    /// Whether the next `AND` belongs to `BETWEEN`.
    between: bool,
    /// Whether a name of a table may follow, which may begin with a digit.
    table: bool,
    /// `names` outside of each parenthesis, and how many of them there are in all.
    outer: Vec<bool>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8], backslashes: bool) -> Self {
        Self {
            text,
            place: 0,
            backslashes,
            complete: true,
            previous: Previous::Other,
            names: false,
            columns: false,
            between: false,
            table: false,
            outer: Vec::new(),
            depth: 0,
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        at(self.text, self.place + ahead)
    }

    /// Gives the range of each literal to `found`; returns whether every quote was closed.
    fn read(mut self, found: &mut impl FnMut(usize, usize)) -> bool {
        while let Some(&byte) = self.text.get(self.place) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.place += 1,
                b'\'' => self.string(self.place, b'\'', self.backslashes, found),
                b'"' => self.double_quoted(found),
                b'`' => self.backticks(),
                b'$' => self.dollar(found),
                b'0'..=b'9' => self.number(found),
                b'.' if self.peek(1).is_ascii_digit() && self.previous != Previous::Word => self.number(found),
                b'-' if self.peek(1) == b'-' => self.line_comment(found),
                b'#' if self.is_hash_comment() => self.line_comment(found),
                b'/' if self.peek(1) == b'*' => self.block_comment(found),
                b'[' => self.bracket(),
                b':' | b'?' if self.is_placeholder() => {
                    self.place = digits_end(self.text, self.place + 1);
                    self.previous = Previous::Word;
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'@' | b'#' | 0x80.. => self.word(found),
                _ => self.punctuation(byte),
            }
        }
        self.complete
    }

    fn literal(&mut self, start: usize, end: usize, found: &mut impl FnMut(usize, usize)) {
        found(start, end);
        self.place = end;
        self.previous = Previous::Word;
        self.table = false;
    }

    /// A string from `start` (its prefix, if any) whose opening `quote` is at `place`.
    fn string(&mut self, start: usize, quote: u8, backslashes: bool, found: &mut impl FnMut(usize, usize)) {
        let end = self.string_end(quote, backslashes);
        self.complete &= end.is_some();
        self.literal(start, end.unwrap_or(self.text.len()), found);
    }

    fn string_end(&self, quote: u8, backslashes: bool) -> Option<usize> {
        let mut place = self.place + 1;
        loop {
            let rest = self.text.get(place..)?;
            let found = if backslashes { memchr::memchr2(quote, b'\\', rest) } else { memchr::memchr(quote, rest) };
            looked_at(found.unwrap_or(rest.len()));
            place += found?;
            if at(self.text, place) == b'\\' || at(self.text, place + 1) == quote {
                place += 2;
            } else {
                return Some(place + 1);
            }
        }
    }

    fn double_quoted(&mut self, found: &mut impl FnMut(usize, usize)) {
        let start = self.place;
        let end = self.string_end(b'"', self.backslashes);
        let inner = end.and_then(|end| self.text.get(start + 1..end - 1)).unwrap_or_default();
        let plain = inner.len() <= 63
            && inner.first().is_some_and(|&byte| !byte.is_ascii_digit())
            && inner.iter().all(|&byte| is_alnum(byte) || matches!(byte, b'_' | b'$' | b'.' | b'-'));
        let is_name = plain
            && end.is_some_and(|end| {
                let next = run_end(self.text, end, |byte| byte.is_ascii_whitespace()).min(end + 64);
                let key = at(self.text, next) == b':' && at(self.text, next + 1) != b':';
                key || self.previous == Previous::Point
                    || at(self.text, end) == b'.'
                    || self.names && self.previous != Previous::Operator
            });
        match end {
            Some(end) if is_name => {
                self.place = end;
                self.previous = Previous::Word;
                self.table = false;
            }
            _ => {
                self.complete &= end.is_some();
                self.literal(start, end.unwrap_or(self.text.len()), found);
            }
        }
    }

    fn backticks(&mut self) {
        let rest = self.text.get(self.place + 1..).unwrap_or_default();
        // Names are short; a lone backtick is no quote.
        let look = rest.get(..256).unwrap_or(rest);
        self.place += find_byte(look, b'`').map_or(1, |end| end + 2);
        self.previous = Previous::Word;
    }

    /// `$1`, `$$…$$`, `$tag$…$tag$`, or a sign.
    fn dollar(&mut self, found: &mut impl FnMut(usize, usize)) {
        let start = self.place;
        let tag_end = run_end(self.text, start + 1, |byte| is_alnum(byte) || byte == b'_' || byte >= 0x80);
        let digit = self.peek(1).is_ascii_digit();
        if at(self.text, tag_end) == b'$' && !digit && tag_end - start <= 64 {
            let tag = self.text.get(start..=tag_end).unwrap_or_default();
            let body = self.text.get(tag_end + 1..).unwrap_or_default();
            let end = find(body, tag).map_or(self.text.len(), |found| tag_end + 1 + found + tag.len());
            self.literal(start, end, found);
        } else {
            self.place = if digit { digits_end(self.text, start + 1) } else { start + 1 };
            self.previous = Previous::Word;
        }
    }

    fn number(&mut self, found: &mut impl FnMut(usize, usize)) {
        let start = self.place;
        let in_word = |byte: u8| is_alnum(byte) || byte == b'_' || byte == b'$' || byte >= 0x80;
        if let Some(end) = self.uuid_end() {
            return self.literal(start, end, found);
        }
        let mut end = run_end(self.text, start, in_word);
        let name = self.text.get(start..end).unwrap_or_default();
        if (self.previous == Previous::Point || self.table) && !name.iter().all(u8::is_ascii_digit) {
            self.place = end;
            self.previous = Previous::Word;
            self.table = false;
            return;
        }
        if at(self.text, end) == b'.' {
            end = run_end(self.text, end + 1, in_word);
        }
        let hex = at(self.text, start) == b'0' && at(self.text, start + 1) | 0x20 == b'x';
        if !hex && matches!(before(self.text, end, 1), b'e' | b'E') && matches!(at(self.text, end), b'+' | b'-') {
            end = run_end(self.text, end + 1, in_word);
        }
        self.literal(start, end, found);
    }

    fn uuid_end(&self) -> Option<usize> {
        let token = self.text.get(self.place..self.place + 36)?;
        let shape = token
            .iter()
            .enumerate()
            .all(|(i, &byte)| if matches!(i, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() });
        (shape && !is_alnum(self.peek(36))).then_some(self.place + 36)
    }

    fn word(&mut self, found: &mut impl FnMut(usize, usize)) {
        let start = self.place;
        if let Some(end) = self.uuid_end() {
            return self.literal(start, end, found);
        }
        let end = run_end(self.text, start + 1, |byte| {
            is_alnum(byte) || matches!(byte, b'_' | b'$' | b'@' | b'#') || byte >= 0x80
        });
        let word = self.text.get(start..end).unwrap_or_default();
        self.place = end;
        if at(self.text, end) == b'&' && at(self.text, end + 1) == b'\'' && matches!(word, b"U" | b"u") {
            self.place = end + 1;
            return self.string(start, b'\'', self.backslashes, found);
        }
        if let quote @ (b'\'' | b'"') = at(self.text, end) {
            match word {
                b"e" | b"E" => return self.string(start, quote, true, found),
                b"n" | b"N" | b"b" | b"B" | b"x" | b"X" | b"r" | b"R" => {
                    return self.string(start, quote, self.backslashes, found);
                }
                b"q" | b"Q" | b"nq" | b"Nq" | b"nQ" | b"NQ" if quote == b'\'' => {
                    return self.oracle_quoted(start, found);
                }
                _ => {}
            }
        }
        self.previous = Previous::Word;
        self.keyword(word);
    }

    /// `q'[…]'`: any byte may stand for the bracket.
    fn oracle_quoted(&mut self, start: usize, found: &mut impl FnMut(usize, usize)) {
        let close = match self.peek(1) {
            b'[' => b']',
            b'(' => b')',
            b'{' => b'}',
            b'<' => b'>',
            byte => byte,
        };
        let body = self.text.get(self.place + 2..).unwrap_or_default();
        let end = find(body, &[close, b'\'']).map_or(self.text.len(), |found| self.place + 2 + found + 2);
        self.literal(start, end, found);
    }

    fn keyword(&mut self, word: &[u8]) {
        let mut lower = [0u8; 12];
        let table = std::mem::take(&mut self.table);
        let Some(lower) = lower.get_mut(..word.len()) else { return };
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        match &*lower {
            b"and" if self.between => self.between = false,
            b"select" | b"distinct" | b"where" | b"and" | b"or" | b"not" | b"having" | b"set" | b"returning"
            | b"case" | b"all" | b"alter" | b"drop" | b"add" | b"column" => (self.names, self.columns) = (true, false),
            b"from" | b"join" | b"update" | b"only" | b"truncate" => {
                (self.names, self.columns, self.table) = (true, false, true)
            }
            b"into" | b"table" | b"references" | b"exists" => {
                (self.names, self.columns, self.table) = (true, true, true)
            }
            b"by" if !self.names => {}
            b"by" | b"as" | b"on" | b"using" | b"key" | b"index" | b"view" | b"with" | b"constraint" | b"recursive" => {
                (self.names, self.columns) = (true, true);
            }
            b"between" => (self.names, self.between) = (false, true),
            b"values" | b"value" | b"in" | b"like" | b"ilike" | b"rlike" | b"regexp" | b"similar" | b"when"
            | b"then" | b"else" | b"password" | b"comment" | b"identified" | b"escape" | b"limit" | b"offset"
            | b"is" | b"default" | b"call" | b"exec" | b"execute" | b"to" | b"glob" | b"match" | b"against" => {
                self.names = false
            }
            b"if" => self.table = table,
            _ => {}
        }
    }

    fn is_hash_comment(&self) -> bool {
        let begins = self.place == 0 || before(self.text, self.place, 1).is_ascii_whitespace();
        begins && !matches!(self.peek(1), b'>' | b'-' | b'#') && !(self.table && self.peek(1).is_ascii_alphabetic())
    }

    /// `:1` and `?1`, not the end of a slice (`a[1:2]`) or of a time of day.
    fn is_placeholder(&self) -> bool {
        self.peek(1).is_ascii_digit()
            && !matches!(before(self.text, self.place, 1), byte if is_alnum(byte) || matches!(byte, b':' | b']' | b')' | b'"' | b'_'))
    }

    fn line_comment(&mut self, found: &mut impl FnMut(usize, usize)) {
        let end = run_end(self.text, self.place, |byte| byte != b'\n');
        comment(self.text, self.place, end, found);
        self.place = end;
    }

    fn block_comment(&mut self, found: &mut impl FnMut(usize, usize)) {
        // `/*! … */` is executed by MySQL, `/*+ … */` are hints: both are code.
        if matches!(self.peek(2), b'!' | b'+') {
            self.place = digits_end(self.text, self.place + 3);
            return;
        }
        let body = self.text.get(self.place + 2..).unwrap_or_default();
        let end = find(body, b"*/").map_or(self.text.len(), |found| self.place + found + 4);
        comment(self.text, self.place, end, found);
        self.place = end;
    }

    /// `[name]` is passed over; any other bracket is one of an array or a subscript.
    fn bracket(&mut self) {
        let inner = self.place + 1;
        let end = run_end(self.text, inner, |byte| is_alnum(byte) || matches!(byte, b'_' | b' ' | b'$' | b'#' | b'-'))
            .min(inner + 128);
        let is_name =
            at(self.text, end) == b']' && (at(self.text, inner).is_ascii_alphabetic() || at(self.text, inner) == b'_');
        self.place = if is_name { end + 1 } else { inner };
        self.previous = if is_name { Previous::Word } else { Previous::Other };
    }

    fn punctuation(&mut self, byte: u8) {
        match byte {
            b'(' => {
                if self.outer.len() < DEPTH_MAX {
                    self.outer.push(self.names);
                }
                self.depth += 1;
                // Arguments of a function are values, a list of columns is names, a sub-query starts anew.
                let call = is_alnum(before(self.text, self.place, 1)) && !self.columns;
                self.names &= !call && self.depth <= DEPTH_MAX;
            }
            b')' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth < self.outer.len()
                    && let Some(names) = self.outer.pop()
                {
                    self.names = names;
                }
            }
            _ => {}
        }
        self.previous = match byte {
            b'.' => Previous::Point,
            b'=' | b'<' | b'>' | b'!' | b'~' | b'|' | b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'&' | b':' | b'#' => {
                Previous::Operator
            }
            b')' | b']' => Previous::Word,
            _ => Previous::Other,
        };
        self.table &= byte == b',';
        self.place += 1;
    }
}

/// Numbers and closed quotes in a comment: an apostrophe opens nothing there.
fn comment(text: &[u8], start: usize, end: usize, found: &mut impl FnMut(usize, usize)) {
    let mut place = start;
    while place < end {
        match at(text, place) {
            quote @ (b'\'' | b'"') if !is_alnum(before(text, place, 1)) => {
                let rest = text.get(place + 1..end).unwrap_or_default();
                match find_byte(rest, quote) {
                    Some(close) => {
                        found(place, place + close + 2);
                        place += close + 2;
                    }
                    None => place += 1,
                }
            }
            byte if is_alnum(byte) || byte == b'_' || byte >= 0x80 => {
                let word_end = run_end(text, place, |byte| is_alnum(byte) || byte == b'_' || byte >= 0x80).min(end);
                if byte.is_ascii_digit() {
                    found(place, word_end);
                }
                place = word_end;
            }
            _ => place += 1,
        }
    }
}
