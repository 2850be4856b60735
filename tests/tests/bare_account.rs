//! An account without a store: keys and requests, where the command does too much or is too slow.

use std::time::{Duration, Instant};

use chacha20::ChaCha20Rng;
use medipeps_client::shell::connection::{Connection, Device, ServerExpectation, ServerTrust, Subscription};
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
use medipeps_core::invitation::Invitation;
use medipeps_core::prekey::GeneratedPrekeys;
use medipeps_core::proof::sign_deletion;
use medipeps_core::wire::transport::{
    Acknowledge, DeleteAccount, Delivery, DeviceEnvelope, Payment, Register, Request, Response, Submit,
    SubscriptionEvent,
};
use rand_core::SeedableRng;

use crate::process::PATIENCE;
use crate::server::{DOMAIN, Server};

/// One-time prekeys of one kind that a bare account leaves at the server.
pub const ONE_TIME_PREKEYS: usize = 2;

/// The keys of an account with one device.
#[derive(Debug)]
pub struct BareAccount {
    pub address: Address,
    pub device_id: u32,
    key: SigningKey,
    device: DeviceSecretKeys,
    statement: Statement,
    prekeys: GeneratedPrekeys,
}

/// Where a server is, and by which key it is known.
#[derive(Debug, Clone)]
pub struct Place {
    pub host: String,
    pub key_hash: [u8; 32],
}

impl Place {
    pub fn of(server: &Server) -> Self {
        Self { host: server.host(), key_hash: server.key_hash() }
    }

    /// A connection that proves nothing.
    pub async fn connect(&self) -> Option<Connection> {
        let address = self.host.parse().unwrap();
        let trust = ServerTrust::Pinned(self.key_hash);
        Connection::anonymous(&ServerExpectation { address: &address, trust, domain: Some(DOMAIN) }).await.ok()
    }
}

impl BareAccount {
    /// An account that no server knows yet; another seed makes other keys.
    pub fn new(local: &str, seed: u8) -> Self {
        Self::of(local, [seed; 32], u32::from(seed))
    }

    /// One of many accounts.
    pub fn numbered(number: usize) -> Self {
        let mut seed = [0xa5; 32];
        seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Self::of(&format!("user{number}"), seed, 1)
    }

    fn of(local: &str, seed: [u8; 32], device_id: u32) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let address: Address = format!("{local}@{DOMAIN}").parse().unwrap();
        let [key, recovery] = [(); 2].map(|()| SigningKey::random(&mut rng));
        let device = DeviceSecretKeys::random(&mut rng);
        let issue = StatementIssue {
            address: &address,
            recovery_key_hash: recovery_key_hash(&recovery.verifying_key()),
            previous: None,
            devices: vec![DeviceCertificate::issue(&key, &address, device_id, &device.public_keys(), true, 5)],
            issued: 5,
        };
        let statement = issue.sign(&key).unwrap();
        let prekeys =
            GeneratedPrekeys::draw(&device.signing_key, &address, device_id, 1, 1, ONE_TIME_PREKEYS, 100, &mut rng);
        Self { address, device_id, key, device, statement, prekeys }
    }

    /// Takes up an invitation.
    pub async fn register(&self, server: &Server) {
        let invitation: Invitation = server.invite().parse().unwrap();
        let place = Place { host: server.host(), key_hash: invitation.server_key_hash };
        self.register_with(&place, &invitation).await;
    }

    /// Takes up this invitation.
    pub async fn register_with(&self, place: &Place, invitation: &Invitation) {
        // A server with many handshakes under way refuses some.
        let start = Instant::now();
        let connection = loop {
            match place.connect().await {
                Some(connection) => break connection,
                None => assert!(start.elapsed() < PATIENCE, "the server cannot be reached"),
            }
        };
        let register = Register {
            invitation: *invitation.secret.as_bytes(),
            statement: self.statement.encoded().to_vec(),
            prekeys: vec![self.prekeys.upload.sign(&self.device.signing_key)],
        };
        assert_eq!(connection.request(&Request::Register(register)).await.unwrap(), Response::Done);
        connection.close().await;
    }

    /// A connection that proves the device.
    pub async fn connect(&self, place: &Place) -> Option<Connection> {
        let address = place.host.parse().unwrap();
        let trust = ServerTrust::Pinned(place.key_hash);
        let server = ServerExpectation { address: &address, trust, domain: Some(DOMAIN) };
        let device =
            Device { address: &self.address, device_id: self.device_id, key: &self.device.signing_key, generation: 0 };
        Connection::proved(&server, &device).await.ok().map(|(connection, _)| connection)
    }

    /// A second upload of prekeys, signed, with as many one-time keys as the first.
    pub fn next_prekeys(&self) -> Vec<u8> {
        let mut rng = ChaCha20Rng::from_seed([0xfe; 32]);
        let (key, first_id) = (&self.device.signing_key, self.prekeys.next_id());
        let next =
            GeneratedPrekeys::draw(key, &self.address, self.device_id, 2, first_id, ONE_TIME_PREKEYS, 100, &mut rng);
        next.upload.sign(key)
    }

    /// Deletes the account at the server.
    pub async fn delete(&self, server: &Server) {
        let connection = self.connect(&Place::of(server)).await.unwrap();
        let signature = sign_deletion(&self.key, &self.address, self.statement.version());
        let request =
            DeleteAccount { address: self.address.clone(), statement_version: self.statement.version(), signature };
        assert_eq!(connection.request(&Request::DeleteAccount(request)).await.unwrap(), Response::Done);
        connection.close().await;
    }

    /// Everything in the queue, acknowledged as it comes.
    pub async fn drain(&self, place: &Place) -> Vec<Delivery> {
        let mut connection = None;
        while connection.is_none() {
            connection = self.connect(place).await;
        }
        let connection = connection.unwrap();
        let mut queue = Queue::open(&connection).await.unwrap();
        let mut deliveries = Vec::new();
        while let Some(delivery) = queue.next(PATIENCE).await.unwrap() {
            queue.acknowledge(&connection, delivery.sequence).await.unwrap();
            deliveries.push(delivery);
        }
        connection.close().await;
        deliveries
    }
}

/// An open subscription with the store's incarnation.
#[derive(Debug)]
pub struct Queue {
    subscription: Subscription,
    pub incarnation: [u8; 16],
}

/// The connection or the server is gone.
#[derive(Debug)]
pub struct Gone;

impl Queue {
    pub async fn open(connection: &Connection) -> Result<Self, Gone> {
        let mut subscription = connection.subscribe().await.map_err(|_| Gone)?;
        match tokio::time::timeout(PATIENCE, subscription.next()).await {
            Ok(Ok(Some(SubscriptionEvent::Open(incarnation)))) => Ok(Self { subscription, incarnation }),
            _ => Err(Gone),
        }
    }

    /// The next envelope; `None` if the queue is empty.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Delivery>, Gone> {
        match tokio::time::timeout(wait, self.subscription.next()).await {
            Ok(Ok(Some(SubscriptionEvent::Delivery(delivery)))) => Ok(Some(delivery)),
            Ok(Ok(Some(SubscriptionEvent::QueueEmpty))) => Ok(None),
            _ => Err(Gone),
        }
    }

    /// The next event of any kind, however long it takes.
    pub async fn event(&mut self) -> Result<SubscriptionEvent, Gone> {
        self.subscription.next().await.ok().flatten().ok_or(Gone)
    }

    pub async fn acknowledge(&self, connection: &Connection, up_to: u64) -> Result<(), Gone> {
        let acknowledge = Acknowledge { incarnation: self.incarnation, up_to, generation: 0 };
        connection.request(&Request::Acknowledge(acknowledge)).await.map(|_| ()).map_err(|_| Gone)
    }
}

/// An envelope of 4 KiB that begins with the id of its submission; a server cannot tell it from a real one.
pub fn submission((to, device_id): (&Address, u32), id: [u8; 16]) -> Request {
    let mut envelope = id.to_vec();
    envelope.resize(4096, 0xa5);
    let envelopes = vec![DeviceEnvelope { device_id, envelope }];
    Request::Submit(Submit { id, address: to.clone(), envelopes, payment: Payment::None, delivery_key: None })
}

/// The id of the submission that an envelope of [`submission`] came with.
pub fn submission_id(delivery: &Delivery) -> [u8; 16] {
    delivery.envelope[..16].try_into().unwrap()
}
