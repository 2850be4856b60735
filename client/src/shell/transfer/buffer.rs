//! Memory for the parts of documents: a fixed number of buffers, over all transfers of a process.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use medipeps_core::attachment::COMMITMENT_LENGTH;
use medipeps_core::limits::{ATTACHMENT_PART_LENGTH, BLOB_PIECE_LENGTH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::limits::TRANSFER_PARTS_IN_MEMORY_MAX;

/// Bytes of the longest sealed part: eight pieces and the commitment.
const SEALED_PART_LENGTH_MAX: usize = ATTACHMENT_PART_LENGTH / (512 << 10) * BLOB_PIECE_LENGTH + COMMITMENT_LENGTH;

/// Lends out buffers of one part each. They are used again and again, and wiped when the process is done with them.
#[derive(Debug, Clone)]
pub(crate) struct PartBuffers {
    free: Arc<Mutex<Vec<Zeroizing<Vec<u8>>>>>,
    permits: Arc<Semaphore>,
}

/// A buffer on loan: room for a part, sealed or not. Its bytes are whatever was there before until they are written.
pub(crate) struct PartBuffer {
    bytes: Zeroizing<Vec<u8>>,
    free: Arc<Mutex<Vec<Zeroizing<Vec<u8>>>>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl PartBuffers {
    pub(crate) fn new() -> Self {
        Self { free: Arc::default(), permits: Arc::new(Semaphore::new(TRANSFER_PARTS_IN_MEMORY_MAX)) }
    }

    /// The next buffer that is free; waits for one.
    pub(crate) async fn take(&self) -> PartBuffer {
        // The semaphore is never closed; if it were, a buffer more would do no harm.
        let permit = self.permits.clone().acquire_owned().await.ok();
        let kept = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = kept.unwrap_or_else(|| Zeroizing::new(Vec::with_capacity(SEALED_PART_LENGTH_MAX)));
        PartBuffer { bytes, free: self.free.clone(), _permit: permit }
    }
}

impl Drop for PartBuffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl Deref for PartBuffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for PartBuffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for PartBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for PartBuffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PartBuffer({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use medipeps_core::attachment::Layout;
    use medipeps_core::limits::ATTACHMENT_LENGTH_MAX;

    use super::*;

    #[test]
    fn a_buffer_takes_the_longest_sealed_part() {
        let layout = Layout::new(ATTACHMENT_LENGTH_MAX).unwrap();
        let range = layout.sealed_part(layout.parts() - 1).unwrap();
        assert_eq!(range.end - range.start, SEALED_PART_LENGTH_MAX as u64);
    }

    #[tokio::test]
    async fn no_more_buffers_than_allowed_are_out_and_they_come_back() {
        let buffers = PartBuffers::new();
        let mut lent = Vec::new();
        for _ in 0..TRANSFER_PARTS_IN_MEMORY_MAX {
            lent.push(buffers.take().await);
        }
        let mut waiting = Box::pin(buffers.take());
        assert!(futures_poll_once(&mut waiting).await.is_none());
        let address = lent[0].as_ptr();
        drop(lent.remove(0));
        assert_eq!(waiting.await.as_ptr(), address, "it is the same memory");
    }

    /// Polls once; `None` if it is not ready.
    async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
