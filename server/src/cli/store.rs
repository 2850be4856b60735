//! Orders to a running server, or to its store when it does not run.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use medipeps_core::wire::control::{ControlRequest, ControlResponse};
use tokio::time::sleep;

use super::Failure;
use crate::config::Config;
use crate::control::{Store, ask};
use crate::environment::{Environment, SystemEnvironment};
use crate::server_key::ServerKey;
use crate::storage::{OpenError, SledStorage, StorageOptions};

/// Tries to reach a server that has the store open and no socket yet, or no more: for so long it starts or stops.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// Opens the store of a configuration.
pub(super) async fn open(config: &Config) -> Result<SledStorage, OpenError> {
    let mut options = StorageOptions::new(config.store_folder());
    options.quota = config.queue_quota();
    options.blob_bytes_max = config.blob_bytes_max();
    options.group_quota = config.group_quota();
    options.free_space_floor = config.free_space_floor();
    let data_dir = config.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || {
        // The store would make it readable to all.
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
        SledStorage::open(&options)
    });
    let opened = opened.await;
    opened.unwrap_or_else(|error| Err(OpenError::Io(std::io::Error::other(error))))
}

/// Gives one order to whoever has the store.
pub(super) async fn order(config: &Config, request: ControlRequest) -> Result<ControlResponse, Failure> {
    Orders::new(config).give(request).await
}

/// Orders one after another; a store that had to be opened stays open in between.
pub(super) struct Orders<'a> {
    config: &'a Config,
    store: Option<Store>,
}

impl<'a> Orders<'a> {
    pub(super) const fn new(config: &'a Config) -> Self {
        Self { config, store: None }
    }

    /// Gives an order; what the server refuses is a failure.
    pub(super) async fn give(&mut self, request: ControlRequest) -> Result<ControlResponse, Failure> {
        let response = match &self.store {
            Some(store) => store.carry_out(request).await,
            None => self.reach(request).await?,
        };
        match response {
            ControlResponse::Error(message) => Err(Failure::Failed(message)),
            response => Ok(response),
        }
    }

    async fn reach(&mut self, request: ControlRequest) -> Result<ControlResponse, Failure> {
        let socket = self.config.control_socket();
        for _ in 0..TRIES {
            if let Some(response) = ask(&socket, &request).await.map_err(Failure::failed)? {
                return Ok(response);
            }
            let environment = Arc::new(SystemEnvironment) as Arc<dyn Environment>;
            let server_key = ServerKey::load_or_create(&self.config.data_dir, environment.as_ref());
            let server_key = server_key.map_err(Failure::failed)?;
            match open(self.config).await {
                Ok(storage) => {
                    let store =
                        self.store.insert(Store { storage: Arc::new(storage), server_key, environment, clock: None });
                    return Ok(store.carry_out(request).await);
                }
                Err(OpenError::InUse) => sleep(PAUSE).await,
                Err(error) => return Err(Failure::failed(error)),
            }
        }
        Err(Failure::failed(OpenError::InUse))
    }
}
