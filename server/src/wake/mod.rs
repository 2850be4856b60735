//! Wakes readers of group logs who are not connected, through their push services: `spec/group-log.md`, Waking.
//!
//! Nothing rests on it. What cannot be told is given up after a while; readers ask from time to time.

mod address;
mod push;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use medipeps_core::push_endpoint::{PushEndpoint, read_authority};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use push::PushError;

use self::push::{Outcome, PushClient};
use self::schedule::{Next, Schedule};
use crate::config::Group;
use crate::environment::Environment;
use crate::limits::{WAKE_INTERVAL_MS, WAKE_UNSETTLED_MS};
use crate::storage::{GroupWake, Storage};

/// What the service knows of waking: which push services may be called, and what has come.
pub(crate) struct Wakes {
    /// Hosts with their ports.
    hosts: RwLock<Vec<(String, u16)>>,
    /// Epochs of logs in which something came, with whether it closed them.
    news: Mutex<BTreeMap<([u8; 32], u64), bool>>,
    told: Notify,
    /// Calls that have ended, by how.
    outcomes: Family<[(&'static str, &'static str); 1], Counter>,
}

/// Calls push services until it is dropped.
pub(crate) struct Waker {
    wakes: Arc<Wakes>,
    client: PushClient,
    storage: Arc<dyn Storage>,
    environment: Arc<dyn Environment>,
    schedule: Schedule,
    /// Milliseconds are counted from here.
    began: Instant,
    calls: JoinSet<(GroupWake, Outcome)>,
}

impl Wakes {
    /// How calls end is counted in `outcomes`.
    pub(crate) fn new(config: &Group, outcomes: Family<[(&'static str, &'static str); 1], Counter>) -> Arc<Self> {
        Arc::new(Self { hosts: RwLock::new(hosts(config)), news: Mutex::default(), told: Notify::new(), outcomes })
    }

    /// Allows other push services.
    pub(crate) fn set_hosts(&self, config: &Group) {
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = hosts(config);
    }

    /// Whether a push service may be called.
    pub(crate) fn allows(&self, endpoint: &PushEndpoint) -> bool {
        self.hosts().iter().any(|(host, port)| host == endpoint.host() && *port == endpoint.port())
    }

    /// An entry is on the disk.
    pub(crate) fn entry_came(&self, log_id: [u8; 32], epoch: u64, closes_epoch: bool) {
        if self.hosts().is_empty() {
            return;
        }
        *self.lock().entry((log_id, epoch)).or_default() |= closes_epoch;
        self.told.notify_one();
    }

    fn hosts(&self) -> RwLockReadGuard<'_, Vec<(String, u16)>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<([u8; 32], u64), bool>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether push services can be called as a configuration says.
pub(crate) fn check_push_services(config: &Group) -> Result<(), PushError> {
    PushClient::new(config.wake_private_addresses, config.wake_certificates.as_deref()).map(drop)
}

fn hosts(config: &Group) -> Vec<(String, u16)> {
    config.wake_hosts.iter().filter_map(|host| read_authority(host)).collect()
}

impl Waker {
    /// A waker over a store; `None` where no push service may be called.
    pub(crate) fn new(
        wakes: Arc<Wakes>,
        config: &Group,
        storage: Arc<dyn Storage>,
        environment: Arc<dyn Environment>,
    ) -> Result<Option<Self>, PushError> {
        if config.wake_hosts.is_empty() {
            return Ok(None);
        }
        let client = PushClient::new(config.wake_private_addresses, config.wake_certificates.as_deref())?;
        let (schedule, began, calls) = (Schedule::new(WAKE_INTERVAL_MS), Instant::now(), JoinSet::new());
        Ok(Some(Self { wakes, client, storage, environment, schedule, began, calls }))
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
                    if let Ok((wake, outcome)) = ended {
                        self.finish(&wake, outcome).await;
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
                Next::Call(wake) => {
                    let (client, now) = (self.client.clone(), self.environment.now_ms());
                    self.calls.spawn(async move {
                        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
                        let outcome = client.wake(&wake.endpoint, now).await;
                        (wake, outcome)
                    });
                }
            }
        }
    }

    /// Finds whom the last process may not have woken. To be called before anything is served, or what comes meanwhile wakes
    /// twice.
    pub(crate) async fn catch_up(&mut self) {
        let since = self.environment.now_ms().saturating_sub(WAKE_UNSETTLED_MS);
        let unsettled = match self.storage.unsettled_group_wakes(since).await {
            Ok(unsettled) => unsettled,
            Err(error) => return tracing::error!(%error, "who is to be woken cannot be read"),
        };
        for wake in unsettled {
            // An epoch that cannot be read is not known to be closed; its readers are forgotten when their time is up.
            let closed = self.storage.group_epoch(&wake.log_id, wake.epoch).await.is_ok_and(|epoch| !epoch.current);
            self.add(wake, closed);
        }
    }

    /// Finds whom the news are for.
    async fn fan_out(&mut self) {
        let news = std::mem::take(&mut *self.wakes.lock());
        for ((log_id, epoch), closed) in news {
            match self.storage.group_wakes(log_id, epoch).await {
                Ok(wakes) => wakes.into_iter().for_each(|wake| self.add(wake, closed)),
                Err(error) => tracing::error!(%error, "who is to be woken cannot be read"),
            }
        }
    }

    fn add(&mut self, wake: GroupWake, closed: bool) {
        let due = wake.expires_ms > self.environment.now_ms() && self.wakes.allows(&wake.endpoint);
        if due && !self.schedule.add(wake, closed, self.now()) {
            tracing::warn!("too many readers wait to be woken; one is left out");
        }
    }

    async fn finish(&mut self, wake: &GroupWake, outcome: Outcome) {
        self.wakes.outcomes.get_or_create(&[("outcome", outcome.name())]).inc();
        if outcome == Outcome::Refused {
            tracing::info!(host = wake.endpoint.host(), "a push service did not take a wake");
        }
        let Some(over) = self.schedule.finish(wake, outcome, self.now()) else { return };
        if let Err(error) = self.storage.drop_group_wake(over).await {
            tracing::error!(%error, "a wake handle cannot be removed");
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
