//! `medipeps read`

use std::path::{Path, PathBuf};
use std::str::FromStr;

use medipeps_core::kind::{Attachment, AttachmentPlace, Body, Content, MailRecipient, RecipientRole};
use medipeps_core::limits::ATTACHMENT_PART_LENGTH;
use medipeps_core::wire::client_records::{MessageRecord, SenderCheck};
use serde::Serialize;

use super::inbox::{check_name, from, kind_name, urgency_name};
use super::mail::{RecipientJson, state_name};
use super::org::{CertifiedJson, certified_text};
use super::preview::PreviewJson;
use super::report::ReportJson;
use super::{CommandError, output, preview, progress, time};
use crate::engine::{Certified, Input, LocalId, MessageDetail, MessageSummary};
use crate::shell::agent::{Agent, AgentError, Saved};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The message's id, or its first digits
    id: String,
    /// Folder to save attachments in; nothing there is overwritten
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Look into the attachments: what each really is. No more than 64 KiB of one are fetched
    #[arg(long)]
    preview: bool,
    /// Write bytes of this attachment to standard output and nothing else; counted from 1
    #[arg(long, value_name = "N", requires = "range", conflicts_with_all = ["save", "preview", "json"])]
    attachment: Option<usize>,
    /// Which bytes: from the first to the last, counted from 0, both included
    #[arg(long, value_name = "FROM-TO", requires = "attachment")]
    range: Option<ByteRange>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `0-99`: the first hundred bytes.
#[derive(Debug, Clone, Copy)]
struct ByteRange {
    first: u64,
    last: u64,
}

impl FromStr for ByteRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REFUSED: &str = "a range is FROM-TO, for instance 0-4095";
        let (first, last) = text.split_once('-').ok_or(REFUSED)?;
        let (first, last) = (first.parse().map_err(|_| REFUSED)?, last.parse().map_err(|_| REFUSED)?);
        if first <= last && last < u64::MAX { Ok(Self { first, last }) } else { Err(REFUSED) }
    }
}

/// A message, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct MessageJson {
    pub(super) id: String,
    pub(super) sent: bool,
    pub(super) from: String,
    pub(super) from_name: String,
    pub(super) sender: Option<&'static str>,
    pub(super) sender_verified: bool,
    pub(super) certified: Vec<CertifiedJson>,
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) body: String,
    /// The text is not on this device; `body` is empty then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) body_missing: bool,
    pub(super) html: Option<String>,
    pub(super) created_at: String,
    pub(super) received_at: Option<String>,
    pub(super) urgency: &'static str,
    pub(super) thread: String,
    pub(super) in_reply_to: Option<String>,
    pub(super) attachments: Vec<AttachmentJson>,
    pub(super) recipients: Vec<RecipientJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) report: Option<ReportJson>,
}

/// An attachment, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct AttachmentJson {
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) size: u64,
    /// `message`: inside it; `server`: it is fetched when it is asked for.
    pub(super) place: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) saved_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) preview: Option<PreviewJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
}

pub(super) async fn run(home: &Path, arguments: &Arguments) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let ids: Vec<LocalId> = agent.messages()?.iter().map(|message| message.id).collect();
    let id = output::find_id(&arguments.id, &ids)?;
    if let (Some(number), Some(range)) = (arguments.attachment, arguments.range) {
        return write_range(&mut agent, id, number, range).await;
    }
    let watched = progress::watch(&mut agent);
    let shown = tokio::select! {
        shown = gather(&mut agent, id, arguments) => shown,
        interrupted = progress::interrupted() => interrupted.and(Err(CommandError::Interrupted(
            "what has been fetched is kept; the same command goes on with it",
        ))),
    };
    drop(watched);
    let Shown { message, missing, saved, previews } = shown?;
    let paths: Vec<_> = saved.iter().map(|saved| saved.as_ref().ok().cloned()).collect();
    let summary = MessageSummary { id: message.id, message: message.message.clone() };
    let sender_verified = !agent.verified(std::slice::from_ref(&summary))?.is_empty();
    let certified = agent.certified_senders(&[summary])?.into_values().flatten().collect::<Vec<_>>();
    let report = match &message.content.body {
        Body::Report(report) => Some(ReportJson::of(report, &agent.contacts()?, &agent.groups()?)),
        _ => None,
    };
    if arguments.json {
        let certified = certified.iter().map(CertifiedJson::from).collect();
        let body_missing = missing.is_some();
        let shown =
            MessageJson { sender_verified, report, certified, body_missing, ..json(&message, &paths, &previews) };
        output::print_json(&shown)?;
    } else {
        output::print(&text(&message, (sender_verified, &certified), &paths, &previews))?;
        if let Some(report) = report {
            output::print(&report.text())?;
        }
    }
    let mut failed = false;
    for (file, error) in
        message.content.attachments.iter().zip(&saved).filter_map(|(file, saved)| Some((file, saved.as_ref().err()?)))
    {
        failed = true;
        eprintln!("medipeps: {}: {}", output::line(&file.name), output::block(&error.to_string()));
    }
    if let Some(error) = missing {
        eprintln!("medipeps: the text of this message is not shown: {}", output::block(&error.to_string()));
        return Err(CommandError::Silent);
    }
    // Only what has been shown is marked; the receipt, if one was asked for, goes out with the next sync.
    agent.run(Input::MarkDisplayed(message.id), &mut |_| {}).await?;
    if failed { Err(CommandError::Silent) } else { Ok(()) }
}

/// Everything that was asked for.
struct Shown {
    message: MessageDetail,
    /// Why the body is not there.
    missing: Option<AgentError>,
    saved: Saved,
    previews: Vec<PreviewJson>,
}

async fn gather(agent: &mut Agent, id: LocalId, arguments: &Arguments) -> Result<Shown, CommandError> {
    let (message, missing) = agent.whole_message(id, &mut |_| {}).await?;
    let saved = match &arguments.save {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(CommandError::file(folder.display()))?;
            agent.save_attachments(&message, folder).await?
        }
        None => Vec::new(),
    };
    let previews = if arguments.preview { preview::preview(agent, &message).await? } else { Vec::new() };
    Ok(Shown { message, missing, saved, previews })
}

/// Bytes of one attachment, part by part.
async fn write_range(agent: &mut Agent, id: LocalId, number: usize, range: ByteRange) -> Result<(), CommandError> {
    let message = agent.outline(id)?;
    let index = number.checked_sub(1).filter(|index| *index < message.content.attachments.len());
    let index = index.ok_or_else(|| CommandError::Use(format!("the message has no attachment {number}")))?;
    let length = message.content.attachments.get(index).map_or(0, Attachment::length);
    let end = (range.last + 1).min(length);
    if range.first >= end {
        return Err(CommandError::Use(format!(
            "the attachment has {length} bytes; there is nothing from {} on",
            range.first
        )));
    }
    for from in (range.first..end).step_by(ATTACHMENT_PART_LENGTH) {
        let to = end.min(from + ATTACHMENT_PART_LENGTH as u64);
        output::print_bytes(&agent.read_range(&message, index, &(from..to)).await?)?;
    }
    Ok(())
}

/// The message as JSON has it; `saved` and `previews` are of all attachments, or empty.
pub(super) fn json(detail: &MessageDetail, saved: &[Option<PathBuf>], previews: &[PreviewJson]) -> MessageJson {
    let MessageDetail { id, message, content, .. } = detail;
    let (body, html, recipients) = parts(content);
    let of_role = |role| {
        let addresses = recipients.iter().filter(move |recipient| recipient.role == role);
        addresses.map(|recipient| recipient.address.to_string()).collect()
    };
    let attachment = |(index, file): (usize, &Attachment)| AttachmentJson {
        name: file.name.clone(),
        media_type: file.media_type.clone(),
        size: file.length(),
        place: match file.place {
            AttachmentPlace::Inline(_) => "message",
            AttachmentPlace::Blob(_) => "server",
        },
        saved_as: saved.get(index).and_then(Option::as_ref).map(|path| path.display().to_string()),
        preview: previews.get(index).cloned(),
        data: None,
    };
    MessageJson {
        id: output::id(id),
        sent: message.sent,
        from: message.sender.to_string(),
        from_name: message.sender_name.clone(),
        sender: (!message.sent).then(|| check_name(message.sender_check)),
        sender_verified: false,
        certified: Vec::new(),
        to: of_role(RecipientRole::To),
        cc: of_role(RecipientRole::Cc),
        kind: kind_name(message.kind),
        subject: message.subject.clone(),
        body: body.to_owned(),
        body_missing: false,
        html: html.map(str::to_owned),
        created_at: time::iso(message.created),
        received_at: (!message.sent).then(|| time::iso(message.received)),
        urgency: urgency_name(message.urgency),
        thread: output::id(&message.thread),
        in_reply_to: content.in_reply_to.map(|id| id.to_string()),
        attachments: content.attachments.iter().enumerate().map(attachment).collect(),
        recipients: message.recipients.iter().map(RecipientJson::from).collect(),
        report: None,
    }
}

fn text(
    detail: &MessageDetail,
    (verified, certified): (bool, &[Certified]),
    saved: &[Option<PathBuf>],
    previews: &[PreviewJson],
) -> String {
    let MessageDetail { message, content, .. } = detail;
    let (body, _, recipients) = parts(content);
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("From:", from(message));
    if let Some(warning) = warning(message) {
        row("", warning.to_owned());
    } else if verified {
        row("", "(verified: you have compared this sender's key)".to_owned());
    }
    for one in certified {
        row("", certified_text(one));
    }
    for (name, role) in [("To:", RecipientRole::To), ("Cc:", RecipientRole::Cc)] {
        let addresses: Vec<String> =
            recipients.iter().filter(|one| one.role == role).map(|one| one.address.to_string()).collect();
        if !addresses.is_empty() {
            row(name, addresses.join(", "));
        }
    }
    row("Subject:", output::line(&message.subject));
    if message.sent {
        row("Written:", time::iso(message.created));
    } else {
        row("Received:", time::iso(message.received));
    }
    if message.urgency != 0 {
        row("Urgency:", urgency_name(message.urgency).to_owned());
    }
    for recipient in &message.recipients {
        let code = recipient.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        row("State:", format!("{}: {}{code}", recipient.address, state_name(recipient.state)));
    }
    for (index, file) in content.attachments.iter().enumerate() {
        let saved = saved.get(index).and_then(Option::as_ref);
        let place = saved.map(|path| format!(", saved as {}", path.display())).unwrap_or_default();
        row("Attached:", format!("{} ({} bytes{place})", output::line(&file.name), file.length()));
        let Some(preview) = previews.get(index) else { continue };
        row("", preview.what.clone());
        for line in preview.mismatch.iter().chain(&preview.lines) {
            row("", format!("  {}", output::line(line)));
        }
    }
    format!("{}\n{}\n", output::columns(&rows), output::block(body).trim_end_matches('\n'))
}

fn warning(message: &MessageRecord) -> Option<&'static str> {
    match message.sender_check {
        _ if message.sent => None,
        SenderCheck::Checked => None,
        SenderCheck::Unchecked => Some("(not checked yet: the sender's server has not been asked)"),
        SenderCheck::Impostor => Some("(NOT FROM THIS ADDRESS: its server knows other keys for it)"),
    }
}

fn parts(content: &Content) -> (&str, Option<&str>, &[MailRecipient]) {
    match &content.body {
        Body::Mail(mail) => (&mail.text, mail.html.as_deref(), &mail.recipients),
        _ => (&content.fallback_text, None, &[]),
    }
}
