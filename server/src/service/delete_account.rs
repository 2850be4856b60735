//! `DeleteAccount`: signed by the account key, because a proof of device is not enough for it.

use medipeps_core::identity::Statement;
use medipeps_core::proof::verify_deletion;
use medipeps_core::wire::transport::{DeleteAccount, ErrorCode, ErrorReply, Response};

use super::connection::ProvedDevice;
use super::{Moment, Service, internal, refuse, storage_failed};
use crate::deletion_log;
use crate::storage::{StatementError, StorageError};

impl Service {
    pub(super) async fn delete_account(
        &self,
        device: &ProvedDevice,
        moment: Moment,
        request: &DeleteAccount,
    ) -> Result<Response, ErrorReply> {
        let account = self.check_listed(device).await?;
        let statement = Statement::decode(&account.statement).map_err(|_| internal("a stored statement is damaged"))?;
        let signed =
            verify_deletion(&statement.account_key(), &request.address, request.statement_version, &request.signature);
        if request.address != device.address || signed.is_err() {
            return Err(refuse(ErrorCode::ProofRefused));
        }
        if request.statement_version != account.statement_version {
            return Err(ErrorReply::new(ErrorCode::StatementVersion, "the account has another statement"));
        }
        // Noted first: a backup of before must not raise an account whose owner has signed that it shall go.
        let noted = deletion_log::account(&request.address, account.created_ms);
        self.note_deletion(noted, true, moment).await?;
        let deleted = self.storage.delete_account(&request.address, request.statement_version).await;
        if let Err(error) = deleted {
            if matches!(error, StatementError::WrongVersion { .. }) {
                self.note_deletion(noted, false, moment).await?;
            }
            return Err(match error {
                StatementError::WrongVersion { .. } => ErrorReply::new(ErrorCode::StatementVersion, error.to_string()),
                StatementError::Storage(error) => storage_failed(error),
                StatementError::UnknownAccount | StatementError::Devices => refuse(ErrorCode::UnknownDevice),
            });
        }
        Ok(Response::Done)
    }

    async fn note_deletion(&self, account: [u8; 32], deleted: bool, moment: Moment) -> Result<(), ErrorReply> {
        let noted = self.deletion_log.note(account, deleted, moment.now_ms).await;
        noted.map_err(|error| storage_failed(StorageError::Unavailable(format!("the log of deletions: {error}"))))
    }
}
