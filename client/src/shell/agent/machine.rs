//! A machine with files and sockets: the account's folder and its documents.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::anchoring::Anchored;
use super::document_place::DocumentPlace;
use super::{Agent, AgentError, Platform};
use crate::account_store::{Handled, Status};
use crate::engine::{Input, Time};
use crate::limits::STORE_LOCK_WAIT;
use crate::shell::address::ServerAddress;
use crate::shell::connection::ProgramLink;
use crate::shell::domain_lookup::DomainLookup;
use crate::shell::lookup_error::LookupError;
use crate::shell::presence::Presence;
use crate::shell::transfer::CopyFolder;
use crate::shell::wipe;
use crate::store::StoreError;
use crate::store::seal::{SealedStore, Unlock};
use crate::store::sqlite::{FILE_NAME, SqliteStore};

/// What a program has beside store and connections.
#[derive(Debug)]
pub struct Machine {
    pub(super) home: PathBuf,
    pub(super) copies: CopyFolder,
    lookup: DomainLookup,
    pub(super) anchored: Anchored,
    /// The last to go: until the keys are wiped the account is open.
    _presence: Presence,
}

impl Platform for Machine {
    type Store = SqliteStore;
    type Carrier = ProgramLink;
    type Turn = ();
    type Copies = CopyFolder;
    type Place = DocumentPlace;

    fn now() -> Time {
        now()
    }

    async fn turn(&mut self) {}

    async fn handle(agent: &mut Agent, input: &Input) -> Result<Handled, AgentError> {
        agent.handle(input)
    }

    async fn servers(&mut self, domain: &str, rng: &mut ChaCha20Rng) -> Result<Vec<ServerAddress>, LookupError> {
        self.lookup.servers(domain, rng).await
    }

    fn copies(&self) -> &CopyFolder {
        &self.copies
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
        Self::at(folder, sealed, rng)
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
        Self::at(folder, sealed, rng)
    }

    fn at(folder: &Path, store: SealedStore<SqliteStore>, rng: ChaCha20Rng) -> Result<Self, AgentError> {
        let presence = Presence::announce(folder).map_err(|error| StoreError::Medium(error.to_string()))?;
        // Who wipes the folder marks it first and looks for others then; so one of the two sees the other.
        if wipe::is_begun(folder) {
            return Err(AgentError::Wiped);
        }
        let machine = Machine {
            home: folder.to_owned(),
            copies: CopyFolder::of_home(folder),
            lookup: DomainLookup::from_environment(),
            anchored: Anchored::default(),
            _presence: presence,
        };
        Ok(Self::on(store, rng, machine))
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

    /// Handles an input. Nothing of what comes of it is sent.
    pub(super) fn handle(&mut self, input: &Input) -> Result<Handled, AgentError> {
        let mut handle = || {
            let mut events = self.hold_against_anchor()?;
            let mut handled = self.store.handle(input, now(), &mut self.rng)?;
            self.raise_anchor(&handled);
            events.append(&mut handled.events);
            Ok(Handled { events, ..handled })
        };
        // The disk, or another process that holds the lock, must not keep the connections from being served.
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => tokio::task::block_in_place(handle),
            _ => handle(),
        }
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
