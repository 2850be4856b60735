//! `medipeps-server admin statistics`: numbers without a name of an account.

use clap::Args;
use medipeps_core::wire::control::{ControlRequest, ControlResponse};
use serde::Serialize;

use super::tenant::{Shown, print_json};
use super::tenants::list;
use crate::cli::store::Orders;
use crate::cli::{ConfigArgument, Failure, print};
use crate::environment::{Environment, SystemEnvironment};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON: {accounts, bytes, tenants: [as in `tenant list`], blobs: {number, complete, bytes}, group_logs: {number,
    /// entries, bytes}}.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Statistics {
    accounts: u64,
    /// In queues.
    bytes: u64,
    tenants: Vec<Shown>,
    blobs: Blobs,
    group_logs: GroupLogs,
}

#[derive(Debug, Serialize)]
struct Blobs {
    number: u64,
    complete: u64,
    bytes: u64,
}

#[derive(Debug, Serialize, Default)]
struct GroupLogs {
    number: u64,
    entries: u64,
    bytes: u64,
}

pub(super) async fn statistics(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let mut orders = Orders::new(&config);
    let tenants = list(&mut orders).await?;
    let ControlResponse::Blobs(blobs) = orders.give(ControlRequest::InspectBlobs).await? else {
        return Err(Failure::failed("the server answered something else"));
    };
    let mut group_logs = GroupLogs::default();
    let mut after = None;
    loop {
        let ControlResponse::GroupLogs(page) = orders.give(ControlRequest::InspectGroupLogs { after }).await? else {
            return Err(Failure::failed("the server answered something else"));
        };
        let Some(last) = page.last() else { break };
        after = Some(last.log_id);
        for log in &page {
            group_logs.number += 1;
            group_logs.entries += log.entries;
            group_logs.bytes += log.bytes;
        }
    }
    let now_ms = SystemEnvironment.now_ms();
    let statistics = Statistics {
        accounts: tenants.iter().map(|(_, usage)| usage.seats).sum(),
        bytes: tenants.iter().map(|(_, usage)| usage.bytes).sum(),
        tenants: tenants.into_iter().map(|(tenant, usage)| Shown::new(tenant, usage, now_ms)).collect(),
        blobs: Blobs { number: blobs.blobs, complete: blobs.complete, bytes: blobs.bytes },
        group_logs,
    };
    if arguments.json { print_json(&statistics) } else { print(&statistics.text()) }
}

impl Statistics {
    fn text(&self) -> String {
        let Blobs { number, complete, bytes } = self.blobs;
        let mut text = format!("accounts: {}, bytes in queues: {}\n", self.accounts, self.bytes);
        text.push_str(&format!("blobs: {number}, complete: {complete}, bytes reserved: {bytes}\n"));
        let GroupLogs { number, entries, bytes } = self.group_logs;
        text.push_str(&format!("group logs: {number}, entries: {entries}, bytes: {bytes}\n"));
        text.push_str("tenant, licence, standing, seats, bytes in queues, last day, services\n");
        self.tenants.iter().for_each(|tenant| text.push_str(&tenant.line()));
        text
    }
}
