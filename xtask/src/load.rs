//! `cargo xtask load`: builds the server and the load generator for release, and becomes the generator.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Args;

use crate::process::as_typed;
use crate::project::Project;

/// The generator's own flags, which it explains itself.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// See --help, which builds the generator first.
    #[arg(value_name = "FLAGS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Builds, and does not return unless that fails. The generator takes over this process, so that ^C reaches it alone.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut build = project.cargo(["build", "--release", "--package", "medipeps-server", "--package", "medipeps-load"]);
    eprintln!("$ {}", as_typed(&build));
    if !build.status()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let mut generator = Command::new(project.target().join("release").join("medipeps-load"));
    generator.args(&arguments.words).current_dir(project.root());
    Err(generator.exec().into())
}
