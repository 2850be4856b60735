//! The names of records.

use super::{
    AccountRecord, Address, AdministratorKeyRecord, AgendaRecord, BodyFetchRecord, BreakGlassRecord, Bytes,
    ContactRecord, DeliveryRecord, DepartedDomainRecord, DeviceNameRecord, DhSecretKey, GroupDepartureRecord,
    GroupInvitationRecord, GroupJoinRecord, GroupKeptEntryRecord, GroupMessageRecord, GroupOutboxRecord, GroupRecord,
    GroupRosterRecord, GroupWakeRecord, HintKeys, KeptEnvelopeRecord, Key, KeyPackagesRecord, KnownDevicesRecord,
    LinkRecord, ListedDomainRecord, MailboxRecord, MessageRecord, OrganisationArrivalRecord, OrganisationDraftRecord,
    OrganisationId, OrganisationMemberRecord, OrganisationRecord, OutboxRecord, OwedRecord, OwnDeliveryKeysRecord,
    OwnStatementRecord, PartDigest, PaymentRecord, PeerRecord, PrekeysRecord, QueueRecord, RecordKey, RestoreRecord,
    ServerRecord, SessionRecord, SettingsRecord, SyncPendingRecord, TokenPageRecord, TrustListRecord,
    UnconfirmedRecord, UnconfirmedSenderRecord, UndecryptableRecord, UploadRecord, WakeRecord, WalletRecord, class,
    kem, x_wing,
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

/// The trust list that is followed.
#[must_use]
pub fn trust_list() -> Key<TrustListRecord> {
    key(class::TRUST_LIST, *b"list")
}

/// What the trust list has of a domain.
#[must_use]
pub fn listed_domain(domain: &str) -> Key<ListedDomainRecord> {
    key(class::LISTED_DOMAIN, domain)
}

/// That a domain has left the trust list.
#[must_use]
pub fn departed_domain(domain: &str) -> Key<DepartedDomainRecord> {
    key(class::DEPARTED_DOMAIN, domain)
}

/// With what is paid at the server of a domain.
#[must_use]
pub fn wallet(domain: &str) -> Key<WalletRecord> {
    key(class::WALLET, domain)
}

/// Tokens of an issuer key.
#[must_use]
pub fn token_page(key_id: &[u8; 32], page: u32) -> Key<TokenPageRecord> {
    key(class::TOKEN_PAGE, [key_id.as_slice(), &page.to_be_bytes()].concat())
}

/// Tokens that are set aside for something.
#[must_use]
pub fn payment(what: &[u8]) -> Key<PaymentRecord> {
    key(class::PAYMENT, what)
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

/// The delivery key of another account, and whether a person has accepted it.
#[must_use]
pub fn delivery(address: &Address) -> Key<DeliveryRecord> {
    key(class::DELIVERY, address.as_str())
}

/// The delivery keys that this account gives.
#[must_use]
pub fn own_delivery_keys() -> Key<OwnDeliveryKeysRecord> {
    key(class::OWN_DELIVERY_KEYS, *b"own")
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

/// An entry of a group's log, for after a restore of its server.
#[must_use]
pub fn group_kept_entry(log_id: &[u8; 32], slot: u32) -> Key<GroupKeptEntryRecord> {
    key(class::GROUP_KEPT_ENTRY, [log_id.as_slice(), &slot.to_be_bytes()].concat())
}

/// The request that makes the log of a group that was made here.
#[must_use]
pub fn group_creation(log_id: &[u8; 32]) -> Key<Bytes> {
    key(class::GROUP_CREATION, *log_id)
}

/// A blob of this device that is complete at its server: the upload secret, 16 bytes, and when it goes, 8 bytes, big-endian.
#[must_use]
pub fn own_blob(blob_id: &[u8; 32]) -> Key<Bytes> {
    key(class::OWN_BLOB, *blob_id)
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
