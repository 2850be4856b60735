//! A server of the tests, over the memory engine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use medipeps_core::invitation::Invitation;
use medipeps_core::wire::transport::Response;
use medipeps_server::environment::{Environment, SystemEnvironment};
use medipeps_server::service::{NewInvitation, invite};
use medipeps_server::storage::{MemoryStorage, Storage};
use medipeps_server::{Config, Server};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::account::Account;
use crate::client::Client;
use crate::stubborn_storage::StubbornStorage;

/// The clock of the servers under test.
pub fn now_ms() -> u64 {
    SystemEnvironment.now_ms()
}

/// Of the stores of the servers under test.
pub const INCARNATION: [u8; 16] = [7; 16];

/// A running server and what it stands on.
pub struct TestServer {
    pub server: Server,
    pub storage: Arc<MemoryStorage>,
    pub config: Config,
    _folder: TempDir,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// A server with another configuration.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(change, |storage| storage).await
    }

    /// A server whose store announces nothing, and takes so long for a submission.
    pub async fn start_stubborn(enqueue_takes: Duration) -> Self {
        let wrap = |inner| Arc::new(StubbornStorage { inner, enqueue_takes, silence: watch::Sender::new(0) });
        Self::start_on(|_| (), wrap).await
    }

    async fn start_on<S: Storage>(
        change: impl FnOnce(&mut Config),
        wrap: impl FnOnce(Arc<MemoryStorage>) -> Arc<S>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), folder.path().join("data"));
        change(&mut config);
        let storage =
            MemoryStorage::new(config.queue_quota(), INCARNATION).with_blob_bytes_max(config.blob_bytes_max());
        let storage = Arc::new(storage.with_group_quota(config.group_quota()));
        let server = Server::start(&config, wrap(storage.clone())).await.unwrap();
        Self { server, storage, config, _folder: folder }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Where it takes WebSocket.
    pub fn websocket_address(&self) -> SocketAddr {
        self.server.websocket_addr().unwrap()
    }

    /// The secret of a new invitation.
    pub async fn invite(&self, valid_ms: u64) -> [u8; 16] {
        self.invite_with(NewInvitation { organisation: None, valid_ms, tenant: 0, address: None }).await
    }

    /// The secret of a new invitation of a tenant.
    pub async fn invite_to(&self, tenant: u64, address: Option<&str>) -> [u8; 16] {
        let address = address.map(|address| address.parse().unwrap());
        self.invite_with(NewInvitation { organisation: None, valid_ms: 60_000, tenant, address }).await
    }

    async fn invite_with(&self, new: NewInvitation) -> [u8; 16] {
        let code = invite(
            self.storage.as_ref() as &dyn Storage,
            self.server.server_key(),
            &SystemEnvironment as &dyn Environment,
            new,
        );
        let invitation: Invitation = code.await.unwrap().parse().unwrap();
        assert_eq!(invitation.server_key_hash, self.server.server_key().hash().0);
        *invitation.secret.as_bytes()
    }

    /// A new account, registered.
    pub async fn account(&self, address: &str) -> Account {
        self.account_of(0, address).await
    }

    /// A new account of a tenant, registered.
    pub async fn account_of(&self, tenant: u64, address: &str) -> Account {
        let account = Account::new(address);
        let invitation = self.invite_to(tenant, None).await;
        let client = Client::connect(self.address()).await;
        assert_eq!(client.ask(&account.register(invitation)).await, Response::Done);
        account
    }
}
