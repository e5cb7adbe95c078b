//! Starting and stopping in every order, and silence afterwards.

use std::time::Duration;

use component::Consumer;

use super::{Subject, start, stop};
use crate::items;
use crate::sink::{Answer, Sink};
use crate::world::World;

/// Shutdown works without a start and twice; a started component stops in time; after that it hands on nothing, neither
/// what it held nor what it is handed.
///
/// # Errors
/// What is wrong.
pub async fn lifecycle(subject: &Subject) -> Result<(), String> {
    let world = World::new();
    let built = subject.build(&world, Sink::accepting())?;
    stop(&built).await.map_err(|error| format!("without a start: {error}"))?;
    stop(&built).await.map_err(|error| format!("without a start, twice: {error}"))?;

    let world = World::new();
    let built = subject.build(&world, Sink::accepting())?;
    start(&built, &world).await?;
    stop(&built).await?;
    stop(&built).await.map_err(|error| format!("the second time: {error}"))?;

    for answer in [Answer::Accept, Answer::Retryable] {
        silent_after_shutdown(subject, answer).await?;
    }
    Ok(())
}

async fn silent_after_shutdown(subject: &Subject, answer: Answer) -> Result<(), String> {
    let world = World::new();
    let sink = Sink::answering(answer);
    let built = subject.build(&world, sink.clone())?;
    let Some(consumer) = built.consumer.clone() else { return Ok(()) };
    start(&built, &world).await?;
    let head = world.head(consumer);
    for n in 0..3 {
        // Refusing is as good as taking; the books are checked below.
        let _answer = head.consume(items::batch(subject.signal, n * 5, 5)).await;
    }
    stop(&built).await?;
    let attempts = sink.attempts();
    if !built.is_sync {
        let _answer = head.consume(items::batch(subject.signal, 100, 5)).await;
    }
    tokio::time::sleep(Duration::from_secs(3600)).await;
    if sink.attempts() != attempts {
        return Err("hands on batches after its shutdown".to_owned());
    }
    world.check_settled().map_err(|error| format!("the books do not balance after the shutdown: {error}"))
}
