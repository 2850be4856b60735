//! Orders of whoever runs the server, over a socket in the data directory that only its owner can open.
//!
//! [`Store`] carries them out; the server does so for the other end of the socket, the command itself when no server
//! runs.

mod client;
mod socket;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medipeps_core::wire::WireError;
use medipeps_core::wire::control::{
    ControlAccount, ControlBlobs, ControlClock, ControlDevice, ControlEnvelope, ControlGroupLog, ControlRequest,
    ControlResponse,
};
use thiserror::Error;

pub(crate) use client::ask;
pub(crate) use socket::ControlSocket;

use crate::clock::SteadyClock;
use crate::environment::Environment;
use crate::limits::{CONTROL_INSPECT_ACCOUNTS, INSPECT_GROUP_LOGS_MAX};
use crate::server_key::ServerKey;
use crate::service::invite;
use crate::storage::{BlobUsage, InspectedAccount, InspectedDevice, InspectedEnvelope, InspectedGroupLog, Storage};

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
            ControlRequest::Invite { organisation, valid } => {
                let environment = self.environment.as_ref();
                match invite(self.storage.as_ref(), &self.server_key, environment, organisation, valid).await {
                    Ok(code) => ControlResponse::Invitation(code),
                    Err(error) => ControlResponse::Error(error.to_string()),
                }
            }
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
    };
    ControlAccount {
        address: account.address,
        organisation: account.organisation,
        statement_version: account.statement_version,
        created: account.created_ms,
        devices: account.devices.into_iter().map(device).collect(),
    }
}
