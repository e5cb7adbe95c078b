//! How components, pipelines and the service are doing: a reading of the host's reports, put together as the Collector's
//! second health check does.
//!
//! Several statuses become one: all the same, that one; else whoever starts or stops decides, then the error that the
//! configuration counts as worse, then that all is well. Source: the Collector's `healthcheckv2` extension.

use std::sync::Arc;
use std::time::SystemTime;

use component::lifecycle::{Layout, Part, Phase};
use component::{Health, Host};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::ComponentHealthConfig;

/// What is said about one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Starting,
    Ok,
    Recoverable,
    Permanent,
    Stopping,
    Stopped,
}

impl Status {
    /// Its name in the Collector.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Starting => "StatusStarting",
            Self::Ok => "StatusOK",
            Self::Recoverable => "StatusRecoverableError",
            Self::Permanent => "StatusPermanentError",
            Self::Stopping => "StatusStopping",
            Self::Stopped => "StatusStopped",
        }
    }
}

/// A status with its cause and time.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) error: Option<String>,
    pub(crate) since: SystemTime,
    since_instant: Instant,
}

/// A pipeline, or all extensions.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) verdict: Verdict,
    pub(crate) parts: Vec<(Part, Verdict)>,
}

/// Reads the host's reports.
#[derive(Debug)]
pub(crate) struct Judge {
    host: Host,
    config: ComponentHealthConfig,
    pub(crate) started: SystemTime,
    started_instant: Instant,
}

impl Judge {
    pub(crate) fn new(host: &Host, config: &ComponentHealthConfig) -> Self {
        let (started, started_instant) = (SystemTime::now(), Instant::now());
        Self { host: host.clone(), config: config.clone(), started, started_instant }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.host.phase().borrow()
    }

    pub(crate) fn layout(&self) -> Arc<Layout> {
        self.host.layout()
    }

    /// Whether a verdict is good: troubles are bad only where the configuration says that they count.
    pub(crate) fn is_healthy(&self, verdict: &Verdict) -> bool {
        let recovering = verdict.since_instant.elapsed() < self.config.recovery_duration;
        match verdict.status {
            Status::Ok => true,
            Status::Recoverable => !self.config.include_recoverable_errors || recovering,
            Status::Permanent => !self.config.include_permanent_errors,
            Status::Starting | Status::Stopping | Status::Stopped => false,
        }
    }

    /// When a verdict that is good now becomes bad by lasting.
    pub(crate) fn counts_from(&self, verdict: &Verdict) -> Option<Instant> {
        let waits = verdict.status == Status::Recoverable && self.is_healthy(verdict);
        let counts = waits && self.config.include_recoverable_errors;
        counts.then(|| verdict.since_instant.checked_add(self.config.recovery_duration)).flatten()
    }

    /// Tell when another verdict may be due.
    pub(crate) fn changes(&self) -> (watch::Receiver<Phase>, watch::Receiver<()>) {
        (self.host.phase(), self.host.health_changes())
    }

    /// 200, 503 where something starts or stops, 500 for errors that count.
    pub(crate) fn http_code(&self, verdict: &Verdict) -> u16 {
        match verdict.status {
            _ if self.is_healthy(verdict) => 200,
            Status::Recoverable | Status::Permanent => 500,
            _ => 503,
        }
    }

    fn verdict(&self, status: Status) -> Verdict {
        Verdict { status, error: None, since: self.started, since_instant: self.started_instant }
    }

    /// The extensions, and the pipelines by ID. Empty before the service has started.
    pub(crate) fn groups(&self) -> (Option<Group>, Vec<(String, Group)>) {
        let (layout, reports) = (self.host.layout(), self.host.health_reports());
        let group = |parts: &[Part]| {
            let parts: Vec<(Part, Verdict)> = parts
                .iter()
                .map(|part| {
                    let verdict = reports.get(&part.health_name).map_or_else(
                        || self.verdict(Status::Starting),
                        |report| {
                            let (status, error) = match &report.health {
                                Health::Starting => (Status::Starting, None),
                                Health::Ok => (Status::Ok, None),
                                Health::Recoverable(why) => (Status::Recoverable, Some(why.clone())),
                                Health::Permanent(why) => (Status::Permanent, Some(why.clone())),
                                Health::Stopping => (Status::Stopping, None),
                                Health::Stopped => (Status::Stopped, None),
                            };
                            Verdict { status, error, since: report.since, since_instant: report.since_instant }
                        },
                    );
                    (part.clone(), verdict)
                })
                .collect();
            let verdict = self.together(parts.iter().map(|(_, verdict)| verdict))?;
            Some(Group { verdict, parts })
        };
        let pipelines = layout.pipelines.iter().filter_map(|(id, parts)| Some((id.clone(), group(parts)?)));
        (group(&layout.extensions), pipelines.collect())
    }

    /// The service: its phase, and while it runs, everything in it.
    pub(crate) fn service(&self, extensions: Option<&Group>, pipelines: &[(String, Group)]) -> Verdict {
        match self.phase() {
            Phase::Starting => self.verdict(Status::Starting),
            Phase::Stopping => self.verdict(Status::Stopping),
            Phase::Running => {
                let all = extensions.into_iter().chain(pipelines.iter().map(|(_, group)| group));
                self.together(all.map(|group| &group.verdict)).unwrap_or_else(|| self.verdict(Status::Ok))
            }
        }
    }

    /// `None` of nothing.
    fn together<'a>(&self, verdicts: impl Iterator<Item = &'a Verdict> + Clone) -> Option<Verdict> {
        let first = verdicts.clone().next()?;
        let has = |status| verdicts.clone().any(|verdict| verdict.status == status);
        let recoverable_first = self.config.include_recoverable_errors && !self.config.include_permanent_errors;
        let errors = if recoverable_first {
            [Status::Recoverable, Status::Permanent]
        } else {
            [Status::Permanent, Status::Recoverable]
        };
        let order = [Status::Starting, Status::Stopping, Status::Stopped].into_iter().chain(errors);
        let is_same = verdicts.clone().all(|verdict| verdict.status == first.status);
        let status = if is_same { first.status } else { order.into_iter().find(|status| has(*status))? };
        // Of those that decide, the one that has lasted longest: it is the first to count.
        let deciding = verdicts.filter(|verdict| verdict.status == status);
        let mut verdict = deciding.min_by_key(|verdict| verdict.since_instant)?.clone();
        if status == Status::Stopped && !is_same {
            verdict.status = Status::Stopping;
        }
        Some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use component::{Level, Registry};
    use pdata::{ByteAccount, Ledger};

    use super::*;

    fn verdict(status: Status, age: Duration) -> Verdict {
        let since_instant = Instant::now().checked_sub(age).unwrap();
        Verdict { status, error: None, since: SystemTime::now(), since_instant }
    }

    fn judge(include_permanent_errors: bool, include_recoverable_errors: bool) -> Judge {
        let host = Host::new(ByteAccount::unlimited(), Ledger::new(), Registry::new(Level::Basic)).0;
        let recovery_duration = Duration::from_secs(10);
        Judge::new(
            &host,
            &ComponentHealthConfig { include_permanent_errors, include_recoverable_errors, recovery_duration },
        )
    }

    #[tokio::test(start_paused = true)]
    async fn codes_follow_what_counts() {
        let now = Duration::ZERO;
        tokio::time::advance(Duration::from_secs(60)).await;
        for (status, age, expected) in [
            // None counts, permanent ones, recoverable ones.
            (Status::Ok, now, [200, 200, 200]),
            (Status::Starting, now, [503; 3]),
            (Status::Stopping, now, [503; 3]),
            (Status::Stopped, now, [503; 3]),
            (Status::Permanent, now, [200, 500, 200]),
            (Status::Recoverable, Duration::from_secs(9), [200, 200, 200]),
            (Status::Recoverable, Duration::from_secs(10), [200, 200, 500]),
        ] {
            let given = verdict(status, age);
            let codes = [judge(false, false), judge(true, false), judge(false, true)].map(|j| j.http_code(&given));
            assert_eq!(codes, expected, "{status:?} {age:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn several_statuses_become_one() {
        use Status::{Ok, Permanent, Recoverable, Starting, Stopped, Stopping};
        for (statuses, permanent_first, recoverable_first) in [
            (&[Ok, Ok][..], Ok, Ok),
            (&[Stopped, Stopped], Stopped, Stopped),
            (&[Ok, Stopped], Stopping, Stopping),
            (&[Permanent, Starting], Starting, Starting),
            (&[Ok, Recoverable], Recoverable, Recoverable),
            (&[Recoverable, Ok, Permanent], Permanent, Recoverable),
        ] {
            let verdicts: Vec<Verdict> = statuses.iter().map(|status| verdict(*status, Duration::ZERO)).collect();
            let together = |judge: Judge| judge.together(verdicts.iter()).unwrap().status;
            assert_eq!(together(judge(false, false)), permanent_first, "{statuses:?}");
            assert_eq!(together(judge(false, true)), recoverable_first, "{statuses:?}");
        }
    }
}
