//! Which endpoints there are: resolves, watches their health, makes rings, and takes endpoints in and out.
//!
//! One task owns the members. An endpoint that is taken out (the resolver no longer names it, or nothing could be sent to
//! it for `reroute_after`) passes what it holds to the router, which routes it by the new ring: nothing is lost by that. One
//! that was taken out for its health is connected to until that works; at most half of the endpoints are out at a time,
//! because when more fail the network is more likely at fault than they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use component::lifecycle::Health;
use component::{Consumer, Counter, Deadline, Gauge, Host, Settings, StartError};
use net::endpoint::HostPort;
use pdata::Signal;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::config::LoadBalancingConfig;
use crate::endpoint::Endpoint;
use crate::metrics::{BACKENDS, RESOLUTIONS, UPDATES};
use crate::resolver::{Resolver, with_port};
use crate::ring::Ring;
use crate::router::{Router, Table};

/// How often health is looked at; more often where `reroute_after` is short.
const LOOK: Duration = Duration::from_secs(1);
/// Limit of connecting to an endpoint that was taken out.
const CONNECT: Duration = Duration::from_secs(1);
/// Limit of attempts that run when an endpoint is taken out, where they have none of their own.
const LAST_ATTEMPTS: Duration = Duration::from_secs(30);

/// The members, before their task has begun.
#[derive(Debug)]
pub struct Members {
    settings: Settings,
    signal: Signal,
    config: LoadBalancingConfig,
    resolver: Box<dyn Resolver>,
    router: Arc<Router>,
    /// As the resolver named them.
    names: Vec<String>,
    /// By address.
    inside: BTreeMap<String, Arc<Endpoint>>,
    /// Addresses that were taken out for their health, and when.
    outside: BTreeMap<String, Instant>,
    leaving: JoinSet<()>,
    resolved: Counter,
    unresolved: Counter,
    updates: Counter,
    backends: Gauge,
    health: Health,
    host: Option<Host>,
}

/// The members' task.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Members>,
}

impl Members {
    /// Members that `resolver` names, for `router`.
    #[must_use]
    pub fn new(
        settings: Settings,
        signal: Signal,
        config: LoadBalancingConfig,
        resolver: Box<dyn Resolver>,
        router: Arc<Router>,
    ) -> Self {
        let label = ("resolver", resolver.name());
        let telemetry = &settings.telemetry;
        Self {
            resolved: telemetry.counter(RESOLUTIONS, &[label, ("success", "true")]),
            unresolved: telemetry.counter(RESOLUTIONS, &[label, ("success", "false")]),
            updates: telemetry.counter(UPDATES, &[label]),
            backends: telemetry.up_down_counter(BACKENDS, &[label]),
            settings,
            signal,
            config,
            resolver,
            router,
            names: Vec::new(),
            inside: BTreeMap::new(),
            outside: BTreeMap::new(),
            leaving: JoinSet::new(),
            health: Health::Ok,
            host: None,
        }
    }

    /// Resolves for the first time, then goes on in a task.
    ///
    /// # Errors
    /// Why an endpoint cannot be used: an extension that is missing or cannot do it, certificates.
    pub async fn start(mut self, host: &Host) -> Result<Running, StartError> {
        self.host = Some(host.clone());
        if let Some(error) = self.resolve().await {
            self.end(None, Deadline::after(Duration::ZERO)).await;
            return Err(error);
        }
        let (stop, stopped) = watch::channel(false);
        Ok(Running { stop, task: tokio::spawn(self.run(stopped)) })
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Self {
        let every = self.resolver.interval();
        let mut resolutions = ticks(every.unwrap_or(LOOK));
        let look = self.config.reroute_after().map_or(LOOK, |after| (after / 4).clamp(Duration::from_millis(10), LOOK));
        let mut looks = ticks(look);
        loop {
            tokio::select! {
                () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => return self,
                _ = resolutions.tick(), if every.is_some() => drop(self.resolve().await),
                _ = looks.tick() => self.look().await,
            }
            while self.leaving.try_join_next().is_some() {}
        }
    }

    /// Returns why an endpoint cannot be used.
    async fn resolve(&mut self) -> Option<StartError> {
        match self.resolver.resolve().await {
            Ok(names) => {
                self.resolved.add(1);
                if names != self.names && !names.is_empty() {
                    tracing::info!(exporter = %self.settings.id, signal = %self.signal, endpoints = ?names, "endpoints changed");
                    self.backends.set(i64::try_from(names.len()).unwrap_or(i64::MAX));
                    self.updates.add(1);
                    self.names = names;
                    return self.apply().await;
                }
            }
            Err(error) => {
                self.unresolved.add(1);
                let endpoints = self.names.len();
                tracing::warn!(exporter = %self.settings.id, signal = %self.signal, error, endpoints, "the endpoints stay as they are");
            }
        }
        None
    }

    /// Makes the ring of the names that are not outside, and lets others go. Returns why an endpoint cannot be used.
    async fn apply(&mut self) -> Option<StartError> {
        let mut named: Vec<(String, String)> = self.names.iter().map(|name| (name.clone(), with_port(name))).collect();
        self.outside.retain(|address, _| named.iter().any(|(_, known)| known == address));
        if self.outside.len() * 2 > named.len() {
            // Fewer endpoints than before: too many of them are outside.
            self.outside.clear();
        }
        named.retain(|(_, address)| !self.outside.contains_key(address));
        let mut before = std::mem::take(&mut self.inside);
        let (mut names, mut endpoints) = (Vec::new(), Vec::new());
        let mut wrong = None;
        for (name, address) in named {
            let known = self.inside.get(&address).cloned().or_else(|| before.remove(&address));
            let endpoint = match known {
                Some(endpoint) => endpoint,
                None => match self.begin(&address).await {
                    Ok(endpoint) => endpoint,
                    Err(error) => {
                        tracing::error!(exporter = %self.settings.id, signal = %self.signal, address, %error, "cannot use an endpoint");
                        wrong.get_or_insert(error);
                        continue;
                    }
                },
            };
            names.push(name);
            endpoints.push(Arc::clone(&endpoint));
            self.inside.insert(address, endpoint);
        }
        if endpoints.is_empty() {
            // None can be used: the ones before stay.
            self.inside = before;
            return wrong;
        }
        self.router.set(Table { ring: Ring::new(&names), endpoints });
        for (_, endpoint) in before {
            self.let_go(endpoint);
        }
        wrong
    }

    async fn begin(&self, address: &str) -> Result<Arc<Endpoint>, StartError> {
        let endpoint = Endpoint::new(address, &self.config.protocol.otlp, &self.settings, self.signal)
            .map_err(|error| StartError::plain(&self.settings.id, format!("use the endpoint `{address}`: {error}")))?;
        if let Some(host) = &self.host {
            endpoint.start(host).await?;
        }
        Ok(endpoint)
    }

    fn let_go(&mut self, endpoint: Arc<Endpoint>) {
        let heir: Arc<dyn Consumer> = Arc::<Router>::clone(&self.router);
        let attempts = self.config.protocol.otlp.timeout.limit().unwrap_or(LAST_ATTEMPTS);
        self.leaving.spawn(async move { endpoint.hand_over(&heir, Deadline::after(attempts)).await });
    }

    /// Takes failing endpoints out and recovered ones in, and reports.
    async fn look(&mut self) {
        let failing: Vec<(String, Duration, String)> = self
            .inside
            .iter()
            .filter_map(|(address, endpoint)| endpoint.failing().map(|(long, error)| (address.clone(), long, error)))
            .collect();
        let mut changes = false;
        if let Some(after) = self.config.reroute_after() {
            let addresses = self.inside.len() + self.outside.len();
            for (address, _, error) in failing.iter().filter(|(_, long, _)| *long >= after) {
                if (self.outside.len() + 1) * 2 > addresses {
                    break;
                }
                tracing::warn!(
                    exporter = %self.settings.id, signal = %self.signal, address, error, reroute_after = ?after, lost_items = 0_u64,
                    "an endpoint has failed for long; its keys and its queue go to the others"
                );
                self.outside.insert(address.clone(), Instant::now());
                changes = true;
            }
            let waiting: Vec<String> = self
                .outside
                .iter()
                .filter(|(_, since)| since.elapsed() >= after)
                .map(|(address, _)| address.clone())
                .collect();
            for address in waiting {
                if answers(&address).await {
                    tracing::info!(exporter = %self.settings.id, signal = %self.signal, address, "an endpoint is back");
                    self.outside.remove(&address);
                    changes = true;
                }
            }
        }
        if changes {
            // An endpoint that cannot be used again stays out of the ring, with the reason in the log.
            drop(self.apply().await);
        }
        self.report(&failing);
    }

    fn report(&mut self, failing: &[(String, Duration, String)]) {
        let total = self.inside.len() + self.outside.len();
        let health = match failing.first() {
            None if self.outside.is_empty() => Health::Ok,
            None => {
                let outside: Vec<&str> = self.outside.keys().map(String::as_str).collect();
                Health::Recoverable(format!(
                    "{} of {total} endpoints are left out: {}",
                    outside.len(),
                    outside.join(", ")
                ))
            }
            Some((address, _, error)) => {
                let bad = failing.len() + self.outside.len();
                Health::Recoverable(format!("{bad} of {total} endpoints fail, {address}: {error}"))
            }
        };
        if health != self.health {
            if let Some(host) = &self.host {
                let name = format!("exporter `{}` for {}", self.settings.id, self.signal);
                host.report_health(name, health.clone());
            }
            self.health = health;
        }
    }

    /// Ends every endpoint: by handing over to `heir`, or by draining.
    pub async fn end(mut self, heir: Option<&Arc<dyn Consumer>>, deadline: Deadline) {
        // What left endpoints still hold comes back through the router first.
        let half = Deadline::after(deadline.remaining() / 2);
        if half.bound(async { while self.leaving.join_next().await.is_some() {} }).await.is_none() {
            // They end by themselves; what they then hold is dropped with numbers in the log.
            self.leaving.detach_all();
            tracing::warn!(exporter = %self.settings.id, signal = %self.signal, "an endpoint that was taken out has not ended by the deadline");
        }
        let endings = self.inside.values().map(|endpoint| async move {
            match heir {
                Some(heir) => endpoint.hand_over(heir, deadline).await,
                None => endpoint.shutdown(deadline).await,
            }
        });
        futures_util::future::join_all(endings).await;
    }
}

impl Running {
    /// Ends the task; the members stay as they are.
    pub async fn stop(self) -> Option<Members> {
        self.stop.send_replace(true);
        // A panic inside left its endpoints to the runtime's end.
        self.task.await.ok()
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

/// Whether something listens there. What cannot be asked is believed to.
async fn answers(address: &str) -> bool {
    let place = address.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let Ok(HostPort { host, port }) = HostPort::parse(place) else { return true };
    matches!(timeout(CONNECT, TcpStream::connect((host.as_str(), port))).await, Ok(Ok(_)))
}
