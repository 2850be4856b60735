//! Who may come in: how many connections, of one network address and in all, and how many handshakes at once. One door for all
//! transports.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Connections;
use crate::limits::HANDSHAKES_BEFORE_RETRY;
use crate::network_address::NetworkAddress;

/// Who may come in. Clones are the same door.
#[derive(Debug, Clone)]
pub(crate) struct Door(Arc<Mutex<Inside>>);

/// Who is in.
#[derive(Debug)]
struct Inside {
    limits: Connections,
    handshakes: usize,
    connections: usize,
    per_address: HashMap<NetworkAddress, usize>,
}

/// The place of one handshake.
#[derive(Debug)]
pub(crate) struct HandshakePlace(Door);

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionPlace {
    door: Door,
    address: NetworkAddress,
}

impl Door {
    /// A door with nobody inside.
    pub(crate) fn new(limits: &Connections) -> Self {
        let (limits, per_address) = (limits.clone(), HashMap::new());
        Self(Arc::new(Mutex::new(Inside { limits, handshakes: 0, connections: 0, per_address })))
    }

    /// Sets other limits. Whoever is in stays.
    pub(crate) fn set_limits(&self, limits: &Connections) {
        self.lock().limits = limits.clone();
    }

    /// Whether so many handshakes are under way that a client must first show that its address is its own.
    pub(crate) fn is_busy(&self) -> bool {
        let inside = self.lock();
        inside.handshakes >= HANDSHAKES_BEFORE_RETRY.min(inside.limits.handshakes_max)
    }

    /// Lets a handshake begin.
    pub(crate) fn begin_handshake(&self) -> Option<HandshakePlace> {
        let mut inside = self.lock();
        let free = inside.handshakes < inside.limits.handshakes_max;
        inside.handshakes += usize::from(free);
        free.then(|| HandshakePlace(self.clone()))
    }

    /// Lets a connection in.
    pub(crate) fn enter(&self, address: NetworkAddress) -> Option<ConnectionPlace> {
        let mut inside = self.lock();
        let of_address = inside.per_address.get(&address).copied().unwrap_or_default();
        if inside.connections >= inside.limits.connections_max
            || of_address >= inside.limits.connections_per_address_max
        {
            return None;
        }
        inside.connections += 1;
        inside.per_address.insert(address, of_address + 1);
        Some(ConnectionPlace { door: self.clone(), address })
    }

    /// Every change is whole while the lock is held, so a thread that died holding it left nothing half done.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.0.lock().handshakes -= 1;
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut inside = self.door.lock();
        inside.connections -= 1;
        match inside.per_address.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(inside.per_address.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn limits(connections_max: usize, connections_per_address_max: usize, handshakes_max: usize) -> Connections {
        Connections { connections_max, connections_per_address_max, handshakes_max, idle_seconds: 120 }
    }

    fn from(address: &str) -> NetworkAddress {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let door = Door::new(&limits(3, 2, 1));
        let handshake = door.begin_handshake().unwrap();
        assert!(door.begin_handshake().is_none() && door.is_busy());
        drop(handshake);
        assert!(!door.is_busy());
        let one = door.enter(from("192.0.2.1")).unwrap();
        let _two = door.enter(from("192.0.2.1")).unwrap();
        assert!(door.enter(from("192.0.2.1")).is_none());
        let _three = door.enter(from("192.0.2.2")).unwrap();
        assert!(door.enter(from("192.0.2.3")).is_none());
        drop(one);
        assert!(door.enter(from("192.0.2.1")).is_some());
        drop((_two, _three));
        assert!(door.lock().per_address.is_empty() && door.lock().connections == 0);
    }

    #[test]
    fn other_limits_put_nobody_out() {
        let door = Door::new(&limits(2, 2, 1));
        let places = [(); 2].map(|()| door.enter(from("192.0.2.1")).unwrap());
        door.set_limits(&limits(1, 1, 1));
        assert!(door.enter(from("192.0.2.1")).is_none());
        drop(places);
        let _one = door.enter(from("192.0.2.1")).unwrap();
        assert!(door.enter(from("192.0.2.1")).is_none());
        door.set_limits(&limits(2, 2, 1));
        assert!(door.enter(from("192.0.2.1")).is_some());
    }
}
