//! The extension by itself: its configuration, its files, who shares a queue. What becomes of telemetry is tested with the
//! whole program (`tests/persistence.rs`).

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use component::factory::Create;
use component::{ComponentId, Extension, Kind, Role, Storage, StorageClient, Stored};
use config::{Errors, Limits, Source};
use extension_file_storage::factory;
use pdata::Batch;
use spool::{Put, Size, Spool, SpoolError};
use testkit::{Subject, World};

fn create(world: &World, yaml: &str) -> Result<(Arc<dyn Extension>, Vec<String>), String> {
    let factory = factory();
    let node = config::parse(&Source::new("test.yaml", yaml), &Limits::default()).unwrap();
    let mut errors = Errors::new();
    let config = factory.decode(&node, "extensions::file_storage", &mut errors);
    let warnings = errors.iter().map(|error| error.message.clone()).collect();
    if errors.has_errors() {
        return Err(errors.to_string());
    }
    let settings = world.settings(Kind::Extension, &ComponentId::new("file_storage"));
    let Create::Extension(create) = factory.create() else { panic!() };
    Ok((create(settings, &config).map_err(|error| error.message)?, warnings))
}

async fn started(world: &World, yaml: &str) -> Arc<dyn Storage> {
    let (extension, _) = create(world, yaml).unwrap();
    extension.start(&world.host).await.unwrap();
    extension.storage().unwrap()
}

fn client(id: &str) -> StorageClient {
    StorageClient { kind: Kind::Exporter, id: id.parse().unwrap(), name: "traces".to_owned(), content: 1 }
}

async fn put(spool: &Spool<Stored>, batch: Batch) -> Result<u64, SpoolError> {
    let size = Size::of(batch.items(), batch.encoded_len() as u64);
    spool.reserve(size, |_| true).unwrap();
    let body = vec![batch.payload().to_bytes()];
    spool.append(Put { head: Vec::new(), body, size, live: Stored(batch) }).await.map_err(|(error, _)| error)
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777
}

#[tokio::test(start_paused = true)]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let subject = Subject::new(factory())
        .with_config(&format!("directory: {}", folder.path().display()))
        .with_invalid_default("directory must exist: stat /var/lib/otelcol/file_storage: no such file or directory");
    testkit::suite::contract(&subject).await.unwrap();
    testkit::readme::options_are_current(env!("CARGO_MANIFEST_DIR"), &factory()).unwrap();
}

#[test]
fn settings_are_checked_in_the_collectors_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (there, file) = (folder.path().display(), file.display());
    for (yaml, part) in [
        (
            "directory: /nowhere/at/all".to_owned(),
            "directory must exist: stat /nowhere/at/all: no such file or directory. You can enable the create_directory \
             option to automatically create it"
                .to_owned(),
        ),
        (format!("directory: {file}"), format!("{file} is not a directory")),
        (format!("directory: {file}/x"), format!("problem accessing configured directory: {file}/x")),
        (
            format!("{{directory: {there}/new, create_directory: true, directory_permissions: abc}}"),
            "directory_permissions value must be a valid octal representation".to_owned(),
        ),
        (
            format!("{{directory: {there}/new, create_directory: true, directory_permissions: '1777'}}"),
            "directory_permissions contain invalid bits for file access".to_owned(),
        ),
        (
            format!("{{directory: {there}, compaction: {{max_transaction_size: -1}}}}"),
            "max transaction size for compaction cannot be less than 0".to_owned(),
        ),
        (
            format!("{{directory: {there}, compaction: {{on_rebound: true, check_interval: 0s}}}}"),
            "compaction check interval must be positive when rebound compaction is set".to_owned(),
        ),
        (format!("{{directory: {there}, timeout: -1s}}"), "'timeout' must be non-negative".to_owned()),
    ] {
        let error = create(&World::new(), &yaml).err().unwrap();
        assert!(error.contains(&part), "{yaml}: {error}");
    }
    let yaml = format!("{{directory: {there}, recreate: true, compaction: {{on_start: true, on_rebound: true}}}}");
    let (_, warnings) = create(&World::new(), &yaml).unwrap();
    assert_eq!(
        warnings,
        [
            "`recreate` has no effect: what is damaged is put aside in any case, and the rest is used",
            "`compaction` has no effect: files are removed when everything in them was sent"
        ]
    );
}

#[test]
fn it_is_a_storage_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (extension, _) = create(&World::new(), &format!("directory: {}", folder.path().display())).unwrap();
    for role in [Role::ServerAuth, Role::ClientAuth, Role::ServerMiddleware, Role::ClientMiddleware, Role::Storage] {
        assert_eq!(role.suits(&extension), role == Role::Storage, "{role:?}");
    }
    let mismatch = Role::Storage.mismatch(&ComponentId::new("health_check"));
    assert_eq!(mismatch, "`storage`: extension `health_check` is not a storage extension");
}

#[tokio::test]
async fn creates_its_directory_and_a_directory_for_each_client() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let directory = folder.path().join("a/b");
    let yaml = |more: &str| format!("{{directory: {}, create_directory: true{more}}}", directory.display());
    assert!(create(&world, &yaml("")).is_ok() && !directory.exists(), "at start, not before");
    let storage = started(&world, &yaml(", directory_permissions: '0710'")).await;
    assert_eq!(mode(&directory), 0o710);
    let first = storage.spool(&client("otlp_grpc/eu")).await.unwrap();
    put(&first, testkit::items::spans(3)).await.unwrap();
    let queue = directory.join("exporter_otlp_grpc_eu_traces.queue");
    assert_eq!(mode(&queue), 0o700);
    assert_eq!(mode(&queue.join("00000000000000000000.seg")), 0o600);
    let other = storage.spool(&client("otlp_grpc")).await.unwrap();
    assert_eq!(other.directory(), directory.canonicalize().unwrap().join("exporter_otlp_grpc__traces.queue"));
    assert_eq!((first.held().items, other.held().items), (3, 0));
    let bytes = std::fs::metadata(queue.join("00000000000000000000.seg")).unwrap().len();
    assert_eq!(world.metric("weir_extension_file_storage_bytes"), Some(bytes as f64));
    assert!(world.metric("weir_extension_file_storage_fsync_duration").is_some());
}

/// A reload may exchange the extension: components of before and after have the same queue, with the new settings.
#[tokio::test]
async fn a_queue_is_opened_once_by_a_process() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let yaml = |more: &str| format!("{{directory: {}{more}}}", folder.path().display());
    let before = started(&world, &yaml("")).await.spool(&client("x")).await.unwrap();
    put(&before, testkit::items::spans(3)).await.unwrap();
    let after = started(&world, &yaml(", max_size: 9000")).await.spool(&client("x")).await.unwrap();
    assert_eq!(after.held().items, 3);
    let error = loop {
        if let Err(error) = put(&before, testkit::items::spans(20)).await {
            break error;
        }
    };
    assert!(error.to_string().ends_with("would exceed its limit of 9000"), "{error}");
    assert!(before.join() && after.join());
    before.leave().await;
    assert!(!after.is_closed());
    after.leave().await;
    let again = started(&world, &yaml("")).await.spool(&client("x")).await.unwrap();
    assert!(again.held().items >= 3 && !again.is_closed());
}

/// What another process has is waited for, but not for ever.
#[tokio::test(start_paused = true)]
async fn waits_for_another_process_until_the_timeout() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    let queue = folder.path().join("exporter_x__traces.queue");
    std::fs::create_dir(&queue).unwrap();
    let lock = std::fs::File::create(queue.join("lock")).unwrap();
    lock.lock().unwrap();
    let yaml = format!("{{directory: {}, timeout: 3s}}", folder.path().display());
    let storage = started(&world, &yaml).await;
    let begun = tokio::time::Instant::now();
    let error = storage.spool(&client("x")).await.unwrap_err();
    assert!(error.to_string().ends_with("exporter_x__traces.queue` is in use by another process"), "{error}");
    assert!((3..4).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let letting_go = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(lock);
    });
    storage.spool(&client("x")).await.unwrap();
    letting_go.await.unwrap();
}
