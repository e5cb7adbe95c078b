//! The suites are worth what they catch: a good component passes all of them, each broken one is refused by the suite it
//! sins against.

#![expect(clippy::unwrap_used, reason = "test components")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::{
    Accepted, BoxFuture, Component, ConsumeFuture, Consumer, Deadline, DeliveryError, Edge, Factory, Host, Outbox,
    OutboxSettings, Processor, ShutdownError, Stability, StartError,
};
use config::Config;
use pdata::{Batch, Outcome, Signal};
use testkit::suite::{books, config_shape, contract, error_classes, lifecycle};
use testkit::{Answer, Sink, Subject, World, items};

#[derive(Clone, Debug, Config)]
struct NoConfig {}

/// What a test component gets wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sin {
    None,
    LosesEveryThirdItem,
    InventsItems,
    SwallowsRetryableErrors,
    TurnsRetryableIntoPermanent,
    KeepsWhatItShouldHandBack,
    LosesTheDelay,
    HandsOnAfterShutdown,
    NeverStops,
    ForgetsItsQueue,
    RefusesAfterTaking,
}

struct Sinner {
    sin: Sin,
    next: Edge,
    closed: AtomicBool,
    held: Mutex<Vec<Batch>>,
}

impl Component for Sinner {
    fn start<'a>(&'a self, _host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, _deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
        self.closed.store(true, Ordering::Relaxed);
        Box::pin(async {
            match self.sin {
                Sin::NeverStops => std::future::pending::<()>().await,
                Sin::ForgetsItsQueue => self.held.lock().unwrap().clear(),
                Sin::RefusesAfterTaking => {
                    for batch in self.held.lock().unwrap().drain(..) {
                        batch.settle(Outcome::Refused);
                    }
                }
                _ => {}
            }
            Ok(())
        })
    }
}

impl Consumer for Sinner {
    fn consume(&self, mut batch: Batch) -> ConsumeFuture<'_> {
        Box::pin(async move {
            if self.sin != Sin::HandsOnAfterShutdown && self.closed.load(Ordering::Relaxed) {
                return Err(DeliveryError::retryable("stopped", batch));
            }
            let payload = batch.payload().clone();
            match self.sin {
                Sin::LosesEveryThirdItem => {
                    let kept = batch.items() - batch.items() / 3;
                    batch.set_payload(items::payload(batch.signal(), 0, kept));
                }
                Sin::InventsItems => {
                    let stake = batch.stake().copy();
                    batch.stake_mut().merge(stake);
                    let more = items::payload(batch.signal(), 0, batch.items());
                    let mut payload = payload;
                    payload.append(more);
                    payload.append(items::payload(batch.signal(), 0, 1));
                    batch.set_payload(payload);
                }
                Sin::ForgetsItsQueue | Sin::RefusesAfterTaking => {
                    self.held.lock().unwrap().push(batch);
                    return Ok(Accepted::all());
                }
                _ => {}
            }
            self.next.consume(batch).await.or_else(|mut error| match self.sin {
                Sin::SwallowsRetryableErrors => Ok(Accepted::all()),
                Sin::TurnsRetryableIntoPermanent => {
                    error.take_undelivered().into_iter().for_each(|back| back.settle(Outcome::Dropped("sin")));
                    Err(DeliveryError::permanent("no"))
                }
                Sin::KeepsWhatItShouldHandBack => {
                    error.take_undelivered().into_iter().for_each(|back| back.settle(Outcome::Dropped("sin")));
                    Err(error)
                }
                Sin::LosesTheDelay if error.is_retryable() => {
                    let back = error.take_undelivered().unwrap();
                    Err(DeliveryError::retryable("no", back))
                }
                _ => Err(error),
            })
        })
    }
}

fn sinner(sin: Sin) -> Subject {
    let factory = Factory::processor::<NoConfig>("sinner", move |_settings, _config, _signal, next| {
        Ok(Processor::Stateful(Arc::new(Sinner { sin, next, closed: AtomicBool::default(), held: Mutex::default() })))
    });
    Subject::new(factory.with_signals(Stability::Stable, &Signal::ALL))
}

#[tokio::test(start_paused = true)]
async fn a_good_component_passes_everything() {
    for signal in Signal::ALL {
        contract(&sinner(Sin::None).with_signal(signal)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_component_that_acknowledges_through_an_outbox_passes_everything() {
    struct Acknowledges(Outbox);
    impl Component for Acknowledges {
        fn start<'a>(&'a self, _host: &'a Host) -> BoxFuture<'a, Result<(), StartError>> {
            self.0.start();
            Box::pin(async { Ok(()) })
        }
        fn shutdown(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), ShutdownError>> {
            Box::pin(async move {
                self.0.drain(deadline).await;
                Ok(())
            })
        }
    }
    impl Consumer for Acknowledges {
        fn consume(&self, batch: Batch) -> ConsumeFuture<'_> {
            let answer = self.0.try_send(batch);
            Box::pin(async {
                answer.map(|()| Accepted::all()).map_err(|full| DeliveryError::retryable("full", full.0))
            })
        }
    }
    let factory = Factory::processor::<NoConfig>("acknowledges", |_settings, _config, _signal, next| {
        let stage = Acknowledges(Outbox::new(next, OutboxSettings::default()));
        Ok(Processor::Stateful(Arc::new(stage)))
    });
    contract(&Subject::new(factory.with_signals(Stability::Stable, &Signal::ALL))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lifecycle_refuses_what_does_not_stop_or_does_not_keep_silent() {
    let check = async |sin| lifecycle(&sinner(sin)).await.unwrap_err();
    assert!(check(Sin::NeverStops).await.contains("longer than its deadline"));
    assert!(check(Sin::HandsOnAfterShutdown).await.contains("after its shutdown"));
    assert!(check(Sin::ForgetsItsQueue).await.contains("do not balance"));
}

#[tokio::test(start_paused = true)]
async fn books_refuse_losses_and_inventions() {
    for sin in [Sin::LosesEveryThirdItem, Sin::InventsItems, Sin::SwallowsRetryableErrors, Sin::ForgetsItsQueue] {
        let error = books(&sinner(sin)).await.expect_err(&format!("{sin:?}"));
        assert!(error.contains("difference"), "{error}");
    }
    books(&sinner(Sin::KeepsWhatItShouldHandBack)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn error_classes_refuse_changed_ones() {
    for (sin, message) in [
        (Sin::TurnsRetryableIntoPermanent, "changes the class"),
        (Sin::KeepsWhatItShouldHandBack, "hands back 0 of 10 items"),
        (Sin::LosesTheDelay, "loses the delay"),
        (Sin::RefusesAfterTaking, "refused after they were taken"),
    ] {
        let error = error_classes(&sinner(sin)).await.unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn config_shape_refuses_wrong_expectations() {
    let good = sinner(Sin::None);
    config_shape(&good).unwrap();
    assert!(config_shape(&good.with_invalid_default("x")).unwrap_err().contains("is taken"));
    let factory = Factory::processor::<Strict>("strict", |_, _, _, _| Err(component::BuildError::new("never built")));
    let strict = Subject::new(factory);
    assert!(config_shape(&strict).unwrap_err().contains("must be set"));
    config_shape(&strict.with_invalid_default("`limit` must be set")).unwrap();
}

#[test]
fn config_shape_refuses_components_that_take_any_key() {
    let factory = Factory::processor::<Loose>("loose", |_, _, _, _| Err(component::BuildError::new("never built")));
    assert!(config_shape(&Subject::new(factory)).unwrap_err().contains("an unknown key is taken"));
}

#[derive(Clone, Debug, Config)]
#[config(validate = Strict::check)]
struct Strict {
    limit: u32,
}

impl Strict {
    fn check(&self, v: &mut config::Validator<'_>) {
        if self.limit == 0 {
            v.error("limit", "`limit` must be set");
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Loose;

impl config::Decode for Loose {
    fn decode(_node: &config::Node, base: Self, _cx: &mut config::Decoder<'_>) -> Self {
        base
    }

    fn schema() -> config::Schema {
        config::Schema::Any
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_answers_by_its_script() {
    let world = World::new();
    let sink = Sink::scripted([Answer::Retryable, Answer::Reject(1), Answer::Stall], Answer::Permanent);
    let head = Arc::new(world.head(sink.clone()));
    assert!(head.consume(items::logs(3)).await.unwrap_err().is_retryable());
    assert_eq!(head.consume(items::logs(3)).await.unwrap().rejected_items, 1);
    let stalled = tokio::spawn({
        let head = Arc::clone(&head);
        async move { head.consume(items::logs(2)).await.is_ok() }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((sink.items(), world.totals(Signal::Logs).held), (3, 2));
    sink.release();
    assert!(stalled.await.unwrap());
    sink.wait_for_items(5).await;
    assert!(!head.consume(items::logs(1)).await.unwrap_err().is_retryable());
    let totals = world.totals(Signal::Logs);
    assert_eq!((totals.refused, totals.delivered, totals.rejected), (3, 4, 2));
    assert_eq!(sink.numbers(), [vec![0, 1, 2], vec![0, 1]]);
    assert_eq!((sink.attempts(), sink.sizes()), (4, vec![3, 2]));
    world.check_settled().unwrap();
}
