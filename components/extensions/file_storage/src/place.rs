//! Names of files and directories.

use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

/// End of the names of directories of queues. The Collector's files, which have none, can be beside them.
pub const SUFFIX: &str = ".queue";

/// Longest name, in bytes; most file systems take 255.
const NAME_BYTES_MAX: usize = 200;

/// `name` with every character but letters, digits, `_`, `-` and `.` as `~` and its number, and cut off if it is too long, with
/// a hash of the whole.
#[must_use]
pub fn file_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') {
            out.push(c);
        } else {
            let _infallible = write!(out, "~{:04X}", u32::from(c));
        }
    }
    if out.len() > NAME_BYTES_MAX {
        // All of it is ASCII.
        out.truncate(NAME_BYTES_MAX - 17);
        let _infallible = write!(out, "~{:016x}", xxh3_64(name.as_bytes()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_short_and_different() {
        for (name, expected) in [
            ("exporter_otlp_grpc__traces", "exporter_otlp_grpc__traces"),
            ("exporter_otlp_a/b__x.y", "exporter_otlp_a~002Fb__x.y"),
            ("exporter_x_ä_10.0.0.1:4317", "exporter_x_~00E4_10.0.0.1~003A4317"),
            ("a~b", "a~007Eb"),
        ] {
            assert_eq!(file_name(name), expected);
        }
        let (long, other) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        assert_eq!(file_name(&long).len(), NAME_BYTES_MAX);
        assert_ne!(file_name(&long), file_name(&other));
    }
}
