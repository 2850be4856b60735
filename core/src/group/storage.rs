//! What MLS reads from and writes to while a group is in memory. The pages take it from here to the caller's store.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mls_rs::storage_provider::KeyPackageData;
use mls_rs::{GroupStateStorage, KeyPackageStorage};
use mls_rs_core::group::{EpochRecord, GroupState};
use zeroize::Zeroizing;

use crate::limits::GROUP_EPOCHS_KEPT;

/// The state and the past epochs of one group, as MLS encodes them.
#[derive(Debug, Clone, Default)]
pub(super) struct StateStorage(Arc<Mutex<Stored>>);

#[derive(Default)]
pub(super) struct Stored {
    /// Handed to MLS once, when the group is loaded; taken out once, when it is saved.
    pub(super) state: Option<Zeroizing<Vec<u8>>>,
    pub(super) epochs: BTreeMap<u64, Zeroizing<Vec<u8>>>,
    /// The epochs that were written since the pages were.
    pub(super) written: Vec<u64>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("..")
    }
}

impl StateStorage {
    pub(super) fn with(state: Zeroizing<Vec<u8>>, epochs: BTreeMap<u64, Zeroizing<Vec<u8>>>) -> Self {
        Self(Arc::new(Mutex::new(Stored { state: Some(state), epochs, written: Vec::new() })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GroupStateStorage for StateStorage {
    type Error = Infallible;

    fn state(&self, _group_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.lock().state.take())
    }

    fn epoch(&self, _group_id: &[u8], epoch: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.lock().epochs.get(&epoch).cloned())
    }

    fn write(
        &mut self,
        state: GroupState,
        inserts: Vec<EpochRecord>,
        updates: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        let mut stored = self.lock();
        stored.state = Some(state.data);
        for record in inserts.into_iter().chain(updates) {
            stored.written.push(record.id);
            stored.epochs.insert(record.id, record.data);
        }
        while stored.epochs.len() > GROUP_EPOCHS_KEPT {
            stored.epochs.pop_first();
        }
        Ok(())
    }

    fn max_epoch_id(&self, _group_id: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(self.lock().epochs.last_key_value().map(|(epoch, _)| *epoch))
    }
}

/// The one key package that a call makes or uses.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyPackages(Arc<Mutex<Option<Referenced>>>);

/// A key package's private half under its reference.
type Referenced = (Vec<u8>, KeyPackageData);

impl KeyPackages {
    pub(super) fn with(reference: Vec<u8>, data: KeyPackageData) -> Self {
        Self(Arc::new(Mutex::new(Some((reference, data)))))
    }

    pub(super) fn take(&self) -> Option<(Vec<u8>, KeyPackageData)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl KeyPackageStorage for KeyPackages {
    type Error = Infallible;

    fn delete(&mut self, _reference: &[u8]) -> Result<(), Infallible> {
        self.take();
        Ok(())
    }

    fn insert(&mut self, reference: Vec<u8>, data: KeyPackageData) -> Result<(), Infallible> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((reference, data));
        Ok(())
    }

    fn get(&self, reference: &[u8]) -> Result<Option<KeyPackageData>, Infallible> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.as_ref().filter(|(other, _)| other == reference).map(|(_, data)| data.clone()))
    }
}
