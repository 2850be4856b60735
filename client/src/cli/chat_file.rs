//! `medipeps chat photo|voice|file`, `medipeps group save`: files in a group.

use std::path::{Path, PathBuf};

use medipeps_core::kind::{Chat, Voice};
use serde::Serialize;

use super::{CommandError, attachment, chat, group, output, progress};
use crate::shell::agent::{Agent, Document, Saved};

#[derive(Debug, clap::Args)]
pub(super) struct PhotoArguments {
    /// The group's name or the beginning of its id
    group: String,
    /// A JPEG, PNG or WebP image
    file: PathBuf,
    /// What is to be said with it
    #[arg(long, value_name = "TEXT", default_value = "")]
    caption: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct VoiceArguments {
    /// The group's name or the beginning of its id
    group: String,
    /// The recording
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct FileArguments {
    /// The group's name or the beginning of its id
    group: String,
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What is to be said with them
    #[arg(long, value_name = "TEXT", default_value = "")]
    text: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct SaveArguments {
    /// The group's name or the beginning of its id
    group: String,
    /// The message's number, as `group log` shows it
    number: u64,
    /// The folder to save in
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A file that was to be saved, as JSON has it.
#[derive(Debug, Serialize)]
struct SavedJson {
    name: String,
    saved_as: Option<String>,
    error: Option<String>,
}

pub(super) async fn photo(home: &Path, arguments: PhotoArguments) -> Result<(), CommandError> {
    let PhotoArguments { group, file, caption, json } = arguments;
    let (photo, document) = attachment::photo(&file, &caption)?;
    say(home, &group, (Chat::Photo(photo), vec![document]), json).await
}

pub(super) async fn voice(home: &Path, arguments: VoiceArguments) -> Result<(), CommandError> {
    let VoiceArguments { group, file, json } = arguments;
    let (recording, document) = attachment::recording(&file)?;
    say(home, &group, (Chat::Voice(Voice { duration: recording.duration }), vec![document]), json).await
}

pub(super) async fn files(home: &Path, arguments: FileArguments) -> Result<(), CommandError> {
    let FileArguments { group, files, text, json } = arguments;
    let documents = files.iter().map(|path| attachment::document(path, false)).collect::<Result<_, _>>()?;
    say(home, &group, (Chat::Text { text }, documents), json).await
}

async fn say(
    home: &Path,
    group: &str,
    (chat, documents): (Chat, Vec<Document>),
    json: bool,
) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let watched = progress::watch(&mut agent);
    let said = tokio::select! {
        said = chat::send_chat(&mut agent, (group, None), (None, None), documents, |_| Ok(chat)) => said,
        interrupted = progress::interrupted() => interrupted.and(Err(CommandError::Interrupted(
            "what was queued is kept; `sync` goes on with it",
        ))),
    };
    drop(watched);
    agent.close().await;
    chat::finish(said?, json)
}

pub(super) async fn save(home: &Path, arguments: &SaveArguments) -> Result<(), CommandError> {
    let mut agent = super::open(home)?;
    let watched = progress::watch(&mut agent);
    let saved = tokio::select! {
        saved = save_files(&mut agent, arguments) => saved,
        interrupted = progress::interrupted() => interrupted.and(Err(CommandError::Interrupted(
            "what has been fetched is kept; the same command goes on with it",
        ))),
    };
    drop(watched);
    agent.close().await;
    let (names, saved) = saved?;
    let failed = saved.iter().any(Result::is_err);
    if arguments.json {
        let file = |(name, saved): (String, Result<PathBuf, _>)| SavedJson {
            name,
            saved_as: saved.as_ref().ok().map(|path: &PathBuf| path.display().to_string()),
            error: saved.err().map(|error: crate::shell::transfer::SaveError| error.to_string()),
        };
        output::print_json(&names.into_iter().zip(saved).map(file).collect::<Vec<_>>())?;
    } else {
        for (name, saved) in names.iter().zip(&saved) {
            match saved {
                Ok(path) => output::print(&format!("{}\n", output::line(&path.display().to_string())))?,
                Err(error) => eprintln!("medipeps: {}: {}", output::line(name), output::block(&error.to_string())),
            }
        }
    }
    if failed { Err(CommandError::Silent) } else { Ok(()) }
}

async fn save_files(agent: &mut Agent, arguments: &SaveArguments) -> Result<(Vec<String>, Saved), CommandError> {
    let id = group::find(&arguments.group, &agent.groups()?)?;
    let number = arguments.number;
    let message = agent.group_message(&id, number)?;
    if message.content.attachments.is_empty() {
        return Err(CommandError::Failed(format!("message {number} has no files")));
    }
    std::fs::create_dir_all(&arguments.to).map_err(CommandError::file(arguments.to.display()))?;
    let names = message.content.attachments.iter().map(|file| file.name.clone()).collect();
    Ok((names, agent.save_group_files(&message, &arguments.to).await?))
}
