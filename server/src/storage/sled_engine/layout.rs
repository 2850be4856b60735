//! The keys of the one sled tree: `spec/storage-server.md`, section Records.
//!
//! A key is one letter for the kind of record, then big-endian numbers, so that a range scan is in numeric order.

use medipeps_core::Address;

/// The format that this version writes. Older ones are brought up to it when a store is opened; an older version of the
/// server refuses it, because it would lose what it does not know of.
pub(super) const FORMAT: u32 = 2;
/// The oldest format that can be brought up to [`FORMAT`].
pub(super) const OLDEST_FORMAT: u32 = 1;
/// Holds [`FORMAT`] as four big-endian bytes.
pub(super) const FORMAT_KEY: &[u8] = b"0format";
/// Holds a `StoredStore`.
pub(super) const STORE_KEY: &[u8] = b"0store";
/// Bytes of a statement in one value.
pub(super) const STATEMENT_PIECE_LENGTH: usize = 4 << 10;

/// A queue, which is a device of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct QueueKey {
    /// The number of the account.
    pub(super) account: u64,
    /// The number of the device within it.
    pub(super) device: u32,
}

/// The kinds of one-time prekeys, as they stand in keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OneTimeKind {
    /// X25519.
    Dh = 1,
    /// ML-KEM-1024.
    Kem = 2,
    /// MLS key packages; only their used ids are kept like those of the others.
    KeyPackage = 3,
}

/// What is due at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// An envelope of a queue.
    Envelope(QueueKey, u64),
    /// A submission id of an account.
    Submission(u64, [u8; 16]),
    /// An invitation.
    Invitation([u8; 32]),
    /// A blob, complete or not.
    Blob([u8; 32]),
    /// The pieces of a blob that is gone. They are due at any time.
    BlobPieces(u64),
    /// An entry of an epoch of a group log.
    GroupEntry([u8; 32], u64, u64),
    /// A group log, if nothing was appended meanwhile.
    GroupLog([u8; 32]),
    /// A wake of a reader of a group log, with its handle.
    GroupWake([u8; 32], [u8; 16]),
    /// An issuer key, with what was spent of it.
    IssuerKey([u8; 32]),
    /// A voucher that was redeemed.
    Voucher([u8; 32]),
}

const INVITATION: u8 = b'i';
const ACCOUNT: u8 = b'a';
const STATEMENT: u8 = b't';
const PREKEYS: u8 = b'p';
const ONE_TIME: u8 = b'o';
const USED: u8 = b's';
const QUEUE: u8 = b'q';
const ENVELOPE: u8 = b'e';
const SUBMISSION: u8 = b'u';
const BLOB: u8 = b'b';
const BLOB_PIECE: u8 = b'c';
const GROUP_LOG: u8 = b'g';
const GROUP_EPOCH: u8 = b'k';
const GROUP_ENTRY: u8 = b'm';
const GROUP_ENTRY_ID: u8 = b'n';
const GROUP_WAKE: u8 = b'w';
const DEVICE_WAKE: u8 = b'W';
const KEY_PACKAGES: u8 = b'l';
const KEY_PACKAGE: u8 = b'x';
const LAST_RESORT_PACKAGE: u8 = b'y';
const DEADLINE: u8 = b'd';
const ISSUER_KEY: u8 = b'j';
const SPEND: u8 = b'v';
const VOUCHER: u8 = b'z';
const DRAWS_OF_ACCOUNT: u8 = b'r';
const TENANT: u8 = b'T';
const TENANT_DAY: u8 = b'D';

/// Every invitation.
pub(super) const INVITATIONS: &[u8] = &[INVITATION];
/// Every account.
pub(super) const ACCOUNTS: &[u8] = &[ACCOUNT];
/// Every envelope.
pub(super) const ENVELOPES: &[u8] = &[ENVELOPE];
/// Every blob.
pub(super) const BLOBS: &[u8] = &[BLOB];
/// Every piece of a blob.
pub(super) const BLOB_PIECES: &[u8] = &[BLOB_PIECE];
/// Every group log.
pub(super) const GROUP_LOGS: &[u8] = &[GROUP_LOG];
/// Every entry of a group log.
pub(super) const GROUP_ENTRIES: &[u8] = &[GROUP_ENTRY];
/// Every wake of a reader of a group log.
pub(super) const GROUP_WAKES: &[u8] = &[GROUP_WAKE];
/// Every wake of a device.
pub(super) const DEVICE_WAKES: &[u8] = &[DEVICE_WAKE];
/// Every issuer key.
pub(super) const ISSUER_KEYS: &[u8] = &[ISSUER_KEY];
/// Every spent token.
pub(super) const SPENDS: &[u8] = &[SPEND];
/// Every redeemed voucher.
pub(super) const VOUCHERS: &[u8] = &[VOUCHER];
/// The draws of every account.
pub(super) const DRAWS: &[u8] = &[DRAWS_OF_ACCOUNT];
/// Every tenant but the default one, which is there if it was changed.
pub(super) const TENANTS: &[u8] = &[TENANT];
/// Every deadline, the earliest first.
pub(super) const DEADLINES: &[u8] = &[DEADLINE];

/// The key of an invitation.
pub(super) fn invitation(hash: &[u8; 32]) -> Vec<u8> {
    key(INVITATION, &[hash])
}

/// The key of an account.
pub(super) fn account(address: &Address) -> Vec<u8> {
    key(ACCOUNT, &[address.as_str().as_bytes()])
}

/// The key of a tenant.
pub(super) fn tenant(number: u64) -> Vec<u8> {
    key(TENANT, &[&number.to_be_bytes()])
}

/// What the keys of a tenant's days begin with; the days follow.
pub(super) fn tenant_days(number: u64) -> Vec<u8> {
    key(TENANT_DAY, &[&number.to_be_bytes()])
}

/// The key of a day of a tenant.
pub(super) fn tenant_day(number: u64, day: u32) -> Vec<u8> {
    key(TENANT_DAY, &[&number.to_be_bytes(), &day.to_be_bytes()])
}

/// The key of a piece of a statement.
pub(super) fn statement(account: u64, piece: usize) -> Vec<u8> {
    key(STATEMENT, &[&account.to_be_bytes(), &(piece as u32).to_be_bytes()])
}

/// The key of a device's lasting prekeys.
pub(super) fn prekeys(queue: QueueKey) -> Vec<u8> {
    of_queue(PREKEYS, queue)
}

/// What the keys of a device's unused one-time prekeys begin with; their ids follow.
pub(super) fn one_time(queue: QueueKey, kind: OneTimeKind) -> Vec<u8> {
    key(ONE_TIME, &[&queue.account.to_be_bytes(), &queue.device.to_be_bytes(), &[kind as u8]])
}

/// What the keys of a device's used one-time prekey ids begin with; the ids follow.
pub(super) fn used(queue: QueueKey, kind: OneTimeKind) -> Vec<u8> {
    key(USED, &[&queue.account.to_be_bytes(), &queue.device.to_be_bytes(), &[kind as u8]])
}

/// A key that an id follows.
pub(super) fn with_id(mut prefix: Vec<u8>, id: u32) -> Vec<u8> {
    prefix.extend_from_slice(&id.to_be_bytes());
    prefix
}

/// The key of a queue's counters.
pub(super) fn queue(queue: QueueKey) -> Vec<u8> {
    of_queue(QUEUE, queue)
}

/// The key of an envelope.
pub(super) fn envelope(queue: QueueKey, sequence: u64) -> Vec<u8> {
    let mut key = of_queue(ENVELOPE, queue);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// What the keys of an account's submission ids begin with; the ids follow.
pub(super) fn submissions(account: u64) -> Vec<u8> {
    key(SUBMISSION, &[&account.to_be_bytes()])
}

/// The key of a submission id.
pub(super) fn submission(account: u64, id: &[u8; 16]) -> Vec<u8> {
    key(SUBMISSION, &[&account.to_be_bytes(), id])
}

/// The key of a blob.
pub(super) fn blob(id: &[u8; 32]) -> Vec<u8> {
    key(BLOB, &[id])
}

/// What the keys of a blob's pieces begin with; their numbers follow.
pub(super) fn blob_pieces(number: u64) -> Vec<u8> {
    key(BLOB_PIECE, &[&number.to_be_bytes()])
}

/// The key of a piece of a blob.
pub(super) fn blob_piece(number: u64, index: u32) -> Vec<u8> {
    with_id(blob_pieces(number), index)
}

/// The key of the last upload of a device's key packages.
pub(super) fn key_packages(queue: QueueKey) -> Vec<u8> {
    of_queue(KEY_PACKAGES, queue)
}

/// What the keys of a device's unused one-time key packages begin with.
pub(super) fn key_packages_of(queue: QueueKey) -> Vec<u8> {
    of_queue(KEY_PACKAGE, queue)
}

/// What the keys of the pieces of a one-time key package begin with; one byte follows, the number of the piece.
pub(super) fn key_package(queue: QueueKey, id: u32) -> Vec<u8> {
    with_id(key_packages_of(queue), id)
}

/// What the keys of the pieces of a device's last-resort key package begin with; one byte follows.
pub(super) fn last_resort_package(queue: QueueKey) -> Vec<u8> {
    of_queue(LAST_RESORT_PACKAGE, queue)
}

/// The key of a group log.
pub(super) fn group_log(log_id: &[u8; 32]) -> Vec<u8> {
    key(GROUP_LOG, &[log_id])
}

/// What the keys of a group log's closed epochs begin with; the epochs follow.
pub(super) fn group_epochs(log_id: &[u8; 32]) -> Vec<u8> {
    key(GROUP_EPOCH, &[log_id])
}

/// The key of a closed epoch of a group log.
pub(super) fn group_epoch(log_id: &[u8; 32], epoch: u64) -> Vec<u8> {
    key(GROUP_EPOCH, &[log_id, &epoch.to_be_bytes()])
}

/// What the keys of a group log's entries begin with; epoch and sequence follow.
pub(super) fn group_entries(log_id: &[u8; 32]) -> Vec<u8> {
    key(GROUP_ENTRY, &[log_id])
}

/// The key of an entry of a group log.
pub(super) fn group_entry(log_id: &[u8; 32], epoch: u64, sequence: u64) -> Vec<u8> {
    key(GROUP_ENTRY, &[log_id, &epoch.to_be_bytes(), &sequence.to_be_bytes()])
}

/// The key of an entry's id.
pub(super) fn group_entry_id(log_id: &[u8; 32], entry_id: &[u8; 16]) -> Vec<u8> {
    key(GROUP_ENTRY_ID, &[log_id, entry_id])
}

/// What the keys of a group log's wakes begin with; the handles follow.
pub(super) fn group_wakes(log_id: &[u8; 32]) -> Vec<u8> {
    key(GROUP_WAKE, &[log_id])
}

/// The key of a wake of a reader of a group log.
pub(super) fn group_wake(log_id: &[u8; 32], handle: &[u8; 16]) -> Vec<u8> {
    key(GROUP_WAKE, &[log_id, handle])
}

/// The key of where a device is woken.
pub(super) fn device_wake(queue: QueueKey) -> Vec<u8> {
    of_queue(DEVICE_WAKE, queue)
}

/// The key of an issuer key.
pub(super) fn issuer_key(id: &[u8; 32]) -> Vec<u8> {
    key(ISSUER_KEY, &[id])
}

/// What the keys of the spent tokens of an issuer key begin with; their nonces follow.
pub(super) fn spends(key_id: &[u8; 32]) -> Vec<u8> {
    key(SPEND, &[key_id])
}

/// The key of a spent token.
pub(super) fn spend(key_id: &[u8; 32], nonce: &[u8; 32]) -> Vec<u8> {
    key(SPEND, &[key_id, nonce])
}

/// The key of a redeemed voucher.
pub(super) fn voucher(id: &[u8; 32]) -> Vec<u8> {
    key(VOUCHER, &[id])
}

/// The key of what an account has drawn.
pub(super) fn draws(account: u64) -> Vec<u8> {
    key(DRAWS_OF_ACCOUNT, &[&account.to_be_bytes()])
}

/// What every key that belongs to a device begins with, envelopes excepted.
pub(super) fn everything_of_device(queue: QueueKey) -> [Vec<u8>; 8] {
    [PREKEYS, ONE_TIME, USED, QUEUE, KEY_PACKAGES, KEY_PACKAGE, LAST_RESORT_PACKAGE, DEVICE_WAKE]
        .map(|kind| of_queue(kind, queue))
}

/// The key of something due at a time.
pub(super) fn deadline(at_ms: u64, due: Due) -> Vec<u8> {
    let at = at_ms.to_be_bytes();
    match due {
        Due::Envelope(queue, sequence) => key(
            DEADLINE,
            &[&at, &[ENVELOPE], &queue.account.to_be_bytes(), &queue.device.to_be_bytes(), &sequence.to_be_bytes()],
        ),
        Due::Submission(account, id) => key(DEADLINE, &[&at, &[SUBMISSION], &account.to_be_bytes(), &id]),
        Due::Invitation(hash) => key(DEADLINE, &[&at, &[INVITATION], &hash]),
        Due::Blob(id) => key(DEADLINE, &[&at, &[BLOB], &id]),
        Due::BlobPieces(number) => key(DEADLINE, &[&at, &[BLOB_PIECE], &number.to_be_bytes()]),
        Due::GroupEntry(log_id, epoch, sequence) => {
            key(DEADLINE, &[&at, &[GROUP_ENTRY], &log_id, &epoch.to_be_bytes(), &sequence.to_be_bytes()])
        }
        Due::GroupLog(log_id) => key(DEADLINE, &[&at, &[GROUP_LOG], &log_id]),
        Due::GroupWake(log_id, handle) => key(DEADLINE, &[&at, &[GROUP_WAKE], &log_id, &handle]),
        Due::IssuerKey(id) => key(DEADLINE, &[&at, &[ISSUER_KEY], &id]),
        Due::Voucher(id) => key(DEADLINE, &[&at, &[VOUCHER], &id]),
    }
}

/// The time and the thing of a deadline's key; `None` if it is none.
pub(super) fn read_deadline(key: &[u8]) -> Option<(u64, Due)> {
    let (kind, rest) = key.split_first()?;
    let (at, rest) = rest.split_first_chunk()?;
    let (what, rest) = rest.split_first()?;
    let due = match (*kind, *what) {
        (DEADLINE, ENVELOPE) => {
            let (account, rest) = rest.split_first_chunk()?;
            let (device, rest) = rest.split_first_chunk()?;
            let queue = QueueKey { account: u64::from_be_bytes(*account), device: u32::from_be_bytes(*device) };
            Due::Envelope(queue, u64::from_be_bytes(rest.try_into().ok()?))
        }
        (DEADLINE, SUBMISSION) => {
            let (account, rest) = rest.split_first_chunk()?;
            Due::Submission(u64::from_be_bytes(*account), rest.try_into().ok()?)
        }
        (DEADLINE, INVITATION) => Due::Invitation(rest.try_into().ok()?),
        (DEADLINE, BLOB) => Due::Blob(rest.try_into().ok()?),
        (DEADLINE, BLOB_PIECE) => Due::BlobPieces(u64::from_be_bytes(rest.try_into().ok()?)),
        (DEADLINE, GROUP_ENTRY) => {
            let (log_id, rest) = rest.split_first_chunk()?;
            let (epoch, rest) = rest.split_first_chunk()?;
            Due::GroupEntry(*log_id, u64::from_be_bytes(*epoch), u64::from_be_bytes(rest.try_into().ok()?))
        }
        (DEADLINE, GROUP_LOG) => Due::GroupLog(rest.try_into().ok()?),
        (DEADLINE, GROUP_WAKE) => {
            let (log_id, handle) = rest.split_first_chunk()?;
            Due::GroupWake(*log_id, handle.try_into().ok()?)
        }
        (DEADLINE, ISSUER_KEY) => Due::IssuerKey(rest.try_into().ok()?),
        (DEADLINE, VOUCHER) => Due::Voucher(rest.try_into().ok()?),
        _ => return None,
    };
    Some((u64::from_be_bytes(*at), due))
}

/// The queue and the sequence of an envelope's key; `None` if it is none.
pub(super) fn read_envelope(key: &[u8]) -> Option<(QueueKey, u64)> {
    let (kind, rest) = key.split_first()?;
    let (account, rest) = rest.split_first_chunk()?;
    let (device, rest) = rest.split_first_chunk()?;
    let queue = QueueKey { account: u64::from_be_bytes(*account), device: u32::from_be_bytes(*device) };
    (*kind == ENVELOPE).then_some((queue, u64::from_be_bytes(rest.try_into().ok()?)))
}

/// The id in the key of a group log; `None` if it is none.
pub(super) fn read_group_log(key: &[u8]) -> Option<[u8; 32]> {
    let (kind, log_id) = key.split_first()?;
    if *kind == GROUP_LOG { log_id.try_into().ok() } else { None }
}

/// The epoch in the key of a closed epoch of a group log; `None` if it is none.
pub(super) fn read_group_epoch(key: &[u8]) -> Option<u64> {
    let (kind, rest) = key.split_first()?;
    let (_, epoch) = rest.split_first_chunk::<32>()?;
    if *kind == GROUP_EPOCH { Some(u64::from_be_bytes(epoch.try_into().ok()?)) } else { None }
}

/// Log, epoch and sequence of the key of an entry of a group log; `None` if it is none.
pub(super) fn read_group_entry(key: &[u8]) -> Option<([u8; 32], u64, u64)> {
    let (kind, rest) = key.split_first()?;
    let (log_id, rest) = rest.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let sequence = u64::from_be_bytes(rest.try_into().ok()?);
    (*kind == GROUP_ENTRY).then_some((*log_id, u64::from_be_bytes(*epoch), sequence))
}

/// Log and handle of the key of a wake; `None` if it is none.
pub(super) fn read_group_wake(key: &[u8]) -> Option<([u8; 32], [u8; 16])> {
    let (kind, rest) = key.split_first()?;
    let (log_id, handle) = rest.split_first_chunk()?;
    if *kind == GROUP_WAKE { Some((*log_id, handle.try_into().ok()?)) } else { None }
}

/// The device in the key of where it is woken; `None` if it is none.
pub(super) fn read_device_wake(key: &[u8]) -> Option<QueueKey> {
    let (kind, rest) = key.split_first()?;
    let (account, device) = rest.split_first_chunk()?;
    let queue = QueueKey { account: u64::from_be_bytes(*account), device: u32::from_be_bytes(device.try_into().ok()?) };
    (*kind == DEVICE_WAKE).then_some(queue)
}

/// The 32 bytes that follow the kind in the key of an issuer key; `None` if it is none.
pub(super) fn read_hash(key: &[u8]) -> Option<[u8; 32]> {
    key.get(1..)?.try_into().ok()
}

/// The id of a one-time key package, out of the key of one of its pieces.
pub(super) fn read_package_id(key: &[u8]) -> Option<u32> {
    key.split_last().and_then(|(_, rest)| read_id(rest))
}

/// The four last bytes of a key, where one-time prekeys have their id and pieces of blobs their number.
pub(super) fn read_id(key: &[u8]) -> Option<u32> {
    key.last_chunk().map(|id| u32::from_be_bytes(*id))
}

fn of_queue(kind: u8, queue: QueueKey) -> Vec<u8> {
    key(kind, &[&queue.account.to_be_bytes(), &queue.device.to_be_bytes()])
}

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_numbers_do() {
        let queue = QueueKey { account: 255, device: 1 };
        let next = QueueKey { account: 256, device: 0 };
        assert!(envelope(queue, 255) < envelope(queue, 256));
        assert!(envelope(queue, u64::MAX) < envelope(next, 0));
        let late = Due::Envelope(queue, 0);
        assert!(deadline(255, late) < deadline(256, Due::Submission(0, [0; 16])));
    }

    #[test]
    fn keys_are_read_back() {
        let queue = QueueKey { account: 7, device: 9 };
        for due in [
            Due::Envelope(queue, 3),
            Due::Submission(7, [5; 16]),
            Due::Invitation([6; 32]),
            Due::Blob([8; 32]),
            Due::BlobPieces(4),
            Due::GroupEntry([9; 32], 10, 11),
            Due::GroupLog([12; 32]),
            Due::GroupWake([13; 32], [14; 16]),
            Due::IssuerKey([15; 32]),
            Due::Voucher([16; 32]),
        ] {
            let key = deadline(11, due);
            assert_eq!(read_deadline(&key), Some((11, due)));
            assert_eq!(read_deadline(&key[..key.len() - 1]), None);
        }
        assert_eq!(read_envelope(&envelope(queue, 3)), Some((queue, 3)));
        assert_eq!(read_envelope(&submission(7, &[0; 16])), None);
        assert_eq!(read_group_entry(&group_entry(&[1; 32], 2, 3)), Some(([1; 32], 2, 3)));
        assert_eq!(read_group_entry(&group_log(&[1; 32])), None);
        assert_eq!(read_group_wake(&group_wake(&[1; 32], &[2; 16])), Some(([1; 32], [2; 16])));
        assert_eq!(read_group_wake(&group_entry_id(&[1; 32], &[2; 16])), None);
        assert_eq!(read_device_wake(&device_wake(queue)), Some(queue));
        assert_eq!(read_device_wake(&prekeys(queue)), None);
        assert_eq!(read_hash(&issuer_key(&[17; 32])), Some([17; 32]));
        assert!(spend(&[18; 32], &[19; 32]).starts_with(&spends(&[18; 32])));
        assert_eq!(read_package_id(&[key_package(queue, 77), vec![3]].concat()), Some(77));
        assert_eq!(read_id(&with_id(one_time(queue, OneTimeKind::Kem), 77)), Some(77));
    }
}
