//! What a running process has cost, read from `/proc` (Linux): CPU time of all its threads, resident and peak memory.

use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

/// Resident memory of a process in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub resident_bytes: u64,
    /// The most so far (`VmHWM`).
    pub peak_bytes: u64,
}

/// The kernel's clock ticks per second, in which `/proc/PID/stat` counts; 100 where `getconf` cannot say.
#[must_use]
pub fn ticks_per_second() -> u64 {
    let output = Command::new("getconf").arg("CLK_TCK").output().ok();
    let told = output.and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok());
    told.filter(|&ticks| ticks > 0).unwrap_or(100)
}

/// User and system time of process `pid` since it started, threads that ended included. Its resolution is one tick.
///
/// # Errors
///
/// When the process is gone, or the file is not as `proc(5)` says.
pub fn cpu_time(pid: u32, ticks_per_second: u64) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks =
        parse_stat(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "read CPU time of process"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64))
}

/// Resident and peak memory of process `pid`.
///
/// # Errors
///
/// When the process is gone, or the file is not as `proc(5)` says.
pub fn memory(pid: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_status(&status).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "read memory of process"))
}

/// utime + stime, fields 14 and 15. The name (field 2) may hold blanks and parentheses: count from the last `)`.
fn parse_stat(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

fn parse_status(status: &str) -> Option<Memory> {
    let kib = |key: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some(Memory { resident_bytes: kib("VmRSS:")? * 1024, peak_bytes: kib("VmHWM:")? * 1024 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_an_odd_name() {
        let stat = "17 (a) b (c)) S 1 17 17 0 -1 4194560 900 0 3 0 250 31 7 8 20 0 9 0 100 200 300 400";
        assert_eq!(parse_stat(stat), Some(281));
        assert_eq!(parse_stat("17 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        let status = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_status(status), Some(Memory { resident_bytes: 1 << 20, peak_bytes: 2 << 20 }));
        assert_eq!(parse_status("VmRSS:\t12 kB\n"), None);
    }

    #[test]
    fn own_process_can_be_read() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.resident_bytes > 0 && memory.peak_bytes >= memory.resident_bytes);
        assert!(cpu_time(pid, ticks_per_second()).unwrap() < Duration::from_secs(3600));
    }
}
