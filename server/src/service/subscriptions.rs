//! Which device has a subscription open: one each, the newest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use medipeps_core::Address;
use tokio::sync::watch;

/// All open subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    open: Mutex<HashMap<(Address, u32), Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    signals: watch::Sender<Signals>,
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

impl Subscriptions {
    /// Takes the place of a device, displacing whoever has it.
    pub(super) fn take(&self, address: Address, device_id: u32) -> (Place, watch::Receiver<Signals>) {
        let (signals, receiver) = watch::channel(Signals::default());
        let place = Place { key: (address, device_id), entry: Arc::new(Entry { signals }) };
        let older = self.lock().insert(place.key.clone(), place.entry.clone());
        if let Some(older) = older {
            older.signals.send_modify(|signals| signals.displaced = true);
        }
        (place, receiver)
    }

    /// Gives a place up, unless a newer subscription has it.
    pub(super) fn leave(&self, place: &Place) {
        let mut open = self.lock();
        if open.get(&place.key).is_some_and(|entry| Arc::ptr_eq(entry, &place.entry)) {
            open.remove(&place.key);
        }
    }

    /// Tells the subscription of a device that everything up to a number is acknowledged.
    pub(super) fn acknowledged(&self, address: &Address, device_id: u32, up_to: u64) {
        let entry = self.lock().get(&(address.clone(), device_id)).cloned();
        if let Some(entry) = entry {
            entry.signals.send_modify(|signals| {
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

    #[test]
    fn the_newest_has_the_place() {
        let subscriptions = Subscriptions::default();
        let address: Address = "claire@clinic.example".parse().unwrap();
        let (first, first_signals) = subscriptions.take(address.clone(), 1);
        let (second, second_signals) = subscriptions.take(address.clone(), 1);
        subscriptions.leave(&first);
        subscriptions.acknowledged(&address, 1, 7);
        subscriptions.acknowledged(&address, 1, 5);
        assert!(first_signals.borrow().displaced);
        assert_eq!(*second_signals.borrow(), Signals { displaced: false, acknowledgements: 2, up_to: 7 });
        subscriptions.leave(&second);
        assert!(subscriptions.lock().is_empty());
    }
}
