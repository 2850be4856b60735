//! Linking: this device becomes one of an account's, or makes another one so. `spec/linking.md`.
//!
//! What a side has come to is one record. Each tick does what that record calls for, each answer of the server moves it
//! on, and nothing leaves before the record says that it may: a process that was killed goes on where it was.

mod new_device;
mod primary;

use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::identity::Statement;
use medipeps_core::linking::{LinkingCode, LinkingError, upload_secret};
use medipeps_core::wire::client_records::{AccountRecord, DeviceNameRecord, LinkRecord};
use medipeps_core::wire::transport::{
    BeginBlob, DeleteBlob, ErrorCode, ErrorReply, FetchBlob, Payment, PutBlobPiece, Request, Response,
};
use thiserror::Error;

use super::Correlation;
use super::outcome::{Connection, EngineError, Event};
use super::records::key;
use super::transaction::{Stop, Transaction};
use crate::limits::LINKING_VALID_MS;

pub(super) use new_device::begin;
pub(super) use primary::link;

/// Make this home a device of an account that has others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BecomeDevice {
    /// The account.
    pub address: Address,
    /// Its server, `HOST:PORT`.
    pub server: String,
    /// Of the server that answers there, by [`medipeps_core::proof::server_key_hash`].
    pub server_key_hash: [u8; 32],
    /// What the owner calls this device; may be empty.
    pub name: String,
    /// Throw away a linking that was begun here.
    pub anew: bool,
}

/// Link another device to this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkDevice {
    /// As the new device shows it.
    pub code: LinkingCode,
    /// Let the new device hold the account key.
    pub make_primary: bool,
}

/// What is asked of the server for a linking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRequest {
    /// Room for a blob.
    Begin([u8; 32]),
    /// Its bytes.
    Put([u8; 32]),
    /// What the other side has put.
    Fetch([u8; 32]),
    /// The end of a blob.
    Delete([u8; 32]),
    /// The account's newest statement.
    Statement,
}

/// Why a linking has ended without a link. Nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkProblem {
    /// The server has no such offer.
    #[error("the linking code is unknown or has expired; begin anew on the new device")]
    UnknownCode,
    /// The answer's place is taken.
    #[error(
        "somebody else has answered this linking code before: if that was not you, somebody has seen the code. \
         Say no on the new device, and begin anew there"
    )]
    AlreadyAnswered,
    /// Ten minutes are over.
    #[error("the linking code has expired; begin anew on the new device")]
    Expired,
    /// The other side has stopped, or its person has said no.
    #[error("the other device has stopped the linking, or somebody said no there")]
    Refused,
    /// A person has said no here.
    #[error("the linking was stopped here; nothing was changed")]
    Stopped,
    /// The code is another account's.
    #[error("the new device wants to belong to {0}, which is not this account")]
    OtherAccount(Address),
    /// The new device sees another server.
    #[error("the new device talks to another server than this one, or somebody stands between; nothing was sent")]
    OtherServer,
    /// What the other side put is not what it must be.
    #[error("the other device is not the one that it should be: {0}")]
    Mismatch(#[from] LinkingError),
    /// The account has as many as it may have.
    #[error("the account has {max} devices, which is the limit; revoke one first")]
    TooManyDevices {
        /// The limit.
        max: usize,
    },
    /// The account has as many primary ones as it may have.
    #[error("the account has {max} primary devices, which is the limit; link this one without --primary")]
    TooManyPrimaries {
        /// The limit.
        max: usize,
    },
    /// What the grant says does not hold.
    #[error("the grant is refused: {0}")]
    Grant(&'static str),
    /// The server's statement of the account does not fit.
    #[error("the server's statement of the account is refused: {0}")]
    Statement(&'static str),
}

impl LinkProblem {
    /// A stable word for programs: `spec/bindings.md`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownCode => "unknown_code",
            Self::AlreadyAnswered => "already_answered",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::OtherAccount(_) => "other_account",
            Self::OtherServer => "other_server",
            Self::Mismatch(_) => "mismatch",
            Self::TooManyDevices { .. } => "too_many_devices",
            Self::TooManyPrimaries { .. } => "too_many_primaries",
            Self::Grant(_) => "grant",
            Self::Statement(_) => "statement",
        }
    }
}

/// How far a linking has come, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkProgress {
    /// New device: the offer is on its way.
    Preparing,
    /// New device: to be shown.
    ShowCode(LinkingCode),
    /// The other side has something to do; primary device: before the digits.
    Meeting,
    /// The digits to compare, and what the new device calls itself (on the primary device).
    Compare {
        /// Two groups of four.
        digits: String,
        /// As the new device says.
        name: Option<String>,
    },
    /// Agreed here; the other side has to agree.
    Agreed,
    /// Primary device: the statement is published, the grant put.
    Granting,
    /// Primary device: the grant waits for the new device.
    Granted,
    /// New device: linked.
    Linked,
}

/// What a person is told about a device of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSummary {
    /// Its number.
    pub device_id: u32,
    /// What the owner calls it.
    pub name: Option<String>,
    /// Holds the account key.
    pub primary: bool,
    /// When it was certified, in seconds since 1970, by the clock of the device that did.
    pub since: u64,
    /// It is this one.
    pub this_device: bool,
}

impl LinkProgress {
    /// Out of the linking's record.
    ///
    /// # Errors
    /// [`EngineError::Linking`] if the record is damaged.
    pub fn of(record: &LinkRecord) -> Result<Self, EngineError> {
        match record {
            LinkRecord::NewDevice(record) => new_device::progress(record),
            LinkRecord::Primary(record) => primary::progress(record),
        }
    }
}

impl DeviceSummary {
    /// The devices of an account, in the statement's order.
    ///
    /// # Errors
    /// [`EngineError::Statement`]
    pub fn all(account: &AccountRecord, names: &[(u32, DeviceNameRecord)]) -> Result<Vec<Self>, EngineError> {
        let statement = Statement::decode(&account.statement)?;
        let name = |id: u32| {
            let named = names.iter().find(|(named, record)| *named == id && !record.name.is_empty());
            named.map(|(_, record)| record.name.clone())
        };
        let devices = statement.devices().iter().map(|device| Self {
            device_id: device.device_id(),
            name: name(device.device_id()),
            primary: device.primary(),
            since: device.issued(),
            this_device: device.device_id() == account.device_id,
        });
        Ok(devices.collect())
    }
}

/// A blob that is to be put: its id, and what lies there.
type OwnBlob = Option<([u8; 32], Vec<u8>)>;

/// Does what the linking calls for, if there is one.
pub(super) fn tick(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    match transaction.load(&key::link())? {
        None => Ok(()),
        Some(LinkRecord::NewDevice(record)) => new_device::tick(transaction, record),
        Some(LinkRecord::Primary(record)) => primary::tick(transaction, record),
    }
}

/// The same where no person waits: only what must not be left undone, so that no listed device stays without its grant.
pub(super) fn tick_unattended(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    match transaction.load(&key::link())? {
        Some(LinkRecord::NewDevice(record)) if new_device::is_to_be_finished(&record) => {
            new_device::tick(transaction, record)
        }
        Some(LinkRecord::Primary(record)) if primary::is_to_be_finished(&record) => primary::tick(transaction, record),
        _ => Ok(()),
    }
}

/// A person has compared the digits.
pub(super) fn decide(transaction: &mut Transaction<'_>, agreed: bool) -> Result<(), Stop> {
    match transaction.load(&key::link())? {
        None => Err(EngineError::NoLinking.into()),
        Some(LinkRecord::NewDevice(record)) => new_device::decide(transaction, record, agreed),
        Some(LinkRecord::Primary(record)) => primary::decide(transaction, record, agreed),
    }
}

/// The server has answered.
pub(super) fn answered(
    transaction: &mut Transaction<'_>,
    request: &LinkRequest,
    result: &Result<Response, ErrorReply>,
) -> Result<(), Stop> {
    match transaction.load(&key::link())? {
        // What was put for a linking that is over has been deleted, or will run out.
        None => Ok(()),
        Some(LinkRecord::NewDevice(record)) => new_device::answered(transaction, record, request, result),
        Some(LinkRecord::Primary(record)) => primary::answered(transaction, record, request, result),
    }
}

/// Only this device's own clock is asked, and one that was set back or forth meanwhile ends the linking.
fn is_expired(transaction: &Transaction<'_>, begun: u64) -> bool {
    transaction.now.0.abs_diff(begun) > LINKING_VALID_MS
}

fn fail(transaction: &mut Transaction<'_>, problem: LinkProblem, seed: &Secret<32>, blobs: &[[u8; 32]]) {
    transaction.delete(&key::link());
    for blob_id in blobs {
        delete(transaction, seed, blob_id);
    }
    transaction.event(Event::LinkFailed(problem));
}

fn send(transaction: &mut Transaction<'_>, request: Request, link: LinkRequest) {
    transaction.send(Connection::Linking, request, Correlation::Link(link));
}

fn begin_blob(transaction: &mut Transaction<'_>, seed: &Secret<32>, blob_id: &[u8; 32], sealed: &[u8]) {
    let begin = BeginBlob {
        id: *blob_id,
        upload_secret: upload_secret(seed, blob_id),
        length: sealed.len() as u64,
        payment: Payment::None,
    };
    send(transaction, Request::BeginBlob(begin), LinkRequest::Begin(*blob_id));
}

fn put_blob(transaction: &mut Transaction<'_>, seed: &Secret<32>, blob_id: &[u8; 32], sealed: Vec<u8>) {
    let put = PutBlobPiece { id: *blob_id, upload_secret: upload_secret(seed, blob_id), index: 0, data: sealed };
    send(transaction, Request::PutBlobPiece(put), LinkRequest::Put(*blob_id));
}

fn fetch(transaction: &mut Transaction<'_>, blob_id: &[u8; 32]) {
    let length = medipeps_core::limits::LINKING_BLOB_LENGTH_MAX as u32;
    let request = FetchBlob { id: *blob_id, offset: 0, length };
    send(transaction, Request::FetchBlob(request), LinkRequest::Fetch(*blob_id));
}

fn delete(transaction: &mut Transaction<'_>, seed: &Secret<32>, blob_id: &[u8; 32]) {
    let request = DeleteBlob { id: *blob_id, upload_secret: upload_secret(seed, blob_id) };
    send(transaction, Request::DeleteBlob(request), LinkRequest::Delete(*blob_id));
}

/// What lies at the other side's place: `None` if nothing does, an error if that cannot be told now.
fn found(result: &Result<Response, ErrorReply>) -> Option<Option<&[u8]>> {
    match result {
        Ok(Response::FetchBlob(reply)) => Some(Some(&reply.data)),
        Err(error) if error.known_code() == Some(ErrorCode::UnknownBlob) => Some(None),
        _ => None,
    }
}

fn is_mismatch(result: &Result<Response, ErrorReply>) -> bool {
    matches!(result, Err(error) if error.known_code() == Some(ErrorCode::BlobMismatch))
}
