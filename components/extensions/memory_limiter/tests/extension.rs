//! The extension by itself, with measurements read from files that the tests write. In front of receivers it is tested
//! with the whole program (`tests/middlewares.rs`).

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::sync::Arc;
use std::time::Duration;

use component::factory::Create;
use component::memory::Probe;
use component::{ComponentId, Deadline, Extension, Kind, Role};
use config::{Errors, Limits, Source};
use extension_memory_limiter::{factory, factory_with};
use testkit::{Subject, World};

const CONFIG: &str = "{check_interval: 1s, limit_mib: 10, spike_limit_mib: 2}";
const MIB: usize = 1 << 20;

fn create(world: &World, yaml: &str, probe: Probe) -> Result<Arc<dyn Extension>, String> {
    let factory = factory_with(Arc::new(probe));
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "extensions::memory_limiter", &mut errors);
    if errors.has_errors() {
        return Err(errors.to_string());
    }
    let settings = world.settings(Kind::Extension, &ComponentId::new("memory_limiter"));
    let Create::Extension(create) = factory.create() else { panic!() };
    create(settings, &config).map_err(|error| format!("{}: {}", error.path, error.message))
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let subject = Subject::new(factory())
        .with_config("{check_interval: 1s, limit_mib: 100000}")
        .with_invalid_default("'check_interval' must be greater than zero");
    testkit::suite::contract(&subject).await.unwrap();
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn its_gate_follows_telemetry_at_once_and_resident_memory_from_start_to_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let probe = Probe { proc: folder.path().join("proc"), cgroup: folder.path().join("cgroup") };
    std::fs::create_dir_all(folder.path().join("proc/self")).unwrap();
    let set_resident_mib = |mib: usize| {
        let text = format!("VmRSS:\t{} kB\n", mib * 1024);
        std::fs::write(folder.path().join("proc/self/status"), text).unwrap();
    };
    let world = World::new();
    let extension = create(&world, CONFIG, probe).unwrap();
    let gate = extension.server_gate().unwrap();
    assert!(gate.check(&world.account, 8 * MIB - 1).is_ok());
    assert!(gate.check(&world.account, 8 * MIB).is_err());
    assert_eq!(world.metric("weir_extension_memory_limiter_refused_requests"), Some(1.0));

    let a_check_later = || tokio::time::sleep(Duration::from_millis(1001));
    set_resident_mib(20);
    a_check_later().await;
    assert!(!gate.is_closed(), "not started");
    extension.start(&world.host).await.unwrap();
    a_check_later().await;
    assert!(gate.is_closed());
    extension.shutdown(Deadline::after(Duration::from_secs(1))).await.unwrap();
    assert!(!gate.is_closed());
    set_resident_mib(40);
    a_check_later().await;
    assert!(!gate.is_closed(), "nobody measures");
}

#[test]
fn it_is_a_middleware_of_servers_and_nothing_else() {
    let extension = create(&World::new(), CONFIG, Probe::default()).unwrap();
    for role in [Role::ServerAuth, Role::ClientAuth, Role::ServerMiddleware, Role::ClientMiddleware] {
        assert_eq!(role.suits(&extension), role == Role::ServerMiddleware, "{role:?}");
    }
}

#[test]
fn settings_are_checked() {
    let nowhere = || Probe { proc: "/nowhere".into(), cgroup: "/nowhere".into() };
    for (yaml, part) in [
        ("{limit_mib: 10}", "'check_interval' must be greater than zero"),
        ("{check_interval: 1s}", "'limit_mib' or 'limit_percentage' must be greater than zero"),
        ("{check_interval: 1s, limit_percentage: 50}", "limit_percentage: failed to get total memory"),
    ] {
        let error = create(&World::new(), yaml, nowhere()).err().unwrap();
        assert!(error.contains(part), "{yaml}: {error}");
    }
}
