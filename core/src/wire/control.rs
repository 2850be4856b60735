//! `spec/proto/control.proto`: what passes over the control socket of a running server.

use prost::Message;

use super::{WireError, fixed, proto};
use crate::Address;
use crate::limits::{INVITATIONS_AT_ONCE_MAX, NAME_LENGTH_MAX};
use crate::tenant::{Tenant, TenantDay, TenantUsage};

/// What whoever runs the server asks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRequest {
    /// An invitation.
    Invite(ControlInvite),
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
    /// That it reads its configuration file again.
    Reload,
    /// Another tenant. Its number and creation are not looked at.
    AddTenant(Tenant),
    /// All tenants.
    ListTenants,
    /// Other terms for the tenant with this number.
    ChangeTenant(Tenant),
    /// A tenant without accounts goes.
    RemoveTenant {
        /// Its number.
        number: u64,
    },
    /// An account is suspended, or taken up again.
    Suspend {
        /// Which.
        address: Address,
        /// Whether nothing is let in or out from now on.
        suspended: bool,
    },
    /// What was counted of a tenant.
    TenantDays {
        /// Its number.
        number: u64,
        /// Days since 1970.
        first_day: u32,
        /// The last one, itself included.
        last_day: u32,
    },
    /// Invitations one after another, at most `INVITATIONS_AT_ONCE_MAX`.
    InviteMany(Vec<ControlInvite>),
    /// What the store says of itself is held against what is there.
    Verify,
}

/// An invitation to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlInvite {
    /// The organisation that the account will belong to.
    pub organisation: Option<String>,
    /// For how many milliseconds it is good.
    pub valid: u64,
    /// The number of the tenant that the account will belong to.
    pub tenant: u64,
    /// The only address that it can be used for.
    pub address: Option<Address>,
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
    /// The configuration has been read again: keys that have another value now.
    Reloaded(Vec<String>),
    /// All tenants, by their numbers, with what their accounts take.
    Tenants(Vec<(Tenant, TenantUsage)>),
    /// Days on which something was counted, ascending.
    TenantDays(Vec<TenantDay>),
    /// Codes of invitations, in the order of the request.
    Invitations(Vec<String>),
    /// What a verification found.
    Verification(ControlVerification),
}

/// What a verification of the store found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlVerification {
    /// Records that were looked at.
    pub records: u64,
    /// Bodies that were read.
    pub bodies: u64,
    /// What is not as it should be, for whoever typed the command.
    pub problems: Vec<String>,
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
    /// The push service by which it is woken, as `https://HOST:PORT`, `apns` or `fcm`; empty if it is not.
    pub push_service: String,
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
            Self::Invite(invite) => R::Invite(invite.encode()),
            Self::Inspect { after } => {
                R::Inspect(proto::ControlInspect { after: after.as_ref().map(ToString::to_string).unwrap_or_default() })
            }
            Self::InspectBlobs => R::InspectBlobs(proto::ControlInspectBlobs {}),
            Self::InspectGroupLogs { after } => R::InspectGroupLogs(proto::ControlInspectGroupLogs {
                after: after.map(|after| after.to_vec()).unwrap_or_default(),
            }),
            Self::Export { path } => R::Export(proto::ControlExport { path: path.clone() }),
            Self::Clock { confirm } => R::Clock(proto::ControlConfirmClock { confirm: *confirm }),
            Self::AddTenant(tenant) => R::AddTenant(proto::ControlAddTenant { tenant: Some(tenant.to_proto()) }),
            Self::ListTenants => R::ListTenants(proto::ControlListTenants {}),
            Self::ChangeTenant(tenant) => {
                R::ChangeTenant(proto::ControlChangeTenant { tenant: Some(tenant.to_proto()) })
            }
            Self::RemoveTenant { number } => R::RemoveTenant(proto::ControlRemoveTenant { number: *number }),
            Self::Suspend { address, suspended } => {
                R::Suspend(proto::ControlSuspend { address: address.to_string(), suspended: *suspended })
            }
            Self::TenantDays { number, first_day, last_day } => {
                R::TenantDays(proto::ControlTenantDays { number: *number, first_day: *first_day, last_day: *last_day })
            }
            Self::InviteMany(invitations) => R::InviteMany(proto::ControlInviteMany {
                invitations: invitations.iter().map(ControlInvite::encode).collect(),
            }),
            Self::Verify => R::Verify(proto::ControlVerify {}),
            Self::Reload => R::Reload(proto::ControlReload {}),
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
            R::Invite(invite) => Self::Invite(ControlInvite::decode(invite)?),
            R::Inspect(inspect) if inspect.after.is_empty() => Self::Inspect { after: None },
            R::Inspect(inspect) => Self::Inspect { after: Some(address(&inspect.after)?) },
            R::InspectBlobs(_) => Self::InspectBlobs,
            R::InspectGroupLogs(inspect) if inspect.after.is_empty() => Self::InspectGroupLogs { after: None },
            R::InspectGroupLogs(inspect) => Self::InspectGroupLogs { after: Some(fixed(&inspect.after, "after")?) },
            R::Export(export) if export.path.is_empty() => return Err(WireError::Missing("path")),
            R::Export(export) => Self::Export { path: export.path },
            R::Clock(clock) => Self::Clock { confirm: clock.confirm },
            R::AddTenant(add) => Self::AddTenant(tenant(add.tenant)?),
            R::ListTenants(_) => Self::ListTenants,
            R::ChangeTenant(change) => Self::ChangeTenant(tenant(change.tenant)?),
            R::RemoveTenant(remove) => Self::RemoveTenant { number: remove.number },
            R::Suspend(suspend) => Self::Suspend { address: address(&suspend.address)?, suspended: suspend.suspended },
            R::TenantDays(proto::ControlTenantDays { number, first_day, last_day }) => {
                Self::TenantDays { number, first_day, last_day }
            }
            R::InviteMany(invite) if invite.invitations.len() > INVITATIONS_AT_ONCE_MAX => {
                return Err(WireError::Bounds("invitations"));
            }
            R::InviteMany(invite) => {
                let invitations = invite.invitations.into_iter().map(ControlInvite::decode);
                Self::InviteMany(invitations.collect::<Result<_, _>>()?)
            }
            R::Verify(_) => Self::Verify,
            R::Reload(_) => Self::Reload,
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
            Self::Tenants(tenants) => R::Tenants(proto::ControlTenants {
                tenants: tenants
                    .iter()
                    .map(|(tenant, usage)| proto::ControlTenant {
                        tenant: Some(tenant.to_proto()),
                        seats: usage.seats,
                        bytes: usage.bytes,
                    })
                    .collect(),
            }),
            Self::TenantDays(days) => {
                R::TenantDays(proto::ControlTenantDaysReply { days: days.iter().map(TenantDay::to_proto).collect() })
            }
            Self::Invitations(codes) => R::Invitations(proto::ControlInvitations { codes: codes.clone() }),
            Self::Verification(ControlVerification { records, bodies, problems }) => {
                R::Verification(proto::ControlVerification {
                    records: *records,
                    bodies: *bodies,
                    problems: problems.clone(),
                })
            }
            Self::Reloaded(changed) => R::Reloaded(proto::ControlReloaded { changed: changed.clone() }),
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
            R::Reloaded(reloaded) => Self::Reloaded(reloaded.changed),
            R::Tenants(tenants) => Self::Tenants(
                tenants
                    .tenants
                    .into_iter()
                    .map(|one| {
                        let usage = TenantUsage { seats: one.seats, bytes: one.bytes };
                        Ok((tenant(one.tenant)?, usage))
                    })
                    .collect::<Result<_, WireError>>()?,
            ),
            R::TenantDays(reply) => {
                Self::TenantDays(reply.days.into_iter().map(TenantDay::from_proto).collect::<Result<_, _>>()?)
            }
            R::Invitations(invitations) => Self::Invitations(invitations.codes),
            R::Verification(proto::ControlVerification { records, bodies, problems }) => {
                Self::Verification(ControlVerification { records, bodies, problems })
            }
        })
    }
}

impl ControlInvite {
    fn encode(&self) -> proto::ControlInvite {
        proto::ControlInvite {
            organisation: self.organisation.clone().unwrap_or_default(),
            valid: self.valid,
            tenant: self.tenant,
            address: self.address.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn decode(invite: proto::ControlInvite) -> Result<Self, WireError> {
        let bound = Some(invite.address).filter(|bound| !bound.is_empty());
        Ok(Self {
            organisation: organisation(invite.organisation)?,
            valid: invite.valid,
            tenant: invite.tenant,
            address: bound.map(|bound| address(&bound)).transpose()?,
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
            push_service: one.push_service.clone(),
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
            push_service: one.push_service,
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

fn tenant(message: Option<proto::StoredTenant>) -> Result<Tenant, WireError> {
    Tenant::from_proto(message.ok_or(WireError::Missing("tenant"))?)
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

    fn invite(organisation: Option<&str>) -> ControlInvite {
        ControlInvite { organisation: organisation.map(str::to_owned), valid: 1, tenant: 0, address: None }
    }

    #[test]
    fn requests_and_answers_come_back_as_they_were_sent() {
        let address: Address = "claire@clinic.example".parse().unwrap();
        for request in [
            ControlRequest::Invite(invite(None)),
            ControlRequest::Invite(invite(Some("Clinic"))),
            ControlRequest::InviteMany(vec![
                ControlInvite { tenant: 3, address: Some(address.clone()), ..invite(None) },
                invite(Some("Clinic")),
            ]),
            ControlRequest::AddTenant(Tenant::default_tenant()),
            ControlRequest::ListTenants,
            ControlRequest::ChangeTenant(Tenant::default_tenant()),
            ControlRequest::RemoveTenant { number: 3 },
            ControlRequest::Suspend { address: address.clone(), suspended: true },
            ControlRequest::TenantDays { number: 1, first_day: 2, last_day: 3 },
            ControlRequest::Verify,
            ControlRequest::Inspect { after: None },
            ControlRequest::Inspect { after: Some(address.clone()) },
            ControlRequest::InspectBlobs,
            ControlRequest::InspectGroupLogs { after: None },
            ControlRequest::InspectGroupLogs { after: Some([7; 32]) },
            ControlRequest::Export { path: "/tmp/a".to_owned() },
            ControlRequest::Clock { confirm: false },
            ControlRequest::Clock { confirm: true },
            ControlRequest::Reload,
        ] {
            assert_eq!(ControlRequest::decode(&request.encode()), Ok(request));
        }
        let envelopes = vec![ControlEnvelope { sequence: 3, size: 4096, received: 5 }];
        let devices = vec![ControlDevice { device_id: 1, bytes: 4096, envelopes, push_service: "apns".to_owned() }];
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
        let day = TenantDay { day: 1, seats: 2, seats_peak: 3, bytes_peak: 4, active: true, services: Vec::new() };
        for response in [
            ControlResponse::Error("no".to_owned()),
            ControlResponse::Invitation("code".to_owned()),
            ControlResponse::Inspection(vec![account]),
            ControlResponse::Inspection(Vec::new()),
            ControlResponse::Blobs(ControlBlobs { blobs: 3, complete: 2, bytes: 1 << 40 }),
            ControlResponse::GroupLogs(vec![log]),
            ControlResponse::Done,
            ControlResponse::Clock(ControlClock { now: 1, system: 2, expiry_runs: true }),
            ControlResponse::Tenants(vec![(Tenant::default_tenant(), TenantUsage { seats: 1, bytes: 2 })]),
            ControlResponse::TenantDays(vec![day]),
            ControlResponse::Invitations(vec!["code".to_owned()]),
            ControlResponse::Verification(ControlVerification {
                records: 1,
                bodies: 2,
                problems: vec!["no".to_owned()],
            }),
            ControlResponse::Reloaded(vec!["rate.submit_per_address".to_owned(), "certificate".to_owned()]),
            ControlResponse::Reloaded(Vec::new()),
        ] {
            assert_eq!(ControlResponse::decode(&response.encode()), Ok(response));
        }
    }

    #[test]
    fn names_and_paths_have_bounds() {
        let long = ControlRequest::Invite(invite(Some(&"a".repeat(NAME_LENGTH_MAX + 1))));
        assert_eq!(ControlRequest::decode(&long.encode()), Err(WireError::Bounds("organisation")));
        let many = ControlRequest::InviteMany(vec![invite(None); INVITATIONS_AT_ONCE_MAX + 1]);
        assert_eq!(ControlRequest::decode(&many.encode()), Err(WireError::Bounds("invitations")));
        let empty = ControlRequest::Export { path: String::new() };
        assert_eq!(ControlRequest::decode(&empty.encode()), Err(WireError::Missing("path")));
    }
}
