//! Who watches what: hints that something new can be fetched.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The watchers of queues or of group logs. A hint is the highest sequence that can be fetched.
#[derive(Debug)]
pub(super) struct Hints<K>(Mutex<HashMap<K, watch::Sender<u64>>>);

impl<K> Default for Hints<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Hints<K> {
    /// A receiver for what is watched. The caller then tells it of the state that it finds with [`Hints::raise`].
    pub(super) fn subscribe(&self, watched: K) -> watch::Receiver<u64> {
        self.lock().entry(watched).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Raises a hint. A sender whom nobody listens to is dropped.
    pub(super) fn raise(&self, watched: &K, sequence: u64) {
        let mut hints = self.lock();
        if let Some(sender) = hints.get(watched) {
            if sender.receiver_count() == 0 {
                hints.remove(watched);
            } else {
                sender.send_if_modified(|hint| {
                    *hint < sequence && {
                        *hint = sequence;
                        true
                    }
                });
            }
        }
    }

    /// Cuts off whoever watches.
    pub(super) fn close(&self, watched: &K) {
        self.lock().remove(watched);
    }

    /// A map is whole whenever its lock is free, so a thread that died holding it left nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Sender<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
