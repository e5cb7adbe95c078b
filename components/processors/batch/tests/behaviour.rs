//! Sizes, timers, keys, overload and shutdown, on a paused clock.

#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;
use std::time::Duration;

use component::{Component, Consumer, Deadline, DeliveryError};
use pdata::{AuthData, Batch, Context, Metadata, Payload, Signal, Utf8Policy};
use processor_batch::factory;
use testkit::{Answer, Sink, Subject, World, items};

/// A `batch` processor between a head and a sink.
struct Bench {
    world: World,
    sink: Arc<Sink>,
    component: Arc<dyn Component>,
    consumer: Arc<dyn Consumer>,
    signal: Signal,
    next: u64,
}

impl Bench {
    async fn of_signal(signal: Signal, yaml: &str, sink: Arc<Sink>) -> Self {
        let world = World::new();
        let subject = Subject::new(factory()).with_config(yaml).with_signal(signal);
        let built = subject.build(&world, sink.clone()).unwrap();
        built.component.start(&world.host).await.unwrap();
        Self { world, sink, component: built.component, consumer: built.consumer.unwrap(), signal, next: 0 }
    }

    async fn new(yaml: &str) -> Self {
        Self::of_signal(Signal::Traces, yaml, Sink::accepting()).await
    }

    /// Hands over the next `count` items.
    async fn offer(&mut self, count: u64) -> Result<(), DeliveryError> {
        let batch = items::batch(self.signal, self.next, count);
        self.offer_batch(batch).await?;
        self.next += count;
        Ok(())
    }

    async fn offer_batch(&self, batch: Batch) -> Result<(), DeliveryError> {
        self.world.head(Arc::clone(&self.consumer)).consume(batch).await.map(drop)
    }

    async fn offer_with(&self, count: u64, context: Context) -> Result<(), DeliveryError> {
        let mut batch = items::batch(self.signal, 0, count);
        batch.set_context(Arc::new(context));
        self.offer_batch(batch).await
    }

    async fn stop(&self) {
        self.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap();
        self.world.check_settled().unwrap();
    }

    fn metric(&self, name: &str) -> u64 {
        self.world.metric(&format!("otelcol_processor_batch_{name}")).unwrap() as u64
    }
}

async fn pass(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn metadata(pairs: &[(&str, &str)]) -> Context {
    Context { metadata: Metadata::new(pairs.iter().copied()), ..Context::default() }
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    for signal in Signal::ALL {
        for yaml in ["{}", "{send_batch_size: 15, send_batch_max_size: 20, timeout: 5s}", "{timeout: 0s}"] {
            let subject = Subject::new(factory()).with_config(yaml).with_signal(signal);
            testkit::suite::contract(&subject).await.map_err(|error| format!("{yaml}: {error}")).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn size_is_a_trigger_and_no_cap() {
    let mut bench = Bench::new("{send_batch_size: 10, timeout: 1h}").await;
    bench.offer(4).await.unwrap();
    bench.offer(5).await.unwrap();
    pass(1000).await;
    assert_eq!(bench.sink.sizes(), [0; 0]);
    bench.offer(20).await.unwrap();
    pass(1).await;
    assert_eq!(bench.sink.numbers(), [(0..29).collect::<Vec<_>>()]);
    assert_eq!((bench.metric("batch_size_trigger_send"), bench.metric("timeout_trigger_send")), (1, 0));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn batches_are_cut_to_the_maximum_and_a_rest_waits() {
    for signal in Signal::ALL {
        let yaml = "{send_batch_size: 10, send_batch_max_size: 12, timeout: 1h}";
        let mut bench = Bench::of_signal(signal, yaml, Sink::accepting()).await;
        bench.offer(9).await.unwrap();
        bench.offer(32).await.unwrap();
        pass(1).await;
        // 41 items: three batches of 12, and 5 that wait.
        assert_eq!(bench.sink.sizes(), [12, 12, 12]);
        bench.offer(5).await.unwrap();
        pass(1).await;
        assert_eq!(bench.sink.sizes(), [12, 12, 12, 10]);
        assert_eq!(bench.sink.numbers().concat(), (0..46).collect::<Vec<_>>());
        bench.offer(2).await.unwrap();
        bench.stop().await;
        assert_eq!(bench.sink.numbers().concat(), (0..48).collect::<Vec<_>>());
        assert_eq!(bench.metric("batch_send_size"), 5);
        assert_eq!(bench.metric("batch_send_size_bytes"), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn the_timer_runs_on_and_starts_anew_after_a_full_batch() {
    let mut bench = Bench::new("{send_batch_size: 10, timeout: 1s}").await;
    pass(0).await;
    bench.offer(10).await.unwrap(); // at 0 ms: creates the batcher, sent at once; the timer fires at 1000, 2000, …
    pass(700).await;
    bench.offer(1).await.unwrap();
    pass(299).await;
    assert_eq!(bench.sink.sizes(), [10], "999 ms");
    pass(2).await;
    assert_eq!(bench.sink.sizes(), [10, 1], "1001 ms: the timer did not wait for the first item");
    pass(1500).await;
    bench.offer(1).await.unwrap(); // 2501 ms; ticks at 2000 and 3000
    pass(498).await;
    assert_eq!(bench.sink.sizes(), [10, 1], "2999 ms");
    pass(3).await;
    assert_eq!(bench.sink.sizes(), [10, 1, 1], "3002 ms: ticks went on while it was empty");
    pass(498).await;
    bench.offer(10).await.unwrap(); // 3500 ms: full, ticks at 4500, …
    bench.offer(1).await.unwrap();
    pass(900).await;
    assert_eq!(bench.sink.sizes(), [10, 1, 1, 10], "4400 ms: the tick at 4000 moved");
    pass(102).await;
    assert_eq!(bench.sink.sizes(), [10, 1, 1, 10, 1], "4502 ms");
    assert_eq!((bench.metric("batch_size_trigger_send"), bench.metric("timeout_trigger_send")), (2, 3));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn zero_timeout_or_zero_size_send_at_once() {
    for yaml in ["{timeout: 0s, send_batch_max_size: 0}", "{send_batch_size: 0, timeout: 1h}"] {
        let mut bench = Bench::new(yaml).await;
        bench.offer(3).await.unwrap();
        bench.sink.wait_for_items(3).await;
        bench.offer(2).await.unwrap();
        bench.sink.wait_for_items(5).await;
        assert_eq!(bench.sink.sizes(), [3, 2], "{yaml}");
        bench.stop().await;
    }
    let mut bench = Bench::new("{timeout: 0s, send_batch_size: 2, send_batch_max_size: 4}").await;
    bench.offer(9).await.unwrap();
    bench.sink.wait_for_items(9).await;
    assert_eq!(bench.sink.sizes(), [4, 4, 1], "the cap holds, and the rest does not wait");
}

#[tokio::test(start_paused = true)]
async fn values_of_metadata_keys_are_kept_apart_and_nothing_else_stays() {
    let bench = Bench::new("{metadata_keys: [X-Tenant], timeout: 1s}").await;
    bench.offer_with(1, metadata(&[("x-tenant", "a"), ("x-id", "1")])).await.unwrap();
    bench.offer_with(2, metadata(&[("x-tenant", "b"), ("x-id", "2")])).await.unwrap();
    bench.offer_with(4, metadata(&[("x-tenant", "a"), ("x-id", "3")])).await.unwrap();
    bench.offer_with(8, metadata(&[])).await.unwrap();
    bench.offer_with(16, metadata(&[("x-tenant", "")])).await.unwrap();
    assert_eq!(bench.metric("metadata_cardinality"), 4);
    pass(1001).await;
    let mut seen: Vec<(u64, Vec<(String, String)>)> = (bench.sink.received().iter())
        .map(|received| {
            let pairs = received.context.metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
            (received.payload.items(), pairs.collect())
        })
        .collect();
    seen.sort();
    let pair = |value: &str| vec![("x-tenant".to_owned(), value.to_owned())];
    assert_eq!(seen, [(2, pair("b")), (5, pair("a")), (8, vec![]), (16, pair(""))]);
    bench.stop().await;
    assert_eq!(bench.metric("metadata_cardinality"), 0);
}

#[tokio::test(start_paused = true)]
async fn tenants_and_authentications_are_kept_apart_and_stay() {
    let bench = Bench::new("{timeout: 1s}").await;
    let auth = |name: &str| Some(Arc::new(AuthData { attributes: vec![("username".into(), vec![name.into()])] }));
    for tenant in ["a", "b", "a"] {
        let context = Context { tenant: Some(tenant.into()), transport: "grpc", ..metadata(&[("x", "y")]) };
        bench.offer_with(1, context).await.unwrap();
    }
    for name in ["c", "d", "c"] {
        bench.offer_with(1, Context { auth: auth(name), ..Context::default() }).await.unwrap();
    }
    pass(1001).await;
    let received = bench.sink.received();
    let mut seen: Vec<_> = (received.iter())
        .map(|r| {
            assert!(r.context.metadata.is_empty() && r.context.transport.is_empty());
            let name = r.context.auth.as_ref().and_then(|auth| auth.get("username")).unwrap_or_default();
            (r.context.tenant_name(), name, r.payload.items())
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [("", "c", 2), ("", "d", 1), ("a", "", 2), ("b", "", 1)]);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn too_many_combinations_are_refused_for_good_until_one_was_idle() {
    let bench = Bench::new("{metadata_keys: [k], metadata_cardinality_limit: 2, timeout: 1s}").await;
    bench.offer_with(1, metadata(&[("k", "a")])).await.unwrap();
    bench.offer_with(1, metadata(&[("k", "b")])).await.unwrap();
    let error = bench.offer_with(1, metadata(&[("k", "c")])).await.unwrap_err();
    assert_eq!(error.message(), "too many batcher metadata-value combinations");
    assert!(!error.is_retryable());
    bench.offer_with(1, metadata(&[("k", "a")])).await.unwrap();
    pass(59_000).await;
    bench.offer_with(1, metadata(&[("k", "c")])).await.unwrap_err();
    pass(3_000).await;
    bench.offer_with(1, metadata(&[("k", "c")])).await.unwrap();
    bench.stop().await;
    assert_eq!(bench.world.totals(Signal::Traces).delivered, 4);
}

#[tokio::test(start_paused = true)]
async fn retryable_errors_are_retried_and_permanent_ones_counted() {
    let script =
        [Answer::Retryable, Answer::RetryAfter(Duration::from_secs(3)), Answer::Accept, Answer::PermanentHandBack];
    let mut bench = Bench::of_signal(Signal::Logs, "{timeout: 1s}", Sink::scripted(script, Answer::Accept)).await;
    bench.offer(5).await.unwrap();
    pass(3_900).await;
    assert_eq!((bench.sink.attempts(), bench.sink.items()), (2, 0), "the destination's delay is kept");
    bench.sink.wait_for_items(5).await;
    bench.offer(7).await.unwrap();
    pass(2_000).await;
    let totals = bench.world.totals(Signal::Logs);
    assert_eq!((totals.delivered, totals.dropped.get("permanent_error")), (5, Some(&7)));
    bench.stop().await;
}

/// One batch of `mib` MiB: a log record with a long body.
fn heavy(mib: usize) -> Batch {
    let mut record = vec![b'x'; mib << 20];
    // AnyValue.string_value, LogRecord.body, ScopeLogs.log_records, ResourceLogs.scope_logs, the request's resource_logs.
    for field in [1, 5, 2, 2, 1] {
        let mut outer = Vec::with_capacity(record.len() + 8);
        pdata::wire::put_len(&mut outer, field, &record);
        record = outer;
    }
    assert_eq!(pdata::validate::check(Signal::Logs, &record), Ok(1));
    let segment = pdata::Segment::trusted(record.into(), 1);
    Batch::new(Payload::from_segments(Signal::Logs, [segment]), Arc::default())
}

#[tokio::test(start_paused = true)]
async fn input_is_refused_while_what_was_sent_is_not_taken() {
    let bench = Bench::of_signal(Signal::Logs, "{timeout: 1s}", Sink::answering(Answer::Stall)).await;
    let mut taken = 0;
    let error = loop {
        match bench.offer_batch(heavy(8)).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 20, "what waits is bounded");
        pass(10).await;
    };
    assert!(error.is_retryable());
    assert!(error.message().starts_with("the batch processor is full"), "{error}");
    // 64 MiB in the outbox (batches of 16 MiB and a little more), up to 32 MiB gathered.
    assert!((8..=12).contains(&taken), "{taken}");
    assert_eq!(bench.world.totals(Signal::Logs).held, taken);
    bench.sink.release();
    bench.sink.wait_for_items(taken).await;
    bench.offer_batch(heavy(1)).await.unwrap();
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_flushes_drains_and_counts_what_is_left() {
    let mut bench = Bench::new("{timeout: 1h}").await;
    bench.offer(7).await.unwrap();
    bench.stop().await;
    assert_eq!((bench.sink.items(), bench.metric("timeout_trigger_send")), (7, 1));
    let error = bench.offer(1).await.unwrap_err();
    assert!(error.is_retryable());

    let mut bench = Bench::of_signal(Signal::Traces, "{timeout: 1h}", Sink::answering(Answer::Retryable)).await;
    bench.offer(7).await.unwrap();
    let error = bench.component.shutdown(Deadline::after(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(error.to_string(), "7 items were dropped: they could not be handed on in time");
    assert_eq!(bench.world.totals(Signal::Traces).dropped.get("shutdown"), Some(&7));
    bench.world.check_settled().unwrap();
}

#[tokio::test(start_paused = true)]
async fn gathering_moves_no_bytes() {
    let bench = Bench::new("{timeout: 1s}").await;
    let (first, second) = (items::spans(3), items::spans(4));
    let pointers = [first.payload().to_bytes().as_ptr(), second.payload().to_bytes().as_ptr()];
    bench.offer_batch(first).await.unwrap();
    bench.offer_batch(second).await.unwrap();
    bench.stop().await;
    let received = bench.sink.received();
    let segments = received[0].payload.segments();
    assert_eq!([segments[0].bytes().as_ptr(), segments[1].bytes().as_ptr()], pointers);
}

/// Log records below a resource of `resource_bytes`.
fn below_a_heavy_resource(resource_bytes: usize, items: u32) -> Vec<u8> {
    use pdata::wire::put_len;
    let (mut value, mut attribute, mut resource) = (Vec::new(), Vec::new(), Vec::new());
    put_len(&mut value, 1, &vec![b'x'; resource_bytes]);
    put_len(&mut attribute, 1, b"key");
    put_len(&mut attribute, 2, &value);
    put_len(&mut resource, 1, &attribute);
    let (mut scope, mut group, mut body) = (Vec::new(), Vec::new(), Vec::new());
    (0..items).for_each(|_| put_len(&mut scope, 2, &[]));
    put_len(&mut group, 1, &resource);
    put_len(&mut group, 2, &scope);
    put_len(&mut body, 1, &group);
    body
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_repeated_only_for_parts_that_have_room() {
    let yaml = "{send_batch_size: 1, send_batch_max_size: 1, timeout: 1s}";
    let bench = Bench::of_signal(Signal::Logs, yaml, Sink::answering(Answer::Stall)).await;
    let charge = bench.world.account.charge(0);
    let body = below_a_heavy_resource(1 << 19, 200);
    let (payload, _) = Payload::from_body(Signal::Logs, body, charge, Utf8Policy::Refuse).unwrap();
    bench.offer_batch(Batch::new(payload, Arc::default())).await.unwrap();
    pass(5000).await;
    let peak_mib = bench.world.account.peak() >> 20;
    assert!(peak_mib <= 67, "{peak_mib} MiB, of which the outbox may hold 64");
    bench.sink.answer(Answer::Accept);
    bench.sink.release();
    pass(5000).await;
    assert_eq!(bench.sink.sizes(), [1; 200]);
    bench.stop().await;
}
