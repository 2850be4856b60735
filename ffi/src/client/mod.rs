//! An account in a folder of an app.

mod account;
mod contact;
mod group;
mod mail;
mod receiving;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use medipeps_client::shell::agent::Agent;

use crate::MedipepsError;
use crate::key_vault::{Opener, StoreLock};
use crate::worker::Worker;
use receiving::Receiving;

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
}

#[uniffi::export]
impl Client {
    /// Makes an empty store in a folder that has none, for this user alone.
    ///
    /// # Errors
    /// `StoreExists`, `KeyVault`, `Store`.
    #[uniffi::constructor]
    pub async fn create(folder: String, lock: StoreLock) -> Result<Arc<Self>, MedipepsError> {
        Self::start(folder, Opener::new(lock)?, true).await
    }

    /// Opens the store in a folder.
    ///
    /// # Errors
    /// `NoStore`, `WrongPassphrase`, `WrongKey`, `KeyVault`, `Wiped`, `Store`.
    #[uniffi::constructor]
    pub async fn open(folder: String, lock: StoreLock) -> Result<Arc<Self>, MedipepsError> {
        Self::start(folder, Opener::of(lock)?, false).await
    }

    /// Stops receiving, finishes what was asked for, closes the connections and wipes the keys from memory. Every later call
    /// fails with `Closed`; this one does nothing more.
    pub async fn shut_down(&self) {
        self.stop_receiving().await;
        self.worker.close().await;
    }
}

/// Whether there is an account's store in a folder.
#[uniffi::export]
#[must_use]
pub fn store_exists(folder: String) -> bool {
    Agent::exists(&PathBuf::from(folder))
}

impl Client {
    async fn start(folder: String, opener: Opener, new: bool) -> Result<Arc<Self>, MedipepsError> {
        let folder = PathBuf::from(folder);
        let (path, lock) = (folder.clone(), opener.clone());
        let open = move || {
            let agent = match new {
                true => Agent::create(&path, &lock.unlock()),
                false => Agent::open(&path, &lock.unlock()),
            };
            agent.map_err(MedipepsError::from)
        };
        let worker = Worker::start(open).await?;
        Ok(Arc::new(Self { folder, opener, worker, receiving: Mutex::new(None) }))
    }
}
