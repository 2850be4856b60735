//! `KeyPackageStatus`: how many one-time key packages a device has left.

use medipeps_core::wire::transport::{ErrorCode, ErrorReply, KeyPackageStatusReply, Response};

use super::connection::ProvedDevice;
use super::{Service, refuse, storage_failed};
use crate::storage::KeyPackageError;

impl Service {
    pub(super) async fn key_package_status(&self, device: &ProvedDevice) -> Result<Response, ErrorReply> {
        self.check_listed(device).await?;
        let status = self.storage.key_package_status(&device.address, device.device_id).await;
        let status = status.map_err(|error| match error {
            KeyPackageError::Storage(error) => storage_failed(error),
            _ => refuse(ErrorCode::UnknownDevice),
        })?;
        let one_time = u32::try_from(status.one_time).unwrap_or(u32::MAX);
        let now = self.environment.now_ms();
        Ok(Response::KeyPackageStatus(KeyPackageStatusReply { one_time, sequence: status.sequence, now }))
    }
}
