//! Why there is no report.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a run has no report.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// More clients than this system lets one program have.
    #[error(
        "{wanted} file descriptors are needed, {allowed} can be had: raise the limit (ulimit -Hn) or ask for fewer clients"
    )]
    Descriptors {
        /// For this many clients.
        wanted: u64,
        /// By the hard limit.
        allowed: u64,
    },
    /// The server's program is not there.
    #[error("{} is missing; build it: cargo build --release -p medipeps-server, or name it by --server-program", .0.display())]
    NoServer(PathBuf),
    /// The server did not come up.
    #[error("the server did not come up; {} says why", .log.display())]
    NotStarted {
        /// What it said.
        log: PathBuf,
    },
    /// The file of invitations has too few, or something else.
    #[error("{}: {problem}", .path.display())]
    Invitations {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file or a socket.
    #[error("{what}: {error}")]
    System {
        /// Which one.
        what: String,
        /// What the system says.
        error: io::Error,
    },
    /// The server does not answer as it should.
    #[error("{what}: {problem}")]
    Server {
        /// What was asked.
        what: &'static str,
        /// What came.
        problem: String,
    },
    /// A plot cannot be drawn.
    #[error("{}: {problem}", .path.display())]
    Plot {
        /// Its file.
        path: PathBuf,
        /// What the library says.
        problem: String,
    },
    /// It was asked to stop before there was anything to report.
    #[error("stopped before there was anything to report")]
    Stopped,
}

impl LoadError {
    /// For `map_err`: names what could not be read, written or opened.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::System { what, error }
    }

    /// For `map_err`: names what was asked of the server.
    pub(crate) fn server(what: &'static str) -> impl Fn(&dyn fmt::Display) -> Self + Copy {
        move |error| Self::Server { what, problem: error.to_string() }
    }

    /// Whether the person can mend it by typing something else.
    pub(crate) const fn is_wrong_use(&self) -> bool {
        matches!(self, Self::Descriptors { .. } | Self::NoServer(_) | Self::Invitations { .. })
    }
}
