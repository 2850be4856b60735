//! The conformance suite on sled, and what only an engine on a disk can get wrong.

use std::fs;
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use medipeps_core::wire::server_storage::StoreRecord;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::storage::conformance::{Engine, ROOMY, conformance_suite, export, prekeys, register, submission};
use crate::storage::{MemoryStorage, Spend, TenantStorage as _};

struct SledEngine {
    options: StorageOptions,
    storage: Option<Arc<SledStorage>>,
    low_space: Arc<AtomicBool>,
    _directory: TempDir,
}

/// A disk that is full when a test says so.
#[derive(Debug)]
struct TestDisk(Arc<AtomicBool>);

impl SpaceProbe for TestDisk {
    fn available(&self, _: &Path) -> io::Result<u64> {
        Ok(if self.0.load(Ordering::SeqCst) { FREE_SPACE_FLOOR - 1 } else { FREE_SPACE_FLOOR })
    }
}

impl SledEngine {
    fn with(quota: QueueQuota, segment_bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = StorageOptions {
            quota,
            segment_bytes,
            cache_bytes: 8 << 20,
            ..StorageOptions::new(directory.path().join("data"))
        };
        Self::on(directory, options)
    }

    fn on(directory: TempDir, options: StorageOptions) -> Self {
        let mut engine = Self { options, storage: None, low_space: Arc::default(), _directory: directory };
        engine.start();
        engine
    }

    fn start(&mut self) {
        let disk = Box::new(TestDisk(Arc::clone(&self.low_space)));
        self.storage = Some(Arc::new(SledStorage::open_on(&self.options, disk).unwrap()));
    }

    fn sled(&self) -> &Arc<SledStorage> {
        self.storage.as_ref().unwrap()
    }

    fn close(&mut self) {
        let storage = Arc::into_inner(self.storage.take().unwrap());
        drop(storage.expect("a test still holds the store"));
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(self.options.directory.join("segments")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

impl Engine for SledEngine {
    fn with_blobs(quota: QueueQuota, blob_bytes_max: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Small, so that the suite goes over several segments.
        let options = StorageOptions {
            quota,
            blob_bytes_max,
            segment_bytes: 16 << 10,
            blob_segment_bytes: 1 << 20,
            cache_bytes: 8 << 20,
            ..StorageOptions::new(directory.path().join("data"))
        };
        Self::on(directory, options)
    }

    fn with_groups(group_quota: GroupQuota) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = StorageOptions {
            group_quota,
            segment_bytes: 16 << 10,
            blob_segment_bytes: 256 << 10,
            cache_bytes: 8 << 20,
            ..StorageOptions::new(directory.path().join("data"))
        };
        Self::on(directory, options)
    }

    fn set_low_space(&self, low: bool) {
        self.low_space.store(low, Ordering::SeqCst);
    }

    fn reopen(&mut self) {
        self.close();
        self.start();
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(self.sled()) as Arc<dyn Storage>
    }
}

conformance_suite!(SledEngine);

#[path = "blob_tests.rs"]
mod blob_tests;
#[path = "group_log_tests.rs"]
mod group_log_tests;

const ACCEPTED: Result<EnqueueOutcome, EnqueueError> = Ok(EnqueueOutcome::Accepted { duplicate: false });

#[tokio::test]
async fn a_flipped_byte_is_never_served() {
    let mut engine = SledEngine::with(ROOMY, 1 << 20);
    let who = register(&**engine.sled(), "a@x", &[1]).await;
    for id in 1..=3 {
        assert_eq!(engine.sled().enqueue(submission(&who, id, &[(1, 1000)])).await, ACCEPTED);
    }
    engine.close();
    let file = engine.segments().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let second = bytes.iter().position(|byte| *byte == 2).unwrap() + 500;
    assert_eq!(bytes[second], 2);
    bytes[second] ^= 0x10;
    fs::write(&file, bytes).unwrap();
    engine.storage = Some(Arc::new(SledStorage::open(&engine.options).unwrap()));
    let storage = engine.sled();
    let before = storage.fetch(&who, 1, 0, 9).await.unwrap();
    assert_eq!(before.iter().map(|envelope| envelope.sequence).collect::<Vec<_>>(), [1]);
    assert_eq!(storage.fetch(&who, 1, 1, 9).await, Err(QueueError::Corrupt { sequence: 2 }));
    assert_eq!(storage.fetch(&who, 1, 2, 9).await.unwrap()[0].envelope, vec![3; 1000], "one can go past it");
    let exported = storage.export(Box::new(std::io::sink())).await;
    assert!(matches!(exported, Err(ExportError::Storage(StorageError::Corrupt(_)))), "{exported:?}");
    assert_eq!(storage.acknowledge(&who, 1, storage.incarnation(), 3).await, Ok(()));
    assert_eq!(storage.fetch(&who, 1, 0, 9).await, Ok(Vec::new()));
    assert_eq!(*storage.failure().borrow(), None, "a damaged envelope does not stop the others");
}

#[tokio::test]
async fn a_torn_tail_hurts_nobody_and_is_never_written_to() {
    let mut engine = SledEngine::with(ROOMY, 1 << 20);
    let who = register(&**engine.sled(), "a@x", &[1]).await;
    assert_eq!(engine.sled().enqueue(submission(&who, 1, &[(1, 1000)])).await, ACCEPTED);
    engine.close();
    let first = engine.segments().remove(0);
    // What a power failure leaves of a record whose commit never came.
    let torn = [&1000u32.to_be_bytes()[..], &[1, 2, 3, 4], &[9; 300]].concat();
    fs::OpenOptions::new().append(true).open(&first).unwrap().write_all(&torn).unwrap();
    let length = fs::metadata(&first).unwrap().len();
    engine.storage = Some(Arc::new(SledStorage::open(&engine.options).unwrap()));
    assert_eq!(engine.sled().enqueue(submission(&who, 2, &[(1, 1000)])).await, ACCEPTED);
    let envelopes = engine.sled().fetch(&who, 1, 0, 9).await.unwrap();
    assert_eq!(envelopes.iter().map(|envelope| envelope.envelope[0]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(fs::metadata(&first).unwrap().len(), length);
    assert_eq!(engine.segments().len(), 2);
}

#[tokio::test]
async fn a_segment_that_was_cut_short_is_noticed() {
    let mut engine = SledEngine::with(ROOMY, 1 << 20);
    let who = register(&**engine.sled(), "a@x", &[1]).await;
    assert_eq!(engine.sled().enqueue(submission(&who, 1, &[(1, 1000)])).await, ACCEPTED);
    engine.close();
    let file = engine.segments().remove(0);
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(600).unwrap();
    engine.storage = Some(Arc::new(SledStorage::open(&engine.options).unwrap()));
    assert_eq!(engine.sled().fetch(&who, 1, 0, 9).await, Err(QueueError::Corrupt { sequence: 1 }));
    fs::remove_file(&file).unwrap();
    assert_eq!(engine.sled().fetch(&who, 1, 0, 9).await, Err(QueueError::Corrupt { sequence: 1 }));
}

#[tokio::test]
async fn segments_go_when_nothing_in_them_is_left() {
    let mut engine = SledEngine::with(ROOMY, 4000);
    let who = register(&**engine.sled(), "a@x", &[1]).await;
    for id in 1..=20 {
        assert_eq!(engine.sled().enqueue(submission(&who, id, &[(1, 1000)])).await, ACCEPTED);
    }
    let all = engine.segments();
    assert!(all.len() >= 4, "{all:?}");
    let incarnation = engine.sled().incarnation();
    engine.sled().acknowledge(&who, 1, incarnation, 10).await.unwrap();
    let left = engine.segments();
    assert!(left.len() < all.len() && all.ends_with(&left), "the oldest are gone: {left:?}");
    engine.sled().acknowledge(&who, 1, incarnation, 20).await.unwrap();
    assert_eq!(engine.segments().len(), 1, "the one that is being written");
    engine.reopen();
    assert_eq!(engine.segments().len(), 0, "at the next start it is no longer written");

    // Deleting a segment is not synced: after a power failure an empty one may be there again.
    engine.close();
    fs::write(&left[0], b"what is left").unwrap();
    engine.storage = Some(Arc::new(SledStorage::open(&engine.options).unwrap()));
    assert_eq!(engine.segments().len(), 0);
    assert_eq!(engine.sled().enqueue(submission(&who, 30, &[(1, 1000)])).await, ACCEPTED);
    assert_eq!(engine.sled().fetch(&who, 1, 0, 9).await.unwrap()[0].sequence, 21);
}

#[test]
fn a_second_process_is_refused() {
    let mut engine = SledEngine::with(ROOMY, 4000);
    let second = SledStorage::open(&engine.options);
    assert!(matches!(second, Err(OpenError::InUse)), "{second:?}");
    engine.reopen();
}

#[tokio::test]
async fn after_an_error_nothing_is_confirmed() {
    let mut engine = SledEngine::with(ROOMY, 4000);
    let who = register(&**engine.sled(), "a@x", &[1]).await;
    let mut failure = engine.sled().failure();
    // Every write to it fails: there is no space.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let on_full_disk = SegmentWriter::within(engine.options.directory.join("segments"), full);
    let replace = |writer: &mut Writer, _: &mut Changes| {
        writer.segments = on_full_disk;
        Ok::<_, StorageError>(())
    };
    engine.sled().commit(replace).await.unwrap();
    let failed = engine.sled().enqueue(submission(&who, 1, &[(1, 10)])).await;
    assert!(matches!(failed, Err(EnqueueError::Storage(StorageError::Failed(_)))), "{failed:?}");
    failure.changed().await.unwrap();
    assert!(matches!(&*failure.borrow(), Some(StorageError::Failed(_))));
    // What needs no segment is not done either: what came before is not known.
    let after = engine.sled().report_generation(&who, 1, 1).await;
    assert!(matches!(after, Err(QueueError::Storage(StorageError::Failed(_)))), "{after:?}");
    assert!(engine.sled().account(&who).await.is_err());
    engine.reopen();
    assert_eq!(engine.sled().enqueue(submission(&who, 1, &[(1, 10)])).await, ACCEPTED);
}

#[test]
fn another_format_and_an_unfinished_import_are_refused() {
    let mut engine = SledEngine::with(ROOMY, 4000);
    engine.close();
    let change = |work: &dyn Fn(&sled::Db)| {
        let database = open_sled(&engine.options.directory.join("sled"), 1 << 20).unwrap();
        work(&database);
        database.flush().unwrap();
    };
    let store =
        StoreRecord { incarnation: [0; 16], next_account: 1, next_blob: 1, next_tenant: 1, import_unfinished: true };
    change(&|database| drop(database.insert(layout::STORE_KEY, store.encode()).unwrap()));
    let opened = SledStorage::open(&engine.options);
    assert!(matches!(opened, Err(OpenError::ImportUnfinished)), "{opened:?}");
    for found in [0, layout::FORMAT + 1] {
        change(&|database| drop(database.insert(layout::FORMAT_KEY, &found.to_be_bytes()).unwrap()));
        let refused = SledStorage::open(&engine.options).unwrap_err();
        let expected = format!("the store has format {found}, and this version knows only {}", layout::FORMAT);
        assert_eq!(refused.to_string(), expected);
    }
    change(&|database| drop(database.remove(layout::FORMAT_KEY).unwrap()));
    let opened = SledStorage::open(&engine.options);
    assert!(matches!(opened, Err(OpenError::Corrupt(_))), "{opened:?}");
}

#[tokio::test]
async fn large_values_stay_out_of_files_that_sled_never_syncs() {
    let engine = SledEngine::with(ROOMY, 1 << 20);
    for number in 0..20 {
        let who = register(&**engine.sled(), &format!("a{number}@x"), &[1, 2, 3]).await;
        let mut keys = prekeys(1, 10..110);
        for (_, key) in keys.one_time.iter_mut().chain(&mut keys.one_time_kem) {
            key.resize(3800, 1);
        }
        engine.sled().put_prekeys(&who, 1, 2, keys).await.unwrap();
    }
    let blobs = engine.options.directory.join("sled/blobs");
    assert_eq!(fs::read_dir(blobs).map_or(0, Iterator::count), 0);
}

#[tokio::test]
async fn both_engines_write_and_read_the_same_export() {
    let engine = SledEngine::with(ROOMY, 1 << 20);
    let memory = MemoryStorage::new(ROOMY, [1; 16]);
    for storage in [&**engine.sled() as &dyn Storage, &memory] {
        let who = register(storage, "a@x", &[1, 2]).await;
        assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 100), (2, 100)])).await, ACCEPTED);
        storage.take_prekeys(&who, Taking::default()).await.unwrap();
    }
    let exported = export(&**engine.sled()).await;
    assert_eq!(exported, export(&memory).await);
    let copy = MemoryStorage::new(ROOMY, [2; 16]);
    copy.import(Box::new(Cursor::new(exported.clone()))).await.unwrap();
    assert_eq!(export(&copy).await, exported);
}

/// One step of a mailbox, as the model below takes it.
#[derive(Debug, Clone)]
enum Step {
    Enqueue { id: u8, devices: Vec<u32>, length: usize, lives_ms: u64 },
    Acknowledge { device: u32, up_to: u64 },
    Fetch { device: u32, after: u64, limit: usize },
    Expire { after_ms: u64 },
    Devices { devices: Vec<u32> },
    PutPrekeys { device: u32, first: u32 },
    TakePrekeys,
    BeginBlob { id: u8, length: u64, lives_ms: u64 },
    PutBlob { id: u8, length: usize, byte: u8 },
    ReadBlob { id: u8, offset: u64 },
    DeleteBlob { id: u8, secret: u8 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let devices = || proptest::collection::btree_set(1..4u32, 1..4).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    prop_oneof![
        8 => (0..40u8, devices(), 1..300usize, 0..100u64)
            .prop_map(|(id, devices, length, lives_ms)| Step::Enqueue { id, devices, length, lives_ms }),
        3 => (1..4u32, 0..12u64).prop_map(|(device, up_to)| Step::Acknowledge { device, up_to }),
        3 => (1..4u32, 0..12u64, 0..6usize).prop_map(|(device, after, limit)| Step::Fetch { device, after, limit }),
        1 => (0..100u64).prop_map(|after_ms| Step::Expire { after_ms }),
        1 => devices().prop_map(|devices| Step::Devices { devices }),
        1 => (1..4u32, 0..20u32).prop_map(|(device, first)| Step::PutPrekeys { device, first }),
        2 => Just(Step::TakePrekeys),
        3 => (0..3u8, 1..3u64, 0..100u64)
            .prop_map(|(id, length, lives_ms)| Step::BeginBlob { id, length: length * 4096, lives_ms }),
        4 => (0..3u8, 1..3usize, 0..2u8)
            .prop_map(|(id, length, byte)| Step::PutBlob { id, length: length * 4096, byte }),
        2 => (0..3u8, 0..9000u64).prop_map(|(id, offset)| Step::ReadBlob { id, offset }),
        1 => (0..3u8, 0..2u8).prop_map(|(id, secret)| Step::DeleteBlob { id, secret }),
        1 => Just(Step::Reopen),
    ]
}

/// Does a step and tells everything that can be seen of it.
async fn take(storage: &dyn Storage, step: &Step, clock: &mut u64, sequence: u64) -> String {
    let who = "a@x".parse().unwrap();
    match step {
        Step::Enqueue { id, devices, length, lives_ms } => {
            let envelopes: Vec<_> = devices.iter().map(|device| (*device, *length)).collect();
            let (now_ms, expires_ms) = (*clock, *clock + lives_ms);
            let next = Submission { now_ms, expires_ms, ..submission(&who, *id, &envelopes) };
            format!("{:?}", storage.enqueue(next).await)
        }
        Step::Acknowledge { device, up_to } => {
            format!("{:?}", storage.acknowledge(&who, *device, storage.incarnation(), *up_to).await)
        }
        Step::Fetch { device, after, limit } => format!("{:?}", storage.fetch(&who, *device, *after, *limit).await),
        Step::Expire { after_ms } => {
            *clock += after_ms;
            format!("{:?}", storage.expire(*clock).await)
        }
        Step::Devices { devices } => {
            let version = storage.account(&who).await.unwrap().unwrap().statement_version;
            let replaced = storage.replace_statement(&who, version, vec![1; 5000], version + 1, devices.clone()).await;
            format!("{replaced:?}")
        }
        Step::PutPrekeys { device, first } => {
            format!("{:?}", storage.put_prekeys(&who, *device, sequence, prekeys(1, *first..*first + 3)).await)
        }
        Step::TakePrekeys => format!("{:?}", storage.take_prekeys(&who, Taking::default()).await),
        Step::BeginBlob { id, length, lives_ms } => {
            let blob = NewBlob {
                id: [*id; 32],
                secret_hash: [0; 32],
                length: *length,
                now_ms: *clock,
                expires_ms: *clock + 2 * lives_ms,
                unfinished_expires_ms: *clock + lives_ms,
                spend: Spend::default(),
            };
            format!("{:?}", storage.begin_blob(blob).await)
        }
        Step::PutBlob { id, length, byte } => {
            let piece = BlobPiece { id: [*id; 32], secret_hash: [0; 32], index: 0, data: vec![*byte; *length] };
            format!("{:?}", storage.put_blob_piece(piece).await)
        }
        Step::ReadBlob { id, offset } => format!("{:?}", storage.read_blob(&[*id; 32], *offset, 100).await),
        Step::DeleteBlob { id, secret } => {
            let deleted = storage.delete_blob(&[*id; 32], &[*secret; 32]).await;
            format!("{deleted:?}, {:?}", storage.blob_usage().await)
        }
        Step::Reopen => String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_store_on_the_disk_is_the_store_of_the_model(steps in proptest::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let quota = QueueQuota { messages_max: 6, bytes_max: 1000, ..QueueQuota::default() };
            let directory = tempfile::tempdir().unwrap();
            let options = StorageOptions {
                quota,
                blob_bytes_max: 20_000,
                segment_bytes: 500,
                blob_segment_bytes: 5000,
                cache_bytes: 8 << 20,
                ..StorageOptions::new(directory.path().join("data"))
            };
            let mut engine = SledEngine::on(directory, options);
            let model = MemoryStorage::new(quota, engine.sled().incarnation()).with_blob_bytes_max(20_000);
            register(&**engine.sled(), "a@x", &[1, 2]).await;
            register(&model, "a@x", &[1, 2]).await;
            let (mut clock, mut model_clock) = (1_800_000_000_000, 1_800_000_000_000);
            for (number, step) in steps.iter().enumerate() {
                let sequence = number as u64 / 2 + 2;
                if matches!(step, Step::Reopen) {
                    engine.reopen();
                }
                let found = take(&**engine.sled(), step, &mut clock, sequence).await;
                let expected = take(&model, step, &mut model_clock, sequence).await;
                prop_assert_eq!(found, expected, "step {}: {:?}", number, step);
            }
            prop_assert_eq!(engine.sled().inspect(None, 9).await, model.inspect(None, 9).await);
            engine.reopen();
            prop_assert_eq!(engine.sled().inspect(None, 9).await, model.inspect(None, 9).await);
            Ok(())
        })?;
    }
}

/// The store that the last version before format 2 wrote.
fn store_of_format_1() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-format-1.tar.gz");
    let unpacked = std::process::Command::new("tar").arg("-xzf").arg(fixture).arg("-C").arg(folder.path()).status();
    assert!(unpacked.unwrap().success());
    folder
}

#[tokio::test]
async fn a_store_of_the_first_format_is_brought_up_to_the_present_one() {
    let folder = store_of_format_1();
    let options = StorageOptions::new(folder.path().join("store"));
    for life in 0..2 {
        let storage = SledStorage::open(&options).unwrap();
        assert_eq!(storage.shared.records.get(layout::FORMAT_KEY), Ok(Some(layout::FORMAT.to_be_bytes().to_vec())));
        let claire = "claire@clinic.example".parse().unwrap();
        let account = storage.account(&claire).await.unwrap().unwrap();
        assert_eq!((account.devices, account.tenant, account.suspended), (vec![1, 2], 0, false));
        let waiting = storage.fetch(&claire, 1, 0, 10).await.unwrap();
        assert_eq!(waiting.iter().map(|one| one.envelope.clone()).collect::<Vec<_>>(), [vec![2; 4096], vec![3; 4096]]);
        assert_eq!(storage.read_blob(&[3; 32], 0, 9999).await.unwrap().data, vec![7; 5000]);
        let (_, usage) = storage.tenants().await.unwrap().remove(0);
        assert_eq!((usage.seats, usage.bytes), (2 + life, 5 * 4096));
        if life == 0 {
            let registration = crate::storage::conformance::registration("anne@clinic.example", [9; 32], &[1]);
            storage.register(registration).await.expect("an invitation of before is good");
        }
    }
}
