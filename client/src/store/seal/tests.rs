//! The sealed store over memory: seals, cache, daily key, failures.

use super::*;
use crate::limits::{RECORD_LENGTH_MAX, RECORD_NAME_LENGTH_MAX};
use crate::store::memory::{CommitFault, MemoryStore};
use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use rand_core::SeedableRng;

const CONTACT: RecordClass = RecordClass::account(1);
const SESSION: RecordClass = RecordClass::state(1);
const NOON: u64 = 20_000 * DAY + DAY / 2;

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn platform_key() -> Secret<32> {
    Secret::from([9; 32])
}

fn create(store: &MemoryStore) -> SealedStore<MemoryStore> {
    SealedStore::create(store.clone(), &Unlock::PlatformKey(&platform_key()), NOON, &mut rng(1)).unwrap()
}

fn open(store: &MemoryStore) -> Result<SealedStore<MemoryStore>, StoreError> {
    SealedStore::open(store.clone(), &Unlock::PlatformKey(&platform_key()))
}

fn patch(puts: &[(RecordClass, &str, &str)]) -> Patch {
    let mut patch = Patch::default();
    for (class, name, value) in puts {
        patch.put(RecordKey::new(*class, *name), value.as_bytes().to_vec());
    }
    patch
}

fn commit(store: &mut SealedStore<MemoryStore>, puts: &[(RecordClass, &str, &str)], seed: u8) -> u64 {
    store.begin(NOON, &mut rng(seed)).unwrap().commit(&patch(puts), &mut rng(seed)).unwrap()
}

fn load(store: &mut SealedStore<MemoryStore>, class: RecordClass, name: &str) -> Option<String> {
    let transaction = store.begin(NOON, &mut rng(99)).unwrap();
    let value = transaction.load(&[RecordKey::new(class, name)]).unwrap().pop().unwrap();
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn records_come_back_after_reopening() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    assert_eq!(commit(&mut store, &[(CONTACT, "claire", "a"), (SESSION, "claire", "b")], 2), 2);
    drop(store);
    let mut store = open(&memory).unwrap();
    assert_eq!(load(&mut store, CONTACT, "claire").as_deref(), Some("a"));
    assert_eq!(load(&mut store, SESSION, "claire").as_deref(), Some("b"));
    assert_eq!(load(&mut store, SESSION, "paul"), None);
    assert!(matches!(
        SealedStore::create(memory, &Unlock::PlatformKey(&platform_key()), NOON, &mut rng(1)),
        Err(StoreError::Exists)
    ));
    assert!(matches!(open(&MemoryStore::new()), Err(StoreError::Missing)));
}

#[test]
fn a_wrong_key_and_the_other_kind_of_lock_are_told() {
    let memory = MemoryStore::new();
    create(&memory);
    let wrong = SealedStore::open(memory.clone(), &Unlock::PlatformKey(&Secret::from([8; 32])));
    assert!(matches!(wrong, Err(StoreError::WrongPlatformKey)));
    #[cfg(feature = "passphrase")]
    {
        let other = SealedStore::open(memory, &Unlock::Passphrase(b"a passphrase"));
        assert!(matches!(other, Err(StoreError::OtherLock("platform key"))));
    }
}

#[cfg(feature = "passphrase")]
#[test]
fn a_passphrase_opens_and_another_does_not() {
    let memory = MemoryStore::new();
    let first = Unlock::Passphrase("élan vital".as_bytes());
    let mut store = SealedStore::create(memory.clone(), &first, NOON, &mut rng(1)).unwrap();
    commit(&mut store, &[(CONTACT, "claire", "a")], 2);
    let wrong = SealedStore::open(memory.clone(), &Unlock::Passphrase(b"elan vital"));
    assert!(matches!(wrong, Err(StoreError::WrongPassphrase)));
    let platform = open(&memory);
    assert!(matches!(platform, Err(StoreError::OtherLock("passphrase"))));
    let mut store = SealedStore::open(memory.clone(), &first).unwrap();
    assert_eq!(load(&mut store, CONTACT, "claire").as_deref(), Some("a"));
    store.change_lock(&Unlock::PlatformKey(&platform_key()), &mut rng(3)).unwrap();
    assert!(matches!(SealedStore::open(memory.clone(), &first), Err(StoreError::OtherLock("platform key"))));
    assert_eq!(load(&mut open(&memory).unwrap(), CONTACT, "claire").as_deref(), Some("a"));
}

#[test]
fn neither_names_nor_values_are_in_what_is_kept() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit(&mut store, &[(CONTACT, "claire@clinic.example", "the diagnosis")], 2);
    let (head, records) = memory.contents();
    let mut kept = head.header.unwrap();
    for record in records {
        kept.extend(record.key.name);
        kept.extend(record.sealed);
    }
    for hidden in ["claire", "diagnosis"] {
        assert!(!kept.windows(hidden.len()).any(|window| window == hidden.as_bytes()));
    }
    for secret in [&store.keyring.header()[..], &platform_key().as_bytes()[..]] {
        assert!(!format!("{store:?}").as_bytes().windows(8).any(|window| window == &secret[..8]));
    }
}

#[test]
fn every_changed_byte_of_a_record_is_told_with_its_class() {
    for class in [CONTACT, SESSION] {
        let memory = MemoryStore::new();
        let mut store = create(&memory);
        commit(&mut store, &[(class, "claire", "value")], 2);
        let record = memory.contents().1.remove(0);
        let load = |sealed: Vec<u8>| {
            memory.damage(SealedRecord { key: record.key, sealed });
            let mut store = open(&memory).unwrap();
            let mut transaction = store.begin(NOON, &mut rng(3)).unwrap();
            let loaded = transaction.load(&[RecordKey::new(class, "claire")]).map(drop);
            let scanned = transaction.scan(class).map(drop);
            [loaded, scanned]
        };
        for index in 0..record.sealed.len() {
            let mut sealed = record.sealed.clone();
            sealed[index] ^= 1;
            for result in load(sealed) {
                assert!(matches!(result, Err(StoreError::Corrupt { class: named }) if named == class));
            }
            for result in load(record.sealed[..index].to_vec()) {
                assert!(matches!(result, Err(StoreError::Corrupt { class: named }) if named == class));
            }
        }
        assert!(load(record.sealed.clone()).iter().all(Result::is_ok));
    }
}

#[test]
fn records_cannot_be_swapped() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit(&mut store, &[(CONTACT, "claire", "a"), (CONTACT, "paul", "b")], 2);
    let records = memory.contents().1;
    memory.damage(SealedRecord { key: records[0].key, sealed: records[1].sealed.clone() });
    let mut store = open(&memory).unwrap();
    let scanned = store.begin(NOON, &mut rng(3)).unwrap().scan(CONTACT).map(drop);
    assert!(matches!(scanned, Err(StoreError::Corrupt { class: CONTACT })));
}

#[test]
fn every_changed_byte_of_the_header_is_told() {
    let memory = MemoryStore::new();
    create(&memory);
    let (head, _) = memory.contents();
    let header = head.header.unwrap();
    for index in 0..header.len() {
        for bit in [0x01, 0x10, 0x80] {
            let mut changed = header.clone();
            changed[index] ^= bit;
            let copy = MemoryStore::new();
            let damaged =
                SealedPatch { header: Some(changed), generation_tag: head.generation_tag, ..SealedPatch::default() };
            copy.clone().begin().unwrap().commit(damaged, 0).unwrap();
            assert!(open(&copy).is_err(), "byte {index}, bit {bit}");
        }
    }
}

#[test]
fn the_state_key_is_redrawn_on_another_day() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit(&mut store, &[(CONTACT, "claire", "a"), (SESSION, "claire", "b"), (SESSION, "paul", "gone")], 2);
    let yesterday = memory.copy();
    let mut deletion = Patch::default();
    deletion.delete(RecordKey::new(SESSION, "paul"));
    store.begin(NOON, &mut rng(3)).unwrap().commit(&deletion, &mut rng(3)).unwrap();

    let transaction = store.begin(NOON + DAY, &mut rng(4)).unwrap();
    assert_eq!(transaction.generation(), 4, "the redraw is a commit");
    let keys = [RecordKey::new(CONTACT, "claire"), RecordKey::new(SESSION, "claire")];
    let values: Vec<_> = transaction.load(&keys).unwrap().into_iter().map(|value| value.unwrap().to_vec()).collect();
    assert_eq!(values, [b"a", b"b"]);
    drop(transaction);
    assert_eq!(store.begin(NOON + DAY, &mut rng(5)).unwrap().generation(), 4, "once a day");

    // The deleted session, as a thief finds it on the medium, does not open with the passphrase and today's store.
    let (_, records) = yesterday.contents();
    let deleted = store.keyring.seal_key(&RecordKey::new(SESSION, "paul"));
    let leftover = records.into_iter().find(|record| record.key == deleted).unwrap();
    assert!(open(&yesterday).unwrap().keyring.open_record(&leftover).is_ok());
    assert!(matches!(store.keyring.open_record(&leftover), Err(StoreError::Corrupt { class: SESSION })));
}

#[test]
fn a_redraw_takes_in_more_than_one_page() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    let names: Vec<_> = (0..SCAN_PAGE * 3 + 1).map(|number| format!("{number:04}")).collect();
    let puts: Vec<_> = names.iter().map(|name| (SESSION, name.as_str(), name.as_str())).collect();
    commit(&mut store, &puts, 2);
    let (_, before) = memory.contents();
    let mut transaction = store.begin(NOON + DAY, &mut rng(3)).unwrap();
    let scanned = transaction.scan(SESSION).unwrap();
    let values: Vec<_> = scanned.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(values, names.iter().map(|name| (name.clone().into(), name.clone().into())).collect::<Vec<_>>());
    drop(transaction);
    let (_, after) = memory.contents();
    assert!(before.iter().zip(&after).all(|(old, new)| old.key == new.key && old.sealed != new.sealed));
}

#[test]
fn a_failed_redraw_changes_nothing_and_is_tried_again() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit(&mut store, &[(SESSION, "claire", "b")], 2);
    memory.fail_next_commit(CommitFault::Unwritten);
    assert!(matches!(store.begin(NOON + DAY, &mut rng(3)), Err(StoreError::Medium(_))));
    assert_eq!(load(&mut store, SESSION, "claire").as_deref(), Some("b"));
    memory.fail_next_commit(CommitFault::Written);
    assert!(matches!(store.begin(NOON + DAY, &mut rng(4)), Err(StoreError::Medium(_))));
    let transaction = store.begin(NOON + DAY, &mut rng(5)).unwrap();
    assert!(transaction.load(&[RecordKey::new(SESSION, "claire")]).unwrap()[0].is_some());
    drop(transaction);
    assert_eq!(store.keyring.state_key_day(), NOON / DAY + 1);
}

#[test]
fn a_damaged_state_record_does_not_lock_the_owner_out_the_next_day() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit(&mut store, &[(SESSION, "claire", "b"), (SESSION, "paul", "c")], 2);
    let key = store.keyring.seal_key(&RecordKey::new(SESSION, "paul"));
    memory.damage(SealedRecord { key, sealed: vec![0; 50] });
    let transaction = store.begin(NOON + DAY, &mut rng(3)).unwrap();
    assert!(transaction.load(&[RecordKey::new(SESSION, "claire")]).unwrap()[0].is_some());
    let damaged = transaction.load(&[RecordKey::new(SESSION, "paul")]);
    assert!(matches!(damaged, Err(StoreError::Corrupt { class: SESSION })));
}

#[test]
fn two_handles_follow_each_other_over_redraws_and_commits() {
    let memory = MemoryStore::new();
    let (mut one, mut other) = (create(&memory), open(&memory).unwrap());
    commit(&mut one, &[(SESSION, "claire", "1")], 2);
    assert_eq!(other.begin(NOON, &mut rng(3)).unwrap().scan(SESSION).unwrap().len(), 1);
    drop(one.begin(NOON + DAY, &mut rng(4)).unwrap());
    let tomorrow = patch(&[(SESSION, "claire", "2"), (SESSION, "paul", "3")]);
    other.begin(NOON + DAY, &mut rng(5)).unwrap().commit(&tomorrow, &mut rng(5)).unwrap();
    let mut transaction = one.begin(NOON + DAY, &mut rng(6)).unwrap();
    let scanned = transaction.scan(SESSION).unwrap();
    let values: Vec<_> = scanned.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(values, [(b"claire".to_vec(), b"2".to_vec()), (b"paul".to_vec(), b"3".to_vec())]);
    assert!(matches!(other.begin(NOON + DAY, &mut rng(7)), Err(StoreError::Busy)));
}

#[test]
fn a_scanned_class_is_read_once_and_follows_own_commits() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit(&mut store, &[(SESSION, "claire", "1"), (SESSION, "paul", "2")], 2);
    store.begin(NOON, &mut rng(3)).unwrap().scan(SESSION).unwrap();
    // Whatever the backend has now, it is not asked.
    let key = store.keyring.seal_key(&RecordKey::new(SESSION, "claire"));
    memory.damage(SealedRecord { key, sealed: vec![] });
    let mut change = patch(&[(SESSION, "maud", "3")]);
    change.delete(RecordKey::new(SESSION, "paul"));
    store.begin(NOON, &mut rng(4)).unwrap().commit(&change, &mut rng(4)).unwrap();
    let scanned = store.begin(NOON, &mut rng(5)).unwrap().scan(SESSION).unwrap();
    let names: Vec<_> = scanned.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [b"claire".as_slice(), b"maud"]);
    assert_eq!(load(&mut store, SESSION, "claire").as_deref(), Some("1"));
    // Another handle's commit ends that.
    memory
        .clone()
        .begin()
        .unwrap()
        .commit(SealedPatch { generation_tag: store.keyring.generation_tag(4), ..SealedPatch::default() }, 3)
        .unwrap();
    let scanned = store.begin(NOON, &mut rng(6)).unwrap().scan(SESSION).map(drop);
    assert!(matches!(scanned, Err(StoreError::Corrupt { class: SESSION })));
}

#[test]
fn a_failed_commit_leaves_records_cache_and_generation() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit(&mut store, &[(SESSION, "claire", "1")], 2);
    store.begin(NOON, &mut rng(3)).unwrap().scan(SESSION).unwrap();
    memory.fail_next_commit(CommitFault::Unwritten);
    let failed = store.begin(NOON, &mut rng(4)).unwrap().commit(&patch(&[(SESSION, "claire", "2")]), &mut rng(4));
    assert!(matches!(failed, Err(StoreError::Medium(_))));
    assert_eq!(load(&mut store, SESSION, "claire").as_deref(), Some("1"));
    // Written after all, but the caller was told otherwise: the next event sees what is there.
    memory.fail_next_commit(CommitFault::Written);
    let failed = store.begin(NOON, &mut rng(5)).unwrap().commit(&patch(&[(SESSION, "claire", "3")]), &mut rng(5));
    assert!(matches!(failed, Err(StoreError::Medium(_))));
    assert_eq!(load(&mut store, SESSION, "claire").as_deref(), Some("3"));
}

#[test]
fn no_nonce_is_used_twice() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    let mut nonces = std::collections::BTreeSet::new();
    for seed in 2..6 {
        commit(&mut store, &[(SESSION, "claire", "1"), (SESSION, "paul", "1"), (CONTACT, "paul", "1")], seed);
        let fresh = memory.contents().1.into_iter().map(|record| record.sealed[..24].to_vec());
        assert!(fresh.into_iter().all(|nonce| nonces.insert(nonce)));
    }
}

#[test]
fn an_outsider_cannot_raise_the_generation() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    memory.clone().begin().unwrap().commit(SealedPatch::default(), 1).unwrap();
    assert!(matches!(store.begin(NOON, &mut rng(2)), Err(StoreError::Generation)));
    assert!(matches!(open(&memory), Err(StoreError::Generation)));
}

#[test]
fn an_empty_patch_is_not_written() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    memory.fail_next_commit(CommitFault::Unwritten);
    assert_eq!(store.begin(NOON, &mut rng(2)).unwrap().commit(&Patch::default(), &mut rng(2)).unwrap(), 1);
}

#[test]
fn what_is_too_large_is_refused_by_class() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    let mut commit = |name: usize, value: usize| {
        let mut patch = Patch::default();
        patch.put(RecordKey::new(CONTACT, vec![1; name]), vec![2; value]);
        store.begin(NOON, &mut rng(2)).unwrap().commit(&patch, &mut rng(3))
    };
    assert!(commit(RECORD_NAME_LENGTH_MAX, RECORD_LENGTH_MAX).is_ok());
    assert!(matches!(commit(RECORD_NAME_LENGTH_MAX + 1, 1), Err(StoreError::TooLarge { class: CONTACT })));
    assert!(matches!(commit(1, RECORD_LENGTH_MAX + 1), Err(StoreError::TooLarge { class: CONTACT })));
    assert!(matches!(commit(70_000, 1), Err(StoreError::TooLarge { class: CONTACT })));
}

#[test]
fn an_export_has_every_record_of_every_class() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit(&mut store, &[(SESSION, "claire", "1"), (CONTACT, "claire", "2"), (CONTACT, "paul", "3")], 2);
    let mut exported = Vec::new();
    let transaction = store.begin(NOON, &mut rng(3)).unwrap();
    transaction
        .export(|key, value| {
            exported.push((key, value.to_vec()));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    exported.sort();
    let expected = [(CONTACT, "claire", "2"), (CONTACT, "paul", "3"), (SESSION, "claire", "1")];
    assert_eq!(exported, expected.map(|(class, name, value)| (RecordKey::new(class, name), value.as_bytes().to_vec())));
}
