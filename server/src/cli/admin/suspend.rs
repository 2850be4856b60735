//! `medipeps-server admin suspend` and `resume`: one account. `admin tenant suspend` is for all of a tenant.

use clap::Args;
use medipeps_core::Address;
use medipeps_core::wire::control::ControlRequest;

use super::tenants::done;
use crate::cli::store::Orders;
use crate::cli::{ConfigArgument, Failure};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The account.
    address: Address,
}

pub(super) async fn suspend(arguments: Arguments, suspended: bool) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let request = ControlRequest::Suspend { address: arguments.address, suspended };
    done(&mut Orders::new(&config), request).await
}
