//! Where lines go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// A list of outputs; each line goes to all of them.
#[derive(Debug)]
pub(super) struct Outputs(Vec<Output>);

#[derive(Debug)]
struct Output {
    path: String,
    target: Target,
    /// Set from a write that failed until one that did not, so that a full disk is told of once.
    failing: AtomicBool,
}

#[derive(Debug)]
enum Target {
    Stdout,
    Stderr,
    File(File),
}

impl Outputs {
    /// Opens all of `paths`: `stdout`, `stderr`, or a file by its path or `file:` URL, which is appended to.
    ///
    /// # Errors
    /// The first path that cannot be opened.
    pub(super) fn open(paths: &[String]) -> Result<Self, (String, io::Error)> {
        let open = |path: &String| {
            let target = match path.as_str() {
                "stdout" => Target::Stdout,
                "stderr" => Target::Stderr,
                file => Target::File(
                    OpenOptions::new()
                        .append(true)
                        .create(true)
                        .open(file.strip_prefix("file://localhost").or(file.strip_prefix("file://")).unwrap_or(file))
                        .map_err(|error| (path.clone(), error))?,
                ),
            };
            Ok(Output { path: path.clone(), target, failing: AtomicBool::new(false) })
        };
        paths.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Writes a line to each. That one cannot be written is said on `errors`, once until it can be again.
    pub(super) fn write(&self, line: &[u8], errors: &Self) {
        for output in &self.0 {
            let failure = output.target.write(line).err();
            let was_failing = output.failing.swap(failure.is_some(), Ordering::Relaxed);
            if let (Some(error), false) = (failure, was_failing) {
                let message = format!("cannot write log lines to `{}`: {error}\n", output.path);
                for output in &errors.0 {
                    // There is nobody left to tell.
                    let _written = output.target.write(message.as_bytes());
                }
            }
        }
    }
}

impl Target {
    fn write(&self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(line),
            Self::Stderr => io::stderr().lock().write_all(line),
            // One call per line, so that lines of several processes do not mix.
            Self::File(file) => (&mut &*file).write_all(line),
        }
    }
}
