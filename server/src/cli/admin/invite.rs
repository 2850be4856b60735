//! `medipeps-server admin invite`

use clap::Args;
use medipeps_core::limits::NAME_LENGTH_MAX;
use medipeps_core::wire::control::{ControlRequest, ControlResponse};

use crate::cli::{ConfigArgument, Failure, print, store};
use crate::service::DAY_MS;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The organisation that the account will belong to.
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// Days for which the invitation is good [default: retention.invitation_days of the configuration].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
    valid_days: Option<u32>,
}

pub(super) async fn invite(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let organisation = arguments.org.clone();
    if organisation.as_ref().is_some_and(|name| name.is_empty() || name.len() > NAME_LENGTH_MAX) {
        return Err(Failure::Usage(format!("--org takes 1 to {NAME_LENGTH_MAX} bytes")));
    }
    let days = arguments.valid_days.unwrap_or(config.retention.invitation_days);
    let request = ControlRequest::Invite { organisation, valid: u64::from(days) * DAY_MS };
    match store::order(&config, request).await? {
        ControlResponse::Invitation(code) => print(&format!("{code}\n")),
        _ => Err(Failure::failed("the server answered something else")),
    }
}
