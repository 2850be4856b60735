//! Why a configuration is refused.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not TOML, a key is unknown or missing, or a value has the wrong type. The text names it.
    #[error("{path}: {error}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: Box<toml::de::Error>,
    },
    /// A value is out of its bounds.
    #[error("{path}: `{key}` {rule}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with the table in front of it.
        key: &'static str,
        /// What is wrong.
        rule: &'static str,
    },
}
