//! One text: whether it may stay as it is, and what takes its place.
//!
//! In order: what is allowed stays; then `blocked_values`, detectors (a second time with JSON's escapes undone), and the
//! sanitizers that apply. A text that is too long to be looked into is replaced as a whole.
//!
//! Where detectors are all that looks at a text, what they find is replaced on the way to the outgoing message; otherwise
//! a text goes from one step to the next by itself.

use detectors::{Finding, Kind, Place};

use crate::cache::Cache;
use crate::config::{Action, Summary};
use crate::escapes::{ROUNDS, Unescaped};
use crate::finding::Renderer;
use crate::json_number::JsonText;
use crate::path::Path;
use crate::pattern;
use crate::rules::{Deed, Rule, Rules};
use crate::sanitize::{Applied, Sanitizers};
use crate::summary::Lists;
use crate::tally::Tally;
use crate::writer::{Growth, Writer};

/// What takes the place of a text that is too long.
pub(crate) const TOO_LONG: &[u8] = b"<REDACTED_TOO_LONG>";

/// What becomes of a text; `T` is what takes its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict<T> {
    /// It stays.
    Clean,
    /// It stays because the configuration allows it.
    Allowed,
    /// This takes its place.
    Replaced(T),
    /// It goes.
    Removed,
}

/// Why an item is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A finding of the tier `forbidden`.
    Finding(Kind),
    /// A key of the tier `forbidden`, by the place of the pattern that it matches.
    Key(usize),
}

/// What a worker keeps from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) cache: Cache,
    pub(crate) renderer: Renderer,
    /// Of one batch.
    pub(crate) tally: Tally,
    /// How requests grow.
    pub(crate) growth: Growth,
    findings: Vec<Finding>,
    more: Vec<Finding>,
    undone: Vec<Unescaped>,
}

/// Reads the texts of one request.
#[derive(Debug)]
pub(crate) struct Reader<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) state: &'r mut State,
    /// The request, and what becomes of it.
    pub(crate) writer: Writer<'r>,
    /// The service whose telemetry is being read.
    pub(crate) service: Box<str>,
    /// Counts what was noted, so that one can tell whether anything was since a moment.
    pub(crate) noted: u64,
    /// Nothing is noted.
    pub(crate) quiet: bool,
    /// Keys that were written in place of others into the attributes that are being read: no two of them are alike.
    pub(crate) new_keys: Vec<Vec<u8>>,
    /// For the summary of the message that is being read.
    pub(crate) lists: Lists,
    /// For the summary of its body.
    pub(crate) body: Lists,
}

impl<'r> Reader<'r> {
    pub(crate) fn new(rules: &'r Rules, state: &'r mut State, writer: Writer<'r>) -> Self {
        let (lists, body) = (Lists::default(), Lists::default());
        Self {
            rules,
            state,
            writer,
            service: Box::default(),
            noted: 0,
            quiet: false,
            new_keys: Vec::new(),
            lists,
            body,
        }
    }

    pub(crate) fn summarizes(&self) -> bool {
        self.rules.summary != Summary::Silent
    }

    /// Counts a finding.
    pub(crate) fn note(&mut self, rule: Rule, path: &Path<'_>) {
        self.note_many(rule, path, 1);
    }

    /// Counts findings of one place.
    pub(crate) fn note_many(&mut self, rule: Rule, path: &Path<'_>, count: u64) {
        self.noted += count;
        if !self.quiet && count > 0 {
            self.state.tally.add(rule, path, &self.service, count);
        }
    }

    /// What becomes of the text in that range of the source; what takes its place is written there.
    #[inline]
    pub(crate) fn text(
        &mut self,
        start: usize,
        end: usize,
        place: Place<'_>,
        sanitizers: Applied,
        path: &Path<'_>,
    ) -> Result<Verdict<()>, Refusal> {
        let rules = self.rules;
        if start == end {
            return Ok(Verdict::Clean);
        }
        if !rules.only_detects || end - start > rules.value_bytes_max || !sanitizers.is_none() {
            return self.text_by_steps(start, end, place, sanitizers, path);
        }
        let Some(scanner) = &rules.scanner else { return Ok(Verdict::Clean) };
        let text = self.writer.source().get(start..end).unwrap_or_default();
        let backslash = scanner.scan(text, place, &mut self.state.findings);
        if backslash {
            self.detect_escaped(text, place);
        }
        if self.state.findings.is_empty() {
            return Ok(Verdict::Clean);
        }
        self.text_with_findings(start, end, place, sanitizers, path)
    }

    #[inline(never)]
    fn text_with_findings(
        &mut self,
        start: usize,
        end: usize,
        place: Place<'_>,
        sanitizers: Applied,
        path: &Path<'_>,
    ) -> Result<Verdict<()>, Refusal> {
        let text = self.writer.source().get(start..end).unwrap_or_default();
        // What begins within a character would leave half of it.
        let cuts = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        if self.state.findings.iter().any(|finding| cuts(finding.start) || cuts(finding.end)) {
            return self.text_by_steps(start, end, place, sanitizers, path);
        }
        let mut writer = std::mem::take(&mut self.writer);
        let verdict = self.replace(text, start, &mut writer, path);
        self.writer = writer;
        verdict
    }

    #[inline(never)]
    fn text_by_steps(
        &mut self,
        start: usize,
        end: usize,
        place: Place<'_>,
        sanitizers: Applied,
        path: &Path<'_>,
    ) -> Result<Verdict<()>, Refusal> {
        let text = self.writer.source().get(start..end).unwrap_or_default();
        Ok(match self.read(text, place, sanitizers, path)? {
            Verdict::Clean => Verdict::Clean,
            Verdict::Allowed => Verdict::Allowed,
            Verdict::Removed => Verdict::Removed,
            Verdict::Replaced(new) => {
                self.writer.replace(start, end, |out| out.extend_from_slice(&new));
                Verdict::Replaced(())
            }
        })
    }

    /// What becomes of a text that stands nowhere, or whose place somebody else writes. If it is UTF-8, so is what takes
    /// its place.
    pub(crate) fn read(
        &mut self,
        text: &[u8],
        place: Place<'_>,
        sanitizers: Applied,
        path: &Path<'_>,
    ) -> Result<Verdict<Vec<u8>>, Refusal> {
        let rules = self.rules;
        if text.is_empty() {
            return Ok(Verdict::Clean);
        }
        if text.len() > rules.value_bytes_max && (rules.reads_values() || !sanitizers.is_none()) {
            self.note(Rule::Oversized, path);
            return Ok(Verdict::Replaced(TOO_LONG.to_vec()));
        }
        if rules.allowed_values.iter().any(|pattern| pattern.is_match(text)) {
            return Ok(Verdict::Allowed);
        }
        let mut changed: Option<Vec<u8>> = None;
        for pattern in &rules.blocked_values {
            let input = changed.as_deref().unwrap_or(text);
            if let Some(new) = pattern::replace_all(pattern, input, |found, out| rules.masker.put(found, out)) {
                self.note(Rule::BlockedValue, path);
                changed = Some(new);
            }
        }
        match self.detect(changed.as_deref().unwrap_or(text), place, path)? {
            Verdict::Replaced(new) => changed = Some(new),
            Verdict::Removed => return Ok(Verdict::Removed),
            Verdict::Clean | Verdict::Allowed => {}
        }
        if sanitizers.url
            && let Some(new) = Sanitizers::url(changed.as_deref().unwrap_or(text))
        {
            self.note(Rule::Url, path);
            changed = Some(new);
        }
        if sanitizers.databases != 0
            && let Some(new) = rules.sanitizers.query(changed.as_deref().unwrap_or(text), sanitizers.databases)
        {
            self.note(Rule::Database, path);
            changed = Some(new);
        }
        let changed = changed.filter(|new| **new != *text);
        Ok(changed.map_or(Verdict::Clean, |new| Verdict::Replaced(as_good(text, new))))
    }

    /// What detectors make of a text.
    pub(crate) fn detect(
        &mut self,
        text: &[u8],
        place: Place<'_>,
        path: &Path<'_>,
    ) -> Result<Verdict<Vec<u8>>, Refusal> {
        let Some(scanner) = &self.rules.scanner else { return Ok(Verdict::Clean) };
        let backslash = scanner.scan(text, place, &mut self.state.findings);
        if backslash {
            self.detect_escaped(text, place);
        }
        if self.state.findings.is_empty() {
            return Ok(Verdict::Clean);
        }
        let mut writer = Writer::new(text, text.len() + 32);
        Ok(match self.replace(text, 0, &mut writer, path)? {
            Verdict::Removed => Verdict::Removed,
            _ => writer.finish(text.len()).map_or(Verdict::Clean, Verdict::Replaced),
        })
    }

    /// Adds what is found with JSON's escapes undone, as ranges of `text`.
    fn detect_escaped(&mut self, text: &[u8], place: Place<'_>) {
        let Some(scanner) = &self.rules.scanner else { return };
        let state = &mut *self.state;
        state.undone.resize_with(ROUNDS, Unescaped::default);
        for round in 0..ROUNDS {
            let (before, rest) = state.undone.split_at_mut(round);
            let Some(undone) = rest.first_mut() else { break };
            if !undone.read(before.last().map_or(text, |before| &before.text)) {
                break;
            }
            scanner.scan(&undone.text, place, &mut state.more);
            for finding in &state.more {
                let rounds = state.undone.iter().take(round + 1).rev();
                let range = (finding.start, finding.end);
                let (start, end) = rounds.fold(range, |(start, end), undone| undone.origin(start, end));
                state.findings.push(Finding { kind: finding.kind, start, end });
            }
        }
        merge(&mut state.findings);
    }

    /// Does what is to be done with the findings of a text, which starts at `from` in the source of `writer`.
    fn replace(
        &mut self,
        text: &[u8],
        from: usize,
        writer: &mut Writer<'_>,
        path: &Path<'_>,
    ) -> Result<Verdict<()>, Refusal> {
        let rules = self.rules;
        let findings = std::mem::take(&mut self.state.findings);
        let (before, mut removed, mut refused) = (writer.mark(), false, None);
        let mut json = JsonText::new(text);
        for finding in &findings {
            let Some(treatment) = rules.treatments.get(finding.kind as usize) else { continue };
            let found = text.get(finding.start..finding.end).unwrap_or_default();
            if treatment.deed == Deed::Do(Action::Hmac) && rules.keys.is_pseudonym(finding.kind.name(), found) {
                continue;
            }
            self.note(Rule::Detector(finding.kind), path);
            match treatment.deed {
                Deed::Report => {}
                Deed::Forbid => {
                    refused = Some(Refusal::Finding(finding.kind));
                    break;
                }
                Deed::Do(action) => {
                    removed |= action == Action::Drop;
                    let renderer = &mut self.state.renderer;
                    let quote = json.is_number(finding.start, finding.end).then_some(b'"');
                    let action =
                        if action == Action::Partial && is_reversed(text, finding) { Action::Mask } else { action };
                    writer.replace(from + finding.start, from + finding.end, |out| {
                        out.extend(quote);
                        renderer.put(finding.kind, treatment, action, &rules.keys, found, out);
                        out.extend(quote);
                    });
                }
            }
        }
        self.state.findings = findings;
        match refused {
            Some(refused) => Err(refused),
            None if removed => Ok(Verdict::Removed),
            None if writer.is_changed_since(before) => Ok(Verdict::Replaced(())),
            None => Ok(Verdict::Clean),
        }
    }
}

/// Whether a finding is an address written backwards, of which the first part would be the host: `77.113.0.203.in-addr.arpa`.
fn is_reversed(text: &[u8], finding: &Finding) -> bool {
    const SUFFIX: &[u8] = b".in-addr.arpa";
    let behind = text.get(finding.end..finding.end + SUFFIX.len());
    finding.kind == Kind::Ipv4 && behind.is_some_and(|behind| behind.eq_ignore_ascii_case(SUFFIX))
}

/// What takes the place of a text; certainly UTF-8 if that was: a pattern may cut through a character.
fn as_good(text: &[u8], new: Vec<u8>) -> Vec<u8> {
    if std::str::from_utf8(&new).is_ok() || std::str::from_utf8(text).is_err() {
        new
    } else {
        String::from_utf8_lossy(&new).into_owned().into_bytes()
    }
}

/// Sorts findings, and makes one of those that overlap.
fn merge(findings: &mut Vec<Finding>) {
    findings.sort_by_key(|finding| (finding.start, std::cmp::Reverse(finding.end), finding.kind));
    findings.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
}
