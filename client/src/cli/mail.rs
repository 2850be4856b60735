//! `medipeps mail send`

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use medipeps_core::Address;
use medipeps_core::kind::{ReceiptsWanted, Urgency, text_of_html};
use medipeps_core::limits::SUBJECT_LENGTH_MAX;
use medipeps_core::wire::client_records::{RecipientRecord, RecipientState, UploadSource};
use serde::Serialize;
use tokio::time::Instant;

use super::{CommandError, attachment, org, output, progress};
use crate::engine::{Event, LocalId, PendingUpload, SendMail};
use crate::shell::agent::Agent;

/// Bytes of a body file that are read; what is over the protocol's limit is refused by it, by name.
const BODY_FILE_LENGTH_MAX: u64 = 16 << 20;
/// Between two tries while waiting.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put a mail into the outbox and try to send it
    Send(Send),
}

#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// For whom: an address, or on-call:FUNCTION@ORGANISATION for who is on call now; may be repeated
    #[arg(long, required = true, value_name = "ADDRESS")]
    to: Vec<RecipientArgument>,
    /// Who gets a copy; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    cc: Vec<Address>,
    /// One line
    #[arg(long)]
    subject: String,
    /// The text; HTML if the name ends in .html or .htm; `-` for standard input
    #[arg(long, value_name = "FILE")]
    body_file: PathBuf,
    /// A file to go with it, of up to 16 GiB; it must stay as it is until it is sent; may be repeated
    #[arg(long, value_name = "FILE", num_args = 1..)]
    attach: Vec<PathBuf>,
    /// Send the attached images (JPEG, PNG, WebP) without what tells where and with what they were taken
    #[arg(long)]
    strip_location: bool,
    /// The mail that this one answers
    #[arg(long, value_name = "ID")]
    reply_to: Option<String>,
    /// How soon it must be read
    #[arg(long, value_enum, default_value_t = UrgencyArgument::Routine)]
    urgency: UrgencyArgument,
    /// Ask to be told; may be repeated
    #[arg(long, value_enum)]
    receipt: Vec<ReceiptArgument>,
    /// Seconds to try, those not counted in which files move; after that it stays in the outbox for `sync`
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Somebody by address, or whoever is on call.
#[derive(Debug, Clone)]
enum RecipientArgument {
    Address(Address),
    /// `FUNCTION@ORGANISATION`
    OnCall(String),
}

impl std::str::FromStr for RecipientArgument {
    type Err = <Address as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("on-call:") {
            Some(on_call) => Ok(Self::OnCall(on_call.to_owned())),
            None => text.parse().map(Self::Address),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UrgencyArgument {
    /// In the course of the day
    Routine,
    /// Within the hour
    Urgent,
    /// A life depends on it
    Vital,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReceiptArgument {
    /// When it has reached the recipient's device
    Delivered,
    /// When it has been shown
    Displayed,
}

/// What became of a mail, as JSON has it.
#[derive(Debug, Serialize)]
struct SentJson {
    id: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_percent: Option<u64>,
    recipients: Vec<RecipientJson>,
}

/// How far a mail has come with one recipient, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct RecipientJson {
    address: String,
    role: &'static str,
    state: &'static str,
    code: Option<String>,
}

impl From<&RecipientRecord> for RecipientJson {
    fn from(recipient: &RecipientRecord) -> Self {
        Self {
            address: recipient.address.to_string(),
            role: if recipient.copy { "cc" } else { "to" },
            state: state_name(recipient.state),
            code: recipient.code.clone(),
        }
    }
}

pub(super) async fn run(home: &Path, command: Command) -> Result<(), CommandError> {
    let Command::Send(arguments) = command;
    let mut mail = compose(&arguments)?;
    let attach = arguments.attach.iter();
    let documents: Vec<_> =
        attach.map(|path| attachment::document(path, arguments.strip_location)).collect::<Result<_, _>>()?;
    let mut agent = super::open(home)?;
    for recipient in &arguments.to {
        match recipient {
            RecipientArgument::Address(address) => mail.to.push(address.clone()),
            RecipientArgument::OnCall(typed) => {
                let on_call = org::recipients_on_call(typed, &agent.organisations()?)?;
                let who: Vec<_> = on_call.iter().map(Address::as_str).collect();
                eprintln!("on call: {}", who.join(", "));
                mail.to.extend(on_call);
            }
        }
    }
    if let Some(typed) = &arguments.reply_to {
        let ids: Vec<LocalId> = agent.messages()?.iter().map(|message| message.id).collect();
        mail.in_reply_to = Some(output::find_id(typed, &ids)?);
    }
    let mut printed = Ok(());
    let mut show = |event: &Event| {
        if let Event::MessageQueued { id } = event {
            // Before anything is tried: whoever is interrupted from here on knows that the mail is in the outbox.
            if !arguments.json {
                printed = output::print(&format!("{} ", output::id(id)));
            }
        }
    };
    let id = agent.send_mail(mail, documents, &mut show).await?;
    printed?;
    let watched = progress::watch(&mut agent);
    let tried = tokio::select! {
        tried = try_for(&mut agent, id, Duration::from_secs(arguments.wait)) => tried?,
        interrupted = progress::interrupted() => {
            drop(watched);
            interrupted?;
            return Err(CommandError::Interrupted("the mail is in the outbox; `sync` goes on with it"));
        }
    };
    drop(watched);
    let (recipients, problem) = tried;
    let sender = agent.outline(id)?.message.sender;
    let percent = upload_percent(&agent.uploads()?, &id);
    agent.close().await;
    let state = summary(&sender, &recipients);
    if arguments.json {
        let recipients = recipients.iter().map(RecipientJson::from).collect();
        output::print_json(&SentJson { id: output::id(&id), state, uploaded_percent: percent, recipients })?;
    } else {
        output::print(&format!("{state}\n"))?;
        explain(&recipients, percent, problem.as_deref());
    }
    if state == "failed" { Err(CommandError::Silent) } else { Ok(()) }
}

fn compose(arguments: &Send) -> Result<SendMail, CommandError> {
    let subject = arguments.subject.trim();
    if subject.len() > SUBJECT_LENGTH_MAX || subject.chars().any(char::is_control) {
        return Err(CommandError::Use(format!("a subject is one line of at most {SUBJECT_LENGTH_MAX} bytes")));
    }
    let body = read_body(&arguments.body_file)?;
    let extension = arguments.body_file.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let is_html = matches!(extension.as_deref(), Some("html" | "htm"));
    let (text, html) = if is_html { (text_of_html(&body), Some(body)) } else { (body, None) };
    Ok(SendMail {
        to: Vec::new(),
        cc: arguments.cc.clone(),
        subject: subject.to_owned(),
        text,
        html,
        attachments: Vec::new(),
        urgency: match arguments.urgency {
            UrgencyArgument::Routine => Urgency::Routine,
            UrgencyArgument::Urgent => Urgency::Urgent,
            UrgencyArgument::Vital => Urgency::Vital,
        },
        receipts_wanted: ReceiptsWanted {
            delivered: arguments.receipt.contains(&ReceiptArgument::Delivered),
            displayed: arguments.receipt.contains(&ReceiptArgument::Displayed),
            processed: false,
        },
        in_reply_to: None,
        body_copy: None,
    })
}

fn read_body(path: &Path) -> Result<String, CommandError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(BODY_FILE_LENGTH_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BODY_FILE_LENGTH_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(CommandError::file(path.display()))?;
    if bytes.len() as u64 > BODY_FILE_LENGTH_MAX {
        return Err(CommandError::Failed(format!("{} is no mail: it is over 16 MiB", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| CommandError::Failed(format!("{} is not UTF-8 text", path.display())))
}

/// Sends until every recipient is settled or the time is over. Also returns what stood in the way last.
async fn try_for(
    agent: &mut Agent,
    id: LocalId,
    wait: Duration,
) -> Result<(Vec<RecipientRecord>, Option<String>), CommandError> {
    let mut end = Instant::now() + wait;
    loop {
        let problem = match agent.send_due(&mut |_| {}).await {
            Ok(problem) => problem,
            Err(error) => Some(error.to_string()),
        };
        let recipients = agent.outline(id)?.message.recipients;
        // What a person must decide first does not change by waiting.
        let waits = |recipient: &RecipientRecord| {
            recipient.state == RecipientState::Queued && recipient.code.as_deref() != Some("recipient_key_changed")
        };
        if !recipients.iter().any(waits) || Instant::now() + PAUSE > end {
            return Ok((recipients, problem));
        }
        // What moves is worth waiting for, however long it takes.
        if agent.transfer_for(PAUSE, &mut |_| {}).await? {
            end = Instant::now() + wait;
        }
    }
}

/// How much of a message's files has been read and is at the server, or on its way there. None if nothing is to be uploaded
/// any more.
pub(super) fn upload_percent(uploads: &[PendingUpload], id: &LocalId) -> Option<u64> {
    let of_message = || uploads.iter().filter(|upload| upload.record.content_id == *id);
    let parts: usize = of_message().map(|upload| upload.digests.len()).sum();
    // A sealed copy has all its digests from the beginning; they tell nothing.
    let read = |upload: &PendingUpload| match upload.record.source {
        UploadSource::File { .. } => upload.digests.iter().flatten().count(),
        UploadSource::SealedCopy => 0,
    };
    let read: usize = of_message().map(read).sum();
    of_message().next().map(|_| (read * 100 / parts.max(1)) as u64)
}

/// The state of the slowest recipient, those who failed aside: `failed` if it went to nobody. A copy to oneself counts
/// only where there is nobody else.
pub(super) fn summary(sender: &Address, recipients: &[RecipientRecord]) -> &'static str {
    let alone = recipients.iter().all(|recipient| recipient.address == *sender);
    let others = recipients.iter().filter(|recipient| alone || recipient.address != *sender);
    let states = others.map(|recipient| recipient.state).filter(|state| *state != RecipientState::Failed);
    states.min().map_or("failed", state_name)
}

pub(super) const fn state_name(state: RecipientState) -> &'static str {
    match state {
        RecipientState::Queued => "queued",
        RecipientState::Accepted => "accepted",
        RecipientState::Delivered => "delivered",
        RecipientState::Displayed => "displayed",
        RecipientState::Failed => "failed",
    }
}

/// On standard error, so that standard output is the id and the state alone.
fn explain(recipients: &[RecipientRecord], percent: Option<u64>, problem: Option<&str>) {
    let uploaded = percent.map(|percent| format!(", {percent} % uploaded")).unwrap_or_default();
    for recipient in recipients {
        let address = &recipient.address;
        match (recipient.state, recipient.code.as_deref()) {
            (RecipientState::Failed, Some("unknown_account")) => {
                eprintln!("{address}: its server does not know this address");
            }
            (RecipientState::Failed, Some("domain_left")) => {
                let domain = address.domain();
                eprintln!(
                    "{address}: failed: {domain} has left the trust list, and nothing is sent there (domain_left)"
                );
            }
            (RecipientState::Failed, Some(code)) if failure_of_upload(code).is_some() => {
                eprintln!("{address}: {}", failure_of_upload(code).unwrap_or_default());
            }
            (RecipientState::Failed, code) => eprintln!("{address}: failed ({})", code.unwrap_or("unknown")),
            (RecipientState::Queued, Some("recipient_key_changed")) => eprintln!(
                "{address}: its keys are not the pinned ones; nothing was sent. Ask by another way, then run `contact add {address} --accept-new-key`"
            ),
            (RecipientState::Queued, code) => {
                let why = problem.or(code).map(|why| format!(" ({})", output::line(why))).unwrap_or_default();
                eprintln!("{address}: waits in the outbox{uploaded}{why}; `sync` sends it");
            }
            _ => {}
        }
    }
}

/// What the codes of uploads that failed for good say.
pub(super) fn failure_of_upload(code: &str) -> Option<&'static str> {
    Some(match code {
        "file_missing" => "failed: an attached file is no longer there; nothing was sent (file_missing)",
        "file_unreadable" => "failed: an attached file cannot be read; nothing was sent (file_unreadable)",
        "file_changed" => "failed: an attached file changes all the time; nothing was sent (file_changed)",
        "TooLarge" => "failed: the server does not take files of this size; nothing was sent (TooLarge)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_mail_is_its_slowest_recipient_s() {
        use RecipientState::{Accepted, Delivered, Failed, Queued};
        let summary_of = |states: &[RecipientState]| {
            let recipient = |state: &RecipientState| RecipientRecord {
                address: "a@b".parse().unwrap(),
                copy: false,
                state: *state,
                code: None,
                at: 0,
            };
            summary(&"me@b".parse().unwrap(), &states.iter().map(recipient).collect::<Vec<_>>())
        };
        assert_eq!(summary_of(&[Accepted, Queued]), "queued");
        assert_eq!(summary_of(&[Failed, Queued]), "queued");
        assert_eq!(summary_of(&[Failed, Failed]), "failed");
        assert_eq!(summary_of(&[Failed, Accepted]), "accepted");
        assert_eq!(summary_of(&[Delivered, Accepted]), "accepted");
        assert_eq!(summary_of(&[Delivered]), "delivered");
        let copy = |address: &str, state| RecipientRecord {
            address: address.parse().unwrap(),
            copy: true,
            state,
            code: None,
            at: 0,
        };
        let me = "me@b".parse().unwrap();
        assert_eq!(summary(&me, &[copy("a@b", Failed), copy("me@b", Delivered)]), "failed");
        assert_eq!(summary(&me, &[copy("me@b", Delivered)]), "delivered");
    }
}
