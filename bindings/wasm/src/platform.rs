//! A page as what an account stands on.

use chacha20::ChaCha20Rng;
use medipeps_client::engine::Time;
use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::agent::Platform;
use medipeps_client::shell::lookup_error::LookupError;
use medipeps_client::store::StoreError;
use tokio::sync::oneshot;
use wasm_bindgen_futures::spawn_local;

use crate::copies::PageCopies;
use crate::document::PageDocument;
use crate::host::{self, Database};
use crate::link::PageLink;
use crate::store::{Change, Journal, PageStore, Turn};

/// A dedicated Worker of a page, which has the account's database to itself.
#[derive(Debug)]
pub(crate) struct Page {
    database: Database,
    copies: PageCopies,
    store: PageStore,
}

impl Page {
    pub(crate) fn new(database: Database, store: &PageStore) -> Self {
        Self { copies: PageCopies::new(database.copies()), database, store: store.clone() }
    }
}

impl Platform for Page {
    type Store = PageStore;
    type Carrier = PageLink;
    type Turn = Turn;
    type Copies = PageCopies;
    type Place = PageDocument;

    fn now() -> Time {
        Time(host::since_1970())
    }

    async fn turn(&mut self) -> Turn {
        self.store.turn().await
    }

    /// What is begun is finished, whoever goes away: another agent on the store has its turn only then.
    async fn keep(&mut self, turn: Turn) -> Result<(), StoreError> {
        let journal = self.store.journal();
        let Some(change) = journal.take()? else { return Ok(()) };
        let (tell, told) = oneshot::channel();
        let database = self.database.clone();
        spawn_local(async move {
            let kept = keep(&database, &journal, &change).await;
            drop(turn);
            // Nobody may be waiting any more.
            drop(tell.send(kept));
        });
        told.await.unwrap_or_else(|_| Err(StoreError::Medium("the page has ended".to_owned())))
    }

    /// A page cannot ask DNS.
    async fn servers(&mut self, domain: &str, _: &mut ChaCha20Rng) -> Result<Vec<ServerAddress>, LookupError> {
        Err(LookupError::Off(domain.to_owned()))
    }

    fn copies(&self) -> &PageCopies {
        &self.copies
    }
}

async fn keep(database: &Database, journal: &Journal, change: &Change) -> Result<(), StoreError> {
    match database.commit(change).await {
        Ok(()) => {
            journal.kept();
            Ok(())
        }
        Err(error) => {
            journal.failed(format!("{error}; the page must be loaded again"));
            Err(error)
        }
    }
}
