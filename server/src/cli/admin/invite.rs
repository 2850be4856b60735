//! `medipeps-server admin invite`

use std::path::PathBuf;

use clap::Args;
use medipeps_core::Address;
use medipeps_core::limits::NAME_LENGTH_MAX;
use medipeps_core::tenant::DEFAULT_TENANT;
use medipeps_core::wire::control::{ControlInvite, ControlRequest, ControlResponse};

use super::invitation_file;
use super::tenants::named;
use crate::cli::store::Orders;
use crate::cli::{ConfigArgument, Failure, print};
use crate::service::DAY_MS;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The organisation that the account will belong to.
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// The tenant whose seat the account will take [default: the default one].
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The only address that can be registered with it.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Address>,
    /// Days for which the invitation is good [default: retention.invitation_days of the configuration].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
    valid_days: Option<u32>,
    /// Make an invitation for each line of a CSV file, which begins with `address,organisation,valid_days`. Organisation and
    /// days may be empty. Every line is checked before anything is made.
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with_all = ["org", "address", "valid_days"])]
    csv: Option<PathBuf>,
    /// Where the lines go with their codes; there must be no such file. Only its owner can read it. If the command was
    /// interrupted, the same command goes on.
    #[arg(long, value_name = "FILE", requires = "csv")]
    out: Option<PathBuf>,
}

pub(super) async fn invite(arguments: Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let organisation = arguments.org;
    if organisation.as_ref().is_some_and(|name| name.is_empty() || name.len() > NAME_LENGTH_MAX) {
        return Err(Failure::Usage(format!("--org takes 1 to {NAME_LENGTH_MAX} bytes")));
    }
    if arguments.address.as_ref().is_some_and(|address| address.domain() != config.domain) {
        return Err(Failure::Usage(format!("--address takes addresses of {}", config.domain)));
    }
    let mut orders = Orders::new(&config);
    let many = match (&arguments.csv, &arguments.out) {
        (Some(csv), Some(out)) => Some((invitation_file::read(csv, &config)?, out)),
        _ => None,
    };
    let tenant = match &arguments.tenant {
        Some(name) => named(&mut orders, name).await?.0.number,
        None => DEFAULT_TENANT,
    };
    if let Some((lines, out)) = many {
        return invitation_file::invite_all(&mut orders, tenant, &lines, out).await;
    }
    let days = arguments.valid_days.unwrap_or(config.retention.invitation_days);
    let new = ControlInvite { organisation, valid: u64::from(days) * DAY_MS, tenant, address: arguments.address };
    match orders.give(ControlRequest::Invite(new)).await? {
        ControlResponse::Invitation(code) => print(&format!("{code}\n")),
        _ => Err(Failure::failed("the server answered something else")),
    }
}
