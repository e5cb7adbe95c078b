//! The processor in front of a sink, with measurements read from files that the tests write.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::Arc;
use std::time::Duration;

use component::factory::Create;
use component::memory::Probe;
use component::{ComponentId, Deadline, Kind, Process, Processor};
use config::{Errors, Limits, Source};
use pdata::{Gate, Signal};
use processor_memory_limiter::{factory, factory_with};
use tempfile::TempDir;
use testkit::{Sink, Subject, World, items};

const CONFIG: &str = "{check_interval: 1s, limit_mib: 10, spike_limit_mib: 2}";
const MIB: usize = 1 << 20;

/// A machine of which a test says how much memory the process has.
struct Machine {
    folder: TempDir,
    probe: Arc<Probe>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let probe = Probe { proc: folder.path().join("proc"), cgroup: folder.path().join("cgroup") };
        std::fs::create_dir_all(probe.proc.join("self")).unwrap();
        Self { folder, probe: Arc::new(probe) }
    }

    fn set_resident_mib(&self, mib: usize) {
        let text = format!("Name:\tweir\nVmRSS:\t{} kB\nThreads:\t1\n", mib * 1024);
        std::fs::write(self.folder.path().join("proc/self/status"), text).unwrap();
    }

    fn processor(&self, world: &World, yaml: &str, signal: Signal) -> Arc<dyn Process> {
        let factory = factory_with(Arc::clone(&self.probe));
        let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
        let mut errors = Errors::new();
        let config = factory.decode(&node, "processors::memory_limiter", &mut errors);
        assert!(!errors.has_errors(), "{errors}");
        let settings = world.settings(Kind::Processor, &ComponentId::new("memory_limiter"));
        let Create::Processor(create) = factory.create() else { panic!() };
        match create(settings, &config, signal, world.edge(Sink::accepting())).unwrap() {
            Processor::Sync(process) => process,
            Processor::Stateful(_) => panic!(),
        }
    }
}

async fn a_check_later() {
    tokio::time::sleep(Duration::from_millis(1001)).await;
}

fn accepts(process: &dyn Process) -> bool {
    process.process(items::spans(3)).is_ok()
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let invalid = "'check_interval' must be greater than zero";
    for signal in Signal::ALL {
        let subject = Subject::new(factory()).with_config("{check_interval: 1s, limit_mib: 100000}");
        testkit::suite::contract(&subject.with_signal(signal).with_invalid_default(invalid)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn telemetry_is_refused_at_the_soft_limit_at_once_and_handed_back() {
    let (world, machine) = (World::new(), Machine::new());
    let process = machine.processor(&world, CONFIG, Signal::Traces);
    process.start(&world.host).await.unwrap();
    let held = world.account.charge(8 * MIB);
    let error = process.process(world.open(items::spans(5))).unwrap_err();
    assert_eq!(error.message(), "data refused due to high memory usage");
    assert!(error.is_retryable());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(error.undelivered_items(), 5);
    drop(held);
    assert!(process.process(items::spans(7)).unwrap().is_some());
    assert_eq!(world.metric("otelcol_processor_memory_limiter_refused_spans"), Some(5.0));
    assert_eq!(world.metric("otelcol_processor_memory_limiter_accepted_spans"), Some(7.0));
    process.shutdown(Deadline::after(Duration::from_secs(1))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn receivers_are_stopped_before_they_read_a_body() {
    let (world, machine) = (World::new(), Machine::new());
    let process = machine.processor(&world, CONFIG, Signal::Logs);
    let edge = world.edge(Sink::accepting());
    edge.set_gates(vec![process.gate().unwrap()]);
    let first = edge.admit(8 * MIB - 1).unwrap();
    let refused = edge.admit(1).unwrap_err();
    assert!(refused.to_string().starts_with("data refused due to high memory usage"), "{refused}");
    assert_eq!(world.metric("weir_processor_memory_limiter_refused_requests"), Some(1.0));
    drop(first);
    edge.admit(1).unwrap();
}

#[tokio::test(start_paused = true)]
async fn resident_memory_refuses_only_while_that_helps() {
    let (world, machine) = (World::new(), Machine::new());
    let process = machine.processor(&world, CONFIG, Signal::Traces);
    machine.set_resident_mib(5);
    process.start(&world.host).await.unwrap();
    a_check_later().await;
    assert!(accepts(&*process));

    let held = world.account.charge(4 * MIB);
    machine.set_resident_mib(10);
    assert!(accepts(&*process), "nothing was measured yet");
    a_check_later().await;
    assert!(!accepts(&*process), "at the hard limit, telemetry at half of the soft one");
    drop(held);
    machine.set_resident_mib(12);
    a_check_later().await;
    assert!(!accepts(&*process), "it grows");
    a_check_later().await;
    assert!(accepts(&*process), "memory that the allocator keeps");
    process.shutdown(Deadline::after(Duration::from_secs(1))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pipelines_share_one_limiter_until_the_last_stops() {
    let (world, machine) = (World::new(), Machine::new());
    let spans = machine.processor(&world, CONFIG, Signal::Traces);
    let logs = machine.processor(&world, CONFIG, Signal::Logs);
    assert!(Arc::ptr_eq(&spans.gate().unwrap(), &logs.gate().unwrap()));
    let is_open = |gate: &Gate| !gate.is_closed();
    let gate = spans.gate().unwrap();
    spans.start(&world.host).await.unwrap();
    logs.start(&world.host).await.unwrap();
    machine.set_resident_mib(20);
    a_check_later().await;
    assert!(!is_open(&gate));
    let deadline = Deadline::after(Duration::from_secs(1));
    spans.shutdown(deadline).await.unwrap();
    spans.shutdown(deadline).await.unwrap();
    machine.set_resident_mib(30);
    a_check_later().await;
    assert!(!is_open(&gate), "logs still measures");
    logs.shutdown(deadline).await.unwrap();
    assert!(is_open(&gate));
    machine.set_resident_mib(40);
    a_check_later().await;
    assert!(is_open(&gate), "nobody measures");
}

#[tokio::test(start_paused = true)]
async fn a_percentage_is_of_the_control_group() {
    let (world, machine) = (World::new(), Machine::new());
    let file = |path: &str, text: &str| {
        let path = machine.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    file("proc/meminfo", "MemTotal: 1048576 kB\n");
    file("proc/self/cgroup", "0::/\n");
    file("cgroup/memory.max", &format!("{}\n", 20 * MIB));
    let process = machine.processor(&world, "{check_interval: 1s, limit_percentage: 50}", Signal::Metrics);
    let _below = world.account.charge(8 * MIB - 1);
    assert!(accepts(&*process));
    let _at = world.account.charge(1);
    assert!(!accepts(&*process));
}
