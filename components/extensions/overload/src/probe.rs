//! What the kernel says about the pressure on this process. Linux only; elsewhere nothing is known and nothing counts.
//!
//! Read ten times a second for as long as the process lives, so files stay open, are read into one buffer, and the dear
//! ones (`memory.stat`, stall information) only when they matter or can have changed. Memory is what the control group
//! is judged by, less the file cache that the kernel takes back first: heap counters lag behind. Which groups and limits
//! there are is looked up anew every minute.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use component::memory;

/// Version 1 of control groups writes "no limit" as a number near 2^63, rounded down to pages.
const V1_UNLIMITED_MIN: u64 = 1 << 62;
/// Clock ticks per second in `/proc`: the kernel's interface has used this value on every architecture for decades.
const TICKS_PER_SECOND: f64 = 100.0;
/// Over how much time CPU use is averaged.
const CPU_WINDOW: Duration = Duration::from_secs(1);
/// Over how much time the kernel averages the stalls that are read here: what they tell before is of the time before the start.
const STALL_WINDOW: Duration = Duration::from_secs(10);
/// The kernel updates stall information every 2 s.
const STALL_PACE: Duration = Duration::from_secs(1);
/// How long an answer to "which groups, which limits" counts.
const LOOKED_UP_FOR: Duration = Duration::from_secs(60);
/// No file read here is longer, as far as it matters.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// Where to look; tests point it at files of their own.
#[derive(Clone, Debug)]
pub struct Place {
    /// `/proc` and `/sys/fs/cgroup`.
    pub files: memory::Probe,
    /// Threads that may run at once.
    pub threads: usize,
}

impl Default for Place {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { files: memory::Probe::default(), threads }
    }
}

/// Shares of what there is; `None` for what the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Memory in use.
    pub memory: Option<f64>,
    /// CPU time of the process.
    pub cpu: Option<f64>,
    /// Time in which something of the process's own control group waited for a CPU, over the last ten seconds.
    pub cpu_stall: Option<f64>,
}

/// A file that is read again and again.
#[derive(Debug)]
struct Text(File);

impl Text {
    fn open(path: &Path) -> Option<Self> {
        File::open(path).ok().map(Self)
    }

    fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a str> {
        self.0.rewind().ok()?;
        // One call gives all of such a file, as far as there is room.
        let bytes = self.0.read(buffer).ok()?;
        let text = buffer.get(..bytes)?;
        Some(match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(text.get(..error.valid_up_to())?).ok()?,
        })
    }

    fn number(&mut self, buffer: &mut [u8]) -> Option<u64> {
        self.read(buffer)?.trim().parse().ok()
    }
}

/// A control group with a limit of memory.
#[derive(Debug)]
struct Group {
    limit: u64,
    usage: Text,
    stat: Option<Text>,
    cache_key: &'static str,
}

/// What was looked up.
#[derive(Debug)]
struct Machine {
    groups: Vec<Group>,
    total_bytes: Option<u64>,
    status: Option<Text>,
    process: Option<Text>,
    stall: Option<Text>,
    /// CPUs' worth of time that the process may use.
    cpus: f64,
}

/// A process's membership in a control group: where it is mounted, its path there, and the version.
struct Membership {
    mount: PathBuf,
    group: PathBuf,
    is_v2: bool,
}

impl Membership {
    fn of(files: &memory::Probe, controller: &str) -> Option<Self> {
        let text = fs::read_to_string(files.proc.join("self/cgroup")).ok()?;
        let find = |wants_v2: bool| {
            text.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':');
                let (hierarchy, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
                let is_v2 = hierarchy == "0" && controllers.is_empty();
                let is_it = if wants_v2 { is_v2 } else { controllers.split(',').any(|name| name == controller) };
                is_it.then(|| PathBuf::from(group.trim_start_matches('/')))
            })
        };
        let v1 = find(false).map(|group| Self { mount: files.cgroup.join(controller), group, is_v2: false });
        v1.or_else(|| Some(Self { mount: files.cgroup.clone(), group: find(true)?, is_v2: true }))
    }

    /// The folders of the group and of those around it. In a container the path may name groups that only the host
    /// sees; the container's own then is at the mount itself, which this ends with.
    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.group.ancestors().map(|level| self.mount.join(level))
    }
}

impl Machine {
    fn look_up(place: &Place) -> Self {
        let files = &place.files;
        let groups = Membership::of(files, "memory").map(|membership| memory_groups(&membership)).unwrap_or_default();
        let quota = Membership::of(files, "cpu").and_then(|membership| {
            let quotas = membership.folders().filter_map(|folder| quota(&folder, membership.is_v2));
            quotas.min_by(f64::total_cmp)
        });
        let own_stall = Membership::of(files, "cpu").filter(|membership| membership.is_v2).and_then(|membership| {
            // The path, or the mount itself where only the host sees the path. The root's are the stalls of the whole machine,
            // of neighbours too; it alone has no type.
            let own = Some(membership.mount.join(&membership.group)).filter(|own| own.exists());
            let own = own.unwrap_or(membership.mount);
            own.join("cgroup.type").exists().then(|| Text::open(&own.join("cpu.pressure")))?
        });
        let threads = place.threads.max(1) as f64;
        Self {
            total_bytes: files.total_bytes().ok(),
            status: Text::open(&files.proc.join("self/status")).filter(|_| groups.is_empty()),
            groups,
            process: Text::open(&files.proc.join("self/stat")),
            stall: own_stall,
            cpus: quota.map_or(threads, |quota| quota.min(threads)),
        }
    }

    /// Memory in use of its limit, of the group for which that is most. Below `low` the file cache, which makes it less, is
    /// not asked for.
    fn memory(&mut self, low: f64, buffer: &mut [u8]) -> Option<f64> {
        if self.groups.is_empty() {
            let resident = kib_line(self.status.as_mut()?.read(buffer)?, "VmRSS:")?;
            return Some(resident as f64 / self.total_bytes.filter(|total| *total > 0)? as f64);
        }
        let mut most: Option<f64> = None;
        for group in &mut self.groups {
            let Some(mut used) = group.usage.number(buffer) else { continue };
            if used as f64 >= low * group.limit as f64
                && let Some(text) = group.stat.as_mut().and_then(|stat| stat.read(buffer))
            {
                used = used.saturating_sub(line(text, group.cache_key).unwrap_or_default());
            }
            let share = used as f64 / group.limit as f64;
            most = Some(most.map_or(share, |most| most.max(share)));
        }
        most
    }
}

fn memory_groups(membership: &Membership) -> Vec<Group> {
    let (limit, usage, cache_key) = if membership.is_v2 {
        ("memory.max", "memory.current", "inactive_file")
    } else {
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    };
    let group = |folder: PathBuf| {
        let limit = fs::read_to_string(folder.join(limit)).ok()?.trim().parse::<u64>().ok()?;
        let is_limited = (1..V1_UNLIMITED_MIN).contains(&limit);
        let (usage, stat) = (Text::open(&folder.join(usage))?, Text::open(&folder.join("memory.stat")));
        is_limited.then_some(Group { limit, usage, stat, cache_key })
    };
    membership.folders().filter_map(group).collect()
}

/// The CPUs' worth of time that a group may use.
fn quota(folder: &Path, is_v2: bool) -> Option<f64> {
    let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
    let (quota, period) = if is_v2 {
        let text = read("cpu.max")?;
        let (quota, period) = text.trim().split_once(' ')?;
        (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?)
    } else {
        let number = |file| read(file)?.trim().parse::<f64>().ok();
        (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
    };
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// The number after `key` and a space, at the beginning of a line.
fn line(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The number of a line such as `VmRSS:   1234 kB`, in bytes.
fn kib_line(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Ticks of CPU time, of the text of `/proc/self/stat`.
fn ticks(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, which may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// `some avg10` of stall information, as a share.
fn some_avg10(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let percent = some.split_ascii_whitespace().find_map(|part| part.strip_prefix("avg10="))?;
    Some(percent.parse::<f64>().ok()? / 100.0)
}

/// See the module's head. Times are since any one instant.
#[derive(Debug)]
pub struct Probe {
    place: Place,
    machine: Option<(Duration, Machine)>,
    /// Ticks of CPU time, for as long as they are averaged over.
    ticks: VecDeque<(Duration, u64)>,
    stall: Option<(Duration, Option<f64>)>,
    /// When the first measurement was.
    began: Option<Duration>,
    buffer: Vec<u8>,
}

impl Probe {
    /// One that has measured nothing yet.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { place, machine: None, ticks: VecDeque::new(), stall: None, began: None, buffer: vec![0; TEXT_BYTES_MAX] }
    }

    /// Whether the kernel tells of stalls of the process's own control group. Without one, those of the machine would be all there
    /// is, which neighbours cause as well.
    #[must_use]
    pub fn knows_stalls(&self) -> bool {
        Machine::look_up(&self.place).stall.is_some()
    }

    /// Measures at `now`. `memory_low` is where use of memory begins to matter.
    pub fn measure(&mut self, now: Duration, memory_low: f64) -> Measured {
        let is_stale = |(looked_up, _): &(Duration, Machine)| now.saturating_sub(*looked_up) >= LOOKED_UP_FOR;
        if self.machine.as_ref().is_none_or(is_stale) {
            self.machine = Some((now, Machine::look_up(&self.place)));
        }
        let Some((_, machine)) = &mut self.machine else { return Measured::default() };
        let buffer = &mut self.buffer;
        let memory = machine.memory(memory_low, buffer);
        let spent = machine.process.as_mut().and_then(|process| ticks(process.read(buffer)?));
        let stall = match self.stall {
            Some((read, stall)) if now.saturating_sub(read) < STALL_PACE => stall,
            _ => {
                let stall = machine.stall.as_mut().and_then(|stall| some_avg10(stall.read(buffer)?));
                self.stall = Some((now, stall));
                stall
            }
        };
        let cpus = machine.cpus;
        let began = *self.began.get_or_insert(now);
        let cpu_stall = stall.filter(|_| now.saturating_sub(began) >= STALL_WINDOW);
        Measured { memory, cpu: spent.and_then(|ticks| self.busy(now, ticks, cpus)), cpu_stall }
    }

    /// CPU time since a window ago, of what there was; `None` until the window is full, so that starting is no pressure.
    fn busy(&mut self, now: Duration, ticks: u64, cpus: f64) -> Option<f64> {
        self.ticks.push_back((now, ticks));
        while let Some((second, _)) = self.ticks.get(1).copied()
            && now.saturating_sub(second) >= CPU_WINDOW
        {
            self.ticks.pop_front();
        }
        let (from, before) = self.ticks.front().copied()?;
        let elapsed = now.saturating_sub(from);
        let used = ticks.saturating_sub(before) as f64 / TICKS_PER_SECOND;
        (elapsed >= CPU_WINDOW).then(|| used / (elapsed.as_secs_f64() * cpus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    /// A place with these files, paths relative to `proc` or `cgroup`.
    fn place(folder: &Path, files: &[(&str, &str)]) -> Place {
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let files = memory::Probe { proc: folder.join("proc"), cgroup: folder.join("cgroup") };
        Place { files, threads: 4 }
    }

    fn measure(files: &[(&str, &str)]) -> Measured {
        let folder = tempfile::tempdir().unwrap();
        Probe::new(place(folder.path(), files)).measure(NOW, 0.7)
    }

    fn is_near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-9)
    }

    #[test]
    fn nothing_is_known_where_there_is_nothing_to_read() {
        assert_eq!(measure(&[]), Measured::default());
    }

    #[test]
    fn the_group_nearest_its_limit_counts_without_its_file_cache() {
        let group = [
            ("proc/self/cgroup", "0::/pod/app\n"),
            ("cgroup/pod/memory.max", "1000\n"),
            ("cgroup/pod/memory.current", "950\n"),
            ("cgroup/pod/memory.stat", "anon 700\ninactive_file 150\n"),
            ("cgroup/pod/app/memory.max", "max\n"),
            ("cgroup/pod/app/memory.current", "900\n"),
        ];
        assert!(is_near(measure(&group).memory, 0.8));
        let tighter = [("cgroup/pod/app/memory.max", "1000\n")];
        assert!(is_near(measure(&[&group[..4], &tighter, &group[5..]].concat()).memory, 0.9));
        let v1 = [
            ("proc/self/cgroup", "4:memory:/a\n0::/\n"),
            ("cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cgroup/memory/a/memory.usage_in_bytes", "1\n"),
            ("cgroup/memory/memory.limit_in_bytes", "1000\n"),
            ("cgroup/memory/memory.usage_in_bytes", "900\n"),
            ("cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n"),
        ];
        assert!(is_near(measure(&v1).memory, 0.8));
    }

    #[test]
    fn without_a_limit_the_process_is_measured_by_the_machine() {
        let files =
            [("proc/meminfo", "MemTotal: 1000 kB\n"), ("proc/self/status", "Name:\tweir\nVmRSS:\t     250 kB\n")];
        assert!(is_near(measure(&files).memory, 0.25));
    }

    #[test]
    fn cpu_time_counts_over_a_second_of_what_is_allowed() {
        for (files, cpus) in [
            (&[][..], 4.0),
            (&[("proc/self/cgroup", "0::/\n"), ("cgroup/cpu.max", "50000 100000\n")], 0.5),
            (&[("proc/self/cgroup", "0::/\n"), ("cgroup/cpu.max", "max 100000\n")], 4.0),
            (
                &[
                    ("proc/self/cgroup", "1:cpu:/\n"),
                    ("cgroup/cpu/cpu.cfs_quota_us", "200000\n"),
                    ("cgroup/cpu/cpu.cfs_period_us", "100000\n"),
                ],
                2.0,
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let stat = |ticks: u64| {
                let text = format!("1 (we) ir) S 2 3 4 5 6 7 8 9 10 11 {} {} 0 0 20\n", ticks / 2, ticks - ticks / 2);
                fs::write(folder.path().join("proc/self/stat"), text).unwrap();
            };
            let place = place(folder.path(), &[&[("proc/self/stat", "")], files].concat());
            let mut probe = Probe::new(place);
            let mut found = Vec::new();
            for tenth in 0..30_u32 {
                // A quarter of a CPU, and from 2 s on three quarters.
                let tenths = u64::from(tenth);
                stat(if tenth < 20 { tenths * 5 / 2 } else { 50 + (tenths - 20) * 15 / 2 });
                found.push(probe.measure(Duration::from_millis(100) * tenth, 0.7).cpu);
            }
            assert_eq!(found[9], None, "not a second yet");
            assert!((found[15].unwrap() - 0.25 / cpus).abs() < 0.02 / cpus, "{cpus}: {found:?}");
            assert!((found[25].unwrap() - 0.5 / cpus).abs() < 0.02 / cpus, "{cpus}: {found:?}");
        }
    }

    /// What the stalls of these files count as, at the start and after ten seconds.
    fn stalls(files: &[(&str, &str)]) -> (bool, [Option<f64>; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let mut probe = Probe::new(place(folder.path(), files));
        let knows = probe.knows_stalls();
        (knows, [NOW, STALL_WINDOW].map(|now| probe.measure(now, 0.7).cpu_stall))
    }

    #[test]
    fn stalls_are_those_of_the_own_group_when_it_has_lived_as_long_as_they_are_averaged() {
        let some = "some avg10=50.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00\n";
        let machine = [("proc/pressure/cpu", some), ("cgroup/cpu.pressure", some)];
        let of = |more: &[(&'static str, &'static str)]| stalls(&[&machine[..], more].concat());
        let app = [("cgroup/app/cgroup.type", "domain\n"), ("cgroup/app/cpu.pressure", some)];
        for own in [
            &[("proc/self/cgroup", "0::/app\n"), app[0], app[1]][..],
            // In a container the mount is the group.
            &[("proc/self/cgroup", "0::/\n"), ("cgroup/cgroup.type", "domain\n")],
            &[("proc/self/cgroup", "0::/host/app\n"), ("cgroup/cgroup.type", "domain\n")],
        ] {
            let (knows, [at_start, later]) = of(own);
            assert!(knows && at_start.is_none() && is_near(later, 0.5), "{own:?}: {at_start:?}, {later:?}");
        }
        for neighbours in
            [&[][..], &[("proc/self/cgroup", "0::/\n")], &[("proc/self/cgroup", "1:cpu:/app\n0::/\n"), app[0], app[1]]]
        {
            assert_eq!(of(neighbours), (false, [None, None]), "{neighbours:?}");
        }
    }

    #[test]
    fn this_machine_can_be_measured() {
        if cfg!(target_os = "linux") {
            let mut probe = Probe::new(Place::default());
            let measured = probe.measure(NOW, 0.0);
            assert!(measured.memory.is_some_and(|memory| (0.0..=1.0).contains(&memory)), "{measured:?}");
            assert!(probe.measure(CPU_WINDOW, 0.0).cpu.is_some_and(|cpu| cpu >= 0.0));
        }
    }
}
