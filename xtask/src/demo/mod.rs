//! `cargo demo`: the two released commands, driven as processes.
//!
//! Three professionals exchange mail, a report and a large file, and talk in a group, over a real server, which is killed on the way and started
//! again. Then every byte that the server kept or logged is searched for what they wrote.

mod care_team;
mod cda;
mod encoding;
mod evidence;
mod large;
mod mails;
mod post;
mod professional;
mod report;
mod search;
mod server;
mod story;
mod unpack;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use clap::Args;
use serde_json::Value;
use thiserror::Error;

use crate::project::Project;
use report::Progress;

/// Flags of `cargo demo`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print one JSON object on the standard output; what happens meanwhile goes to the standard error.
    #[arg(long)]
    json: bool,
    /// Leave the server running and the three homes in place, and print what to try next.
    #[arg(long)]
    keep: bool,
}

/// Why the demo ended early.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    /// A file or a process could not be had.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The two commands do not build.
    #[error("the two commands do not build")]
    Build,
    /// A command failed, or said something else than its documentation promises.
    #[error("{command}: {problem}")]
    Command {
        /// The command as typed.
        command: String,
        /// What was wrong.
        problem: String,
    },
    /// What was promised did not happen.
    #[error("{0}")]
    Broken(String),
}

impl DemoError {
    /// For `map_err` on system calls.
    fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

/// The two released commands.
#[derive(Debug, Clone)]
pub(crate) struct Commands {
    /// The client's.
    pub(crate) medipeps: PathBuf,
    /// The server's.
    pub(crate) medipeps_server: PathBuf,
}

/// Runs `cargo demo`. Exit code 0 when everything held, 1 when something did not.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let progress = Progress::new(arguments.json);
    progress.say("building the two commands (release; the first time takes some minutes)");
    let commands = build(project)?;
    let folder =
        tempfile::Builder::new().prefix("medipeps-demo-").tempdir().map_err(DemoError::system("a scratch folder"))?;
    let outcome = story::tell(&commands, folder.path(), &progress, arguments.keep);
    let (passed, result) = match outcome {
        Ok(story) => (story.passed(), story.to_json(start.elapsed())),
        Err(error) => {
            progress.say(&format!("FAILED: {error}"));
            progress.tail("server.log", &folder.path().join(server::LOG));
            (false, report::failure(&error, start.elapsed()))
        }
    };
    if arguments.json {
        println!("{result:#}");
    }
    let seconds = start.elapsed().as_secs_f32();
    progress.say(&format!("{} in {seconds:.0} s", if passed { "everything held" } else { "NOT everything held" }));
    if arguments.keep {
        let kept = folder.keep();
        progress.say(&format!("kept: {}", kept.display()));
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the JSON of `cargo demo --json` says that everything held.
pub(crate) fn says_ok(json: &str) -> bool {
    serde_json::from_str::<Value>(json).is_ok_and(|value| value["ok"] == true)
}

/// Builds both commands; cargo's own output goes to the standard error.
pub(crate) fn build(project: &Project) -> Result<Commands, DemoError> {
    let status = compile(project)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(DemoError::system("cargo build"))?;
    let folder = project.target().join("release");
    let program = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let commands = Commands { medipeps: program("medipeps"), medipeps_server: program("medipeps-server") };
    let built = status.success() && commands.medipeps.is_file() && commands.medipeps_server.is_file();
    if built { Ok(commands) } else { Err(DemoError::Build) }
}

/// Compiles both commands.
pub(crate) fn compile(project: &Project) -> Command {
    project.cargo(["build", "--release", "--package", "medipeps-server", "--package", "medipeps-client"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(says_ok("{\"ok\": true, \"seconds\": 1.5}"));
        for text in ["", "{}", "{\"ok\": false}", "{\"ok\": \"true\"}", "building {\"ok\": true}"] {
            assert!(!says_ok(text), "{text}");
        }
    }
}
