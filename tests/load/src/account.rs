//! Accounts with real keys, in memory alone.

use std::sync::Arc;

use chacha20::ChaCha20Rng;
use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::connection::{Connection, Device, ServerExpectation, ServerTrust, Subscription};
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
use medipeps_core::invitation::Invitation;
use medipeps_core::prekey::GeneratedPrekeys;
use medipeps_core::wire::transport::{Register, Request, Response};
use rand_core::SeedableRng;
use tokio::task::JoinSet;

use crate::error::LoadError;
use crate::run::Stop;
use crate::wire::{Place, Sockets};

/// One-time prekeys that an account leaves at the server: none are asked for.
const ONE_TIME_PREKEYS: usize = 1;
/// The number of an account's only device.
const DEVICE_ID: u32 = 1;
/// Registrations under way at once: they share commits.
const PARALLEL: usize = 32;
/// Connections over which accounts are registered.
const CONNECTIONS: usize = 4;
/// Registrations after which progress is shown.
const SHOWN_EVERY: usize = 500;
/// Milliseconds since 1970 in statements and prekeys; a server does not look at it.
const ISSUED_MS: u64 = 1_800_000_000_000;

/// An account with one device.
#[derive(Debug)]
pub(crate) struct Account {
    address: Address,
    device: DeviceSecretKeys,
    statement: Vec<u8>,
    prekeys: Vec<u8>,
}

impl Account {
    /// Draws the keys.
    fn draw(local: &str, domain: &str) -> Result<Self, LoadError> {
        let failed = LoadError::server("an account");
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| failed(&error))?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let address: Address = format!("{local}@{domain}").parse().map_err(|_| failed(&"no address"))?;
        let [key, recovery] = [(); 2].map(|()| SigningKey::random(&mut rng));
        let device = DeviceSecretKeys::random(&mut rng);
        let issue = StatementIssue {
            address: &address,
            recovery_key_hash: recovery_key_hash(&recovery.verifying_key()),
            previous: None,
            devices: vec![DeviceCertificate::issue(&key, &address, DEVICE_ID, &device.public_keys(), true, ISSUED_MS)],
            issued: ISSUED_MS,
        };
        let statement = issue.sign(&key).map_err(|error| failed(&error))?;
        let statement = Statement::encoded(&statement).to_vec();
        let key = &device.signing_key;
        let prekeys = GeneratedPrekeys::draw(key, &address, DEVICE_ID, 1, 1, ONE_TIME_PREKEYS, ISSUED_MS, &mut rng);
        let prekeys = prekeys.upload.sign(key);
        Ok(Self { address, device, statement, prekeys })
    }

    /// Connects as the real client does, proves the device and subscribes.
    pub(crate) async fn subscribe(&self, place: &Place) -> Result<(Connection, Subscription), LoadError> {
        let failed = LoadError::server("a client");
        let server = ServerAddress { host: place.address.ip().to_string(), port: place.address.port() };
        let trust = ServerTrust::Pinned(place.key_hash);
        let expected = ServerExpectation { address: &server, trust, domain: Some(&place.domain) };
        let (address, key) = (self.address(), self.device_key());
        let device = Device { address, device_id: self.device_id(), key, generation: 0 };
        let (connection, _) = Connection::proved(&expected, &device).await.map_err(|error| failed(&error))?;
        let subscription = connection.subscribe().await.map_err(|error| failed(&error))?;
        Ok((connection, subscription))
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    #[expect(clippy::unused_self, reason = "another account may have another device")]
    pub(crate) const fn device_id(&self) -> u32 {
        DEVICE_ID
    }

    pub(crate) const fn device_key(&self) -> &SigningKey {
        &self.device.signing_key
    }
}

/// Draws and registers accounts, one an invitation; `run` tells the accounts of one run from those of others at the same server.
pub(crate) async fn register_all(
    place: &Place,
    run: u64,
    invitations: Vec<Invitation>,
    stop: &Stop,
) -> Result<Vec<Arc<Account>>, LoadError> {
    let sockets = Sockets::open(place, CONNECTIONS)?;
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        connections.push(Arc::new(sockets.connect(number).await?));
    }
    let total = invitations.len();
    let mut waiting = invitations.into_iter().enumerate();
    let (mut tasks, mut accounts) = (JoinSet::new(), Vec::with_capacity(total));
    loop {
        while tasks.len() < PARALLEL
            && let Some((number, invitation)) = waiting.next()
        {
            let Some(connection) = connections.get(number % CONNECTIONS).cloned() else { break };
            let domain = place.domain.clone();
            tasks.spawn(async move {
                let account = Account::draw(&format!("load-{run:x}-{number}"), &domain)?;
                let register = Register {
                    invitation: *invitation.secret.as_bytes(),
                    statement: account.statement.clone(),
                    prekeys: vec![account.prekeys.clone()],
                };
                match connection.ask(&Request::Register(register)).await? {
                    Response::Done => Ok((number, Arc::new(account))),
                    other => Err(LoadError::server("Register")(&format!("answered with {other:?}"))),
                }
            });
        }
        let registered = tokio::select! {
            registered = tasks.join_next() => registered,
            () = stop.asked() => return Err(LoadError::Stopped),
        };
        let Some(registered) = registered else { break };
        accounts.push(registered.map_err(|error| LoadError::server("a task")(&error))??);
        if accounts.len() % SHOWN_EVERY == 0 {
            eprintln!("  {} of {total} accounts", accounts.len());
        }
    }
    accounts.sort_by_key(|(number, _)| *number);
    Ok(accounts.into_iter().map(|(_, account)| account).collect())
}
