//! Where text goes: standard streams and files, opened at start.
//!
//! Writing blocks (a pipe may be full), so it runs on tokio's threads for blocking work.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

enum Sink {
    Stdout,
    Stderr,
    File(Mutex<File>),
}

/// Open destinations.
pub struct Output(Vec<(String, Sink)>);

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(path, _)| path)).finish()
    }
}

impl Output {
    /// Opens all of them; files are created or appended to.
    ///
    /// # Errors
    /// The path that could not be opened, and why.
    pub fn open(paths: &[String]) -> Result<Self, (String, io::Error)> {
        let open = |path: &String| {
            let sink = match path.as_str() {
                "stdout" => Sink::Stdout,
                "stderr" => Sink::Stderr,
                file => {
                    let file = file.strip_prefix("file://").unwrap_or(file);
                    let options = OpenOptions::new().append(true).create(true).open(file);
                    Sink::File(Mutex::new(options.map_err(|error| (path.clone(), error))?))
                }
            };
            Ok((path.clone(), sink))
        };
        paths.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Writes `text` to all of them, even if one fails.
    ///
    /// # Errors
    /// The first that failed, and why.
    pub fn write(&self, text: &str) -> Result<(), (String, io::Error)> {
        let mut failed = Ok(());
        for (path, sink) in &self.0 {
            let written = match sink {
                Sink::Stdout => all(&mut io::stdout().lock(), text),
                Sink::Stderr => all(&mut io::stderr().lock(), text),
                Sink::File(file) => all(&mut *file.lock().unwrap_or_else(PoisonError::into_inner), text),
            };
            if let (Err(error), Ok(())) = (written, &failed) {
                failed = Err((path.clone(), error));
            }
        }
        failed
    }
}

fn all(sink: &mut dyn Write, text: &str) -> io::Result<()> {
    sink.write_all(text.as_bytes())?;
    sink.flush()
}
