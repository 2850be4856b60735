//! `PublishStatement`: the next statement of an account, signed by its account key or its recovery key.
//!
//! The signature is all that it needs: whoever has lost every device holds the recovery key and can prove no device.

use medipeps_core::identity::{Statement, StatementError as Refusal};
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Response};

use super::{Moment, Service, internal, rate_limited, refuse, storage_failed};
use crate::storage::StatementError;

impl Service {
    pub(super) async fn publish_statement(&self, moment: Moment, encoded: &[u8]) -> Result<Response, ErrorReply> {
        self.limiters.publications_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        let next = Statement::decode(encoded).map_err(refused)?;
        self.check_domain(next.address())?;
        let account = self.storage.account(next.address()).await.map_err(storage_failed)?;
        let account = account.ok_or_else(|| refuse(ErrorCode::UnknownAccount))?;
        let current = Statement::decode(&account.statement).map_err(|_| internal("a stored statement is damaged"))?;
        if next == current {
            return Ok(Response::Done);
        }
        next.follows(&current).map_err(refused)?;
        check_device_keys(&current, &next)?;
        let devices = next.devices().iter().map(medipeps_core::identity::DeviceCertificate::device_id).collect();
        self.storage
            .replace_statement(next.address(), current.version(), encoded.to_vec(), next.version(), devices)
            .await
            .map_err(|error| match error {
                StatementError::UnknownAccount => refuse(ErrorCode::UnknownAccount),
                StatementError::WrongVersion { .. } => ErrorReply::new(ErrorCode::StatementVersion, error.to_string()),
                StatementError::Devices => ErrorReply::new(ErrorCode::StatementRefused, error.to_string()),
                StatementError::Storage(error) => storage_failed(error),
            })?;
        Ok(Response::Done)
    }
}

/// A number stays with its keys while it is listed: queue and prekeys at the server belong to the number.
fn check_device_keys(current: &Statement, next: &Statement) -> Result<(), ErrorReply> {
    let kept = |device: &medipeps_core::identity::DeviceCertificate| {
        current.device_keys(device.device_id()).is_none_or(|keys| keys == device.keys())
    };
    if next.devices().iter().all(kept) {
        Ok(())
    } else {
        Err(ErrorReply::new(ErrorCode::StatementRefused, "a device with other keys needs another number"))
    }
}

fn refused(error: Refusal) -> ErrorReply {
    let code = match error {
        Refusal::NotNewer | Refusal::PreviousHash => ErrorCode::StatementVersion,
        _ => ErrorCode::StatementRefused,
    };
    ErrorReply::new(code, error.to_string())
}
