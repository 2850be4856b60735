//! Waking through a push service that speaks HTTPS, on this machine.

#[path = "../../tests/wake/push_service.rs"]
#[allow(unreachable_pub, reason = "other tests use it too")]
mod push_service;

use std::time::Duration;

use http_body_util::Full;
use hyper::{Method, Response, Version};

use prometheus_client::metrics::family::Family;

use self::push_service::{PATIENCE, PushService, status, with_header};
use super::*;
use crate::config::Config;
use crate::environment::SystemEnvironment;
use crate::storage::{GroupAppend, MemoryStorage, NewGroupLog, NewGroupWake, QueueQuota, Spend, WakeStorage};

/// Milliseconds between two calls for one handle, in the place of a minute.
const INTERVAL_MS: u64 = 400;
const LOG: [u8; 32] = [1; 32];

fn settings(service: &PushService) -> Group {
    let mut config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), "data").group;
    config.wake_hosts = vec![service.host.clone()];
    config.wake_private_addresses = true;
    config.wake_certificates = Some(service.certificates());
    config
}

/// A store with a log, and a waker that looks at it.
struct House {
    storage: Arc<MemoryStorage>,
    wakes: Arc<Wakes>,
    task: Option<tokio::task::JoinHandle<()>>,
    config: Group,
}

fn key(epoch: u64) -> [u8; 32] {
    let mut key = [9; 32];
    key[..8].copy_from_slice(&epoch.to_be_bytes());
    key
}

impl House {
    async fn new(config: Group) -> Self {
        let storage = Arc::new(MemoryStorage::new(QueueQuota::default(), [1; 16]));
        let now_ms = SystemEnvironment.now_ms();
        let log = NewGroupLog {
            log_id: LOG,
            access_key: key(1),
            epoch: 1,
            now_ms,
            expires_ms: u64::MAX,
            spend: Spend::default(),
        };
        storage.create_group_log(log).await.unwrap();
        let mut house = Self { storage, wakes: Wakes::new(&config, Family::default()), task: None, config };
        house.start().await;
        house
    }

    async fn start(&mut self) {
        self.wakes = Wakes::new(&self.config, Family::default());
        let (wakes, storage) = (Arc::clone(&self.wakes), Arc::clone(&self.storage));
        let mut waker = Waker::new(wakes, &self.config, storage, Arc::new(SystemEnvironment)).unwrap().unwrap();
        waker.schedule = Schedule::new(INTERVAL_MS);
        waker.catch_up().await;
        self.task = Some(tokio::spawn(waker.run()));
    }

    fn stop(&mut self) {
        self.task.take().unwrap().abort();
    }

    async fn set(&self, epoch: u64, handle: u8, host: &str) {
        let endpoint = format!("https://{host}/up/{handle}").parse().unwrap();
        let expires_ms = SystemEnvironment.now_ms() + 3_600_000;
        let wake = GroupWake { log_id: LOG, handle: [handle; 16], epoch, endpoint, expires_ms };
        self.storage.set_group_wake(NewGroupWake { wake, access_key: key(epoch) }).await.unwrap();
    }

    /// Appends as the service does it.
    async fn append(&self, epoch: u64, number: u8, closes: bool) {
        self.append_untold(epoch, number, closes).await;
        self.wakes.entry_came(LOG, epoch, closes);
    }

    async fn append_untold(&self, epoch: u64, number: u8, closes: bool) {
        let now_ms = SystemEnvironment.now_ms();
        let append = GroupAppend {
            log_id: LOG,
            epoch,
            access_key: key(epoch),
            entry_id: [number; 16],
            digest: [number; 32],
            entry: vec![number],
            next_access_key: closes.then(|| key(epoch + 1)),
            now_ms,
            expires_ms: u64::MAX,
            log_expires_ms: u64::MAX,
            spend: Spend::default(),
        };
        self.storage.append_group_entry(append).await.unwrap();
    }

    async fn wakes(&self, epoch: u64) -> usize {
        self.storage.group_wakes(LOG, epoch).await.unwrap().len()
    }

    /// Waits until so many readers of the epoch are left.
    async fn are_left(&self, epoch: u64, count: usize) {
        let left = async {
            while self.wakes(epoch).await != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, left).await.expect("the handles stay");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_is_an_empty_post_at_most_once_in_the_interval() {
    let mut service = PushService::start().await;
    let house = House::new(settings(&service)).await;
    house.set(1, 7, &service.host).await;
    house.append(1, 1, false).await;
    let first = service.call().await;
    assert_eq!((first.method, first.path.as_str(), first.version), (Method::POST, "/up/7", Version::HTTP_11));
    let mut headers: Vec<_> =
        first.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    headers.sort_unstable();
    let expected = [
        ("content-length", "0"),
        ("host", service.host.as_str()),
        ("topic", "medipeps"),
        ("ttl", "86400"),
        ("urgency", "normal"),
    ];
    assert_eq!(headers, expected, "nothing else, nothing of the log or the entry");
    assert!(first.body.is_empty());
    for number in 2..10 {
        house.append(1, number, false).await;
    }
    let second = service.call().await;
    assert!(second.at - first.at >= Duration::from_millis(INTERVAL_MS - 20), "{:?}", second.at - first.at);
    tokio::time::sleep(Duration::from_millis(INTERVAL_MS)).await;
    service.is_quiet().await;
    assert_eq!(second.connection, first.connection, "one connection for all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_removed_are_woken_by_what_removed_them_and_by_nothing_after() {
    let mut service = PushService::start().await;
    let house = House::new(settings(&service)).await;
    house.set(1, 1, &service.host).await;
    house.set(1, 2, &service.host).await;
    house.append(1, 1, true).await;
    let mut woken = [service.call().await.path, service.call().await.path];
    woken.sort();
    assert_eq!(woken, ["/up/1", "/up/2"]);
    house.are_left(1, 0).await;
    // The one who stays has read the commit and renews.
    house.set(2, 1, &service.host).await;
    house.append(2, 2, false).await;
    assert_eq!(service.call().await.path, "/up/1");
    tokio::time::sleep(Duration::from_millis(2 * INTERVAL_MS)).await;
    service.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_service_says_when_to_come_again_and_when_never() {
    let mut service = PushService::start().await;
    let house = House::new(settings(&service)).await;
    house.set(1, 1, &service.host).await;
    service.answer_with([with_header(429, "retry-after", "2"), status(503), status(410)]);
    house.append(1, 1, false).await;
    let first = service.call().await.at;
    let second = service.call().await.at;
    assert!(second - first >= Duration::from_millis(1990), "{:?}", second - first);
    let third = service.call().await.at;
    assert!(third - second >= Duration::from_millis(2 * INTERVAL_MS - 20), "{:?}", third - second);
    house.are_left(1, 0).await;
    house.append(1, 2, false).await;
    service.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirection_is_not_followed_and_a_long_answer_not_read() {
    let mut service = PushService::start().await;
    let house = House::new(settings(&service)).await;
    house.set(1, 1, &service.host).await;
    let elsewhere = format!("https://{}/elsewhere", service.host);
    let long = Response::builder().status(201).body(Full::from(vec![0; 64 << 20])).unwrap();
    service.answer_with([with_header(307, "location", &elsewhere), long]);
    house.append(1, 1, false).await;
    assert_eq!(service.call().await.path, "/up/1");
    tokio::time::sleep(Duration::from_millis(2 * INTERVAL_MS)).await;
    service.is_quiet().await;
    house.append(1, 2, false).await;
    let second = service.call().await;
    assert_eq!(second.path, "/up/1");
    tokio::time::sleep(Duration::from_millis(INTERVAL_MS)).await;
    house.append(1, 3, false).await;
    let third = service.call().await;
    assert_ne!(third.connection, second.connection, "the long answer cost its connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_allowed_hosts_with_known_certificates_are_called() {
    let mut service = PushService::start().await;
    let mut stranger = PushService::start().await;
    let mut config = settings(&service);
    config.wake_hosts.push(stranger.host.clone());
    // Allowed once, and not after a change of the configuration: the handle may still be there.
    let mut house = House::new(config).await;
    house.set(1, 1, &service.host).await;
    house.set(1, 2, &stranger.host).await;
    house.append(1, 1, false).await;
    assert_eq!(service.call().await.path, "/up/1");
    stranger.is_quiet().await;
    house.stop();
    house.config.wake_hosts = vec![stranger.host.clone()];
    house.config.wake_certificates = settings(&stranger).wake_certificates;
    house.start().await;
    house.append(1, 2, false).await;
    assert_eq!(stranger.call().await.path, "/up/2");
    service.is_quiet().await;
    let allowed = |url: &str| house.wakes.allows(&url.parse().unwrap());
    assert!(allowed(&format!("https://LOCALHOST:{}/x", stranger.host.split_once(':').unwrap().1)));
    assert!(!allowed("https://localhost/x") && !allowed("https://localhost.evil.example/x"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_crash_left_unwoken_is_woken_by_the_next_start() {
    let mut service = PushService::start().await;
    let mut house = House::new(settings(&service)).await;
    house.set(1, 1, &service.host).await;
    house.append(1, 1, true).await;
    assert_eq!(service.call().await.path, "/up/1");
    house.are_left(1, 0).await;
    house.set(2, 2, &service.host).await;
    house.stop();
    house.start().await;
    service.is_quiet().await;
    house.append_untold(2, 2, true).await;
    house.stop();
    house.start().await;
    assert_eq!(service.call().await.path, "/up/2");
    house.are_left(2, 0).await;
}
