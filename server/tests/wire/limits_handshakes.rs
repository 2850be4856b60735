//! Handshakes that are begun and never finished, by the ten thousand, from as many addresses and ports.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_proto::EndpointConfig;
use tokio::time::timeout;

use crate::client::{Client, client_config};
use crate::command::Installation;

const HALF_OPEN: u32 = 10_000;
/// Bytes of memory that they may cost the server: 256 handshakes, and what waits for 1024 connections.
const MEMORY_MAX: u64 = 64 << 20;

/// The first datagram of a client, as QUIC has it.
fn first_datagram(server: SocketAddr, config: quinn::ClientConfig) -> Vec<u8> {
    let mut endpoint = quinn_proto::Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
    let (_, mut connection) = endpoint.connect(Instant::now(), config, server, "localhost").unwrap();
    let mut datagram = Vec::new();
    let transmit = connection.poll_transmit(Instant::now(), 1, &mut datagram).unwrap();
    datagram.truncate(transmit.size);
    assert!(datagram.len() >= 1200, "a first datagram is padded");
    datagram
}

fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_handshakes_by_the_ten_thousand_lock_nobody_out() {
    let mut installation = Installation::new();
    let address = installation.start();
    let process = installation.process();
    drop(Client::connect(address).await);
    let before = resident(process);
    let flood = std::thread::spawn(move || {
        let config = client_config(b"medipeps/1");
        for number in 0..HALF_OPEN {
            let [_, _, third, fourth] = (number % 4096).to_be_bytes();
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 9, third, fourth), 0)).unwrap();
            socket.send_to(&first_datagram(address, config.clone()), address).unwrap();
        }
    });
    let (mut connected, mut most) = (0, 0);
    while !flood.is_finished() {
        let client = timeout(Duration::from_secs(20), Client::connect(address)).await;
        connected += usize::from(client.is_ok());
        assert!(client.is_ok(), "a client cannot come in during the flood, after {connected} that could");
        most = most.max(resident(process));
    }
    flood.join().unwrap();
    assert!(connected > 0);
    let grown = most.max(resident(process)).saturating_sub(before);
    assert!(grown < MEMORY_MAX, "{grown} bytes for handshakes that nobody finishes");
    timeout(Duration::from_secs(20), Client::connect(address)).await.expect("and after it");
}
