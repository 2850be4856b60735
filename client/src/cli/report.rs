//! `medipeps group report`, and how a report is shown to the officer who has it.

use std::fmt::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use medipeps_core::Address;
use medipeps_core::kind::{Attachment, Content, Report, ReportedMessage};
use serde::Serialize;

use super::mail::summary;
use super::{CommandError, group, output, time};
use crate::engine::{ContactSummary, GroupId, GroupSummary};
use crate::shell::agent::Agent;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The group's name or the beginning of its id
    #[arg(value_name = "GROUP")]
    group: String,
    /// The message's number, as `group log` shows it
    #[arg(value_name = "NUMBER")]
    number: u64,
    /// To whom; the officer of the group's organisation without it
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of a report, as JSON has it.
#[derive(Debug, Serialize)]
struct SentJson {
    id: String,
    to: String,
    state: &'static str,
    problem: Option<String>,
}

/// A report, as JSON has it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ReportJson {
    verified: bool,
    /// Why not.
    problem: Option<String>,
    reason: String,
    group_log: String,
    /// If the officer is in the group himself.
    group: Option<String>,
    claimed_sequence: u64,
    message: Option<ReportedJson>,
    not_proven: Vec<&'static str>,
}

/// The message in it, as JSON has it.
#[derive(Debug, Clone, Serialize)]
struct ReportedJson {
    id: String,
    thread: String,
    from: String,
    device: u32,
    /// Of the group.
    epoch: u64,
    account_key: String,
    /// `pinned`, `compared`, `other` (than the contact's) or `unknown`.
    account_key_is: &'static str,
    kind: u32,
    text: String,
    claimed_at: String,
    attachments: Vec<AttachmentJson>,
}

#[derive(Debug, Clone, Serialize)]
struct AttachmentJson {
    name: String,
    size: u64,
}

/// What no report proves. `spec/franking.md`.
const NOT_PROVEN: [&str; 5] = [
    "when in its epoch the message was sent and where it stood: its time is the sender's word, its place the reporter's",
    "what was said before and after it",
    "that the person held the device: a thief may have",
    "that it was not edited or deleted later",
    "that the account is the person's, until its key is compared with the one that the organisation has certified",
];

pub(super) async fn run(home: &Path, arguments: Arguments) -> Result<(), CommandError> {
    let Arguments { group, number, to, reason, json } = arguments;
    let mut agent = super::open(home)?;
    let result = send(&mut agent, &group, number, (to, reason)).await;
    agent.close().await;
    let sent = result?;
    let failed = sent.state == "failed";
    if json {
        output::print_json(&sent)?;
    } else {
        output::print(&format!("{} {}\n", sent.id, sent.state))?;
        if let Some(problem) = &sent.problem {
            eprintln!("{}: {}; `sync` goes on with it", sent.to, output::line(problem));
        }
    }
    if failed { Err(CommandError::Silent) } else { Ok(()) }
}

async fn send(
    agent: &mut Agent,
    group: &str,
    number: u64,
    (to, reason): (Option<Address>, String),
) -> Result<SentJson, CommandError> {
    let groups = agent.groups()?;
    let group = group::find(group, &groups)?;
    let to = match (to, groups.iter().find(|one| one.id == group)) {
        (Some(to), _) => to,
        (None, known) => officer(agent, &group, known.and_then(|known| known.group.organisation.as_ref()))?,
    };
    let id = agent.report(group, number, (to.clone(), reason), &mut |_| {}).await?;
    let problem = agent.send_due(&mut |_| {}).await?;
    let message = agent.outline(id)?.message;
    let state = summary(&message.sender, &message.recipients);
    let code = message.recipients.iter().find_map(|recipient| recipient.code.clone());
    let waits = matches!(state, "queued" | "failed");
    Ok(SentJson { id: output::id(&id), to: to.to_string(), state, problem: problem.or(code).filter(|_| waits) })
}

/// Whom the group's organisation has named for reports.
fn officer(agent: &mut Agent, group: &GroupId, organisation: Option<&Address>) -> Result<Address, CommandError> {
    let Some(address) = organisation else {
        return Err(CommandError::Use(
            "the group belongs to no organisation; say with --to who gets the report".to_owned(),
        ));
    };
    agent.officer_of(group)?.ok_or_else(|| {
        CommandError::Failed(format!("no officer of {address} is known here; say with --to who gets the report"))
    })
}

impl ReportJson {
    /// Checks a report, and holds the sender's account key against what is known here.
    pub(super) fn of(report: &Report, contacts: &[ContactSummary], groups: &[GroupSummary]) -> Self {
        let proven = report.verify();
        let problem = match &proven {
            Ok(_) => None,
            Err(_) if report.content.is_empty() => Some("the reported message is not on this device yet".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let group = groups.iter().find(|group| group.id == report.log_id);
        Self {
            verified: proven.is_ok(),
            problem,
            reason: report.reason.clone(),
            group_log: HEXLOWER.encode(&report.log_id),
            group: group.map(|group| group.group.name.clone()),
            claimed_sequence: report.position.sequence,
            message: proven.ok().map(|proven| ReportedJson::of(&proven, contacts)),
            not_proven: NOT_PROVEN.to_vec(),
        }
    }

    /// As a person reads it.
    pub(super) fn text(&self) -> String {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        let group = self.group.as_ref().map(|name| format!(" (\"{}\")", output::line(name))).unwrap_or_default();
        row("Group log:", format!("{}{group}", self.group_log));
        let Some(message) = &self.message else {
            row("Proven:", format!("NO: {}", self.problem.as_deref().unwrap_or("unknown")));
            return format!(
                "{}\nNothing of it is shown: it would accuse somebody without proof.\n\nReason given:\n{}\n",
                output::columns(&rows),
                output::block(&self.reason).trim_end()
            );
        };
        row(
            "Proven:",
            format!("yes: device {} of {} signed exactly this for this group", message.device, message.from),
        );
        row("Its key:", format!("{} ({})", message.account_key, key_text(message.account_key_is)));
        row("Written:", format!("{} (as the sender says)", message.claimed_at));
        row("Place:", format!("{} (as the reporter says), in epoch {}", self.claimed_sequence, message.epoch));
        for file in &message.attachments {
            row("Attached:", format!("{} ({} bytes)", output::line(&file.name), file.size));
        }
        let mut text = output::columns(&rows);
        let _ = write!(text, "\nThe message:\n{}\n", indented(&message.text));
        let _ = write!(text, "\nReason given:\n{}\n\nNot proven:\n", indented(&self.reason));
        for line in &self.not_proven {
            let _ = writeln!(text, "  - {line}");
        }
        text
    }
}

impl ReportedJson {
    fn of(proven: &ReportedMessage, contacts: &[ContactSummary]) -> Self {
        let ReportedMessage { content, sender, device_id, epoch } = proven;
        let contact = contacts.iter().find(|contact| contact.address == sender.address);
        Self {
            id: content.id.to_string(),
            thread: content.thread.to_string(),
            from: sender.address.to_string(),
            device: *device_id,
            epoch: *epoch,
            account_key: HEXLOWER.encode(sender.account_key.as_bytes()),
            account_key_is: match contact {
                None => "unknown",
                Some(contact) if contact.account_key != sender.account_key => "other",
                Some(contact) if contact.verified.is_some() => "compared",
                Some(_) => "pinned",
            },
            kind: content.body.kind_number(),
            text: said(content),
            claimed_at: time::iso(content.created),
            attachments: content.attachments.iter().map(AttachmentJson::of).collect(),
        }
    }
}

impl AttachmentJson {
    fn of(attachment: &Attachment) -> Self {
        Self { name: attachment.name.clone(), size: attachment.length() }
    }
}

/// Not the fallback text, which a sender may have made another one: what the message shows to those who know its kind.
fn said(content: &Content) -> String {
    match content.body.fallback_text() {
        text if text.is_empty() => content.fallback_text.clone(),
        text => text,
    }
}

fn key_text(is: &str) -> &'static str {
    match is {
        "compared" => "the one that you have compared with this contact",
        "pinned" => "the one that is pinned for this contact",
        "other" => "NOT THE ONE that is pinned for this contact",
        _ => "no contact of yours",
    }
}

fn indented(text: &str) -> String {
    output::block(text).lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use medipeps_core::crypto::signature::SigningKey;
    use medipeps_core::group::{GroupEngine, GroupPolicy, Suite};
    use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys};
    use medipeps_core::kind::{Body, Chat, LogPosition, MessageId, ReceiptsWanted, Urgency};

    use super::*;

    fn report(said: &str) -> Report {
        let rng = &mut crate::shell::agent::random().unwrap();
        let (account_key, keys) = (SigningKey::random(rng), DeviceSecretKeys::random(rng));
        let address = "ben@clinic.example".parse().unwrap();
        let certificate = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1);
        let content = Content {
            id: MessageId([1; 16]),
            thread: MessageId([2; 16]),
            in_reply_to: None,
            replaces: None,
            created: 0,
            expires: None,
            urgency: Urgency::Routine,
            sender_name: String::new(),
            sender_role: String::new(),
            on_behalf_of: None,
            patient: None,
            receipts_wanted: ReceiptsWanted::default(),
            fallback_text: "Good evening".to_owned(),
            attachments: Vec::new(),
            body_blob: None,
            sender_statement_version: 1,
            body: Body::Chat(Chat::Text { text: said.to_owned() }),
        };
        let policy = GroupPolicy::new("Ward", &address, *account_key.verifying_key().as_bytes(), "clinic.example");
        let engine = GroupEngine { certificate: &certificate, signing_key: &keys.signing_key };
        let mut group = engine.create(Suite::PostQuantum, &policy, 1, rng).unwrap();
        let content = content.encode().unwrap();
        Report {
            log_id: group.log_id(),
            position: LogPosition { incarnation: [1; 16], sequence: 40 },
            content: content.to_vec(),
            proof: group.encrypt(&content, rng).unwrap().proof,
            sender_certificate: certificate.signed().encode(),
            reason: "An \u{1b}[31minsult".to_owned(),
        }
    }

    #[test]
    fn an_officer_sees_what_was_said_and_not_what_the_sender_wrote_for_others_to_see() {
        let shown = ReportJson::of(&report("You fool\u{1b}[2J"), &[], &[]);
        assert!(shown.verified && shown.problem.is_none());
        let text = shown.text();
        assert!(text.contains("You fool\u{fffd}[2J") && !text.contains("Good evening"), "{text}");
        assert!(text.contains("device 1 of ben@clinic.example signed exactly this"), "{text}");
        assert!(text.contains("no contact of yours") && text.contains("Not proven:"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn nothing_is_shown_of_what_is_not_proven() {
        let mut altered = report("You fool");
        altered.log_id = [8; 32];
        let shown = ReportJson::of(&altered, &[], &[]);
        assert!(!shown.verified && shown.message.is_none());
        let text = shown.text();
        assert!(text.contains("NO: the signature of the message does not verify"), "{text}");
        assert!(!text.contains("You fool") && !text.contains("ben@"), "{text}");
        let missing = ReportJson::of(&Report { content: Vec::new(), ..altered }, &[], &[]);
        assert_eq!(missing.problem.as_deref(), Some("the reported message is not on this device yet"));
    }
}
