//! What whoever runs the server asks of the engine.

use std::sync::PoisonError;

use async_trait::async_trait;
use medipeps_core::Address;

use super::{SledStorage, queues};
use crate::storage::{OperatedStorage, QueueError, StorageError, StorageLimits, StoreMetrics};

impl SledStorage {
    /// What the store may hold now.
    pub(super) fn limits(&self) -> StorageLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl OperatedStorage for SledStorage {
    fn set_limits(&self, limits: StorageLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
        self.space.set_floor(limits.free_space_floor);
    }

    fn metrics(&self) -> StoreMetrics {
        self.metrics.clone()
    }

    fn check_space(&self) -> Result<(), StorageError> {
        self.space.check()
    }

    async fn move_to_end(&self, address: &Address, device: u32, sequence: u64) -> Result<Option<u64>, QueueError> {
        self.commit_device(address, device, QueueError::UnknownDevice, move |records, changes, queue| {
            queues::move_to_end(records, changes, queue, sequence)
        })
        .await
    }
}
