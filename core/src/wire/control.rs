//! `spec/proto/control.proto`: what passes over the control socket of a running server.

use prost::Message;

use super::{WireError, fixed, proto};
use crate::Address;
use crate::limits::NAME_LENGTH_MAX;

/// What whoever runs the server asks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRequest {
    /// An invitation.
    Invite {
        /// The organisation that the account will belong to.
        organisation: Option<String>,
        /// For how many milliseconds it is good.
        valid: u64,
    },
    /// What the server knows of accounts whose addresses come after this one.
    Inspect {
        /// `None` for the beginning.
        after: Option<Address>,
    },
    /// What all blobs take.
    InspectBlobs,
    /// What the server knows of group logs whose ids come after this one.
    InspectGroupLogs {
        /// `None` for the beginning.
        after: Option<[u8; 32]>,
    },
    /// Everything, into a file.
    Export {
        /// Absolute; there must be no such file.
        path: String,
    },
    /// By which time it goes.
    Clock {
        /// Whether the system's clock is right: it is believed from now on.
        confirm: bool,
    },
}

/// The server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlResponse {
    /// It did not work; the text is for whoever typed the command.
    Error(String),
    /// The code of an invitation.
    Invitation(String),
    /// Accounts in the order of their addresses; none when there are no more.
    Inspection(Vec<ControlAccount>),
    /// What all blobs take.
    Blobs(ControlBlobs),
    /// Group logs in the order of their ids; none when there are no more.
    GroupLogs(Vec<ControlGroupLog>),
    /// It is done.
    Done,
    /// By which time the server goes.
    Clock(ControlClock),
}

/// By which time a server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlClock {
    /// Milliseconds since 1970, by the server.
    pub now: u64,
    /// Milliseconds since 1970, by the system's clock, which the server may not believe.
    pub system: u64,
    /// Whether what has run out is deleted.
    pub expiry_runs: bool,
}

/// What all blobs take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlBlobs {
    /// Blobs, begun ones included.
    pub blobs: u64,
    /// Of them, those that can be fetched.
    pub complete: u64,
    /// Bytes that are reserved for them, stored or not.
    pub bytes: u64,
}

/// What the server knows of a group log. Of the group's members it knows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlGroupLog {
    /// The hash of its first access key.
    pub log_id: [u8; 32],
    /// The number of the epoch that it began with.
    pub first_epoch: u64,
    /// The number of the current epoch.
    pub epoch: u64,
    /// Closed epochs of which entries are left.
    pub closed_epochs: u64,
    /// Entries of all epochs.
    pub entries: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// When it was created, in milliseconds since 1970.
    pub created: u64,
    /// When the last entry came, in milliseconds since 1970.
    pub changed: u64,
    /// Wake handles of its readers, out of all epochs.
    pub wakes: u64,
}

/// What the server knows of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlAccount {
    /// Its address.
    pub address: Address,
    /// The organisation of its invitation.
    pub organisation: Option<String>,
    /// The version of its statement.
    pub statement_version: u64,
    /// When it was registered, in milliseconds since 1970.
    pub created: u64,
    /// Its devices, in ascending order.
    pub devices: Vec<ControlDevice>,
}

/// What the server knows of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlDevice {
    /// Its number within the account.
    pub device_id: u32,
    /// Bytes of all envelopes in its queue.
    pub bytes: u64,
    /// The envelopes in its queue, oldest first.
    pub envelopes: Vec<ControlEnvelope>,
}

/// What the server knows of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlEnvelope {
    /// Its number in the queue.
    pub sequence: u64,
    /// Its size in bytes.
    pub size: u32,
    /// When it was taken, in milliseconds since 1970.
    pub received: u64,
}

impl ControlRequest {
    /// The bytes of one frame, without its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::control_request::Request as R;
        let request = match self {
            Self::Invite { organisation, valid } => R::Invite(proto::ControlInvite {
                organisation: organisation.clone().unwrap_or_default(),
                valid: *valid,
            }),
            Self::Inspect { after } => {
                R::Inspect(proto::ControlInspect { after: after.as_ref().map(ToString::to_string).unwrap_or_default() })
            }
            Self::InspectBlobs => R::InspectBlobs(proto::ControlInspectBlobs {}),
            Self::InspectGroupLogs { after } => R::InspectGroupLogs(proto::ControlInspectGroupLogs {
                after: after.map(|after| after.to_vec()).unwrap_or_default(),
            }),
            Self::Export { path } => R::Export(proto::ControlExport { path: path.clone() }),
            Self::Clock { confirm } => R::Clock(proto::ControlConfirmClock { confirm: *confirm }),
        };
        proto::ControlRequest { request: Some(request) }.encode_to_vec()
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use proto::control_request::Request as R;
        Ok(match proto::ControlRequest::decode(bytes)?.request.ok_or(WireError::Missing("request"))? {
            R::Invite(invite) => Self::Invite { organisation: organisation(invite.organisation)?, valid: invite.valid },
            R::Inspect(inspect) if inspect.after.is_empty() => Self::Inspect { after: None },
            R::Inspect(inspect) => Self::Inspect { after: Some(address(&inspect.after)?) },
            R::InspectBlobs(_) => Self::InspectBlobs,
            R::InspectGroupLogs(inspect) if inspect.after.is_empty() => Self::InspectGroupLogs { after: None },
            R::InspectGroupLogs(inspect) => Self::InspectGroupLogs { after: Some(fixed(&inspect.after, "after")?) },
            R::Export(export) if export.path.is_empty() => return Err(WireError::Missing("path")),
            R::Export(export) => Self::Export { path: export.path },
            R::Clock(clock) => Self::Clock { confirm: clock.confirm },
        })
    }
}

impl ControlResponse {
    /// The bytes of one frame, without its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use proto::control_response::Response as R;
        let response = match self {
            Self::Error(message) => R::Error(proto::ControlError { message: message.clone() }),
            Self::Invitation(code) => R::Invitation(proto::ControlInvitation { code: code.clone() }),
            Self::Inspection(accounts) => R::Inspection(proto::ControlInspection {
                accounts: accounts.iter().map(ControlAccount::encode).collect(),
            }),
            Self::Blobs(ControlBlobs { blobs, complete, bytes }) => {
                R::Blobs(proto::ControlBlobs { blobs: *blobs, complete: *complete, bytes: *bytes })
            }
            Self::GroupLogs(logs) => {
                R::GroupLogs(proto::ControlGroupLogs { logs: logs.iter().map(ControlGroupLog::encode).collect() })
            }
            Self::Done => R::Done(proto::ControlDone {}),
            Self::Clock(ControlClock { now, system, expiry_runs }) => {
                R::Clock(proto::ControlClock { now: *now, system: *system, expiry_runs: *expiry_runs })
            }
        };
        proto::ControlResponse { response: Some(response) }.encode_to_vec()
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use proto::control_response::Response as R;
        Ok(match proto::ControlResponse::decode(bytes)?.response.ok_or(WireError::Missing("response"))? {
            R::Error(error) => Self::Error(error.message),
            R::Invitation(invitation) => Self::Invitation(invitation.code),
            R::Inspection(inspection) => {
                Self::Inspection(inspection.accounts.into_iter().map(ControlAccount::decode).collect::<Result<_, _>>()?)
            }
            R::Blobs(proto::ControlBlobs { blobs, complete, bytes }) => {
                Self::Blobs(ControlBlobs { blobs, complete, bytes })
            }
            R::GroupLogs(logs) => {
                Self::GroupLogs(logs.logs.iter().map(ControlGroupLog::decode).collect::<Result<_, _>>()?)
            }
            R::Done(_) => Self::Done,
            R::Clock(proto::ControlClock { now, system, expiry_runs }) => {
                Self::Clock(ControlClock { now, system, expiry_runs })
            }
        })
    }
}

impl ControlGroupLog {
    fn encode(&self) -> proto::ControlGroupLog {
        proto::ControlGroupLog {
            log_id: self.log_id.to_vec(),
            first_epoch: self.first_epoch,
            epoch: self.epoch,
            closed_epochs: self.closed_epochs,
            entries: self.entries,
            bytes: self.bytes,
            created: self.created,
            changed: self.changed,
            wakes: self.wakes,
        }
    }

    fn decode(log: &proto::ControlGroupLog) -> Result<Self, WireError> {
        Ok(Self {
            log_id: fixed(&log.log_id, "log_id")?,
            first_epoch: log.first_epoch,
            epoch: log.epoch,
            closed_epochs: log.closed_epochs,
            entries: log.entries,
            bytes: log.bytes,
            created: log.created,
            changed: log.changed,
            wakes: log.wakes,
        })
    }
}

impl ControlAccount {
    fn encode(&self) -> proto::ControlAccount {
        let envelope = |one: &ControlEnvelope| proto::ControlEnvelope {
            sequence: one.sequence,
            size: one.size,
            received: one.received,
        };
        let device = |one: &ControlDevice| proto::ControlDevice {
            device_id: one.device_id,
            bytes: one.bytes,
            envelopes: one.envelopes.iter().map(envelope).collect(),
        };
        proto::ControlAccount {
            address: self.address.to_string(),
            organisation: self.organisation.clone().unwrap_or_default(),
            statement_version: self.statement_version,
            created: self.created,
            devices: self.devices.iter().map(device).collect(),
        }
    }

    fn decode(account: proto::ControlAccount) -> Result<Self, WireError> {
        let envelope = |one: proto::ControlEnvelope| ControlEnvelope {
            sequence: one.sequence,
            size: one.size,
            received: one.received,
        };
        let device = |one: proto::ControlDevice| ControlDevice {
            device_id: one.device_id,
            bytes: one.bytes,
            envelopes: one.envelopes.into_iter().map(envelope).collect(),
        };
        Ok(Self {
            address: address(&account.address)?,
            organisation: organisation(account.organisation)?,
            statement_version: account.statement_version,
            created: account.created,
            devices: account.devices.into_iter().map(device).collect(),
        })
    }
}

fn organisation(name: String) -> Result<Option<String>, WireError> {
    if name.len() > NAME_LENGTH_MAX {
        Err(WireError::Bounds("organisation"))
    } else {
        Ok(Some(name).filter(|name| !name.is_empty()))
    }
}

fn address(text: &str) -> Result<Address, WireError> {
    Address::from_canonical(text).map_err(|_| WireError::Bounds("address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_come_back_as_they_were_sent() {
        let address: Address = "claire@clinic.example".parse().unwrap();
        for request in [
            ControlRequest::Invite { organisation: None, valid: 1 },
            ControlRequest::Invite { organisation: Some("Clinic".to_owned()), valid: 2 },
            ControlRequest::Inspect { after: None },
            ControlRequest::Inspect { after: Some(address.clone()) },
            ControlRequest::InspectBlobs,
            ControlRequest::InspectGroupLogs { after: None },
            ControlRequest::InspectGroupLogs { after: Some([7; 32]) },
            ControlRequest::Export { path: "/tmp/a".to_owned() },
            ControlRequest::Clock { confirm: false },
            ControlRequest::Clock { confirm: true },
        ] {
            assert_eq!(ControlRequest::decode(&request.encode()), Ok(request));
        }
        let envelopes = vec![ControlEnvelope { sequence: 3, size: 4096, received: 5 }];
        let devices = vec![ControlDevice { device_id: 1, bytes: 4096, envelopes }];
        let log = ControlGroupLog {
            log_id: [1; 32],
            first_epoch: 2,
            epoch: 3,
            closed_epochs: 4,
            entries: 5,
            bytes: 6,
            created: 7,
            changed: 8,
            wakes: 9,
        };
        let account = ControlAccount { address, organisation: None, statement_version: 1, created: 2, devices };
        for response in [
            ControlResponse::Error("no".to_owned()),
            ControlResponse::Invitation("code".to_owned()),
            ControlResponse::Inspection(vec![account]),
            ControlResponse::Inspection(Vec::new()),
            ControlResponse::Blobs(ControlBlobs { blobs: 3, complete: 2, bytes: 1 << 40 }),
            ControlResponse::GroupLogs(vec![log]),
            ControlResponse::Done,
            ControlResponse::Clock(ControlClock { now: 1, system: 2, expiry_runs: true }),
        ] {
            assert_eq!(ControlResponse::decode(&response.encode()), Ok(response));
        }
    }

    #[test]
    fn names_and_paths_have_bounds() {
        let long = ControlRequest::Invite { organisation: Some("a".repeat(NAME_LENGTH_MAX + 1)), valid: 1 };
        assert_eq!(ControlRequest::decode(&long.encode()), Err(WireError::Bounds("organisation")));
        let empty = ControlRequest::Export { path: String::new() };
        assert_eq!(ControlRequest::decode(&empty.encode()), Err(WireError::Missing("path")));
    }
}
