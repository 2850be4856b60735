//! `medipeps account data` and `licence`

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use medipeps_core::wire::transport::{FetchOwnDataReply, OwnDeviceData, OwnEnvelopeData};
use serde::Serialize;

use super::time::iso;
use super::{CommandError, export, output};
use crate::shell::agent::OwnData;

#[derive(Debug, clap::Args)]
pub(super) struct Data {
    /// The folder; it must be empty, or not be there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Licence {
    /// Print JSON: {tenant, licence, standing, ends, grace_days, services}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct LicenceJson {
    tenant: String,
    licence: &'static str,
    standing: &'static str,
    ends: Option<String>,
    grace_days: u64,
    services: Vec<String>,
}

/// What the server has, as JSON has it.
#[derive(Debug, Serialize)]
struct ServerJson {
    address: String,
    organisation: Option<String>,
    tenant: String,
    created: String,
    /// An encoded `SignedStatement`, in base64.
    statement: String,
    /// Ids of submissions to the account that are remembered; whose they were the server does not know.
    submissions: u64,
    devices: Vec<DeviceJson>,
}

#[derive(Debug, Serialize)]
struct DeviceJson {
    device_id: u32,
    generation: u64,
    one_time_prekeys: u64,
    one_time_kem_prekeys: u64,
    key_packages: u64,
    highest_sequence: u64,
    expired: u64,
    bytes: u64,
    wake: Option<String>,
    envelopes: Vec<EnvelopeJson>,
}

#[derive(Debug, Serialize)]
struct EnvelopeJson {
    sequence: u64,
    size: u32,
    received: String,
    expires: String,
}

/// Everything that the server has of the account, and everything readable on this device, into a folder.
pub(super) async fn data(home: &Path, arguments: &Data) -> Result<(), CommandError> {
    let out = &arguments.out;
    let failed = || CommandError::file(out.display());
    let empty = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !out.exists(),
    };
    if !empty {
        return Err(CommandError::Use(format!("{} is not an empty folder", out.display())));
    }
    let mut agent = super::open(home)?;
    // What the server has is asked first: without it nothing is written that could pass for the whole.
    let own = agent.own_data(&mut |_| {}).await?;
    fs::create_dir_all(out).map_err(failed())?;
    let json = serde_json::to_string_pretty(&ServerJson::from(own)).map_err(std::io::Error::other).map_err(failed())?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(out.join("server.json")).map_err(failed())?;
    file.write_all(json.as_bytes()).and_then(|()| file.sync_all()).map_err(failed())?;
    export::write(&mut agent, &out.join("readable.jsonl")).await?;
    agent.close().await;
    Ok(())
}

/// The tenant that the account belongs to.
pub(super) async fn licence(home: &Path, arguments: &Licence) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let reply = agent.tenant(&mut |_| {}).await?;
    agent.close().await;
    let licence = LicenceJson {
        tenant: reply.name,
        licence: reply.licence.name(),
        standing: reply.standing.name(),
        ends: reply.ends.map(iso),
        grace_days: reply.grace / 86_400_000,
        services: reply.services,
    };
    if arguments.json {
        return output::print_json(&licence);
    }
    let services = if licence.services.is_empty() { "not said".to_owned() } else { licence.services.join(", ") };
    let ends = licence.ends.unwrap_or_else(|| "no end".to_owned());
    output::print(&format!(
        "Tenant: {}\nLicence: by {}, {}\nEnds: {ends}\nServices: {services}\n",
        output::line(&licence.tenant),
        licence.licence,
        licence.standing
    ))
}

impl From<OwnData> for ServerJson {
    fn from(own: OwnData) -> Self {
        let OwnData { account, queues } = own;
        let FetchOwnDataReply { address, organisation, tenant, created, statement, submissions, devices, .. } = account;
        let device = |device: OwnDeviceData| DeviceJson {
            device_id: device.device_id,
            generation: device.generation,
            one_time_prekeys: device.one_time_prekeys,
            one_time_kem_prekeys: device.one_time_kem_prekeys,
            key_packages: device.key_packages,
            highest_sequence: device.highest_sequence,
            expired: device.expired,
            bytes: device.bytes,
            wake: device.wake.map(|wake| wake.as_str().to_owned()),
            envelopes: queues
                .iter()
                .filter(|(of, _)| *of == device.device_id)
                .flat_map(|(_, envelopes)| envelopes.iter().map(envelope))
                .collect(),
        };
        Self {
            address: address.to_string(),
            organisation,
            tenant,
            created: iso(created),
            statement: BASE64.encode(&statement),
            submissions,
            devices: devices.into_iter().map(device).collect(),
        }
    }
}

fn envelope(envelope: &OwnEnvelopeData) -> EnvelopeJson {
    EnvelopeJson {
        sequence: envelope.sequence,
        size: envelope.size,
        received: iso(envelope.received),
        expires: iso(envelope.expires),
    }
}
