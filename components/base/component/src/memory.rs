//! How much memory this process may use, and how much it does.
//!
//! Sources: cgroup v2 `memory.max`, cgroup v1 `memory.limit_in_bytes`, `/proc/meminfo`, `/proc/self/statm`.

use std::fs;
use std::path::Path;

/// Bytes this process may use: the smallest limit of its cgroups, or the machine's memory. `None` where neither can be
/// read.
#[must_use]
pub fn available_bytes() -> Option<u64> {
    available_bytes_in(Path::new("/"))
}

/// As [`available_bytes`], with `/proc` and `/sys` below `root`, for tests.
#[must_use]
pub fn available_bytes_in(root: &Path) -> Option<u64> {
    let machine = machine_bytes(root);
    let limits = cgroup_limits(root).into_iter().chain(machine);
    limits.min()
}

fn machine_bytes(root: &Path) -> Option<u64> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Limits of the process's cgroup and of all its parents, in both hierarchies.
fn cgroup_limits(root: &Path) -> Vec<u64> {
    let membership = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|controller| controller == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mount = root.join(mount);
        // Inside a container the path may name the host's view; the mount's own root then holds the limit.
        let own = mount.join(path.trim_start_matches('/'));
        limits.extend(own.ancestors().take_while(|dir| dir.starts_with(&mount)).filter_map(|dir| {
            let bytes: u64 = fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()?;
            // cgroup v1 says "no limit" with a number close to 2^63.
            (bytes > 0 && bytes < 1 << 62).then_some(bytes)
        }));
    }
    limits
}

/// Resident memory of this process in bytes. `None` where `/proc` cannot be read.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(PAGE_BYTES)
}

/// `/proc/self/statm` counts pages; every 64-bit platform this runs on by default has pages of 4 KiB.
const PAGE_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("weir-memory-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_smallest_limit_counts() {
        let meminfo = ("proc/meminfo", "MemTotal:       16384000 kB\nMemFree: 1 kB\n");
        let v2 = tree(
            "v2",
            &[
                meminfo,
                ("proc/self/cgroup", "0::/kube/pod\n"),
                ("sys/fs/cgroup/kube/memory.max", "536870912\n"),
                ("sys/fs/cgroup/kube/pod/memory.max", "max\n"),
            ],
        );
        assert_eq!(available_bytes_in(&v2), Some(536_870_912));
        let v1 = tree(
            "v1",
            &[
                meminfo,
                ("proc/self/cgroup", "5:cpu,memory:/docker/x\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456"),
            ],
        );
        assert_eq!(available_bytes_in(&v1), Some(268_435_456));
        let unlimited = tree(
            "none",
            &[
                meminfo,
                ("proc/self/cgroup", "5:memory:/\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
            ],
        );
        assert_eq!(available_bytes_in(&unlimited), Some(16_384_000 * 1024));
        for root in [v2, v1, unlimited] {
            fs::remove_dir_all(root).unwrap();
        }
    }

    #[test]
    fn own_resident_memory_can_be_read() {
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
