//! What the kernel says about memory: resident bytes of this process, and the memory it may have.
//!
//! Linux only. Elsewhere resident memory is unknown (the limiter then goes by the account of telemetry bytes alone) and
//! percentages are refused.

use std::fs;
use std::path::{Path, PathBuf};

/// Version 1 of control groups writes "no limit" as a number near 2^63, rounded down to pages.
const V1_UNLIMITED_MIN: u64 = 1 << 62;

/// Where to look; tests point it at files of their own.
#[derive(Clone, Debug)]
pub struct Probe {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys/fs/cgroup`.
    pub cgroup: PathBuf,
}

impl Default for Probe {
    fn default() -> Self {
        Self { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into() }
    }
}

impl Probe {
    /// Bytes of this process that are in physical memory, `None` when the system does not say.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        // `status` rather than `statm`, which counts in pages of a size that cannot be asked for without `unsafe`.
        kib_line(&fs::read_to_string(self.proc.join("self/status")).ok()?, "VmRSS:")
    }

    /// The memory this process may have: the tightest limit of its control groups, at most the machine's memory.
    ///
    /// # Errors
    /// What could not be read.
    pub fn total_bytes(&self) -> Result<u64, String> {
        let path = self.proc.join("meminfo");
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        let machine =
            kib_line(&text, "MemTotal:").ok_or_else(|| format!("`{}` does not give `MemTotal`", path.display()))?;
        Ok(self.cgroup_limit_bytes().map_or(machine, |limit| limit.min(machine)))
    }

    /// The tightest memory limit of the control groups this process is in.
    fn cgroup_limit_bytes(&self) -> Option<u64> {
        let membership = fs::read_to_string(self.proc.join("self/cgroup")).ok()?;
        let limits = membership.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (hierarchy, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
            if hierarchy == "0" && controllers.is_empty() {
                tightest(&self.cgroup, group, "memory.max")
            } else if controllers.split(',').any(|controller| controller == "memory") {
                tightest(&self.cgroup.join("memory"), group, "memory.limit_in_bytes")
            } else {
                None
            }
        });
        limits.min()
    }
}

/// The least value of `file` in `group` below `mount` and in the groups around it. In a container the path may name
/// groups that only the host sees; the container's own then is at the mount itself, which the walk ends with.
fn tightest(mount: &Path, group: &str, file: &str) -> Option<u64> {
    let group = Path::new(group.trim_start_matches('/'));
    let levels = group.ancestors().map(|level| mount.join(level).join(file));
    let limits = levels.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    limits.filter(|limit| *limit < V1_UNLIMITED_MIN).min()
}

/// The number of a line such as `VmRSS:   1234 kB`, in bytes.
fn kib_line(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A probe over these files, paths relative to `proc` or `cgroup`.
    fn probe(folder: &Path, files: &[(&str, &str)]) -> Probe {
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Probe { proc: folder.join("proc"), cgroup: folder.join("cgroup") }
    }

    fn total(files: &[(&str, &str)]) -> Result<u64, String> {
        let folder = tempfile::tempdir().unwrap();
        let machine = ("proc/meminfo", "MemTotal:        2097152 kB\nMemFree: 1 kB\n");
        probe(folder.path(), &[&[machine], files].concat()).total_bytes()
    }

    #[test]
    fn the_machine_counts_where_no_group_limits() {
        assert_eq!(total(&[]), Ok(2048 * MIB));
        assert_eq!(total(&[("proc/self/cgroup", "0::/a\n"), ("cgroup/a/memory.max", "max\n")]), Ok(2048 * MIB));
        let v1 =
            [("proc/self/cgroup", "4:memory:/a\n"), ("cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n")];
        assert_eq!(total(&v1), Ok(2048 * MIB));
    }

    #[test]
    fn the_tightest_group_of_version_2_counts() {
        let files = [
            ("proc/self/cgroup", "0::/pod/app\n"),
            ("cgroup/pod/memory.max", "104857600\n"),
            ("cgroup/pod/app/memory.max", "max\n"),
        ];
        assert_eq!(total(&files), Ok(100 * MIB));
        let in_container = [("proc/self/cgroup", "0::/\n"), ("cgroup/memory.max", "52428800\n")];
        assert_eq!(total(&in_container), Ok(50 * MIB));
    }

    #[test]
    fn version_1_names_groups_of_the_host_or_its_own() {
        let own = [
            ("proc/self/cgroup", "5:cpu:/x\n4:memory,hugetlb:/docker/abc\n"),
            ("cgroup/memory/memory.limit_in_bytes", "104857600\n"),
        ];
        assert_eq!(total(&own), Ok(100 * MIB));
    }

    #[test]
    fn a_limit_above_the_machine_is_the_machine() {
        let files = [("proc/self/cgroup", "0::/\n"), ("cgroup/memory.max", "99999999999999\n")];
        assert_eq!(total(&files), Ok(2048 * MIB));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = probe(folder.path(), &[]);
        assert!(nothing.total_bytes().unwrap_err().contains("meminfo"));
        assert_eq!(nothing.resident_bytes(), None);
        let odd = probe(folder.path(), &[("proc/meminfo", "MemTotal: many\n"), ("proc/self/status", "VmRSS: -1 kB\n")]);
        assert!(odd.total_bytes().unwrap_err().contains("does not give `MemTotal`"));
        assert_eq!(odd.resident_bytes(), None);
    }

    #[test]
    fn this_process_is_resident() {
        if cfg!(target_os = "linux") {
            assert!(Probe::default().resident_bytes().unwrap() > 100_000);
            assert!(Probe::default().total_bytes().unwrap() > MIB);
        }
    }
}
