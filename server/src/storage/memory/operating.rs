//! What whoever runs the server asks of the store in memory.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use medipeps_core::Address;

use super::MemoryStorage;
use super::state::State;
use crate::storage::{OperatedStorage, QueueError, StorageError, StorageLimits, StoreMetrics};

impl MemoryStorage {
    /// What it may hold now.
    pub(super) fn limits(&self) -> StorageLimits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change_limits(&self, change: impl FnOnce(&mut StorageLimits)) {
        change(&mut self.limits.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts what the queues hold.
    pub(super) fn measure(&self, state: &State) {
        let queues = state.accounts.values().flat_map(|account| account.devices.values()).map(|device| &device.queue);
        let (envelopes, bytes) =
            queues.fold((0, 0), |(envelopes, bytes), queue| (envelopes + queue.messages, bytes + queue.bytes));
        self.metrics.queued.set(i64::try_from(envelopes).unwrap_or(i64::MAX));
        self.metrics.queued_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

#[async_trait]
impl OperatedStorage for MemoryStorage {
    fn set_limits(&self, limits: StorageLimits) {
        self.change_limits(|current| *current = limits);
    }

    fn metrics(&self) -> StoreMetrics {
        self.metrics.clone()
    }

    fn check_space(&self) -> Result<(), StorageError> {
        if self.low_space.load(Ordering::Relaxed) { Err(StorageError::LowSpace { floor: 0 }) } else { Ok(()) }
    }

    async fn move_to_end(&self, address: &Address, device: u32, sequence: u64) -> Result<Option<u64>, QueueError> {
        self.commit(|state| {
            let device = state.device_mut(address, device).ok_or(QueueError::UnknownDevice)?;
            let is_last = device.envelopes.last_key_value().is_none_or(|(last, _)| *last <= sequence);
            if is_last {
                return Ok(None);
            }
            let Some(envelope) = device.envelopes.remove(&sequence) else { return Ok(None) };
            device.queue.highest_sequence += 1;
            device.envelopes.insert(device.queue.highest_sequence, envelope);
            Ok(Some(device.queue.highest_sequence))
        })
    }
}
