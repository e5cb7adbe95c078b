//! `weir run`: the program's life.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use component::Deadline;
use config::ProcessEnv;
use tokio::signal::unix::{SignalKind, signal};

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
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut service = Service::start(options, Arc::new(Catalog::default()), &ProcessEnv).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "everything is ready, running");
    let fatal = loop {
        tokio::select! {
            error = service.fatal() => break Some(error),
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            _ = hangup.recv() => reload(&mut service, args).await,
        }
    };
    match &fatal {
        Some(error) => tracing::error!(error, "stopping: a component failed"),
        None => {
            tracing::info!(deadline = ?args.shutdown_timeout, "received a signal, draining; a second one stops at once")
        }
    }
    let ledger = Arc::clone(service.host().ledger());
    let report = tokio::select! {
        report = service.shutdown(Deadline::after(args.shutdown_timeout)) => report,
        _ = terminate.recv() => stopped_at_once(&ledger),
        _ = interrupt.recv() => stopped_at_once(&ledger),
    };
    super::diagnose(&format!("ledger (items):\n{}", telemetry::ledger::table(&report.accounts)));
    if let Some(error) = fatal {
        return Err(Failure::Runtime(anyhow::anyhow!(error)));
    }
    if report.balances() { Ok(()) } else { Err(Failure::Silent) }
}

fn stopped_at_once(ledger: &pdata::Ledger) -> ShutdownReport {
    tracing::warn!("second signal: stopping at once; what the ledger shows as held is lost");
    ShutdownReport { accounts: ledger.read(), stopped: Default::default() }
}

async fn reload(service: &mut Service, args: &RunArgs) {
    match service.reload(&ProcessEnv, Deadline::after(args.shutdown_timeout)).await {
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
}
