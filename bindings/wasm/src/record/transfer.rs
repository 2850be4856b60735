//! Documents on their way.

use medipeps_client::shell::transfer::{Direction, Progress};
use serde::Serialize;

use super::hex;

/// How far a document has come.
#[derive(Debug, Serialize)]
pub(crate) struct Transfer<'a> {
    id: String,
    direction: &'static str,
    name: &'a str,
    done: u64,
    total: u64,
}

impl<'a> From<&'a Progress> for Transfer<'a> {
    fn from(progress: &'a Progress) -> Self {
        Self {
            id: hex(&progress.blob_id),
            direction: match progress.direction {
                Direction::Upload => "upload",
                Direction::Download => "download",
            },
            name: &progress.name,
            done: progress.done,
            total: progress.total,
        }
    }
}
