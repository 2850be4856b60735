//! Who may come in: how many connections are open and how many handshakes are under way, of all and of one network address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::limits::{HANDSHAKES_BEFORE_RETRY, TCP_HANDSHAKES_PER_ADDRESS_MAX};
use crate::network_address::NetworkAddress;

/// The server's door, for all transports together.
pub(crate) struct Door {
    quic_handshakes: Arc<Semaphore>,
    /// Apart from those over QUIC, so that neither kind of half-open handshake holds up the other.
    tcp_handshakes: Arc<Semaphore>,
    handshakes_max: usize,
    half_open: Tally,
    half_open_max: usize,
    connections: Arc<Semaphore>,
    open: Tally,
    open_max: usize,
}

/// The places that one connection takes.
pub(crate) struct Places {
    _connection: OwnedSemaphorePermit,
    _of_address: Counted,
}

impl Door {
    pub(crate) fn new(config: &Config) -> Self {
        let handshakes_max = config.connection.handshakes_max;
        Self {
            quic_handshakes: Arc::new(Semaphore::new(handshakes_max)),
            tcp_handshakes: Arc::new(Semaphore::new(handshakes_max)),
            handshakes_max,
            half_open: Tally::default(),
            half_open_max: TCP_HANDSHAKES_PER_ADDRESS_MAX.min(handshakes_max),
            connections: Arc::new(Semaphore::new(config.connection.connections_max)),
            open: Tally::default(),
            open_max: config.connection.connections_per_address_max,
        }
    }

    /// Whether so many handshakes are under way over QUIC that a client must first show that its address is its own.
    pub(crate) fn is_busy(&self) -> bool {
        let under_way = self.handshakes_max.saturating_sub(self.quic_handshakes.available_permits());
        under_way >= HANDSHAKES_BEFORE_RETRY.min(self.handshakes_max)
    }

    /// A place for a handshake over QUIC; `None` when all are taken.
    pub(crate) fn begin_quic_handshake(&self) -> Option<OwnedSemaphorePermit> {
        self.quic_handshakes.clone().try_acquire_owned().ok()
    }

    /// A place for a handshake over TCP, as soon as there is one. Meanwhile clients wait in the kernel, which costs the
    /// server nothing. `None` when the server is gone.
    pub(crate) async fn begin_tcp_handshake(&self) -> Option<OwnedSemaphorePermit> {
        self.tcp_handshakes.clone().acquire_owned().await.ok()
    }

    /// A place among the half-open TCP connections of a network address.
    pub(crate) fn half_open(&self, address: NetworkAddress) -> Option<Counted> {
        self.half_open.enter(address, self.half_open_max)
    }

    /// The places of an open connection.
    pub(crate) fn enter(&self, address: NetworkAddress) -> Option<Places> {
        let connection = self.connections.clone().try_acquire_owned().ok()?;
        let of_address = self.open.enter(address, self.open_max)?;
        Some(Places { _connection: connection, _of_address: of_address })
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

    fn door(change: impl FnOnce(&mut Config)) -> Door {
        let mut config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), "data");
        change(&mut config);
        Door::new(&config)
    }

    #[test]
    fn places_of_an_address_come_back() {
        let door = door(|config| config.connection.connections_per_address_max = 1);
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
}
