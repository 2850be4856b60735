//! `PublishKeyPackages`: a device leaves MLS key packages for those who will add it to a group.

use medipeps_core::identity::Statement;
use medipeps_core::key_package::KeyPackageUpload;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Response};

use super::connection::ProvedDevice;
use super::{Service, internal, refuse, storage_failed};
use crate::storage::{KeyPackageError, KeyPackageSet};

impl Service {
    pub(super) async fn publish_key_packages(
        &self,
        device: &ProvedDevice,
        encoded: &[u8],
    ) -> Result<Response, ErrorReply> {
        let account = self.check_listed(device).await?;
        let statement = Statement::decode(&account.statement).map_err(|_| internal("a stored statement is damaged"))?;
        let keys = statement.device_keys(device.device_id).ok_or_else(|| refuse(ErrorCode::UnknownDevice))?;
        let upload = KeyPackageUpload::verify(encoded, &keys.signing_key)
            .map_err(|error| ErrorReply::new(ErrorCode::KeyPackagesRefused, error.to_string()))?;
        if (&upload.address, upload.device_id) != (&device.address, device.device_id) {
            return Err(ErrorReply::new(ErrorCode::KeyPackagesRefused, "the upload is of another device"));
        }
        let packages = KeyPackageSet { last_resort: upload.last_resort, one_time: upload.one_time };
        let stored = self.storage.put_key_packages(&device.address, device.device_id, upload.sequence, packages).await;
        stored.map_err(|error| match error {
            KeyPackageError::UnknownDevice => refuse(ErrorCode::UnknownDevice),
            KeyPackageError::OldSequence { .. } => ErrorReply::new(ErrorCode::KeyPackageSequence, error.to_string()),
            KeyPackageError::Payment(_) => internal("an upload is not paid for"),
            KeyPackageError::Storage(error) => storage_failed(error),
        })?;
        Ok(Response::Done)
    }
}
