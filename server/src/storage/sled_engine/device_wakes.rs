//! Where devices are woken, as changes of records.

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::server_storage::DeviceWakeRecord;

use super::SledStorage;
use super::layout::{self, QueueKey};
use super::records::{Records, corrupt};
use crate::storage::{DeviceWake, DeviceWakeStorage, QueueError, StorageError};

#[async_trait]
impl DeviceWakeStorage for SledStorage {
    async fn set_device_wake(
        &self,
        address: &Address,
        device: u32,
        endpoint: Option<PushEndpoint>,
    ) -> Result<(), QueueError> {
        if endpoint.is_some() {
            self.space.check()?;
        }
        let address = address.clone();
        self.commit(move |writer, changes| {
            let queue = writer.records.queue_key(&address, device)?.ok_or(QueueError::UnknownDevice)?;
            match endpoint {
                Some(endpoint) => {
                    changes.put(layout::device_wake(queue), DeviceWakeRecord { address, endpoint }.encode());
                }
                None => changes.remove(layout::device_wake(queue)),
            }
            Ok(())
        })
        .await
    }

    async fn drop_device_wake(&self, wake: DeviceWake) -> Result<(), StorageError> {
        self.commit(move |writer, changes| {
            let Some(queue) = writer.records.queue_key(&wake.address, wake.device)? else { return Ok(()) };
            let known = writer.records.device_wake(queue)?;
            if known.is_some_and(|known| known.endpoint == wake.endpoint) {
                changes.remove(layout::device_wake(queue));
            }
            Ok(())
        })
        .await
    }

    async fn due_device_wake(&self, address: &Address, device: u32) -> Result<Option<DeviceWake>, StorageError> {
        let address = address.clone();
        self.read(move |shared| {
            let records = &shared.records;
            let Some(queue) = records.queue_key(&address, device)? else { return Ok(None) };
            let Some(known) = records.device_wake(queue)? else { return Ok(None) };
            let waits = records.has_envelopes(queue)?;
            Ok(waits.then_some(DeviceWake { address, device, endpoint: known.endpoint }))
        })
        .await
    }

    async fn due_device_wakes(&self) -> Result<Vec<DeviceWake>, StorageError> {
        self.read(|shared| {
            let records = &shared.records;
            let mut due = Vec::new();
            for item in records.scan(layout::DEVICE_WAKES) {
                let (key, value) = item?;
                let queue = layout::read_device_wake(&key)
                    .ok_or_else(|| StorageError::Corrupt("the key of a device's wake".into()))?;
                let DeviceWakeRecord { address, endpoint } = decode(&value)?;
                if records.has_envelopes(queue)? {
                    due.push(DeviceWake { address, device: queue.device, endpoint });
                }
            }
            Ok(due)
        })
        .await
    }
}

fn decode(value: &[u8]) -> Result<DeviceWakeRecord, StorageError> {
    DeviceWakeRecord::decode(value).map_err(|error| corrupt("a device's wake", &error))
}

impl Records {
    /// Where a device is woken.
    pub(super) fn device_wake(&self, queue: QueueKey) -> Result<Option<DeviceWakeRecord>, StorageError> {
        self.get(&layout::device_wake(queue))?.map(|value| decode(&value)).transpose()
    }

    fn has_envelopes(&self, queue: QueueKey) -> Result<bool, StorageError> {
        self.envelopes(queue, 0, u64::MAX).next().transpose().map(|first| first.is_some())
    }
}
