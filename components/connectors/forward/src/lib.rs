//! The `forward` connector: hands every batch, as it is, from the pipelines it ends to all pipelines it begins.
//!
//! It joins pipelines (receivers with different processors into one exporter) or forks them. Called in line: it answers
//! what the receiving pipelines answered, so acknowledgement, backpressure and errors pass through it. Copies for several
//! receiving pipelines are made by the graph behind its output, which shares the bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use component::{
    BoxFuture, Component, ConsumeFuture, Consumer, Deadline, DeliveryError, Edge, Factory, ShutdownError, Stability,
};
use config::Config;
use pdata::{Batch, Signal};

/// There is nothing to configure.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct ForwardConfig {}

/// Every signal to itself.
const PAIRS: &[(Signal, Signal)] =
    &[(Signal::Traces, Signal::Traces), (Signal::Metrics, Signal::Metrics), (Signal::Logs, Signal::Logs)];

struct Forward {
    next: Edge,
    stopped: AtomicBool,
}

impl Component for Forward {
    fn shutdown(&self, _deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        self.stopped.store(true, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }
}

impl Consumer for Forward {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        if self.stopped.load(Ordering::Relaxed) {
            return Box::pin(async { Err(DeliveryError::retryable("the `forward` connector has stopped", batch)) });
        }
        self.next.consume(batch)
    }
}

/// The factory of `forward` connectors.
#[must_use]
pub fn factory() -> Factory {
    Factory::connector::<ForwardConfig>("forward", PAIRS, |_settings, _config, _signal, outputs| {
        Ok(Arc::new(Forward { next: outputs.all, stopped: AtomicBool::new(false) }))
    })
    .with_signals(Stability::Beta, &Signal::ALL)
}

#[cfg(test)]
mod tests {
    use testkit::{Answer, Sink, Subject, World, items};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keeps_the_contract() {
        for signal in Signal::ALL {
            testkit::suite::contract(&Subject::new(factory()).with_signal(signal)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn hands_on_the_same_bytes_and_the_same_answer() {
        let world = World::new();
        let sink = Sink::scripted([Answer::Accept, Answer::Reject(2)], Answer::Retryable);
        let built = Subject::new(factory()).build(&world, sink.clone()).unwrap();
        let forward = built.consumer.unwrap();
        let batch = items::spans(5);
        let bytes = batch.payload().to_bytes();
        forward.consume(world.open(batch)).await.unwrap();
        assert_eq!(sink.received()[0].payload.to_bytes().as_ptr(), bytes.as_ptr(), "the bytes are not copied");
        let accepted = forward.consume(world.open(items::spans(5))).await.unwrap();
        assert_eq!(accepted.rejected_items, 2);
        assert_eq!(forward.consume(world.open(items::spans(5))).await.unwrap_err().undelivered_items(), 5);
    }
}
