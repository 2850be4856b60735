//! What the store keeps of devices that want to be woken when something comes for them. `spec/push.md`.

use async_trait::async_trait;
use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;

use super::{QueueError, StorageError};

/// The part of a store that knows where devices are woken. A wake goes with its device.
#[async_trait]
pub trait DeviceWakeStorage: Send + Sync + 'static {
    /// Stores where a device is woken, in the place of what was known; `None`: nowhere.
    ///
    /// # Errors
    /// See [`QueueError`].
    async fn set_device_wake(
        &self,
        address: &Address,
        device: u32,
        endpoint: Option<PushEndpoint>,
    ) -> Result<(), QueueError>;

    /// Forgets where a device is woken if it is still as it was found: the device may have renewed it meanwhile.
    ///
    /// # Errors
    /// The engine failed.
    async fn drop_device_wake(&self, wake: DeviceWake) -> Result<(), StorageError>;

    /// Where a device is woken for which envelopes wait; `None` if none wait, or if it is not woken or not there.
    ///
    /// # Errors
    /// The engine failed.
    async fn due_device_wake(&self, address: &Address, device: u32) -> Result<Option<DeviceWake>, StorageError>;

    /// All devices that are woken and for which envelopes wait.
    ///
    /// # Errors
    /// The engine failed.
    async fn due_device_wakes(&self) -> Result<Vec<DeviceWake>, StorageError>;
}

/// Where a device is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceWake {
    /// Of its account.
    pub address: Address,
    /// Its number within the account.
    pub device: u32,
    /// Where.
    pub endpoint: PushEndpoint,
}
