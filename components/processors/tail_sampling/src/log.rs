//! The last decisions, and what waits for one, to be asked for by trace ID.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pdata::account::Charge;

use crate::envelope::Sender;
use crate::policy::{Chance, Decision, Policy, Verdict};
use crate::sampler::Sampler;

/// Why a trace was decided when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The wait was over.
    Wait,
    /// Spans that arrived decided, with the strategy `span-ingest`.
    Ingest,
    /// It had too many spans to wait for more.
    Spans,
    /// It had too many bytes to wait for more.
    Bytes,
    /// It had more bytes than `maximum_trace_size_bytes`.
    TooLarge,
    /// Memory was needed.
    Budget,
    /// There were too many traces.
    Traces,
    /// The machine is short of something: the degraded mode.
    Overload,
    /// The same, so that it did not wait at all.
    Gate,
    /// The processor was stopped.
    Shutdown,
}

impl Cause {
    /// Those that come before the wait is over.
    pub const EARLY: [Self; 7] =
        [Self::Spans, Self::Bytes, Self::Budget, Self::Traces, Self::Overload, Self::Gate, Self::Shutdown];

    /// As labels and answers name it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Ingest => "ingest",
            Self::Spans => "spans",
            Self::Bytes => "bytes",
            Self::TooLarge => "too_large",
            Self::Budget => "budget",
            Self::Traces => "num_traces",
            Self::Overload => "overload",
            Self::Gate => "gate",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Names of policies by number: those of the configuration by place, then those that only decisions of a predecessor know.
#[derive(Debug, Default)]
pub struct Names(RwLock<Vec<Arc<str>>>);

impl Names {
    /// Those of a configuration.
    #[must_use]
    pub fn new(policies: &[Policy]) -> Self {
        Self(RwLock::new(policies.iter().map(|policy| policy.name.as_ref().into()).collect()))
    }

    /// The name with that number.
    #[must_use]
    pub fn get(&self, number: u16) -> Option<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(usize::from(number)).cloned()
    }

    /// All of them, by number.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of a name, given to it now if it has none; `None` when there are no more.
    pub fn number(&self, name: &Arc<str>) -> Option<u16> {
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let place = names.iter().position(|known| known == name).unwrap_or(names.len());
        let number = u16::try_from(place).ok()?;
        if place == names.len() {
            names.push(Arc::clone(name));
        }
        Some(number)
    }
}

/// A decision that was made.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which trace.
    pub trace_id: [u8; 16],
    /// Whose.
    pub sender: Arc<Sender>,
    /// When.
    pub at: SystemTime,
    /// What.
    pub decision: Decision,
    /// Why then.
    pub cause: Cause,
    /// Spans it had then.
    pub spans: u64,
    /// Bytes it had then.
    pub bytes: u64,
    /// How long it lasted as far as known then, in milliseconds.
    pub duration_ms: i64,
    /// Seconds from its first span to the decision.
    pub waited_s: u64,
}

/// See the module's head.
#[derive(Debug)]
pub struct DecisionLog {
    size: usize,
    names: Arc<Names>,
    entries: Mutex<VecDeque<Entry>>,
    charge: Mutex<Charge>,
    held_bytes: AtomicUsize,
}

impl DecisionLog {
    /// For so many decisions of policies with these names. What it occupies is charged to `charge`.
    #[must_use]
    pub fn new(size: usize, names: Arc<Names>, charge: Charge) -> Self {
        Self { size, names, entries: Mutex::default(), charge: Mutex::new(charge), held_bytes: AtomicUsize::new(0) }
    }

    /// Adds decisions, forgets the oldest.
    pub fn add(&self, more: impl IntoIterator<Item = Entry>) {
        if self.size == 0 {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in more {
            if entries.len() >= self.size {
                entries.pop_front();
            }
            entries.push_back(entry);
        }
        self.settle(&entries);
    }

    /// Puts a predecessor's decisions before its own, as far as there is room.
    pub fn inherit(&self, earlier: VecDeque<Entry>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.size.saturating_sub(entries.len());
        for entry in earlier.into_iter().rev().take(room) {
            entries.push_front(entry);
        }
        self.settle(&entries);
    }

    /// Takes all out.
    #[must_use]
    pub fn take(&self) -> VecDeque<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *entries);
        self.settle(&entries);
        taken
    }

    fn settle(&self, entries: &VecDeque<Entry>) {
        let now = entries.capacity() * size_of::<Entry>();
        if self.held_bytes.swap(now, Ordering::Relaxed) != now {
            self.charge.lock().unwrap_or_else(PoisonError::into_inner).resize(now);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        drop(self.take());
    }

    /// Bytes that it occupies.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    fn find(&self, trace_id: &[u8; 16], found: &mut Vec<String>) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let matching = entries.iter().rev().filter(|entry| entry.trace_id == *trace_id);
        found.extend(matching.map(|entry| entry.to_json(&self.names)));
    }
}

/// A trace that waits for its decision.
#[derive(Debug)]
pub struct Undecided {
    /// Which trace.
    pub trace_id: [u8; 16],
    /// Whose.
    pub sender: Arc<Sender>,
    /// From its first span until now.
    pub waited: Duration,
    /// From now until it is decided, at the latest.
    pub left: Duration,
    /// Spans it has.
    pub spans: u64,
    /// Bytes it has.
    pub bytes: u64,
    /// How long it lasts as far as known, in milliseconds.
    pub duration_ms: i64,
}

/// All instances of one component ID: one for each pipeline, and those that are being replaced.
#[derive(Debug, Default)]
pub struct Logs(Mutex<Vec<Weak<Sampler>>>);

impl Logs {
    /// Adds an instance, for as long as it lives.
    pub fn add(&self, sampler: &Arc<Sampler>) {
        let mut samplers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samplers.retain(|sampler| sampler.strong_count() > 0);
        samplers.push(Arc::downgrade(sampler));
    }

    fn live(&self) -> Vec<Arc<Sampler>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }

    /// What waits of a trace and the decisions about it, the latest of each log first, or without a trace the number of
    /// decisions, as JSON. `query` is `trace_id=` and 32 hexadecimal digits.
    ///
    /// # Errors
    /// What is wrong with the trace ID.
    pub fn to_json(&self, query: &str) -> Result<String, String> {
        let samplers = self.live();
        let Some(asked) = query.split('&').find_map(|pair| pair.strip_prefix("trace_id=")) else {
            let logs = samplers.iter().map(|sampler| sampler.log());
            let count = |log: &DecisionLog| log.entries.lock().unwrap_or_else(PoisonError::into_inner).len();
            let (decisions, size) = logs.fold((0, 0), |(all, size), log| (all + count(log), size + log.size));
            return Ok(format!("{{\"decisions\":{decisions},\"size\":{size}}}"));
        };
        let Some(trace_id) = parse_id(asked) else {
            return Err(format!("`{asked}` is no trace ID: 32 hexadecimal digits are expected"));
        };
        let waiting = samplers.iter().flat_map(|sampler| sampler.waiting(&trace_id));
        let mut found: Vec<String> = waiting.map(|undecided| undecided.to_json()).collect();
        samplers.iter().for_each(|sampler| sampler.log().find(&trace_id, &mut found));
        Ok(format!("[{}]", found.join(",")))
    }
}

/// What answers begin with: which trace, whose.
fn begin_json(trace_id: &[u8; 16], sender: &Sender) -> String {
    let mut out = String::from("{\"trace_id\":\"");
    trace_id.iter().for_each(|byte| put(&mut out, format_args!("{byte:02x}")));
    out.push_str("\",\"tenant\":");
    quote(sender.context.tenant_name(), &mut out);
    out
}

impl Undecided {
    fn to_json(&self) -> String {
        let mut out = begin_json(&self.trace_id, &self.sender);
        let by = (SystemTime::now() + self.left).duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let (waited, left) = (self.waited.as_secs(), self.left.as_secs_f64());
        let Self { spans, bytes, duration_ms, .. } = self;
        put(
            &mut out,
            format_args!(
                ",\"decision\":\"waits\",\"left_s\":{left:.1},\"decided_by_unix_ms\":{by},\"waited_s\":{waited},\"spans\":{spans},\"bytes\":{bytes},\"duration_ms\":{duration_ms}}}"
            ),
        );
        out
    }
}

impl Entry {
    fn to_json(&self, names: &Names) -> String {
        let mut out = begin_json(&self.trace_id, &self.sender);
        let decision = match self.decision.verdict {
            Verdict::Sampled => "sampled",
            Verdict::NotSampled => "not_sampled",
            Verdict::Dropped => "dropped",
            Verdict::Gated => "gated",
        };
        let policy = self.decision.policy.and_then(|policy| names.get(policy));
        put(&mut out, format_args!(",\"decision\":\"{decision}\",\"policy\":"));
        match policy {
            Some(policy) => quote(&policy, &mut out),
            None => out.push_str("null"),
        }
        put(&mut out, format_args!(",\"cause\":\"{}\"", self.cause.label()));
        if let (Verdict::Sampled, Chance::Known(threshold)) = (self.decision.verdict, self.decision.chance) {
            put(&mut out, format_args!(",\"threshold\":\"{threshold}\",\"probability\":{}", threshold.probability()));
        }
        let at = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let Self { spans, bytes, duration_ms, waited_s, .. } = self;
        put(
            &mut out,
            format_args!(
                ",\"decided_unix_ms\":{at},\"waited_s\":{waited_s},\"spans\":{spans},\"bytes\":{bytes},\"duration_ms\":{duration_ms}}}"
            ),
        );
        out
    }
}

/// Writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).ok();
}

/// 16 bytes from 32 hexadecimal digits.
fn parse_id(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => put(out, format_args!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut out = String::new();
        quote("a\"b\\c\n", &mut out);
        assert_eq!(out, "\"a\\\"b\\\\c\\u000a\"");
    }

    #[test]
    fn ids_are_32_digits() {
        assert_eq!(parse_id("000102030405060708090a0b0c0d0e0f").unwrap()[15], 15);
        for text in ["", "0", "000102030405060708090a0b0c0d0e0g", "+00102030405060708090a0b0c0d0e0f"] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }
}
