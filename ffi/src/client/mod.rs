//! An account in a folder of an app.

mod account;
mod administration;
mod backup;
mod break_glass;
mod case;
mod contact;
mod conversation;
mod device;
mod group;
mod lock;
mod mail;
mod mailbox;
mod organisation;
mod receiving;
mod report;
mod transfer;
mod wake;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use medipeps_client::limits::STORE_LOCK_WAIT;
use medipeps_client::shell::agent::Agent;

use crate::MedipepsError;
use crate::key_vault::{Opener, StoreLock};
use crate::paper_key::KeptKey;
use crate::progress::TransferListener;
use crate::worker::Worker;
use receiving::Receiving;

pub use lock::{WipeOutcome, lock_account, wipe_account};
pub use organisation::OrganisationImport;

/// How long an event of a notification extension waits for the app: the system gives it 30 seconds, and it has more to do.
const NOTIFICATION_LOCK_WAIT: Duration = Duration::from_secs(2);

/// An account in a folder of an app.
///
/// All methods may be called from any thread, and several at once; they are done one after the other. Whoever gives up
/// waiting changes nothing: what was begun is finished. Two programs may have one account open, an app and its
/// notification extension for instance.
#[derive(uniffi::Object)]
pub struct Client {
    folder: PathBuf,
    opener: Opener,
    worker: Worker,
    receiving: Mutex<Option<Receiving>>,
    /// Who sees how far documents have come.
    transfers: Mutex<Option<Arc<dyn TransferListener>>>,
    /// Of an account that is being made.
    recovery_key: KeptKey,
}

#[uniffi::export]
impl Client {
    /// Makes an empty store in a folder that has none, for this user alone.
    ///
    /// # Errors
    /// `StoreExists`, `KeyVault`, `Store`.
    #[uniffi::constructor]
    pub async fn create(folder: String, lock: StoreLock) -> Result<Arc<Self>, MedipepsError> {
        Self::start(folder, Opener::new(lock)?, Store::New).await
    }

    /// Opens the store in a folder.
    ///
    /// # Errors
    /// `NoStore`, `WrongPassphrase`, `WrongKey`, `KeyVault`, `Wiped`, `Store`.
    #[uniffi::constructor]
    pub async fn open(folder: String, lock: StoreLock) -> Result<Arc<Self>, MedipepsError> {
        Self::start(folder, Opener::of(lock)?, Store::Kept(STORE_LOCK_WAIT)).await
    }

    /// Opens the store in a folder for a notification extension, which has seconds only. Where another program, the app, holds the
    /// store for two seconds, this or a later call fails with `StoreBusy`: show a notice without contents then. Nothing is
    /// lost; the app gets it.
    ///
    /// # Errors
    /// `StoreBusy`, and as [`Client::open`].
    #[uniffi::constructor]
    pub async fn open_for_notification(folder: String, lock: StoreLock) -> Result<Arc<Self>, MedipepsError> {
        Self::start(folder, Opener::of(lock)?, Store::Kept(NOTIFICATION_LOCK_WAIT)).await
    }

    /// Stops receiving, finishes what was asked for, closes the connections and wipes the keys from memory. Every later call
    /// fails with `Closed`; this one does nothing more.
    pub async fn shut_down(&self) {
        self.stop_receiving().await;
        self.worker.close().await;
    }
}

/// Which store is opened.
#[derive(Debug, Clone, Copy)]
enum Store {
    New,
    /// One that is there, where no event waits longer than so long for another program.
    Kept(Duration),
}

/// Whether there is an account's store in a folder.
#[uniffi::export]
#[must_use]
pub fn store_exists(folder: String) -> bool {
    Agent::exists(&PathBuf::from(folder))
}

impl Client {
    async fn start(folder: String, opener: Opener, store: Store) -> Result<Arc<Self>, MedipepsError> {
        let folder = PathBuf::from(folder);
        let (path, lock) = (folder.clone(), opener.clone());
        let open = async move || {
            let agent = match store {
                Store::New => Agent::create(&path, &lock.unlock()),
                Store::Kept(lock_wait) => Agent::open_waiting(&path, &lock.unlock(), lock_wait),
            };
            agent.map_err(MedipepsError::from)
        };
        let worker = Worker::start(folder.clone(), open).await?;
        Self::with(folder, opener, worker)
    }

    /// Of a store that a thread has opened.
    fn with(folder: PathBuf, opener: Opener, worker: Worker) -> Result<Arc<Self>, MedipepsError> {
        let (receiving, transfers) = (Mutex::new(None), Mutex::new(None));
        Ok(Arc::new(Self { folder, opener, worker, receiving, transfers, recovery_key: KeptKey::default() }))
    }
}
