//! An account on this machine: its folder, the engine on its store, and the connections that the engine asks for.
//!
//! Every event is committed before anything of it is sent or shown. When the network fails, the outbox keeps what was to
//! be sent; when the process stops, the next one goes on with what the disk has.

#[cfg(feature = "native")]
mod anchoring;
#[cfg(feature = "native")]
mod backup;
#[cfg(feature = "native")]
pub mod cases;
mod contacts;
#[cfg(feature = "native")]
mod departure;
#[cfg(feature = "native")]
mod document_place;
mod documents;
mod domains;
mod exchange;
mod group_watch;
mod groups;
mod linking;
#[cfg(feature = "native")]
mod machine;
#[cfg(feature = "native")]
mod mailbox;
#[cfg(feature = "native")]
mod organisation;
mod platform;
mod reception;
mod recovery;
mod registration;
#[cfg(feature = "native")]
mod reports;
#[cfg(feature = "native")]
mod restore;
#[cfg(feature = "native")]
mod saving;
mod sending;
mod stay;
mod transfers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::kind::Settings;
use medipeps_core::wire::client_records::Revocation;
use medipeps_core::wire::transport::ErrorCode;
use thiserror::Error;

use super::address::{ServerAddress, ServerAddressError};
#[cfg(feature = "native")]
use super::backup_file::BackupFileError;
use super::connection::{ConnectError, RequestError, ServerConnection, ServerExpectation, ServerTrust};
use super::lookup_error::LookupError;
use super::runtime::Instant;
#[cfg(feature = "native")]
use super::transfer::SaveError;
use super::transfer::download::DownloadError;
use super::transfer::{FetchError, SealedCopyError, SourceError};
use crate::account_store::{AccountStore, HandleError};
use crate::engine::{
    AccountSummary, ContactProblem, ContactSummary, Credentials, DomainProblem, EngineError, Event, Input, LinkProblem,
    LocalId, MessageDetail, MessageSummary, PendingUpload, SendMail,
};
use crate::limits::OUTBOX_ROUNDS_MAX;
use crate::store::StoreError;
use crate::store::seal::SealedStore;
use exchange::Unreachable;
use group_watch::GroupWatch;
use transfers::Transfers;

#[cfg(feature = "native")]
pub use backup::{BackupOrder, BackupSummary};
#[cfg(feature = "native")]
pub use departure::OwnData;
#[cfg(feature = "native")]
pub use document_place::{Document, DocumentPlace};
pub use domains::FoundServer;
pub use groups::GroupOutcome;
#[cfg(feature = "native")]
pub use machine::{Machine, now, random};
#[cfg(feature = "native")]
pub use mailbox::{MailboxOutcome, MailboxWait};
pub use platform::Platform;
pub use recovery::{Recovered, Recovery};
#[cfg(feature = "native")]
pub use restore::{RestoreOutcome, verify_backup};
#[cfg(feature = "native")]
pub use saving::Saved;
pub use sending::{DocumentSource, OpenedDocument, OutgoingDocument};
pub use stay::Stay;
pub use transfers::Watch;

/// An account on a machine with files and sockets.
#[cfg(feature = "native")]
pub type Agent = AccountAgent<Machine>;

/// A connection of a platform.
type ConnectionOf<P> = ServerConnection<<P as Platform>::Carrier>;

/// Sees every event, after its commit and before anything else is done.
pub type Show<'a> = &'a mut dyn FnMut(&Event);

/// An open account.
#[derive(Debug)]
pub struct AccountAgent<P: Platform> {
    store: AccountStore<P::Store>,
    rng: ChaCha20Rng,
    proved: Option<ConnectionOf<P>>,
    anonymous: BTreeMap<String, ConnectionOf<P>>,
    /// For the logs of groups, by domain.
    group_logs: BTreeMap<String, ConnectionOf<P>>,
    /// For what goes to the other devices of the account; while a round lasts.
    own_devices: Option<ConnectionOf<P>>,
    /// For vouchers, by domain; while a round lasts.
    redemptions: BTreeMap<String, ConnectionOf<P>>,
    /// To the server of the account that a device is linked to.
    linking: Option<ConnectionOf<P>>,
    /// By domain.
    unreachable: BTreeMap<String, Unreachable>,
    /// The server has answered a proof of this process, and the store is no old copy.
    proof_answered: bool,
    group_watch: GroupWatch<P::Carrier>,
    transfers: Transfers,
    /// The last to go.
    platform: P,
}

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The engine or the store refuses. Nothing was changed.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Randomness,
    /// A server could not be asked. What was to be sent is kept.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A file cannot be sent. Nothing was queued.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A sealed copy on this device cannot be made or used.
    #[error(transparent)]
    SealedCopy(#[from] SealedCopyError),
    /// A document cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A document cannot be given.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A document cannot be saved.
    #[cfg(feature = "native")]
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The server has no account of this address.
    #[error(
        "the server has no such account: it was deleted, or the server was restored from a backup that is older than the \
         account. Messages and contacts can be read and exported; for a new account ask for an invitation"
    )]
    AccountUnknown,
    /// The folder is being wiped.
    #[error("this folder is being wiped; run `wipe` again to go on")]
    Wiped,
    /// A backup cannot be written or read.
    #[cfg(feature = "native")]
    #[error(transparent)]
    Backup(#[from] BackupFileError),
    /// The server refuses, with this code.
    #[error("the server refused ({0})")]
    Refused(String),
    /// Somebody's keys are not taken.
    #[error("{address} was not accepted: {problem}")]
    Contact {
        /// Whose.
        address: Address,
        /// Why.
        problem: ContactProblem,
    },
    /// A linking is over.
    #[error(transparent)]
    Linking(LinkProblem),
    /// The text of a message is not here and never will be, or a document lies where it must not be fetched from.
    #[error("the document cannot be had ({0})")]
    NoBody(String),
    /// The text of a message is not here yet.
    #[error("the text is not here yet and the server does not answer; `sync` fetches it")]
    Stalled,
}

/// Why a server could not be asked.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// There is no connection to it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection failed under a request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A stored server address cannot be read.
    #[error(transparent)]
    Address(#[from] ServerAddressError),
    /// A domain is not to be reached.
    #[error(transparent)]
    Domain(#[from] DomainProblem),
    /// DNS does not say where the server of a domain is.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It was asked, and nothing came of it.
    #[error("the server gave no answer")]
    NoAnswer,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The server is stopping, and has said when to come again.
    #[error("the server is stopping")]
    GoingAway {
        /// After so long.
        retry_after: Duration,
    },
    /// The server refuses what the connection is for.
    #[error("the server refused the connection: {0}")]
    Refused(String),
    /// Another process of this account receives now.
    #[error("another program receives for this device now")]
    Displaced,
}

impl NetworkError {
    /// Whether trying again later is of no use until a person has done something.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Request(RequestError::Refused(error))) => {
                matches!(
                    error.known_code(),
                    Some(
                        ErrorCode::ProofRefused
                            | ErrorCode::UnknownAccount
                            | ErrorCode::UnknownDevice
                            | ErrorCode::AccountSuspended
                            | ErrorCode::TenantSuspended
                    )
                )
            }
            Self::Connect(
                ConnectError::ServerKeyChanged { .. }
                | ConnectError::WrongDomain { .. }
                | ConnectError::HelloSignature
                | ConnectError::Certificate(_),
            )
            | Self::Address(_) => true,
            _ => false,
        }
    }
}

impl From<StoreError> for AgentError {
    fn from(error: StoreError) -> Self {
        Self::Handle(error.into())
    }
}

impl From<EngineError> for AgentError {
    fn from(error: EngineError) -> Self {
        Self::Handle(error.into())
    }
}

impl<P: Platform> AccountAgent<P> {
    /// On an open store.
    #[must_use]
    pub fn on(store: SealedStore<P::Store>, rng: ChaCha20Rng, platform: P) -> Self {
        Self {
            store: AccountStore::new(store),
            rng,
            proved: None,
            anonymous: BTreeMap::new(),
            group_logs: BTreeMap::new(),
            own_devices: None,
            redemptions: BTreeMap::new(),
            linking: None,
            unreachable: BTreeMap::new(),
            proof_answered: false,
            group_watch: GroupWatch::new(),
            transfers: Transfers::new(),
            platform,
        }
    }

    /// Handles an input and everything that comes of it. A network failure is no error: what was to be sent is kept,
    /// and the first failure is returned.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn run(&mut self, input: Input, show: Show<'_>) -> Result<Option<NetworkError>, AgentError> {
        Ok(self.round(input, show).await?.failure)
    }

    /// Puts a mail into the outbox whose attachments have their places, if it has any. Nothing is sent yet.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn queue(&mut self, mail: SendMail, show: Show<'_>) -> Result<LocalId, AgentError> {
        let mut queued = None;
        let mut see = |event: &Event| {
            if let Event::MessageQueued { id } = event {
                queued = Some(*id);
            }
            show(event);
        };
        self.round(Input::SendMail(mail), &mut see).await?;
        Ok(queued.ok_or(EngineError::NoProgress)?)
    }

    /// Sends what is due, until nothing is. A server that cannot be reached keeps only its own mail waiting, and is not
    /// tried again for a while; what stands in the way is returned.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn send_due(&mut self, show: Show<'_>) -> Result<Option<String>, AgentError> {
        for _ in 0..OUTBOX_ROUNDS_MAX {
            let now = Instant::now();
            let waits = self.unreachable.iter().filter(|(_, one)| one.until > now);
            let unreachable = waits.map(|(domain, _)| domain.clone()).collect();
            if self.round(Input::Tick { unreachable }, show).await?.wanted == 0 {
                break;
            }
        }
        Ok(self.unreachable.values().next().map(|one| one.problem.clone()))
    }

    /// The domain of the server at an address, and nothing else: to suggest an account's address before there is one.
    ///
    /// # Errors
    /// [`NetworkError`]
    pub async fn domain_of(server: &str, server_key_hash: [u8; 32]) -> Result<String, NetworkError> {
        let address: ServerAddress = server.parse()?;
        let expectation =
            ServerExpectation { address: &address, trust: ServerTrust::Pinned(server_key_hash), domain: None };
        let connection = ConnectionOf::<P>::anonymous(&expectation).await?;
        let domain = connection.domain().to_owned();
        connection.close().await;
        Ok(domain)
    }

    /// Closes the connections and ends transfers; what they have done so far is kept.
    pub async fn close(mut self) {
        self.transfers.stop();
        self.group_watch.stop();
        let anonymous = std::mem::take(&mut self.anonymous).into_values();
        let group_logs = std::mem::take(&mut self.group_logs).into_values();
        let rest = self.linking.take().into_iter().chain(anonymous).chain(group_logs);
        for connection in self.proved.take().into_iter().chain(rest) {
            connection.close().await;
        }
    }

    /// Who this account is; `None` before it is made.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn credentials(&mut self) -> Result<Option<Credentials>, AgentError> {
        Ok(self.store.credentials(P::now(), &mut self.rng)?)
    }

    /// What a person is told of this account; `None` before it is begun.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn account(&mut self) -> Result<Option<AccountSummary>, AgentError> {
        let record = self.store.account_record(P::now(), &mut self.rng)?;
        Ok(record.as_ref().map(AccountSummary::of))
    }

    /// All messages, newest first.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn messages(&mut self) -> Result<Vec<MessageSummary>, AgentError> {
        Ok(self.store.messages(P::now(), &mut self.rng)?)
    }

    /// One message with what is in the store of it: with the short body where the whole is a blob.
    ///
    /// # Errors
    /// [`AgentError::Handle`], with [`EngineError::UnknownMessage`] if there is none of this id.
    pub fn outline(&mut self, id: LocalId) -> Result<MessageDetail, AgentError> {
        let message = self.store.message(id, P::now(), &mut self.rng)?;
        message.ok_or_else(|| EngineError::UnknownMessage.into())
    }

    /// What is still to be uploaded.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn uploads(&mut self) -> Result<Vec<PendingUpload>, AgentError> {
        Ok(self.store.uploads(P::now(), &mut self.rng)?)
    }

    /// All contacts, by address.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn contacts(&mut self) -> Result<Vec<ContactSummary>, AgentError> {
        Ok(self.store.contacts(P::now(), &mut self.rng)?)
    }

    /// Whom the person has blocked and what he has muted.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn settings(&mut self) -> Result<Settings, AgentError> {
        Ok(self.store.settings(P::now(), &mut self.rng)?)
    }

    /// Which of these messages came under an account key that a person has compared.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn verified(&mut self, messages: &[MessageSummary]) -> Result<BTreeSet<LocalId>, AgentError> {
        Ok(self.store.verified(messages, P::now(), &mut self.rng)?)
    }

    /// Which of these messages came from strangers: without a delivery key, from a sender whom nobody has accepted.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn requests(&mut self, messages: &[MessageSummary]) -> Result<BTreeSet<LocalId>, AgentError> {
        Ok(self.store.requests(messages, P::now(), &mut self.rng)?)
    }

    /// Handles an input that leads to nothing that is sent.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn take_note(&mut self, input: &Input) -> Result<(), AgentError> {
        let turn = self.platform.turn().await;
        self.store.handle(input, P::now(), &mut self.rng)?;
        Ok(self.platform.keep(turn).await?)
    }

    /// Whether the account's statement, as it is known here, lists this device as a primary one.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn is_primary(&mut self, device_id: u32) -> Result<bool, AgentError> {
        Ok(self.store.is_primary(device_id, P::now(), &mut self.rng)?)
    }

    /// Why this device is none of its account any more, if it is none.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn revocation(&mut self) -> Result<Option<Revocation>, AgentError> {
        Ok(self.store.account_record(P::now(), &mut self.rng)?.and_then(|account| account.revoked))
    }
}
