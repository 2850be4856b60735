//! Idle clients: connected, proved, subscribed, and silent but for keep-alives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use medipeps_client::shell::connection::{Connection, Subscription};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::account::Account;
use crate::error::LoadError;
use crate::latency::{Latencies, Percentiles};
use crate::run::Stop;
use crate::server::Target;
use crate::wire::{Place, Sockets, Subscribed};

/// Clients that come in at once: below the number from which the server asks for a proof of the network address.
const PARALLEL: usize = 24;
/// Clients that come in at least between two looks at memory.
const STEP_MIN: usize = 10;
/// Points at which memory is looked at.
const STEPS: usize = 10;
/// How long a server has to settle before its memory is looked at.
const SETTLE: Duration = Duration::from_millis(500);

/// Open connections, and what they took.
#[derive(Debug)]
pub(crate) struct Idle {
    clients: Vec<Client>,
    /// Holds the sockets.
    _sockets: Arc<Sockets>,
    pub(crate) report: IdleReport,
}

/// What idle clients took.
#[derive(Debug, Serialize)]
pub(crate) struct IdleReport {
    /// Clients that came in.
    pub(crate) connections: usize,
    /// Of them, those whose connection was gone at the end of the run.
    pub(crate) lost: usize,
    /// Handshakes with Hello, proof and subscription, a second; both ends on the same machine.
    pub(crate) handshakes_per_second: f64,
    /// From the first datagram to the open subscription.
    pub(crate) handshake_ms: Option<Percentiles>,
    /// Bytes of the server's memory a connection, where the server is ours.
    pub(crate) bytes_per_connection: Option<f64>,
    /// Memory on the way.
    pub(crate) memory: Vec<MemorySample>,
}

/// The server's memory with so many connections.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct MemorySample {
    pub(crate) connections: usize,
    pub(crate) resident_bytes: u64,
}

impl Idle {
    /// Opens one connection an account, a step at a time.
    pub(crate) async fn open(
        target: &Target,
        accounts: &[Arc<Account>],
        websocket: bool,
        stop: &Stop,
    ) -> Result<Self, LoadError> {
        let sockets = Arc::new(Sockets::open(&target.place, if websocket { 0 } else { accounts.len() })?);
        let place = websocket.then(|| target.place.clone());
        let mut opening = Opening { place, clients: Vec::with_capacity(accounts.len()), latencies: Latencies::new() };
        let (mut memory, mut elapsed) = (Vec::new(), Duration::ZERO);
        sample(target, 0, &mut memory).await;
        let step = accounts.len().div_ceil(STEPS).max(STEP_MIN);
        for step in accounts.chunks(step) {
            if stop.is_asked() {
                break;
            }
            let start = Instant::now();
            opening.open(&sockets, step).await?;
            elapsed += start.elapsed();
            sample(target, opening.clients.len(), &mut memory).await;
            eprintln!("  {} of {} idle clients", opening.clients.len(), accounts.len());
        }
        let Opening { clients, latencies, .. } = opening;
        let report = IdleReport {
            connections: clients.len(),
            lost: 0,
            handshakes_per_second: clients.len() as f64 / elapsed.as_secs_f64().max(f64::EPSILON),
            handshake_ms: latencies.percentiles(),
            bytes_per_connection: bytes_per_connection(&memory),
            memory,
        };
        Ok(Self { clients, _sockets: sockets, report })
    }

    /// Looks which are still there.
    pub(crate) async fn count_lost(&mut self) {
        for client in &self.clients {
            self.report.lost += usize::from(!client.is_open().await);
        }
    }
}

/// One idle client.
#[derive(Debug)]
enum Client {
    /// Over a socket that it shares.
    Quic(Subscribed),
    /// The real client's connection.
    WebSocket { connection: Connection, _subscription: Box<Subscription> },
}

impl Client {
    async fn is_open(&self) -> bool {
        match self {
            Self::Quic(client) => client.is_open(),
            Self::WebSocket { connection, .. } => timeout(Duration::ZERO, connection.closed()).await.is_err(),
        }
    }
}

struct Opening {
    /// Where clients connect by WebSocket.
    place: Option<Place>,
    clients: Vec<Client>,
    latencies: Latencies,
}

impl Opening {
    async fn open(&mut self, sockets: &Arc<Sockets>, accounts: &[Arc<Account>]) -> Result<(), LoadError> {
        let mut tasks = JoinSet::new();
        let mut waiting = accounts.iter().cloned().enumerate();
        loop {
            while tasks.len() < PARALLEL
                && let Some((number, account)) = waiting.next()
            {
                let (sockets, number) = (sockets.clone(), self.clients.len() + number);
                let place = self.place.clone();
                tasks.spawn(async move {
                    let start = Instant::now();
                    let client = match place {
                        None => Client::Quic(sockets.connect(number).await?.subscribe(&account).await?),
                        Some(place) => {
                            let (connection, subscription) = account.subscribe(&place).await?;
                            Client::WebSocket { connection, _subscription: Box::new(subscription) }
                        }
                    };
                    Ok::<_, LoadError>((client, start.elapsed()))
                });
            }
            let Some(opened) = tasks.join_next().await else { return Ok(()) };
            let (client, taken) = opened.map_err(|error| LoadError::server("a task")(&error))??;
            self.clients.push(client);
            self.latencies.record(taken);
        }
    }
}

async fn sample(target: &Target, connections: usize, memory: &mut Vec<MemorySample>) {
    if target.own.is_some() {
        sleep(SETTLE).await;
    }
    let usage = target.usage();
    memory.extend(usage.map(|usage| MemorySample { connections, resident_bytes: usage.resident }));
}

/// Between the first sample and the last.
fn bytes_per_connection(memory: &[MemorySample]) -> Option<f64> {
    let (first, last) = (memory.first()?, memory.last()?);
    let connections = last.connections.checked_sub(first.connections).filter(|count| *count > 0)?;
    Some((last.resident_bytes as f64 - first.resident_bytes as f64) / connections as f64)
}
