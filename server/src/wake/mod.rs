//! Wakes devices that are not connected, through their push services: `spec/push.md`.
//!
//! Nothing rests on it. What cannot be told is given up after a while; devices ask when they are opened, and from time to time.

mod address;
mod apns;
mod fcm;
mod http;
mod schedule;
mod service;
mod signing;
mod sleeper;
#[cfg(test)]
mod tests;
mod web_push;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use medipeps_core::Address;
use medipeps_core::push_endpoint::{PushEndpoint, PushService as Named, read_authority};
use medipeps_core::wire::transport::FetchPushServicesReply;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use service::PushError;

use self::schedule::{Next, Schedule};
use self::service::{Outcome, PushService as _, PushServices};
use self::signing::EcKey;
use self::sleeper::{Key, Sleeper};
use crate::config::{Config, Push};
use crate::environment::Environment;
use crate::key_file::{KeyFileError, load_or_create};
use crate::limits::{DEVICE_WAKE_INTERVAL_MS, WAKE_INTERVAL_MS, WAKE_UNSETTLED_MS};
use crate::storage::Storage;

/// What the service knows of waking: which push services may be called, and what has come.
pub(crate) struct Wakes {
    allowed: RwLock<Allowed>,
    news: Mutex<News>,
    told: Notify,
    /// Calls that have ended, by how.
    outcomes: Family<[(&'static str, &'static str); 1], Counter>,
}

/// Which push services may be called.
struct Allowed {
    /// Web Push services: hosts with their ports.
    hosts: Vec<(String, u16)>,
    /// What clients are told.
    services: FetchPushServicesReply,
}

/// What has come since somebody looked.
#[derive(Default)]
struct News {
    /// Epochs of group logs in which something came, with whether it closed them.
    epochs: BTreeMap<([u8; 32], u64), bool>,
    /// Devices for which something came, or which left while something waited.
    devices: BTreeSet<(Address, u32)>,
    /// Devices that have fetched what there was.
    fetched: BTreeSet<(Address, u32)>,
}

/// Calls push services until it is dropped.
pub(crate) struct Waker {
    wakes: Arc<Wakes>,
    services: Arc<PushServices>,
    storage: Arc<dyn Storage>,
    environment: Arc<dyn Environment>,
    schedule: Schedule,
    /// Milliseconds are counted from here.
    began: Instant,
    calls: JoinSet<(Sleeper, Outcome)>,
}

impl Wakes {
    /// How calls end is counted in `outcomes`.
    pub(crate) fn new(config: &Push, outcomes: Family<[(&'static str, &'static str); 1], Counter>) -> Arc<Self> {
        let allowed = RwLock::new(Allowed::of(config, None, None));
        Arc::new(Self { allowed, news: Mutex::default(), told: Notify::new(), outcomes })
    }

    /// Allows other push services.
    fn allow(&self, allowed: Allowed) {
        *self.allowed.write().unwrap_or_else(PoisonError::into_inner) = allowed;
    }

    /// Whether a push service may be called.
    pub(crate) fn allows(&self, endpoint: &PushEndpoint) -> bool {
        let allowed = self.allowed();
        match endpoint.service() {
            Named::Web { host, port, .. } => allowed.hosts.iter().any(|(name, at)| name == host && at == port),
            Named::Apns { app, .. } => allowed.services.apns.contains(app),
            Named::Fcm { project, .. } => allowed.services.fcm.contains(project),
        }
    }

    /// What clients are told of push services.
    pub(crate) fn services(&self) -> FetchPushServicesReply {
        self.allowed().services.clone()
    }

    /// An entry of a group log is on the disk.
    pub(crate) fn entry_came(&self, log_id: [u8; 32], epoch: u64, closes_epoch: bool) {
        self.tell(|news| *news.epochs.entry((log_id, epoch)).or_default() |= closes_epoch);
    }

    /// Something waits for a device that is not connected.
    pub(crate) fn envelope_waits(&self, address: &Address, device: u32) {
        self.tell(|news| news.devices.extend([(address.clone(), device)]));
    }

    /// A device has fetched what there was.
    pub(crate) fn device_fetched(&self, address: &Address, device: u32) {
        self.tell(|news| news.fetched.extend([(address.clone(), device)]));
    }

    fn tell(&self, add: impl FnOnce(&mut News)) {
        if self.allowed().is_nothing() {
            return;
        }
        add(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.told.notify_one();
    }

    fn allowed(&self) -> RwLockReadGuard<'_, Allowed> {
        self.allowed.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Allowed {
    fn of(config: &Push, vapid_key: Option<[u8; 65]>, fcm_project: Option<String>) -> Self {
        let hosts = config.hosts.iter().filter_map(|host| read_authority(host)).collect();
        let (apns, fcm) = (config.apns_apps.clone(), fcm_project.into_iter().collect());
        Self { hosts, services: FetchPushServicesReply { vapid_key, apns, fcm } }
    }

    fn is_nothing(&self) -> bool {
        self.hosts.is_empty() && self.services.apns.is_empty() && self.services.fcm.is_empty()
    }
}

/// Whether push services can be called as a configuration says. Makes nothing.
pub(crate) fn check_push_services(config: &Config) -> Result<(), PushError> {
    let path = vapid_path(&config.data_dir);
    let vapid = match &config.push.contact {
        Some(_) if path.exists() => Some(read_vapid_key(&path, &signing::read(&path)?)?),
        _ => None,
    };
    PushServices::open(&config.push, vapid).map(drop)
}

fn vapid_path(data_dir: &Path) -> PathBuf {
    data_dir.join("push.key")
}

fn read_vapid_key(path: &Path, der: &[u8]) -> Result<EcKey, PushError> {
    EcKey::from_pkcs8(der).ok_or_else(|| signing::failed(path, "the key is damaged"))
}

/// The key that signs calls to Web Push services; drawn if there is none.
fn vapid_key(data_dir: &Path) -> Result<EcKey, PushError> {
    let path = vapid_path(data_dir);
    let der = load_or_create(&path, || {
        EcKey::draw().ok_or(KeyFileError::Damaged { path: path.clone(), what: "no key could be drawn" })
    })?;
    read_vapid_key(&path, &der)
}

impl Waker {
    /// A waker over a store.
    pub(crate) fn new(
        wakes: Arc<Wakes>,
        config: &Config,
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
    ) -> Result<(Self, Admission), PushError> {
        let vapid = config.push.contact.as_ref().map(|_| vapid_key(&config.data_dir)).transpose()?;
        let public = vapid.as_ref().and_then(EcKey::public);
        let services = PushServices::open(&config.push, vapid)?;
        let admission = Admission(Allowed::of(&config.push, public, services.fcm_project()));
        let schedule = Schedule::new(WAKE_INTERVAL_MS, DEVICE_WAKE_INTERVAL_MS);
        let (services, began, calls) = (Arc::new(services), Instant::now(), JoinSet::new());
        Ok((Self { wakes, services, storage, environment, schedule, began, calls }, admission))
    }

    /// Works until it is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let wait = self.call();
            let pause = async {
                match wait {
                    Some(at) => tokio::time::sleep_until(self.began + Duration::from_millis(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wakes.told.notified() => self.fan_out().await,
                Some(ended) = self.calls.join_next() => {
                    if let Ok((sleeper, outcome)) = ended {
                        self.finish(&sleeper, outcome).await;
                    }
                }
                () = pause => {}
            }
        }
    }

    /// Begins calls that are due, and says when the next one is.
    fn call(&mut self) -> Option<u64> {
        loop {
            match self.schedule.next(self.now()) {
                Next::Wait(wait) => return wait,
                Next::Call(sleeper) => {
                    let (services, now) = (Arc::clone(&self.services), self.environment.now_ms());
                    self.calls.spawn(async move {
                        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
                        let outcome = services.wake(sleeper.endpoint(), now).await;
                        (sleeper, outcome)
                    });
                }
            }
        }
    }

    /// Finds whom the last process may not have woken. To be called before anything is served, or what comes meanwhile wakes
    /// twice.
    pub(crate) async fn catch_up(&mut self) {
        let since = self.environment.now_ms().saturating_sub(WAKE_UNSETTLED_MS);
        match self.storage.unsettled_group_wakes(since).await {
            Ok(unsettled) => {
                for wake in unsettled {
                    // An epoch that cannot be read is not known to be closed; its readers are forgotten when their time is up.
                    let epoch = self.storage.group_epoch(&wake.log_id, wake.epoch).await;
                    self.add(Sleeper::Reader(wake), epoch.is_ok_and(|epoch| !epoch.current));
                }
            }
            Err(error) => cannot_read(&error),
        }
        // For all that wait, whenever it came: a device that was told before is told again, once.
        match self.storage.due_device_wakes().await {
            Ok(due) => due.into_iter().for_each(|wake| self.add(Sleeper::Device(wake), false)),
            Err(error) => cannot_read(&error),
        }
    }

    /// Finds whom the news are for.
    async fn fan_out(&mut self) {
        let news = std::mem::take(&mut *self.wakes.news.lock().unwrap_or_else(PoisonError::into_inner));
        for (address, device) in news.fetched {
            self.schedule.fetched(&Key::Device(address, device));
        }
        for ((log_id, epoch), closed) in news.epochs {
            match self.storage.group_wakes(log_id, epoch).await {
                Ok(wakes) => wakes.into_iter().for_each(|wake| self.add(Sleeper::Reader(wake), closed)),
                Err(error) => cannot_read(&error),
            }
        }
        for (address, device) in news.devices {
            match self.storage.due_device_wake(&address, device).await {
                Ok(due) => due.into_iter().for_each(|wake| self.add(Sleeper::Device(wake), false)),
                Err(error) => cannot_read(&error),
            }
        }
    }

    fn add(&mut self, sleeper: Sleeper, last: bool) {
        let over = matches!(&sleeper, Sleeper::Reader(wake) if wake.expires_ms <= self.environment.now_ms());
        let due = !over && self.wakes.allows(sleeper.endpoint());
        if due && !self.schedule.add(sleeper, last, self.now()) {
            tracing::warn!("too many devices wait to be woken; one is left out");
        }
    }

    async fn finish(&mut self, called: &Sleeper, outcome: Outcome) {
        self.wakes.outcomes.get_or_create(&[("outcome", outcome.name())]).inc();
        if outcome == Outcome::Refused {
            let service = called.endpoint().service_name();
            tracing::info!(service, "a push service did not take a wake");
        }
        let Some(over) = self.schedule.finish(called, outcome, self.now()) else { return };
        let dropped = match over {
            Sleeper::Reader(wake) => self.storage.drop_group_wake(wake).await,
            Sleeper::Device(wake) => self.storage.drop_device_wake(wake).await,
        };
        if let Err(error) = dropped {
            tracing::error!(%error, "where a device was woken cannot be removed");
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a waker's configuration lets clients ask for, until it is taken over.
pub(crate) struct Admission(Allowed);

impl Admission {
    /// Lets clients ask for these push services from now on.
    pub(crate) fn take_over(self, wakes: &Wakes) {
        wakes.allow(self.0);
    }
}

fn cannot_read(error: &crate::storage::StorageError) {
    tracing::error!(%error, "who is to be woken cannot be read");
}
