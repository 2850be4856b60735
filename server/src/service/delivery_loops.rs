//! Envelopes that are pushed first of their queue again and again and are never acknowledged: a device that fails at one envelope
//! never comes to those behind it. `spec/operation.md`, Delivery loops.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use medipeps_core::Address;

use crate::limits::{DELIVERY_LOOP_MOVE, DELIVERY_LOOP_WARNING, DELIVERY_LOOPS_MAX};

/// How often the first envelope of each queue has been the first of a subscription, since anything was acknowledged.
#[derive(Debug, Default)]
pub(super) struct DeliveryLoops {
    first: Mutex<HashMap<(Address, u32), First>>,
}

#[derive(Debug)]
struct First {
    sequence: u64,
    times: u32,
}

/// What is to be done about a first envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is pushed, as always.
    Push,
    /// It is pushed, and somebody should know.
    Warn,
    /// It goes behind the others.
    Move,
}

impl DeliveryLoops {
    /// Counts the first envelope of a new subscription.
    pub(super) fn begin(&self, address: &Address, device_id: u32, sequence: u64) -> Verdict {
        let mut firsts = self.lock();
        let key = (address.clone(), device_id);
        if !firsts.contains_key(&key) && firsts.len() >= DELIVERY_LOOPS_MAX {
            firsts.retain(|_, first| first.times > 1);
            if firsts.len() >= DELIVERY_LOOPS_MAX {
                return Verdict::Push;
            }
        }
        let first = firsts.entry(key).or_insert(First { sequence, times: 0 });
        if first.sequence != sequence {
            *first = First { sequence, times: 0 };
        }
        first.times += 1;
        match first.times {
            DELIVERY_LOOP_WARNING => Verdict::Warn,
            // Where there is nothing behind it, it stays; it is tried again after as many.
            DELIVERY_LOOP_MOVE.. => {
                first.times = 0;
                Verdict::Move
            }
            _ => Verdict::Push,
        }
    }

    /// The device has acknowledged something.
    pub(super) fn acknowledged(&self, address: &Address, device_id: u32) {
        self.lock().remove(&(address.clone(), device_id));
    }

    /// Every change is whole while the lock is held, so a thread that died holding it left nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<(Address, u32), First>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_first_envelope_is_counted_until_anything_is_acknowledged() {
        let loops = DeliveryLoops::default();
        let claire: Address = "claire@clinic.example".parse().unwrap();
        let times = |count: u32, sequence| -> Vec<Verdict> {
            (0..count).map(|_| loops.begin(&claire, 1, sequence)).filter(|verdict| *verdict != Verdict::Push).collect()
        };
        assert_eq!(times(DELIVERY_LOOP_WARNING - 1, 7), []);
        assert_eq!(loops.begin(&claire, 2, 7), Verdict::Push, "another device");
        assert_eq!(times(1, 7), [Verdict::Warn]);
        assert_eq!(times(DELIVERY_LOOP_MOVE - DELIVERY_LOOP_WARNING, 7), [Verdict::Move]);
        assert_eq!(times(DELIVERY_LOOP_MOVE, 7), [Verdict::Warn, Verdict::Move], "and again");
        assert_eq!(times(DELIVERY_LOOP_WARNING - 1, 7), []);
        assert_eq!(times(DELIVERY_LOOP_WARNING - 1, 8), [], "another envelope");
        loops.acknowledged(&claire, 1);
        assert_eq!(times(DELIVERY_LOOP_WARNING - 1, 8), []);
    }
}
