//! Every item is settled once, whatever happens downstream.

use std::time::Duration;

use component::Consumer;

use super::{Subject, start, stop};
use crate::items;
use crate::sink::{Answer, Sink};
use crate::world::World;

/// After batches met a good, a failing, a flapping and a rejecting destination, and after shutdown, every account
/// balances and holds nothing.
///
/// # Errors
/// What is wrong.
pub async fn books(subject: &Subject) -> Result<(), String> {
    let flapping =
        || [Answer::Retryable, Answer::Accept, Answer::Permanent, Answer::RetryAfter(Duration::from_secs(1))];
    for (case, script, then) in [
        ("accepts", Vec::new(), Answer::Accept),
        ("is slow", Vec::new(), Answer::AcceptAfter(Duration::from_millis(300))),
        ("is busy for ever", Vec::new(), Answer::Retryable),
        ("refuses for good", Vec::new(), Answer::Permanent),
        ("refuses for good and hands back", Vec::new(), Answer::PermanentHandBack),
        ("rejects some", Vec::new(), Answer::Reject(2)),
        ("flaps", flapping().to_vec(), Answer::Accept),
    ] {
        if !subject.hands_on() && case != "accepts" {
            continue;
        }
        let world = World::new();
        let sink = Sink::scripted(script, then);
        let built = subject.build(&world, sink.clone())?;
        let Some(consumer) = built.consumer.clone() else { return Ok(()) };
        start(&built, &world).await?;
        let head = world.head(consumer);
        for n in 0..6 {
            // The answer may be anything here; what counts is where the items went.
            let _answer = head.consume(items::batch(subject.signal, n * 10, 10)).await;
            world.check_difference().map_err(|error| format!("while the destination {case}: {error}"))?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        stop(&built).await?;
        world.check_settled().map_err(|error| format!("after the destination {case}: {error}"))?;
        let totals = world.totals(subject.signal);
        if case == "accepts" && subject.hands_on() && totals.delivered != sink.items() {
            return Err(format!("{} items reached the sink, the books say {totals:?}", sink.items()));
        }
    }
    Ok(())
}
