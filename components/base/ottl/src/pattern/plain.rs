//! Patterns that are a row of bytes and classes of bytes, each repeated so many times: `p=[0-9]+`, `^/api/[^/]+/x`.
//!
//! Most patterns in configurations are, and texts are short: going along the text finds a match before an automaton has
//! its cache. A pattern is taken only if each part's end is certain when it is reached (what may follow differs from what
//! is repeated), so that nothing is ever tried twice from one start; what starts cost is bounded, and beyond that the
//! caller takes the automaton.

use std::ops::Range;

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Most parts of such a pattern.
const PARTS_MAX: usize = 64;

/// Such a pattern. Matches are never empty.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    parts: Vec<Part>,
    /// The bytes of the first parts, if those are one byte each.
    prefix: Option<(usize, Finder<'static>)>,
    at_start: bool,
    at_end: bool,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    bytes: Bytes,
    min: usize,
    max: usize,
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes([u64; 4]);

/// So many bytes were looked at that an automaton is better.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Bytes {
    fn add(&mut self, first: u8, last: u8) {
        for byte in first..=last {
            self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
    }

    #[inline]
    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(mine, theirs)| mine & theirs != 0)
    }

    /// The only byte in it.
    fn single(&self) -> Option<u8> {
        let mut all = (0..=u8::MAX).filter(|byte| self.has(*byte));
        all.next().filter(|_| all.next().is_none())
    }
}

impl Plain {
    /// The pattern as such a one, if it is.
    pub(super) fn of(pattern: &str) -> Option<Self> {
        let hir = regex_syntax::parse(pattern).ok()?;
        let mut plain = Self { parts: Vec::new(), prefix: None, at_start: false, at_end: false };
        plain.take(&hir)?;
        plain.is_certain().then_some(())?;
        let ones = plain.parts.iter().take_while(|part| (part.min, part.max) == (1, 1));
        let prefix: Vec<u8> = ones.map_while(|part| part.bytes.single()).collect();
        if !prefix.is_empty() && !plain.at_start {
            plain.prefix = Some((prefix.len(), Finder::new(&prefix).into_owned()));
        }
        Some(plain)
    }

    fn take(&mut self, hir: &Hir) -> Option<()> {
        if self.at_end || self.parts.len() > PARTS_MAX {
            return None;
        }
        match hir.kind() {
            HirKind::Empty => {}
            HirKind::Literal(literal) => {
                for byte in &literal.0 {
                    let mut bytes = Bytes::default();
                    bytes.add(*byte, *byte);
                    self.parts.push(Part { bytes, min: 1, max: 1 });
                }
            }
            HirKind::Class(_) => self.parts.push(Part { bytes: ascii_of(hir)?, min: 1, max: 1 }),
            HirKind::Look(Look::Start) if self.parts.is_empty() => self.at_start = true,
            HirKind::Look(Look::End) => self.at_end = true,
            HirKind::Repetition(repetition) => {
                let (min, max) = (repetition.min as usize, repetition.max.map_or(usize::MAX, |max| max as usize));
                let is_open = min <= 1 && max == usize::MAX;
                // A character of several bytes counts once, which does not matter where there may be any number.
                let bytes = if is_open { bytes_of(&repetition.sub)? } else { ascii_of(&repetition.sub)? };
                if !repetition.greedy && min != max {
                    return None;
                }
                self.parts.push(Part { bytes, min, max });
            }
            HirKind::Capture(capture) => self.take(&capture.sub)?,
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.take(part))?,
            HirKind::Look(_) | HirKind::Alternation(_) => return None,
        }
        Some(())
    }

    /// Whether matches start with something, and each part ends where it must.
    fn is_certain(&self) -> bool {
        self.parts.first().is_some_and(|first| first.min > 0)
            && self.parts.iter().enumerate().all(|(number, part)| {
                let behind = self.parts.get(number + 1..).unwrap_or_default();
                let skipped = behind.iter().take_while(|next| next.min == 0).count();
                part.min == part.max || !behind.iter().take(skipped + 1).any(|next| next.bytes.meets(&part.bytes))
            })
    }

    /// How many bytes starts that fail may cost in a text of that length before an automaton is better.
    pub(super) fn budget(text_bytes: usize) -> usize {
        text_bytes.saturating_mul(4).saturating_add(256)
    }

    /// The leftmost match in valid UTF-8 from a place on; patterns anchored at the start match at 0 only. What starts that
    /// fail cost is taken from the budget, which is one for all searches of a text.
    pub(super) fn find_at(
        &self,
        text: &[u8],
        from: usize,
        budget: &mut usize,
    ) -> Result<Option<Range<usize>>, TooLong> {
        let mut start = from;
        loop {
            let (part, at) = match &self.prefix {
                _ if self.at_start && start > 0 => return Ok(None),
                _ if self.at_start => (0, 0),
                Some((len, finder)) => match text.get(start..).and_then(|rest| finder.find(rest)) {
                    Some(found) => {
                        start += found;
                        (*len, start + len)
                    }
                    None => return Ok(None),
                },
                None => match self.next_start(text, start) {
                    Some(found) => {
                        start = found;
                        (0, found)
                    }
                    None => return Ok(None),
                },
            };
            let (reached, first) = match self.end_at(text, part, at) {
                Ok(end) => return Ok(Some(start..end)),
                Err(failed) => failed,
            };
            *budget = budget.checked_sub(reached - start + 1).ok_or(TooLong)?;
            // From inside of a first part that may be of any length the rest would fail just the same.
            let is_open = part == 0 && self.parts.first().is_some_and(|part| part.min <= 1 && part.max == usize::MAX);
            start = if is_open { first.max(start + 1) } else { start + 1 };
        }
    }

    fn next_start(&self, text: &[u8], from: usize) -> Option<usize> {
        let first = self.parts.first()?;
        text.get(from..)?.iter().position(|byte| first.bytes.has(*byte)).map(|found| from + found)
    }

    /// Where a match ends whose parts from `part` on start at `at`; if there is none, up to where it was looked for, and
    /// where its first part ended.
    #[inline]
    fn end_at(&self, text: &[u8], part: usize, at: usize) -> Result<usize, (usize, usize)> {
        let (mut at, mut first) = (at, None);
        for part in self.parts.get(part..).unwrap_or_default() {
            let rest = text.get(at..).unwrap_or_default();
            let len = rest.iter().take(part.max).take_while(|byte| part.bytes.has(**byte)).count();
            at += len;
            first = first.or(Some(at));
            if len < part.min {
                return Err((at, first.unwrap_or(at)));
            }
        }
        if self.at_end && at != text.len() {
            return Err((at, first.unwrap_or(at)));
        }
        Ok(at)
    }
}

/// One character as a set of bytes, if all of its characters take one.
fn ascii_of(hir: &Hir) -> Option<Bytes> {
    bytes_of(hir).filter(|bytes| !bytes.has(0x80))
}

/// The bytes of a character, if that is ASCII or any that is not.
fn bytes_of(hir: &Hir) -> Option<Bytes> {
    let mut bytes = Bytes::default();
    match hir.kind() {
        HirKind::Literal(literal) => match literal.0[..] {
            [byte @ ..0x80] => bytes.add(byte, byte),
            _ => return None,
        },
        HirKind::Class(Class::Unicode(class)) => {
            for range in class.ranges() {
                if let Ok(first) = u8::try_from(range.start())
                    && first < 0x80
                {
                    bytes.add(first, u8::try_from(range.end()).map_or(0x7f, |last| last.min(0x7f)));
                }
                match range.end() {
                    ..='\x7f' => {}
                    char::MAX if range.start() <= '\u{80}' => bytes.add(0x80, 0xff),
                    _ => return None,
                }
            }
        }
        HirKind::Capture(capture) => return bytes_of(&capture.sub),
        _ => return None,
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn all(plain: &Plain, text: &str) -> Option<Vec<Range<usize>>> {
        let (mut found, mut from, mut budget) = (Vec::new(), 0, Plain::budget(text.len()));
        while let Some(range) = plain.find_at(text.as_bytes(), from, &mut budget).ok()? {
            from = range.end;
            found.push(range);
        }
        Some(found)
    }

    fn by_automaton(pattern: &str, text: &str) -> Vec<Range<usize>> {
        Regex::new(pattern).unwrap().find_iter(text).map(|found| found.range()).collect()
    }

    #[test]
    fn which_patterns_are_plain() {
        for pattern in [
            "p=[0-9]+",
            "in [0-9]{3,} ms",
            "^/api/[^/]+/x$",
            "é",
            "[a-z]+[0-9]*$",
            "(a)(b+)c",
            "x.*",
            "[a-f0-9]{8}-[a-f0-9]{4}",
            "ab?c",
        ] {
            assert!(Plain::of(pattern).is_some(), "{pattern}");
        }
        for pattern in [
            "", "a*", "ab|cd", r"\bword", "[a-z]+a", "a+?b", ".{3}", "(ab)+", "a?", "^", "x$y", "[^ ]", "[^é]+", "é+",
            "a.*b", "a?b?a",
        ] {
            assert!(Plain::of(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn what_costs_too_much_is_given_up() {
        let mut budget = Plain::budget(10_000);
        let plain = Plain::of("a[a-z]*1").unwrap();
        assert_eq!(plain.find_at("a".repeat(10_000).as_bytes(), 0, &mut budget), Err(TooLong));
        let (plain, mut budget) = (Plain::of("[a-z]+1").unwrap(), Plain::budget(10_000));
        assert_eq!(plain.find_at("a".repeat(10_000).as_bytes(), 0, &mut budget), Ok(None));
    }

    fn part() -> impl Strategy<Value = String> {
        const ONE: &[&str] =
            &["a", "b", "é", "1", " ", "[ab]", "[^a]", "[^b ]", "[^é]", "[0-9]", r"\.", ".", "[a-c1]", "(b)", "(a|b)"];
        const TIMES: &[&str] = &["", "", "+", "*", "?", "{2}", "{1,2}", "{2,}", "+?"];
        (prop::sample::select(ONE), prop::sample::select(TIMES)).prop_map(|(one, times)| [one, times].concat())
    }

    proptest! {
        #[test]
        fn matches_are_those_of_the_automaton(
            start in prop::sample::select(&["", "^"][..]),
            parts in prop::collection::vec(part(), 1..5),
            end in prop::sample::select(&["", "$"][..]),
            text in "[abcé1. \n]{0,24}",
        ) {
            let pattern = [start, &parts.concat(), end].concat();
            if let Some(found) = Plain::of(&pattern).and_then(|plain| all(&plain, &text)) {
                prop_assert_eq!(found, by_automaton(&pattern, &text), "{} on {:?}", pattern, text);
            }
        }
    }
}
