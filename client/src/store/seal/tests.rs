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
    let mut packed = |name: usize, value: usize| {
        let mut patch = Patch::default();
        patch.put(RecordKey::new(HINT, vec![1; name]), vec![2; value]);
        store.begin(NOON, &mut rng(2)).unwrap().commit(&patch, &mut rng(3))
    };
    assert!(packed(16, RECORD_LENGTH_MAX - 24).is_ok());
    assert!(matches!(packed(RECORD_NAME_LENGTH_MAX + 1, 1), Err(StoreError::TooLarge { class: HINT })));
    assert!(matches!(packed(16, RECORD_LENGTH_MAX), Err(StoreError::TooLarge { class: HINT })));
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

const HINT: RecordClass = RecordClass::packed_state(2);

/// Names of 16 bytes with a key of 32 each, in one patch.
fn keys(numbers: std::ops::Range<u32>, value: u8) -> Patch {
    let mut patch = Patch::default();
    numbers.for_each(|number| patch.put(hint(number), vec![value; 32]));
    patch
}

fn hint(number: u32) -> RecordKey {
    let mut name = [0; 16];
    name[..4].copy_from_slice(&number.to_be_bytes());
    RecordKey::new(HINT, name)
}

fn commit_patch(store: &mut SealedStore<MemoryStore>, patch: &Patch, seed: u8) -> u64 {
    store.begin(NOON, &mut rng(seed)).unwrap().commit(patch, &mut rng(seed)).unwrap()
}

/// What a scan, single loads, pages and an export say of the packed class, which must be the same.
fn packed(store: &mut SealedStore<MemoryStore>, now: u64) -> Vec<(RecordKey, Vec<u8>)> {
    let transaction = store.begin(now, &mut rng(90)).unwrap();
    let mut exported = Vec::new();
    transaction
        .export(|key, value| {
            exported.push((key, value.to_vec()));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    exported.retain(|(key, _)| key.class == HINT);
    exported.sort();
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = transaction.page(HINT, after.as_ref()).unwrap();
        paged.extend(page.records.into_iter().map(|(key, value)| (key, value.to_vec())));
        after = page.last;
        if after.is_none() {
            break;
        }
    }
    paged.sort();
    assert_eq!(paged, exported);
    let names: Vec<_> = exported.iter().map(|(key, _)| key.clone()).chain([hint(u32::MAX)]).collect();
    let mut loaded = transaction.load(&names).unwrap();
    assert_eq!(loaded.pop(), Some(None));
    assert!(loaded.iter().zip(&exported).all(|(one, (_, other))| one.as_ref().unwrap().as_slice() == other));
    drop(transaction);
    let scanned = store.begin(now, &mut rng(91)).unwrap().scan(HINT).unwrap();
    let scanned: Vec<_> = scanned.iter().map(|(name, value)| (RecordKey::new(HINT, name), value.to_vec())).collect();
    assert_eq!(scanned, exported);
    exported
}

#[test]
fn packed_records_are_as_single_ones_are() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    assert!(packed(&mut store, NOON).is_empty());
    commit_patch(&mut store, &keys(0..2000, 1), 2);
    let mut change = keys(100..200, 2);
    change.put(RecordKey::new(CONTACT, "claire"), b"a".to_vec());
    (0..150).for_each(|number| change.delete(hint(number)));
    change.delete(hint(9999));
    commit_patch(&mut store, &change, 3);
    let expected: Vec<_> =
        (100..2000).map(|number| (hint(number), vec![if number < 200 { 2 } else { 1 }; 32])).collect();
    assert_eq!(packed(&mut store, NOON), expected);
    assert_eq!(packed(&mut open(&memory).unwrap(), NOON), expected);
    // Sealed anew the next day.
    let before = memory.contents().1;
    assert_eq!(packed(&mut open(&memory).unwrap(), NOON + DAY), expected);
    let after = memory.contents().1;
    let of_state = |records: &[SealedRecord]| records.iter().filter(|one| one.key.class == HINT).cloned().collect();
    let (before, after): (Vec<_>, Vec<_>) = (of_state(&before), of_state(&after));
    assert!(before.len() == after.len() && before.iter().zip(&after).all(|(one, other)| one.sealed != other.sealed));
    // The last record of a page takes the page with it.
    let mut all = Patch::default();
    (100..2000).for_each(|number| all.delete(hint(number)));
    store.begin(NOON + DAY, &mut rng(5)).unwrap().commit(&all, &mut rng(5)).unwrap();
    assert!(memory.contents().1.iter().all(|record| record.key.class != HINT));
    assert!(packed(&mut store, NOON + DAY).is_empty());
}

#[test]
fn forty_thousand_packed_records_are_256_reads_and_a_change_writes_one_page() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit_patch(&mut store, &keys(0..40_000, 1), 2);
    let before = memory.contents().1;
    assert_eq!(before.len(), 256);
    let longest = before.iter().map(|page| page.sealed.len()).max().unwrap();
    assert!(longest < 2 * 40_000 / 256 * (8 + 16 + 32), "{longest} bytes: the names are spread");
    let mut change = keys(7..8, 2);
    change.put(hint(8), vec![1; 32]);
    commit_patch(&mut store, &change, 3);
    let after = memory.contents().1;
    assert_eq!(before.iter().zip(&after).filter(|(one, other)| one != other).count(), 1, "the other stays as it is");
    let mut store = open(&memory).unwrap();
    let read = |store: &mut SealedStore<MemoryStore>| {
        let before = memory.reads();
        let table = store.begin(NOON, &mut rng(4)).unwrap().key_table(HINT).unwrap();
        assert_eq!(table.keys().count(), 40_000);
        memory.reads() - before
    };
    assert_eq!(read(&mut store), 256);
    commit_patch(&mut store, &keys(9..10, 3), 5);
    assert_eq!(read(&mut store), 0, "own commits are carried over");
}

#[test]
fn a_key_table_follows_own_commits_and_those_of_others() {
    let memory = MemoryStore::new();
    let (mut one, mut other) = (create(&memory), open(&memory).unwrap());
    let table = |store: &mut SealedStore<MemoryStore>| {
        let table = store.begin(NOON, &mut rng(4)).unwrap().key_table(HINT).unwrap();
        let mut keys: Vec<_> =
            table.keys().enumerate().map(|(place, key)| (*table.name(place).unwrap(), key[0])).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(name, value)| (name[3], value)).collect::<Vec<_>>()
    };
    commit_patch(&mut one, &keys(0..3, 1), 2);
    assert_eq!(table(&mut one), [(0, 1), (1, 1), (2, 1)]);
    let mut change = keys(1..2, 5);
    change.delete(hint(0));
    commit_patch(&mut one, &change, 3);
    assert_eq!(table(&mut one), [(1, 5), (2, 1)]);
    assert_eq!(table(&mut other), [(1, 5), (2, 1)]);
    commit_patch(&mut other, &keys(7..8, 7), 4);
    assert_eq!(table(&mut one), [(1, 5), (2, 1), (7, 7)]);
    // A failed commit leaves it as it was.
    memory.fail_next_commit(CommitFault::Unwritten);
    assert!(one.begin(NOON, &mut rng(5)).unwrap().commit(&keys(1..2, 9), &mut rng(5)).is_err());
    assert_eq!(table(&mut one), [(1, 5), (2, 1), (7, 7)]);
    // What is no such record.
    let mut odd = Patch::default();
    odd.put(RecordKey::new(HINT, *b"short"), vec![1; 32]);
    commit_patch(&mut one, &odd, 6);
    let told = one.begin(NOON, &mut rng(7)).unwrap().key_table(HINT).map(drop);
    assert!(matches!(told, Err(StoreError::Corrupt { class: HINT })));
}

#[test]
fn a_damaged_page_is_told_and_is_not_written_over() {
    let memory = MemoryStore::new();
    let mut store = create(&memory);
    commit_patch(&mut store, &keys(0..1, 1), 2);
    let mut page = memory.contents().1.remove(0);
    page.sealed[40] ^= 1;
    memory.damage(page.clone());
    let transaction = store.begin(NOON, &mut rng(3)).unwrap();
    assert!(matches!(transaction.load(&[hint(0)]), Err(StoreError::Corrupt { class: HINT })));
    assert!(matches!(transaction.commit(&keys(0..1, 2), &mut rng(4)), Err(StoreError::Corrupt { class: HINT })));
    assert_eq!(memory.contents().1, [page]);
}
