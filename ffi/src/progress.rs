//! Who sees how far long work has come.

use std::sync::Arc;

use medipeps_client::shell::agent::Watch;
use medipeps_client::shell::transfer::{Direction, Progress};

use crate::listener::ListenerError;
use crate::record::hex;

/// Sees how far one piece of work has come. Called from a thread of the library's own, often; what it throws changes nothing.
#[uniffi::export(foreign)]
pub trait ProgressListener: Send + Sync {
    /// So many bytes of so many; the second number is an estimate.
    ///
    /// # Errors
    /// [`ListenerError`]; it is logged.
    fn on_progress(&self, done: i64, total: i64) -> Result<(), ListenerError>;
}

/// Sees how far documents have come, and long texts. As [`ProgressListener`].
#[uniffi::export(foreign)]
pub trait TransferListener: Send + Sync {
    /// One of them has come so far.
    ///
    /// # Errors
    /// [`ListenerError`]; it is logged.
    fn on_transfer(&self, transfer: Transfer) -> Result<(), ListenerError>;
}

/// How far one document has come.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Transfer {
    /// Tells transfers apart.
    pub id: String,
    /// Which way.
    pub direction: TransferDirection,
    /// What a person calls it.
    pub name: String,
    /// Bytes that are where they go; less than before if it had to be begun anew.
    pub done: i64,
    /// Bytes in all, sealed.
    pub total: i64,
}

/// Which way a document goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TransferDirection {
    /// To a server.
    Upload,
    /// From a server.
    Download,
}

/// Tells it; whatever it does, the work goes on.
pub(crate) fn tell_progress(listener: Option<&Arc<dyn ProgressListener>>, done: u64, total: u64) {
    if let Some(Err(error)) = listener.map(|listener| listener.on_progress(bytes(done), bytes(total))) {
        tracing::warn!(%error, "a progress listener failed");
    }
}

/// What an agent tells of transfers, told to a listener.
pub(crate) fn watch(listener: Arc<dyn TransferListener>) -> Watch {
    Box::new(move |progress: &Progress| {
        let transfer = Transfer {
            id: hex(&progress.blob_id),
            direction: match progress.direction {
                Direction::Upload => TransferDirection::Upload,
                Direction::Download => TransferDirection::Download,
            },
            name: progress.name.clone(),
            done: bytes(progress.done),
            total: bytes(progress.total),
        };
        if let Err(error) = listener.on_transfer(transfer) {
            tracing::warn!(%error, "a transfer listener failed");
        }
    })
}

fn bytes(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
