//! `weir run`: the program's life.
//!
//! Signals are heard at any time, while a reload runs too: one that ends the process ends the waiting for what the reload
//! replaced, which then goes on as part of the shutdown; a second one ends everything at once. A SIGHUP during a reload is
//! remembered by its stream, and reloads again afterwards.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use component::Deadline;
use config::ProcessEnv;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::{ErrorFormat, Failure, RunArgs};
use crate::catalog::Catalog;
use crate::service::{Service, ServiceError, ShutdownReport, telemetry};

/// Runs until a signal, a fatal error, or a wrong configuration.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("weir")
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(live(args));
    // Dropping a runtime waits for work that blocks (a write to a dead network file system), after a second signal too.
    runtime.shutdown_timeout(BLOCKED_MAX);
    result
}

/// Time for blocking work that nobody waits for any more.
const BLOCKED_MAX: Duration = Duration::from_secs(1);

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Config(errors) => Self::Config(errors, ErrorFormat::Text),
            ServiceError::Start(error) => Self::Runtime(error.into()),
        }
    }
}

async fn live(args: &RunArgs) -> Result<(), Failure> {
    let mut options = args.config.options()?;
    options.log = telemetry::LogOverrides {
        level: args.log_level.clone(),
        json: args.log_format.map(|format| format == super::LogFormat::Json),
    };
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut service = Service::start(options, Arc::new(Catalog::default()), &ProcessEnv).await?;
    let mut ends = Ends { terminate, interrupt, fatal: service.fatal_errors() };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "everything is ready, running");
    let end = loop {
        let end = tokio::select! {
            end = ends.next() => Some(end.told(args)),
            _ = hangup.recv() => reload(&mut service, args, &mut ends).await,
        };
        if let Some(end) = end {
            break end;
        }
    };
    let ledger = Arc::clone(service.host().ledger());
    let (report, fatal) = match end {
        Ending::AtOnce(fatal) => (stopped_at_once(&ledger), fatal),
        Ending::By(deadline, fatal) => tokio::select! {
            report = service.shutdown(deadline) => (report, fatal),
            () = ends.signal() => (stopped_at_once(&ledger), fatal),
        },
    };
    super::diagnose(&format!("ledger (items):\n{}", telemetry::ledger::table(&report.accounts)));
    if let Some(error) = fatal {
        return Err(Failure::Runtime(anyhow::anyhow!(error)));
    }
    if report.balances() { Ok(()) } else { Err(Failure::Silent) }
}

fn stopped_at_once(ledger: &pdata::Ledger) -> ShutdownReport {
    tracing::warn!("second signal: stopping at once; what the ledger shows as held is lost, but for queues on disk");
    ShutdownReport { accounts: ledger.read(), stopped: Default::default() }
}

/// What ends the process.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
    fatal: Option<mpsc::Receiver<String>>,
}

/// Why the process ends.
enum End {
    Signal,
    Fatal(String),
}

impl Ends {
    async fn signal(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The next of them.
    async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Signal,
            _ = self.interrupt.recv() => End::Signal,
            Some(error) = next_error(&mut self.fatal) => End::Fatal(error),
        }
    }
}

async fn next_error(errors: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match errors {
        Some(errors) => errors.recv().await,
        None => None,
    }
}

/// How the process ends, and the error that is to blame.
enum Ending {
    By(Deadline, Option<String>),
    AtOnce(Option<String>),
}

impl End {
    /// Tells it; the time to shut down in begins.
    fn told(self, args: &RunArgs) -> Ending {
        let error = match self {
            Self::Signal => {
                let deadline = args.shutdown_timeout;
                tracing::info!(?deadline, "received a signal, draining; a second one stops at once");
                None
            }
            Self::Fatal(error) => {
                tracing::error!(error, "stopping: a component failed");
                Some(error)
            }
        };
        Ending::By(Deadline::after(args.shutdown_timeout), error)
    }
}

/// Reloads. Returns how the process ends, when it is told to meanwhile.
async fn reload(service: &mut Service, args: &RunArgs, ends: &mut Ends) -> Option<Ending> {
    let deadline = Deadline::after(args.shutdown_timeout);
    let (begun, ending) = {
        let mut beginning = std::pin::pin!(service.begin_reload(&ProcessEnv, deadline));
        let end = tokio::select! {
            begun = &mut beginning => Ok(begun),
            end = ends.next() => Err(end.told(args)),
        };
        match end {
            Ok(begun) => (Some(begun), None),
            // Components are being started. Each is left in order if that can be.
            Err(Ending::By(by, error)) => tokio::select! {
                begun = by.bound(beginning) => (begun, Some(Ending::By(by, error))),
                () = ends.signal() => (None, Some(Ending::AtOnce(error))),
            },
            Err(at_once) => (None, Some(at_once)),
        }
    };
    let reloaded = match begun {
        Some(Ok(reload)) if ending.is_none() => tokio::select! {
            report = service.finish_reload(reload) => Ok(report),
            end = ends.next() => {
                tracing::info!("what the reload replaced goes on draining");
                return Some(end.told(args));
            }
        },
        Some(Err(error)) => Err(error),
        _ => return ending,
    };
    match reloaded {
        Ok(report) => tracing::info!(
            created = report.created,
            kept = report.kept,
            took_ms = report.took.as_millis(),
            "reloaded the configuration"
        ),
        Err(ServiceError::Config(errors)) => {
            tracing::error!("the new configuration is wrong; the running one goes on");
            super::diagnose(super::render(&errors, ErrorFormat::Text).trim_end());
        }
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "cannot reload; the running configuration goes on"
            );
        }
    }
    ending
}
