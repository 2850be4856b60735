//! `PublishPrekeys`: a device leaves keys for those who will write to it.

use medipeps_core::identity::Statement;
use medipeps_core::prekey::PrekeyUpload;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Response};

use super::connection::ProvedDevice;
use super::uploads::prekey_set;
use super::{Service, internal, refuse, storage_failed};
use crate::fail_point::fail_point;
use crate::storage::PrekeyError;

impl Service {
    pub(super) async fn publish_prekeys(&self, device: &ProvedDevice, encoded: &[u8]) -> Result<Response, ErrorReply> {
        let account = self.check_listed(device).await?;
        let statement = Statement::decode(&account.statement).map_err(|_| internal("a stored statement is damaged"))?;
        let keys = statement.device_keys(device.device_id).ok_or_else(|| refuse(ErrorCode::UnknownDevice))?;
        let upload = PrekeyUpload::verify(encoded, &keys.signing_key)
            .map_err(|error| ErrorReply::new(ErrorCode::PrekeysRefused, error.to_string()))?;
        if (&upload.address, upload.device_id) != (&device.address, device.device_id) {
            return Err(ErrorReply::new(ErrorCode::PrekeysRefused, "the upload is of another device"));
        }
        fail_point!(BeforePutPrekeys);
        self.storage
            .put_prekeys(&device.address, device.device_id, upload.sequence, prekey_set(&upload))
            .await
            .map_err(|error| match error {
                PrekeyError::UnknownDevice => refuse(ErrorCode::UnknownDevice),
                PrekeyError::OldSequence { .. } => ErrorReply::new(ErrorCode::PrekeySequence, error.to_string()),
                PrekeyError::TooMany => ErrorReply::new(ErrorCode::PrekeysRefused, error.to_string()),
                PrekeyError::Payment(_) => internal("an upload is not paid for"),
                PrekeyError::Storage(error) => storage_failed(error),
            })?;
        fail_point!(AfterPutPrekeys);
        Ok(Response::Done)
    }
}
