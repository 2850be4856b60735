//! Signals: what a member tells those who watch a group log at this moment. Nothing of it is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::limits::GROUP_SIGNALS_WAITING_MAX;

/// An epoch of a log: whoever is in another one cannot open the signal.
type Topic = ([u8; 32], u64);

/// Who waits for signals.
#[derive(Debug, Default)]
pub(super) struct GroupSignals {
    topics: Mutex<HashMap<Topic, broadcast::Sender<Arc<[u8]>>>>,
}

impl GroupSignals {
    /// Signals of an epoch from now on.
    pub(super) fn subscribe(&self, log_id: [u8; 32], epoch: u64) -> broadcast::Receiver<Arc<[u8]>> {
        let mut topics = self.lock();
        // Those that nobody waits for any more go here, so that the map does not outgrow the watches.
        if topics.len() == topics.capacity() {
            topics.retain(|_, sender| sender.receiver_count() > 0);
        }
        let sender = topics.entry((log_id, epoch)).or_insert_with(|| broadcast::Sender::new(GROUP_SIGNALS_WAITING_MAX));
        sender.subscribe()
    }

    /// Tells whoever waits.
    pub(super) fn send(&self, log_id: [u8; 32], epoch: u64, signal: Vec<u8>) {
        let mut topics = self.lock();
        let Some(sender) = topics.get(&(log_id, epoch)) else { return };
        if sender.send(signal.into()).is_err() {
            topics.remove(&(log_id, epoch));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, broadcast::Sender<Arc<[u8]>>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_go_to_those_who_wait_and_the_slow_miss_some() {
        let signals = GroupSignals::default();
        signals.send([1; 32], 1, vec![0]);
        let mut watch = signals.subscribe([1; 32], 1);
        let mut other_epoch = signals.subscribe([1; 32], 2);
        for number in 0..=GROUP_SIGNALS_WAITING_MAX as u8 {
            signals.send([1; 32], 1, vec![number]);
        }
        assert!(other_epoch.try_recv().is_err());
        assert_eq!(watch.try_recv(), Err(broadcast::error::TryRecvError::Lagged(1)));
        assert_eq!(*watch.try_recv().unwrap(), [1]);
        drop((watch, other_epoch));
        signals.send([1; 32], 1, vec![0]);
        assert_eq!(signals.lock().len(), 1, "the one that was signalled is gone");
        for number in 0..100 {
            drop(signals.subscribe([2; 32], number));
        }
        assert!(signals.lock().len() < 100);
    }
}
