//! What a Worker calls.

mod contacts;
mod devices;
mod documents;
mod groups;
mod mail;
mod receiving;
mod registration;

use std::cell::{Cell, RefCell};

use chacha20::ChaCha20Rng;
use js_sys::Function;
use medipeps_client::engine::Event;
use medipeps_client::shell::agent::{AccountAgent, Platform};
use medipeps_client::shell::transfer::Progress;
use medipeps_client::store::seal::{SealedStore, Unlock};
use medipeps_core::crypto::secret::Secret;
use rand_core::SeedableRng;
use tokio::sync::Mutex;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::choice;
use crate::error::PageError;
use crate::host::{Database, since_1970};
use crate::platform::Page;
use crate::record::event::ClientEvent;
use crate::record::given;
use crate::record::transfer::Transfer;
use crate::store::PageStore;
use receiving::Receiving;

type Agent = AccountAgent<Page>;

/// An account of this browser. Calls are done one after the other; what comes is received beside them.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Account {
    /// For calls. Not there once the account is closed.
    agent: Mutex<Option<Agent>>,
    receiving: RefCell<Option<Receiving>>,
    /// Somebody is starting or stopping to receive.
    changing: Mutex<()>,
    /// What the database holds, as this page has read it and written it.
    store: PageStore,
    database: Database,
    key: Secret<32>,
    /// Is told what happens.
    listener: Listener,
    closed: Cell<bool>,
    /// Of an account that is being made: it is drawn before the server is asked, and the call may fail then.
    recovery_key: RefCell<Zeroizing<String>>,
}

/// Functions of JavaScript's that are told what happens. What they do is not this account's business.
#[derive(Debug, Clone)]
struct Listener {
    events: Function,
    transfers: Function,
}

impl Listener {
    fn tell(&self, event: &ClientEvent) {
        if let Ok(event) = given(event) {
            drop(self.events.call1(&JsValue::UNDEFINED, &event));
        }
    }

    /// How far a document has come.
    fn moved(&self, progress: &Progress) {
        if let Ok(transfer) = given(&Transfer::from(progress)) {
            drop(self.transfers.call1(&JsValue::UNDEFINED, &transfer));
        }
    }
}

#[wasm_bindgen]
impl Account {
    /// Opens what this browser keeps of an account under a name, and makes it if there is nothing. `events` is told what happens,
    /// `transfers` how far documents have come.
    ///
    /// # Errors
    /// `busy` if another page has it; `store`.
    pub async fn open(name: String, events: Function, transfers: Function) -> Result<Self, JsValue> {
        Ok(Self::open_account(&name, Listener { events, transfers }).await?)
    }

    async fn open_account(name: &str, listener: Listener) -> Result<Self, PageError> {
        let Some(database) = Database::open(name).await? else { return Err(PageError::busy()) };
        choice::remember_in(&database).await;
        match opened(&database).await {
            Ok((store, key, mut agent)) => {
                let watch = listener.clone();
                agent.watch_transfers(Box::new(move |progress| watch.moved(progress)));
                Ok(Self {
                    agent: Mutex::new(Some(agent)),
                    receiving: RefCell::default(),
                    changing: Mutex::default(),
                    store,
                    database,
                    key,
                    listener,
                    closed: Cell::default(),
                    recovery_key: RefCell::default(),
                })
            }
            Err(error) => {
                database.close();
                Err(error)
            }
        }
    }

    /// Finishes what was asked for, and lets go of connections and database. The account cannot be used afterwards.
    ///
    /// # Errors
    /// None.
    pub async fn close(&self) -> Result<(), JsValue> {
        self.closed.set(true);
        self.stop_receiving().await?;
        let agent = self.agent.lock().await.take();
        if let Some(agent) = agent {
            agent.close().await;
            // What is being kept is kept before another page may read it.
            drop(self.store.turn().await);
            self.database.close();
        }
        Ok(())
    }
}

impl Account {
    /// Lends the agent to one call, in the order in which they come.
    async fn with<T>(&self, call: impl AsyncFnOnce(&mut Agent) -> Result<T, PageError>) -> Result<T, PageError> {
        let mut agent = self.agent.lock().await;
        let agent = agent.as_mut().ok_or_else(PageError::closed)?;
        // What is shown is kept.
        drop(self.store.turn().await);
        agent.leave_uploads(self.is_receiving());
        call(agent).await
    }

    /// An agent of its own on the same store.
    fn another_agent(&self) -> Result<Agent, PageError> {
        let sealed = SealedStore::open(self.store.clone(), &Unlock::PlatformKey(&self.key))?;
        Ok(Agent::on(sealed, random()?, Page::new(self.database.clone(), &self.store)))
    }

    /// For calls whose events nobody waits for.
    fn hear(&self) -> impl FnMut(&Event) + use<> {
        let listener = self.listener.clone();
        move |event| {
            if let Some(event) = ClientEvent::of_engine(event) {
                listener.tell(&event);
            }
        }
    }
}

/// The store with everything that is kept, what it is locked by, and an agent on it.
async fn opened(database: &Database) -> Result<(PageStore, Secret<32>, Agent), PageError> {
    let mut rng = random()?;
    let key = database.platform_key().await?;
    let (head, records) = database.load().await?;
    let is_new = head.header.is_none();
    let store = PageStore::new(head, records);
    let mut page = Page::new(database.clone(), &store);
    let turn = page.turn().await;
    let unlock = Unlock::PlatformKey(&key);
    let sealed = match is_new {
        true => SealedStore::create(store.clone(), &unlock, since_1970(), &mut rng)?,
        false => SealedStore::open(store.clone(), &unlock)?,
    };
    page.keep(turn).await?;
    Ok((store, key, Agent::on(sealed, rng, page)))
}

fn random() -> Result<ChaCha20Rng, PageError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| PageError::internal("the browser gives no random bytes"))?;
    Ok(ChaCha20Rng::from_seed(*seed))
}
