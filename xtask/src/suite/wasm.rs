//! The wasm suite: core and the client's engine compile for browsers.
//!
//! Rustup's target is used where it is installed. Else Debian's `rustc-web` builds its own standard library from
//! `rust-web-src`; it is called by its path and has a target folder of its own, so that it never mixes with rustup's.

use std::path::PathBuf;
use std::process::Command;

use crate::project::Project;
use crate::suite::Run;
use crate::suite::need::{CLIPPY, sysroot};

/// The target of browsers.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// What Debian calls a Rust that can build it.
pub(super) const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "rust-web-src"];
/// Where Debian's Rust is, whatever comes first in PATH.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Which Rust builds for the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// The one in PATH has a standard library for it.
    Own,
    /// Debian's, which builds the standard library along.
    Debian,
}

/// The Rust to use, if there is one.
pub(super) fn toolchain(project: &Project) -> Option<Toolchain> {
    let own = sysroot(project, "rustc").is_some_and(|root| root.join("lib/rustlib").join(TARGET).join("lib").is_dir());
    if own {
        return Some(Toolchain::Own);
    }
    let source = "lib/rustlib/src/rust/library/Cargo.toml";
    sysroot(project, DEBIAN_RUSTC).filter(|root| root.join(source).is_file()).map(|_| Toolchain::Debian)
}

/// Checks the two libraries alone: what pages are built of has features of its own. Lints what is compiled for nothing else, where the
/// Rust that builds it has clippy.
pub(super) fn commands(run: &Run) -> Vec<Command> {
    let core: &[&str] = &["--package", "medipeps-core"];
    let engine: &[&str] = &["--package", "medipeps-client", "--no-default-features", "--lib"];
    let mut commands: Vec<Command> =
        [core, engine].into_iter().map(|package| command(run.project, "check", package)).collect();
    if toolchain(run.project) == Some(Toolchain::Own) && CLIPPY.is_met(run.project) {
        let pages = ["--package", "medipeps-wasm", "--no-deps", "--", "-D", "warnings"];
        commands.push(command(run.project, "clippy", &pages));
    }
    commands
}

/// Builds a package for browsers.
pub(crate) fn build(project: &Project, words: &[&str]) -> Command {
    command(project, "build", words)
}

fn command(project: &Project, what: &str, words: &[&str]) -> Command {
    let mut command = project.cargo([what, "--target", TARGET]);
    command.args(words);
    if toolchain(project) == Some(Toolchain::Debian) {
        command
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTDOC", "/usr/bin/rustdoc")
            .env("RUSTC_BOOTSTRAP", "1")
            .arg("-Zbuild-std=std,panic_abort")
            .arg("--target-dir")
            .arg(folder(project));
    }
    command
}

/// The target folder of [`build`].
pub(crate) fn folder(project: &Project) -> PathBuf {
    match toolchain(project) {
        Some(Toolchain::Debian) => project.target().join("wasm"),
        _ => project.target(),
    }
}
