//! Every match in a text, one after another, at a cost that is linear in the text.
//!
//! One search is linear, all of them need not be: with `.*;|x`, each of a thousand `x` has the search look for a `;` up to
//! the end of the text. The engine does not say how far a search looked, so that each is first taken to have looked at all
//! that was left. What that allows is enough for texts with few matches; behind it, the rest of the text is gone through
//! with an automaton that is driven byte by byte and counts (`Counted`), up to the bound. The matches are those of
//! `Regex::find_iter` in each stage.

use std::ops::Range;
use std::sync::OnceLock;

use regex::{Captures, Regex};
use regex_automata::hybrid::{dfa, regex as hybrid};
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input};

use crate::error::RunError;

use super::plain::{Plain, TooLong};
use super::{LITERAL_BYTES_MAX, Matcher};

/// What searches may look at before it is counted: so many times the text's length, each taken to look at all that is left.
const UNCOUNTED_TIMES: usize = 16;
/// What they may look at when it is counted.
const COUNTED_TIMES: usize = 64;
/// What either may be however short the text is, in bytes.
const BYTES_ALWAYS: usize = 64 << 10;

/// What a search yields: a place, or the groups as well.
pub(super) trait Found<'t>: Sized {
    /// Searches that it takes once the place is known.
    const MORE_SEARCHES: usize;
    /// The first from a place on.
    fn from(regex: &Regex, text: &'t str, from: usize) -> Option<Self>;
    /// The one of which the place is known.
    fn at(regex: &Regex, text: &'t str, place: Range<usize>) -> Option<Self>;
    fn place(&self) -> Range<usize>;
}

impl Found<'_> for Range<usize> {
    const MORE_SEARCHES: usize = 0;

    fn from(regex: &Regex, text: &str, from: usize) -> Option<Self> {
        regex.find_at(text, from).map(|found| found.range())
    }

    fn at(_: &Regex, _: &str, place: Range<usize>) -> Option<Self> {
        Some(place)
    }

    fn place(&self) -> Range<usize> {
        self.clone()
    }
}

impl<'t> Found<'t> for Captures<'t> {
    const MORE_SEARCHES: usize = 1;

    fn from(regex: &Regex, text: &'t str, from: usize) -> Option<Self> {
        regex.captures_at(text, from)
    }

    fn at(regex: &Regex, text: &'t str, place: Range<usize>) -> Option<Self> {
        regex.captures_at(text, place.start)
    }

    fn place(&self) -> Range<usize> {
        self.get_match().range()
    }
}

/// All matches in a text.
pub(super) struct Matches<'m, 't> {
    matcher: &'m Matcher,
    text: &'t str,
    from: usize,
    last_end: Option<usize>,
    stage: Stage<'m>,
    /// Bytes that may still be looked at in this stage.
    left: usize,
}

enum Stage<'m> {
    Plain(&'m Plain),
    Uncounted,
    Counted(&'m Counted, Box<hybrid::Cache>),
}

impl<'m, 't> Matches<'m, 't> {
    pub(super) fn new(matcher: &'m Matcher, text: &'t str) -> Self {
        let (stage, left) = match &matcher.plain {
            Some(plain) => (Stage::Plain(plain), Plain::budget(text.len())),
            None => (Stage::Uncounted, allowed(text, UNCOUNTED_TIMES)),
        };
        Self { matcher, text, from: 0, last_end: None, stage, left }
    }

    /// The next match.
    ///
    /// # Errors
    /// [`RunError`] when the searches looked at too much.
    pub(super) fn next<F: Found<'t>>(&mut self) -> Result<Option<F>, RunError> {
        let Some(mut found) = self.search::<F>()? else { return Ok(None) };
        // There is no empty match right behind another match.
        if found.place().is_empty() && Some(found.place().end) == self.last_end {
            let rest = self.text.get(self.from..).unwrap_or_default();
            let Some(passed) = rest.chars().next() else { return Ok(None) };
            self.from += passed.len_utf8();
            match self.search()? {
                Some(next) => found = next,
                None => return Ok(None),
            }
        }
        self.from = found.place().end;
        self.last_end = Some(self.from);
        Ok(Some(found))
    }

    fn search<F: Found<'t>>(&mut self) -> Result<Option<F>, RunError> {
        let regex = &self.matcher.regex;
        if let Stage::Plain(plain) = &self.stage {
            match plain.find_at(self.text.as_bytes(), self.from, &mut self.left) {
                Ok(found) => return Ok(found.and_then(|place| F::at(regex, self.text, place))),
                Err(TooLong) => (self.stage, self.left) = (Stage::Uncounted, allowed(self.text, UNCOUNTED_TIMES)),
            }
        }
        if let Stage::Uncounted = &self.stage {
            if let Some(left) = self.left.checked_sub(self.text.len() - self.from + 1) {
                self.left = left;
                return Ok(F::from(regex, self.text, self.from));
            }
            let counted = self.matcher.counted.get_or_init(|| Counted::new(regex.as_str())).as_ref();
            let counted = counted.ok_or("the pattern is too large for a text of so many matches")?;
            self.left = allowed(self.text, COUNTED_TIMES) / (1 + F::MORE_SEARCHES);
            self.stage = Stage::Counted(counted, Box::new(counted.0.create_cache()));
        }
        let Stage::Counted(counted, cache) = &mut self.stage else { return Ok(None) };
        match counted.find_at(cache, self.text, self.from, &mut self.left) {
            Ok(place) => Ok(place.and_then(|place| F::at(regex, self.text, place))),
            Err(Refused::TooFar) => Err(RunError::new(format!(
                "the pattern looked at more than {} bytes of a text of {} bytes: its searches reach far behind its matches",
                allowed(self.text, COUNTED_TIMES),
                self.text.len(),
            ))),
            Err(Refused::TooManyStates) => {
                Err("the pattern needs too many states for a text of so many matches".into())
            }
        }
    }
}

fn allowed(text: &str, times: usize) -> usize {
    text.len().saturating_mul(times).saturating_add(BYTES_ALWAYS)
}

/// A pattern as an automaton that is driven byte by byte.
#[derive(Debug)]
pub(super) struct Counted(hybrid::Regex);

/// Filled at the first text that needs it.
pub(super) type CountedOnce = OnceLock<Option<Counted>>;

enum Refused {
    TooFar,
    TooManyStates,
}

impl Counted {
    fn new(pattern: &str) -> Option<Self> {
        // What `regex` builds for itself: it gives up where it does, where states are made for a few bytes only.
        let config = dfa::Config::new()
            .unicode_word_boundary(true)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let size = thompson::Config::new().nfa_size_limit(Some(4 * LITERAL_BYTES_MAX));
        hybrid::Builder::new().thompson(size).dfa(config).build(pattern).ok().map(Self)
    }

    /// The leftmost match from a place on. What is looked at is taken from `left`.
    fn find_at(
        &self,
        cache: &mut hybrid::Cache,
        text: &str,
        mut from: usize,
        left: &mut usize,
    ) -> Result<Option<Range<usize>>, Refused> {
        let (forward, reverse) = cache.as_parts_mut();
        loop {
            let Some(end) = self.end_from(forward, text, from, left)? else { return Ok(None) };
            *left = left.checked_sub(end - from).ok_or(Refused::TooFar)?;
            let behind = Input::new(text).range(from..end).anchored(Anchored::Yes);
            let start = self.0.reverse().try_search_rev(reverse, &behind).map_err(|_gave_up| Refused::TooManyStates)?;
            let start = start.map_or(end, |start| start.offset());
            // An empty match inside of a character is none.
            if start == end && !text.is_char_boundary(end) {
                from = end + 1;
                continue;
            }
            return Ok(Some(start..end));
        }
    }

    /// Where the leftmost match ends.
    fn end_from(
        &self,
        cache: &mut dfa::Cache,
        text: &str,
        from: usize,
        left: &mut usize,
    ) -> Result<Option<usize>, Refused> {
        let (dfa, states) = (self.0.forward(), Refused::TooManyStates);
        let input = Input::new(text).range(from..);
        let Ok(mut state) = dfa.start_state_forward(cache, &input) else { return Err(states) };
        let mut end = None;
        cache.search_start(from);
        for (at, byte) in text.bytes().enumerate().skip(from) {
            *left = left.checked_sub(1).ok_or(Refused::TooFar)?;
            let Ok(next) = dfa.next_state(cache, state, byte) else {
                cache.search_finish(at);
                return Err(states);
            };
            state = next;
            if !state.is_tagged() {
                continue;
            }
            if state.is_match() {
                // A match is told one byte late.
                end = Some(at);
            } else if state.is_dead() {
                cache.search_finish(at);
                return Ok(end);
            } else if state.is_quit() {
                cache.search_finish(at);
                return Err(states);
            }
            cache.search_update(at);
        }
        cache.search_finish(text.len());
        let Ok(state) = dfa.next_eoi_state(cache, state) else { return Err(states) };
        Ok(if state.is_match() { Some(text.len()) } else { end })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::compile;
    use super::*;

    fn matcher(pattern: &str) -> Matcher {
        Matcher::new(compile(pattern).unwrap())
    }

    /// What the counted stage finds alone.
    fn counted(matcher: &Matcher, text: &str) -> Vec<Range<usize>> {
        let counted = matcher.counted.get_or_init(|| Counted::new(matcher.regex.as_str())).as_ref().unwrap();
        let stage = Stage::Counted(counted, Box::new(counted.0.create_cache()));
        let left = usize::MAX;
        let mut matches = Matches { matcher, text, from: 0, last_end: None, stage, left };
        let mut all = Vec::new();
        while let Some(found) = matches.next().unwrap() {
            all.push(found);
        }
        all
    }

    fn of_the_engine(matcher: &Matcher, text: &str) -> Vec<Range<usize>> {
        matcher.regex.find_iter(text).map(|found| found.range()).collect()
    }

    /// Goes through a text: the matches, what was looked at when counted, and how it ended.
    fn cost<'t, F: Found<'t>>(matcher: &Matcher, text: &'t str) -> (usize, usize, Result<(), RunError>) {
        let (mut matches, mut count) = (Matches::new(matcher, text), 0);
        let outcome = loop {
            match matches.next::<F>() {
                Ok(Some(_)) => count += 1,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let counted = match matches.stage {
            Stage::Counted(..) => allowed(text, COUNTED_TIMES) / (1 + F::MORE_SEARCHES) - matches.left,
            _ => 0,
        };
        (count, counted, outcome)
    }

    #[test]
    fn work_grows_with_length() {
        for pattern in [r".*[^A]X|A", r"A.*;|A\S?"] {
            let matcher = matcher(pattern);
            for len in [10_000, 40_000, 160_000] {
                let text = "A".repeat(len);
                let (count, counted, outcome) = cost::<Range<usize>>(&matcher, &text);
                let most = COUNTED_TIMES * len + BYTES_ALWAYS;
                assert!(counted > most - len && counted <= most, "{pattern} on {len}: {counted}");
                assert!(count < UNCOUNTED_TIMES + COUNTED_TIMES + 40, "{pattern} on {len}: {count} matches");
                let error = outcome.unwrap_err().to_string();
                let expected = format!("looked at more than {most} bytes of a text of {len} bytes");
                assert!(error.contains(&expected), "{error}");
                assert!(cost::<Captures<'_>>(&matcher, &text).2.is_err(), "{pattern} on {len} with groups");
            }
        }
    }

    #[test]
    fn ordinary_patterns_stay_far_below_the_bound() {
        let line = r#"{"user":"ann","password":"hunter2","token":"abc"} password=hunter2 GET /a/b?c=d took 12 ms"#;
        let text = [line, "\n"].concat().repeat(12_000);
        for (pattern, count) in [
            (r#""(?:password|token)":\s*"[^"]*""#, 24_000),
            (r"password=.*;|password=\S+", 12_000),
            (r"(?i)took (?P<number>\d+)\s?(ms|s)", 12_000),
            (r"\b[a-z]+\b", 144_000),
            (r"GET \S+|POST \S+", 12_000),
        ] {
            let matcher = matcher(pattern);
            let (found, counted, outcome) = cost::<Range<usize>>(&matcher, &text);
            assert_eq!((found, outcome), (count, Ok(())), "{pattern}");
            assert!(0 < counted && counted < 4 * text.len(), "{pattern}: {counted} of {}", text.len());
            let (found, _, outcome) = cost::<Captures<'_>>(&matcher, &text);
            assert_eq!((found, outcome), (count, Ok(())), "{pattern} with groups");
        }
    }

    #[test]
    fn plain_patterns_that_try_much_in_vain_go_on_with_the_engine() {
        let text = ["a".repeat(300), "b".to_owned()].concat().repeat(40);
        let matcher = matcher("a{40}b");
        let mut matches = Matches::new(&matcher, &text);
        assert!(matches!(matches.stage, Stage::Plain(_)));
        let mut all = Vec::new();
        while let Some(found) = matches.next::<Range<usize>>().unwrap() {
            all.push(found);
        }
        assert!(matches!(matches.stage, Stage::Uncounted), "{} left", matches.left);
        assert_eq!(all, of_the_engine(&matcher, &text));
        assert_eq!(all.len(), 40);
    }

    #[test]
    fn empty_matches_and_characters() {
        for pattern in ["", "x*", "a?", r"\b", r"\B", "é*", "(?m)^", "(?m)$", "$", r"\B|é", "|a"] {
            let matcher = matcher(pattern);
            for text in ["", "a", "xéx aa\né", "ééé", "\n\n", "a 🦀 b"] {
                assert_eq!(counted(&matcher, text), of_the_engine(&matcher, text), "{pattern} on {text:?}");
                let mut matches = Matches::new(&matcher, text);
                let mut all = Vec::new();
                while let Some(found) = matches.next::<Range<usize>>().unwrap() {
                    all.push(found);
                }
                assert_eq!(all, of_the_engine(&matcher, text), "{pattern} on {text:?}");
            }
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        const ONE: &[&str] =
            &["a", "é", "1", "[ab]", "[^a]", ".", "(?s:.)", r"\b", r"\B", "(?:ab|a)", "(?m:$)", "(?m:^)", "$", "|"];
        const TIMES: &[&str] = &["", "", "+", "*", "?", "{2}", "*?", "+?", "{1,2}"];
        (prop::sample::select(ONE), prop::sample::select(TIMES)).prop_map(|(one, times)| match one {
            "|" => one.to_owned(),
            _ => [one, times].concat(),
        })
    }

    proptest! {
        #[test]
        fn matches_are_those_of_the_engine(pieces in prop::collection::vec(piece(), 1..6), text in "[abé1 \n]{0,24}") {
            let Ok(regex) = compile(&pieces.concat()) else { return Ok(()) };
            let matcher = Matcher::new(regex);
            prop_assert_eq!(counted(&matcher, &text), of_the_engine(&matcher, &text), "{:?} on {:?}", pieces, text);
        }
    }
}
