//! Errors keep their class on the way upstream, and retryable ones hand the batch back.

use std::time::Duration;

use super::{Subject, start, stop};
use crate::items;
use crate::sink::{Answer, Sink};
use crate::world::World;

const DELAY: Duration = Duration::from_secs(7);
const ITEMS: u64 = 10;

/// A component either takes responsibility (`Ok`; the items then never count as refused), or answers what the
/// destination answered: a retryable error comes back retryable with the delay and every item, a permanent one
/// permanent.
///
/// # Errors
/// What is wrong.
pub async fn error_classes(subject: &Subject) -> Result<(), String> {
    if !subject.hands_on() {
        return Ok(());
    }
    for answer in [Answer::RetryAfter(DELAY), Answer::Permanent, Answer::PermanentHandBack] {
        let retryable = matches!(answer, Answer::RetryAfter(_));
        let world = World::new();
        let sink = Sink::answering(answer);
        let built = subject.build(&world, sink.clone())?;
        let Some(consumer) = built.consumer.clone() else { return Ok(()) };
        start(&built, &world).await?;
        match consumer.consume(world.open(items::batch(subject.signal, 0, ITEMS))).await {
            Ok(_accepted) => {
                stop(&built).await?;
                if world.totals(subject.signal).refused > 0 {
                    return Err("items are refused after they were taken".to_owned());
                }
            }
            Err(mut error) => {
                if error.is_retryable() != retryable {
                    return Err(format!("changes the class of an error: {error:?}"));
                }
                if retryable && error.retry_after() != Some(DELAY) {
                    return Err(format!("loses the delay of an error: {error:?}"));
                }
                let back = error.take_undelivered();
                let back_items = back.as_ref().map_or(0, |batch| batch.stake().items());
                if retryable && back_items != ITEMS {
                    return Err(format!("hands back {back_items} of {ITEMS} items with a retryable error"));
                }
                if let Some(back) = back {
                    back.settle(pdata::Outcome::Refused);
                }
                stop(&built).await?;
            }
        }
        world.check_settled()?;
    }
    Ok(())
}
