//! `cargo xtask bindings`: the library for another language, and the code that UniFFI generates for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::process::{self, ProcessError};
use crate::project::Project;

/// The library that all languages share.
const LIBRARY: &str = "libmedipeps_ffi.so";

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
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Language {
    /// One module and the library beside it
    Python,
    /// A package of sources and the library
    Kotlin,
}

impl Language {
    const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Kotlin => "kotlin",
        }
    }
}

/// Runs `cargo xtask bindings`.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let out = arguments.out.clone().unwrap_or_else(|| folder(project, arguments.language));
    if !generate(project, arguments.language, &out)? {
        return Ok(ExitCode::FAILURE);
    }
    println!("{} and the library are in {}", arguments.language.name(), out.display());
    Ok(ExitCode::SUCCESS)
}

/// Where generated code goes if nobody says otherwise.
pub(crate) fn folder(project: &Project, language: Language) -> PathBuf {
    project.target().join("bindings").join(language.name())
}

/// Builds the library and generates the code for a language beside a copy of it. False if something failed, which has been
/// shown.
pub(crate) fn generate(project: &Project, language: Language, out: &Path) -> Result<bool, ProcessError> {
    let built = project.target().join("debug");
    let mut build = project.cargo(["build", "--package", "medipeps-ffi", "--package", "medipeps-bindgen"]);
    println!("$ {}", process::as_typed(&build));
    if !process::stream(&mut build, |_| {})? {
        return Ok(false);
    }
    let mut generate = project.command(built.join("uniffi-bindgen"));
    generate.arg("generate").arg(built.join(LIBRARY)).args(["--no-format", "--language", language.name(), "--out-dir"]);
    generate.arg(out);
    println!("$ {}", process::as_typed(&generate));
    if !process::stream(&mut generate, |_| {})? {
        return Ok(false);
    }
    match fs::copy(built.join(LIBRARY), out.join(LIBRARY)) {
        Ok(_) => Ok(true),
        Err(error) => {
            println!("{}: {error}", out.join(LIBRARY).display());
            Ok(false)
        }
    }
}
