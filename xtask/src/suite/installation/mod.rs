//! The installation suite: what an operator gets. The package is built, looked at, installed into a fresh Debian, run there
//! as its own user, run from a socket that systemd's own program passes on, and run in a container of its files alone; and
//! each time two accounts write to each other with the released client.
//!
//! There is no systemd as process 1 where tests run, so the unit itself is checked by `systemd-analyze`, not started.

mod mail;
mod place;
mod running;
mod unit;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::demo::{self, Commands};
use crate::package;
use crate::process::ProcessError;
use crate::suite::Run;
use crate::suite::count::Counts;
use crate::suite::report::Ended;

/// What is wrong, in words for a person.
type Checked<T = ()> = Result<T, String>;

/// What every check is given.
struct Installation<'a> {
    run: &'a Run<'a>,
    commands: Commands,
    package: PathBuf,
    scratch: TempDir,
}

/// A check: what it shows, and how.
type Check = (&'static str, fn(&Installation) -> Checked);

const CHECKS: &[Check] = &[
    ("the package holds what it should, owned by root, with the right modes", place::contents),
    ("systemd finds nothing wrong with the units", unit::verify),
    ("systemd rates the service's exposure at 1.5 or less", unit::exposure),
    ("a fresh Debian installs it: user, owners, modes; mail passes; purging keeps the mail", place::fresh_debian),
    ("the server takes the socket that systemd passes on, and mail passes", running::socket_activation),
    ("a container of its files alone runs as a user of its own, and mail passes", running::container),
];

/// Builds the package and runs every check.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let mut counts = Counts::default();
    match prepare(run) {
        Ok(installation) => {
            for (shows, check) in CHECKS {
                let outcome = check(&installation);
                counts += Counts::one(outcome.is_ok());
                match outcome {
                    Ok(()) => println!("ok: {shows}"),
                    Err(why) => println!("FAILED: {shows}: {why}"),
                }
            }
        }
        Err(why) => {
            println!("{why}");
            counts += Counts::FAILED;
        }
    }
    Ok(Ended { counts, ..Ended::default() })
}

fn prepare<'a>(run: &'a Run<'a>) -> Checked<Installation<'a>> {
    let package = package::debian_package(run.project).map_err(words)?;
    let commands = demo::build(run.project).map_err(words)?;
    let scratch = tempfile::Builder::new().prefix("medipeps-installation-").tempdir().map_err(words)?;
    Ok(Installation { run, commands, package, scratch })
}

impl Installation<'_> {
    /// A path below the scratch folder.
    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The package's files below the scratch folder.
    fn unpacked(&self, name: &str) -> Checked<PathBuf> {
        let folder = self.at(name);
        package::unpack(self.run.project, &self.package, &folder).map_err(words)?;
        Ok(folder)
    }
}

/// An error as text.
fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Runs a command to its end; its output when it exits with 0, all that it said otherwise.
fn done(command: &mut std::process::Command) -> Checked<String> {
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", Path::new(command.get_program()).display()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{} ended with {}: {said}{complaint}", crate::process::as_typed(command), output.status))
}
