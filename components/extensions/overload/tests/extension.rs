//! The extension by itself, with measurements read from files that the tests write.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use component::factory::Create;
use component::memory::Probe;
use component::pressure::{Class, Source, Step};
use component::{ComponentId, Deadline, Extension, Health, Kind};
use config::{Errors, Limits, Source as Text};
use extension_overload::factory_at;
use extension_overload::probe::Place;
use testkit::{Subject, World};

fn place(folder: &Path) -> Place {
    let files = Probe { proc: folder.join("proc"), cgroup: folder.join("cgroup") };
    std::fs::create_dir_all(folder.join("proc/self")).unwrap();
    std::fs::create_dir_all(folder.join("cgroup")).unwrap();
    std::fs::write(folder.join("proc/self/cgroup"), "0::/\n").unwrap();
    std::fs::write(folder.join("cgroup/memory.max"), "1000\n").unwrap();
    Place { files, threads: 2 }
}

fn use_memory(folder: &Path, bytes: u64) {
    std::fs::write(folder.join("cgroup/memory.current"), format!("{bytes}\n")).unwrap();
}

fn create(world: &World, yaml: &str, place: Place) -> Result<Arc<dyn Extension>, String> {
    let factory = factory_at(place);
    let node = config::parse(&Text::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "extensions::overload", &mut errors);
    if errors.has_errors() {
        return Err(errors.to_string());
    }
    let settings = world.settings(Kind::Extension, &ComponentId::new("overload"));
    let Create::Extension(create) = factory.create() else { panic!() };
    create(settings, &config).map_err(|error| error.message)
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    use_memory(folder.path(), 100);
    testkit::suite::contract(&Subject::new(factory_at(place))).await.unwrap();
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &extension_overload::factory()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn memory_pressure_goes_through_the_steps_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path());
    use_memory(folder.path(), 100);
    let world = World::new();
    let extension = create(&world, "{admitted_min: 0.5}", place).unwrap();
    let gate = extension.admission_gate().unwrap();
    let pressure = Arc::clone(world.host.pressure());
    extension.start(&world.host).await.unwrap();
    let refused = || (0..100).filter(|_| gate.check(&world.account, 1).is_err()).count();
    let health = || world.host.health().get("extension `overload`").cloned();
    let wait = async |millis: u64| tokio::time::sleep(Duration::from_millis(millis)).await;
    wait(1000).await;
    assert_eq!((pressure.step(), refused(), health()), (Step::Calm, 0, None));

    // 0.845 is two thirds of the way from 0.70 to 0.92.
    use_memory(folder.path(), 845);
    wait(250).await;
    assert_eq!(pressure.step(), Step::Thin);
    let rejected = Class::ALL.map(|class| pressure.rejected(class));
    assert!(rejected[0] > rejected[1] && rejected[1] > 0 && rejected[2] == 0, "{rejected:?}");
    assert_eq!(refused(), 0);
    assert_eq!(world.metric("weir_overload_degraded_level"), Some(2.0));
    assert!(world.metric("weir_overload_pressure").is_some_and(|all| (0.65..0.67).contains(&all)));
    let told = format!("{:?}", health());
    assert!(told.contains("step `thin`") && told.contains("by memory"), "{told}");

    use_memory(folder.path(), 990);
    wait(5000).await;
    assert_eq!(pressure.step(), Step::Refuse);
    // Nothing drains and the pressure stays, so as few as may be are let in, and errors go last.
    assert!(refused().abs_diff(50) <= 2);
    assert!(pressure.rejected(Class::Critical) > 0);

    use_memory(folder.path(), 100);
    wait(30_000).await;
    assert_eq!((pressure.step(), refused(), health()), (Step::Calm, 0, Some(Health::Ok)));
    assert_eq!(pressure.rejected(Class::Normal), 0);

    use_memory(folder.path(), 990);
    wait(5000).await;
    assert!(refused() > 0);
    extension.shutdown(Deadline::after(Duration::from_secs(1))).await.unwrap();
    assert_eq!((pressure.step(), refused(), pressure.is_sensed()), (Step::Calm, 0, false));
}

#[tokio::test(start_paused = true)]
async fn telemetry_and_what_components_report_count() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let extension =
        create(&world, "{monitors: {trace_buffer: {enabled: false}, queue: {enabled: true}}}", place(folder.path()))
            .unwrap();
    let pressure = Arc::clone(world.host.pressure());
    extension.start(&world.host).await.unwrap();
    let buffer = pressure.report(Source::TraceBuffer, || 1.0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pressure.step(), Step::Calm, "disabled");
    drop(buffer);
    let queue = pressure.report(Source::Queue, || 0.9);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pressure.step(), Step::Gate);
    drop(queue);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(pressure.step(), Step::Calm);
    world.account.set_cap(1000);
    let _held = world.account.try_charge(850).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pressure.step(), Step::Trim);
    extension.shutdown(Deadline::after(Duration::from_secs(1))).await.unwrap();
}

#[test]
fn settings_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    for (yaml, part) in [
        ("{interval: 1ms}", "`interval` must be 10ms to 10s"),
        ("{steps: {trim: 0.6}}", "steps must rise"),
        ("{hysteresis: 0.35}", "below `steps::trim`"),
        ("{half_life: 0s}", "above 0s"),
        ("{admitted_min: 0}", "above 0 and at most 1"),
        ("{halvings: {normal: 51}}", "must be 0 to 50"),
        ("{monitors: {cpu: {low: 0.9, high: 0.8}}}", "`low` the lower; got 0.9 and 0.8"),
    ] {
        let error = create(&World::new(), yaml, place(folder.path())).err().unwrap();
        assert!(error.contains(part), "{yaml}: {error}");
    }
}
