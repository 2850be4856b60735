//! `medipeps case export`, `medipeps case verify`: a case as a signed file, and what an auditor makes of one.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use medipeps_core::attachment::{part_digest, root};
use medipeps_core::kind::{
    Author, Chat, ShownFile, SignedTranscript, TaskState, Transcript, TranscriptMessage, TranscriptSays,
    VerifiedTranscript,
};
use medipeps_core::limits::{ATTACHMENT_PART_LENGTH, TRANSCRIPT_FILE_LENGTH_MAX};
use serde::Serialize;

use super::case::{self, EventJson, MemberJson, PatientJson};
use super::{CommandError, output, time};
use crate::shell::agent::cases::ExportError;

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The exported case
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A document that is said to belong to it; may be repeated
    #[arg(long, value_name = "DOCUMENT")]
    document: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What no transcript proves. `spec/case.md`.
const NOT_PROVEN: [&str; 3] = [
    "that the case was like this: who exports can leave out or make up, and the authors have not signed for it",
    "that the account is the person's, until its key is compared with the one that the organisation has certified",
    "when anything was said, and when it was exported: the times are the group's server's and the exporter's device's",
];

/// A transcript, as JSON has it.
#[derive(Debug, Serialize)]
struct TranscriptJson {
    verified: bool,
    exported_by: String,
    device: u32,
    account_key: String,
    exported_at: String,
    not_proven: Vec<&'static str>,
    id: String,
    group_log: Option<String>,
    title: String,
    patient: PatientJson,
    closes_at: Option<String>,
    team: Vec<MemberJson>,
    events: Vec<EventJson>,
    messages: Vec<SaidJson>,
    documents: Vec<DocumentJson>,
}

#[derive(Debug, Serialize)]
struct SaidJson {
    id: String,
    from: String,
    account_key: String,
    at: String,
    sequence: u64,
    text: String,
    edited_at: Option<String>,
    in_reply_to: Option<String>,
    files: Vec<FileJson>,
    reactions: Vec<ReactionJson>,
}

#[derive(Debug, Serialize)]
struct FileJson {
    name: String,
    size: u64,
    root: String,
}

#[derive(Debug, Serialize)]
struct ReactionJson {
    emoji: String,
    by: Vec<String>,
}

/// A document that the auditor has, and where it occurs in the case.
#[derive(Debug, Serialize)]
struct DocumentJson {
    path: String,
    size: u64,
    root: String,
    belongs: bool,
    /// Ids of messages.
    messages: Vec<String>,
}

impl From<ExportError> for CommandError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Agent(error) => error.into(),
            ExportError::Transcript(error) => Self::Failed(error.to_string()),
        }
    }
}

pub(super) fn export(home: &Path, typed: &str, path: &Path) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let (group, case) = case::find(&mut agent, typed)?;
    let signed = agent.export_case(&group, case)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = || CommandError::file(path.display());
    let mut file = options.open(path).map_err(failed())?;
    file.write_all(&signed.encode()).and_then(|()| file.sync_all()).map_err(failed())?;
    output::print(&format!(
        "{}: signed by this device. It is readable by whoever has it; `case verify` checks it without an account.\n",
        path.display()
    ))
}

pub(super) fn verify(arguments: &Verify) -> Result<(), CommandError> {
    let mut bytes = Vec::new();
    let limit = TRANSCRIPT_FILE_LENGTH_MAX as u64 + 1;
    let read = File::open(&arguments.file).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(CommandError::file(arguments.file.display()))?;
    let refused = |error| CommandError::Failed(format!("NOT VERIFIED: {error}. Nothing of it is shown"));
    let verified = SignedTranscript::decode(&bytes).and_then(|signed| signed.verify()).map_err(refused)?;
    let documents: Vec<_> =
        arguments.document.iter().map(|path| DocumentJson::of(path, &verified.transcript)).collect::<Result<_, _>>()?;
    let strange = documents.iter().any(|document| !document.belongs);
    let shown = TranscriptJson::of(&verified, documents);
    if arguments.json {
        output::print_json(&shown)?;
    } else {
        output::print(&shown.text())?;
    }
    if strange { Err(CommandError::Silent) } else { Ok(()) }
}

impl TranscriptJson {
    fn of(verified: &VerifiedTranscript, documents: Vec<DocumentJson>) -> Self {
        let VerifiedTranscript { transcript, signer, device_id } = verified;
        Self {
            verified: true,
            exported_by: signer.address.to_string(),
            device: *device_id,
            account_key: key_text(signer),
            exported_at: time::iso(transcript.exported),
            not_proven: NOT_PROVEN.to_vec(),
            id: transcript.case.to_string(),
            group_log: transcript.log_id.map(|log| HEXLOWER.encode(&log)),
            title: transcript.title.clone(),
            patient: PatientJson::of(&transcript.patient),
            closes_at: transcript.closes.map(time::iso),
            team: transcript.team.iter().map(MemberJson::of).collect(),
            events: transcript.events.iter().map(EventJson::of).collect(),
            messages: transcript.messages.iter().map(SaidJson::of).collect(),
            documents,
        }
    }

    fn text(&self) -> String {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        row(
            "Verified:",
            format!("device {} of {} has signed that its case looked like this", self.device, self.exported_by),
        );
        row("Its key:", self.account_key.clone());
        row("Exported:", format!("{} (by the device's clock)", self.exported_at));
        row("Case:", output::line(&self.title));
        row("Id:", self.id.clone());
        if let Some(log) = &self.group_log {
            row("Group log:", log.clone());
        }
        row("Patient:", output::line(&format!("{} {}", self.patient.identifier, self.patient.assigning_authority)));
        if let Some(closes) = &self.closes_at {
            row("Closes:", closes.clone());
        }
        let mut text = output::columns(&rows);
        text.push_str("\nNot proven:\n");
        for line in &self.not_proven {
            let _ = writeln!(text, "  - {line}");
        }
        text.push_str(&case::team_and_events(&self.team, &self.events));
        for message in &self.messages {
            text.push_str(&message.lines());
        }
        for document in &self.documents {
            let is = if document.belongs { "is in the case" } else { "is NOT in the case" };
            let _ = writeln!(text, "{} ({} bytes) {is}: {}", document.path, document.size, document.root);
        }
        text
    }
}

impl SaidJson {
    fn of(message: &TranscriptMessage) -> Self {
        let reaction = |(emoji, by): &(String, Vec<Author>)| ReactionJson {
            emoji: emoji.clone(),
            by: by.iter().map(|author| author.address.to_string()).collect(),
        };
        Self {
            id: message.id.to_string(),
            from: message.author.address.to_string(),
            account_key: key_text(&message.author),
            at: time::iso(message.place.at),
            sequence: message.place.position,
            text: said(&message.says),
            edited_at: message.edited.map(time::iso),
            in_reply_to: message.in_reply_to.map(|id| id.to_string()),
            files: message.files.iter().map(FileJson::of).collect(),
            reactions: message.reactions.iter().map(reaction).collect(),
        }
    }

    fn lines(&self) -> String {
        let edited = self.edited_at.as_ref().map(|at| format!(" (edited {at})")).unwrap_or_default();
        let mut text = format!("{:>4}  {}  {}{edited}\n", self.sequence, self.at, self.from);
        for line in output::block(&self.text).lines() {
            let _ = writeln!(text, "      {line}");
        }
        for file in &self.files {
            let _ = writeln!(text, "      + {} ({} bytes, {})", output::line(&file.name), file.size, file.root);
        }
        for reaction in &self.reactions {
            let _ = writeln!(text, "      [{} {}]", output::line(&reaction.emoji), reaction.by.join(", "));
        }
        text
    }
}

impl FileJson {
    fn of(file: &ShownFile) -> Self {
        Self { name: file.name.clone(), size: file.length, root: HEXLOWER.encode(&file.root) }
    }
}

impl DocumentJson {
    /// Computes the root of a document, part by part, and looks for it.
    fn of(path: &Path, transcript: &Transcript) -> Result<Self, CommandError> {
        let failed = || CommandError::file(path.display());
        let mut file = File::open(path).map_err(failed())?;
        let (mut digests, mut length) = (Vec::new(), 0);
        loop {
            let mut part = Vec::new();
            let read = (&mut file).take(ATTACHMENT_PART_LENGTH as u64).read_to_end(&mut part).map_err(failed())?;
            if read == 0 && !digests.is_empty() {
                break;
            }
            length += read as u64;
            digests.push(part_digest(&part));
            if read < ATTACHMENT_PART_LENGTH {
                break;
            }
        }
        let digest = root(length, &digests);
        let has = |message: &&TranscriptMessage| {
            message.files.iter().any(|file| file.root == digest && file.length == length)
        };
        let messages: Vec<_> = transcript.messages.iter().filter(has).map(|message| message.id.to_string()).collect();
        let (path, root) = (path.display().to_string(), HEXLOWER.encode(&digest));
        Ok(Self { path, size: length, root, belongs: !messages.is_empty(), messages })
    }
}

fn key_text(author: &Author) -> String {
    HEXLOWER.encode(author.account_key.as_bytes())
}

/// What a message said, in words.
fn said(says: &TranscriptSays) -> String {
    match says {
        TranscriptSays::Text(text) => text.clone(),
        TranscriptSays::Photo(photo) => Chat::Photo(photo.clone()).fallback_text(),
        TranscriptSays::Voice(voice) => Chat::Voice(*voice).fallback_text(),
        TranscriptSays::Poll { question, options, .. } => {
            options.iter().zip(1..).fold(question.clone(), |text, (option, number)| {
                let voters: Vec<_> = option.voters.iter().map(|voter| voter.address.as_str()).collect();
                format!("{text}\n  {number}. {}: {}", option.text, voters.join(", "))
            })
        }
        TranscriptSays::Task(task, state) => {
            let state = match state {
                TaskState::Open => "[ ]",
                TaskState::Done => "[x]",
                TaskState::Declined => "[-]",
            };
            format!("{state} {}", task.text)
        }
        TranscriptSays::Deleted { at } => format!("(taken back {})", time::iso(*at)),
    }
}
