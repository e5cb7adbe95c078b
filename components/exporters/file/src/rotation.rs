//! Putting full files aside, and deleting old ones.
//!
//! `out.json` becomes `out-2026-01-31T23-59-58.123.json`, the time being that of the rotation. Only names of exactly this
//! form are ever deleted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::config::Rotation;

const FORM: &str = "%Y-%m-%dT%H-%M-%S.%3f";
/// Characters of a time in [`FORM`].
const FORM_LENGTH: usize = 23;
const MIB: u64 = 1 << 20;

/// Files put aside in the same millisecond that are told apart.
const SAME_TIME_MAX: i64 = 1000;

/// When and how.
#[derive(Clone, Debug)]
pub struct Rotator {
    /// Largest size of a file; a larger message has a file of its own.
    pub bytes_max: u64,
    age_max: Option<Duration>,
    backups_max: usize,
    zone: TimeZone,
    /// The time in the name that was given last: a later file has a later one, even after files were deleted.
    last: Option<Timestamp>,
}

impl Rotator {
    /// As configured.
    #[must_use]
    pub fn new(rotation: &Rotation) -> Self {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let megabytes = Some(number(rotation.max_megabytes)).filter(|megabytes| *megabytes > 0).unwrap_or(100);
        let days = number(rotation.max_days);
        Self {
            bytes_max: megabytes.saturating_mul(MIB),
            age_max: (days > 0).then(|| Duration::from_secs(days.saturating_mul(86_400))),
            backups_max: usize::try_from(number(rotation.max_backups)).unwrap_or(usize::MAX),
            zone: if rotation.localtime { TimeZone::system() } else { TimeZone::UTC },
            last: None,
        }
    }

    /// Renames `path`.
    ///
    /// # Errors
    /// Why that is not possible.
    pub fn put_aside(&mut self, path: &Path) -> io::Result<()> {
        let next = self.last.and_then(|last| last.checked_add(1.milliseconds()).ok());
        let first = Timestamp::now().max(next.unwrap_or(Timestamp::MIN));
        for later in 0..SAME_TIME_MAX {
            let time = first.saturating_add(later.milliseconds()).unwrap_or(first);
            let aside = self.name(path, time);
            if !aside.try_exists()? {
                self.last = Some(time);
                return match fs::rename(path, aside) {
                    // Gone already: an earlier attempt got no further, or somebody else took it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    renamed => renamed,
                };
            }
        }
        Err(io::Error::other(format!("there is no free name to put `{}` aside", path.display())))
    }

    fn name(&self, path: &Path, time: Timestamp) -> PathBuf {
        let (prefix, suffix) = parts(path);
        path.with_file_name(format!("{prefix}{}{suffix}", time.to_zoned(self.zone.clone()).strftime(FORM)))
    }

    /// Deletes files that were put aside and are too many or too old.
    ///
    /// # Errors
    /// The first that could not be deleted; the others are deleted all the same.
    pub fn clean(&self, path: &Path) -> io::Result<()> {
        let mut aside = self.files_aside(path)?;
        // Newest first.
        aside.sort_by(|(a, _), (b, _)| b.cmp(a));
        let now = Timestamp::now();
        let is_old = |time: Timestamp| {
            self.age_max.is_some_and(|age_max| now.duration_since(time).unsigned_abs() > age_max && time < now)
        };
        let mut result = Ok(());
        for (nth, (time, path)) in aside.into_iter().enumerate() {
            if (self.backups_max > 0 && nth >= self.backups_max) || is_old(time) {
                result = result.and(fs::remove_file(path));
            }
        }
        result
    }

    fn files_aside(&self, path: &Path) -> io::Result<Vec<(Timestamp, PathBuf)>> {
        let (prefix, suffix) = parts(path);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let time = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(&suffix));
            if let Some(time) = time.and_then(|time| self.parse(time)) {
                found.push((time, entry.path()));
            }
        }
        Ok(found)
    }

    fn parse(&self, time: &str) -> Option<Timestamp> {
        let civil = DateTime::strptime("%Y-%m-%dT%H-%M-%S%.3f", time).ok().filter(|_| time.len() == FORM_LENGTH)?;
        civil.to_zoned(self.zone.clone()).ok().map(|zoned| zoned.timestamp())
    }
}

/// What stands before and after the time in the names of files put aside.
fn parts(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let suffix = path.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
    (format!("{stem}-"), suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn rotator(max_days: i64, max_backups: i64) -> Rotator {
        Rotator::new(&Rotation { max_days, max_backups, ..Rotation::default() })
    }

    #[test]
    fn names_carry_the_time_in_utc_or_in_the_zone() {
        let time: Timestamp = "2026-01-31T23:59:58.123456Z".parse().unwrap();
        let mut rotator = rotator(0, 0);
        let path = Path::new("dir/out.json");
        assert_eq!(rotator.name(path, time), Path::new("dir/out-2026-01-31T23-59-58.123.json"));
        assert_eq!(rotator.name(Path::new("out"), time), Path::new("out-2026-01-31T23-59-58.123"));
        rotator.zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(rotator.name(path, time), Path::new("dir/out-2026-02-01T01-59-58.123.json"));
        assert_eq!(rotator.parse("2026-02-01T01-59-58.123"), Some("2026-01-31T23:59:58.123Z".parse().unwrap()));
    }

    #[test]
    fn files_put_aside_at_one_time_do_not_replace_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        for n in 0..20 {
            fs::write(&path, n.to_string()).unwrap();
            rotator(0, 0).put_aside(&path).unwrap();
        }
        let mut contents: Vec<u32> = names(folder.path())
            .iter()
            .map(|name| fs::read_to_string(folder.path().join(name)).unwrap().parse().unwrap())
            .collect();
        contents.sort_unstable();
        assert_eq!(contents, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn only_surplus_and_old_files_of_the_form_are_deleted() {
        let today = Timestamp::now();
        let ago = |days: i64| rotator(0, 0).name(Path::new("out.json"), today - (days * 24).hours());
        let ago = |days: i64| ago(days).to_str().unwrap().to_owned();
        let others =
            ["out.json", "out-.json", "out-2020-01-01T00-00-00.000.json.bak", "other-2020-01-01T00-00-00.000.json"];
        for (max_days, max_backups, kept) in
            [(0, 0, vec![1, 2, 3, 30]), (0, 2, vec![1, 2]), (2, 0, vec![1]), (10, 1, vec![1]), (10, 9, vec![1, 2, 3])]
        {
            let folder = tempfile::tempdir().unwrap();
            for name in others.iter().map(|name| (*name).to_owned()).chain([1, 2, 3, 30].map(ago)) {
                fs::write(folder.path().join(name), "").unwrap();
            }
            rotator(max_days, max_backups).clean(&folder.path().join("out.json")).unwrap();
            let mut expected: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
            expected.extend(kept.into_iter().map(ago));
            expected.sort();
            assert_eq!(names(folder.path()), expected, "{max_days} days, {max_backups} backups");
        }
    }
}
