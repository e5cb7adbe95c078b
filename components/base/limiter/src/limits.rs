//! From the configuration to two limits in bytes.

use crate::config::MemoryLimiterConfig;

const MIB: u64 = 1 << 20;

/// The limits in bytes; `soft < hard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Telemetry in memory is refused from here on.
    pub soft: u64,
    /// What the process should stay below.
    pub hard: u64,
}

impl Limits {
    /// The limits that a valid configuration means. Asks for the machine's memory only if it has to.
    ///
    /// # Errors
    /// Why a percentage cannot be used.
    pub fn resolve(
        config: &MemoryLimiterConfig,
        total_bytes: impl FnOnce() -> Result<u64, String>,
    ) -> Result<Self, String> {
        let (hard, spike) = if config.limit_mib > 0 {
            (u64::from(config.limit_mib) * MIB, u64::from(config.spike_limit_mib) * MIB)
        } else {
            let total = total_bytes().map_err(|error| {
                format!("failed to get total memory, use fixed memory settings (limit_mib): {error}")
            })?;
            let percent = |share: u32| u64::try_from(u128::from(total) * u128::from(share) / 100).unwrap_or(u64::MAX);
            (percent(config.limit_percentage), percent(config.spike_limit_percentage))
        };
        let spike = if spike == 0 { hard / 5 } else { spike };
        Ok(Self { soft: hard.saturating_sub(spike), hard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(limit_mib: u32, spike_limit_mib: u32, limit_percentage: u32, spike_limit_percentage: u32) -> Limits {
        let config = MemoryLimiterConfig {
            limit_mib,
            spike_limit_mib,
            limit_percentage,
            spike_limit_percentage,
            ..MemoryLimiterConfig::default()
        };
        Limits::resolve(&config, || Ok(1000 * MIB)).unwrap()
    }

    #[test]
    fn mib_win_over_percentages_and_a_fifth_is_the_default_spike() {
        assert_eq!(limits(100, 0, 0, 0), Limits { soft: 80 * MIB, hard: 100 * MIB });
        assert_eq!(limits(100, 30, 50, 40), Limits { soft: 70 * MIB, hard: 100 * MIB });
        assert_eq!(limits(0, 0, 50, 0), Limits { soft: 400 * MIB, hard: 500 * MIB });
        assert_eq!(limits(0, 0, 50, 20), Limits { soft: 300 * MIB, hard: 500 * MIB });
        assert_eq!(limits(u32::MAX, 0, 0, 0).hard, u64::from(u32::MAX) * MIB);
    }

    #[test]
    fn an_unknown_total_only_matters_to_percentages() {
        let fixed = MemoryLimiterConfig { limit_mib: 1, ..MemoryLimiterConfig::default() };
        assert!(Limits::resolve(&fixed, || Err("no /proc".to_owned())).is_ok());
        let share = MemoryLimiterConfig { limit_percentage: 50, ..MemoryLimiterConfig::default() };
        let error = Limits::resolve(&share, || Err("no /proc".to_owned())).unwrap_err();
        assert_eq!(error, "failed to get total memory, use fixed memory settings (limit_mib): no /proc");
    }
}
