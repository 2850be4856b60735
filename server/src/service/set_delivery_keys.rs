//! `SetDeliveryKeys`: by what the account knows whom it wants to hear from.

use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Response};

use super::connection::ProvedDevice;
use super::{Service, refuse, storage_failed};
use crate::storage::DeliveryKeysError;

impl Service {
    pub(super) async fn set_delivery_keys(
        &self,
        device: &ProvedDevice,
        hashes: Vec<[u8; 32]>,
    ) -> Result<Response, ErrorReply> {
        self.check_listed(device).await?;
        self.storage.set_delivery_keys(&device.address, hashes).await.map_err(|error| match error {
            DeliveryKeysError::UnknownAccount => refuse(ErrorCode::UnknownDevice),
            DeliveryKeysError::Storage(error) => storage_failed(error),
        })?;
        Ok(Response::Done)
    }
}
