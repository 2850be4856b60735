//! A store whose records are all in memory, and whose commits are kept elsewhere before anything of them is told.
//!
//! A browser's database answers later; a store answers at once. So everything sealed is read once, under a lock that keeps other
//! pages away, and each commit waits in a journal until it is kept: [`Journal::take`], [`Journal::kept`], [`Journal::failed`].
//! The handles of a page are clones; whoever commits has the [`Turn`] until what he has committed is kept.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use medipeps_client::store::memory::{MemoryStore, MemoryTransaction};
use medipeps_client::store::{
    RecordClass, SEALED_NAME_LENGTH, SealedKey, SealedPatch, SealedRecord, Store, StoreError, StoreHead, Transaction,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The right to commit.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// What was committed and is not kept yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    pending: Vec<Change>,
    /// Something was taken and nobody has said yet what became of it.
    taken: bool,
    /// What memory has is more than what is kept, for ever.
    broken: Option<String>,
}

/// One commit or several that follow each other, to be kept together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The generation that must be there before.
    pub(crate) expected: u64,
    /// The head afterwards.
    pub(crate) head: StoreHead,
    /// To be done first.
    pub(crate) deletes: Vec<SealedKey>,
    /// Of a key put twice the last counts.
    pub(crate) puts: Vec<SealedRecord>,
}

impl Journal {
    /// What is to be kept now, if anything is.
    ///
    /// # Errors
    /// [`StoreError::Medium`] if something could not be kept before, or nobody has waited until it was.
    pub(crate) fn take(&self) -> Result<Option<Change>, StoreError> {
        self.check_writable()?;
        let mut state = self.0.borrow_mut();
        let pending = mem::take(&mut state.pending);
        state.taken = !pending.is_empty();
        Ok(pending.into_iter().reduce(Change::then))
    }

    /// What was taken is kept.
    pub(crate) fn kept(&self) {
        self.0.borrow_mut().taken = false;
    }

    /// Something could not be kept. No handle does anything from now on.
    pub(crate) fn failed(&self, why: String) {
        self.0.borrow_mut().broken = Some(why);
    }

    fn check_readable(&self) -> Result<(), StoreError> {
        match &self.0.borrow().broken {
            Some(why) => Err(StoreError::Medium(why.clone())),
            None => Ok(()),
        }
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        self.check_readable()?;
        match self.0.borrow().taken {
            true => Err(StoreError::Medium("a commit was not waited for".to_owned())),
            false => Ok(()),
        }
    }
}

impl Change {
    /// Both as one: what the second puts or deletes counts.
    fn then(mut self, next: Self) -> Self {
        self.puts.retain(|record| !next.deletes.contains(&record.key));
        self.deletes.extend(next.deletes);
        self.puts.extend(next.puts);
        Self { head: next.head, ..self }
    }
}

/// The store of a page.
#[derive(Debug, Clone)]
pub(crate) struct PageStore {
    memory: MemoryStore,
    journal: Journal,
    turn: Arc<Mutex<()>>,
}

impl PageStore {
    /// With what is kept.
    pub(crate) fn new(head: StoreHead, records: Vec<SealedRecord>) -> Self {
        let (journal, turn) = (Journal::default(), Arc::default());
        Self { memory: MemoryStore::with_contents(head, records), journal, turn }
    }

    /// Waits until what others have committed is kept, and gives the right to commit.
    pub(crate) async fn turn(&self) -> Turn {
        self.turn.clone().lock_owned().await
    }

    /// Where its commits wait.
    pub(crate) fn journal(&self) -> Journal {
        self.journal.clone()
    }
}

impl Store for PageStore {
    type Transaction<'a> = PageTransaction<'a>;

    fn begin(&mut self) -> Result<PageTransaction<'_>, StoreError> {
        self.journal.check_readable()?;
        Ok(PageTransaction { memory: self.memory.begin()?, journal: &self.journal, staged: Vec::new() })
    }
}

/// The lock on a [`PageStore`].
#[derive(Debug)]
pub(crate) struct PageTransaction<'a> {
    memory: MemoryTransaction<'a>,
    journal: &'a Journal,
    staged: Vec<SealedRecord>,
}

impl Transaction for PageTransaction<'_> {
    fn head(&self) -> &StoreHead {
        self.memory.head()
    }

    fn load(&self, keys: &[SealedKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.memory.load(keys)
    }

    fn page(
        &self,
        class: RecordClass,
        after: Option<&[u8; SEALED_NAME_LENGTH]>,
        count: usize,
    ) -> Result<Vec<SealedRecord>, StoreError> {
        self.memory.page(class, after, count)
    }

    fn classes(&self) -> Result<Vec<RecordClass>, StoreError> {
        self.memory.classes()
    }

    fn stage(&mut self, records: &[SealedRecord]) -> Result<(), StoreError> {
        self.staged.extend_from_slice(records);
        self.memory.stage(records)
    }

    fn commit(self, patch: SealedPatch, expected: u64) -> Result<u64, StoreError> {
        self.journal.check_writable()?;
        let header = patch.header.clone().or_else(|| self.memory.head().header.clone());
        let mut change = Change { expected, deletes: patch.deletes.clone(), ..Change::default() };
        // What is staged is there before the commit deletes.
        change.puts = self.staged;
        change.puts.retain(|record| !patch.deletes.contains(&record.key));
        change.puts.extend_from_slice(&patch.puts);
        let generation_tag = patch.generation_tag;
        let generation = self.memory.commit(patch, expected)?;
        change.head = StoreHead { generation, generation_tag, header };
        self.journal.0.borrow_mut().pending.push(change);
        Ok(generation)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use medipeps_client::store::conformance::{Fixture, check};

    use super::*;

    /// What is kept, and the handle that is open on it.
    #[derive(Default)]
    struct Kept {
        head: StoreHead,
        records: BTreeMap<SealedKey, Vec<u8>>,
        open: Option<PageStore>,
    }

    impl Kept {
        fn keep(&mut self) {
            let Some(store) = &self.open else { return };
            let Some(change) = store.journal().take().unwrap() else { return };
            assert_eq!(change.expected, self.head.generation);
            self.head = change.head;
            for key in change.deletes {
                self.records.remove(&key);
            }
            self.records.extend(change.puts.into_iter().map(|record| (record.key, record.sealed)));
            store.journal().kept();
        }
    }

    impl Fixture for Kept {
        type Store = PageStore;

        /// Reads anew what is kept; but for two handles at a time, which a page has not, the open one is a clone.
        fn handle(&mut self) -> Result<PageStore, StoreError> {
            self.keep();
            let kept = self.records.iter().map(|(key, sealed)| SealedRecord { key: *key, sealed: sealed.clone() });
            let read = PageStore::new(self.head.clone(), kept.collect());
            if let Some(open) = &self.open {
                // What was kept is what the open handle has.
                assert_eq!(read.memory.contents(), open.memory.contents());
                return Ok(open.clone());
            }
            Ok(self.open.insert(read).clone())
        }
    }

    #[test]
    fn a_page_holds_what_a_store_must_hold_and_keeps_what_it_holds() {
        check(Kept::default).unwrap();
    }

    #[test]
    fn after_something_was_not_kept_nothing_is_done() {
        let mut store = PageStore::new(StoreHead::default(), Vec::new());
        store.begin().unwrap().commit(SealedPatch::default(), 0).unwrap();
        assert!(store.journal().take().unwrap().is_some());
        store.journal().failed("the disk is full".to_owned());
        assert!(matches!(store.begin(), Err(StoreError::Medium(why)) if why == "the disk is full"));
        assert!(store.journal().take().is_err());
    }

    #[test]
    fn commits_that_follow_each_other_are_kept_as_one() {
        let key = |name| SealedKey { class: RecordClass::account(1), name: [name; SEALED_NAME_LENGTH] };
        let record = |name, value| SealedRecord { key: key(name), sealed: vec![value] };
        let mut store = PageStore::new(StoreHead::default(), Vec::new());
        let first = SealedPatch { puts: vec![record(1, 1), record(2, 1)], header: Some(vec![9]), ..Default::default() };
        store.begin().unwrap().commit(first, 0).unwrap();
        let second =
            SealedPatch { puts: vec![record(2, 2), record(3, 2)], deletes: vec![key(1), key(2)], ..Default::default() };
        store.begin().unwrap().commit(second, 1).unwrap();
        let change = store.journal().take().unwrap().unwrap();
        assert_eq!((change.expected, change.head.generation, change.head.header), (0, 2, Some(vec![9])));
        assert_eq!(change.puts, [record(2, 2), record(3, 2)]);
        assert_eq!(change.deletes, [key(1), key(2)]);
        // Nothing is committed until somebody has said what became of it.
        assert!(store.journal().take().is_err());
        assert!(store.begin().unwrap().commit(SealedPatch::default(), 2).is_err());
        store.journal().kept();
        assert_eq!(store.journal().take().unwrap(), None);
        store.begin().unwrap();
    }
}
