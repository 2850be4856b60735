//! `medipeps-server admin import`

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{ConfigArgument, Failure, store};
use crate::environment::SystemEnvironment;
use crate::server_key::ServerKey;
use crate::storage::Storage;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The export to load.
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
}

pub(super) async fn import(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let failed = |error| Failure::Failed(format!("{}: {error}", arguments.input.display()));
    let file = File::open(&arguments.input).map_err(failed)?;
    // It makes the data directory as well.
    ServerKey::load_or_create(&config.data_dir, &SystemEnvironment).map_err(Failure::failed)?;
    let storage = store::open(&config).await.map_err(Failure::failed)?;
    storage.import(Box::new(BufReader::new(file))).await.map_err(Failure::failed)
}
