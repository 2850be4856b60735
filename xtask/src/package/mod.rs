//! `cargo xtask package`: what others take: the server's Debian package, and the client for other languages.

mod language;
pub(crate) mod npm;
mod server;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};
use thiserror::Error;

use crate::bindings::Language;
use crate::demo;
use crate::process::{ProcessError, as_typed, succeeds};
use crate::project::Project;

pub(crate) use language::wheel;
pub(crate) use server::{PROGRAM, STATE, container, debian_package, unpack};

/// Flags of `cargo xtask package`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What to pack
    #[arg(value_enum, default_value = "server")]
    what: What,
    /// With the server, lay out a container's files here as well: a Containerfile, and `root/` with the package's files and
    /// the libraries that they need. The folder must be empty or not there.
    #[arg(long, value_name = "DIR")]
    container_root: Option<PathBuf>,
}

/// What can be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The server, for Debian
    Server,
    /// The client for Kotlin: a jar with the library in it, and one with the sources
    Kotlin,
    /// The client for Python: a wheel
    Python,
    /// The client for Swift: a package with the library for Linux
    Swift,
    /// The client for pages of a browser: a package for npm
    Npm,
}

/// Why there is no package.
#[derive(Debug, Error)]
pub(crate) enum PackageError {
    /// The programs did not build.
    #[error(transparent)]
    Build(#[from] demo::DemoError),
    /// A command could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A command failed.
    #[error("failed: {0}")]
    Command(String),
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The folder holds something.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// A container is made of the server.
    #[error("--container-root goes with the server alone")]
    NoContainer,
}

/// Builds the package, and lays out the container if asked to.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if arguments.what != What::Server && arguments.container_root.is_some() {
        return Err(PackageError::NoContainer.into());
    }
    match arguments.what {
        What::Server => server::run(project, arguments.container_root.as_deref())?,
        What::Kotlin => language::run(project, Language::Kotlin)?,
        What::Python => language::run(project, Language::Python)?,
        What::Swift => language::run(project, Language::Swift)?,
        What::Npm => npm::run(project)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_quietly(command: &mut Command) -> Result<(), PackageError> {
    if succeeds(command) { Ok(()) } else { Err(PackageError::Command(as_typed(command))) }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_owned();
    move |error| PackageError::File { path, error }
}
