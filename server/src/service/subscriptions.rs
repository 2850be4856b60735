//! Which device has a subscription open: one each, the newest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use medipeps_core::Address;
use tokio::sync::Notify;

/// All open subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    open: Mutex<HashMap<(Address, u32), Arc<Entry>>>,
}

/// What one subscription is told, and when. A channel would take three times the memory, of every client that is idle.
#[derive(Debug, Default)]
struct Entry {
    signals: Mutex<Signals>,
    changed: Notify,
}

impl Entry {
    fn tell(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut self.signals());
        // One waits at most; if nobody does, the next who waits need not.
        self.changed.notify_one();
    }

    fn signals(&self) -> MutexGuard<'_, Signals> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What others tell a subscription.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signals {
    /// A newer one has taken over.
    pub(super) displaced: bool,
    /// Acknowledgements so far.
    pub(super) acknowledgements: u64,
    /// The highest number acknowledged.
    pub(super) up_to: u64,
}

/// The place of one subscription; given up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    key: (Address, u32),
    entry: Arc<Entry>,
}

impl Place {
    /// What the subscription was told so far.
    pub(super) fn signals(&self) -> Signals {
        *self.entry.signals()
    }

    /// Waits until it is told something that it may not have seen. To be awaited by one task.
    pub(super) async fn changed(&self) {
        self.entry.changed.notified().await;
    }
}

impl Subscriptions {
    /// Takes the place of a device, displacing whoever has it.
    pub(super) fn take(&self, address: Address, device_id: u32) -> Place {
        let place = Place { key: (address, device_id), entry: Arc::default() };
        let older = self.lock().insert(place.key.clone(), place.entry.clone());
        if let Some(older) = older {
            older.tell(|signals| signals.displaced = true);
        }
        place
    }

    /// Gives a place up, unless a newer subscription has it. Says whether the device has none any more.
    pub(super) fn leave(&self, place: &Place) -> bool {
        let mut open = self.lock();
        let newest = open.get(&place.key).is_some_and(|entry| Arc::ptr_eq(entry, &place.entry));
        if newest {
            open.remove(&place.key);
        }
        newest
    }

    /// Whether a device has one open.
    pub(super) fn is_open(&self, address: &Address, device_id: u32) -> bool {
        self.lock().contains_key(&(address.clone(), device_id))
    }

    /// Tells the subscription of a device that everything up to a number is acknowledged.
    pub(super) fn acknowledged(&self, address: &Address, device_id: u32, up_to: u64) {
        let entry = self.lock().get(&(address.clone(), device_id)).cloned();
        if let Some(entry) = entry {
            entry.tell(|signals| {
                signals.acknowledgements += 1;
                signals.up_to = signals.up_to.max(up_to);
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Address, u32), Arc<Entry>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn the_newest_has_the_place() {
        let subscriptions = Subscriptions::default();
        let address: Address = "claire@clinic.example".parse().unwrap();
        let first = subscriptions.take(address.clone(), 1);
        let second = subscriptions.take(address.clone(), 1);
        assert!(!subscriptions.leave(&first), "the newer one has its place");
        assert!(subscriptions.is_open(&address, 1) && !subscriptions.is_open(&address, 2));
        subscriptions.acknowledged(&address, 1, 7);
        subscriptions.acknowledged(&address, 1, 5);
        assert!(first.signals().displaced);
        assert_eq!(second.signals(), Signals { displaced: false, acknowledgements: 2, up_to: 7 });
        let changed = || timeout(Duration::ZERO, second.changed());
        assert!(changed().await.is_ok(), "told before it waited");
        assert!(changed().await.is_err(), "and only once");
        assert!(subscriptions.leave(&second));
        assert!(subscriptions.lock().is_empty());
    }
}
