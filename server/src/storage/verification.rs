//! What the store says of itself, held against what is there.

use async_trait::async_trait;

use super::StorageError;
use crate::limits::VERIFICATION_PROBLEMS_MAX;

/// The part of a store that looks after itself.
#[async_trait]
pub trait VerifyStorage: Send + Sync + 'static {
    /// Reads everything, and changes nothing: counters against contents, references both ways, checksums of bodies. Writes
    /// wait while the records are looked at; bodies are read afterwards.
    ///
    /// # Errors
    /// The engine failed. What is damaged is no error; it is in the answer.
    async fn verify(&self) -> Result<Verification, StorageError>;
}

/// What was looked at, and what is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Records that were looked at.
    pub records: u64,
    /// Bodies that were read.
    pub bodies: u64,
    /// For people; at most `VERIFICATION_PROBLEMS_MAX`, and then how many more.
    pub problems: Vec<String>,
    more: u64,
}

impl Verification {
    /// Notes a problem.
    pub(super) fn problem(&mut self, what: impl Into<String>) {
        if self.problems.len() < VERIFICATION_PROBLEMS_MAX {
            self.problems.push(what.into());
        } else {
            self.more += 1;
        }
    }

    /// Notes a problem unless it is as it should be.
    pub(super) fn expect(&mut self, good: bool, what: impl FnOnce() -> String) {
        if !good {
            self.problem(what());
        }
    }

    /// Says at the end how many problems were not written down.
    pub(super) fn finished(mut self) -> Self {
        if self.more > 0 {
            self.problems.push(format!("and {} more", self.more));
        }
        self
    }
}
