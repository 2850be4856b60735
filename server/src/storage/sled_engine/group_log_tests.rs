//! Group logs on sled: what only an engine on a disk can get wrong, and any steps beside the model.

use super::*;
use crate::limits::GROUP_ENTRY_LARGE;
use crate::storage::Spend;

const NOW: u64 = 1_800_000_000_000;
const LOG: [u8; 32] = [7; 32];

fn key(epoch: u64) -> [u8; 32] {
    [epoch as u8; 32]
}

fn new_log(log: u8, now_ms: u64) -> NewGroupLog {
    NewGroupLog {
        log_id: [log; 32],
        access_key: key(0),
        epoch: 0,
        now_ms,
        expires_ms: now_ms + 200,
        spend: Spend::default(),
    }
}

fn entry(epoch: u64, id: u8, length: usize) -> GroupAppend {
    GroupAppend {
        log_id: LOG,
        epoch,
        access_key: key(epoch),
        entry_id: [id; 16],
        digest: [id.wrapping_add(epoch as u8); 32],
        entry: vec![id ^ 0x55; length],
        next_access_key: None,
        now_ms: NOW,
        expires_ms: NOW + 100,
        log_expires_ms: NOW + 200,
        spend: Spend::default(),
    }
}

/// One segment a body.
async fn engine() -> SledEngine {
    let directory = tempfile::tempdir().unwrap();
    let options = StorageOptions {
        segment_bytes: 1,
        blob_segment_bytes: 1,
        cache_bytes: 8 << 20,
        ..StorageOptions::new(directory.path().join("data"))
    };
    let engine = SledEngine::on(directory, options);
    engine.sled().create_group_log(new_log(7, NOW)).await.unwrap();
    engine
}

fn files(engine: &SledEngine, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(engine.options.directory.join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn append(engine: &SledEngine, append: GroupAppend) -> u64 {
    engine.sled().append_group_entry(append).await.unwrap().sequence
}

async fn fetch(engine: &SledEngine, after: u64) -> Result<Vec<u64>, GroupLogError> {
    let fetched = engine.sled().fetch_group_entries(&LOG, 0, after, 9, 1 << 24).await?;
    Ok(fetched.entries.iter().map(|entry| entry.sequence).collect())
}

#[tokio::test]
async fn a_damaged_entry_is_never_served_and_those_behind_it_are() {
    let mut engine = engine().await;
    let mut sequences = Vec::new();
    for (id, length) in [(1, 100), (2, 100), (3, GROUP_ENTRY_LARGE), (4, GROUP_ENTRY_LARGE), (5, 100)] {
        sequences.push(append(&engine, entry(0, id, length)).await);
    }
    engine.close();
    for file in [&files(&engine, "segments")[1], &files(&engine, "blobs")[0]] {
        let mut bytes = fs::read(file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(file, bytes).unwrap();
    }
    engine.start();
    assert_eq!(fetch(&engine, 0).await, Ok(vec![sequences[0]]), "up to the damaged one");
    let corrupt = |sequence| Err(GroupLogError::Corrupt { sequence });
    assert_eq!(fetch(&engine, sequences[0]).await, corrupt(sequences[1]));
    assert_eq!(fetch(&engine, sequences[1]).await, corrupt(sequences[2]));
    assert_eq!(fetch(&engine, sequences[2]).await, Ok(sequences[3..].to_vec()));
    let repeat = engine.sled().append_group_entry(entry(0, 2, 100)).await.unwrap();
    assert!(repeat.duplicate, "its number stays its own");
}

#[tokio::test]
async fn segments_of_entries_that_ran_out_are_deleted() {
    let mut engine = engine().await;
    for (id, length, lives) in [(1, 100, 50), (2, GROUP_ENTRY_LARGE, 50), (3, 100, 100), (4, GROUP_ENTRY_LARGE, 100)] {
        append(&engine, GroupAppend { expires_ms: NOW + lives, ..entry(0, id, length) }).await;
    }
    let count = |engine: &SledEngine| (files(engine, "segments").len(), files(engine, "blobs").len());
    assert_eq!(count(&engine), (2, 2));
    assert_eq!(engine.sled().expire(NOW + 50).await.unwrap().group_entries, 2);
    assert_eq!(count(&engine), (1, 1));
    engine.reopen();
    assert_eq!(count(&engine), (1, 1), "what is live is counted anew and stays");
    assert_eq!(fetch(&engine, 0).await.unwrap().len(), 2);
    assert_eq!(engine.sled().expire(NOW + 100).await.unwrap().group_entries, 2);
    engine.reopen();
    assert_eq!(count(&engine), (0, 0));
    assert_eq!(engine.sled().expire(NOW + 200).await.unwrap().group_logs, 1);
    let left = engine.sled().shared.records.scan(&[]).filter_map(Result::ok).map(|(key, _)| key[0]);
    assert_eq!(left.collect::<Vec<_>>(), b"00", "nothing is left but the store's own two records");
}

#[tokio::test]
async fn a_refused_large_entry_leaves_no_body() {
    let engine = engine().await;
    append(&engine, GroupAppend { next_access_key: Some(key(1)), ..entry(0, 1, 100) }).await;
    for refused in [
        entry(0, 2, GROUP_ENTRY_LARGE),
        entry(5, 2, GROUP_ENTRY_LARGE),
        GroupAppend { log_id: [9; 32], ..entry(0, 2, GROUP_ENTRY_LARGE) },
        GroupAppend { entry_id: [1; 16], ..entry(0, 2, GROUP_ENTRY_LARGE) },
    ] {
        assert!(engine.sled().append_group_entry(refused).await.is_err());
    }
    assert!(files(&engine, "blobs").is_empty(), "what is sure to be refused is not written");
}

/// A step that may change what others see.
#[derive(Debug, Clone)]
enum Step {
    Create { log: u8, epoch: u64 },
    Append { log: u8, epoch: u64, key: u64, id: u8, large: bool, closes: bool, lives_ms: u64 },
    Fetch { log: u8, epoch: u64, back: u64, limit: usize, bytes: usize },
    Epoch { log: u8, epoch: u64 },
    Expire { after_ms: u64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let appended = (0..2u8, 0..4u64, 0..8u64, 0..12u8, 0..8u8, 0..4u8, 0..120u64);
    prop_oneof![
        2 => (0..2u8, 0..2u64).prop_map(|(log, epoch)| Step::Create { log, epoch }),
        12 => appended.prop_map(|(log, epoch, key, id, large, closes, lives_ms)| Step::Append {
            log,
            epoch,
            // Mostly the right one.
            key: if key < 4 { epoch } else { key - 4 },
            id,
            large: large == 0,
            closes: closes == 0,
            lives_ms,
        }),
        4 => (0..2u8, 0..4u64, 0..10u64, 0..5usize, 0..300usize)
            .prop_map(|(log, epoch, back, limit, bytes)| Step::Fetch { log, epoch, back, limit, bytes }),
        2 => (0..2u8, 0..4u64).prop_map(|(log, epoch)| Step::Epoch { log, epoch }),
        2 => (0..80u64).prop_map(|after_ms| Step::Expire { after_ms }),
        1 => Just(Step::Reopen),
    ]
}

/// Does a step and tells everything that can be seen of it.
async fn take(storage: &dyn Storage, step: &Step, clock: &mut u64) -> String {
    match step {
        Step::Create { log, epoch } => {
            let new = NewGroupLog { access_key: key(*epoch), epoch: *epoch, ..new_log(*log, *clock) };
            format!("{:?}", storage.create_group_log(new).await)
        }
        Step::Append { log, epoch, key: of, id, large, closes, lives_ms } => {
            let length = if *large { GROUP_ENTRY_LARGE } else { 100 };
            let append = GroupAppend {
                log_id: [*log; 32],
                access_key: key(*of),
                next_access_key: closes.then(|| key(epoch + 1)),
                digest: [id.wrapping_mul(31) ^ u8::from(*closes) ^ *epoch as u8; 32],
                now_ms: *clock,
                expires_ms: *clock + lives_ms,
                log_expires_ms: *clock + 100,
                ..entry(*epoch, *id, length)
            };
            format!("{:?}, {:?}", storage.append_group_entry(append).await, storage.group_usage().await)
        }
        Step::Fetch { log, epoch, back, limit, bytes } => {
            let after = clock.saturating_sub(*back);
            format!("{:?}", storage.fetch_group_entries(&[*log; 32], *epoch, after, *limit, *bytes).await)
        }
        Step::Epoch { log, epoch } => format!("{:?}", storage.group_epoch(&[*log; 32], *epoch).await),
        Step::Expire { after_ms } => {
            *clock += after_ms;
            format!("{:?}, {:?}", storage.expire(*clock).await, storage.group_usage().await)
        }
        Step::Reopen => String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn group_logs_on_the_disk_are_those_of_the_model(steps in proptest::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let group_quota =
                GroupQuota { entries_max: 8, bytes_max: 200_000, logs_max: 2, all_bytes_max: 300_000 };
            let directory = tempfile::tempdir().unwrap();
            let options = StorageOptions {
                group_quota,
                segment_bytes: 500,
                blob_segment_bytes: 100_000,
                cache_bytes: 8 << 20,
                ..StorageOptions::new(directory.path().join("data"))
            };
            let mut engine = SledEngine::on(directory, options);
            let model =
                MemoryStorage::new(ROOMY, engine.sled().incarnation()).with_group_quota(group_quota);
            let (mut clock, mut model_clock) = (NOW, NOW);
            for (number, step) in steps.iter().enumerate() {
                if matches!(step, Step::Reopen) {
                    engine.reopen();
                }
                let found = take(&**engine.sled(), step, &mut clock).await;
                let expected = take(&model, step, &mut model_clock).await;
                prop_assert_eq!(found, expected, "step {}: {:?}", number, step);
            }
            prop_assert_eq!(engine.sled().inspect_group_logs(None, 9).await, model.inspect_group_logs(None, 9).await);
            engine.reopen();
            prop_assert_eq!(engine.sled().inspect_group_logs(None, 9).await, model.inspect_group_logs(None, 9).await);
            prop_assert_eq!(engine.sled().group_usage().await, model.group_usage().await);
            Ok(())
        })?;
    }
}
