//! The classes of records.

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
/// The trust list that is followed; one record.
pub const TRUST_LIST: RecordClass = RecordClass::account(52);
/// What it has of domains, by domain.
pub const LISTED_DOMAIN: RecordClass = RecordClass::account(53);
/// Domains that have left it, by domain.
pub const DEPARTED_DOMAIN: RecordClass = RecordClass::account(54);
/// Delivery keys of other accounts, and who was accepted, by address.
pub const DELIVERY: RecordClass = RecordClass::account(55);
/// The delivery keys that this account gives; one record.
pub const OWN_DELIVERY_KEYS: RecordClass = RecordClass::account(56);
/// Entries of groups' logs for after a restore of their server, by log id and number modulo their limit.
pub const GROUP_KEPT_ENTRY: RecordClass = RecordClass::account(58);
/// Encoded requests that make the logs of groups that were made here, by log id.
pub const GROUP_CREATION: RecordClass = RecordClass::account(59);
/// Blobs of this device that are complete at its server, by blob id.
pub const OWN_BLOB: RecordClass = RecordClass::account(60);
/// What servers of groups were told of that, by log id.
pub const GROUP_WAKE: RecordClass = RecordClass::state(27);
/// With what is paid at the servers of domains, by domain.
pub const WALLET: RecordClass = RecordClass::state(28);
/// Tokens, by issuer key and page.
pub const TOKEN_PAGE: RecordClass = RecordClass::state(29);
/// Tokens that are set aside, by what they pay for.
pub const PAYMENT: RecordClass = RecordClass::state(30);
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
