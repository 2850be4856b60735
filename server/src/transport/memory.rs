//! Bytes of requests and answers that may be in memory at once: of all connections, of those from one network address, of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use medipeps_core::wire::transport::Request;

use crate::frame::{FrameMemory, Share};
use crate::limits::{
    BLOB_ANSWER_MEMORY_MAX, CONNECTION_BLOB_ANSWER_MEMORY_MAX, CONNECTION_LARGE_REQUEST_MEMORY_MAX,
    CONNECTION_REQUEST_MEMORY_MAX, LARGE_REQUEST_MEMORY_MAX, REQUEST_MEMORY_MAX,
};
use crate::network_address::NetworkAddress;

/// Network addresses that are remembered before those without a connection are looked for.
const FORGET_FROM: usize = 64;

/// Bytes that may be in memory at once.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    /// Of requests.
    pub(crate) requests: FrameMemory,
    /// Of requests whose frames are larger than most may be.
    pub(crate) large_requests: FrameMemory,
    /// Of answers to fetches of blobs.
    pub(crate) blobs: FrameMemory,
}

/// The server's memory, and the part of each network address that has a connection.
#[derive(Debug)]
pub(crate) struct Memories {
    all: Memory,
    addresses: Mutex<Addresses>,
}

#[derive(Debug)]
struct Addresses {
    parts: HashMap<NetworkAddress, Weak<Memory>>,
    forget_from: usize,
}

/// There is no room for an answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// The part of one connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionMemory {
    pub(crate) part: Memory,
    /// Remembered as long as a connection has a part of it.
    _address: Arc<Memory>,
}

impl Memory {
    /// The share of the answer to a request, to be held until it is written.
    pub(crate) fn share_of_answer(&self, request: &Request) -> Result<Option<Share>, NoMemory> {
        match request {
            // The bytes, and the frame that they are written in.
            Request::FetchBlob(fetch) => self.blobs.share(2 * fetch.length as usize).map(Some).ok_or(NoMemory),
            _ => Ok(None),
        }
    }
}

impl Memories {
    pub(crate) fn new() -> Self {
        let all = Memory {
            requests: FrameMemory::new(REQUEST_MEMORY_MAX),
            large_requests: FrameMemory::new(LARGE_REQUEST_MEMORY_MAX),
            blobs: FrameMemory::new(BLOB_ANSWER_MEMORY_MAX),
        };
        Self { all, addresses: Mutex::new(Addresses { parts: HashMap::new(), forget_from: FORGET_FROM }) }
    }

    /// What all connections share.
    pub(crate) const fn of_all(&self) -> &Memory {
        &self.all
    }

    /// The part of a new connection, within that of its network address.
    pub(crate) fn of_connection(&self, address: NetworkAddress) -> ConnectionMemory {
        let address = self.of_address(address);
        let part = Memory {
            requests: address.requests.part(CONNECTION_REQUEST_MEMORY_MAX),
            large_requests: address.large_requests.part(CONNECTION_LARGE_REQUEST_MEMORY_MAX),
            blobs: address.blobs.part(CONNECTION_BLOB_ANSWER_MEMORY_MAX),
        };
        ConnectionMemory { part, _address: address }
    }

    /// Half of everything: whoever has one address cannot take what the others need.
    fn of_address(&self, address: NetworkAddress) -> Arc<Memory> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = addresses.parts.get(&address).and_then(Weak::upgrade) {
            return part;
        }
        let part = Arc::new(Memory {
            requests: self.all.requests.part(REQUEST_MEMORY_MAX / 2),
            large_requests: self.all.large_requests.part(LARGE_REQUEST_MEMORY_MAX / 2),
            blobs: self.all.blobs.part(BLOB_ANSWER_MEMORY_MAX / 2),
        });
        addresses.parts.insert(address, Arc::downgrade(&part));
        addresses.forget();
        part
    }
}

impl Addresses {
    /// Forgets addresses without a connection, each time that the table has doubled.
    fn forget(&mut self) {
        if self.parts.len() > self.forget_from {
            self.parts.retain(|_, part| part.strong_count() > 0);
            self.forget_from = FORGET_FROM.max(2 * self.parts.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use medipeps_core::wire::transport::FetchBlob;

    use super::*;

    fn address(number: u32) -> NetworkAddress {
        IpAddr::from(Ipv4Addr::from(number)).into()
    }

    #[test]
    fn neither_a_connection_nor_an_address_takes_the_memory_of_others() {
        let memories = Memories::new();
        let (mut connections, mut held) = (Vec::new(), Vec::new());
        let mut take_mebibytes = |address| {
            let connection = memories.of_connection(address);
            let before = held.len();
            held.extend(std::iter::from_fn(|| connection.part.requests.share(1 << 20)));
            connections.push(connection);
            held.len() - before
        };
        assert_eq!(take_mebibytes(address(1)), 6, "of one connection");
        let of_address: usize = (0..40).map(|_| take_mebibytes(address(1))).sum();
        assert_eq!(6 + of_address, 128, "of all connections of one address");
        assert_eq!(take_mebibytes(address(2)), 6, "others are served");
    }

    #[test]
    fn answers_with_blobs_share_a_memory_of_their_own() {
        let requests = FrameMemory::new(0);
        let memory = Memory { requests: requests.clone(), large_requests: requests, blobs: FrameMemory::new(2100) };
        let fetch = Request::FetchBlob(FetchBlob { id: [0; 32], offset: 0, length: 1000 });
        let held = memory.share_of_answer(&fetch).unwrap();
        assert!(held.is_some());
        assert_eq!(memory.share_of_answer(&fetch).unwrap_err(), NoMemory);
        assert!(memory.share_of_answer(&Request::Subscribe).unwrap().is_none(), "nobody else is held up");
        drop(held);
        assert!(memory.share_of_answer(&fetch).is_ok());
    }

    #[test]
    fn addresses_are_forgotten_with_their_connections() {
        let memories = Memories::new();
        let kept = memories.of_connection(address(0));
        for number in 1..10_000 {
            drop(memories.of_connection(address(number)));
        }
        let addresses = memories.addresses.lock().unwrap();
        assert!(addresses.parts.len() <= 2 * FORGET_FROM + 1, "{}", addresses.parts.len());
        assert!(addresses.parts.contains_key(&address(0)), "whoever is connected is remembered");
        drop(kept);
    }
}
