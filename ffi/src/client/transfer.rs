//! How far documents have come.

use std::sync::{Arc, PoisonError};

use super::Client;
use crate::MedipepsError;
use crate::progress::{TransferListener, watch};

#[uniffi::export]
impl Client {
    /// Tells how far documents come, and long texts, from now on; where it receives already, from the next
    /// [`Client::start_receiving`] on. A second listener takes the first one's place.
    ///
    /// # Errors
    /// `Closed`
    pub async fn watch_transfers(&self, listener: Arc<dyn TransferListener>) -> Result<(), MedipepsError> {
        *self.transfers.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener.clone());
        self.worker
            .call(async move |agent| {
                agent.watch_transfers(watch(listener));
                Ok(())
            })
            .await
    }
}
