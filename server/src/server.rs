//! A running server: its endpoint, its control socket, and how it stops.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{Endpoint, Incoming};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::config::Config;
use crate::control::{ControlError, ControlSocket};
use crate::environment::{Environment, SystemEnvironment};
use crate::frame::FrameMemory;
use crate::key_file::KeyFileError;
use crate::limits::{
    BLOB_ANSWER_MEMORY_MAX, CLOSE_TIMEOUT_MS, DRAIN_TIMEOUT_MS, EXPIRE_INTERVAL_MS, HANDSHAKE_TIMEOUT_MS,
    HANDSHAKES_BEFORE_RETRY, LARGE_REQUEST_MEMORY_MAX, REQUEST_MEMORY_MAX,
};
use crate::network_address::NetworkAddress;
use crate::server_key::ServerKey;
use crate::service::Service;
use crate::storage::{ExpireCounts, Storage, StorageError};
use crate::transport::connection::{Close, Memory, Work, serve};
use crate::transport::endpoint::{ListenError, listen};
use crate::trust_list::{FollowedTrustList, TrustListFileError, TrustedVoucherKeys};
use crate::wake::{PushError, Waker};

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The server key cannot be had.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The endpoint cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The control socket cannot be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The trust list is of no use.
    #[error("the trust list: {0}")]
    TrustList(#[from] TrustListFileError),
    /// Push services cannot be called.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// A running server. [`Server::shutdown`] stops it in order; a dropped one closes its connections at once.
pub struct Server {
    endpoint: Endpoint,
    local_address: SocketAddr,
    server_key: ServerKey,
    service: Arc<Service>,
    storage: Arc<dyn Storage>,
    control: Option<ControlSocket>,
    work: Option<Work>,
    finished: mpsc::Receiver<()>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on the clock and the randomness of the system. It is ready when this returns.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start(config: &Config, storage: Arc<dyn Storage>) -> Result<Self, StartError> {
        Self::start_with(config, storage, Arc::new(SystemEnvironment)).await
    }

    /// Starts a server on another clock and another randomness.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start_with(
        config: &Config,
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
    ) -> Result<Self, StartError> {
        let server_key = ServerKey::load_or_create(&config.data_dir, environment.as_ref())?;
        let endpoint = listen(config, environment.as_ref())?;
        let failed = |error| StartError::Listen(ListenError::Socket { address: config.listen, error });
        let local_address = endpoint.local_addr().map_err(failed)?;
        let service = Service::new(config, storage.clone(), server_key.clone(), environment.clone());
        let trust_list = FollowedTrustList::open(config, environment.now_ms())?;
        let (work, finished) = mpsc::channel(1);
        let control =
            ControlSocket::open(config, storage.clone(), server_key.clone(), environment.clone(), work.downgrade())
                .await?;
        let mut waker = Waker::new(service.wakes(), &config.group, storage.clone(), environment.clone())?;
        if let Some(waker) = &mut waker {
            waker.catch_up().await;
        }
        let mut tasks = vec![
            tokio::spawn(accept(endpoint.clone(), Door::new(config), service.clone(), work.downgrade())),
            tokio::spawn(expire(storage.clone(), environment.clone())),
        ];
        if let Some(trust_list) = trust_list {
            service.follow(trust_list.clone());
            let configured = config.federation.keys();
            service.trust(Arc::new(TrustedVoucherKeys { configured, trust_list: trust_list.clone() }));
            tasks.push(tokio::spawn(trust_list.watch(environment)));
        }
        tasks.extend(waker.map(|waker| tokio::spawn(waker.run())));
        Ok(Self {
            endpoint,
            local_address,
            server_key,
            service,
            storage,
            control: Some(control),
            work: Some(work),
            finished,
            tasks,
        })
    }

    /// The address that the server listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_address
    }

    /// The key by which clients know the server.
    #[must_use]
    pub const fn server_key(&self) -> &ServerKey {
        &self.server_key
    }

    /// Waits until the store fails for good; whoever runs the server then ends it.
    pub async fn storage_failed(&self) -> StorageError {
        wait_for_failure(self.storage.failure()).await
    }

    /// Stops: no new connections, open subscriptions are told, requests under way are finished, then everything closes.
    /// It takes at most 18 seconds.
    pub async fn shutdown(mut self) {
        self.endpoint.set_server_config(None);
        self.service.stop();
        if let Some(control) = self.control.take() {
            control.close().await;
        }
        self.work = None;
        let drained = timeout(Duration::from_millis(DRAIN_TIMEOUT_MS), self.finished.recv()).await;
        if drained.is_err() {
            tracing::warn!("requests were still under way when the time to stop was up");
        }
        self.endpoint.close(Close::ShuttingDown.code(), b"the server is stopping");
        let _ = timeout(Duration::from_millis(CLOSE_TIMEOUT_MS), self.endpoint.wait_idle()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.endpoint.close(Close::ShuttingDown.code(), b"the server is stopping");
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn wait_for_failure(mut failure: watch::Receiver<Option<StorageError>>) -> StorageError {
    match failure.wait_for(Option::is_some).await {
        Ok(failure) => failure.clone().unwrap_or_else(|| StorageError::Failed("unknown".to_owned())),
        Err(_) => StorageError::Failed("the store is gone".to_owned()),
    }
}

/// Drops what has run out, from time to time.
async fn expire(storage: Arc<dyn Storage>, environment: Arc<dyn Environment>) {
    let mut ticks = interval(Duration::from_millis(EXPIRE_INTERVAL_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match storage.expire(environment.now_ms()).await {
            Ok(counts) if counts != ExpireCounts::default() => {
                let ExpireCounts {
                    envelopes,
                    submissions,
                    invitations,
                    blobs,
                    group_entries,
                    group_logs,
                    group_wakes,
                    tokens,
                } = counts;
                tracing::info!(
                    envelopes,
                    submissions,
                    invitations,
                    blobs,
                    group_entries,
                    group_logs,
                    group_wakes,
                    tokens,
                    "removed what has run out"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "what has run out cannot be removed"),
        }
    }
}

/// Who may come in.
struct Door {
    handshakes: Arc<Semaphore>,
    handshakes_max: usize,
    connections: Arc<Semaphore>,
    per_address_max: usize,
    per_address: Arc<Mutex<HashMap<NetworkAddress, usize>>>,
}

/// The places that one connection takes.
struct Places {
    _connection: OwnedSemaphorePermit,
    address: NetworkAddress,
    per_address: Arc<Mutex<HashMap<NetworkAddress, usize>>>,
}

impl Door {
    fn new(config: &Config) -> Self {
        Self {
            handshakes: Arc::new(Semaphore::new(config.connection.handshakes_max)),
            handshakes_max: config.connection.handshakes_max,
            connections: Arc::new(Semaphore::new(config.connection.connections_max)),
            per_address_max: config.connection.connections_per_address_max,
            per_address: Arc::default(),
        }
    }

    /// Whether so many handshakes are under way that a client must first show that its address is its own.
    fn is_busy(&self) -> bool {
        self.handshakes_max - self.handshakes.available_permits() >= HANDSHAKES_BEFORE_RETRY.min(self.handshakes_max)
    }

    fn enter(&self, address: NetworkAddress) -> Option<Places> {
        let connection = self.connections.clone().try_acquire_owned().ok()?;
        let mut per_address = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = per_address.entry(address).or_default();
        if *count >= self.per_address_max {
            return None;
        }
        *count += 1;
        Some(Places { _connection: connection, address, per_address: self.per_address.clone() })
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let mut per_address = self.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                per_address.remove(&self.address);
            }
        }
    }
}

async fn accept(endpoint: Endpoint, door: Door, service: Arc<Service>, work: mpsc::WeakSender<()>) {
    let memory = Memory {
        requests: FrameMemory::new(REQUEST_MEMORY_MAX),
        large_requests: FrameMemory::new(LARGE_REQUEST_MEMORY_MAX),
        blobs: FrameMemory::new(BLOB_ANSWER_MEMORY_MAX),
    };
    while let Some(incoming) = endpoint.accept().await {
        if door.is_busy() && incoming.may_retry() && !incoming.remote_address_validated() {
            // It can fail only for a client that has shown its address.
            let _ = incoming.retry();
            continue;
        }
        let Ok(handshake) = door.handshakes.clone().try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let Some(places) = door.enter(incoming.remote_address().ip().into()) else {
            tracing::debug!("a connection was refused: too many are open");
            incoming.refuse();
            continue;
        };
        let (service, memory, work) = (service.clone(), memory.clone(), work.clone());
        tokio::spawn(async move {
            let quic = shake_hands(incoming).await;
            drop(handshake);
            if let Some(quic) = quic {
                serve(quic, service, memory, work).await;
            }
            drop(places);
        });
    }
}

async fn shake_hands(incoming: Incoming) -> Option<quinn::Connection> {
    let connecting = incoming.accept().ok()?;
    match timeout(Duration::from_millis(HANDSHAKE_TIMEOUT_MS), connecting).await {
        Ok(Ok(quic)) => Some(quic),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            None
        }
        Err(_) => None,
    }
}
