//! `spec/proto/client_records.proto`: what a client keeps in its store, before the store seals it.
//!
//! Everything that may hold a secret is encoded into [`Zeroizing`] bytes.

use prost::Message;
use zeroize::Zeroizing;

use super::{WireError, fixed, proto};
use crate::Address;
use crate::crypto::secret::Secret;

/// The account of this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its address.
    pub address: Address,
    /// Its display name.
    pub name: String,
    /// Its server, `HOST:PORT`.
    pub server: String,
    /// SHA-256 by which the server's key is known.
    pub server_key_hash: [u8; 32],
    /// Ed25519.
    pub account_key: Secret<32>,
    /// Ed25519.
    pub device_signing_key: Secret<32>,
    /// X25519.
    pub device_dh_key: Secret<32>,
    /// 1 and up.
    pub device_id: u32,
    /// An encoded `SignedStatement`.
    pub statement: Vec<u8>,
    /// The invitation's secret, until the server has confirmed the account.
    pub invitation: Option<Secret<16>>,
    /// The server has seen a later state of this device than the one that is stored.
    pub rolled_back: bool,
    /// Code with which the server refused the registration.
    pub refused: Option<String>,
}

/// The prekeys of a device that are one for all senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeySet {
    /// Of the signed prekey.
    pub signed_prekey_id: u32,
    /// Of the last-resort KEM prekey.
    pub last_resort_kem_prekey_id: u32,
    /// Of the seal prekey.
    pub seal_prekey_id: u32,
    /// Seconds since 1970.
    pub created: u64,
    /// Milliseconds since 1970; 0 for the current set.
    pub retired: u64,
}

/// What the device knows about the prekeys that it has published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrekeysRecord {
    /// What the server hands out now.
    pub current: PrekeySet,
    /// What it handed out before, newest first.
    pub retired: Vec<PrekeySet>,
    /// No id is ever used twice.
    pub next_id: u32,
    /// Of the last upload.
    pub sequence: u64,
    /// An encoded `SignedPrekeyUpload` that the server has not confirmed.
    pub pending_upload: Option<Vec<u8>>,
}

/// Another account whose key is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRecord {
    /// Its address.
    pub address: Address,
    /// An encoded `SignedStatement`, the newest accepted.
    pub statement: Vec<u8>,
    /// Milliseconds since 1970.
    pub added: u64,
    /// An encoded `SignedStatement` under another account key, not accepted.
    pub changed_statement: Option<Vec<u8>>,
}

/// Where the accounts of a domain are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRecord {
    /// `HOST:PORT`.
    pub endpoint: String,
    /// SHA-256 of the server's key, once it is pinned.
    pub server_key_hash: Option<[u8; 32]>,
}

/// How far a message has come on its way to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecipientState {
    /// In this store only.
    Queued,
    /// On the disk of the recipient's server.
    Accepted,
    /// In the recipient's store.
    Delivered,
    /// Shown to the recipient.
    Displayed,
    /// Given up; the code says why.
    Failed,
}

/// One recipient of a sent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientRecord {
    /// Who.
    pub address: Address,
    /// In copy, not a main recipient.
    pub copy: bool,
    /// How far.
    pub state: RecipientState,
    /// Why it failed, or what holds it up.
    pub code: Option<String>,
    /// When the state was reached, in milliseconds since 1970.
    pub at: u64,
}

/// What is known about the sender of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SenderCheck {
    /// Under the account key that the contact is pinned by.
    Checked,
    /// The sender's server has not been asked.
    Unchecked,
    /// The address belongs to another account key.
    Impostor,
}

/// What lists show of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// By this account.
    pub sent: bool,
    /// Chosen by the sender.
    pub content_id: [u8; 16],
    /// The id of the thread's first message.
    pub thread: [u8; 16],
    /// Whose message it is.
    pub sender: Address,
    /// The sender's device.
    pub sender_device: u32,
    /// As the sender wrote it.
    pub sender_name: String,
    /// A `Kind` or a number that this version does not know.
    pub kind: u32,
    /// Empty for kinds that have none.
    pub subject: String,
    /// Milliseconds since 1970, by the sender's clock.
    pub created: u64,
    /// Milliseconds since 1970, by the server's clock; 0 when sent.
    pub received: u64,
    /// Milliseconds since 1970; 0 if it has not been displayed.
    pub displayed: u64,
    /// Of a received message.
    pub sender_check: SenderCheck,
    /// The number of an `Urgency`.
    pub urgency: u32,
    /// Bits as in `Content`.
    pub receipts_wanted: u32,
    /// The same bits.
    pub receipts_sent: u32,
    /// How many.
    pub attachments: u32,
    /// Of a sent message.
    pub recipients: Vec<RecipientRecord>,
}

/// One message to one recipient, until the server has taken it or it has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// Of the content to send.
    pub content_id: [u8; 16],
    /// Who gets it.
    pub recipient: Address,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Set once it is encrypted.
    pub submission_id: Option<[u8; 16]>,
    /// Since something last went well.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
    /// The recipient's devices must be asked for before encrypting.
    pub fetch_prekeys: bool,
    /// Code of what a person must decide first.
    pub blocked: Option<String>,
    /// A receipt, not a message of its own.
    pub receipt: bool,
}

/// A session and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The account at the other end.
    pub peer: Address,
    /// Its account key, Ed25519.
    pub peer_account_key: [u8; 32],
    /// Its device.
    pub peer_device: u32,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Milliseconds since 1970; 0 before the first message.
    pub last_received: u64,
    /// An encoded `SessionState`.
    pub state: Zeroizing<Vec<u8>>,
}

/// The sessions with one device (Sesame).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerDeviceRecord {
    /// The device.
    pub device_id: u32,
    /// The session to write with.
    pub active: Option<[u8; 16]>,
    /// Sessions that may still be written to by the other end, newest first.
    pub inactive: Vec<[u8; 16]>,
}

/// The sessions with all devices of one account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerRecord {
    /// Ascending by id.
    pub devices: Vec<PeerDeviceRecord>,
}

/// How far the device's queue has been worked off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueRecord {
    /// Of the server's store.
    pub incarnation: [u8; 16],
    /// The highest sequence committed.
    pub up_to: u64,
    /// Envelopes that could not be read, ever.
    pub undecryptable: u64,
    /// Messages that came again, ever.
    pub duplicates: u64,
    /// Messages that the server dropped as too old, ever.
    pub expired: u64,
}

/// A sender of a first flight who is no contact and whose server has not been asked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnconfirmedSenderRecord {
    /// As the first flight has it.
    pub address: Address,
    /// An encoded `SignedStatement`, as the first flight carried it.
    pub statement: Vec<u8>,
    /// Local ids of what came.
    pub messages: Vec<[u8; 16]>,
    /// How often the server was asked in vain.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub next_attempt: u64,
}

/// An envelope that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecryptableRecord {
    /// Its number in the queue.
    pub sequence: u64,
    /// Milliseconds since 1970, by the server's clock.
    pub received: u64,
    /// A stable code.
    pub reason: String,
    /// The sender's address, where it is known.
    pub sender: Option<Address>,
}

impl AccountRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let record = proto::ClientAccount {
            address: self.address.to_string(),
            name: self.name.clone(),
            server: self.server.clone(),
            server_key_hash: self.server_key_hash.to_vec(),
            account_key: self.account_key.as_bytes().to_vec(),
            device_signing_key: self.device_signing_key.as_bytes().to_vec(),
            device_dh_key: self.device_dh_key.as_bytes().to_vec(),
            device_id: self.device_id,
            statement: self.statement.clone(),
            invitation: self.invitation.as_ref().map(|secret| secret.as_bytes().to_vec()).unwrap_or_default(),
            rolled_back: self.rolled_back,
            refused: self.refused.clone().unwrap_or_default(),
        };
        let encoded = Zeroizing::new(record.encode_to_vec());
        for secret in [record.account_key, record.device_signing_key, record.device_dh_key, record.invitation] {
            drop(Zeroizing::new(secret));
        }
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientAccount::decode(bytes)?;
        let invitation = Zeroizing::new(record.invitation);
        Ok(Self {
            address: address(&record.address)?,
            name: record.name,
            server: record.server,
            server_key_hash: fixed(&record.server_key_hash, "server_key_hash")?,
            account_key: secret(record.account_key, "account_key")?,
            device_signing_key: secret(record.device_signing_key, "device_signing_key")?,
            device_dh_key: secret(record.device_dh_key, "device_dh_key")?,
            device_id: record.device_id,
            statement: record.statement,
            invitation: match invitation.len() {
                0 => None,
                _ => Some(Secret::from_slice(&invitation).ok_or(WireError::Bounds("invitation"))?),
            },
            rolled_back: record.rolled_back,
            refused: text(record.refused),
        })
    }
}

impl PrekeySet {
    const fn encode(self) -> proto::ClientPrekeySet {
        proto::ClientPrekeySet {
            signed_prekey_id: self.signed_prekey_id,
            last_resort_kem_prekey_id: self.last_resort_kem_prekey_id,
            seal_prekey_id: self.seal_prekey_id,
            created: self.created,
            retired: self.retired,
        }
    }

    const fn decode(set: proto::ClientPrekeySet) -> Self {
        Self {
            signed_prekey_id: set.signed_prekey_id,
            last_resort_kem_prekey_id: set.last_resort_kem_prekey_id,
            seal_prekey_id: set.seal_prekey_id,
            created: set.created,
            retired: set.retired,
        }
    }
}

impl PrekeysRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientPrekeys {
            current: Some(self.current.encode()),
            retired: self.retired.iter().map(|set| set.encode()).collect(),
            next_id: self.next_id,
            sequence: self.sequence,
            pending_upload: self.pending_upload.clone().unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientPrekeys::decode(bytes)?;
        Ok(Self {
            current: PrekeySet::decode(record.current.ok_or(WireError::Missing("current"))?),
            retired: record.retired.into_iter().map(PrekeySet::decode).collect(),
            next_id: record.next_id,
            sequence: record.sequence,
            pending_upload: some_bytes(record.pending_upload),
        })
    }
}

impl ContactRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientContact {
            address: self.address.to_string(),
            statement: self.statement.clone(),
            added: self.added,
            changed_statement: self.changed_statement.clone().unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientContact::decode(bytes)?;
        Ok(Self {
            address: address(&record.address)?,
            statement: record.statement,
            added: record.added,
            changed_statement: some_bytes(record.changed_statement),
        })
    }
}

impl ServerRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientServer {
            endpoint: self.endpoint.clone(),
            server_key_hash: self.server_key_hash.map(|hash| hash.to_vec()).unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientServer::decode(bytes)?;
        let hash = some_bytes(record.server_key_hash).map(|hash| fixed(&hash, "server_key_hash"));
        Ok(Self { endpoint: record.endpoint, server_key_hash: hash.transpose()? })
    }
}

impl RecipientState {
    const fn encode(self) -> i32 {
        use proto::ClientRecipientState as S;
        let state = match self {
            Self::Queued => S::Queued,
            Self::Accepted => S::Accepted,
            Self::Delivered => S::Delivered,
            Self::Displayed => S::Displayed,
            Self::Failed => S::Failed,
        };
        state as i32
    }

    fn decode(number: i32) -> Result<Self, WireError> {
        use proto::ClientRecipientState as S;
        Ok(match S::try_from(number) {
            Ok(S::Queued) => Self::Queued,
            Ok(S::Accepted) => Self::Accepted,
            Ok(S::Delivered) => Self::Delivered,
            Ok(S::Displayed) => Self::Displayed,
            Ok(S::Failed) => Self::Failed,
            Ok(S::Unspecified) | Err(_) => return Err(WireError::Bounds("state")),
        })
    }
}

impl RecipientRecord {
    fn encode(&self) -> proto::ClientRecipient {
        proto::ClientRecipient {
            address: self.address.to_string(),
            copy: self.copy,
            state: self.state.encode(),
            code: self.code.clone().unwrap_or_default(),
            at: self.at,
        }
    }

    fn decode(recipient: proto::ClientRecipient) -> Result<Self, WireError> {
        Ok(Self {
            address: address(&recipient.address)?,
            copy: recipient.copy,
            state: RecipientState::decode(recipient.state)?,
            code: text(recipient.code),
            at: recipient.at,
        })
    }
}

impl SenderCheck {
    const fn encode(self) -> i32 {
        use proto::ClientSenderCheck as C;
        let check = match self {
            Self::Checked => C::Checked,
            Self::Unchecked => C::Unchecked,
            Self::Impostor => C::Impostor,
        };
        check as i32
    }

    fn decode(number: i32) -> Result<Self, WireError> {
        use proto::ClientSenderCheck as C;
        Ok(match C::try_from(number) {
            Ok(C::Checked) => Self::Checked,
            Ok(C::Unchecked) => Self::Unchecked,
            Ok(C::Impostor) => Self::Impostor,
            Ok(C::Unspecified) | Err(_) => return Err(WireError::Bounds("sender_check")),
        })
    }
}

impl MessageRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientMessage {
            sent: self.sent,
            content_id: self.content_id.to_vec(),
            thread: self.thread.to_vec(),
            sender: self.sender.to_string(),
            sender_device: self.sender_device,
            sender_name: self.sender_name.clone(),
            kind: self.kind,
            subject: self.subject.clone(),
            created: self.created,
            received: self.received,
            displayed: self.displayed,
            sender_check: self.sender_check.encode(),
            urgency: self.urgency,
            receipts_wanted: self.receipts_wanted,
            receipts_sent: self.receipts_sent,
            attachments: self.attachments,
            recipients: self.recipients.iter().map(RecipientRecord::encode).collect(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientMessage::decode(bytes)?;
        Ok(Self {
            sent: record.sent,
            content_id: fixed(&record.content_id, "content_id")?,
            thread: fixed(&record.thread, "thread")?,
            sender: address(&record.sender)?,
            sender_device: record.sender_device,
            sender_name: record.sender_name,
            kind: record.kind,
            subject: record.subject,
            created: record.created,
            received: record.received,
            displayed: record.displayed,
            sender_check: SenderCheck::decode(record.sender_check)?,
            urgency: record.urgency,
            receipts_wanted: record.receipts_wanted,
            receipts_sent: record.receipts_sent,
            attachments: record.attachments,
            recipients: record.recipients.into_iter().map(RecipientRecord::decode).collect::<Result<_, _>>()?,
        })
    }
}

impl OutboxRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientOutboxEntry {
            content_id: self.content_id.to_vec(),
            recipient: self.recipient.to_string(),
            created: self.created,
            submission_id: self.submission_id.map(|id| id.to_vec()).unwrap_or_default(),
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            fetch_prekeys: self.fetch_prekeys,
            blocked: self.blocked.clone().unwrap_or_default(),
            receipt: self.receipt,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOutboxEntry::decode(bytes)?;
        Ok(Self {
            content_id: fixed(&record.content_id, "content_id")?,
            recipient: address(&record.recipient)?,
            created: record.created,
            submission_id: optional_id(&record.submission_id, "submission_id")?,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
            fetch_prekeys: record.fetch_prekeys,
            blocked: text(record.blocked),
            receipt: record.receipt,
        })
    }
}

impl SessionRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let record = proto::ClientSession {
            peer: self.peer.to_string(),
            peer_account_key: self.peer_account_key.to_vec(),
            peer_device: self.peer_device,
            created: self.created,
            last_received: self.last_received,
            state: self.state.to_vec(),
        };
        let encoded = Zeroizing::new(record.encode_to_vec());
        drop(Zeroizing::new(record.state));
        encoded
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientSession::decode(bytes)?;
        Ok(Self {
            state: Zeroizing::new(record.state),
            peer: address(&record.peer)?,
            peer_account_key: fixed(&record.peer_account_key, "peer_account_key")?,
            peer_device: record.peer_device,
            created: record.created,
            last_received: record.last_received,
        })
    }
}

impl PeerRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let devices = self.devices.iter().map(|device| proto::ClientPeerDevice {
            device_id: device.device_id,
            active: device.active.map(|id| id.to_vec()).unwrap_or_default(),
            inactive: device.inactive.iter().map(|id| id.to_vec()).collect(),
        });
        proto::ClientPeer { devices: devices.collect() }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientPeer::decode(bytes)?;
        let device = |device: proto::ClientPeerDevice| {
            Ok::<_, WireError>(PeerDeviceRecord {
                device_id: device.device_id,
                active: optional_id(&device.active, "active")?,
                inactive: ids(&device.inactive, "inactive")?,
            })
        };
        Ok(Self { devices: record.devices.into_iter().map(device).collect::<Result<_, _>>()? })
    }
}

impl QueueRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientQueue {
            incarnation: self.incarnation.to_vec(),
            up_to: self.up_to,
            undecryptable: self.undecryptable,
            duplicates: self.duplicates,
            expired: self.expired,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientQueue::decode(bytes)?;
        Ok(Self {
            incarnation: fixed(&record.incarnation, "incarnation")?,
            up_to: record.up_to,
            undecryptable: record.undecryptable,
            duplicates: record.duplicates,
            expired: record.expired,
        })
    }
}

impl UnconfirmedSenderRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientUnconfirmedSender {
            address: self.address.to_string(),
            statement: self.statement.clone(),
            messages: self.messages.iter().map(|id| id.to_vec()).collect(),
            attempts: self.attempts,
            next_attempt: self.next_attempt,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientUnconfirmedSender::decode(bytes)?;
        Ok(Self {
            address: address(&record.address)?,
            statement: record.statement,
            messages: ids(&record.messages, "messages")?,
            attempts: record.attempts,
            next_attempt: record.next_attempt,
        })
    }
}

impl UndecryptableRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientUndecryptable {
            sequence: self.sequence,
            received: self.received,
            reason: self.reason.clone(),
            sender: self.sender.as_ref().map(Address::to_string).unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientUndecryptable::decode(bytes)?;
        let sender = text(record.sender).map(|sender| address(&sender));
        Ok(Self {
            sequence: record.sequence,
            received: record.received,
            reason: record.reason,
            sender: sender.transpose()?,
        })
    }
}

fn address(text: &str) -> Result<Address, WireError> {
    Address::from_canonical(text).map_err(|_| WireError::Bounds("address"))
}

fn secret<const N: usize>(bytes: Vec<u8>, field: &'static str) -> Result<Secret<N>, WireError> {
    Secret::from_slice(&Zeroizing::new(bytes)).ok_or(WireError::Bounds(field))
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn some_bytes(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then_some(bytes)
}

fn optional_id(bytes: &[u8], field: &'static str) -> Result<Option<[u8; 16]>, WireError> {
    if bytes.is_empty() { Ok(None) } else { fixed(bytes, field).map(Some) }
}

fn ids(list: &[Vec<u8>], field: &'static str) -> Result<Vec<[u8; 16]>, WireError> {
    list.iter().map(|id| fixed(id, field)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(invitation: Option<Secret<16>>) -> AccountRecord {
        AccountRecord {
            address: "claire@clinic.example".parse().unwrap(),
            name: "Claire Martin".into(),
            server: "127.0.0.1:4433".into(),
            server_key_hash: [1; 32],
            account_key: Secret::from([2; 32]),
            device_signing_key: Secret::from([3; 32]),
            device_dh_key: Secret::from([4; 32]),
            device_id: 1,
            statement: vec![5],
            invitation,
            rolled_back: true,
            refused: Some("AddressTaken".into()),
        }
    }

    #[test]
    fn records_come_back_as_they_were_stored() {
        for record in [account(None), account(Some(Secret::from([6; 16])))] {
            assert_eq!(AccountRecord::decode(&record.encode()), Ok(record));
        }
        let set =
            PrekeySet { signed_prekey_id: 1, last_resort_kem_prekey_id: 2, seal_prekey_id: 3, created: 4, retired: 5 };
        let record = PrekeysRecord {
            current: PrekeySet { retired: 0, ..set },
            retired: vec![set],
            next_id: 9,
            sequence: 2,
            pending_upload: Some(vec![7]),
        };
        assert_eq!(PrekeysRecord::decode(&record.encode()), Ok(record));
        let address: Address = "a@b".parse().unwrap();
        let record = MessageRecord {
            sent: true,
            content_id: [1; 16],
            thread: [2; 16],
            sender: address.clone(),
            sender_device: 1,
            sender_name: "A".into(),
            kind: 1,
            subject: "S".into(),
            created: 3,
            received: 0,
            displayed: 4,
            sender_check: SenderCheck::Impostor,
            urgency: 2,
            receipts_wanted: 3,
            receipts_sent: 1,
            attachments: 1,
            recipients: vec![RecipientRecord {
                address: address.clone(),
                copy: true,
                state: RecipientState::Failed,
                code: Some("unknown_account".into()),
                at: 6,
            }],
        };
        assert_eq!(MessageRecord::decode(&record.encode()), Ok(record));
        let record = OutboxRecord {
            content_id: [1; 16],
            recipient: address.clone(),
            created: 1,
            submission_id: None,
            attempts: 2,
            next_attempt: 3,
            fetch_prekeys: true,
            blocked: None,
            receipt: true,
        };
        assert_eq!(OutboxRecord::decode(&record.encode()), Ok(record));
        let record = SessionRecord {
            peer: address,
            peer_account_key: [1; 32],
            peer_device: 2,
            created: 3,
            last_received: 4,
            state: Zeroizing::new(vec![5]),
        };
        assert_eq!(SessionRecord::decode(&record.encode()), Ok(record));
        let device = PeerDeviceRecord { device_id: 1, active: Some([1; 16]), inactive: vec![[2; 16]] };
        let record = PeerRecord { devices: vec![device] };
        assert_eq!(PeerRecord::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn damaged_records_are_refused_by_field() {
        let record =
            PeerRecord { devices: vec![PeerDeviceRecord { device_id: 1, active: None, inactive: vec![[2; 16]] }] };
        let mut bytes = record.encode();
        bytes.pop();
        assert_eq!(PeerRecord::decode(&bytes), Err(WireError::Protobuf));
        let queue = proto::ClientQueue { incarnation: vec![1; 15], ..Default::default() };
        assert_eq!(QueueRecord::decode(&queue.encode_to_vec()), Err(WireError::Bounds("incarnation")));
    }
}
