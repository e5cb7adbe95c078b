//! One text: whether it may stay as it is, and what takes its place.
//!
//! In order: what is allowed stays; then `blocked_values`, detectors (a second time with JSON's escapes undone), and the
//! sanitizers that apply. A text that is too long to be looked into is replaced as a whole.

use detectors::{Finding, Kind, Place};

use crate::cache::Cache;
use crate::config::{Action, Summary};
use crate::escapes::{ROUNDS, Unescaped};
use crate::finding::Renderer;
use crate::path::Path;
use crate::pattern;
use crate::rebuild::Buffer;
use crate::rules::{Deed, Rule, Rules};
use crate::sanitize::{Applied, Sanitizers};
use crate::summary::Lists;
use crate::tally::Tally;

/// What takes the place of a text that is too long.
pub(crate) const TOO_LONG: &[u8] = b"<REDACTED_TOO_LONG>";

/// What becomes of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays.
    Clean,
    /// It stays because the configuration allows it.
    Allowed,
    /// This takes its place.
    Replaced(Buffer),
    /// It goes.
    Removed,
}

/// Why an item is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A finding of the tier `forbidden`.
    Finding(Kind),
    /// A key of the tier `forbidden`.
    Key,
    /// It could not be edited.
    Failed,
}

/// What a worker keeps from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) cache: Cache,
    pub(crate) renderer: Renderer,
    /// Of one batch.
    pub(crate) tally: Tally,
    findings: Vec<Finding>,
    more: Vec<Finding>,
    undone: Vec<Unescaped>,
}

/// Reads the texts of one batch.
#[derive(Debug)]
pub(crate) struct Reader<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) state: &'r mut State,
    /// The service whose telemetry is being read.
    pub(crate) service: Box<str>,
    /// Counts what was noted, so that one can tell whether anything was since a moment.
    pub(crate) noted: u64,
    /// Nothing is noted.
    pub(crate) quiet: bool,
    /// For the summary of the message that is being read.
    pub(crate) lists: Lists,
    /// For the summary of its body.
    pub(crate) body: Lists,
}

impl<'r> Reader<'r> {
    pub(crate) fn new(rules: &'r Rules, state: &'r mut State, tenant: &str) -> Self {
        state.renderer.derived.enter(tenant);
        let (lists, body) = (Lists::default(), Lists::default());
        Self { rules, state, service: Box::default(), noted: 0, quiet: false, lists, body }
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

    /// What becomes of a text.
    pub(crate) fn text(
        &mut self,
        text: &[u8],
        place: Place<'_>,
        sanitizers: Applied,
        path: &Path<'_>,
    ) -> Result<Verdict, Refusal> {
        let rules = self.rules;
        if text.is_empty() {
            return Ok(Verdict::Clean);
        }
        if text.len() > rules.value_bytes_max && (rules.reads_values() || !sanitizers.is_none()) {
            self.note(Rule::Oversized, path);
            return Ok(Verdict::Replaced(TOO_LONG.to_vec().into()));
        }
        if rules.allowed_values.iter().any(|pattern| pattern.is_match(text)) {
            return Ok(Verdict::Allowed);
        }
        let mut changed: Option<Buffer> = None;
        for pattern in &rules.blocked_values {
            let input = changed.as_deref().map_or(text, Vec::as_slice);
            if let Some(new) = pattern::replace_all(pattern, input, |found, out| rules.masker.put(found, out)) {
                self.note(Rule::BlockedValue, path);
                changed = Some(new.into());
            }
        }
        match self.detect(changed.as_deref().map_or(text, Vec::as_slice), place, path)? {
            Verdict::Replaced(new) => changed = Some(new),
            Verdict::Removed => return Ok(Verdict::Removed),
            Verdict::Clean | Verdict::Allowed => {}
        }
        if sanitizers.url
            && let Some(new) = Sanitizers::url(changed.as_deref().map_or(text, Vec::as_slice))
        {
            self.note(Rule::Url, path);
            changed = Some(new.into());
        }
        if sanitizers.databases != 0
            && let Some(new) =
                rules.sanitizers.query(changed.as_deref().map_or(text, Vec::as_slice), sanitizers.databases)
        {
            self.note(Rule::Database, path);
            changed = Some(new.into());
        }
        Ok(changed.filter(|new| **new != text).map_or(Verdict::Clean, Verdict::Replaced))
    }

    /// What detectors make of a text.
    pub(crate) fn detect(&mut self, text: &[u8], place: Place<'_>, path: &Path<'_>) -> Result<Verdict, Refusal> {
        let rules = self.rules;
        let Some(scanner) = &rules.scanner else { return Ok(Verdict::Clean) };
        let backslash = scanner.scan(text, place, &mut self.state.findings);
        if backslash {
            self.detect_escaped(text, place);
        }
        if self.state.findings.is_empty() {
            return Ok(Verdict::Clean);
        }
        let findings = std::mem::take(&mut self.state.findings);
        let verdict = self.replace(text, &findings, path);
        self.state.findings = findings;
        verdict
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

    /// Does what is to be done with the findings of a text.
    fn replace(&mut self, text: &[u8], findings: &[Finding], path: &Path<'_>) -> Result<Verdict, Refusal> {
        let rules = self.rules;
        let mut out: Option<Buffer> = None;
        let (mut copied, mut removed) = (0, false);
        for finding in findings {
            let Some(treatment) = rules.treatments.get(finding.kind as usize) else { continue };
            let found = text.get(finding.start..finding.end).unwrap_or_default();
            if treatment.deed == Deed::Do(Action::Hmac) && rules.keys.is_pseudonym(finding.kind.name(), found) {
                continue;
            }
            self.note(Rule::Detector(finding.kind), path);
            match treatment.deed {
                Deed::Report => {}
                Deed::Forbid => return Err(Refusal::Finding(finding.kind)),
                Deed::Do(action) => {
                    removed |= action == Action::Drop;
                    let out = out.get_or_insert_with(|| Buffer::new(text.len() + 32));
                    out.extend_from_slice(text.get(copied..finding.start).unwrap_or_default());
                    self.state.renderer.put(finding.kind, treatment, action, &rules.keys, found, out);
                    copied = finding.end;
                }
            }
        }
        if removed {
            return Ok(Verdict::Removed);
        }
        let Some(mut out) = out else { return Ok(Verdict::Clean) };
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        Ok(Verdict::Replaced(out))
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
