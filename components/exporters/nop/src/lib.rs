//! The `nop` exporter: takes every batch, does nothing with it, and says it was delivered.
//!
//! For measuring what stands in front of it, and for pipelines that exist for their connectors only. No state, no task,
//! no metrics of its own.

use std::sync::Arc;

use component::{Accepted, Component, ConsumeFuture, Consumer, Factory, Stability};
use config::Config;
use pdata::{Batch, Outcome, Signal};

/// There is nothing to configure.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct NopConfig {}

struct Nop;

impl Component for Nop {}

impl Consumer for Nop {
    fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
        batch.settle(Outcome::Delivered);
        Box::pin(async { Ok(Accepted::all()) })
    }
}

/// The factory of `nop` exporters.
#[must_use]
pub fn factory() -> Factory {
    Factory::exporter::<NopConfig>("nop", |_settings, _config, _signal| Ok(Arc::new(Nop)))
        .with_signals(Stability::Beta, &Signal::ALL)
}

#[cfg(test)]
mod tests {
    use testkit::{Sink, Subject, World, items};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keeps_the_contract() {
        for signal in Signal::ALL {
            testkit::suite::contract(&Subject::new(factory()).with_signal(signal)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn everything_counts_as_delivered() {
        let world = World::new();
        let built = Subject::new(factory()).build(&world, Sink::accepting()).unwrap();
        let head = world.head(built.consumer.unwrap());
        assert_eq!(head.consume(items::spans(7)).await.unwrap(), Accepted::all());
        assert_eq!(world.totals(Signal::Traces).delivered, 7);
    }
}
