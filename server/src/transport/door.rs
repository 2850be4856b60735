//! Who may come in: how many connections are open and how many handshakes are under way, of all and of one network address.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Connections;
use crate::limits::{HANDSHAKES_BEFORE_RETRY, TCP_HANDSHAKES_PER_ADDRESS_MAX};
use crate::network_address::NetworkAddress;

/// The server's door, for all transports together.
pub(crate) struct Door {
    limits: Mutex<Connections>,
    quic_handshakes: Total,
    /// Apart from those over QUIC, so that neither kind of half-open handshake holds up the other.
    tcp_handshakes: Arc<Semaphore>,
    half_open: Tally,
    connections: Total,
    open: Tally,
}

/// The places that one connection takes.
pub(crate) struct Places {
    _connection: OneOf,
    _of_address: Counted,
}

impl Door {
    pub(crate) fn new(limits: &Connections) -> Self {
        Self {
            limits: Mutex::new(limits.clone()),
            quic_handshakes: Total::default(),
            tcp_handshakes: Arc::new(Semaphore::new(limits.handshakes_max)),
            half_open: Tally::default(),
            connections: Total::default(),
            open: Tally::default(),
        }
    }

    /// Sets other limits. Whoever is in stays.
    pub(crate) fn set_limits(&self, limits: &Connections) {
        let mut current = self.limits();
        if limits.handshakes_max > current.handshakes_max {
            self.tcp_handshakes.add_permits(limits.handshakes_max - current.handshakes_max);
        } else {
            // Those that are under way now are not counted off: a smaller number holds from the time when they have ended.
            self.tcp_handshakes.forget_permits(current.handshakes_max - limits.handshakes_max);
        }
        *current = limits.clone();
    }

    /// Whether so many handshakes are under way over QUIC that a client must first show that its address is its own.
    pub(crate) fn is_busy(&self) -> bool {
        self.quic_handshakes.count() >= HANDSHAKES_BEFORE_RETRY.min(self.limits().handshakes_max)
    }

    /// A place for a handshake over QUIC; `None` when all are taken.
    pub(crate) fn begin_quic_handshake(&self) -> Option<OneOf> {
        self.quic_handshakes.enter(self.limits().handshakes_max)
    }

    /// A place for a handshake over TCP, as soon as there is one. Meanwhile clients wait in the kernel, which costs the
    /// server nothing. `None` when the server is gone.
    pub(crate) async fn begin_tcp_handshake(&self) -> Option<OwnedSemaphorePermit> {
        self.tcp_handshakes.clone().acquire_owned().await.ok()
    }

    /// A place among the half-open TCP connections of a network address.
    pub(crate) fn half_open(&self, address: NetworkAddress) -> Option<Counted> {
        self.half_open.enter(address, TCP_HANDSHAKES_PER_ADDRESS_MAX.min(self.limits().handshakes_max))
    }

    /// The places of an open connection.
    pub(crate) fn enter(&self, address: NetworkAddress) -> Option<Places> {
        let (all, of_address) = {
            let limits = self.limits();
            (limits.connections_max, limits.connections_per_address_max)
        };
        let connection = self.connections.enter(all)?;
        let of_address = self.open.enter(address, of_address)?;
        Some(Places { _connection: connection, _of_address: of_address })
    }

    fn limits(&self) -> MutexGuard<'_, Connections> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many there are of all.
#[derive(Debug, Clone, Default)]
struct Total(Arc<AtomicUsize>);

/// One of all, counted until it is dropped.
pub(crate) struct OneOf(Total);

impl Total {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn enter(&self, most: usize) -> Option<OneOf> {
        let one_more = |count| (count < most).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(OneOf(self.clone()))
    }
}

impl Drop for OneOf {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many there are of each network address.
#[derive(Debug, Clone, Default)]
struct Tally(Arc<Mutex<HashMap<NetworkAddress, usize>>>);

/// One of a network address, counted until it is dropped.
pub(crate) struct Counted {
    address: NetworkAddress,
    tally: Tally,
}

impl Tally {
    fn enter(&self, address: NetworkAddress, most: usize) -> Option<Counted> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Counted { address, tally: self.clone() })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn address(last: u8) -> NetworkAddress {
        IpAddr::from([192, 0, 2, last]).into()
    }

    fn door(change: impl FnOnce(&mut Connections)) -> Door {
        let mut limits = Connections::default();
        change(&mut limits);
        Door::new(&limits)
    }

    #[test]
    fn places_of_an_address_come_back() {
        let door = door(|limits| limits.connections_per_address_max = 1);
        let one = door.enter(address(1));
        assert!(one.is_some() && door.enter(address(1)).is_none());
        assert!(door.enter(address(2)).is_some(), "another address has its own");
        drop(one);
        assert!(door.enter(address(1)).is_some());
        assert!(door.open.0.lock().unwrap().is_empty(), "nothing is kept of whoever is gone");
    }

    #[test]
    fn half_open_handshakes_of_one_address_leave_room_for_others() {
        let door = door(|_| ());
        let held: Vec<_> = (0..TCP_HANDSHAKES_PER_ADDRESS_MAX).map_while(|_| door.half_open(address(1))).collect();
        assert_eq!(held.len(), TCP_HANDSHAKES_PER_ADDRESS_MAX);
        assert!(door.half_open(address(1)).is_none());
        assert!(door.half_open(address(2)).is_some());
        assert!(door.begin_quic_handshake().is_some());
    }

    #[test]
    fn other_limits_hold_at_once_and_whoever_is_in_stays() {
        let door = door(|limits| (limits.connections_max, limits.handshakes_max) = (1, 1));
        let inside = door.enter(address(1));
        let handshake = door.begin_quic_handshake();
        assert!(inside.is_some() && handshake.is_some());
        assert!(door.enter(address(2)).is_none() && door.begin_quic_handshake().is_none() && door.is_busy());
        door.set_limits(&Connections { connections_max: 2, handshakes_max: 3, ..Connections::default() });
        let second = door.enter(address(2));
        assert!(second.is_some() && door.begin_quic_handshake().is_some() && !door.is_busy());
        assert_eq!(door.tcp_handshakes.available_permits(), 3);
        door.set_limits(&Connections { connections_max: 1, handshakes_max: 1, ..Connections::default() });
        drop(second);
        assert!(door.enter(address(2)).is_none(), "one is still in");
        assert_eq!(door.tcp_handshakes.available_permits(), 1);
        drop(inside);
        assert!(door.enter(address(2)).is_some());
    }
}
