//! What the user writes.

use std::time::Duration;

use config::{Config, GoDuration, Validator};

/// Refuses telemetry while memory is short.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = MemoryLimiterConfig::check)]
pub struct MemoryLimiterConfig {
    /// Time between measurements of memory. Must be set, above 0. `1s` is a good value.
    pub check_interval: GoDuration,
    /// Hard limit in MiB. Wins over `limit_percentage`.
    pub limit_mib: u32,
    /// Distance of the soft limit from the hard one in MiB; 0 means a fifth of the hard limit.
    pub spike_limit_mib: u32,
    /// Hard limit in percent of the memory that the control group (or else the machine) has.
    pub limit_percentage: u32,
    /// Distance of the soft limit from the hard one in percent of the same; 0 means a fifth of the hard limit.
    pub spike_limit_percentage: u32,
    /// Least time between forced garbage collections above the soft limit.
    #[config(default = seconds(10), no_effect = "there is no garbage collector to run")]
    pub min_gc_interval_when_soft_limited: GoDuration,
    /// Least time between forced garbage collections above the hard limit.
    #[config(no_effect = "there is no garbage collector to run")]
    pub min_gc_interval_when_hard_limited: GoDuration,
    /// Longest such time after collections that freed little, above the soft limit.
    #[config(default = seconds(30), no_effect = "there is no garbage collector to run")]
    pub max_gc_interval_when_soft_limited: GoDuration,
    /// Longest such time after collections that freed little, above the hard limit.
    #[config(default = seconds(30), no_effect = "there is no garbage collector to run")]
    pub max_gc_interval_when_hard_limited: GoDuration,
}

fn seconds(seconds: u64) -> GoDuration {
    GoDuration::from(Duration::from_secs(seconds))
}

impl MemoryLimiterConfig {
    fn check(&self, v: &mut Validator<'_>) {
        if self.check_interval <= GoDuration::from(Duration::ZERO) {
            v.error("check_interval", "'check_interval' must be greater than zero");
        }
        if self.min_gc_interval_when_soft_limited < self.min_gc_interval_when_hard_limited {
            v.error(
                "min_gc_interval_when_soft_limited",
                "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'",
            );
        }
        if self.limit_mib == 0 && self.limit_percentage == 0 {
            v.error("limit_mib", "'limit_mib' or 'limit_percentage' must be greater than zero");
        }
        if self.limit_percentage > 100 || self.spike_limit_percentage > 100 {
            let field = if self.limit_percentage > 100 { "limit_percentage" } else { "spike_limit_percentage" };
            v.error(
                field,
                "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred",
            );
        }
        if self.limit_mib > 0 && self.limit_mib <= self.spike_limit_mib {
            v.error("spike_limit_mib", "'spike_limit_mib' must be smaller than 'limit_mib'");
        }
        if self.limit_percentage > 0 && self.limit_percentage <= self.spike_limit_percentage {
            v.error("spike_limit_percentage", "'spike_limit_percentage' must be smaller than 'limit_percentage'");
        }
    }
}
