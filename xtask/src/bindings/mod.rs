//! `cargo xtask bindings`: the library for another language, and the code that UniFFI generates for it.

pub(crate) mod npm;
pub(crate) mod swift;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};

use crate::process::{self, ProcessError};
use crate::project::Project;
use crate::suite::workspace;

/// The library that all languages share.
pub(crate) const LIBRARY: &str = if cfg!(target_os = "macos") { "libmedipeps_ffi.dylib" } else { "libmedipeps_ffi.so" };

/// Flags of `cargo xtask bindings`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// For which language
    #[arg(value_enum)]
    language: Language,
    /// Where to put the code and the library; target/bindings/LANGUAGE without it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Languages that UniFFI knows and this project tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// One module and the library beside it
    Python,
    /// A package of sources and the library
    Kotlin,
    /// A package for the Swift Package Manager, with the library for Linux
    Swift,
}

/// How the library is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// For the tests.
    Debug,
    /// As fast as the programs.
    Release,
    /// For apps to carry along: small.
    App,
}

impl Build {
    /// What cargo calls it.
    const fn profile(self) -> &'static str {
        match self {
            Self::Debug => "dev",
            Self::Release => "release",
            Self::App => "app",
        }
    }

    /// Where cargo puts it.
    const fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release | Self::App => self.profile(),
        }
    }
}

impl Language {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Kotlin => "kotlin",
            Self::Swift => "swift",
        }
    }
}

/// Runs `cargo xtask bindings`.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let out = arguments.out.clone().unwrap_or_else(|| folder(project, arguments.language));
    if !generate(project, arguments.language, Build::Debug, &out)? {
        return Ok(ExitCode::FAILURE);
    }
    println!("{} and the library are in {}", arguments.language.name(), out.display());
    Ok(ExitCode::SUCCESS)
}

/// Maven in `bindings/kotlin`, saying little.
pub(crate) fn maven(project: &Project) -> Command {
    let mut maven = project.command("mvn");
    maven.args(["--batch-mode", "--no-transfer-progress", "--file", "bindings/kotlin/pom.xml"]);
    // Nothing stays behind that runs.
    maven.arg("-Dkotlin.compiler.daemon=false");
    maven
}

/// Where generated code goes if nobody says otherwise.
pub(crate) fn folder(project: &Project, language: Language) -> PathBuf {
    project.target().join("bindings").join(language.name())
}

/// Builds the library and generates the code for a language beside a copy of it. False if something failed, which has been
/// shown.
pub(crate) fn generate(project: &Project, language: Language, build: Build, out: &Path) -> Result<bool, ProcessError> {
    let (library, folder) = match build {
        Build::Debug => (workspace::app_library(project), workspace::app_library_folder(project)),
        Build::Release | Build::App => {
            let library = project.cargo(["build", "--package", "medipeps-ffi", "--profile", build.profile()]);
            (library, project.target().join(build.folder()))
        }
    };
    for mut command in [workspace::uniffi_generator(project), library] {
        println!("$ {}", process::as_typed(&command));
        if !process::stream(&mut command, |_| {})? {
            return Ok(false);
        }
    }
    let library = folder.join(LIBRARY);
    let mut generate = project.command(project.target().join("debug/uniffi-bindgen"));
    generate.arg("generate").arg(&library).args(["--no-format", "--language", language.name(), "--out-dir"]);
    generate.arg(out);
    println!("$ {}", process::as_typed(&generate));
    if !process::stream(&mut generate, |_| {})? {
        return Ok(false);
    }
    match finish(project, language, &library, out) {
        Ok(()) => Ok(true),
        Err(error) => {
            println!("{}: {error}", out.display());
            Ok(false)
        }
    }
}

fn finish(project: &Project, language: Language, library: &Path, out: &Path) -> io::Result<()> {
    fs::copy(library, out.join(LIBRARY))?;
    if language == Language::Swift {
        swift::lay_out(project, out)?;
    }
    Ok(())
}
