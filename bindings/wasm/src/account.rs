//! What a Worker calls.

use std::cell::RefCell;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use medipeps_client::engine::{CreateAccount, EngineError, Event, Input, LocalId, MessageSummary, SendMail};
use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::agent::AccountAgent;
use medipeps_client::store::seal::{SealedStore, Unlock};
use medipeps_core::Address;
use medipeps_core::invitation::Invitation;
use medipeps_core::kind::{Body, ReceiptsWanted, Urgency};
use rand_core::SeedableRng;
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use crate::error::PageError;
use crate::host::{Database, since_1970};
use crate::platform::Page;
use crate::store::PageStore;

type Agent = AccountAgent<Page>;

/// An account of this browser. One call at a time; `js/worker.js` sees to that.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Account {
    /// Not there while a call uses it.
    agent: RefCell<Option<Agent>>,
    database: Database,
    /// Of an account that is being made: it is drawn before the server is asked, and the call may fail then.
    recovery_key: RefCell<Zeroizing<String>>,
}

/// An account that was made.
#[wasm_bindgen(getter_with_clone, inspectable)]
#[derive(Debug)]
pub struct Created {
    /// `local@domain`
    pub address: String,
    /// To be shown once and kept by the person: base32, 52 letters. It is stored nowhere.
    #[wasm_bindgen(js_name = recoveryKey)]
    pub recovery_key: String,
}

/// A mail as a list shows it.
#[wasm_bindgen(getter_with_clone, inspectable)]
#[derive(Debug, Clone)]
pub struct MailSummary {
    /// 32 hexadecimal digits, of this account alone.
    pub id: String,
    /// Whether this account wrote it.
    pub sent: bool,
    /// Whose it is: an address.
    pub sender: String,
    /// As the sender wrote his name.
    #[wasm_bindgen(js_name = senderName)]
    pub sender_name: String,
    /// One line.
    pub subject: String,
    /// Milliseconds since 1970, by the sender's clock.
    pub created: f64,
    /// Milliseconds since 1970, by the server's clock; 0 if it was sent.
    pub received: f64,
    /// Whether it was displayed.
    pub displayed: bool,
    /// Of a sent mail: what each recipient's copy waits for, or has come to, by name.
    pub states: Vec<String>,
}

/// A mail with its text.
#[wasm_bindgen(getter_with_clone, inspectable)]
#[derive(Debug)]
pub struct Mail {
    /// As a list shows it.
    pub summary: MailSummary,
    /// The text; of a long mail whose whole is not here, its beginning.
    pub text: String,
    /// The same as HTML, sanitised; not there if the sender gave none.
    pub html: Option<String>,
    /// Whether the text is all of it.
    pub whole: bool,
}

/// A mail that was put into the outbox.
#[wasm_bindgen(getter_with_clone, inspectable)]
#[derive(Debug)]
pub struct Queued {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Why it is not at the server yet, if it is not. It is kept, and goes with a later `sync`.
    pub problem: Option<String>,
}

#[wasm_bindgen]
impl Account {
    /// Opens what this browser keeps of an account under a name, and makes it if there is nothing. Fails with the code `busy` if
    /// another page has it.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub async fn open(name: String) -> Result<Self, JsValue> {
        Ok(Self::open_account(&name).await?)
    }

    async fn open_account(name: &str) -> Result<Self, PageError> {
        let Some(database) = Database::open(name).await? else { return Err(PageError::busy()) };
        match agent(&database).await {
            Ok(agent) => Ok(Self { agent: RefCell::new(Some(agent)), database, recovery_key: RefCell::default() }),
            Err(error) => {
                database.close();
                Err(error)
            }
        }
    }

    /// Makes the account at a server, `HOST:PORT`, with an invitation code. Called again after a failure it goes on, and the call
    /// that comes to an end gives the recovery key.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub async fn create(
        &self,
        server: String,
        invitation: String,
        address: String,
        name: String,
    ) -> Result<Created, JsValue> {
        let server: ServerAddress = server.parse().map_err(|error| argument(&error))?;
        let invitation: Invitation = invitation.parse().map_err(|error| argument(&error))?;
        let address: Address = address.parse().map_err(|error| argument(&error))?;
        let command = CreateAccount {
            address: address.clone(),
            name: name.trim().to_owned(),
            server: server.to_string(),
            invitation,
        };
        let made = async move |agent: &mut Agent| {
            let (mut registered, mut refusal) = (false, None);
            let mut show = |event: &Event| match event {
                Event::AccountPrepared { recovery_key, .. } => {
                    **self.recovery_key.borrow_mut() = BASE32_NOPAD.encode(recovery_key.as_bytes());
                }
                Event::Registered => registered = true,
                Event::RegistrationRefused { code } => refusal = Some(code.clone()),
                _ => {}
            };
            let failure = agent.run(Input::CreateAccount(command), &mut show).await?;
            match (registered, refusal, failure) {
                (true, _, _) => {
                    let recovery_key = self.recovery_key.take().to_string();
                    Ok(Created { address: address.to_string(), recovery_key })
                }
                (false, Some(code), _) => Err(PageError::refused(&code)),
                (false, None, Some(failure)) => Err(failure.into()),
                (false, None, None) => Err(PageError::network("the server gave no answer")),
            }
        };
        Ok(self.with(made).await?)
    }

    /// The account's address; `undefined` before it is made.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub async fn address(&self) -> Result<Option<String>, JsValue> {
        let asked = async |agent: &mut Agent| {
            let registered = agent.credentials()?.filter(|credentials| credentials.registered);
            Ok(registered.map(|credentials| credentials.address.to_string()))
        };
        Ok(self.with(asked).await?)
    }

    /// Puts a mail into the outbox and tries to send it.
    ///
    /// # Errors
    /// An `Error` with a `code`; nothing is kept then.
    pub async fn send(&self, to: Vec<String>, subject: String, text: String) -> Result<Queued, JsValue> {
        let to = to.iter().map(|address| address.parse::<Address>()).collect::<Result<_, _>>();
        let mail = SendMail {
            to: to.map_err(|error| argument(&error))?,
            cc: Vec::new(),
            subject,
            text,
            html: None,
            attachments: Vec::new(),
            urgency: Urgency::Routine,
            receipts_wanted: ReceiptsWanted::default(),
            in_reply_to: None,
            body_copy: None,
        };
        let sent = async move |agent: &mut Agent| {
            let id = agent.queue(mail, &mut |_| {}).await?;
            let problem = agent.send_due(&mut |_| {}).await?;
            Ok(Queued { id: HEXLOWER.encode(&id), problem })
        };
        Ok(self.with(sent).await?)
    }

    /// Sends what is due, fetches everything that has come, and stays connected for so many milliseconds.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub async fn sync(&self, milliseconds: u32) -> Result<(), JsValue> {
        let wait = Duration::from_millis(milliseconds.into());
        Ok(self.with(async |agent: &mut Agent| Ok(agent.sync(wait, &mut |_| {}).await?)).await?)
    }

    /// All mails, newest first.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub async fn messages(&self) -> Result<Vec<MailSummary>, JsValue> {
        let listed = async |agent: &mut Agent| Ok(agent.messages()?.iter().map(summary).collect());
        Ok(self.with(listed).await?)
    }

    /// One mail, which counts as displayed from then on.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub async fn read(&self, id: String) -> Result<Mail, JsValue> {
        let id = HEXLOWER.decode(id.as_bytes()).ok().and_then(|id| LocalId::try_from(id).ok());
        let id = id.ok_or_else(|| PageError::argument("an id has 32 hexadecimal digits"))?;
        let read = async move |agent: &mut Agent| {
            agent.run(Input::MarkDisplayed(id), &mut |_| {}).await?;
            let detail = agent.outline(id)?;
            let Body::Mail(mail) = detail.content.body else {
                return Err(PageError::argument("it is no mail"));
            };
            let whole = detail.content.body_blob.is_none();
            let summary = summary(&MessageSummary { id, message: detail.message });
            Ok(Mail { summary, text: mail.text, html: mail.html, whole })
        };
        Ok(self.with(read).await?)
    }

    /// Lets go of connections and database. The account cannot be used afterwards.
    ///
    /// # Errors
    /// An `Error` with the code `busy` while another call has not come back.
    pub async fn close(&self) -> Result<(), JsValue> {
        let agent = self.agent.borrow_mut().take().ok_or_else(PageError::busy)?;
        agent.close().await;
        self.database.close();
        Ok(())
    }

    /// Lends the agent to one call.
    async fn with<T>(&self, call: impl AsyncFnOnce(&mut Agent) -> Result<T, PageError>) -> Result<T, PageError> {
        let mut agent = self.agent.borrow_mut().take().ok_or_else(PageError::busy)?;
        let outcome = call(&mut agent).await;
        self.agent.replace(Some(agent));
        outcome
    }
}

async fn agent(database: &Database) -> Result<Agent, PageError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| PageError::argument("the browser gives no random bytes"))?;
    let mut rng = ChaCha20Rng::from_seed(*seed);
    let key = database.platform_key().await?;
    let (head, records) = database.load().await?;
    let is_new = head.header.is_none();
    let store = PageStore::new(head, records);
    let mut page = Page::new(database.clone(), store.journal());
    let unlock = Unlock::PlatformKey(&key);
    let sealed = match is_new {
        true => SealedStore::create(store, &unlock, since_1970(), &mut rng)?,
        false => SealedStore::open(store, &unlock)?,
    };
    medipeps_client::shell::agent::Platform::keep(&mut page).await?;
    Ok(Agent::on(sealed, rng, page))
}

fn summary(message: &MessageSummary) -> MailSummary {
    let MessageSummary { id, message } = message;
    #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 milliseconds")]
    let time = |milliseconds: u64| milliseconds as f64;
    MailSummary {
        id: HEXLOWER.encode(id),
        sent: message.sent,
        sender: message.sender.to_string(),
        sender_name: message.sender_name.clone(),
        subject: message.subject.clone(),
        created: time(message.created),
        received: time(message.received),
        displayed: message.displayed != 0,
        states: message.recipients.iter().map(|recipient| format!("{:?}", recipient.state)).collect(),
    }
}

fn argument(error: &impl std::fmt::Display) -> PageError {
    PageError::argument(error.to_string())
}

impl From<EngineError> for PageError {
    fn from(error: EngineError) -> Self {
        medipeps_client::shell::agent::AgentError::from(error).into()
    }
}
