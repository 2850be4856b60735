//! `medipeps read`

use std::path::{Path, PathBuf};

use medipeps_core::kind::{Attachment, AttachmentPlace, Body, Content, MailRecipient, RecipientRole};
use medipeps_core::wire::client_records::{MessageRecord, SenderCheck};
use serde::Serialize;

use super::inbox::{check_name, from, kind_name, urgency_name};
use super::mail::{RecipientJson, state_name};
use super::{CommandError, attachment, output, time};
use crate::engine::{Input, LocalId, MessageDetail};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The message's id, or its first digits
    id: String,
    /// Folder to save attachments in; nothing there is overwritten
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A message, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct MessageJson {
    pub(super) id: String,
    pub(super) sent: bool,
    pub(super) from: String,
    pub(super) from_name: String,
    pub(super) sender: Option<&'static str>,
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) html: Option<String>,
    pub(super) created_at: String,
    pub(super) received_at: Option<String>,
    pub(super) urgency: &'static str,
    pub(super) thread: String,
    pub(super) in_reply_to: Option<String>,
    pub(super) attachments: Vec<AttachmentJson>,
    pub(super) recipients: Vec<RecipientJson>,
}

/// An attachment, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct AttachmentJson {
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) saved_as: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
}

pub(super) async fn run(home: &Path, arguments: &Arguments) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let ids: Vec<LocalId> = agent.messages()?.iter().map(|message| message.id).collect();
    let message = agent.message(output::find_id(&arguments.id, &ids)?)?;
    let saved = match &arguments.save {
        Some(folder) => save(folder, &message.content)?,
        None => Vec::new(),
    };
    if arguments.json {
        output::print_json(&json(&message, &saved))?;
    } else {
        output::print(&text(&message, &saved))?;
    }
    // Only what has been shown is marked; the receipt, if one was asked for, goes out with the next sync.
    agent.run(Input::MarkDisplayed(message.id), &mut |_| {}).await?;
    Ok(())
}

fn save(folder: &Path, content: &Content) -> Result<Vec<PathBuf>, CommandError> {
    std::fs::create_dir_all(folder).map_err(CommandError::file(folder.display()))?;
    let save = |file: &Attachment| match &file.place {
        AttachmentPlace::Inline(data) => attachment::save(folder, &file.name, data),
        AttachmentPlace::Blob(_) => {
            Err(CommandError::Failed(format!("\"{}\" is not in the message", output::line(&file.name))))
        }
    };
    content.attachments.iter().map(save).collect()
}

/// The message as JSON has it; `saved` has the paths of all attachments, or none.
pub(super) fn json(detail: &MessageDetail, saved: &[PathBuf]) -> MessageJson {
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
        saved_as: saved.get(index).map(|path| path.display().to_string()),
        data: None,
    };
    MessageJson {
        id: output::id(id),
        sent: message.sent,
        from: message.sender.to_string(),
        from_name: message.sender_name.clone(),
        sender: (!message.sent).then(|| check_name(message.sender_check)),
        to: of_role(RecipientRole::To),
        cc: of_role(RecipientRole::Cc),
        kind: kind_name(message.kind),
        subject: message.subject.clone(),
        body: body.to_owned(),
        html: html.map(str::to_owned),
        created_at: time::iso(message.created),
        received_at: (!message.sent).then(|| time::iso(message.received)),
        urgency: urgency_name(message.urgency),
        thread: output::id(&message.thread),
        in_reply_to: content.in_reply_to.map(|id| id.to_string()),
        attachments: content.attachments.iter().enumerate().map(attachment).collect(),
        recipients: message.recipients.iter().map(RecipientJson::from).collect(),
    }
}

fn text(detail: &MessageDetail, saved: &[PathBuf]) -> String {
    let MessageDetail { message, content, .. } = detail;
    let (body, _, recipients) = parts(content);
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("From:", from(message));
    if let Some(warning) = warning(message) {
        row("", warning.to_owned());
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
        let place = saved.get(index).map(|path| format!(", saved as {}", path.display())).unwrap_or_default();
        row("Attached:", format!("{} ({} bytes{place})", output::line(&file.name), file.length()));
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
        Body::Receipt(_) | Body::Unknown { .. } => (&content.fallback_text, None, &[]),
    }
}
