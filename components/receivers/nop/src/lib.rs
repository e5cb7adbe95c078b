//! The `nop` receiver: receives nothing.
//!
//! For pipelines that must have a receiver and need none, in tests and while a configuration is being written. No state,
//! no task, no metrics of its own.

use std::sync::Arc;

use component::{Component, Factory, Stability};
use config::Config;
use pdata::Signal;

/// There is nothing to configure.
#[derive(Clone, Debug, PartialEq, Eq, Config)]
pub struct NopConfig {}

struct Nop;

impl Component for Nop {}

/// The factory of `nop` receivers.
#[must_use]
pub fn factory() -> Factory {
    Factory::receiver::<NopConfig>("nop", |_settings, _config, _outputs| Ok(Arc::new(Nop)))
        .with_signals(Stability::Beta, &Signal::ALL)
}

#[cfg(test)]
mod tests {
    use testkit::{Sink, Subject, World};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keeps_the_contract() {
        for signal in Signal::ALL {
            testkit::suite::contract(&Subject::new(factory()).with_signal(signal)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn starts_and_hands_on_nothing() {
        let (world, sink) = (World::new(), Sink::accepting());
        let built = Subject::new(factory()).build(&world, sink.clone()).unwrap();
        built.component.start(&world.host).await.unwrap();
        assert_eq!(sink.attempts(), 0);
    }
}
