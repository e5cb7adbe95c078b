//! A file for each value of a resource attribute.
//!
//! The value comes from whoever sends telemetry, so it must not lead out of the place that the path gives: see [`Pattern`].

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use component::storage::create_directories;
use pdata::view::ResourceGroup;
use pdata::{Payload, Segment, Signal, wire};

use crate::writer::{Existing, Writer};

/// A path with a place for a value.
#[derive(Clone, Debug)]
pub struct Pattern {
    prefix: String,
    suffix: String,
}

impl Pattern {
    /// Splits the path at its `*`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        let (prefix, suffix) = path.split_once('*').unwrap_or((path, ""));
        // `./out/` and `out/` are the same place, and results are compared with the prefix.
        let mut clean = clean(prefix);
        if prefix.ends_with('/') && !clean.ends_with('/') {
            clean.push('/');
        }
        Self { prefix: clean, suffix: suffix.to_owned() }
    }

    /// The file for `value`. Always begins with what stands before the `*`, whatever the value.
    #[must_use]
    pub fn path(&self, value: &str) -> PathBuf {
        let value = match value {
            relative if relative.starts_with("./") => relative.get(1..).unwrap_or_default(),
            relative if relative.starts_with("../") => relative.get(2..).unwrap_or_default(),
            other => other,
        };
        let full = clean(&format!("{}{value}{}", self.prefix, self.suffix));
        if full.starts_with(&self.prefix) && full.len() > self.prefix.len() {
            return full.into();
        }
        // It would lead elsewhere: resolve it as if the prefix were the root.
        let inside = clean(&format!("/{value}{}", self.suffix));
        format!("{}/{}", self.prefix.trim_end_matches('/'), inside.trim_start_matches('/')).into()
    }
}

/// Resolves `.` and `..` without looking at the disk.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let is_absolute = path.starts_with('/');
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::ParentDir if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            Component::ParentDir if !is_absolute => parts.push(".."),
            Component::ParentDir | Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let joined = parts.join("/");
    match (is_absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => String::new(),
        (false, false) => joined,
    }
}

/// The payload by values of the attribute, and how many items have no such attribute (or one that is not text).
#[must_use]
pub fn split(payload: &Payload, attribute: &str) -> (BTreeMap<String, Payload>, u64) {
    let signal = payload.signal();
    let (mut groups, mut lost_items) = (BTreeMap::<String, (Vec<u8>, u64)>::new(), 0);
    for resource in payload.resources() {
        let items = count(resource);
        let attributes = resource.resource().attributes();
        match attributes.get(attribute).and_then(|value| value.as_str()) {
            Some(value) => {
                let (request, total) = groups.entry(value.to_owned()).or_default();
                // Every export request is a repeated field 1.
                wire::put_len(request, 1, resource.as_bytes());
                *total += items;
            }
            None => lost_items += items,
        }
    }
    let payload = |(request, items): (Vec<u8>, u64)| payload_of(signal, request, items);
    (groups.into_iter().map(|(value, group)| (value, payload(group))).collect(), lost_items)
}

fn payload_of(signal: Signal, request: Vec<u8>, items: u64) -> Payload {
    let items = u32::try_from(items).unwrap_or(u32::MAX);
    Payload::from_segments(signal, [Segment::trusted(request.into(), items)])
}

fn count(resource: ResourceGroup<'_>) -> u64 {
    let scopes = resource.scopes().map(|scope| {
        let points = scope.metrics().map(|metric| metric.data_points().count());
        scope.spans().count() + scope.log_records().count() + points.sum::<usize>()
    });
    scopes.sum::<usize>() as u64
}

/// Open writers, the least recently used of which is closed for another.
#[derive(Debug)]
pub struct Writers {
    open_max: usize,
    append: bool,
    directory_mode: u32,
    /// Files that were written to since are this exporter's own and are continued when they are opened again.
    started: SystemTime,
    open: HashMap<PathBuf, (Writer, u64)>,
    uses: u64,
}

impl Writers {
    /// None open yet.
    #[must_use]
    pub fn new(open_max: usize, append: bool, directory_mode: u32) -> Self {
        // File systems tell times apart by some milliseconds only.
        let started = SystemTime::now().checked_sub(Duration::from_millis(50)).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { open_max, append, directory_mode, started, open: HashMap::new(), uses: 0 }
    }

    /// The writer for `path`, opened (with its directories) if it is not.
    ///
    /// # Errors
    /// Why it cannot be opened, or why another one cannot be closed for it.
    pub fn get(&mut self, path: PathBuf) -> io::Result<&mut Writer> {
        self.uses += 1;
        if !self.open.contains_key(&path) {
            self.make_room()?;
            if let Some(folder) = path.parent() {
                create_directories(folder, self.directory_mode)?;
            }
            let is_own = std::fs::metadata(&path).and_then(|file| file.modified()).is_ok_and(|at| at >= self.started);
            let existing = if self.append || is_own { Existing::Append } else { Existing::Truncate };
            let writer = Writer::open(path.clone(), existing, None)?;
            self.open.insert(path.clone(), (writer, 0));
        }
        let (writer, used) = self.open.get_mut(&path).ok_or(io::ErrorKind::NotFound)?;
        *used = self.uses;
        Ok(writer)
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.open.len() < self.open_max {
            return Ok(());
        }
        let oldest = self.open.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
        let Some(oldest) = oldest else { return Ok(()) };
        if let Some((writer, _)) = self.open.get_mut(&oldest) {
            writer.flush()?;
        }
        self.open.remove(&oldest);
        Ok(())
    }

    /// All that are open.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Writer> {
        self.open.values_mut().map(|(writer, _)| writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_lead_out() {
        for (pattern, value, expected) in [
            ("out/*.json", "a", "out/a.json"),
            ("./out/*.json", "a/b", "out/a/b.json"),
            ("/var/*/x.json", "a", "/var/a/x.json"),
            ("out/app-*.json", "1", "out/app-1.json"),
            ("out/*.json", "./a", "out/a.json"),
            ("out/*.json", "../a", "out/a.json"),
            ("out/*.json", "../../../etc/passwd", "out/etc/passwd.json"),
            ("out/*.json", "a/../../b", "out/b.json"),
            ("out/*", "", "out/"),
            ("out/*", "..", "out/"),
            ("/var/log/*.json", "/etc/passwd", "/var/log/etc/passwd.json"),
            ("out/app-*", "/../../x", "out/app-/x"),
            ("../up/*.json", "../../x", "../up/x.json"),
        ] {
            assert_eq!(Pattern::new(pattern).path(value), Path::new(expected), "{pattern} {value}");
        }
    }
}
