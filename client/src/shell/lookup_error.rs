//! Why the server of a domain is not found.

use thiserror::Error;

/// Why DNS does not say where a domain's server is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LookupError {
    /// It has no such record, or says that there is no such service.
    #[error(
        "no server is known for {0}: none is set (`domain add`), the trust list has none, and there is no SRV record \
         _medipeps._udp.{0}"
    )]
    NotThere(String),
    /// The resolver does not answer.
    #[error("the server of {domain} cannot be looked up: {problem}")]
    Failed {
        /// Which.
        domain: String,
        /// What is wrong.
        problem: String,
    },
    /// It is switched off.
    #[error("no server is known for {0}: none is set (`domain add`), the trust list has none, and DNS is not asked")]
    Off(String),
}
