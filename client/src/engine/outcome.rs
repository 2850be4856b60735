//! What the engine reads and what comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::envelope::Hint;
use medipeps_core::identity::{StatementError, Verification};
use medipeps_core::kind::{ContentError, SettingsError};
use medipeps_core::limits::ATTACHMENT_LENGTH_MAX;
use medipeps_core::linking::LinkingError;
use medipeps_core::organisation::OrganisationId;
use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::session::SessionId;
use medipeps_core::trust_list::TrustListError;
use medipeps_core::wire::WireError;
use medipeps_core::wire::client_records::{RecipientState, Revocation, UploadRecord, UploadRole};
use medipeps_core::wire::transport::{ErrorReply, Request, TokenRequest};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    Correlation, DomainEvent, DomainProblem, GroupEvent, GroupId, GroupProblem, GroupReader, LinkProblem, LocalId,
    OrganisationEvent, OrganisationProblem, VerifiedStatements, WalletEvent,
};
use crate::store::seal::ClassRecords;
use crate::store::{Patch, RecordClass, RecordKey};

/// What a view knows about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// It has not been loaded.
    NotLoaded,
    /// The store has none.
    Absent,
    /// Its value.
    Found(&'a [u8]),
}

/// What of the store has been loaded, all of it at one generation.
pub trait View {
    /// One record.
    fn record(&self, key: &RecordKey) -> Lookup<'_>;

    /// All records of a class, `None` if they have not been loaded.
    fn class(&self, class: RecordClass) -> Option<&ClassRecords>;

    /// The sessions whose hint keys match an envelope, `None` if they have not been looked for.
    fn sessions(&self, hint: &Hint) -> Option<&[SessionId]>;

    /// Statements that were verified for this input already.
    fn statements(&self) -> &VerifiedStatements;

    /// The generation of the store.
    fn generation(&self) -> u64;
}

/// Something that must be loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// One record.
    Record(RecordKey),
    /// All records of a class.
    Class(RecordClass),
    /// The sessions one of whose hint keys, in [`class::HINT`](super::class::HINT), matches an envelope. The engine asks
    /// once for each envelope, and for all of a batch at once.
    Sessions(Hint),
}

/// The view of a shell that keeps in memory what it has loaded.
#[derive(Debug, Default)]
pub struct LoadedRecords {
    /// Of the store.
    pub generation: u64,
    /// Single records; `None` where the store has none.
    pub records: BTreeMap<RecordKey, Option<Zeroizing<Vec<u8>>>>,
    /// Whole classes.
    pub classes: BTreeMap<RecordClass, Arc<ClassRecords>>,
    /// What was found for envelopes.
    pub sessions: BTreeMap<Hint, Vec<SessionId>>,
    /// Verified in the rounds so far.
    pub statements: VerifiedStatements,
}

impl View for LoadedRecords {
    fn record(&self, key: &RecordKey) -> Lookup<'_> {
        if let Some(class) = self.classes.get(&key.class) {
            return class.get(&key.name).map_or(Lookup::Absent, |value| Lookup::Found(value));
        }
        match self.records.get(key) {
            None => Lookup::NotLoaded,
            Some(None) => Lookup::Absent,
            Some(Some(value)) => Lookup::Found(value),
        }
    }

    fn class(&self, class: RecordClass) -> Option<&ClassRecords> {
        self.classes.get(&class).map(Arc::as_ref)
    }

    fn sessions(&self, hint: &Hint) -> Option<&[SessionId]> {
        self.sessions.get(hint).map(Vec::as_slice)
    }

    fn statements(&self) -> &VerifiedStatements {
        &self.statements
    }

    fn generation(&self) -> u64 {
        self.generation
    }
}

/// What came of an input.
#[derive(Debug)]
pub enum Outcome {
    /// Load these and call again with the same arguments.
    Needs(Vec<Need>),
    /// Commit, then send and show.
    Step(Step),
}

/// What an input leads to.
#[derive(Debug, Default)]
pub struct Step {
    /// Committed whole before anything else happens.
    pub patch: Patch,
    /// Sent after the commit, in this order.
    pub outgoing: Vec<Outgoing>,
    /// Shown after the commit.
    pub events: Vec<Event>,
}

/// Something to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Over which connection.
    pub connection: Connection,
    /// What the answer is handed back with.
    pub reply_to: Correlation,
    /// What.
    pub send: Send,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Send {
    /// A request as it is.
    Request(Request),
    /// A request for entries of a group's log; the shell signs it for its connection.
    ReadGroup {
        /// What is read, and with which key.
        reader: GroupReader,
        /// Entries at most.
        limit: u32,
    },
    /// A signal to those who watch a group's log; the shell signs it for its connection.
    SignalGroup {
        /// Which epoch of which log, and its key.
        reader: GroupReader,
        /// Sealed.
        signal: Vec<u8>,
    },
    /// A voucher and the batch that it pays for, signed for the connection.
    RedeemVoucher {
        /// Secret half of the voucher's key.
        voucher_key: Secret<32>,
        /// An encoded `SignedVoucher`.
        voucher: Vec<u8>,
        /// The batch.
        request: TokenRequest,
    },
    /// Where this device is woken for a group; the shell signs it for its connection.
    WakeGroup {
        /// For which group, and with which key.
        reader: GroupReader,
        /// This device's handle at the group's server.
        handle: [u8; 16],
        /// Where, and until when in milliseconds since 1970; `None`: nowhere.
        wake: Option<(PushEndpoint, u64)>,
    },
    /// An acknowledgement; the shell adds the generation that the commit made.
    Acknowledge {
        /// Of the server's store.
        incarnation: [u8; 16],
        /// The highest sequence number committed.
        up_to: u64,
    },
}

/// Over which connection something goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Connection {
    /// To the account's own server, the device proved.
    Proved,
    /// To the server of this domain; it proves nothing.
    Anonymous(String),
    /// To the account's own server for what concerns the account's other devices; it proves nothing, and shares nothing
    /// with the connection over which others are written to: that would say who writes to whom.
    OwnDevices,
    /// To the account's own server, for this one request: it names the account, so nothing else goes over it. It proves
    /// nothing.
    Registration,
    /// To the server of the account that a device is linked to; it proves nothing.
    Linking,
    /// To the server of this domain for the logs of groups; it proves no device, and shares nothing with the one over which
    /// people are written to.
    GroupLogs(String),
    /// To the server of a domain, for a voucher alone: what it gives is spent over another one.
    Redemption(String),
}

/// What a shell tells a person or a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Keys have been made. The recovery key is in no record: it is shown now or never.
    AccountPrepared {
        /// The account.
        address: Address,
        /// Ed25519 secret.
        recovery_key: Secret<32>,
    },
    /// The server has the account.
    Registered,
    /// The own server does not wake this device; it is asked when it is opened, and every 15 minutes while it runs.
    WakeRefused {
        /// Code by `spec/errors.md`.
        code: String,
    },
    /// The server refused the account.
    RegistrationRefused {
        /// Code by `spec/errors.md`.
        code: String,
    },
    /// A contact's key has been pinned, or a statement under the pinned key accepted.
    ContactPinned {
        /// Whose.
        address: Address,
        /// It was not a contact before.
        new: bool,
    },
    /// A contact could not be pinned.
    ContactRefused {
        /// Whose.
        address: Address,
        /// Why.
        problem: ContactProblem,
    },
    /// A contact is known by another account key from now on.
    ContactKeyChanged {
        /// Whose.
        address: Address,
        /// A person has accepted it; else the recovery key vouched for it and nobody had compared the one before.
        accepted: bool,
    },
    /// A person has compared a contact's key with what the contact sees.
    ContactVerified {
        /// Whose.
        address: Address,
        /// What came of it; the contact is marked if it is a match.
        result: Verification,
    },
    /// The mark that a contact was verified is off.
    VerificationForgotten {
        /// Whose.
        address: Address,
        /// There was one.
        was_verified: bool,
    },
    /// The statement that lists a restored device, to be published.
    RestoreSigned {
        /// An encoded `SignedStatement`.
        statement: Vec<u8>,
    },
    /// A backup is restored: the device is listed and works.
    Restored {
        /// The account.
        address: Address,
        /// The device holds the account key.
        primary: bool,
    },
    /// Messages and contacts of a backup are here; the device has to be linked, because the backup has no key to list it.
    RestoreNeedsLink {
        /// It has one, but the account is under another key by now.
        key_replaced: bool,
    },
    /// Something happened in a group.
    Group {
        /// Which.
        group: GroupId,
        /// What.
        event: GroupEvent,
    },
    /// Somebody asks the server for this account's prekeys more often than it gives them: since this time, in milliseconds
    /// since 1970, senders got keys that are not for one message alone.
    PrekeysWithheld {
        /// By the server's clock.
        since: u64,
    },
    /// A person lets an account write to him.
    Accepted {
        /// Whose.
        address: Address,
    },
    /// A message has come and does not ring: its sender or its thread is muted.
    MutedMessageReceived {
        /// Its id.
        id: LocalId,
    },
    /// A mail is in the outbox.
    MessageQueued {
        /// Its id.
        id: LocalId,
    },
    /// A sent message has come further, or failed, or waits for a person's decision.
    RecipientState {
        /// Its id.
        id: LocalId,
        /// On the way to whom.
        recipient: Address,
        /// How far.
        state: RecipientState,
        /// Why it failed or what holds it up.
        code: Option<String>,
    },
    /// Every piece of an upload is at the server.
    UploadFinished {
        /// The message's id.
        id: LocalId,
        /// What the upload is of it.
        role: UploadRole,
    },
    /// The file of an upload had changed: it begins anew.
    UploadBegunAnew {
        /// The message's id.
        id: LocalId,
        /// What the upload is of it.
        role: UploadRole,
    },
    /// A message has failed before it left. The shell deletes these blobs at the server as far as that can be done, and
    /// sealed copies of attachments on this device; that of a body stays, so that a person can read what he wrote.
    UploadsDropped {
        /// The message's id.
        id: LocalId,
        /// As they were.
        uploads: Vec<UploadRecord>,
    },
    /// The body of a message is here.
    BodyFetched {
        /// The message's id.
        id: LocalId,
    },
    /// The body of a message can never be had.
    BodyFailed {
        /// The message's id.
        id: LocalId,
        /// Why.
        code: String,
    },
    /// A message has come.
    MessageReceived {
        /// Its id.
        id: LocalId,
    },
    /// Another device of the account has sent a message; it is kept as sent.
    SentElsewhere {
        /// Its id.
        id: LocalId,
    },
    /// A person has seen a message on another device of the account.
    DisplayedElsewhere {
        /// Its id.
        id: LocalId,
    },
    /// A message came again and was dropped.
    Duplicate,
    /// An envelope could not be read.
    Undecryptable {
        /// Why.
        reason: Undecryptable,
        /// Who sent it, where that is known.
        sender: Option<Address>,
    },
    /// What is known about a sender has changed: its messages are checked now, or an impostor's.
    SenderChecked {
        /// Who.
        address: Address,
        /// The address belongs to another account key.
        impostor: bool,
    },
    /// This device is one of the account's now.
    Linked {
        /// The account.
        address: Address,
        /// The device.
        device_id: u32,
        /// Contacts that came with it.
        contacts: usize,
        /// Contacts that did not fit.
        contacts_left_out: u32,
    },
    /// The new device is listed, and its grant lies at the server.
    DeviceLinked {
        /// The device.
        device_id: u32,
        /// What it calls itself.
        name: String,
        /// It holds the account key.
        primary: bool,
    },
    /// The new device has taken its grant.
    LinkFinished,
    /// A linking has ended without a link.
    LinkFailed(LinkProblem),
    /// The server's store was restored; messages may come again and are dropped then.
    QueueRestarted,
    /// The store is an old copy: a later state has been seen. Sessions and prekeys have been dropped.
    StateRolledBack {
        /// Generation of this store.
        stored: u64,
        /// The highest that the server, or this machine, has seen.
        highest: u64,
    },
    /// The store was an old copy, and the account's statement now lists it as a new device.
    LinkedAnew {
        /// Its number.
        device_id: u32,
    },
    /// The account has another statement: a change from here has been published, or a newer one was fetched.
    OwnStatementChanged {
        /// Its version.
        version: u64,
    },
    /// A change of the account's devices was refused for good. Nothing was changed.
    OwnStatementRefused {
        /// Code by `spec/errors.md`.
        code: String,
    },
    /// The account was not deleted.
    AccountDeletionRefused {
        /// Code by `spec/errors.md`.
        code: String,
    },
    /// The server has no account of this address: it was deleted, or the server was restored from a backup of before it
    /// was made.
    OwnAccountUnknown,
    /// The server gave a statement of the own account that is older than the known one, of another chain, or signed by
    /// nobody who may. It was not taken.
    OwnStatementConflict {
        /// What is wrong with it.
        error: StatementError,
    },
    /// This device is none of the account any more: nothing is sent or received from now on.
    Revoked {
        /// Why.
        reason: Revocation,
    },
    /// Something happened with an organisation.
    Organisation {
        /// Which; zeros where it is about none.
        organisation: OrganisationId,
        /// What.
        event: OrganisationEvent,
    },
    /// Something happened to what is known of other domains.
    Domain(DomainEvent),
    /// Something happened to what is paid with.
    Wallet(WalletEvent),
}

/// Why a statement was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContactProblem {
    /// It is under another account key than the pinned one.
    #[error("the account key is not the pinned one")]
    KeyChanged,
    /// It does not verify, or is older than the pinned one, or of another account.
    #[error("the server gave a statement that is refused: {0}")]
    Statement(#[from] StatementError),
    /// The server does not have the account.
    #[error("the server does not have this account")]
    UnknownAccount,
    /// The server answered with an error.
    #[error("the server answered {0}")]
    Server(String),
}

impl ContactProblem {
    /// A word for programs: the server's, where it is the server that answers with an error.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::KeyChanged => "key_changed",
            Self::Statement(_) => "statement",
            Self::UnknownAccount => "unknown_account",
            Self::Server(word) => word,
        }
    }
}

macro_rules! undecryptable {
    ($($(#[$documentation:meta])* $name:ident = $code:literal;)*) => {
        /// Why an envelope could not be read, or was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Undecryptable { $($(#[$documentation])* $name,)* }

        impl Undecryptable {
            /// The stable code, as records and JSON have it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

undecryptable! {
    /// No envelope of this version.
    Envelope = "envelope";
    /// Neither of a session nor sealed to a key of this device.
    NoSession = "no_session";
    /// The session's header opened, the content does not verify.
    Ciphertext = "ciphertext";
    /// The session's post-quantum ratchet cannot go on; the session was given up.
    SessionBroken = "session_broken";
    /// It skips more messages than are allowed.
    TooFarAhead = "too_far_ahead";
    /// The first flight does not verify.
    Handshake = "handshake";
    /// The first flight names a prekey that is not there: used before, or too old.
    UnknownPrekey = "unknown_prekey";
    /// A first flight on a last-resort prekey that had come before.
    Replayed = "replayed";
    /// The sender's address is a contact's, its account key is not.
    SenderKeyChanged = "sender_key_changed";
    /// The sender's device is not in the newest known statement.
    DeviceNotListed = "device_not_listed";
    /// The sender's statement contradicts the known one.
    StatementConflict = "statement_conflict";
    /// It claims to be from this very account, and is not from a device of it.
    OwnAddress = "own_address";
    /// It was decrypted and is no message.
    Content = "content";
    /// The sender is unchecked and has sent too much already.
    TooManyUnchecked = "too_many_unchecked";
}

/// Why an input fails. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Of a group.
    #[error(transparent)]
    Group(#[from] GroupProblem),
    /// There is no account in this store.
    #[error("there is no account here; make one with `account create`")]
    NoAccount,
    /// The account is not registered yet.
    #[error("the account is not registered yet; run `account create` again when the server can be reached")]
    NotRegistered,
    /// The device does not hold the account key.
    #[error("only a primary device can do this; `device list` shows which ones are")]
    NotPrimary,
    /// There is an account already.
    #[error("there is an account here already: {0}")]
    AccountExists(Address),
    /// Making another account was begun.
    #[error("making the account {0} was begun here; run the same command with that address to go on")]
    AccountBegun(Address),
    /// The display name is empty or too long.
    #[error("a name has 1 to {max} bytes, and no control characters")]
    Name {
        /// The limit in bytes.
        max: usize,
    },
    /// The name of a device is too long.
    #[error("a device's name has at most {max} bytes, and no control characters")]
    DeviceName {
        /// The limit in bytes.
        max: usize,
    },
    /// The store is an old copy.
    #[error(
        "this store is an old copy: a later state of this device has been seen. Its sessions and prekeys have \
         been dropped; messages and contacts can be read and exported. A primary device links itself anew at the next `sync`; \
         for this one, run `device link` with a new --home"
    )]
    StateRolledBack,
    /// No linking is under way, or it is not at the point where a person decides.
    #[error("there is nothing to agree to now: no linking is under way here")]
    NoLinking,
    /// Another linking must be finished first: a device is listed and waits for its grant.
    #[error("another device is being linked; it is listed already and waits for its grant. Run `sync`, then try again")]
    LinkingUnderWay,
    /// What is kept of a linking, or what the other side put, does not hold.
    #[error(transparent)]
    Linking(#[from] LinkingError),
    /// The device is none of the account any more.
    #[error("{}", revoked_message(*.0))]
    Revoked(Revocation),
    /// The recovery of the account is not finished.
    #[error("the recovery of the account is not finished; run `account recover` again when the server can be reached")]
    NotRecovered,
    /// It is not the account's recovery key.
    #[error("this is not the recovery key of {0}, or no longer: a recovery gives the account a new one")]
    WrongRecoveryKey(Address),
    /// A change of the account's devices is on its way already.
    #[error("another change of the account's devices is on its way; run `sync`, then try again")]
    StatementPending,
    /// The account would have too many devices.
    #[error("an account has at most {max} devices; revoke one first")]
    TooManyDevices {
        /// The limit.
        max: usize,
    },
    /// The account has no such device.
    #[error("the account has no device {0}; `device list` shows which there are")]
    UnknownDevice(u32),
    /// A device cannot revoke itself.
    #[error(
        "this is the device itself; revoke it from another primary device, or run `wipe` if it is to be given away"
    )]
    RevokeOwnDevice,
    /// The account has as many primary devices as it may have.
    #[error("the account has {max} primary devices, which is the limit; link this one without --primary")]
    TooManyPrimaries {
        /// The limit.
        max: usize,
    },
    /// Nobody to send to.
    #[error("a mail needs at least one recipient")]
    NoRecipients,
    /// More recipients than one mail may have.
    #[error("a mail has at most {max} recipients")]
    TooManyRecipients {
        /// The limit.
        max: usize,
    },
    /// A recipient of another domain is no contact.
    #[error("{0} is not a contact and belongs to another server; run `contact add {0}` first")]
    NotAContact(Address),
    /// The server of a domain is not known.
    #[error("the server of {0} is not known; run `domain add {0} HOST:PORT`")]
    UnknownServer(String),
    /// The server of a domain has another key than before.
    #[error("the server of {0} has another key than the one that was pinned; nothing was sent to it")]
    ServerKeyChanged(String),
    /// One's own address cannot be a contact.
    #[error("{0} is your own address")]
    OwnAddress(Address),
    /// No restore was begun here.
    #[error("no restore was begun here")]
    NoRestore,
    /// A restore was begun here.
    #[error("a restore was begun here; run the same `restore` again, or `wipe` this folder")]
    RestoreBegun,
    /// A backup has what no backup has.
    #[error("the backup has {0}")]
    Backup(&'static str),
    /// The address is no contact.
    #[error("{0} is no contact; run `contact add {0}` first")]
    UnknownContact(Address),
    /// What was typed is no safety number.
    #[error("a safety number has sixty digits; compare all of them")]
    SafetyNumberForm,
    /// There is no such message.
    #[error("there is no such message")]
    UnknownMessage,
    /// An attachment has more bytes than any may have.
    #[error("the attachment \"{name}\" has {length} bytes; at most {ATTACHMENT_LENGTH_MAX} can be sent")]
    AttachmentTooLarge {
        /// Its name.
        name: String,
        /// Bytes.
        length: u64,
    },
    /// A file without a path, or a sealed copy that cannot be one: another length than its digests say, an id that is in
    /// use, or another body than the message's.
    #[error("the attachment or body to be uploaded is not described as it should be: {0}")]
    Source(&'static str),
    /// There is no such upload (any more): nothing of it may leave.
    #[error("there is no such upload any more")]
    UnknownUpload,
    /// The upload has no such part, or not all parts of it have been read.
    #[error("part {part} of the upload is not one, or has not been read")]
    UploadPart {
        /// Its number.
        part: u32,
    },
    /// The part had other bytes when it was first read: the file has changed, and nothing of it may leave.
    #[error("part {part} of the file has changed since it was first read")]
    PartChanged {
        /// Its number.
        part: u32,
    },
    /// The content breaks a limit.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A statement of this account's own making is refused.
    #[error("the account's statement is refused: {0}")]
    Statement(#[from] StatementError),
    /// A record cannot be read.
    #[error("a record of class {class} cannot be read: {error}")]
    Record {
        /// Its class.
        class: RecordClass,
        /// What is wrong with it.
        error: WireError,
    },
    /// Bytes that this device stored itself cannot be read.
    #[error("stored bytes cannot be read: {0}")]
    Wire(#[from] WireError),
    /// All prekey ids have been used.
    #[error("all prekey ids of this device have been used")]
    PrekeyIdsExhausted,
    /// Too much is blocked or muted already.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The engine asked for nothing and came to nothing; a defect.
    #[error("the engine stopped without a result")]
    NoProgress,
    /// Of an organisation.
    #[error(transparent)]
    Organisation(#[from] OrganisationProblem),
    /// The accounts of a domain are not to be reached.
    #[error(transparent)]
    Domain(DomainProblem),
    /// A trust list is not taken.
    #[error(transparent)]
    TrustList(TrustListError),
    /// No trust list is followed.
    #[error("no trust list is followed; `domain trust --signer KEY` begins")]
    NoTrustList,
    /// Nobody has said where a domain is.
    #[error("nothing was set for {0}; `domain list` shows what is known")]
    UnknownDomain(String),
}

fn revoked_message(reason: Revocation) -> &'static str {
    match reason {
        Revocation::AccountDeleted => {
            "the account is deleted. Messages and contacts can be read and exported; nothing is sent or received"
        }
        Revocation::DeviceRevoked => {
            "this device has been revoked: the account does not list it any more. Messages and contacts can be read and \
             exported; nothing is sent or received. To use the account here again, run `device link` with a new --home"
        }
        Revocation::AccountKeyReplaced => {
            "the account was recovered with its recovery key and has other keys now; this device is none of it any more. \
             Messages and contacts can be read and exported; if it was not you who recovered it, tell your contacts"
        }
    }
}

/// The name of an error's code as `spec/errors.md` has it, or its number if this version does not know it.
pub(super) fn error_code_name(error: &ErrorReply) -> String {
    error.known_code().map_or_else(|| error.code.to_string(), |code| code.name().to_owned())
}
