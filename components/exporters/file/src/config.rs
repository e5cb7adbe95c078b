//! What the user writes.

use std::time::Duration;

use config::{ComponentId, Config, GoDuration, Validator, codes};

/// Rights of created directories when none are written.
const DIRECTORY_MODE: u32 = 0o755;

/// The form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Format {
    /// OTLP/JSON, a request per line.
    #[config(default)]
    Json,
    /// OTLP protobuf, each request after its length.
    Proto,
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Config)]
pub enum Compression {
    /// Not at all.
    #[config(default, rename = "")]
    None,
    /// Each message by itself, with zstd.
    Zstd,
}

/// Writes OTLP to files.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = FileConfig::check)]
pub struct FileConfig {
    /// The file, relative to the working directory. With `group_by`, exactly one `*` stands for the attribute's value.
    pub path: String,
    /// Whether to append to an existing file instead of emptying it. Not with `rotation` or `compression`.
    pub append: bool,
    /// Rotation, off unless written. Has no effect with `group_by`.
    pub rotation: Option<Rotation>,
    /// The form of messages.
    pub format: Format,
    /// An encoding extension, instead of `format`.
    pub encoding: Option<ComponentId>,
    /// Compression of each message. Compressed messages stand after their length, whatever the format.
    pub compression: Compression,
    /// Details of the compression.
    pub compression_params: CompressionParams,
    /// Longest time that messages stay in memory; 0 means the default.
    #[config(default = GoDuration(1_000_000_000))]
    pub flush_interval: GoDuration,
    /// A file for each value of a resource attribute.
    pub group_by: GroupBy,
    /// Whether to create missing directories of the path.
    pub create_directory: bool,
    /// Rights of created directories, as an octal number in quotes, less the umask; `"0755"` if not written. Only with
    /// `create_directory`.
    pub directory_permissions: String,
}

/// When a file is put aside and a new one begun.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = Rotation::check)]
pub struct Rotation {
    /// Largest size of a file in MiB; 0 means the default.
    #[config(default = 100)]
    pub max_megabytes: i64,
    /// Days (of 24 hours) after which files that were put aside are deleted; 0 means never.
    pub max_days: i64,
    /// Files put aside that are kept; 0 means all.
    #[config(default = 100)]
    pub max_backups: i64,
    /// Whether the time in the names of files put aside is local instead of UTC.
    pub localtime: bool,
}

/// Details of the compression.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct CompressionParams {
    /// Level of zstd, from 1 (fast) to 22 (small); 0 means the default, 3.
    pub level: i32,
}

/// A file for each value of a resource attribute.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct GroupBy {
    /// Whether to group.
    pub enabled: bool,
    /// The resource attribute whose value replaces `*` in the path. Items of resources without it are rejected.
    #[config(default = "fileexporter.path_segment")]
    pub resource_attribute: String,
    /// Files open at the same time; the one that was not used for longest is closed for another.
    #[config(default = 100)]
    pub max_open_files: i64,
}

impl Rotation {
    fn check(&self, v: &mut Validator<'_>) {
        let values =
            [("max_megabytes", self.max_megabytes), ("max_days", self.max_days), ("max_backups", self.max_backups)];
        for (field, value) in values {
            if value < 0 {
                v.error(field, format!("`{field}` must not be negative, got {value}"));
            }
        }
    }
}

impl FileConfig {
    /// The interval between flushes.
    #[must_use]
    pub fn flush_interval(&self) -> Duration {
        self.flush_interval.as_std().filter(|interval| !interval.is_zero()).unwrap_or(Duration::from_secs(1))
    }

    /// Rights of directories it creates.
    #[must_use]
    pub fn directory_mode(&self) -> u32 {
        u32::from_str_radix(&self.directory_permissions, 8).unwrap_or(DIRECTORY_MODE)
    }

    fn check(&self, v: &mut Validator<'_>) {
        if self.path.is_empty() {
            v.error("path", "path must be non-empty");
        }
        if self.append && self.compression != Compression::None {
            v.error("append", "append and compression enabled at the same time is not supported");
        }
        if self.append && self.rotation.is_some() {
            v.error("append", "append and rotation enabled at the same time is not supported");
        }
        if self.flush_interval.is_negative() {
            v.error("flush_interval", "flush_interval must be larger than zero");
        }
        let level = self.compression_params.level;
        if !(0..=22).contains(&level) {
            v.error("compression_params::level", format!("`level` must be between 1 and 22, got {level}"));
        } else if level != 0 && self.compression == Compression::None {
            let message = "`level` has no effect: `compression` is not set";
            v.warning("compression_params::level", codes::NO_EFFECT, message);
        }
        self.check_groups(v);
        self.check_directory(v);
    }

    fn check_groups(&self, v: &mut Validator<'_>) {
        if !self.group_by.enabled {
            return;
        }
        match self.path.split('*').collect::<Vec<_>>().as_slice() {
            ["", _] => v.error("path", "path must not start with * when group_by is enabled"),
            [_, _] => {}
            _ => v.error("path", "path must contain exactly one * when group_by is enabled"),
        }
        if self.group_by.resource_attribute.is_empty() {
            v.error("group_by::resource_attribute", "resource_attribute must not be empty when group_by is enabled");
        }
        if self.group_by.max_open_files <= 0 {
            let message = format!("`max_open_files` must be positive, got {}", self.group_by.max_open_files);
            v.error("group_by::max_open_files", message);
        }
        if self.rotation.is_some() {
            v.warning("rotation", codes::NO_EFFECT, "`rotation` has no effect: `group_by` is enabled");
        }
    }

    fn check_directory(&self, v: &mut Validator<'_>) {
        if self.directory_permissions.is_empty() {
            return;
        }
        let field = "directory_permissions";
        match u32::from_str_radix(&self.directory_permissions, 8) {
            _ if !self.create_directory => v.error(field, "directory_permissions requires create_directory to be true"),
            Err(_) => v.error(field, "directory_permissions value must be a valid octal representation"),
            Ok(mode) if mode > 0o777 => v.error(field, "directory_permissions contain invalid bits for file access"),
            Ok(_) => {}
        }
    }
}
