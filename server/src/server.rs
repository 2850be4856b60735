//! A running server: its endpoint, its sockets for whoever runs it, what it takes over while it runs, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use medipeps_core::trust_list::TrustListError;
use quinn::Endpoint;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::activation::ActivatedSockets;
use crate::admin_port::{AdminPort, AdminPortError, bind};
use crate::clock::SteadyClock;
use crate::config::{Config, ReloadError, changed_keys};
use crate::control::{ControlError, ControlSocket, ReloadOrder};
use crate::environment::{Environment, SystemEnvironment};
use crate::key_file::KeyFileError;
use crate::limits::{
    CERTIFICATE_LOOK_INTERVAL_MS, CERTIFICATE_WARNING_SECONDS, CLOCK_COMPLAINT_TICKS, CLOSE_TIMEOUT_MS,
    DRAIN_TIMEOUT_MS, EXPIRE_INTERVAL_MS,
};
use crate::server_key::ServerKey;
use crate::service::Service;
use crate::storage::{ExpireCounts, Storage, StorageError, StorageLimits};
use crate::transport::certificate::{Certificate, CertificateError, Certificates};
use crate::transport::connection::{Host, Work};
use crate::transport::door::Door;
use crate::transport::endpoint::{ListenError, Listeners, accept_config, listen};
use crate::transport::link::Close;
use crate::transport::memory::Memories;
use crate::transport::quic::accept_quic;
use crate::trust_list::{FollowedTrustList, Following, TrustListFileError, TrustedVoucherKeys};
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
    /// The admin port cannot be had.
    #[error(transparent)]
    AdminPort(#[from] AdminPortError),
}

/// Why a running server does not take over another configuration. It goes on as before, in everything.
#[derive(Debug, Error)]
pub enum ReloadFailure {
    /// Keys have changed that cannot change while it runs.
    #[error(transparent)]
    Keys(#[from] ReloadError),
    /// The certificate is of no use.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Connections cannot be accepted so.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Push services cannot be called so.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The trust list cannot be followed.
    #[error(transparent)]
    TrustList(#[from] TrustListFileError),
}

/// A running server. [`Server::shutdown`] stops it in order; a dropped one closes its connections at once.
pub struct Server {
    config: Config,
    endpoint: Endpoint,
    local_address: SocketAddr,
    websocket_address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    /// Becomes true when every connection is to be closed.
    closing: watch::Sender<bool>,
    server_key: ServerKey,
    certificates: Arc<Certificates>,
    door: Arc<Door>,
    service: Arc<Service>,
    storage: Arc<dyn Storage>,
    environment: Arc<dyn Environment>,
    control: Option<ControlSocket>,
    reload_orders: Option<mpsc::Receiver<ReloadOrder>>,
    work: Option<Work>,
    finished: mpsc::Receiver<()>,
    waker: Option<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    /// Take connections.
    accepting: Vec<JoinHandle<()>>,
    following: Option<Following>,
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
        Self::start_on(config, storage, environment, ActivatedSockets::default()).await
    }

    /// Starts a server on sockets that were handed over.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start_on(
        config: &Config,
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
        sockets: ActivatedSockets,
    ) -> Result<Self, StartError> {
        let server_key = ServerKey::load_or_create(&config.data_dir, environment.as_ref())?;
        let clock = SteadyClock::open(&config.data_dir, environment);
        if let Err(error) = clock.note() {
            tracing::error!(%error, "the time cannot be noted");
        }
        let environment: Arc<dyn Environment> = clock.clone();
        let certificates = Certificates::new(Certificate::load(config).map_err(ListenError::from)?);
        warn_of_expiry(&certificates, environment.as_ref());
        let admin = bind(config.admin.listen, sockets.admin)?;
        let handed_over = (sockets.quic, sockets.websocket);
        let Listeners { endpoint, websocket } = listen(config, environment.as_ref(), &certificates, handed_over)?;
        let failed = |error| StartError::Listen(ListenError::Socket { address: config.listen, error });
        let local_address = endpoint.local_addr().map_err(failed)?;
        let websocket_address = websocket.as_ref().map(|listener| listener.local_address().map_err(failed));
        let websocket_address = websocket_address.transpose()?;
        let service = Service::new(config, storage.clone(), server_key.clone(), environment.clone());
        let trust_list = FollowedTrustList::open(config, environment.now_ms())?;
        let (work, finished) = mpsc::channel(1);
        let (reloads, reload_orders) = mpsc::channel(1);
        let store = crate::control::Store {
            storage: storage.clone(),
            server_key: server_key.clone(),
            environment: environment.clone(),
            clock: Some(clock.clone()),
        };
        let control = ControlSocket::open(config, store, reloads, work.downgrade()).await?;
        let (waker, admission) = Waker::new(service.wakes(), config, storage.clone(), environment.clone())?;
        admission.take_over(&service.wakes());
        let waker = start_waker(waker).await;
        let (door, memory) = (Arc::new(Door::new(&config.connection)), Arc::new(Memories::new()));
        let closing = watch::Sender::new(false);
        let host = Host {
            service: service.clone(),
            memory: memory.clone(),
            work: work.downgrade(),
            closing: closing.subscribe(),
            allowed_origins: config.transport.allowed_origins.clone().into(),
        };
        let mut accepting = vec![tokio::spawn(accept_quic(endpoint.clone(), door.clone(), host.clone()))];
        accepting.extend(websocket.map(|listener| tokio::spawn(listener.accept(door.clone(), host))));
        let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
        let mut tasks = vec![
            tokio::spawn(expire(storage.clone(), clock)),
            tokio::spawn(watch_certificate(certificates.clone(), environment.clone())),
        ];
        let frames = vec![
            ("requests", memory.of_all().requests.clone()),
            ("large_requests", memory.of_all().large_requests.clone()),
            ("blobs", memory.of_all().blobs.clone()),
            ("group_answers", service.group_answer_memory()),
        ];
        let port = AdminPort {
            service: service.clone(),
            storage: storage.clone(),
            certificates: certificates.clone(),
            frames,
        };
        tasks.extend(admin.map(|listener| tokio::spawn(port.serve(listener))));
        service.metrics().reloaded(true, environment.now_ms());
        let following = follow(&service, config, trust_list, &environment);
        Ok(Self {
            config: config.clone(),
            endpoint,
            local_address,
            websocket_address,
            admin_address,
            closing,
            server_key,
            certificates,
            door,
            service,
            storage,
            environment,
            control: Some(control),
            reload_orders: Some(reload_orders),
            work: Some(work),
            finished,
            waker: Some(waker),
            tasks,
            accepting,
            following,
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

    /// The address of the admin port, if there is one.
    #[must_use]
    pub const fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The key by which clients know the server.
    #[must_use]
    pub const fn server_key(&self) -> &ServerKey {
        &self.server_key
    }

    /// Waits until the store fails for good; whoever runs the server then ends it.
    pub fn storage_failed(&self) -> impl Future<Output = StorageError> + use<> {
        wait_for_failure(self.storage.failure())
    }

    /// Orders of the control socket to read the configuration again. Who runs the server carries them out, as it alone knows the
    /// file; there is one taker.
    pub(crate) const fn take_reload_orders(&mut self) -> Option<mpsc::Receiver<ReloadOrder>> {
        self.reload_orders.take()
    }

    /// Takes over another configuration, or nothing of it. The certificate is read again in any case. Open connections stay. The
    /// keys that have another value now, and `certificate` if its file has another.
    ///
    /// # Errors
    /// [`ReloadFailure`]
    pub async fn reload(&mut self, config: &Config) -> Result<Vec<String>, ReloadFailure> {
        let taken = self.try_reload(config).await;
        self.service.metrics().reloaded(taken.is_ok(), self.environment.now_ms());
        taken
    }

    async fn try_reload(&mut self, config: &Config) -> Result<Vec<String>, ReloadFailure> {
        // What can fail comes first.
        let mut changed = changed_keys(&self.config, config)?;
        let certificate = Certificate::load(config)?;
        let accept = accept_config(config, self.environment.as_ref(), &self.certificates)?;
        let waker = if config.push == self.config.push {
            None
        } else {
            Some(Waker::new(self.service.wakes(), config, self.storage.clone(), self.environment.clone())?)
        };
        let now = self.environment.now_ms();
        let followed = self.following.as_ref().map(|following| &following.list).filter(|list| list.is_of(config));
        let trust_list = match followed {
            Some(list) if reread(list, now)? => {
                changed.push("federation.trust_list".to_owned());
                Some(list.clone())
            }
            Some(list) => Some(list.clone()),
            None => FollowedTrustList::open(config, now)?,
        };
        // From here on nothing does.
        if self.certificates.replace(certificate) && !changed.iter().any(|key| key == "certificate") {
            changed.push("certificate".to_owned());
        }
        warn_of_expiry(&self.certificates, self.environment.as_ref());
        if !self.service.is_draining() {
            self.endpoint.set_server_config(Some(accept));
        }
        self.door.set_limits(&config.connection);
        self.storage.set_limits(StorageLimits::of(config));
        self.service.reload(config);
        self.following = follow(&self.service, config, trust_list, &self.environment);
        if let Some((waker, admission)) = waker {
            if let Some(before) = self.waker.take() {
                before.abort();
            }
            admission.take_over(&self.service.wakes());
            self.waker = Some(start_waker(waker).await);
        }
        self.config = config.clone();
        Ok(changed)
    }

    /// The number of seconds since 1970 at which the certificate runs out.
    #[must_use]
    pub fn certificate_expires(&self) -> i64 {
        self.certificates.expires()
    }

    /// Stops: `/ready` says so, no new connections, pushes are told by turns to go away, requests under way are finished, then
    /// everything closes. It takes at most 22 seconds.
    pub async fn shutdown(mut self) {
        self.service.begin_drain();
        self.endpoint.set_server_config(None);
        self.accepting.iter().for_each(JoinHandle::abort);
        self.service.drain().await;
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
        for task in self.tasks.iter().chain(&self.waker).chain(&self.accepting) {
            task.abort();
        }
    }
}

/// Has the service hand out a trust list, and take vouchers by it and by the configuration.
fn follow(
    service: &Service,
    config: &Config,
    trust_list: Option<Arc<FollowedTrustList>>,
    environment: &Arc<dyn Environment>,
) -> Option<Following> {
    let configured = config.federation.keys();
    service.follow(trust_list.clone());
    let Some(trust_list) = trust_list else {
        service.trust(Arc::new(configured));
        return None;
    };
    service.trust(Arc::new(TrustedVoucherKeys { configured, trust_list: trust_list.clone() }));
    Some(Following::begin(trust_list, environment.clone()))
}

/// Looks at the file of a list at once. That its list has run out keeps no other key from being taken over.
fn reread(list: &FollowedTrustList, now: u64) -> Result<bool, TrustListFileError> {
    match list.reread(now) {
        Err(error @ TrustListFileError::List { error: TrustListError::Expired, .. }) => {
            tracing::error!(%error, "the trust list is not followed");
            Ok(false)
        }
        other => other,
    }
}

/// Has a waker find whom the last one may not have woken, and work from then on.
async fn start_waker(mut waker: Waker) -> JoinHandle<()> {
    waker.catch_up().await;
    tokio::spawn(waker.run())
}

/// Takes over the files of the certificate when they have changed, so that nobody has to tell the server.
async fn watch_certificate(certificates: Arc<Certificates>, environment: Arc<dyn Environment>) {
    let mut ticks = interval(Duration::from_millis(CERTIFICATE_LOOK_INTERVAL_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut complaint = String::new();
    loop {
        ticks.tick().await;
        let renewing = certificates.clone();
        let renewed = tokio::task::spawn_blocking(move || renewing.renew()).await;
        match renewed {
            Ok(Ok(false)) => complaint.clear(),
            Ok(Ok(true)) => {
                complaint.clear();
                tracing::info!(expires = certificates.expires(), "the certificate was replaced");
                warn_of_expiry(&certificates, environment.as_ref());
            }
            Ok(Err(error)) => {
                // Once for each reason: files are looked at until they fit.
                let reason = error.to_string();
                if reason != complaint {
                    tracing::error!(%error, "the certificate's files are of no use; the one from before stays");
                    complaint = reason;
                }
            }
            Err(error) => tracing::error!(%error, "the certificate was not looked at"),
        }
    }
}

fn warn_of_expiry(certificates: &Certificates, environment: &dyn Environment) {
    let now = i64::try_from(environment.now_ms() / 1000).unwrap_or(i64::MAX);
    let left = certificates.expires().saturating_sub(now);
    if left < CERTIFICATE_WARNING_SECONDS {
        tracing::warn!(seconds = left, "the certificate runs out");
    }
}

async fn wait_for_failure(mut failure: watch::Receiver<Option<StorageError>>) -> StorageError {
    match failure.wait_for(Option::is_some).await {
        Ok(failure) => failure.clone().unwrap_or_else(|| StorageError::Failed("unknown".to_owned())),
        Err(_) => StorageError::Failed("the store is gone".to_owned()),
    }
}

/// Drops what has run out, from time to time, and notes the time; nothing while the clock is in doubt.
async fn expire(storage: Arc<dyn Storage>, clock: Arc<SteadyClock>) {
    let mut ticks = interval(Duration::from_millis(EXPIRE_INTERVAL_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for tick in 0_u64.. {
        ticks.tick().await;
        let reading = clock.read();
        if tick % CLOCK_COMPLAINT_TICKS == 0 {
            clock.complain();
        }
        // The start has noted it.
        if tick > 0
            && let Err(error) = clock.note()
        {
            tracing::error!(%error, "the time cannot be noted");
        }
        // The first one comes at once: a server that starts again and again has no need to write each time.
        if tick > 0
            && let Err(error) = storage.count_tenants(reading.now_ms).await
        {
            tracing::error!(%error, "what tenants take cannot be counted");
        }
        if !reading.expiry_runs {
            continue;
        }
        match storage.expire(reading.now_ms).await {
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
