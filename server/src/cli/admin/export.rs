//! `medipeps-server admin export`

use std::path::PathBuf;

use clap::Args;
use medipeps_core::wire::control::{ControlRequest, ControlResponse};

use crate::cli::{ConfigArgument, Failure, store};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The file to write; there must be no such file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn export(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    // The server that writes the file has another working directory.
    let path = std::path::absolute(&arguments.out).map_err(Failure::failed)?;
    let path = path.into_os_string().into_string().map_err(|_| Failure::failed("--out must be UTF-8"))?;
    match store::order(&config, ControlRequest::Export { path }).await? {
        ControlResponse::Done => Ok(()),
        _ => Err(Failure::failed("the server answered something else")),
    }
}
