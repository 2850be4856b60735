//! `medipeps-server admin inspect`

use clap::Args;
use data_encoding::HEXLOWER;
use medipeps_core::wire::control::{ControlAccount, ControlGroupLog, ControlRequest, ControlResponse};
use serde::Serialize;

use crate::cli::store::Orders;
use crate::cli::{ConfigArgument, Failure, print};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON: {accounts: [{address, organisation, statement_version, created_ms, devices: [{device_id, queued,
    /// bytes, envelopes: [{sequence, size, received_ms}]}]}], blobs: {number, complete, bytes}, group_logs: [{log_id,
    /// first_epoch, epoch, closed_epochs, entries, bytes, created_ms, changed_ms, wakes}]}.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Inspection {
    accounts: Vec<Account>,
    blobs: Blobs,
    group_logs: Vec<GroupLog>,
}

#[derive(Serialize)]
struct GroupLog {
    log_id: String,
    first_epoch: u64,
    epoch: u64,
    closed_epochs: u64,
    entries: u64,
    bytes: u64,
    created_ms: u64,
    changed_ms: u64,
    wakes: u64,
}

#[derive(Serialize, Default)]
struct Blobs {
    number: u64,
    complete: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Account {
    address: String,
    organisation: Option<String>,
    statement_version: u64,
    created_ms: u64,
    devices: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    device_id: u32,
    queued: usize,
    bytes: u64,
    push_service: Option<String>,
    envelopes: Vec<Envelope>,
}

#[derive(Serialize)]
struct Envelope {
    sequence: u64,
    size: u32,
    received_ms: u64,
}

pub(super) async fn inspect(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let mut orders = Orders::new(&config);
    let mut inspection = Inspection { accounts: Vec::new(), blobs: Blobs::default(), group_logs: Vec::new() };
    let mut after = None;
    loop {
        let ControlResponse::Inspection(page) = orders.give(ControlRequest::Inspect { after }).await? else {
            return Err(Failure::failed("the server answered something else"));
        };
        let Some(last) = page.last() else { break };
        after = Some(last.address.clone());
        inspection.accounts.extend(page.into_iter().map(Account::from));
    }
    let ControlResponse::Blobs(blobs) = orders.give(ControlRequest::InspectBlobs).await? else {
        return Err(Failure::failed("the server answered something else"));
    };
    inspection.blobs = Blobs { number: blobs.blobs, complete: blobs.complete, bytes: blobs.bytes };
    let mut after = None;
    loop {
        let ControlResponse::GroupLogs(page) = orders.give(ControlRequest::InspectGroupLogs { after }).await? else {
            return Err(Failure::failed("the server answered something else"));
        };
        let Some(last) = page.last() else { break };
        after = Some(last.log_id);
        inspection.group_logs.extend(page.into_iter().map(GroupLog::from));
    }
    if arguments.json {
        let json = serde_json::to_string_pretty(&inspection).map_err(Failure::failed)?;
        print(&format!("{json}\n"))
    } else {
        print(&table(&inspection))
    }
}

/// One line a device, one for all blobs, and one a group log.
fn table(inspection: &Inspection) -> String {
    let mut text =
        String::from("address, organisation, statement version, device, envelopes queued, bytes, push service\n");
    for account in &inspection.accounts {
        let organisation = account.organisation.as_deref().unwrap_or("-");
        for device in &account.devices {
            let head = format!("{}, {organisation}, {}", account.address, account.statement_version);
            let push_service = device.push_service.as_deref().unwrap_or("-");
            let Device { device_id, queued, bytes, .. } = device;
            text.push_str(&format!("{head}, {device_id}, {queued}, {bytes}, {push_service}\n"));
        }
    }
    let Blobs { number, complete, bytes } = inspection.blobs;
    text.push_str(&format!("blobs: {number}, complete: {complete}, bytes reserved: {bytes}\n"));
    if !inspection.group_logs.is_empty() {
        text.push_str("group log, epoch, closed epochs with entries, entries, bytes, wake handles\n");
    }
    for log in &inspection.group_logs {
        let GroupLog { log_id, epoch, closed_epochs, entries, bytes, wakes, .. } = log;
        text.push_str(&format!("{log_id}, {epoch}, {closed_epochs}, {entries}, {bytes}, {wakes}\n"));
    }
    text
}

impl From<ControlGroupLog> for GroupLog {
    fn from(log: ControlGroupLog) -> Self {
        Self {
            log_id: HEXLOWER.encode(&log.log_id),
            first_epoch: log.first_epoch,
            epoch: log.epoch,
            closed_epochs: log.closed_epochs,
            entries: log.entries,
            bytes: log.bytes,
            created_ms: log.created,
            changed_ms: log.changed,
            wakes: log.wakes,
        }
    }
}

impl From<ControlAccount> for Account {
    fn from(account: ControlAccount) -> Self {
        let devices = account.devices.into_iter().map(|device| Device {
            device_id: device.device_id,
            queued: device.envelopes.len(),
            bytes: device.bytes,
            push_service: Some(device.push_service).filter(|service| !service.is_empty()),
            envelopes: device
                .envelopes
                .into_iter()
                .map(|one| Envelope { sequence: one.sequence, size: one.size, received_ms: one.received })
                .collect(),
        });
        Self {
            address: account.address.to_string(),
            organisation: account.organisation,
            statement_version: account.statement_version,
            created_ms: account.created,
            devices: devices.collect(),
        }
    }
}
