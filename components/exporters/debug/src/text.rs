//! Telemetry as text. The shapes are those of the Collector's `debug` exporter (golden files in `testdata` hold them to
//! what it writes), which calls them unstable.

mod detailed;
mod detailed_metrics;
mod normal;
mod scalar;

use std::fmt::{self, Write};

use pdata::{Payload, Signal};

pub use detailed::detailed;
pub use normal::normal;

/// What a batch consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Resources, as often as they occur.
    pub resources: usize,
    /// Metrics; 0 for other signals.
    pub metrics: usize,
    /// Spans, data points or log records.
    pub items: u64,
}

impl Counts {
    /// Counts a payload.
    #[must_use]
    pub fn of(payload: &Payload) -> Self {
        let mut counts = Self { resources: 0, metrics: 0, items: payload.items() };
        for resource in payload.resources() {
            counts.resources += 1;
            counts.metrics += resource.scopes().map(|scope| scope.metrics().count()).sum::<usize>();
        }
        counts
    }

    /// The line that the Collector's console logger writes.
    #[must_use]
    pub fn line(self, signal: Signal) -> String {
        let Self { resources, metrics, items } = self;
        match signal {
            Signal::Traces => format!("Traces\t{{\"resource spans\": {resources}, \"spans\": {items}}}\n"),
            Signal::Metrics => format!(
                "Metrics\t{{\"resource metrics\": {resources}, \"metrics\": {metrics}, \"data points\": {items}}}\n"
            ),
            Signal::Logs => format!("Logs\t{{\"resource logs\": {resources}, \"log records\": {items}}}\n"),
        }
    }
}

/// Text that grows by lines.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn add(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _always_ok = self.0.write_fmt(text);
    }

    pub(crate) fn line(&mut self, text: fmt::Arguments<'_>) {
        self.add(text);
        self.0.push('\n');
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// `line!(text, "{}", x)`: appends a line.
macro_rules! line {
    ($text:expr, $($format:tt)*) => { $text.line(format_args!($($format)*)) };
}
pub(crate) use line;
