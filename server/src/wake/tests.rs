//! Waking through a push service that speaks HTTPS, on this machine.

#[path = "../../tests/wake/push_service.rs"]
#[allow(unreachable_pub, reason = "other tests use it too")]
mod push_service;

use std::time::Duration;

use http_body_util::Full;
use hyper::{Method, Response, Version};

use medipeps_core::wire::transport::Lane;
use prometheus_client::metrics::family::Family;

use self::push_service::{PATIENCE, PushService, status, with_header};
use super::*;
use crate::environment::SystemEnvironment;
use crate::storage::{
    DeviceRecord, DeviceWakeStorage, GroupAppend, GroupWake, Invitation, MemoryStorage, NewGroupLog, NewGroupWake,
    PrekeySet, QueueQuota, Registration, Spend, Submission, WakeStorage,
};

/// Milliseconds between two calls for one handle, in the place of a minute.
const INTERVAL_MS: u64 = 400;
/// The same for a device that has fetched nothing since, in the place of a quarter of an hour.
const DEVICE_INTERVAL_MS: u64 = 4 * INTERVAL_MS;
const LOG: [u8; 32] = [1; 32];

fn settings(service: &PushService) -> Config {
    let mut config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), service.folder());
    config.push.hosts = vec![service.host.clone()];
    config.push.private_addresses = true;
    config.push.certificates = Some(service.certificates());
    config
}

/// A store with a log, and a waker that looks at it.
struct House {
    storage: Arc<MemoryStorage>,
    wakes: Arc<Wakes>,
    task: Option<tokio::task::JoinHandle<()>>,
    config: Config,
}

fn key(epoch: u64) -> [u8; 32] {
    let mut key = [9; 32];
    key[..8].copy_from_slice(&epoch.to_be_bytes());
    key
}

impl House {
    async fn new(config: Config) -> Self {
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
        let mut house = Self { storage, wakes: Wakes::new(&config.push, Family::default()), task: None, config };
        house.start().await;
        house
    }

    async fn start(&mut self) {
        self.wakes = Wakes::new(&self.config.push, Family::default());
        let (wakes, storage) = (Arc::clone(&self.wakes), Arc::clone(&self.storage));
        let (mut waker, admission) = Waker::new(wakes, &self.config, storage, Arc::new(SystemEnvironment)).unwrap();
        admission.take_over(&self.wakes);
        waker.schedule = Schedule::new(INTERVAL_MS, DEVICE_INTERVAL_MS);
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
    config.push.hosts.push(stranger.host.clone());
    // Allowed once, and not after a change of the configuration: the handle may still be there.
    let mut house = House::new(config).await;
    house.set(1, 1, &service.host).await;
    house.set(1, 2, &stranger.host).await;
    house.append(1, 1, false).await;
    assert_eq!(service.call().await.path, "/up/1");
    stranger.is_quiet().await;
    house.stop();
    house.config.push.hosts = vec![stranger.host.clone()];
    house.config.push.certificates = settings(&stranger).push.certificates;
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

/// An account with one device, registered.
async fn account(house: &House, name: &str) -> Address {
    let address: Address = name.parse().unwrap();
    let hash = [name.len() as u8; 32];
    let invitation = Invitation { organisation: None, expires_ms: u64::MAX, tenant: 0, address: None };
    house.storage.create_invitation(hash, invitation).await.unwrap();
    let prekeys = PrekeySet {
        signed_prekey: vec![1],
        last_resort_kem: vec![2],
        seal: vec![3],
        one_time: Vec::new(),
        one_time_kem: Vec::new(),
    };
    let registration = Registration {
        invitation_hash: hash,
        address: address.clone(),
        statement: vec![4],
        statement_version: 1,
        devices: vec![DeviceRecord { device_id: 1, sequence: 1, prekeys }],
        now_ms: SystemEnvironment.now_ms(),
    };
    house.storage.register(registration).await.unwrap();
    address
}

impl House {
    /// Puts an envelope into the queue of a device that is not connected, as the service does it.
    async fn write_to(&self, address: &Address, id: u8) {
        let submission = Submission {
            id: [id; 16],
            address: address.clone(),
            envelopes: vec![(1, vec![id])],
            digest: [id; 32],
            now_ms: SystemEnvironment.now_ms(),
            expires_ms: u64::MAX,
            lane: Lane::Normal,
            spend: Spend::default(),
        };
        self.storage.enqueue(submission).await.unwrap();
        self.wakes.envelope_waits(address, 1);
    }

    async fn fetch(&self, address: &Address, up_to: u64) {
        self.storage.acknowledge(address, 1, self.storage.incarnation(), up_to).await.unwrap();
        self.wakes.device_fetched(address, 1);
    }

    /// Waits until no device is woken any more.
    async fn is_not_woken(&self) {
        let forgotten = async {
            while !self.storage.due_device_wakes().await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, forgotten).await.expect("it is still known where the device was woken");
    }

    async fn wake_at(&self, address: &Address, endpoint: &str) {
        self.storage.set_device_wake(address, 1, Some(endpoint.parse().unwrap())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_woken_once_until_it_has_fetched() {
    let mut service = PushService::start().await;
    let house = House::new(settings(&service)).await;
    let paul = account(&house, "paul@clinic.example").await;
    house.write_to(&paul, 1).await;
    service.is_quiet().await;
    house.wake_at(&paul, &format!("https://{}/up/paul", service.host)).await;
    house.write_to(&paul, 2).await;
    let first = service.call().await;
    assert_eq!((first.path.as_str(), first.body.is_empty()), ("/up/paul", true));
    house.write_to(&paul, 3).await;
    tokio::time::sleep(Duration::from_millis(2 * INTERVAL_MS)).await;
    service.is_quiet().await;
    let second = service.call().await;
    assert!(second.at - first.at >= Duration::from_millis(DEVICE_INTERVAL_MS - 20), "{:?}", second.at - first.at);
    house.fetch(&paul, 3).await;
    house.wakes.envelope_waits(&paul, 1);
    tokio::time::sleep(Duration::from_millis(INTERVAL_MS)).await;
    service.is_quiet().await;
    house.write_to(&paul, 4).await;
    let third = service.call().await;
    assert!(third.at - second.at < Duration::from_millis(DEVICE_INTERVAL_MS), "{:?}", third.at - second.at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_whose_subscription_is_gone_is_forgotten_and_a_start_wakes_whom_something_waits_for() {
    let mut service = PushService::start().await;
    let mut house = House::new(settings(&service)).await;
    let paul = account(&house, "paul@clinic.example").await;
    house.wake_at(&paul, &format!("https://{}/up/paul", service.host)).await;
    house.stop();
    house.write_to(&paul, 1).await;
    service.answer_with([status(201), status(410)]);
    house.start().await;
    assert_eq!(service.call().await.path, "/up/paul");
    house.stop();
    house.start().await;
    assert_eq!(service.call().await.path, "/up/paul", "whether it was told before is not known");
    house.is_not_woken().await;
    house.stop();
    house.start().await;
    tokio::time::sleep(Duration::from_millis(INTERVAL_MS)).await;
    service.is_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_signed_with_a_key_that_stays_and_encrypted_for_whom_has_keys() {
    let mut service = PushService::start().await;
    let mut config = settings(&service);
    config.push.contact = Some("mailto:it@clinic.example".to_owned());
    let mut house = House::new(config).await;
    let key = house.wakes.services().vapid_key.unwrap();
    house.stop();
    house.start().await;
    assert_eq!(house.wakes.services().vapid_key, Some(key));
    let mut stranger = PushService::start().await;
    stranger.is_quiet().await;
    let paul = account(&house, "paul@clinic.example").await;
    let p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    let keys = format!("p256dh={p256dh}&auth=BTBZMqHH6r4Tts7J_aSIgg");
    house.wake_at(&paul, &format!("https://{}/up/paul#{keys}", service.host)).await;
    house.write_to(&paul, 1).await;
    let call = service.call().await;
    assert_eq!((call.path.as_str(), call.body.len()), ("/up/paul", 103), "the keys stay here");
    assert_eq!(call.headers["content-encoding"], "aes128gcm");
    let authorization = call.headers["authorization"].to_str().unwrap();
    let (token, named) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
    assert_eq!(named, data_encoding::BASE64URL_NOPAD.encode(&key));
    let (_, claims) = signing::tests::verified_es256(token, &key);
    assert_eq!(claims["aud"], format!("https://{}", service.host));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_woken_through_apple_over_http_2() {
    let mut apple = PushService::start_http2().await;
    let mut config = settings(&apple);
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let path = apple.folder().join("AuthKey_ABC123DEFG.p8");
    std::fs::write(&path, pem).unwrap();
    (config.push.apns_key, config.push.apns_host) = (Some(path), apple.host.clone());
    (config.push.apns_key_id, config.push.apns_team) = (Some("ABC123DEFG".to_owned()), Some("DEF123GHIJ".to_owned()));
    config.push.apns_apps = vec!["example.clinic.App".to_owned()];
    config.push.hosts = Vec::new();
    let house = House::new(config).await;
    assert_eq!(house.wakes.services().apns, ["example.clinic.App"]);
    let paul = account(&house, "paul@clinic.example").await;
    assert!(!house.wakes.allows(&"apns:example.other.App/00fc".parse().unwrap()));
    house.wake_at(&paul, "apns:example.clinic.App/00fc").await;
    let gone = Response::builder().status(410).body(Full::from(r#"{"reason":"Unregistered"}"#)).unwrap();
    apple.answer_with([status(200), gone]);
    house.write_to(&paul, 1).await;
    let call = apple.call().await;
    assert_eq!((call.version, call.headers["apns-topic"].as_bytes()), (Version::HTTP_2, &b"example.clinic.App"[..]));
    assert!(call.path.ends_with("/3/device/00fc"), "{}", call.path);
    house.fetch(&paul, 1).await;
    house.write_to(&paul, 2).await;
    apple.call().await;
    house.is_not_woken().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_woken_through_google_with_a_token_that_is_fetched_once() {
    let mut google = PushService::start().await;
    let mut config = settings(&google);
    let token_uri = format!("https://{}/token", google.host);
    let account_file = signing::tests::ACCOUNT.replace("https://oauth2.googleapis.com/token", &token_uri);
    let path = google.folder().join("service-account.json");
    std::fs::write(&path, account_file).unwrap();
    (config.push.fcm_account, config.push.fcm_host) = (Some(path), google.host.clone());
    config.push.hosts = Vec::new();
    let house = House::new(config).await;
    assert_eq!(house.wakes.services().fcm, ["clinic-7"]);
    let paul = account(&house, "paul@clinic.example").await;
    house.wake_at(&paul, "fcm:clinic-7/bk3RNw").await;
    let token = || {
        let token = r#"{"access_token":"ya29.test","expires_in":3599,"token_type":"Bearer"}"#;
        Response::builder().status(200).body(Full::from(token)).unwrap()
    };
    google.answer_with([token(), status(200), status(200), status(401), token(), status(200)]);
    house.write_to(&paul, 1).await;
    let asked = google.call().await;
    assert!(asked.path == "/token" && asked.body.starts_with(b"grant_type="), "{asked:?}");
    let call = google.call().await;
    assert_eq!(call.path, "/v1/projects/clinic-7/messages:send");
    assert_eq!(call.headers["authorization"], "Bearer ya29.test");
    house.fetch(&paul, 1).await;
    house.write_to(&paul, 2).await;
    assert_eq!(google.call().await.path, "/v1/projects/clinic-7/messages:send", "with the same token");
    house.fetch(&paul, 2).await;
    house.write_to(&paul, 3).await;
    let paths = [google.call().await.path, google.call().await.path, google.call().await.path];
    let send = "/v1/projects/clinic-7/messages:send";
    assert_eq!(paths, [send, "/token", send], "a token that is not good any more is fetched anew");
}
