//! `Register`: an invitation becomes an account.

use medipeps_core::identity::Statement;
use medipeps_core::invitation::Invitation;
use medipeps_core::prekey::PrekeyUpload;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Register, Response};

use super::uploads::prekey_set;
use super::{Moment, Service, rate_limited, storage_failed};
use crate::storage::{DeviceRecord, RegisterError, Registration};

impl Service {
    pub(super) async fn register(&self, moment: Moment, request: Register) -> Result<Response, ErrorReply> {
        self.limiters.registrations_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        let statement = Statement::decode(&request.statement)
            .map_err(|error| ErrorReply::new(ErrorCode::StatementRefused, error.to_string()))?;
        self.check_domain(statement.address())?;
        if statement.version() != 1 {
            return Err(ErrorReply::new(ErrorCode::StatementVersion, "an account begins with version 1"));
        }
        let registration = Registration {
            invitation_hash: Invitation::hash(&request.invitation),
            address: statement.address().clone(),
            devices: devices(&statement, &request.prekeys)?,
            statement: request.statement,
            statement_version: statement.version(),
            now_ms: moment.now_ms,
        };
        self.storage.register(registration).await.map_err(refused)?;
        Ok(Response::Done)
    }
}

/// Every device of the statement with its first prekeys, each under its own device's signature.
fn devices(statement: &Statement, uploads: &[Vec<u8>]) -> Result<Vec<DeviceRecord>, ErrorReply> {
    let refused = |why: String| ErrorReply::new(ErrorCode::PrekeysRefused, why);
    let mut devices: Vec<DeviceRecord> = Vec::with_capacity(uploads.len());
    for upload in uploads {
        let (address, device_id) = PrekeyUpload::claimed_device(upload).map_err(|error| refused(error.to_string()))?;
        let keys = statement.device_keys(device_id).filter(|_| address == *statement.address());
        let keys = keys.ok_or_else(|| refused("an upload is of no device of the statement".to_owned()))?;
        let upload = PrekeyUpload::verify(upload, &keys.signing_key).map_err(|error| refused(error.to_string()))?;
        if devices.iter().any(|device| device.device_id == device_id) {
            return Err(refused("a device has two uploads".to_owned()));
        }
        devices.push(DeviceRecord { device_id, sequence: upload.sequence, prekeys: prekey_set(&upload) });
    }
    if devices.len() == statement.devices().len() {
        Ok(devices)
    } else {
        Err(refused("a device of the statement has no prekeys".to_owned()))
    }
}

fn refused(error: RegisterError) -> ErrorReply {
    let code = match error {
        RegisterError::InvitationUnknown => ErrorCode::InvitationUnknown,
        RegisterError::InvitationUsed => ErrorCode::InvitationUsed,
        RegisterError::InvitationExpired => ErrorCode::InvitationExpired,
        RegisterError::AddressTaken => ErrorCode::AddressTaken,
        RegisterError::InvitationBound => ErrorCode::InvitationBound,
        RegisterError::SeatsExhausted => ErrorCode::SeatsExhausted,
        RegisterError::LicenceEnded => ErrorCode::LicenceEnded,
        RegisterError::TenantSuspended => ErrorCode::TenantSuspended,
        RegisterError::Devices => ErrorCode::StatementRefused,
        RegisterError::Storage(error) => return storage_failed(error),
    };
    ErrorReply::new(code, error.to_string())
}
