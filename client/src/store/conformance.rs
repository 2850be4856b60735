//! What every [`Store`] must hold, as one suite.
//!
//! A backend's tests call [`check`] with a [`Fixture`]; it needs no test harness, so a browser can run it too. Killing
//! a process between two writes is tested where there are processes.

use std::collections::BTreeMap;

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use thiserror::Error;

use super::{
    RecordClass, SEALED_NAME_LENGTH, SealedKey, SealedPatch, SealedRecord, Store, StoreError, StoreHead, Transaction,
};
use crate::limits::RECORD_LENGTH_MAX;

/// Where a suite gets handles on one store.
pub trait Fixture {
    /// The backend under test.
    type Store: Store;

    /// A new handle on the same store, as another process would open it. The first call finds it empty. Waiting for
    /// the lock should be short (some 50 ms), or the suite waits too.
    ///
    /// # Errors
    /// What the backend says.
    fn handle(&mut self) -> Result<Self::Store, StoreError>;
}

/// What a backend does not hold.
#[derive(Debug, Error)]
pub enum Failure {
    /// Something else came out than should have.
    #[error("{case}: {expected}")]
    Unmet {
        /// The case of the suite.
        case: &'static str,
        /// What should have been.
        expected: &'static str,
    },
    /// An operation failed that should not have.
    #[error("{case}: {error}")]
    Store {
        /// The case of the suite.
        case: &'static str,
        /// What the backend said.
        error: StoreError,
    },
}

/// Runs the suite; `new` makes a fixture of an empty store for every case.
///
/// # Errors
/// The first [`Failure`].
pub fn check<F: Fixture>(mut new: impl FnMut() -> F) -> Result<(), Failure> {
    type Case<F> = fn(&mut F) -> Result<(), Fault>;
    let cases: [(&str, Case<F>); 12] = [
        ("a new store is empty", a_new_store_is_empty),
        ("what is committed is there", what_is_committed_is_there),
        ("records are loaded in the order asked", records_are_loaded_in_the_order_asked),
        ("a dropped transaction leaves nothing", a_dropped_transaction_leaves_nothing),
        ("a stale commit leaves nothing", a_stale_commit_leaves_nothing),
        ("deletions go first and the last value counts", deletions_go_first_and_the_last_value_counts),
        ("a page has one class only", a_page_has_one_class_only),
        ("pages follow each other", pages_follow_each_other),
        ("what is staged goes with the commit", what_is_staged_goes_with_the_commit),
        ("values of every size come back", values_of_every_size_come_back),
        ("one handle at a time", one_handle_at_a_time),
        ("any sequence of patches survives reopening", any_sequence_of_patches_survives_reopening),
    ];
    for (case, run) in cases {
        run(&mut new()).map_err(|fault| match fault {
            Fault::Unmet(expected) => Failure::Unmet { case, expected },
            Fault::Store(error) => Failure::Store { case, error },
        })?;
    }
    Ok(())
}

enum Fault {
    Unmet(&'static str),
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn ensure(holds: bool, expected: &'static str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Unmet(expected)) }
}

const FIRST: RecordClass = RecordClass::account(1);
const SECOND: RecordClass = RecordClass::state(1);

fn key(class: RecordClass, name: u8) -> SealedKey {
    SealedKey { class, name: [name; SEALED_NAME_LENGTH] }
}

fn record(class: RecordClass, name: u8, sealed: &[u8]) -> SealedRecord {
    SealedRecord { key: key(class, name), sealed: sealed.to_vec() }
}

fn puts(puts: Vec<SealedRecord>) -> SealedPatch {
    SealedPatch { puts, generation_tag: [7; 32], ..SealedPatch::default() }
}

fn load_one(transaction: &impl Transaction, key: SealedKey) -> Result<Option<Vec<u8>>, Fault> {
    Ok(transaction.load(&[key])?.pop().flatten())
}

fn scan(transaction: &impl Transaction, class: RecordClass) -> Result<Vec<SealedRecord>, Fault> {
    Ok(transaction.page(class, None, usize::MAX)?)
}

fn a_new_store_is_empty<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    let transaction = store.begin()?;
    ensure(*transaction.head() == StoreHead::default(), "generation 0 and no header")?;
    ensure(load_one(&transaction, key(FIRST, 1))?.is_none(), "no record")?;
    ensure(scan(&transaction, FIRST)?.is_empty() && transaction.classes()?.is_empty(), "no class")
}

fn what_is_committed_is_there<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    let patch = SealedPatch {
        puts: vec![record(FIRST, 1, b"one")],
        header: Some(b"header".to_vec()),
        generation_tag: [1; 32],
        erase: true,
        ..SealedPatch::default()
    };
    ensure(store.begin()?.commit(patch, 0)? == 1, "the first commit makes generation 1")?;
    let second = SealedPatch { generation_tag: [2; 32], ..SealedPatch::default() };
    ensure(store.begin()?.commit(second, 1)? == 2, "each commit raises the generation by one")?;
    let head = StoreHead { generation: 2, generation_tag: [2; 32], header: Some(b"header".to_vec()) };
    ensure(*store.begin()?.head() == head, "a header stays until there is a new one, the tag is the last one's")?;
    drop(store);
    let mut reopened = fixture.handle()?;
    let transaction = reopened.begin()?;
    ensure(*transaction.head() == head, "the head survives reopening")?;
    ensure(load_one(&transaction, key(FIRST, 1))?.as_deref() == Some(b"one"), "the record survives reopening")
}

fn records_are_loaded_in_the_order_asked<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    store.begin()?.commit(puts(vec![record(FIRST, 1, b"1"), record(FIRST, 2, b"2"), record(SECOND, 1, b"3")]), 0)?;
    let keys = [key(SECOND, 1), key(FIRST, 9), key(FIRST, 2), key(FIRST, 1), key(FIRST, 2)];
    let expected = [Some(b"3"), None, Some(b"2"), Some(b"1"), Some(b"2")].map(|value| value.map(|one| one.to_vec()));
    ensure(store.begin()?.load(&keys)? == expected, "values in the order of the keys, none where there is none")
}

fn a_dropped_transaction_leaves_nothing<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    let transaction = store.begin()?;
    ensure(scan(&transaction, FIRST)?.is_empty(), "no record")?;
    drop(transaction);
    ensure(store.begin()?.commit(puts(vec![record(FIRST, 1, b"1")]), 0)? == 1, "the lock is free, the generation is 0")
}

fn a_stale_commit_leaves_nothing<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let (mut one, mut other) = (fixture.handle()?, fixture.handle()?);
    one.begin()?.commit(puts(vec![record(FIRST, 1, b"1")]), 0)?;
    let stale = SealedPatch {
        puts: vec![record(FIRST, 1, b"2"), record(FIRST, 2, b"2")],
        deletes: vec![key(FIRST, 1)],
        header: Some(b"header".to_vec()),
        generation_tag: [9; 32],
        erase: false,
    };
    for expected in [0, 2] {
        let refused = other.begin()?.commit(stale.clone(), expected);
        ensure(matches!(refused, Err(StoreError::Stale { stored: 1 })), "Stale, with the stored generation")?;
    }
    let transaction = one.begin()?;
    ensure(load_one(&transaction, key(FIRST, 1))?.as_deref() == Some(b"1"), "the record is as it was")?;
    ensure(load_one(&transaction, key(FIRST, 2))?.is_none(), "no new record")?;
    let head = StoreHead { generation: 1, generation_tag: [7; 32], header: None };
    ensure(*transaction.head() == head, "the head is as it was")
}

fn deletions_go_first_and_the_last_value_counts<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    store.begin()?.commit(puts(vec![record(FIRST, 1, b"1"), record(FIRST, 2, b"1")]), 0)?;
    let patch = SealedPatch {
        puts: vec![record(FIRST, 2, b"2"), record(FIRST, 2, b"3")],
        deletes: vec![key(FIRST, 1), key(FIRST, 2), key(FIRST, 3)],
        ..SealedPatch::default()
    };
    store.begin()?.commit(patch, 1)?;
    let loaded = store.begin()?.load(&[key(FIRST, 1), key(FIRST, 2), key(FIRST, 3)])?;
    ensure(loaded == [None, Some(b"3".to_vec()), None], "what was deleted is gone, what was put after is there")
}

fn a_page_has_one_class_only<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    let classes = [RecordClass::account(0), FIRST, RecordClass::account(63), SECOND, RecordClass::packed_state(63)];
    let records = classes.iter().flat_map(|class| [record(*class, 0, b"a"), record(*class, 255, &[class.byte()])]);
    store.begin()?.commit(puts(records.collect()), 0)?;
    let transaction = store.begin()?;
    ensure(transaction.classes()? == classes, "all classes, in the order of their bytes")?;
    for class in classes {
        ensure(
            scan(&transaction, class)? == [record(class, 0, b"a"), record(class, 255, &[class.byte()])],
            "the class, and no other",
        )?;
    }
    ensure(scan(&transaction, RecordClass::account(2))?.is_empty(), "a class without records is empty")
}

fn pages_follow_each_other<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    let names = [0_u8, 1, 7, 128, 254, 255];
    let records = names.iter().rev().flat_map(|name| [record(FIRST, *name, &[*name]), record(SECOND, *name, b"other")]);
    store.begin()?.commit(puts(records.collect()), 0)?;
    let transaction = store.begin()?;
    for count in 1..=names.len() + 1 {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = transaction.page(FIRST, after.as_ref(), count)?;
            ensure(page.len() <= count, "no more than asked for")?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.name);
            paged.extend(page);
        }
        ensure(paged == names.map(|name| record(FIRST, name, &[name])), "every record once, in the order of names")?;
    }
    ensure(transaction.page(FIRST, None, 0)?.is_empty(), "nothing, if nothing is asked for")
}

fn what_is_staged_goes_with_the_commit<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    store.begin()?.commit(puts(vec![record(FIRST, 1, b"before")]), 0)?;
    let staged = [record(FIRST, 1, b"staged"), record(FIRST, 2, b"staged"), record(FIRST, 3, b"staged")];
    for dropped in [true, false] {
        let mut transaction = store.begin()?;
        transaction.stage(&staged[..1])?;
        transaction.stage(&staged[1..])?;
        ensure(scan(&transaction, FIRST)? == staged, "what is staged is read in the transaction")?;
        if dropped {
            drop(transaction);
        } else {
            let refused = transaction.commit(SealedPatch::default(), 9);
            ensure(matches!(refused, Err(StoreError::Stale { stored: 1 })), "Stale, with the stored generation")?;
        }
        ensure(scan(&store.begin()?, FIRST)? == [record(FIRST, 1, b"before")], "nothing of it is left")?;
    }
    let mut transaction = store.begin()?;
    transaction.stage(&staged)?;
    let patch = SealedPatch { deletes: vec![key(FIRST, 2)], ..puts(vec![record(FIRST, 3, b"patched")]) };
    ensure(transaction.commit(patch, 1)? == 2, "one generation for all of it")?;
    let expected = [record(FIRST, 1, b"staged"), record(FIRST, 3, b"patched")];
    ensure(scan(&store.begin()?, FIRST)? == expected, "the patch comes after what was staged")
}

fn values_of_every_size_come_back<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut store = fixture.handle()?;
    for (generation, length) in [0, 1, 4_095, 4_096, 70_000, RECORD_LENGTH_MAX + 2_000].into_iter().enumerate() {
        let value: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let patch = puts(vec![record(FIRST, 1, &value)]);
        store.begin()?.commit(patch, generation as u64)?;
        let same = load_one(&store.begin()?, key(FIRST, 1))? == Some(value);
        ensure(same, "the same bytes")?;
    }
    Ok(())
}

fn one_handle_at_a_time<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let (mut one, mut other) = (fixture.handle()?, fixture.handle()?);
    let held = one.begin()?;
    ensure(matches!(other.begin(), Err(StoreError::Busy)), "a second handle is told that the store is busy")?;
    held.commit(puts(vec![record(FIRST, 1, b"1")]), 0)?;
    let transaction = other.begin()?;
    ensure(transaction.head().generation == 1, "the second handle sees the new generation")?;
    ensure(load_one(&transaction, key(FIRST, 1))?.as_deref() == Some(b"1"), "and the record")?;
    ensure(transaction.commit(puts(vec![record(FIRST, 1, b"2")]), 1)? == 2, "and can commit")?;
    ensure(load_one(&one.begin()?, key(FIRST, 1))?.as_deref() == Some(b"2"), "which the first handle sees")
}

fn any_sequence_of_patches_survives_reopening<F: Fixture>(fixture: &mut F) -> Result<(), Fault> {
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let mut model = BTreeMap::new();
    let mut store = fixture.handle()?;
    for generation in 0..120 {
        let mut patch = SealedPatch { erase: generation % 11 == 0, ..SealedPatch::default() };
        for _ in 0..rng.next_u32() % 8 {
            let [class, name, put, length] = rng.next_u32().to_be_bytes();
            let key = key(if class % 2 == 0 { FIRST } else { SECOND }, name % 16);
            if put % 4 == 0 {
                patch.deletes.push(key);
            } else {
                patch.puts.push(SealedRecord { key, sealed: vec![name ^ put; usize::from(length) * 20] });
            }
        }
        for key in &patch.deletes {
            model.remove(key);
        }
        for SealedRecord { key, sealed } in &patch.puts {
            model.insert(*key, sealed.clone());
        }
        store.begin()?.commit(patch, generation)?;
        if generation % 7 == 0 {
            drop(store);
            store = fixture.handle()?;
        }
        let transaction = store.begin()?;
        let mut kept = scan(&transaction, FIRST)?;
        kept.extend(scan(&transaction, SECOND)?);
        let kept: BTreeMap<_, _> = kept.into_iter().map(|record| (record.key, record.sealed)).collect();
        ensure(kept == model, "the store holds what was put and not deleted")?;
    }
    Ok(())
}
