//! Orders of whoever runs the server, over a socket in the data directory that only its owner can open.
//!
//! [`Store`] carries them out; the server does so for the other end of the socket, the command itself when no server
//! runs.

mod client;
mod socket;
mod tenants;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medipeps_core::wire::WireError;
use medipeps_core::wire::control::{
    ControlAccount, ControlBlobs, ControlClock, ControlDevice, ControlEnvelope, ControlGroupLog, ControlInvite,
    ControlRequest, ControlResponse, ControlVerification,
};
use thiserror::Error;

pub(crate) use client::ask;
pub(crate) use socket::{ControlSocket, ReloadOrder};

use crate::clock::SteadyClock;
use crate::environment::Environment;
use crate::limits::{CONTROL_INSPECT_ACCOUNTS, INSPECT_GROUP_LOGS_MAX};
use crate::server_key::ServerKey;
use crate::service::{InviteError, NewInvitation, invite};
use crate::storage::{
    BlobUsage, InspectedAccount, InspectedDevice, InspectedEnvelope, InspectedGroupLog, Storage, Verification,
};

/// Why the control socket does not work.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The socket cannot be used.
    #[error("{path}: {error}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The other end is no server of this version.
    #[error("the server's answer cannot be read: {0}")]
    Answer(#[from] WireError),
}

/// A store with what it takes to carry out orders on it.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) server_key: ServerKey,
    pub(crate) environment: Arc<dyn Environment>,
    /// Of a server that runs.
    pub(crate) clock: Option<Arc<SteadyClock>>,
}

impl Store {
    /// Carries out one order.
    pub(crate) async fn carry_out(&self, request: ControlRequest) -> ControlResponse {
        match request {
            ControlRequest::Invite(new) => match self.invite(new).await {
                Ok(code) => ControlResponse::Invitation(code),
                Err(error) => ControlResponse::Error(error.to_string()),
            },
            ControlRequest::InviteMany(invitations) => {
                // They wait together, so the store takes them in one commit.
                let making = invitations.into_iter().map(|new| {
                    let store = self.clone();
                    tokio::spawn(async move { store.invite(new).await })
                });
                let mut codes = Vec::new();
                for made in making.collect::<Vec<_>>() {
                    match made.await {
                        Ok(Ok(code)) => codes.push(code),
                        Ok(Err(error)) => return ControlResponse::Error(error.to_string()),
                        Err(error) => return ControlResponse::Error(error.to_string()),
                    }
                }
                ControlResponse::Invitations(codes)
            }
            ControlRequest::AddTenant(_)
            | ControlRequest::ListTenants
            | ControlRequest::ChangeTenant(_)
            | ControlRequest::RemoveTenant { .. }
            | ControlRequest::Suspend { .. }
            | ControlRequest::TenantDays { .. } => self.carry_out_on_tenants(request).await,
            ControlRequest::Verify => match self.storage.verify().await {
                Ok(Verification { records, bodies, problems, .. }) => {
                    ControlResponse::Verification(ControlVerification { records, bodies, problems })
                }
                Err(error) => ControlResponse::Error(error.to_string()),
            },
            ControlRequest::Inspect { after } => {
                match self.storage.inspect(after.as_ref(), CONTROL_INSPECT_ACCOUNTS as usize).await {
                    Ok(accounts) => ControlResponse::Inspection(accounts.into_iter().map(control_account).collect()),
                    Err(error) => ControlResponse::Error(error.to_string()),
                }
            }
            ControlRequest::InspectBlobs => match self.storage.blob_usage().await {
                Ok(BlobUsage { blobs, complete, bytes }) => {
                    ControlResponse::Blobs(ControlBlobs { blobs, complete, bytes })
                }
                Err(error) => ControlResponse::Error(error.to_string()),
            },
            ControlRequest::InspectGroupLogs { after } => {
                match self.storage.inspect_group_logs(after, INSPECT_GROUP_LOGS_MAX).await {
                    Ok(logs) => ControlResponse::GroupLogs(logs.into_iter().map(control_group_log).collect()),
                    Err(error) => ControlResponse::Error(error.to_string()),
                }
            }
            // The server takes it over before it comes here.
            ControlRequest::Reload => ControlResponse::Error("no server runs; there is nothing to reload".to_owned()),
            ControlRequest::Export { path } => match self.export(Path::new(&path)).await {
                Ok(()) => ControlResponse::Done,
                Err(error) => ControlResponse::Error(error),
            },
            ControlRequest::Clock { confirm } => self.clock(confirm),
        }
    }

    /// Says what time it is, and believes the system's clock where that was asked for.
    fn clock(&self, confirm: bool) -> ControlResponse {
        let Some(clock) = &self.clock else {
            return ControlResponse::Error("the clock is a matter of a server that runs, and none does".to_owned());
        };
        match if confirm { clock.confirm() } else { Ok(clock.read()) } {
            Ok(reading) => ControlResponse::Clock(ControlClock {
                now: reading.now_ms,
                system: reading.system_ms,
                expiry_runs: reading.expiry_runs,
            }),
            Err(error) => ControlResponse::Error(format!("confirmed, but not noted for the next start: {error}")),
        }
    }

    async fn invite(&self, new: ControlInvite) -> Result<String, InviteError> {
        let ControlInvite { organisation, valid: valid_ms, tenant, address } = new;
        let new = NewInvitation { organisation, valid_ms, tenant, address };
        invite(self.storage.as_ref(), &self.server_key, self.environment.as_ref(), new).await
    }

    /// Writes an export into a new file; it has its name only once it is whole and on the disk.
    async fn export(&self, path: &Path) -> Result<(), String> {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        if path.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let written = self.export_to(&partial, path).await;
        let removed = std::fs::remove_file(&partial).map_err(failed);
        written.and(removed)
    }

    async fn export_to(&self, partial: &Path, path: &Path) -> Result<(), String> {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(partial);
        let file = file.map_err(failed)?;
        let writer = io::BufWriter::new(file.try_clone().map_err(failed)?);
        self.storage.export(Box::new(writer)).await.map_err(|error| error.to_string())?;
        file.sync_all().map_err(failed)?;
        // Unlike a rename, this replaces nothing.
        std::fs::hard_link(partial, path).map_err(failed)
    }
}

fn control_group_log(log: InspectedGroupLog) -> ControlGroupLog {
    ControlGroupLog {
        log_id: log.log_id,
        first_epoch: log.first_epoch,
        epoch: log.epoch,
        closed_epochs: log.closed_epochs,
        entries: log.entries,
        bytes: log.bytes,
        created: log.created_ms,
        changed: log.changed_ms,
        wakes: log.wakes,
    }
}

fn control_account(account: InspectedAccount) -> ControlAccount {
    let envelope = |one: &InspectedEnvelope| ControlEnvelope {
        sequence: one.sequence,
        size: one.length,
        received: one.received_ms,
    };
    let device = |one: InspectedDevice| ControlDevice {
        device_id: one.device_id,
        bytes: one.bytes,
        envelopes: one.envelopes.iter().map(envelope).collect(),
        push_service: one.wake.map(|wake| wake.service_name()).unwrap_or_default(),
    };
    ControlAccount {
        address: account.address,
        organisation: account.organisation,
        statement_version: account.statement_version,
        created: account.created_ms,
        devices: account.devices.into_iter().map(device).collect(),
    }
}
