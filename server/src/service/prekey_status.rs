//! `PrekeyStatus`: how many one-time prekeys a device has left.

use medipeps_core::wire::transport::{ErrorCode, ErrorReply, PrekeyStatusReply, Response};

use super::connection::ProvedDevice;
use super::{Service, refuse, storage_failed};
use crate::storage::PrekeyError;

impl Service {
    pub(super) async fn prekey_status(&self, device: &ProvedDevice) -> Result<Response, ErrorReply> {
        self.check_listed(device).await?;
        let status = self.storage.prekey_status(&device.address, device.device_id).await;
        let status = status.map_err(|error| match error {
            PrekeyError::Storage(error) => storage_failed(error),
            _ => refuse(ErrorCode::UnknownDevice),
        })?;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Response::PrekeyStatus(PrekeyStatusReply {
            one_time_prekeys: count(status.one_time),
            one_time_kem_prekeys: count(status.one_time_kem),
            sequence: status.sequence,
        }))
    }
}
