//! What the user writes. Keys, defaults (but for `fsync`) and sentences are the Collector's.

use std::path::Path;
use std::time::Duration;

use config::{Config, GoDuration, Validator};

/// Keeps sending queues on disk.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
#[config(validate = FileStorageConfig::check)]
pub struct FileStorageConfig {
    /// Where: each queue gets a directory in this one. It must exist, unless `create_directory` is set.
    #[config(default = "/var/lib/otelcol/file_storage")]
    pub directory: String,
    /// How long to wait at start for another process to let go of a queue; 0 means for ever.
    #[config(default = GoDuration::from(Duration::from_secs(1)))]
    pub timeout: GoDuration,
    /// Whether a sender is answered only when its telemetry is on the medium. Without it, telemetry survives the end of the
    /// process, however sudden, but not a loss of power.
    #[config(default = true)]
    pub fsync: bool,
    /// Whether to create a missing `directory` at start.
    pub create_directory: bool,
    /// Rights of a created `directory`, as an octal number in quotes. What is in it is for its owner alone, whatever they are.
    #[config(default = "0750")]
    pub directory_permissions: String,
    /// Bytes that the files of one queue may have; telemetry beyond is refused. 0 means any.
    pub max_size: u64,
    /// Whether to begin anew when the Collector's database is damaged.
    #[config(no_effect = "what is damaged is put aside in any case, and the rest is used")]
    pub recreate: bool,
    /// When the Collector's database shrinks its file.
    #[config(no_effect = "files are removed when everything in them was sent")]
    pub compaction: CompactionConfig,
}

/// When the Collector's database shrinks its file.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct CompactionConfig {
    /// At every start.
    pub on_start: bool,
    /// When much of the file is free.
    pub on_rebound: bool,
    /// Where the new file is written.
    pub directory: String,
    /// From which size on.
    #[config(default = 100)]
    pub rebound_needed_threshold_mib: i64,
    /// Below how much data.
    #[config(default = 10)]
    pub rebound_trigger_threshold_mib: i64,
    /// How much at a time.
    #[config(default = 65536)]
    pub max_transaction_size: i64,
    /// How often to look.
    #[config(default = GoDuration::from(Duration::from_secs(5)))]
    pub check_interval: GoDuration,
    /// Whether to remove what an attempt has left.
    pub cleanup_on_start: bool,
}

impl FileStorageConfig {
    fn check(&self, v: &mut Validator<'_>) {
        let directory = &self.directory;
        match Path::new(directory).metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => v.error("directory", format!("{directory} is not a directory")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if !self.create_directory {
                    v.error(
                        "directory",
                        format!(
                            "directory must exist: stat {directory}: no such file or directory. You can enable the \
                             create_directory option to automatically create it"
                        ),
                    );
                }
            }
            Err(error) => {
                v.error("directory", format!("problem accessing configured directory: {directory}, err: {error}"));
            }
        }
        if self.timeout.is_negative() {
            v.error("timeout", "'timeout' must be non-negative");
        }
        if self.compaction.max_transaction_size < 0 {
            let message = "max transaction size for compaction cannot be less than 0";
            v.error("compaction::max_transaction_size", message);
        }
        if self.compaction.on_rebound && self.compaction.check_interval <= GoDuration::from(Duration::ZERO) {
            let message = "compaction check interval must be positive when rebound compaction is set";
            v.error("compaction::check_interval", message);
        }
        if self.create_directory {
            let field = "directory_permissions";
            match u32::from_str_radix(&self.directory_permissions, 8) {
                Err(_) => v.error(field, "directory_permissions value must be a valid octal representation"),
                Ok(mode) if mode > 0o777 => {
                    v.error(field, "directory_permissions contain invalid bits for file access")
                }
                Ok(_) => {}
            }
        }
    }

    /// Rights of a created directory.
    #[must_use]
    pub fn directory_mode(&self) -> u32 {
        u32::from_str_radix(&self.directory_permissions, 8).unwrap_or(0o750)
    }

    /// How long to wait for another process; `None` for ever.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.timeout.as_std().filter(|timeout| !timeout.is_zero())
    }
}
