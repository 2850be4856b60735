//! A running server: its endpoint, its control socket, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::Endpoint;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::config::Config;
use crate::control::{ControlError, ControlSocket};
use crate::environment::{Environment, SystemEnvironment};
use crate::key_file::KeyFileError;
use crate::limits::{CLOSE_TIMEOUT_MS, DRAIN_TIMEOUT_MS, EXPIRE_INTERVAL_MS};
use crate::server_key::ServerKey;
use crate::service::Service;
use crate::storage::{ExpireCounts, Storage, StorageError};
use crate::transport::connection::{Host, Memory, Work};
use crate::transport::door::Door;
use crate::transport::endpoint::{ListenError, Listeners, listen};
use crate::transport::link::Close;
use crate::transport::quic::accept_quic;
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
    /// Push services cannot be called.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// A running server. [`Server::shutdown`] stops it in order; a dropped one closes its connections at once.
pub struct Server {
    endpoint: Endpoint,
    local_address: SocketAddr,
    websocket_address: Option<SocketAddr>,
    /// Becomes true when every connection is to be closed.
    closing: watch::Sender<bool>,
    server_key: ServerKey,
    service: Arc<Service>,
    storage: Arc<dyn Storage>,
    control: Option<ControlSocket>,
    work: Option<Work>,
    finished: mpsc::Receiver<()>,
    tasks: Vec<JoinHandle<()>>,
    /// Take connections.
    accepting: Vec<JoinHandle<()>>,
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
        let Listeners { endpoint, websocket } = listen(config, environment.as_ref())?;
        let failed = |error| StartError::Listen(ListenError::Socket { address: config.listen, error });
        let local_address = endpoint.local_addr().map_err(failed)?;
        let websocket_address = websocket.as_ref().map(|listener| listener.local_address().map_err(failed));
        let websocket_address = websocket_address.transpose()?;
        let service = Service::new(config, storage.clone(), server_key.clone(), environment.clone());
        let (work, finished) = mpsc::channel(1);
        let control =
            ControlSocket::open(config, storage.clone(), server_key.clone(), environment.clone(), work.downgrade())
                .await?;
        let mut waker = Waker::new(service.wakes(), &config.group, storage.clone(), environment.clone())?;
        if let Some(waker) = &mut waker {
            waker.catch_up().await;
        }
        let door = Arc::new(Door::new(config));
        let closing = watch::Sender::new(false);
        let host = Host {
            service: service.clone(),
            memory: Memory::new(),
            work: work.downgrade(),
            closing: closing.subscribe(),
            allowed_origins: config.transport.allowed_origins.clone().into(),
        };
        let mut accepting = vec![tokio::spawn(accept_quic(endpoint.clone(), door.clone(), host.clone()))];
        accepting.extend(websocket.map(|listener| tokio::spawn(listener.accept(door, host))));
        let mut tasks = vec![tokio::spawn(expire(storage.clone(), environment))];
        tasks.extend(waker.map(|waker| tokio::spawn(waker.run())));
        Ok(Self {
            endpoint,
            local_address,
            websocket_address,
            closing,
            server_key,
            service,
            storage,
            control: Some(control),
            work: Some(work),
            finished,
            tasks,
            accepting,
        })
    }

    /// The UDP address that the server listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_address
    }

    /// The TCP address that the server takes WebSocket on; `None` if it does not.
    #[must_use]
    pub const fn websocket_addr(&self) -> Option<SocketAddr> {
        self.websocket_address
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
    /// It takes at most 21 seconds.
    pub async fn shutdown(mut self) {
        self.endpoint.set_server_config(None);
        self.accepting.iter().for_each(JoinHandle::abort);
        self.service.stop();
        if let Some(control) = self.control.take() {
            control.close().await;
        }
        self.work = None;
        let drained = timeout(Duration::from_millis(DRAIN_TIMEOUT_MS), self.finished.recv()).await;
        if drained.is_err() {
            tracing::warn!("requests were still under way when the time to stop was up");
        }
        self.closing.send_replace(true);
        // Every connection holds a receiver until it has told its client.
        let _ = timeout(Duration::from_millis(CLOSE_TIMEOUT_MS), self.closing.closed()).await;
        self.endpoint.close(Close::ShuttingDown.code(), Close::ShuttingDown.reason().as_bytes());
        let _ = timeout(Duration::from_millis(CLOSE_TIMEOUT_MS), self.endpoint.wait_idle()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        self.endpoint.close(Close::ShuttingDown.code(), Close::ShuttingDown.reason().as_bytes());
        for task in self.tasks.iter().chain(&self.accepting) {
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
    let mut first = true;
    loop {
        ticks.tick().await;
        // The first one comes at once: a server that starts again and again has no need to write each time.
        if !std::mem::take(&mut first)
            && let Err(error) = storage.count_tenants(environment.now_ms()).await
        {
            tracing::error!(%error, "what tenants take cannot be counted");
        }
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
