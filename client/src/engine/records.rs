//! The records of the store: their classes, names and types. `spec/client-engine.md`, section "Records".

use std::marker::PhantomData;

use medipeps_core::Address;
use medipeps_core::attachment::DIGEST_LENGTH;
use medipeps_core::crypto::dh::DhSecretKey;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::{kem, x_wing};
use medipeps_core::envelope::HintKey;
use medipeps_core::organisation::OrganisationId;
use medipeps_core::wire::WireError;
use medipeps_core::wire::client_records::{
    AccountRecord, AdministratorKeyRecord, AgendaRecord, BodyFetchRecord, BreakGlassRecord, ContactRecord,
    DeviceNameRecord, GroupDepartureRecord, GroupInvitationRecord, GroupJoinRecord, GroupMessageRecord,
    GroupOutboxRecord, GroupRecord, GroupRosterRecord, GroupWakeRecord, KeptEnvelopeRecord, KeyPackagesRecord,
    KnownDevicesRecord, LinkRecord, MailboxRecord, MessageRecord, OrganisationArrivalRecord, OrganisationDraftRecord,
    OrganisationMemberRecord, OrganisationRecord, OutboxRecord, OwedRecord, OwnStatementRecord, PeerRecord,
    PrekeysRecord, QueueRecord, RestoreRecord, ServerRecord, SessionRecord, SettingsRecord, SyncPendingRecord,
    UnconfirmedRecord, UnconfirmedSenderRecord, UndecryptableRecord, UploadRecord, WakeRecord,
};
use zeroize::Zeroizing;

use crate::store::RecordKey;

/// The classes of records.
pub mod class {
    use crate::store::RecordClass;

    /// The account of the store; one record.
    pub const ACCOUNT: RecordClass = RecordClass::account(1);
    /// Contacts, by address.
    pub const CONTACT: RecordClass = RecordClass::account(2);
    /// Servers of other domains, by domain.
    pub const SERVER: RecordClass = RecordClass::account(3);
    /// What lists show of messages, by local id.
    pub const MESSAGE: RecordClass = RecordClass::account(4);
    /// Contents of messages and of receipts that wait, by local id.
    pub const CONTENT: RecordClass = RecordClass::account(5);
    /// What is to be sent, by content id and recipient.
    pub const OUTBOX: RecordClass = RecordClass::account(6);
    /// Encoded submissions that wait for the server's answer, by submission id.
    pub const SUBMISSION: RecordClass = RecordClass::account(7);
    /// Which messages have come, by sender, account key and content id.
    pub const RECEIVED: RecordClass = RecordClass::account(8);
    /// How far the queue has been worked off; one record.
    pub const QUEUE: RecordClass = RecordClass::account(9);
    /// Senders whose server has not been asked yet, by address and account key.
    pub const UNCONFIRMED_SENDER: RecordClass = RecordClass::account(10);
    /// The last envelopes that could not be read, by number modulo their limit.
    pub const UNDECRYPTABLE: RecordClass = RecordClass::account(11);
    /// What is on its way to the account's own server, by blob id.
    pub const UPLOAD: RecordClass = RecordClass::account(12);
    /// Digests of the parts of uploads, by blob id and number.
    pub const UPLOAD_PART: RecordClass = RecordClass::account(13);
    /// Bodies that have not been fetched yet, by local id.
    pub const BODY_FETCH: RecordClass = RecordClass::account(14);
    /// Messages that have left and are not confirmed, by content id and recipient.
    pub const UNCONFIRMED: RecordClass = RecordClass::account(15);
    /// What is owed to checked contacts, by address.
    pub const OWED: RecordClass = RecordClass::account(16);
    /// Envelopes of no session, by the number under which they were noted as undecryptable.
    pub const KEPT_ENVELOPE: RecordClass = RecordClass::account(17);
    /// A change of the account's devices that the server has not confirmed; one record.
    pub const OWN_STATEMENT: RecordClass = RecordClass::account(20);
    /// When to look for what is due; one record.
    pub const AGENDA: RecordClass = RecordClass::account(30);
    /// A linking that is under way; one record.
    pub const LINK: RecordClass = RecordClass::account(18);
    /// What the owner calls the account's devices, by device id.
    pub const DEVICE_NAME: RecordClass = RecordClass::account(19);
    /// What is to be told to the account's other devices, and what they told too early.
    pub const SYNC_PENDING: RecordClass = RecordClass::account(21);
    /// A restore that is not done; one record.
    pub const RESTORE: RecordClass = RecordClass::account(22);
    /// What was said in groups, by log id and number.
    pub const GROUP_MESSAGE: RecordClass = RecordClass::account(23);
    /// What is to be said in groups, by log id and content id.
    pub const GROUP_OUTBOX: RecordClass = RecordClass::account(24);
    /// Which messages of groups are here, by log id, content id and sender.
    pub const GROUP_RECEIVED: RecordClass = RecordClass::account(26);
    /// Who is in groups, by log id.
    pub const GROUP_ROSTER: RecordClass = RecordClass::account(25);
    /// Certificates of devices that have said something in a group, by their signing keys.
    pub const DEVICE_CERTIFICATE: RecordClass = RecordClass::account(31);
    /// Whom a person has blocked and what he has muted; one record.
    pub const SETTINGS: RecordClass = RecordClass::account(32);
    /// What time it was when a server last said, by domain.
    pub const SERVER_TIME: RecordClass = RecordClass::account(35);
    /// Which messages of groups wait for their uploads, by content id.
    pub const GROUP_UPLOAD: RecordClass = RecordClass::account(37);
    /// Which messages of groups end by themselves, by log id, time and number.
    pub const GROUP_EXPIRY: RecordClass = RecordClass::account(36);
    /// Which number a message of a group has, by log id and content id.
    pub const GROUP_NUMBER: RecordClass = RecordClass::account(38);
    /// Up to where the members of groups have read, by log id and address.
    pub const GROUP_READ: RecordClass = RecordClass::account(39);
    /// Organisations, by id.
    pub const ORGANISATION: RecordClass = RecordClass::account(40);
    /// Statements of organisations, encoded, by id and version.
    pub const ORGANISATION_STATEMENT: RecordClass = RecordClass::account(41);
    /// Other members of organisations, by organisation and address.
    pub const ORGANISATION_MEMBER: RecordClass = RecordClass::account(42);
    /// What administrators are to sign, by draft id.
    pub const ORGANISATION_DRAFT: RecordClass = RecordClass::account(43);
    /// Messages about organisations that are not whole, or not of a checked sender, by digest, account key and address.
    pub const ORGANISATION_ARRIVAL: RecordClass = RecordClass::account(44);
    /// Access in emergencies, by organisation and request.
    pub const BREAK_GLASS: RecordClass = RecordClass::account(45);
    /// Keys with which this person administers organisations, by public key.
    pub const ADMINISTRATOR_KEY: RecordClass = RecordClass::state(22);
    /// Where this device is woken for its groups; one record.
    pub const WAKE: RecordClass = RecordClass::account(46);
    /// The group whose mailbox this account is; one record.
    pub const MAILBOX: RecordClass = RecordClass::account(47);
    /// Mails that are to be posted into it, by local id.
    pub const MAILBOX_WAITING: RecordClass = RecordClass::account(48);
    /// Mails that were, by local id.
    pub const MAILBOX_POSTED: RecordClass = RecordClass::account(49);
    /// Messages of groups that an owner wrote, by log id and number.
    pub const GROUP_OWNER_SAID: RecordClass = RecordClass::account(50);
    /// Who went out of groups, by log id and the sequence of the commit.
    pub const GROUP_DEPARTURE: RecordClass = RecordClass::account(51);
    /// What servers of groups were told of that, by log id.
    pub const GROUP_WAKE: RecordClass = RecordClass::state(27);
    /// Sessions, by id.
    pub const SESSION: RecordClass = RecordClass::state(1);
    /// Hint keys of sessions, by session id.
    pub const HINT: RecordClass = RecordClass::packed_state(2);
    /// Which sessions there are with the devices of a peer, by address and account key.
    pub const PEER: RecordClass = RecordClass::state(3);
    /// Which prekeys are published; one record.
    pub const PREKEYS: RecordClass = RecordClass::state(4);
    /// Private signed and one-time prekeys (X25519), by id.
    pub const DH_PREKEY: RecordClass = RecordClass::state(5);
    /// Private KEM prekeys (ML-KEM-1024), one-time and last-resort, by id.
    pub const KEM_PREKEY: RecordClass = RecordClass::state(6);
    /// Private seal prekeys (X-Wing), by id.
    pub const SEAL_PREKEY: RecordClass = RecordClass::state(7);
    /// First flights that used a last-resort prekey, by KEM prekey id, signed prekey id and ephemeral key.
    pub const LAST_RESORT_USE: RecordClass = RecordClass::state(8);
    /// Groups, by log id.
    pub const GROUP: RecordClass = RecordClass::state(9);
    /// What MLS keeps of groups, by log id and name.
    pub const GROUP_STATE: RecordClass = RecordClass::state(10);
    /// Private parts of key packages, by KeyPackageRef.
    pub const KEY_PACKAGE: RecordClass = RecordClass::state(11);
    /// Pieces of an invitation that is being sent or fetched, by log id, epoch and number.
    pub const GROUP_INVITATION_PIECE: RecordClass = RecordClass::state(12);
    /// Which key packages are published; one record.
    pub const KEY_PACKAGES: RecordClass = RecordClass::state(13);
    /// Invitations to groups that are not sent yet, by log id and epoch.
    pub const GROUP_INVITATION: RecordClass = RecordClass::state(14);
    /// Invitations that are being fetched, by log id.
    pub const GROUP_JOIN: RecordClass = RecordClass::state(15);
    /// Seeds of the access keys of the epochs that are read, by log id.
    pub const GROUP_ACCESS: RecordClass = RecordClass::state(16);
}

/// A record's value.
pub trait Record: Sized {
    /// Its bytes.
    fn encode(&self) -> Zeroizing<Vec<u8>>;

    /// Reads it.
    ///
    /// # Errors
    /// [`WireError`]
    fn decode(bytes: &[u8]) -> Result<Self, WireError>;
}

/// Which record, with the type of its value.
#[derive(Debug)]
pub struct Key<T> {
    record: RecordKey,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// As the store knows it.
    #[must_use]
    pub const fn record(&self) -> &RecordKey {
        &self.record
    }

    /// Its name in its class.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.record.name
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        Self::from(self.record.clone())
    }
}

impl<T> From<RecordKey> for Key<T> {
    fn from(record: RecordKey) -> Self {
        Self { record, value: PhantomData }
    }
}

/// The names of records.
pub mod key {
    use super::{
        AccountRecord, Address, AdministratorKeyRecord, AgendaRecord, BodyFetchRecord, BreakGlassRecord, Bytes,
        ContactRecord, DeviceNameRecord, DhSecretKey, GroupDepartureRecord, GroupInvitationRecord, GroupJoinRecord,
        GroupMessageRecord, GroupOutboxRecord, GroupRecord, GroupRosterRecord, GroupWakeRecord, HintKeys,
        KeptEnvelopeRecord, Key, KeyPackagesRecord, KnownDevicesRecord, LinkRecord, MailboxRecord, MessageRecord,
        OrganisationArrivalRecord, OrganisationDraftRecord, OrganisationId, OrganisationMemberRecord,
        OrganisationRecord, OutboxRecord, OwedRecord, OwnStatementRecord, PartDigest, PeerRecord, PrekeysRecord,
        QueueRecord, RecordKey, RestoreRecord, ServerRecord, SessionRecord, SettingsRecord, SyncPendingRecord,
        UnconfirmedRecord, UnconfirmedSenderRecord, UndecryptableRecord, UploadRecord, WakeRecord, class, kem, x_wing,
    };

    fn key<T>(class: crate::store::RecordClass, name: impl Into<Vec<u8>>) -> Key<T> {
        Key::from(RecordKey::new(class, name))
    }

    /// The account.
    #[must_use]
    pub fn account() -> Key<AccountRecord> {
        key(class::ACCOUNT, *b"account")
    }

    /// The change of the account's devices.
    #[must_use]
    pub fn own_statement() -> Key<OwnStatementRecord> {
        key(class::OWN_STATEMENT, *b"statement")
    }

    /// A contact.
    #[must_use]
    pub fn contact(address: &Address) -> Key<ContactRecord> {
        key(class::CONTACT, address.as_str())
    }

    /// The server of another domain.
    #[must_use]
    pub fn server(domain: &str) -> Key<ServerRecord> {
        key(class::SERVER, domain)
    }

    /// A message as lists show it.
    #[must_use]
    pub fn message(id: &[u8; 16]) -> Key<MessageRecord> {
        key(class::MESSAGE, *id)
    }

    /// An encoded `Content`.
    #[must_use]
    pub fn content(id: &[u8; 16]) -> Key<Bytes> {
        key(class::CONTENT, *id)
    }

    /// Something to be sent.
    #[must_use]
    pub fn outbox(content_id: &[u8; 16], recipient: &Address) -> Key<OutboxRecord> {
        key(class::OUTBOX, [content_id, recipient.as_str().as_bytes()].concat())
    }

    /// An encoded `Request` that submits.
    #[must_use]
    pub fn submission(id: &[u8; 16]) -> Key<Bytes> {
        key(class::SUBMISSION, *id)
    }

    /// Set when a message has come; the value is its local id.
    #[must_use]
    pub fn received(sender: &Address, account_key: &[u8; 32], content_id: &[u8; 16]) -> Key<Bytes> {
        key(class::RECEIVED, [account_key.as_slice(), content_id, sender.as_str().as_bytes()].concat())
    }

    /// The queue.
    #[must_use]
    pub fn queue() -> Key<QueueRecord> {
        key(class::QUEUE, *b"queue")
    }

    /// A sender who has not been checked.
    #[must_use]
    pub fn unconfirmed_sender(address: &Address, account_key: &[u8; 32]) -> Key<UnconfirmedSenderRecord> {
        key(class::UNCONFIRMED_SENDER, [account_key, address.as_str().as_bytes()].concat())
    }

    /// An envelope that could not be read.
    #[must_use]
    pub fn undecryptable(place: u64) -> Key<UndecryptableRecord> {
        key(class::UNDECRYPTABLE, place.to_be_bytes())
    }

    /// Something on its way to the account's own server.
    #[must_use]
    pub fn upload(blob_id: &[u8; 32]) -> Key<UploadRecord> {
        key(class::UPLOAD, *blob_id)
    }

    /// The digest of a part of it.
    #[must_use]
    pub fn upload_part(blob_id: &[u8; 32], part: u32) -> Key<PartDigest> {
        key(class::UPLOAD_PART, [blob_id.as_slice(), &part.to_be_bytes()].concat())
    }

    /// A body that has not been fetched yet.
    #[must_use]
    pub fn body_fetch(id: &[u8; 16]) -> Key<BodyFetchRecord> {
        key(class::BODY_FETCH, *id)
    }

    /// A message that has left and is not confirmed.
    #[must_use]
    pub fn unconfirmed(content_id: &[u8; 16], recipient: &Address) -> Key<UnconfirmedRecord> {
        key(class::UNCONFIRMED, [content_id, recipient.as_str().as_bytes()].concat())
    }

    /// What is owed to a contact.
    #[must_use]
    pub fn owed(address: &Address) -> Key<OwedRecord> {
        key(class::OWED, address.as_str())
    }

    /// An envelope of no session.
    #[must_use]
    pub fn kept_envelope(number: u64) -> Key<KeptEnvelopeRecord> {
        key(class::KEPT_ENVELOPE, number.to_be_bytes())
    }

    /// When to look for what is due.
    #[must_use]
    pub fn agenda() -> Key<AgendaRecord> {
        key(class::AGENDA, *b"agenda")
    }

    /// The linking.
    #[must_use]
    pub fn link() -> Key<LinkRecord> {
        key(class::LINK, *b"link")
    }

    /// What a device is called.
    #[must_use]
    pub fn device_name(device_id: u32) -> Key<DeviceNameRecord> {
        key(class::DEVICE_NAME, device_id.to_be_bytes())
    }

    /// What is to be told to the account's other devices.
    #[must_use]
    pub fn sync_out() -> Key<SyncPendingRecord> {
        key(class::SYNC_PENDING, *b"out")
    }

    /// What they told of messages that are not here yet.
    #[must_use]
    pub fn sync_early() -> Key<SyncPendingRecord> {
        key(class::SYNC_PENDING, *b"early")
    }

    /// Those that have been told of all contacts.
    #[must_use]
    pub fn known_devices() -> Key<KnownDevicesRecord> {
        key(class::SYNC_PENDING, *b"known")
    }

    /// The restore that is not done.
    #[must_use]
    pub fn restore() -> Key<RestoreRecord> {
        key(class::RESTORE, *b"restore")
    }

    /// A group.
    #[must_use]
    pub fn group(log_id: &[u8; 32]) -> Key<GroupRecord> {
        key(class::GROUP, *log_id)
    }

    /// A part of what MLS keeps of a group.
    #[must_use]
    pub fn group_state(log_id: &[u8; 32], name: &[u8]) -> Key<Bytes> {
        key(class::GROUP_STATE, [log_id.as_slice(), name].concat())
    }

    /// What was said in a group.
    #[must_use]
    pub fn group_message(log_id: &[u8; 32], number: u64) -> Key<GroupMessageRecord> {
        key(class::GROUP_MESSAGE, [log_id.as_slice(), &number.to_be_bytes()].concat())
    }

    /// What is to be said in a group.
    #[must_use]
    pub fn group_outbox(log_id: &[u8; 32], content_id: &[u8; 16]) -> Key<GroupOutboxRecord> {
        key(class::GROUP_OUTBOX, [log_id.as_slice(), content_id].concat())
    }

    /// Set when a message of a group is here; the value is its number, 8 bytes.
    #[must_use]
    pub fn group_received(log_id: &[u8; 32], sender: &Address, content_id: &[u8; 16]) -> Key<Bytes> {
        key(class::GROUP_RECEIVED, [log_id.as_slice(), content_id, sender.as_str().as_bytes()].concat())
    }

    /// The certificate of a device that has said something in a group: an encoded `SignedDeviceCertificate`.
    #[must_use]
    pub fn device_certificate(device_key: &[u8; 32]) -> Key<Bytes> {
        key(class::DEVICE_CERTIFICATE, *device_key)
    }

    /// Whom a person has blocked and what he has muted.
    #[must_use]
    pub fn settings() -> Key<SettingsRecord> {
        key(class::SETTINGS, *b"settings")
    }

    /// The seed of a group's access key.
    #[must_use]
    pub fn group_access(log_id: &[u8; 32]) -> Key<Bytes> {
        key(class::GROUP_ACCESS, *log_id)
    }

    /// Who is in a group.
    #[must_use]
    pub fn group_roster(log_id: &[u8; 32]) -> Key<GroupRosterRecord> {
        key(class::GROUP_ROSTER, *log_id)
    }

    /// What time it was when a server last said: milliseconds since 1970, 8 bytes.
    #[must_use]
    pub fn server_time(domain: &str) -> Key<Bytes> {
        key(class::SERVER_TIME, domain)
    }

    /// The number of a message of a group, 8 bytes; of two of one content id the first one's.
    #[must_use]
    pub fn group_number(log_id: &[u8; 32], content_id: &[u8; 16]) -> Key<Bytes> {
        key(class::GROUP_NUMBER, [log_id.as_slice(), content_id].concat())
    }

    /// Up to where a member has read: number and time in milliseconds since 1970, 8 bytes each.
    #[must_use]
    pub fn group_read(log_id: &[u8; 32], address: &Address) -> Key<Bytes> {
        key(class::GROUP_READ, [log_id.as_slice(), address.as_str().as_bytes()].concat())
    }

    /// Set while a message of a group waits for its uploads; the value is log id and number, 40 bytes.
    #[must_use]
    pub fn group_upload(content_id: &[u8; 16]) -> Key<Bytes> {
        key(class::GROUP_UPLOAD, *content_id)
    }

    /// Set when a message of a group ends by itself; the value is empty.
    #[must_use]
    pub fn group_expiry(log_id: &[u8; 32], expires: u64, number: u64) -> Key<Bytes> {
        key(class::GROUP_EXPIRY, [log_id.as_slice(), &expires.to_be_bytes(), &number.to_be_bytes()].concat())
    }

    /// An invitation that is not sent yet.
    #[must_use]
    pub fn group_invitation(log_id: &[u8; 32], epoch: u64) -> Key<GroupInvitationRecord> {
        key(class::GROUP_INVITATION, [log_id.as_slice(), &epoch.to_be_bytes()].concat())
    }

    /// A piece of an invitation that is being sent or fetched.
    #[must_use]
    pub fn group_invitation_piece(log_id: &[u8; 32], epoch: u64, number: u32) -> Key<Bytes> {
        let place = [log_id.as_slice(), &epoch.to_be_bytes(), &number.to_be_bytes()].concat();
        key(class::GROUP_INVITATION_PIECE, place)
    }

    /// An invitation that is being fetched.
    #[must_use]
    pub fn group_join(log_id: &[u8; 32]) -> Key<GroupJoinRecord> {
        key(class::GROUP_JOIN, *log_id)
    }

    /// The group whose mailbox this account is.
    #[must_use]
    pub fn mailbox() -> Key<MailboxRecord> {
        key(class::MAILBOX, *b"mailbox")
    }

    /// Set while a mail is to be posted.
    #[must_use]
    pub fn mailbox_waiting(id: &[u8; 16]) -> Key<Bytes> {
        key(class::MAILBOX_WAITING, *id)
    }

    /// Set when a mail was posted, or never will be.
    #[must_use]
    pub fn mailbox_posted(id: &[u8; 16]) -> Key<Bytes> {
        key(class::MAILBOX_POSTED, *id)
    }

    /// Set when an owner of the group wrote a message.
    #[must_use]
    pub fn group_owner_said(log_id: &[u8; 32], number: u64) -> Key<Bytes> {
        key(class::GROUP_OWNER_SAID, [log_id.as_slice(), &number.to_be_bytes()].concat())
    }

    /// Who went out of a group with a commit.
    #[must_use]
    pub fn group_departure(log_id: &[u8; 32], sequence: u64) -> Key<GroupDepartureRecord> {
        key(class::GROUP_DEPARTURE, [log_id.as_slice(), &sequence.to_be_bytes()].concat())
    }

    /// Where this device is woken for its groups.
    #[must_use]
    pub fn wake() -> Key<WakeRecord> {
        key(class::WAKE, *b"wake")
    }

    /// What a group's server was told of that.
    #[must_use]
    pub fn group_wake(log_id: &[u8; 32]) -> Key<GroupWakeRecord> {
        key(class::GROUP_WAKE, *log_id)
    }

    /// The private part of a key package.
    #[must_use]
    pub fn key_package(reference: &[u8; 32]) -> Key<Bytes> {
        key(class::KEY_PACKAGE, *reference)
    }

    /// Which key packages are published.
    #[must_use]
    pub fn key_packages() -> Key<KeyPackagesRecord> {
        key(class::KEY_PACKAGES, *b"key packages")
    }

    /// An organisation.
    #[must_use]
    pub fn organisation(id: &OrganisationId) -> Key<OrganisationRecord> {
        key(class::ORGANISATION, id.0)
    }

    /// One of its statements, encoded.
    #[must_use]
    pub fn organisation_statement(id: &OrganisationId, version: u64) -> Key<Bytes> {
        key(class::ORGANISATION_STATEMENT, [id.0.as_slice(), &version.to_be_bytes()].concat())
    }

    /// Another member of it.
    #[must_use]
    pub fn organisation_member(id: &OrganisationId, address: &Address) -> Key<OrganisationMemberRecord> {
        key(class::ORGANISATION_MEMBER, [id.0.as_slice(), address.as_str().as_bytes()].concat())
    }

    /// Something that administrators are to sign.
    #[must_use]
    pub fn organisation_draft(draft_id: &[u8; 32]) -> Key<OrganisationDraftRecord> {
        key(class::ORGANISATION_DRAFT, *draft_id)
    }

    /// A message about an organisation that is not whole, or not of a checked sender.
    #[must_use]
    pub fn organisation_arrival(
        digest: &[u8; 32],
        sender: &Address,
        account_key: &[u8; 32],
    ) -> Key<OrganisationArrivalRecord> {
        key(class::ORGANISATION_ARRIVAL, [digest.as_slice(), account_key, sender.as_str().as_bytes()].concat())
    }

    /// Access in an emergency.
    #[must_use]
    pub fn break_glass(organisation: &OrganisationId, request: &[u8; 16]) -> Key<BreakGlassRecord> {
        key(class::BREAK_GLASS, [organisation.0.as_slice(), request].concat())
    }

    /// A key with which this person administers organisations.
    #[must_use]
    pub fn administrator_key(public: &[u8; 32]) -> Key<AdministratorKeyRecord> {
        key(class::ADMINISTRATOR_KEY, *public)
    }

    /// A session.
    #[must_use]
    pub fn session(id: &[u8; 16]) -> Key<SessionRecord> {
        key(class::SESSION, *id)
    }

    /// A session's hint keys.
    #[must_use]
    pub fn hints(id: &[u8; 16]) -> Key<HintKeys> {
        key(class::HINT, *id)
    }

    /// The sessions with a peer's devices.
    #[must_use]
    pub fn peer(address: &Address, account_key: &[u8; 32]) -> Key<PeerRecord> {
        key(class::PEER, [account_key, address.as_str().as_bytes()].concat())
    }

    /// What is published.
    #[must_use]
    pub fn prekeys() -> Key<PrekeysRecord> {
        key(class::PREKEYS, *b"prekeys")
    }

    /// A signed or one-time prekey.
    #[must_use]
    pub fn dh_prekey(id: u32) -> Key<DhSecretKey> {
        key(class::DH_PREKEY, id.to_be_bytes())
    }

    /// A one-time or last-resort KEM prekey.
    #[must_use]
    pub fn kem_prekey(id: u32) -> Key<kem::DecapsulationKey> {
        key(class::KEM_PREKEY, id.to_be_bytes())
    }

    /// A seal prekey.
    #[must_use]
    pub fn seal_prekey(id: u32) -> Key<x_wing::DecapsulationKey> {
        key(class::SEAL_PREKEY, id.to_be_bytes())
    }

    /// A first flight that used a last-resort prekey; the value is empty.
    #[must_use]
    pub fn last_resort_use(kem_prekey_id: u32, signed_prekey_id: u32, ephemeral_key: &[u8; 32]) -> Key<Bytes> {
        let ids = [kem_prekey_id.to_be_bytes(), signed_prekey_id.to_be_bytes()].concat();
        key(class::LAST_RESORT_USE, [ids.as_slice(), ephemeral_key].concat())
    }
}

/// A record that is bytes of another format.
pub type Bytes = Zeroizing<Vec<u8>>;

/// The digest of one part of an upload.
pub type PartDigest = [u8; DIGEST_LENGTH];

/// The hint keys of one session, 32 bytes each.
#[derive(Debug)]
pub struct HintKeys(pub Vec<HintKey>);

impl Record for Bytes {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        self.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Ok(Self::new(bytes.to_vec()))
    }
}

impl Record for PartDigest {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        bytes.try_into().map_err(|_| WireError::Bounds("part digest"))
    }
}

impl Record for HintKeys {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.0.len() * 32));
        for key in &self.0 {
            bytes.extend_from_slice(key.secret().as_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let key =
            |bytes: &[u8]| Secret::from_slice(bytes).map(HintKey::from_secret).ok_or(WireError::Bounds("hint key"));
        bytes.chunks(32).map(key).collect::<Result<_, _>>().map(Self)
    }
}

impl Record for DhSecretKey {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.to_secret().as_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Secret::from_slice(bytes).map(|secret| Self::from_secret(&secret)).ok_or(WireError::Bounds("prekey"))
    }
}

impl Record for kem::DecapsulationKey {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.seed().as_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Secret::from_slice(bytes).map(Self::from_seed).ok_or(WireError::Bounds("KEM prekey"))
    }
}

impl Record for x_wing::DecapsulationKey {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.seed().as_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Secret::from_slice(bytes).map(Self::from_seed).ok_or(WireError::Bounds("seal prekey"))
    }
}

macro_rules! wire_records {
    ($($record:ty),*) => {
        $(impl Record for $record {
            fn encode(&self) -> Zeroizing<Vec<u8>> {
                <$record>::encode(self).into()
            }

            fn decode(bytes: &[u8]) -> Result<Self, WireError> {
                <$record>::decode(bytes)
            }
        })*
    };
}

wire_records!(
    AdministratorKeyRecord,
    BreakGlassRecord,
    OrganisationArrivalRecord,
    OrganisationDraftRecord,
    OrganisationMemberRecord,
    OrganisationRecord,
    GroupInvitationRecord,
    GroupJoinRecord,
    GroupMessageRecord,
    GroupOutboxRecord,
    GroupRecord,
    GroupRosterRecord,
    GroupWakeRecord,
    WakeRecord,
    MailboxRecord,
    GroupDepartureRecord,
    KeyPackagesRecord,
    AccountRecord,
    DeviceNameRecord,
    LinkRecord,
    BodyFetchRecord,
    ContactRecord,
    ServerRecord,
    MessageRecord,
    OutboxRecord,
    OwnStatementRecord,
    QueueRecord,
    UnconfirmedSenderRecord,
    UndecryptableRecord,
    SessionRecord,
    PeerRecord,
    PrekeysRecord,
    RestoreRecord,
    UploadRecord,
    UnconfirmedRecord,
    OwedRecord,
    KeptEnvelopeRecord,
    AgendaRecord,
    SyncPendingRecord,
    KnownDevicesRecord,
    SettingsRecord
);
