//! Which network this machine is in, and which transport got through there last.
//!
//! A network is known by its default gateway, the interface, and the network part of the machine's own address; where the
//! system does not tell the first two, by the last alone. A wrong guess costs half a second, nothing else. What is kept is a
//! hash, in a file of the account's folder that goes with the account: `spec/storage-client.md`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use medipeps_core::wire::transport::Transport;
use sha2::{Digest, Sha256};

use crate::limits::{NETWORK_NOTED_AGAIN, NETWORKS_REMEMBERED_MAX, WEBSOCKET_REMEMBERED};

/// The file in the account's folder.
pub(crate) const FILE_NAME: &str = "networks";
/// Bytes of a network's id.
const ID_LENGTH: usize = 16;

/// Tells one network from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NetworkId([u8; ID_LENGTH]);

/// The network in which a server is reached; `None` if the system knows no way there.
pub(super) fn identify(server: SocketAddr) -> Option<NetworkId> {
    let unspecified: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(unspecified).ok()?;
    // Nothing is sent: the system picks the address that it would send from.
    socket.connect(server).ok()?;
    let own = socket.local_addr().ok()?.ip();
    Some(id(own, &default_gateways()))
}

fn id(own: IpAddr, gateways: &str) -> NetworkId {
    let network = match own {
        IpAddr::V4(address) => address.octets()[..3].to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    };
    let hash = Sha256::new().chain_update(network).chain_update(gateways).finalize();
    let mut id = [0; ID_LENGTH];
    id.copy_from_slice(&hash[..ID_LENGTH]);
    NetworkId(id)
}

/// Interface and gateway of each default route, as Linux tells them; empty elsewhere.
fn default_gateways() -> String {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let mut gateways = String::new();
    for route in routes.lines().skip(1) {
        let mut columns = route.split_ascii_whitespace();
        if let (Some(interface), Some("00000000"), Some(gateway)) = (columns.next(), columns.next(), columns.next()) {
            gateways.extend([interface, " ", gateway, "\n"]);
        }
    }
    gateways
}

/// What is known of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    network: NetworkId,
    transport: Transport,
    /// Seconds since 1970.
    since: u64,
}

/// The transport that got through last, and when. For people to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastTransport {
    /// Which.
    pub transport: Transport,
    /// Seconds since 1970.
    pub at: u64,
}

/// The networks that this account was in.
#[derive(Debug, Clone)]
pub(super) struct Networks {
    path: PathBuf,
}

impl Networks {
    pub(super) fn new(home: &Path) -> Self {
        Self { path: home.join(FILE_NAME) }
    }

    /// Whether WebSocket won in this network not long ago. After a while QUIC has its head start again.
    pub(super) fn prefers_websocket(&self, network: NetworkId) -> bool {
        let known = self.read().into_iter().find(|known| known.network == network);
        known.is_some_and(|known| known.transport == Transport::WebSocket && age(known.since) <= WEBSOCKET_REMEMBERED)
    }

    /// The entry that was written last.
    pub(super) fn last(&self) -> Option<LastTransport> {
        let known = self.read().into_iter().max_by_key(|known| known.since)?;
        Some(LastTransport { transport: known.transport, at: known.since })
    }

    /// Keeps which transport won. A failure to do so costs half a second at the next connection.
    pub(super) fn note(&self, network: NetworkId, transport: Transport) -> io::Result<()> {
        let mut all = self.read();
        if let Some(known) = all.iter().find(|known| known.network == network) {
            // WebSocket counts from when it won against QUIC, so that its time runs out.
            let fresh = if transport == Transport::WebSocket { WEBSOCKET_REMEMBERED } else { NETWORK_NOTED_AGAIN };
            if known.transport == transport && age(known.since) <= fresh {
                return Ok(());
            }
        }
        all.retain(|known| known.network != network);
        all.push(Known { network, transport, since: now() });
        let from = all.len().saturating_sub(NETWORKS_REMEMBERED_MAX);
        self.write(&all[from..])
    }

    fn read(&self) -> Vec<Known> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().filter_map(parse).collect()
    }

    /// All or nothing: another program may read at the same time.
    fn write(&self, all: &[Known]) -> io::Result<()> {
        let new = self.path.with_extension(format!("{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        for Known { network, transport, since } in all {
            writeln!(file, "{} {} {since}", HEXLOWER.encode(&network.0), transport.name())?;
        }
        fs::rename(&new, &self.path)
    }
}

fn parse(line: &str) -> Option<Known> {
    let mut words = line.split(' ');
    let id = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
    let transport = match words.next()? {
        name if name == Transport::Quic.name() => Transport::Quic,
        name if name == Transport::WebSocket.name() => Transport::WebSocket,
        _ => return None,
    };
    Some(Known { network: NetworkId(id.try_into().ok()?), transport, since: words.next()?.parse().ok()? })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How long ago it was. A time to come is from a clock that was wrong, and counts as long ago.
fn age(since: u64) -> Duration {
    now().checked_sub(since).map_or(Duration::MAX, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> (tempfile::TempDir, Networks) {
        let home = tempfile::tempdir().unwrap();
        let networks = Networks::new(home.path());
        (home, networks)
    }

    #[test]
    fn networks_are_told_apart_and_addresses_within_one_are_not() {
        let gateways = "wlan0 0101A8C0\n";
        let here = id([192, 168, 1, 7].into(), gateways);
        assert_eq!(here, id([192, 168, 1, 200].into(), gateways));
        assert_ne!(here, id([192, 168, 2, 7].into(), gateways));
        assert_ne!(here, id([192, 168, 1, 7].into(), "eth0 0101A8C0\n"));
        assert_eq!(identify("127.0.0.1:9".parse().unwrap()), identify("127.0.0.1:10".parse().unwrap()));
    }

    #[test]
    fn a_winner_is_remembered_for_its_network_until_quic_wins() {
        let (_home, networks) = networks();
        let [one, other] = [NetworkId([1; 16]), NetworkId([2; 16])];
        assert!(!networks.prefers_websocket(one) && networks.last().is_none());
        networks.note(one, Transport::WebSocket).unwrap();
        assert!(networks.prefers_websocket(one) && !networks.prefers_websocket(other));
        networks.note(other, Transport::Quic).unwrap();
        assert!(networks.prefers_websocket(one) && !networks.prefers_websocket(other));
        networks.note(one, Transport::Quic).unwrap();
        assert!(!networks.prefers_websocket(one));
    }

    #[test]
    fn the_memory_of_websocket_runs_out_and_is_not_prolonged_meanwhile() {
        let (_home, networks) = networks();
        let network = NetworkId([1; 16]);
        let old = now() - WEBSOCKET_REMEMBERED.as_secs() + 60;
        networks.write(&[Known { network, transport: Transport::WebSocket, since: old }]).unwrap();
        networks.note(network, Transport::WebSocket).unwrap();
        assert_eq!(networks.read()[0].since, old);
        for since in [old - 120, now() + 3600] {
            networks.write(&[Known { network, transport: Transport::WebSocket, since }]).unwrap();
            assert!(!networks.prefers_websocket(network));
            networks.note(network, Transport::WebSocket).unwrap();
            assert!(networks.prefers_websocket(network), "it won again");
        }
    }

    #[test]
    fn a_damaged_file_is_no_memory_and_the_oldest_go() {
        let (home, networks) = networks();
        fs::write(home.path().join(FILE_NAME), b"\xff\nzz quic 1\nab quic\n").unwrap();
        assert!(networks.read().is_empty());
        for number in 0..=NETWORKS_REMEMBERED_MAX {
            networks.note(NetworkId([number as u8; 16]), Transport::Quic).unwrap();
        }
        let kept = networks.read();
        assert_eq!((kept.len(), kept[0].network), (NETWORKS_REMEMBERED_MAX, NetworkId([1; 16])));
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let (home, networks) = networks();
        networks.note(NetworkId([1; 16]), Transport::Quic).unwrap();
        assert_eq!(fs::metadata(home.path().join(FILE_NAME)).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
