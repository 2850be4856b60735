//! `medipeps export`

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use medipeps_core::kind::{AttachmentPlace, Body};
use serde::Serialize;

use super::contact::ContactJson;
use super::read::{MessageJson, json};
use super::report::ReportJson;
use super::{CommandError, output};
use crate::shell::agent::{Agent, AgentError};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file; one that exists is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// One line of an export.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Account { address: String, name: String, server: String },
    Contact(ContactJson),
    Message(Box<MessageJson>),
}

/// Messages and contacts, each a line of JSON. No key of any kind is among them.
pub(super) async fn run(home: &Path, arguments: &Arguments) -> Result<(), CommandError> {
    write(&mut super::open(home)?, &arguments.out).await
}

/// The same for an account that is open.
pub(super) async fn write(agent: &mut Agent, out: &Path) -> Result<(), CommandError> {
    let failed = || CommandError::file(out.display());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = BufWriter::new(options.open(out).map_err(failed())?);
    let (mut lines, mut documents, mut texts_missing) = (0, 0, 0);
    let mut write = |line: &Line| {
        lines += 1;
        let text = serde_json::to_string(line).map_err(std::io::Error::other).map_err(failed())?;
        writeln!(file, "{}", output::escaped_json(&text)).map_err(failed())
    };
    if let Some(account) = agent.status()?.account {
        let address = account.address.to_string();
        write(&Line::Account { address, name: account.name, server: account.server })?;
    }
    let (contacts, settings) = (agent.contacts()?, agent.settings()?);
    for contact in &contacts {
        write(&Line::Contact(ContactJson::with(contact, &settings)))?;
    }
    for summary in agent.messages()?.into_iter().rev() {
        // A text that is not here, or spoilt, must not keep the others from being written.
        let (detail, missing) = match agent.message(summary.id).await {
            Ok(detail) => {
                let missing = detail.missing_body.is_some();
                (detail, missing)
            }
            Err(AgentError::SealedCopy(_) | AgentError::NoBody(_)) => (agent.outline(summary.id)?, true),
            Err(error) => return Err(error.into()),
        };
        let mut message = json(&detail, &[], &[]);
        if let Body::Report(report) = &detail.content.body {
            message.report = Some(ReportJson::of(report, &contacts, &[]));
        }
        message.body_missing = missing;
        texts_missing += usize::from(missing);
        documents += message.attachments.iter().filter(|attachment| attachment.place == "server").count();
        for (shown, file) in message.attachments.iter_mut().zip(&detail.content.attachments) {
            if let AttachmentPlace::Inline(data) = &file.place {
                shown.data = Some(BASE64.encode(data));
            }
        }
        write(&Line::Message(Box::new(message)))?;
    }
    file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all()).map_err(failed())?;
    output::print(&format!("{lines} lines in {}. They are readable by whoever has the file.\n", out.display()))?;
    if documents > 0 {
        eprintln!("{documents} attachments are not in it: they lie at servers; `read ID --save DIR` fetches them");
    }
    if texts_missing > 0 {
        eprintln!(
            "{texts_missing} messages are in it without their text, which is not on this device; `sync` fetches it"
        );
    }
    Ok(())
}
