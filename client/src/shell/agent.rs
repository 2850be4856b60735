//! An account on this machine: its folder, the engine on its store, and the connections that the engine asks for.
//!
//! Every event is committed before anything of it is sent or shown. When the network fails, the outbox keeps what was to
//! be sent; when the process stops, the next one goes on with what the disk has.

mod anchoring;
mod backup;
pub mod cases;
mod departure;
mod documents;
mod domains;
mod exchange;
mod group_watch;
mod groups;
mod linking;
mod mailbox;
mod organisation;
mod reception;
mod recovery;
mod reports;
mod restore;
mod sending;
mod transfers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chacha20::ChaCha20Rng;
use medipeps_core::kind::Settings;
use medipeps_core::wire::client_records::Revocation;
use medipeps_core::wire::transport::ErrorCode;
use rand_core::SeedableRng;
use thiserror::Error;
use tokio::time::Instant;

use super::address::{ServerAddress, ServerAddressError};
use super::backup_file::BackupFileError;
use super::connection::{ConnectError, Connection, RequestError, ServerExpectation, ServerTrust};
use super::domain_lookup::{DomainLookup, LookupError};
use super::presence::Presence;
use super::transfer::sealed_copy::SealedCopies;
use super::transfer::{FetchError, SaveError, SealedCopyError, SourceError};
use super::wipe;
use crate::account_store::{AccountStore, HandleError, Status};
use crate::engine::{
    ContactSummary, Credentials, DomainProblem, EngineError, Event, Input, LocalId, MessageDetail, MessageSummary,
    PendingUpload, Time,
};
use crate::limits::{OUTBOX_ROUNDS_MAX, STORE_LOCK_WAIT};
use crate::store::StoreError;
use crate::store::seal::{SealedStore, Unlock};
use crate::store::sqlite::{FILE_NAME, SqliteStore};
use anchoring::Anchored;
use exchange::Unreachable;
use group_watch::GroupWatch;
use transfers::Transfers;

pub use backup::{BackupOrder, BackupSummary};
pub use departure::OwnData;
pub use documents::Saved;
pub use domains::FoundServer;
pub use mailbox::{MailboxOutcome, MailboxWait};
pub use recovery::{Recovered, Recovery};
pub use restore::{RestoreOutcome, verify_backup};
pub use sending::{Document, DocumentPlace};
pub use transfers::Watch;

/// Sees every event, after its commit and before anything else is done.
pub type Show<'a> = &'a mut dyn FnMut(&Event);

/// An open account.
#[derive(Debug)]
pub struct Agent {
    store: AccountStore<SqliteStore>,
    rng: ChaCha20Rng,
    proved: Option<Connection>,
    anonymous: BTreeMap<String, Connection>,
    /// For the logs of groups, by domain.
    group_logs: BTreeMap<String, Connection>,
    /// For what goes to the other devices of the account; while a round lasts.
    own_devices: Option<Connection>,
    /// For vouchers, by domain; while a round lasts.
    redemptions: BTreeMap<String, Connection>,
    /// To the server of the account that a device is linked to.
    linking: Option<Connection>,
    /// By domain.
    unreachable: BTreeMap<String, Unreachable>,
    home: PathBuf,
    copies: SealedCopies,
    transfers: Transfers,
    group_watch: GroupWatch,
    lookup: DomainLookup,
    /// The server has answered a proof of this process, and the store is no old copy.
    proof_answered: bool,
    anchored: Anchored,
    /// The last to go: until the keys are wiped the account is open.
    _presence: Presence,
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
    /// A file cannot be sent. Nothing was queued.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A sealed copy on this device cannot be made or used.
    #[error(transparent)]
    SealedCopy(#[from] SealedCopyError),
    /// A document cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A document cannot be saved.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The server has no account of this address.
    #[error(
        "the server has no such account: it was deleted, or the server was restored from a backup that is older than the \
         account. Messages and contacts can be read and exported; for a new account ask for an invitation"
    )]
    AccountUnknown,
    /// The folder is being wiped.
    #[error("this folder is being wiped; run `wipe` again to go on")]
    Wiped,
    /// A backup cannot be written or read.
    #[error(transparent)]
    Backup(#[from] BackupFileError),
    /// The server refuses, with this code.
    #[error("the server refused ({0})")]
    Refused(String),
    /// The text of a message is not here and never will be, or a document lies where it must not be fetched from.
    #[error("the document cannot be had ({0})")]
    NoBody(String),
    /// The text of a message is not here yet.
    #[error("the text is not here yet and the server does not answer; `sync` fetches it")]
    Stalled,
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
    /// A domain is not to be reached.
    #[error(transparent)]
    Domain(#[from] DomainProblem),
    /// DNS does not say where the server of a domain is.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The server is stopping, and has said when to come again.
    #[error("the server is stopping")]
    GoingAway {
        /// After so long.
        retry_after: Duration,
    },
    /// The server refuses what the connection is for.
    #[error("the server refused the connection: {0}")]
    Refused(String),
    /// Another process of this account receives now.
    #[error("another program receives for this device now")]
    Displaced,
}

impl NetworkError {
    /// Whether trying again later is of no use until a person has done something.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Request(RequestError::Refused(error))) => {
                matches!(
                    error.known_code(),
                    Some(
                        ErrorCode::ProofRefused
                            | ErrorCode::UnknownAccount
                            | ErrorCode::UnknownDevice
                            | ErrorCode::AccountSuspended
                            | ErrorCode::TenantSuspended
                    )
                )
            }
            Self::Connect(
                ConnectError::ServerKeyChanged { .. }
                | ConnectError::WrongDomain { .. }
                | ConnectError::HelloSignature
                | ConnectError::Certificate(_),
            )
            | Self::Address(_) => true,
            _ => false,
        }
    }
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

    /// Makes the folder, for this user alone, and an empty store in it that is locked in this way.
    ///
    /// # Errors
    /// What the store says.
    pub fn create(folder: &Path, lock: &Unlock<'_>) -> Result<Self, AgentError> {
        let mut rng = random()?;
        let store = SqliteStore::create(folder)?;
        let sealed = SealedStore::create(store, lock, now().0, &mut rng)?;
        Self::on(folder, sealed, rng)
    }

    /// Opens the store in the folder.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::WrongPassphrase`], and what else the store says.
    pub fn open(folder: &Path, lock: &Unlock<'_>) -> Result<Self, AgentError> {
        Self::open_waiting(folder, lock, STORE_LOCK_WAIT)
    }

    /// [`Self::open`], where no event waits longer than so long for another process: then it fails with [`StoreError::Busy`]. For
    /// whoever has seconds only.
    ///
    /// # Errors
    /// The same.
    pub fn open_waiting(folder: &Path, lock: &Unlock<'_>, lock_wait: Duration) -> Result<Self, AgentError> {
        let rng = random()?;
        let store = SqliteStore::open_waiting(folder, lock_wait)?;
        let sealed = SealedStore::open(store, lock)?;
        Self::on(folder, sealed, rng)
    }

    fn on(folder: &Path, store: SealedStore<SqliteStore>, rng: ChaCha20Rng) -> Result<Self, AgentError> {
        let presence = Presence::announce(folder).map_err(|error| StoreError::Medium(error.to_string()))?;
        // Who wipes the folder marks it first and looks for others then; so one of the two sees the other.
        if wipe::is_begun(folder) {
            return Err(AgentError::Wiped);
        }
        Ok(Self {
            store: AccountStore::new(store),
            rng,
            proved: None,
            anonymous: BTreeMap::new(),
            group_logs: BTreeMap::new(),
            own_devices: None,
            redemptions: BTreeMap::new(),
            linking: None,
            unreachable: BTreeMap::new(),
            home: folder.to_owned(),
            copies: SealedCopies::of_home(folder),
            transfers: Transfers::new(),
            group_watch: GroupWatch::default(),
            lookup: DomainLookup::from_environment(),
            proof_answered: false,
            anchored: Anchored::default(),
            _presence: presence,
        })
    }

    /// Locks the store with another passphrase from now on. Nothing but its header is written; other programs that have it
    /// open go on.
    ///
    /// # Errors
    /// [`AgentError::Handle`]; the former passphrase opens it then.
    pub fn change_passphrase(&mut self, passphrase: &str) -> Result<(), AgentError> {
        self.store.store_mut().change_lock(&Unlock::Passphrase(passphrase.as_bytes()), &mut self.rng)?;
        Ok(())
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

    /// Closes the connections and ends transfers; what they have done so far is kept.
    pub async fn close(mut self) {
        self.transfers.stop();
        self.group_watch.stop();
        let anonymous = std::mem::take(&mut self.anonymous).into_values();
        let group_logs = std::mem::take(&mut self.group_logs).into_values();
        let rest = self.linking.take().into_iter().chain(anonymous).chain(group_logs);
        for connection in self.proved.take().into_iter().chain(rest) {
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

    /// One message with its content, and with its whole body where that is on this device
    /// ([`MessageDetail::missing_body`] tells).
    ///
    /// # Errors
    /// [`AgentError::Handle`], with [`EngineError::UnknownMessage`] if there is none of this id;
    /// [`AgentError::SealedCopy`] if the body's copy is gone or spoilt.
    pub fn message(&mut self, id: LocalId) -> Result<MessageDetail, AgentError> {
        let message = self.outline(id)?;
        let (Some(blob), Some(name), None) =
            (message.content.body_blob.clone(), message.body_copy_name(), &message.missing_body)
        else {
            return Ok(message);
        };
        let plaintext = match message.message.sent {
            // The digest over the whole comes into a message of one's own only once it is uploaded.
            true => self.copies.open_own(&name, &blob)?,
            false => self.copies.open(&name, &blob)?,
        };
        message.with_body(&plaintext).map_err(|code| AgentError::NoBody(code.to_owned()))
    }

    /// One message with what is in the store of it: with the short body where the whole is a blob.
    ///
    /// # Errors
    /// [`AgentError::Handle`], with [`EngineError::UnknownMessage`] if there is none of this id.
    pub fn outline(&mut self, id: LocalId) -> Result<MessageDetail, AgentError> {
        let message = self.store.message(id, now(), &mut self.rng)?;
        message.ok_or_else(|| EngineError::UnknownMessage.into())
    }

    /// What is still to be uploaded.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn uploads(&mut self) -> Result<Vec<PendingUpload>, AgentError> {
        Ok(self.store.uploads(now(), &mut self.rng)?)
    }

    /// All contacts, by address.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn contacts(&mut self) -> Result<Vec<ContactSummary>, AgentError> {
        Ok(self.store.contacts(now(), &mut self.rng)?)
    }

    /// Whom the person has blocked and what he has muted.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn settings(&mut self) -> Result<Settings, AgentError> {
        Ok(self.store.settings(now(), &mut self.rng)?)
    }

    /// Which of these messages came under an account key that a person has compared.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn verified(&mut self, messages: &[MessageSummary]) -> Result<BTreeSet<LocalId>, AgentError> {
        Ok(self.store.verified(messages, now(), &mut self.rng)?)
    }

    /// Which of these messages came from strangers: without a delivery key, from a sender whom nobody has accepted.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn requests(&mut self, messages: &[MessageSummary]) -> Result<BTreeSet<LocalId>, AgentError> {
        Ok(self.store.requests(messages, now(), &mut self.rng)?)
    }

    /// Whether the account's statement, as it is known here, lists this device as a primary one.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn is_primary(&mut self, device_id: u32) -> Result<bool, AgentError> {
        Ok(self.store.is_primary(device_id, now(), &mut self.rng)?)
    }

    /// Why this device is none of its account any more, if it is none.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn revocation(&mut self) -> Result<Option<Revocation>, AgentError> {
        Ok(self.status()?.account.and_then(|account| account.revoked))
    }

    /// How things are.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn status(&mut self) -> Result<Status, AgentError> {
        self.hold_against_anchor()?;
        Ok(self.store.status(now(), &mut self.rng)?)
    }
}

/// Milliseconds since 1970, by this machine's clock.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A generator seeded by the system.
///
/// # Errors
/// [`AgentError::Randomness`]
pub fn random() -> Result<ChaCha20Rng, AgentError> {
    let mut seed = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| AgentError::Randomness)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}
