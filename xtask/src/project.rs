//! Where things are: the project's root, the tools' cache, the published vectors; and how cargo is called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

/// The folders that every task needs.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    root: PathBuf,
    tools: PathBuf,
}

/// Why the folders cannot be told.
#[derive(Debug, Error)]
pub(crate) enum ProjectError {
    /// Neither the environment nor the build says where the project lies.
    #[error("cannot find the project's root; run this through cargo, inside the project")]
    NoRoot,
    /// No place for tools outside the tree.
    #[error("neither XDG_CACHE_HOME nor HOME is set, so there is no place for tools")]
    NoHome,
}

impl Project {
    /// Finds the folders from what cargo sets at run time, so that a moved tree still works.
    pub(crate) fn find() -> Result<Self, ProjectError> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).parent().filter(|root| root.join("Cargo.toml").is_file());
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
            .ok_or(ProjectError::NoHome)?;
        Ok(Self { root: root.ok_or(ProjectError::NoRoot)?.to_path_buf(), tools: cache.join("medipeps").join("tools") })
    }

    /// The folder that holds the workspace's Cargo.toml.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where `--install` puts cargo tools: outside the tree, `${XDG_CACHE_HOME:-~/.cache}/medipeps/tools`.
    pub(crate) fn tools(&self) -> &Path {
        &self.tools
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("target"),
        }
    }

    /// The published vectors: `MEDIPEPS_VECTORS`, or `../shared/vectors` beside the project.
    pub(crate) fn vectors(&self) -> PathBuf {
        match std::env::var_os("MEDIPEPS_VECTORS") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("../shared/vectors"),
        }
    }

    /// A cargo command, run at the project's root.
    pub(crate) fn cargo<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, words: I) -> Command {
        let mut command = self.command(cargo_program());
        command.args(words);
        command
    }

    /// Any command, run at the project's root, with the tools' folder first in PATH.
    ///
    /// What `cargo run` said about this very package is taken out of the environment, or build scripts that watch those
    /// variables (ring's does) would be run again for nothing.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, program: S) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_about_this_package) {
                command.env_remove(name);
            }
        }
        let mut path = vec![self.tools.join("bin")];
        if let Some(present) = std::env::var_os("PATH") {
            path.extend(std::env::split_paths(&present));
        }
        if let Ok(path) = std::env::join_paths(path) {
            command.env("PATH", path);
        }
        command
    }
}

/// The cargo that runs us, or the first in PATH.
fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn is_about_this_package(name: &str) -> bool {
    name == "CARGO_PRIMARY_PACKAGE"
        || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|start| name.starts_with(start))
}
