//! The system's clock a year forward and back: nothing is lost early. `spec/storage-server.md`, section "Expiry".

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use medipeps_core::crypto::secret::Secret;
use medipeps_core::invitation::Invitation;
use medipeps_core::token::TokenBatch;
use medipeps_core::wire::control::{ControlClock, ControlRequest, ControlResponse};
use medipeps_core::wire::transport::{ErrorCode, Request, Response, Token};
use medipeps_server::environment::{Environment, RandomnessError, SystemEnvironment};
use medipeps_server::service::{NewInvitation, invite};
use medipeps_server::storage::{MemoryStorage, Storage, TokenStorage};
use medipeps_server::{Config, Server};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::account::{Account, submit};
use crate::client::{Client, code};
use crate::tokens::{issuer_keys, pay};

const DAY: i64 = 24 * 3600 * 1000;
const YEAR: i64 = 365 * DAY;

/// A clock that can be set.
#[derive(Default)]
struct Watch {
    ahead_ms: AtomicI64,
}

impl Environment for Watch {
    fn now_ms(&self) -> u64 {
        SystemEnvironment.now_ms().checked_add_signed(self.ahead_ms.load(Ordering::Relaxed)).unwrap()
    }
    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), RandomnessError> {
        SystemEnvironment.fill_random(bytes)
    }
}

/// A store, a data directory and a clock, on which servers are started.
struct Site {
    folder: TempDir,
    config: Config,
    storage: Arc<MemoryStorage>,
    watch: Arc<Watch>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), folder.path().join("data"));
        config.transport.websocket = false;
        let storage = Arc::new(MemoryStorage::new(config.queue_quota(), [7; 16]));
        Self { folder, config, storage, watch: Arc::default() }
    }

    fn set(&self, ahead_ms: i64) {
        self.watch.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    /// A server that has looked once for what has run out.
    async fn start(&self) -> Server {
        let server = Server::start_with(&self.config, self.storage.clone(), self.watch.clone()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        server
    }

    async fn account(&self, server: &Server) -> Account {
        let account = Account::new("claire@clinic.example");
        let new = NewInvitation { organisation: None, valid_ms: 60_000, tenant: 0, address: None };
        let code = invite(self.storage.as_ref(), server.server_key(), self.watch.as_ref(), new).await.unwrap();
        let invitation: Invitation = code.parse().unwrap();
        let client = Client::connect(server.local_addr()).await;
        assert_eq!(client.ask(&account.register(*invitation.secret.as_bytes())).await, Response::Done);
        account
    }

    async fn clock(&self, confirm: bool) -> ControlClock {
        let socket: PathBuf = self.folder.path().join("data").join("control.sock");
        let mut stream = UnixStream::connect(socket).await.unwrap();
        let request = ControlRequest::Clock { confirm }.encode();
        stream.write_u32(request.len() as u32).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut frame = vec![0; stream.read_u32().await.unwrap() as usize];
        stream.read_exact(&mut frame).await.unwrap();
        match ControlResponse::decode(&frame).unwrap() {
            ControlResponse::Clock(clock) => clock,
            other => panic!("no clock: {other:?}"),
        }
    }

    async fn waiting(&self, account: &Account) -> usize {
        self.storage.fetch(&account.address, 1, 0, 100).await.unwrap().len()
    }
}

async fn send(server: &Server, account: &Account, mark: u8) {
    let sender = Client::connect(server.local_addr()).await;
    assert!(matches!(sender.ask(&submit(&account.address, &[1], mark)).await, Response::Submit(_)));
}

#[tokio::test]
async fn a_server_that_starts_a_year_ahead_deletes_nothing_until_somebody_confirms_it() {
    let site = Site::new();
    let server = site.start().await;
    let account = site.account(&server).await;
    send(&server, &account, 1).await;
    server.shutdown().await;

    site.set(YEAR);
    for _ in 0..2 {
        let server = site.start().await;
        assert_eq!(site.waiting(&account).await, 1, "starting again does not confirm it");
        assert!(!site.clock(false).await.expiry_runs);
        server.shutdown().await;
    }
    // It was the clock; now it is right again.
    site.set(0);
    let server = site.start().await;
    assert!(site.clock(false).await.expiry_runs);
    server.shutdown().await;

    // It was not the clock: the server was off for a year.
    site.set(YEAR);
    let server = site.start().await;
    assert!(!site.clock(false).await.expiry_runs);
    assert!(site.clock(true).await.expiry_runs);
    server.shutdown().await;
    let server = site.start().await;
    assert_eq!(site.waiting(&account).await, 0, "what has run out goes");
    server.shutdown().await;
}

#[tokio::test]
async fn a_clock_that_is_set_while_the_server_runs_changes_no_deadline() {
    let site = Site::new();
    let server = site.start().await;
    let account = site.account(&server).await;
    for (mark, ahead) in [(1, 0), (2, YEAR), (3, -YEAR), (4, 0)] {
        site.set(ahead);
        send(&server, &account, mark).await;
        let clock = site.clock(false).await;
        assert!(clock.now.abs_diff(SystemEnvironment.now_ms()) < 60_000, "the server goes by the right time");
        assert_eq!(clock.system.abs_diff(clock.now) > DAY as u64, ahead != 0, "and knows that the system's is wrong");
    }
    let queued = site.storage.fetch(&account.address, 1, 0, 100).await.unwrap();
    assert_eq!(queued.len(), 4);
    let now = SystemEnvironment.now_ms();
    assert!(queued.iter().all(|one| one.received_ms.abs_diff(now) < 60_000));
    let days = |count: i64| now.checked_add_signed(count * DAY).unwrap();
    assert_eq!(site.storage.expire(days(29)).await.unwrap().envelopes, 0, "nothing goes early");
    assert_eq!(site.storage.expire(days(31)).await.unwrap().envelopes, 4, "nor late");
    server.shutdown().await;
}

/// Tokens that an account draws on the server's day.
async fn draw(server: &Server, account: &Account, seed: u8) -> Vec<Token> {
    let client = Client::prove(server.local_addr(), account).await;
    let list = issuer_keys(&client).await;
    let batch = TokenBatch::blind(list.issuing().unwrap(), 4, Secret::from([seed; 32])).unwrap();
    match client.ask(&Request::DrawTokens(batch.request().clone())).await {
        Response::DrawTokens(answer) => batch.finalize(&answer).unwrap(),
        other => panic!("no tokens: {other:?}"),
    }
}

#[tokio::test]
async fn a_token_whose_key_has_run_out_pays_for_nothing_and_the_record_of_it_goes() {
    let mut site = Site::new();
    site.config.tokens.required = true;
    let server = site.start().await;
    let account = site.account(&server).await;
    let paid = async |server: &Server, mark: u8, token: &Token| {
        let sender = Client::connect(server.local_addr()).await;
        sender.ask(&pay(submit(&account.address, &[1], mark), std::slice::from_ref(token))).await
    };
    let old = draw(&server, &account, 1).await;
    assert!(matches!(paid(&server, 1, &old[0]).await, Response::Submit(_)));
    server.shutdown().await;

    // The day after they are still good, and once spent known.
    site.set(DAY);
    let server = site.start().await;
    assert_eq!(code(paid(&server, 2, &old[0]).await), ErrorCode::TokenSpent);
    assert!(matches!(paid(&server, 2, &old[1]).await, Response::Submit(_)));
    server.shutdown().await;

    // By the server's clock the key has run out: spent or not, its tokens are nobody's.
    site.set(2 * DAY);
    let server = site.start().await;
    for token in [&old[0], &old[2]] {
        assert_eq!(code(paid(&server, 3, token).await), ErrorCode::UnknownIssuerKey);
    }
    site.storage.expire(site.watch.now_ms()).await.unwrap();
    assert!(site.storage.issuer_keys().await.unwrap().iter().all(|key| key.id != old[0].key_id));
    assert_eq!(code(paid(&server, 3, &old[0]).await), ErrorCode::UnknownIssuerKey);
    // Another batch is drawn on the new day, and pays.
    let new = draw(&server, &account, 2).await;
    assert!(matches!(paid(&server, 3, &new[0]).await, Response::Submit(_)));
    server.shutdown().await;
}
