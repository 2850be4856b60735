//! `medipeps-server admin import`

use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{ConfigArgument, Failure, print, store};
use crate::config::Config;
use crate::deletion_log::{DeletedAccounts, DeletionLog};
use crate::environment::{Environment, SystemEnvironment};
use crate::server_key::ServerKey;
use crate::storage::{Storage, copy_without};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The export to load.
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// The `deletions.log` of the server as it was last: accounts that were deleted after the export are left out
    /// [default: the one in the data directory].
    #[arg(long, value_name = "FILE")]
    deletions: Option<PathBuf>,
}

pub(super) async fn import(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let failed = |error| Failure::Failed(format!("{}: {error}", arguments.input.display()));
    let file = File::open(&arguments.input).map_err(failed)?;
    // It makes the data directory as well.
    ServerKey::load_or_create(&config.data_dir, &SystemEnvironment).map_err(Failure::failed)?;
    let deleted = deleted(arguments.deletions.as_deref(), &config)?;
    let storage = store::open(&config).await.map_err(Failure::failed)?;
    let log = DeletionLog::at(config.deletion_log());
    log.take_over(&deleted, SystemEnvironment.now_ms()).await.map_err(Failure::failed)?;
    let filtered = config.data_dir.join("import.filtered");
    let copied = copy(file, &filtered, &deleted);
    let imported = match copied {
        Ok((left_out, copy)) => {
            storage.import(Box::new(BufReader::new(copy))).await.map(|()| left_out).map_err(Failure::failed)
        }
        Err(error) => Err(error),
    };
    // Only a copy; if it stays, the next import overwrites it.
    let _ = fs::remove_file(&filtered);
    match imported? {
        0 => Ok(()),
        left_out => print(&format!("{left_out} accounts were deleted after the export and were left out\n")),
    }
}

/// Whom nobody may bring back.
fn deleted(named: Option<&Path>, config: &Config) -> Result<DeletedAccounts, Failure> {
    let own = config.deletion_log();
    let path = named.unwrap_or(&own);
    let failed = |error| Failure::Failed(format!("{}: {error}", path.display()));
    if named.is_some() {
        // One that was named must be there.
        File::open(path).map_err(failed)?;
    }
    DeletedAccounts::read(path).map_err(failed)
}

/// The export without them, in a file of our own.
fn copy(export: File, path: &Path, deleted: &DeletedAccounts) -> Result<(u64, File), Failure> {
    let options = || fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let writer = std::io::BufWriter::new(options().map_err(Failure::failed)?);
    let is_deleted = |address: &medipeps_core::Address, created| deleted.contains(address, created);
    let left_out = copy_without(&mut BufReader::new(export), Box::new(writer), &is_deleted).map_err(Failure::failed)?;
    Ok((left_out, File::open(path).map_err(Failure::failed)?))
}
