//! `DeleteAccount`: signed by the account key, because a proof of device is not enough for it.

use medipeps_core::identity::Statement;
use medipeps_core::proof::verify_deletion;
use medipeps_core::wire::transport::{DeleteAccount, ErrorCode, ErrorReply, Response};

use super::connection::ProvedDevice;
use super::{Service, internal, refuse, storage_failed};
use crate::storage::StatementError;

impl Service {
    pub(super) async fn delete_account(
        &self,
        device: &ProvedDevice,
        request: &DeleteAccount,
    ) -> Result<Response, ErrorReply> {
        let account = self.check_listed(device).await?;
        let statement = Statement::decode(&account.statement).map_err(|_| internal("a stored statement is damaged"))?;
        let signed =
            verify_deletion(&statement.account_key(), &request.address, request.statement_version, &request.signature);
        if request.address != device.address || signed.is_err() {
            return Err(refuse(ErrorCode::ProofRefused));
        }
        self.storage.delete_account(&request.address, request.statement_version).await.map_err(
            |error| match error {
                StatementError::WrongVersion { .. } => ErrorReply::new(ErrorCode::StatementVersion, error.to_string()),
                StatementError::Storage(error) => storage_failed(error),
                StatementError::UnknownAccount | StatementError::Devices => refuse(ErrorCode::UnknownDevice),
            },
        )?;
        Ok(Response::Done)
    }
}
