//! The public-api suite: what `medipeps-core` offers to other programs is what `core/public-api.txt` says, line by line.
//!
//! The list is cargo-public-api's, made from rustdoc's JSON. That format is not stable, so tool and Rust are pinned to each
//! other; `RUSTC_BOOTSTRAP` lets a stable Rust write it, into a target folder of its own, because build scripts watch it.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode};

use clap::Args;

use crate::process::{self, ProcessError, answer};
use crate::project::Project;
use crate::suite::count::Counts;
use crate::suite::report::Ended;
use crate::suite::{Run, need};

/// The release whose rustdoc JSON (format 57) cargo-public-api 0.52.0 reads.
pub(super) const RUST: &str = "1.95.0";
/// The library.
const PACKAGE: &str = "medipeps-core";
/// The list as it was agreed on, from the project's root.
const SNAPSHOT: &str = "core/public-api.txt";
/// How many differing lines are shown; the rest is counted.
const SHOWN_MAX: usize = 60;

/// Flags of `cargo xtask public-api`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write the list into the tree, for a change that is meant; without it, only say what differs.
    #[arg(long)]
    write: bool,
}

/// Runs `cargo xtask public-api`.
pub(crate) fn command(project: &Project, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if !need::PUBLIC_API.is_met(project) {
        eprintln!("error: {} is missing: {}", need::PUBLIC_API.name, need::PUBLIC_API.advice(project));
        return Ok(ExitCode::FAILURE);
    }
    let Some(listed) = listed(project)? else { return Ok(ExitCode::FAILURE) };
    if arguments.write {
        std::fs::write(project.root().join(SNAPSHOT), listed)?;
        println!("{SNAPSHOT} is written; look at its difference before you commit it");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if agrees(project, &listed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compares the library with the snapshot.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let passed = listed(run.project)?.is_some_and(|listed| agrees(run.project, &listed));
    Ok(Ended { counts: Counts::one(passed), ..Ended::default() })
}

/// Cargo of the Rust that the tool understands: the one in use, or another one of rustup's.
pub(super) fn cargo(project: &Project) -> Option<Command> {
    let is_right = |said: String| said.split_whitespace().nth(1) == Some(RUST);
    if answer(project.command("rustc").arg("--version")).is_some_and(is_right) {
        return Some(project.cargo::<_, &str>([]));
    }
    let mut rustup = project.command("rustup");
    rustup.args(["run", RUST]);
    answer(project.command("rustup").args(["run", RUST, "rustc", "--version"])).is_some_and(is_right).then(|| {
        rustup.arg("cargo");
        rustup
    })
}

/// Everything public, a line each, or `None` if it could not be made; why is then on the terminal.
fn listed(project: &Project) -> Result<Option<String>, ProcessError> {
    let Some(mut rustdoc) = cargo(project) else { return Ok(None) };
    let target = project.target().join("public-api");
    rustdoc.args(["rustdoc", "--package", PACKAGE, "--lib", "--target-dir"]).arg(&target);
    rustdoc.args(["--", "-Z", "unstable-options", "--output-format", "json"]).env("RUSTC_BOOTSTRAP", "1");
    println!("$ {}", process::as_typed(&rustdoc));
    if !process::stream(&mut rustdoc, |_| ())? {
        return Ok(None);
    }
    // Without what follows from other items: blanket implementations, and whether something is `Send`.
    let mut list = project.cargo(["public-api", "--color=never", "-ss", "--rustdoc-json"]);
    list.arg(target.join("doc").join(PACKAGE.replace('-', "_")).with_extension("json"));
    println!("$ {}", process::as_typed(&list));
    let mut lines = String::new();
    let done = process::listen(&mut list, |line| {
        lines.push_str(line);
        lines.push('\n');
    })?;
    Ok((done && !lines.is_empty()).then_some(lines))
}

/// Whether the list is the snapshot; if not, how they differ is on the terminal.
fn agrees(project: &Project, listed: &str) -> bool {
    let agreed = match std::fs::read_to_string(project.root().join(SNAPSHOT)) {
        Ok(agreed) => agreed,
        Err(error) => {
            println!("{SNAPSHOT}: {error}");
            return false;
        }
    };
    let differences = differences(&agreed, listed);
    for line in differences.iter().take(SHOWN_MAX) {
        println!("{line}");
    }
    if differences.len() > SHOWN_MAX {
        println!("and {} more", differences.len() - SHOWN_MAX);
    }
    if differences.is_empty() {
        println!("{} public items, as {SNAPSHOT} says", listed.lines().count());
    } else {
        println!(
            "the public API of {PACKAGE} has changed (- gone, + new); if that is meant: cargo xtask public-api --write"
        );
    }
    differences.is_empty()
}

/// What is gone and what is new; nothing only if the texts are the same.
fn differences(agreed: &str, listed: &str) -> Vec<String> {
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) = (agreed.lines().collect(), listed.lines().collect());
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    let mut differences: Vec<String> = gone.chain(after.difference(&before).map(|line| format!("+ {line}"))).collect();
    if differences.is_empty() && agreed != listed {
        differences.push("- the same lines in another order or number".to_owned());
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_told() {
        assert!(differences("a\nb\n", "a\nb\n").is_empty());
        assert_eq!(differences("a\nb\n", "a\nc\n"), ["- b", "+ c"]);
        assert_eq!(differences("a\nb\n", "b\na\n").len(), 1);
        assert_eq!(differences("a\n", "a\na\n").len(), 1);
        assert_eq!(differences("", "a\n"), ["+ a"]);
    }
}
