//! An account on this machine: its folder, the engine on its store, and the connections that the engine asks for.
//!
//! Every event is committed before anything of it is sent or shown. When the network fails, the outbox keeps what was to
//! be sent; when the process stops, the next one goes on with what the disk has.

mod exchange;
mod reception;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use thiserror::Error;
use tokio::time::Instant;

use super::address::{ServerAddress, ServerAddressError};
use super::connection::{ConnectError, Connection, RequestError, ServerExpectation, ServerTrust};
use crate::account_store::{AccountStore, HandleError, Status};
use crate::engine::{
    ContactSummary, Credentials, EngineError, Event, Input, LocalId, MessageDetail, MessageSummary, Time,
};
use crate::limits::OUTBOX_ROUNDS_MAX;
use crate::store::StoreError;
use crate::store::seal::{SealedStore, Unlock};
use crate::store::sqlite::{FILE_NAME, SqliteStore};
use exchange::Unreachable;

/// Sees every event, after its commit and before anything else is done.
pub type Show<'a> = &'a mut dyn FnMut(&Event);

/// An open account.
#[derive(Debug)]
pub struct Agent {
    store: AccountStore<SqliteStore>,
    rng: ChaCha20Rng,
    proved: Option<Connection>,
    anonymous: BTreeMap<String, Connection>,
    /// By domain.
    unreachable: BTreeMap<String, Unreachable>,
}

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The engine or the store refuses. Nothing was changed.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Randomness,
    /// A server could not be asked. What was to be sent is kept.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Why a server could not be asked.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// There is no connection to it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection failed under a request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A stored server address cannot be read.
    #[error(transparent)]
    Address(#[from] ServerAddressError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The server refuses what the connection is for.
    #[error("the server refused the connection: {0}")]
    Refused(String),
    /// Another process of this account receives now.
    #[error("another program receives for this device now")]
    Displaced,
}

impl From<StoreError> for AgentError {
    fn from(error: StoreError) -> Self {
        Self::Handle(error.into())
    }
}

impl From<EngineError> for AgentError {
    fn from(error: EngineError) -> Self {
        Self::Handle(error.into())
    }
}

impl Agent {
    /// Whether there is an account's store in the folder.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        folder.join(FILE_NAME).exists()
    }

    /// Makes the folder, for this user alone, and an empty store in it.
    ///
    /// # Errors
    /// What the store says.
    pub fn create(folder: &Path, passphrase: &str) -> Result<Self, AgentError> {
        let mut rng = random()?;
        let store = SqliteStore::create(folder)?;
        let unlock = Unlock::Passphrase(passphrase.as_bytes());
        let sealed = SealedStore::create(store, &unlock, now().0, &mut rng)?;
        Ok(Self::on(sealed, rng))
    }

    /// Opens the store in the folder.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::WrongPassphrase`], and what else the store says.
    pub fn open(folder: &Path, passphrase: &str) -> Result<Self, AgentError> {
        let rng = random()?;
        let store = SqliteStore::open(folder)?;
        let sealed = SealedStore::open(store, &Unlock::Passphrase(passphrase.as_bytes()))?;
        Ok(Self::on(sealed, rng))
    }

    fn on(store: SealedStore<SqliteStore>, rng: ChaCha20Rng) -> Self {
        Self {
            store: AccountStore::new(store),
            rng,
            proved: None,
            anonymous: BTreeMap::new(),
            unreachable: BTreeMap::new(),
        }
    }

    /// Handles an input and everything that comes of it. A network failure is no error: what was to be sent is kept,
    /// and the first failure is returned.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn run(&mut self, input: Input, show: Show<'_>) -> Result<Option<NetworkError>, AgentError> {
        Ok(self.round(input, show).await?.failure)
    }

    /// Sends what is due, until nothing is. A server that cannot be reached keeps only its own mail waiting, and is not
    /// tried again for a while; what stands in the way is returned.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn send_due(&mut self, show: Show<'_>) -> Result<Option<String>, AgentError> {
        for _ in 0..OUTBOX_ROUNDS_MAX {
            let now = Instant::now();
            let waits = self.unreachable.iter().filter(|(_, one)| one.until > now);
            let unreachable = waits.map(|(domain, _)| domain.clone()).collect();
            if self.round(Input::Tick { unreachable }, show).await?.wanted == 0 {
                break;
            }
        }
        Ok(self.unreachable.values().next().map(|one| one.problem.clone()))
    }

    /// The domain of the server at an address, and nothing else: to suggest an account's address before there is one.
    ///
    /// # Errors
    /// [`NetworkError`]
    pub async fn domain_of(server: &str, server_key_hash: [u8; 32]) -> Result<String, NetworkError> {
        let address: ServerAddress = server.parse()?;
        let expectation =
            ServerExpectation { address: &address, trust: ServerTrust::Pinned(server_key_hash), domain: None };
        let connection = Connection::anonymous(&expectation).await?;
        let domain = connection.domain().to_owned();
        connection.close().await;
        Ok(domain)
    }

    /// Closes the connections.
    pub async fn close(mut self) {
        for connection in self.proved.take().into_iter().chain(std::mem::take(&mut self.anonymous).into_values()) {
            connection.close().await;
        }
    }

    /// Who this account is; `None` before it is made.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn credentials(&mut self) -> Result<Option<Credentials>, AgentError> {
        Ok(self.store.credentials(now(), &mut self.rng)?)
    }

    /// All messages, newest first.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn messages(&mut self) -> Result<Vec<MessageSummary>, AgentError> {
        Ok(self.store.messages(now(), &mut self.rng)?)
    }

    /// One message with its content.
    ///
    /// # Errors
    /// [`AgentError::Handle`], with [`EngineError::UnknownMessage`] if there is none of this id.
    pub fn message(&mut self, id: LocalId) -> Result<MessageDetail, AgentError> {
        let message = self.store.message(id, now(), &mut self.rng)?;
        message.ok_or_else(|| EngineError::UnknownMessage.into())
    }

    /// All contacts, by address.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn contacts(&mut self) -> Result<Vec<ContactSummary>, AgentError> {
        Ok(self.store.contacts(now(), &mut self.rng)?)
    }

    /// How things are.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn status(&mut self) -> Result<Status, AgentError> {
        Ok(self.store.status(now(), &mut self.rng)?)
    }
}

/// Milliseconds since 1970, by this machine's clock.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn random() -> Result<ChaCha20Rng, AgentError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| AgentError::Randomness)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}
