//! A page as what an account stands on.

use std::convert::Infallible;

use chacha20::ChaCha20Rng;
use medipeps_client::engine::Time;
use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::agent::{AccountAgent, AgentError, Platform, Show};
use medipeps_client::shell::lookup_error::LookupError;
use medipeps_client::store::StoreError;

use crate::host::{self, Database};
use crate::link::PageLink;
use crate::store::{Journal, PageStore};

/// A dedicated Worker of a page, which has the account's database to itself.
#[derive(Debug)]
pub(crate) struct Page {
    database: Database,
    journal: Journal,
}

impl Page {
    pub(crate) const fn new(database: Database, journal: Journal) -> Self {
        Self { database, journal }
    }
}

impl Platform for Page {
    type Store = PageStore;
    type Carrier = PageLink;
    type Aside = Infallible;

    fn now() -> Time {
        Time(host::since_1970())
    }

    async fn keep(&mut self) -> Result<(), StoreError> {
        let Some(change) = self.journal.take()? else { return Ok(()) };
        match self.database.commit(&change).await {
            Ok(()) => {
                self.journal.kept();
                Ok(())
            }
            Err(error) => {
                self.journal.failed(format!("{error}; the page must be loaded again"));
                Err(error)
            }
        }
    }

    /// A page cannot ask DNS.
    async fn servers(&mut self, domain: &str, _: &mut ChaCha20Rng) -> Result<Vec<ServerAddress>, LookupError> {
        Err(LookupError::Off(domain.to_owned()))
    }

    async fn next_aside(&mut self) -> Infallible {
        std::future::pending().await
    }

    async fn take_aside(_: &mut AccountAgent<Self>, aside: Infallible, _: Show<'_>) -> Result<bool, AgentError> {
        match aside {}
    }
}
