//! One endpoint: an OTLP exporter of its own, with queue and retries, and how it is doing.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use component::telemetry::{Histogram, MetricKind, Observer};
use component::{
    Accepted, BoxFuture, BuildError, Component, ConsumeResult, Consumer, Counter, Deadline, Host, Settings, StartError,
    Telemetry,
};
use delivery::{Delivery, DeliverySettings, SendError, Transport};
use otlp_client::{GrpcTransport, OtlpGrpcConfig};
use pdata::{Batch, Context, Payload, Signal};
use tokio::time::Instant;

use crate::metrics::{HEALTHY, LATENCY, LATENCY_BUCKETS, OUTCOME};

/// See the module's head.
pub struct Endpoint {
    /// `host:port`.
    pub address: String,
    delivery: Arc<Delivery>,
    vitals: Arc<Vitals>,
    latency: Histogram,
    taken: Counter,
    refused: Counter,
    /// Tells whether it is healthy, for as long as it lives.
    _healthy: Observer,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The endpoint at `address`, not started.
    ///
    /// # Errors
    /// Settings that no connection can be made from.
    pub fn new(
        address: &str,
        config: &OtlpGrpcConfig,
        settings: &Settings,
        signal: Signal,
    ) -> Result<Arc<Self>, BuildError> {
        let mut config = config.clone();
        address.clone_into(&mut config.client.endpoint);
        let label = [("endpoint", address)];
        let telemetry = &settings.telemetry;
        let own = Settings {
            telemetry: Telemetry::new(Arc::clone(telemetry.registry()), telemetry.labels(&label)),
            ..settings.clone()
        };
        let transport = GrpcTransport::new(&config, &own, signal)?;
        let vitals = Arc::new(Vitals::default());
        let parts = DeliverySettings {
            timeout: config.timeout.clone(),
            config: config.delivery.clone(),
            sent_labels: transport.sent_labels(),
            place: address.to_owned(),
        };
        let watched = Watched { inner: transport, vitals: Arc::clone(&vitals) };
        let delivery = Delivery::new(own, signal, parts, Arc::new(watched));
        delivery.leave_health_to_owner();
        let observed = Arc::clone(&vitals);
        let labels = telemetry.labels(&label);
        let healthy = telemetry.registry().observe(HEALTHY, MetricKind::Gauge, move || {
            vec![(labels.clone(), if observed.failing_since().is_none() { 1.0 } else { 0.0 })]
        });
        Ok(Arc::new(Self {
            address: address.to_owned(),
            delivery,
            vitals,
            latency: telemetry.histogram(LATENCY, LATENCY_BUCKETS, &label),
            taken: telemetry.counter(OUTCOME, &[("endpoint", address), ("success", "true")]),
            refused: telemetry.counter(OUTCOME, &[("endpoint", address), ("success", "false")]),
            _healthy: healthy,
        }))
    }

    /// Starts sending.
    ///
    /// # Errors
    /// What its exporter answers.
    pub async fn start(&self, host: &Host) -> Result<(), StartError> {
        self.delivery.start(host).await
    }

    /// Takes a batch.
    ///
    /// # Errors
    /// What its exporter answers.
    pub async fn consume(&self, batch: Batch) -> ConsumeResult {
        let started = Instant::now();
        let answer = self.delivery.consume(batch).await;
        self.latency.record(started.elapsed().as_secs_f64() * 1000.0);
        match &answer {
            Ok(_) => self.taken.add(1),
            Err(_) => self.refused.add(1),
        }
        answer
    }

    /// Takes what waited elsewhere, beyond its queue's capacity.
    ///
    /// # Errors
    /// What its exporter answers.
    pub async fn inherit(&self, batch: Batch) -> ConsumeResult {
        self.delivery.inherit(batch).await
    }

    /// Since when no attempt has been answered, and why.
    #[must_use]
    pub fn failing(&self) -> Option<(Duration, String)> {
        self.vitals.lock().as_ref().map(|failing| (failing.since.elapsed(), failing.error.clone()))
    }

    /// Drains until the deadline.
    pub async fn shutdown(&self, deadline: Deadline) {
        // Answers Ok always.
        let _ended = self.delivery.shutdown(deadline).await;
    }

    /// Passes everything it holds to `heir`; attempts that run come to their end first.
    pub async fn hand_over(&self, heir: &Arc<dyn Consumer>, deadline: Deadline) {
        if let Some(ended) = self.delivery.hand_over(heir, deadline) {
            let _ended = ended.await;
        }
    }
}

/// How an endpoint is doing.
#[derive(Debug, Default)]
struct Vitals(Mutex<Option<Failing>>);

#[derive(Debug)]
struct Failing {
    since: Instant,
    error: String,
}

impl Vitals {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Failing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failing_since(&self) -> Option<Instant> {
        self.lock().as_ref().map(|failing| failing.since)
    }

    /// Failures that may pass count; who refuses for good is there.
    fn note(&self, answer: &Result<Accepted, SendError>) {
        match answer {
            Err(error) if !error.is_permanent() => self.fails(error.to_string()),
            Ok(_) | Err(_) => *self.lock() = None,
        }
    }

    fn fails(&self, error: String) {
        match &mut *self.lock() {
            Some(failing) => failing.error = error,
            none => *none = Some(Failing { since: Instant::now(), error }),
        }
    }
}

/// An attempt that is given up counts as one that failed.
struct Attempt<'v>(Option<&'v Vitals>);

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(vitals) = self.0 {
            vitals.fails("no answer in time".to_owned());
        }
    }
}

/// A transport whose answers are noted.
#[derive(Debug)]
struct Watched {
    inner: GrpcTransport,
    vitals: Arc<Vitals>,
}

impl Transport for Watched {
    fn start<'a>(&'a self, host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        self.inner.start(host)
    }

    fn send<'a>(
        &'a self,
        payload: &'a Payload,
        context: &'a Context,
        deadline: Option<Instant>,
    ) -> BoxFuture<'a, Result<Accepted, SendError>> {
        Box::pin(async move {
            let mut attempt = Attempt(Some(&self.vitals));
            let answer = self.inner.send(payload, context, deadline).await;
            attempt.0 = None;
            self.vitals.note(&answer);
            answer
        })
    }

    fn request_limit(&self) -> Option<usize> {
        self.inner.request_limit()
    }

    fn metadata_keys(&self) -> Vec<String> {
        self.inner.metadata_keys()
    }

    fn destination(&self) -> String {
        self.inner.destination()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.inner.shutdown()
    }
}
