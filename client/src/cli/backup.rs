//! `medipeps backup`

use std::path::{Path, PathBuf};

use medipeps_core::backup::RecoveryCode;
use serde::Serialize;

use super::passphrase::{Which, choose};
use super::progress::Work;
use super::{CommandError, output};
use crate::shell::agent::{BackupOrder, random};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Draw a recovery code that opens the backup, and show it once, instead of asking for a passphrase
    #[arg(long)]
    recovery_code: bool,
    /// Replace a file of this name
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was written, as JSON has it.
#[derive(Debug, Serialize)]
struct BackupJson {
    file: String,
    messages: u64,
    contacts: u64,
    bytes: u64,
    texts_missing: u64,
    account_key: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_code: Option<String>,
    megabytes_per_second: f64,
}

pub(super) fn run(home: &Path, arguments: &Arguments) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let code = match arguments.recovery_code {
        true => Some(RecoveryCode::random(&mut random()?)),
        false => None,
    };
    let secret = match &code {
        Some(code) => code.letters(),
        None => choose(Which::Backup)?,
    };
    let order = BackupOrder { path: &arguments.file, replace: arguments.force, secret, recovery_code: code.is_some() };
    let work = Work::new("writing the backup");
    let summary = agent.back_up(&order, &mut |done, all| work.at(done, all))?;
    drop(work);
    let megabytes_per_second = summary.length as f64 / 1e6 / summary.taken.as_secs_f64().max(1e-3);
    // The code is shown only for a backup that there is.
    if arguments.json {
        return output::print_json(&BackupJson {
            file: arguments.file.display().to_string(),
            messages: summary.messages,
            contacts: summary.contacts,
            bytes: summary.length,
            texts_missing: summary.missing,
            account_key: summary.account_key,
            recovery_code: code.map(|code| code.text().to_string()),
            megabytes_per_second,
        });
    }
    if let Some(code) = &code {
        output::print(&format!(
            "Recovery code of this backup, shown this once and kept nowhere:\n\n  {}\n\nWrite it down and keep it away from the file. Without it nobody can open the backup.\n\n",
            *code.text()
        ))?;
    }
    let key = match summary.account_key {
        true => "the account key, so that a restored device needs no other one",
        false => "no account key, because this is not a primary device: a restored device has to be linked",
    };
    output::print(&format!(
        "{} messages and {} contacts are in {} ({} bytes, {megabytes_per_second:.0} MB/s), with {key}.\nAttachments that lie at servers are not in it; they are fetched from there as long as they are kept.\n",
        summary.messages,
        summary.contacts,
        arguments.file.display(),
        summary.length
    ))?;
    if summary.missing > 0 {
        eprintln!(
            "{} messages are in it without their text, which is not on this device; `sync` fetches it",
            summary.missing
        );
    }
    Ok(())
}
