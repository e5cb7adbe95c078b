//! The exporter against servers on loopback: what it sends, what it makes of answers, what it refuses to start with.

mod answers;
mod requests;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use component::{ConsumeResult, Consumer, Deadline};
use pdata::{Batch, Signal};
use testkit::server::Server;
use testkit::suite::Built;
use testkit::{Head, Sink, Subject, World};

/// An exporter that was started, in front of a server.
struct Bench {
    world: World,
    built: Built,
    head: Head,
}

impl Bench {
    /// An exporter to `server` with `more` in its block.
    async fn new(server: &Server, signal: Signal, more: &str) -> Self {
        let address = server.address;
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        Self::with(&format!("{{endpoint: '{address}', tls: {{insecure: true}}{more}}}"), signal, World::new()).await
    }

    async fn with(yaml: &str, signal: Signal, world: World) -> Self {
        let subject = Subject::new(crate::factory()).with_config(yaml).with_signal(signal);
        let built = subject.build(&world, Sink::accepting()).unwrap();
        built.component.start(&world.host).await.unwrap();
        let head = world.head(Arc::clone(built.consumer.as_ref().unwrap()));
        Self { world, built, head }
    }

    async fn send(&self, batch: Batch) -> ConsumeResult {
        self.head.consume(batch).await
    }

    /// Drains, then looks at the books.
    async fn finish(self, signal: Signal) -> pdata::Totals {
        self.built.component.shutdown(Deadline::after(Duration::from_secs(10))).await.unwrap();
        self.world.check_settled().unwrap();
        self.world.totals(signal)
    }
}

/// One attempt, whose answer comes back.
const ONCE: &str = "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}";
