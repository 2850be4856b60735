//! Who hears of what happens by itself.

use std::sync::Arc;

use crate::ClientEvent;

/// Called from a thread of the library's own, one event after the other, each after it is on the disk. It should return
/// soon: the next event waits for it. What it throws is logged, and changes nothing.
#[uniffi::export(foreign)]
pub trait EventListener: Send + Sync {
    /// Something happened.
    ///
    /// # Errors
    /// [`ListenerError`]; it is logged.
    fn on_event(&self, event: ClientEvent) -> Result<(), ListenerError>;
}

/// What a listener threw.
#[derive(Debug, Clone, thiserror::Error, uniffi::Error)]
pub enum ListenerError {
    /// It could not take the event.
    #[error("the listener failed: {reason}")]
    Failed {
        /// For a log.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for ListenerError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

/// Tells it; whatever it does, the account goes on.
pub(crate) fn tell(listener: &Arc<dyn EventListener>, event: ClientEvent) {
    if let Err(error) = listener.on_event(event) {
        tracing::warn!(%error, "an event listener failed");
    }
}
