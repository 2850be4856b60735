//! Where devices are woken, in the reference engine.

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;

use super::MemoryStorage;
use super::state::State;
use crate::storage::{DeviceWake, DeviceWakeStorage, OperatedStorage, QueueError, StorageError};

#[async_trait]
impl DeviceWakeStorage for MemoryStorage {
    async fn set_device_wake(
        &self,
        address: &Address,
        device: u32,
        endpoint: Option<PushEndpoint>,
    ) -> Result<(), QueueError> {
        if endpoint.is_some() {
            self.check_space()?;
        }
        self.commit(|state| {
            state.device_mut(address, device).ok_or(QueueError::UnknownDevice)?.wake = endpoint;
            Ok(())
        })
    }

    async fn drop_device_wake(&self, wake: DeviceWake) -> Result<(), StorageError> {
        self.commit(|state| {
            let device = state.device_mut(&wake.address, wake.device);
            if let Some(device) = device.filter(|device| device.wake.as_ref() == Some(&wake.endpoint)) {
                device.wake = None;
            }
            Ok(())
        })
    }

    async fn due_device_wake(&self, address: &Address, device: u32) -> Result<Option<DeviceWake>, StorageError> {
        Ok(due(&*self.read()?).find(|wake| wake.address == *address && wake.device == device))
    }

    async fn due_device_wakes(&self) -> Result<Vec<DeviceWake>, StorageError> {
        Ok(due(&*self.read()?).collect())
    }
}

fn due(state: &State) -> impl Iterator<Item = DeviceWake> + '_ {
    state.accounts.iter().flat_map(|(address, account)| {
        let waiting = account.devices.iter().filter(|(_, device)| !device.envelopes.is_empty());
        waiting.filter_map(|(number, device)| {
            let endpoint = device.wake.clone()?;
            Some(DeviceWake { address: address.clone(), device: *number, endpoint })
        })
    })
}
