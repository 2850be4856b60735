//! Decides what a device does about a command or about what came from the network. No I/O, no clock, no randomness of
//! its own: `handle(input, now, seed, view)` is a pure function.
//!
//! A shell loads the records that [`Outcome::Needs`] asks for and calls again with the same arguments. It commits the
//! patch of a [`Step`] in one transaction, and only then sends what is outgoing and shows the events. When the commit
//! fails, the step is thrown away and the input is handled again **with a fresh seed**: keys and nonces of a step that
//! was thrown away may have been seen by nobody, but nothing proves it.

mod account;
mod agenda;
mod attachment;
pub(crate) mod backup;
mod body;
mod composition;
mod contact;
mod delivery;
mod departure;
mod device_name;
mod device_sync;
mod domain;
mod group;
mod kept_envelope;
mod link;
mod mailbox;
mod organisation;
mod outbox;
mod outcome;
mod owed;
mod own_blob;
mod own_devices;
mod own_statement;
pub(crate) mod payment;
mod placement;
mod prekey_maintenance;
mod receipt;
mod receiving;
mod records;
mod recovery;
mod restore;
mod revocation;
mod rollback;
mod server_clock;
mod sesame;
mod settings;
mod statement_check;
mod token_sharing;
mod transaction;
mod unconfirmed;
mod upload;
mod verification;
mod verified_statements;
mod wake;
mod wallet;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use medipeps_core::kind::Conversation;
use medipeps_core::wire::backup::{BackupAccount, BackupEntry};
use medipeps_core::wire::transport::{Delivery, ErrorCode, ErrorReply, Response};

pub use account::{AccountSummary, Credentials};
pub use attachment::{Attachment, AttachmentSource, SealedCopy};
pub(crate) use body::{check_domain as check_blob_domain, is_wanted as body_is_wanted};
pub use composition::{CreateAccount, SendMail};
pub use contact::ContactSummary;
pub use delivery::DeliveryKeySummary;
pub use domain::{DomainEvent, DomainInput, DomainProblem, DomainRecords, Place};
pub(crate) use group::place_of_upload;
pub use group::{
    CaseDetail, CaseFold, CaseList, CaseSummary, CreateGroup, GroupBlobRequest, GroupChange, GroupCorrelation,
    GroupEntries, GroupEvent, GroupId, GroupInput, GroupMember, GroupMessage, GroupProblem, GroupReader, GroupSignal,
    GroupSummary, MailboxMail, MailboxView, ReadPosition, ReportMessage, SendToCase, SendToGroup, Wakes,
    reader as group_reader, report_of, thread_of as group_thread,
};
pub use link::{BecomeDevice, DeviceSummary, LinkDevice, LinkProblem, LinkProgress, LinkRequest};
pub use mailbox::{MessageDetail, MessageSummary};
pub use organisation::{
    AdministratorKeySummary, BreakGlassInput, BreakGlassSummary, Certified, Certify, CreateOrganisation, DraftSummary,
    Fork, MemberStanding, MemberSummary, OnCall, OrganisationEvent, OrganisationInput, OrganisationProblem,
    OrganisationSummary, ProposeStatement, StatementChange, service_name as organisation_service_name,
};
pub use outcome::{
    Connection, ContactProblem, EngineError, Event, LoadedRecords, Lookup, Need, Outcome, Outgoing, Send, Step,
    Undecryptable, View,
};
pub use placement::{AttachmentSize, Placement, fitting, fitting_beside};
pub use records::{Bytes, HintKeys, Key, PartDigest, Record, class, key};
pub use recovery::RecoverAccount;
pub use transaction::Seed;
pub use upload::PendingUpload;
pub use verification::Evidence;
pub use verified_statements::VerifiedStatements;
pub use wallet::{WalletEvent, WalletStep, WalletSummary};

use account::OwnDevice;
use medipeps_core::Address;
use medipeps_core::push_endpoint::PushEndpoint;
use transaction::{Stop, Transaction, go_on};

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// 16 random bytes that name a message in this store: the sender's id of it, unless another sender used the same.
pub type LocalId = [u8; 16];

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Make an account, or go on making the one that was begun.
    CreateAccount(CreateAccount),
    /// Take an account over with its recovery key, or go on with that.
    RecoverAccount(RecoverAccount),
    /// Take another device off the account.
    RevokeDevice(u32),
    /// Call a device of the account by another name.
    NameDevice {
        /// Which.
        device_id: u32,
        /// Empty: by none.
        name: String,
    },
    /// Delete the account.
    DeleteAccount,
    /// Ask for the own account's newest statement: the server has refused the proof of device.
    CheckOwnStatement,
    /// Where the accounts of a domain are reached, as a person said.
    SetServer {
        /// The domain.
        domain: String,
        /// `HOST:PORT`.
        endpoint: String,
    },
    /// The key of a domain's server, seen on the first connection to it.
    PinServer {
        /// The domain.
        domain: String,
        /// [`medipeps_core::proof::server_key_hash`].
        server_key_hash: [u8; 32],
    },
    /// Ask for a contact's statement and pin its key.
    AddContact {
        /// Whose.
        address: Address,
        /// Take a key that is not the pinned one.
        accept_new_key: bool,
    },
    /// Compare what a person has from a contact by another way with what this device knows, and mark the contact.
    VerifyContact {
        /// Whose.
        address: Address,
        /// What the person has.
        evidence: Evidence,
    },
    /// Take the mark off a verified contact.
    ForgetVerification(Address),
    /// Make this home a device of an account that has others, or go on with that.
    BecomeDevice(BecomeDevice),
    /// Link another device to this account, or go on with that.
    LinkDevice(LinkDevice),
    /// Do what is due of a linking, while a person waits for it.
    LinkTick,
    /// A person has compared the digits of a linking, or stops it.
    LinkDecide {
        /// Both devices show the same ones.
        agreed: bool,
    },
    /// Begin to restore a backup in a store that has nothing yet.
    BeginRestore {
        /// Of the backup's header: which backup.
        backup_salt: [u8; 32],
        /// Whose it is.
        account: Box<BackupAccount>,
    },
    /// Records of the backup.
    RestoreRecords(Vec<BackupEntry>),
    /// All records and sealed copies of the backup are on this device.
    RestoreCopied(Box<BackupAccount>),
    /// The newest statement of the account, from the server or because the server has just taken it.
    RestoreStatement(Vec<u8>),
    /// From now on this device is woken there when something comes and it is not connected; `None`: nowhere.
    Wake(Option<PushEndpoint>),
    /// Put a mail into the outbox.
    SendMail(SendMail),
    /// Something about a group.
    Group(GroupInput),
    /// A part of a file has been read for the first time. Before this is committed, **no** byte of its ciphertext leaves.
    UploadPart {
        /// Which upload.
        blob_id: [u8; 32],
        /// The part's number.
        part: u32,
        /// [`medipeps_core::attachment::part_digest`] of it.
        digest: [u8; 32],
    },
    /// The file of an upload is not what it was: everything begins anew, with another id and another key. The shell
    /// deletes the old blob at the server, as far as that can be done. An upload that is not there is passed over.
    UploadChanged {
        /// Which upload.
        blob_id: [u8; 32],
        /// Bytes that the file has now.
        length: u64,
        /// When it was last changed, in nanoseconds since 1970.
        modified: u64,
    },
    /// Every piece of an upload is on the server's disk. An upload that is not there is passed over.
    UploadDone {
        /// Which upload.
        blob_id: [u8; 32],
        /// When the server drops the blob, in milliseconds since 1970.
        expires: u64,
    },
    /// An upload could not go on now.
    UploadPostponed {
        /// Which upload.
        blob_id: [u8; 32],
        /// Why, as `spec/errors.md` has it or a code of the shell's own.
        code: String,
        /// Milliseconds that the server asks to wait; 0 if it did not say.
        retry_after: u64,
    },
    /// An upload has failed for good, and with it the message.
    UploadFailed {
        /// Which upload.
        blob_id: [u8; 32],
        /// Why.
        code: String,
    },
    /// The body of a message has been fetched and verified (see [`MessageDetail::with_body`]), and its sealed copy is on
    /// this device's disk.
    BodyStored {
        /// Which message.
        id: LocalId,
    },
    /// The body of a message could not be fetched now.
    BodyPostponed {
        /// Which message.
        id: LocalId,
        /// Why.
        code: String,
        /// Milliseconds that the server asks to wait; 0 if it did not say.
        retry_after: u64,
    },
    /// The body of a message can never be had.
    BodyFailed {
        /// Which message.
        id: LocalId,
        /// Why.
        code: String,
    },
    /// A message was shown to a person.
    MarkDisplayed(LocalId),
    /// Do what is due: send the outbox, ask about senders. Also after every start.
    Tick {
        /// Domains whose servers cannot be reached now: what is for them is left alone.
        unreachable: BTreeSet<String>,
    },
    /// The server has taken the proof of device.
    Authenticated {
        /// The highest generation that the device had reported before.
        highest_generation: u64,
        /// Version of the account's newest statement.
        statement_version: u64,
    },
    /// This machine has seen a generation of this device's store, at some time.
    Anchored {
        /// The highest that it has seen.
        highest_generation: u64,
    },
    /// The queue is open; the server has said which life of its store this is.
    QueueOpened([u8; 16]),
    /// Envelopes of the device's queue, in order. A batch is one transaction.
    Deliveries {
        /// Of the server's store.
        incarnation: [u8; 16],
        /// At least one.
        batch: Vec<Delivery>,
    },
    /// The server has dropped so many messages as too old.
    Expired(u64),
    /// The server withholds the account's one-time prekeys, since this time in milliseconds since 1970.
    PrekeysWithheld(u64),
    /// A person does not want to see an account's messages, or does again.
    Block {
        /// Whose.
        address: Address,
        /// Whether it is blocked from now on.
        blocked: bool,
    },
    /// A person lets an account write to him: it gets the delivery key.
    Accept(Address),
    /// Make another delivery key, which those get who are accepted.
    RenewDeliveryKey,
    /// A conversation does not ring, or rings again.
    Mute {
        /// Which.
        conversation: Conversation,
        /// Until when, in milliseconds since 1970; 0: it rings; [`medipeps_core::kind::MUTED_FOR_EVER`].
        until: u64,
    },
    /// The answer to something outgoing.
    Reply {
        /// To what.
        to: Correlation,
        /// What the server said.
        result: Result<Response, ErrorReply>,
    },
    /// Something about an organisation.
    Organisation(OrganisationInput),
    /// Something about other domains.
    Domain(DomainInput),
    /// Set tokens aside for an upload that is about to begin.
    PayUpload {
        /// Which.
        blob_id: [u8; 32],
    },
}

/// Which outgoing request an answer belongs to. It holds all that is needed to go on, so that nothing is lost when the
/// process stops between the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Correlation {
    /// The making of the account.
    Register,
    /// The statement that takes the account over.
    RecoverAccount,
    /// The end of the account.
    DeleteAccount,
    /// The account's next statement, by its version.
    PublishStatement(u64),
    /// The newest statement of the own account.
    FetchOwnStatement {
        /// What the server said to the one that waits here.
        refusal: Option<ErrorCode>,
    },
    /// An upload of prekeys, by its sequence.
    PublishPrekeys(u64),
    /// How many prekeys are left.
    PrekeyStatus,
    /// An acknowledgement.
    Acknowledge,
    /// Prekeys of all devices of an account.
    FetchPrekeys(Address),
    /// The statement of an account.
    FetchStatement {
        /// Whose.
        address: Address,
        /// A person has allowed another key than the pinned one.
        accept_new_key: bool,
    },
    /// A step of a linking.
    Link(LinkRequest),
    /// Something for a group.
    Group(GroupCorrelation),
    /// A submission of one outbox entry.
    Submit {
        /// The content.
        content_id: [u8; 16],
        /// The recipient.
        recipient: Address,
        /// The submission.
        submission_id: [u8; 16],
    },
    /// The account's delivery keys, as hashes.
    SetDeliveryKeys(Vec<[u8; 32]>),
    /// The trust list that the own server follows.
    FetchTrustList,
    /// Where this device is woken.
    SetDeviceWake(Option<PushEndpoint>),
    /// Something for a wallet.
    Wallet {
        /// Of which domain.
        domain: String,
        /// What.
        step: WalletStep,
    },
    /// The end of a blob of an account that has ended.
    DeleteBlob([u8; 32]),
}

/// Handles one input.
///
/// # Errors
/// [`EngineError`]; nothing is changed then.
pub fn handle(input: &Input, now: Time, seed: &Seed, view: &dyn View) -> Result<Outcome, EngineError> {
    let mut transaction = Transaction::new(view, now, seed);
    // Each asks for its records, whatever the one before misses.
    let result = go_on(payment::settle(&mut transaction, input))
        .and_then(|()| dispatch(&mut transaction, input))
        .and_then(|()| payment::pay_all(&mut transaction));
    match transaction.needs() {
        // What was decided after a miss was decided on too little.
        Some(needs) => Ok(Outcome::Needs(needs)),
        None => match result {
            Ok(()) => Ok(Outcome::Step(transaction.finish())),
            Err(Stop::Failed(error)) => Err(*error),
            Err(Stop::Needs) => Err(EngineError::NoProgress),
        },
    }
}

fn dispatch(transaction: &mut Transaction<'_>, input: &Input) -> Result<(), Stop> {
    match input {
        Input::CreateAccount(command) => account::create(transaction, command),
        Input::RecoverAccount(command) => recovery::recover(transaction, command),
        Input::DeleteAccount => departure::delete(transaction),
        Input::RevokeDevice(device_id) => revocation::revoke(transaction, *device_id),
        Input::NameDevice { device_id, name } => device_name::rename(transaction, *device_id, name),
        Input::CheckOwnStatement => check_own_statement(transaction),
        Input::SetServer { domain, endpoint } => domain::set(transaction, domain, endpoint, None),
        Input::PinServer { domain, server_key_hash } => domain::pin(transaction, domain, server_key_hash),
        Input::AddContact { address, accept_new_key } => contact::add(transaction, address, *accept_new_key),
        Input::VerifyContact { address, evidence } => verification::verify(transaction, address, evidence),
        Input::ForgetVerification(address) => verification::forget(transaction, address),
        Input::BecomeDevice(command) => link::begin(transaction, command),
        Input::LinkDevice(command) => link::link(transaction, command),
        Input::LinkTick => link::tick(transaction),
        Input::LinkDecide { agreed } => link::decide(transaction, *agreed),
        Input::BeginRestore { backup_salt, account } => restore::begin(transaction, backup_salt, account),
        Input::RestoreRecords(entries) => restore::copy(transaction, entries),
        Input::RestoreCopied(account) => restore::copied(transaction, account),
        Input::RestoreStatement(newest) => restore::list(transaction, newest),
        Input::Wake(endpoint) => wake::set(transaction, endpoint.clone()),
        Input::SendMail(command) => composition::send_mail(transaction, command),
        Input::Group(input) => group::handle(transaction, input),
        Input::Block { address, blocked } => settings::block(transaction, address, *blocked),
        Input::Accept(address) => delivery::accept_by_hand(transaction, address),
        Input::RenewDeliveryKey => delivery::renew(transaction),
        Input::Mute { conversation, until } => settings::mute(transaction, conversation, *until),
        Input::MarkDisplayed(id) => receipt::mark_displayed(transaction, id),
        Input::UploadPart { blob_id, part, digest } => upload::part_read(transaction, blob_id, *part, digest),
        Input::UploadChanged { blob_id, length, modified } => upload::changed(transaction, blob_id, *length, *modified),
        Input::UploadDone { blob_id, expires } => upload::done(transaction, blob_id, *expires),
        Input::UploadPostponed { blob_id, code, retry_after } => {
            upload::postponed(transaction, blob_id, code, *retry_after)
        }
        Input::UploadFailed { blob_id, code } => upload::failed(transaction, blob_id, code),
        Input::BodyStored { id } => body::stored(transaction, id),
        Input::BodyPostponed { id, code, retry_after } => body::postponed(transaction, id, code, *retry_after),
        Input::BodyFailed { id, code } => body::failed(transaction, id, code),
        Input::Tick { unreachable } => {
            // Each asks for its records whatever the others miss: with every round everything is gone through anew.
            go_on(own_statement::send_due(transaction, unreachable))?;
            match rollback::is_linking_anew(transaction) {
                Ok(true) => return Ok(()),
                other => go_on(other)?,
            }
            go_on(link::tick_unattended(transaction))?;
            go_on(upload::expire(transaction))?;
            go_on(domain::ask_due(transaction, unreachable))?;
            go_on(wallet::tend_due(transaction, unreachable))?;
            go_on(statement_check::ask_due(transaction, unreachable))?;
            go_on(owed::send_due(transaction, unreachable))?;
            go_on(unconfirmed::send_due(transaction))?;
            go_on(kept_envelope::drop_old(transaction))?;
            go_on(delivery::send_due(transaction))?;
            go_on(wake::send_due(transaction))?;
            go_on(device_sync::send_due(transaction))?;
            go_on(organisation::send_due(transaction, unreachable))?;
            go_on(group::send_due(transaction, unreachable))?;
            outbox::send_due(transaction, unreachable)
        }
        Input::Authenticated { highest_generation, statement_version } => {
            authenticated(transaction, *highest_generation, *statement_version)
        }
        Input::Anchored { highest_generation } => {
            rollback::check_generation(transaction, *highest_generation).map(|_| ())
        }
        Input::QueueOpened(incarnation) => receiving::opened(transaction, incarnation),
        Input::Deliveries { incarnation, batch } => receiving::receive(transaction, incarnation, batch),
        Input::Expired(count) => receiving::count_expired(transaction, *count),
        Input::PrekeysWithheld(since) => receiving::prekeys_withheld(transaction, *since),
        Input::Reply { to, result } => reply(transaction, to, result),
        Input::Organisation(input) => organisation::handle(transaction, input),
        Input::Domain(input) => domain::handle(transaction, input),
        Input::PayUpload { blob_id } => payment::pay_upload(transaction, blob_id),
    }
}

fn authenticated(
    transaction: &mut Transaction<'_>,
    highest_generation: u64,
    statement_version: u64,
) -> Result<(), Stop> {
    if !rollback::check_generation(transaction, highest_generation)? {
        return Ok(());
    }
    let own = OwnDevice::load(transaction)?;
    if statement_version > own.statement.version() {
        own_statement::refresh(transaction, &own);
    }
    group::begin_key_packages(transaction);
    go_on(domain::ask_now(transaction, &own))?;
    go_on(wallet::authenticated(transaction, &own))?;
    prekey_maintenance::begin(transaction)
}

fn check_own_statement(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let own = OwnDevice::load(transaction)?;
    own.check_not_revoked()?;
    own_statement::refresh(transaction, &own);
    Ok(())
}

fn reply(
    transaction: &mut Transaction<'_>,
    to: &Correlation,
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    match (to, result) {
        (Correlation::Register, Ok(_)) => account::registered(transaction),
        (Correlation::Register, Err(error)) => account::registration_failed(transaction, error),
        (Correlation::RecoverAccount, Ok(_)) => recovery::recovered(transaction),
        (Correlation::RecoverAccount, Err(error)) => {
            recovery::refused(transaction, error);
            Ok(())
        }
        // The device has left; a blob that is still there ends with its lifetime.
        (Correlation::DeleteBlob(_), Ok(Response::Done) | Err(_)) => Ok(()),
        (Correlation::DeleteAccount, Ok(Response::Done)) => departure::deleted(transaction),
        (Correlation::DeleteAccount, Err(error)) => departure::refused(transaction, error),
        (Correlation::PublishStatement(version), Ok(_)) => {
            own_statement::published(transaction, *version)?;
            link::tick_unattended(transaction)
        }
        (Correlation::PublishStatement(version), Err(error)) => own_statement::refused(transaction, *version, error),
        (Correlation::FetchOwnStatement { refusal }, Ok(Response::FetchStatement(statement))) => {
            own_statement::fetched(transaction, statement, *refusal)
        }
        (Correlation::FetchOwnStatement { .. }, Err(error)) => own_statement::fetch_refused(transaction, error),
        (Correlation::PublishPrekeys(sequence), Ok(_)) => prekey_maintenance::published(transaction, *sequence),
        (Correlation::PublishPrekeys(sequence), Err(error)) => {
            prekey_maintenance::refused(transaction, *sequence, error)
        }
        (Correlation::PrekeyStatus, Ok(Response::PrekeyStatus(status))) => {
            prekey_maintenance::maintain(transaction, status)
        }
        (Correlation::FetchPrekeys(address), Ok(Response::FetchPrekeys(reply))) => {
            outbox::prekeys_fetched(transaction, address, reply)
        }
        (Correlation::FetchPrekeys(address), Err(error)) => outbox::prekeys_refused(transaction, address, error),
        (Correlation::FetchStatement { address, accept_new_key }, Ok(Response::FetchStatement(statement))) => {
            contact::statement_fetched(transaction, address, *accept_new_key, statement)
        }
        (Correlation::FetchStatement { address, .. }, Err(error)) => {
            contact::statement_refused(transaction, address, error)
        }
        (Correlation::Submit { content_id, recipient, submission_id }, Ok(Response::Submit(_))) => {
            outbox::accepted(transaction, content_id, recipient, submission_id)
        }
        (Correlation::Submit { content_id, recipient, submission_id }, Err(error)) => {
            outbox::refused(transaction, (content_id, recipient, submission_id), error)
        }
        (Correlation::SetDeliveryKeys(hashes), Ok(Response::Done)) => delivery::told(transaction, hashes),
        // It is told again in a while.
        (Correlation::SetDeliveryKeys(_), Err(_)) => Ok(()),
        (Correlation::SetDeviceWake(endpoint), Ok(Response::Done)) => {
            wake::answered(transaction, endpoint.as_ref(), Ok(()))
        }
        (Correlation::SetDeviceWake(endpoint), Err(error)) => {
            wake::answered(transaction, endpoint.as_ref(), Err(error))
        }
        (Correlation::FetchTrustList, Ok(Response::FetchTrustList(reply))) => domain::list_fetched(transaction, reply),
        (Correlation::FetchTrustList, Err(error)) => domain::list_refused(transaction, error),
        (Correlation::Wallet { domain, step }, result) => wallet::answered(transaction, (domain, *step), result),
        (Correlation::Link(request), result) => link::answered(transaction, request, result),
        (Correlation::Group(to), result) => match group::reply(transaction, to, result)? {
            true => Ok(()),
            false => misfit(transaction, &Correlation::Group(to.clone())),
        },
        (Correlation::PrekeyStatus | Correlation::Acknowledge, _) => Ok(()),
        // A server that answers with something else is treated as one that failed.
        (to, Ok(_)) => misfit(transaction, to),
    }
}

fn misfit(transaction: &mut Transaction<'_>, to: &Correlation) -> Result<(), Stop> {
    reply(transaction, to, &Err(ErrorReply::new(ErrorCode::Internal, "the answer does not fit the request")))
}
