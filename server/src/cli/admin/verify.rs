//! `medipeps-server admin verify`

use clap::Args;
use medipeps_core::wire::control::{ControlRequest, ControlResponse, ControlVerification};
use serde::Serialize;

use super::tenant::print_json;
use crate::cli::store::Orders;
use crate::cli::{ConfigArgument, Failure, print};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON: {records, bodies, problems: [text]}.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Verified {
    records: u64,
    bodies: u64,
    problems: Vec<String>,
}

pub(super) async fn verify(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let ControlResponse::Verification(found) = Orders::new(&config).give(ControlRequest::Verify).await? else {
        return Err(Failure::failed("the server answered something else"));
    };
    let ControlVerification { records, bodies, problems } = found;
    let number = problems.len();
    if arguments.json {
        print_json(&Verified { records, bodies, problems })?;
    } else {
        let mut text = format!("{records} records and {bodies} bodies were looked at\n");
        problems.iter().for_each(|problem| text.push_str(&format!("{problem}\n")));
        print(&text)?;
    }
    if number == 0 { Ok(()) } else { Err(Failure::Failed(format!("the store has {number} problems"))) }
}
