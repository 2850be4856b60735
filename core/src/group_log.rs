//! What is signed about a group log: its creation, entries, reading, signals. Plain Ed25519 keys; where an epoch's key comes
//! from is the business of the group.
//!
//! `spec/group-log.md`. Reading and signals are signed for one connection, so that a signature is worth nothing on another.

use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::{Signature, SignatureError, SigningKey, VerifyingKey};
use crate::label;
use crate::proof::Channel;
use crate::push_endpoint::PushEndpoint;
use crate::wire::transport::{
    AppendGroupEntry, CreateGroupLog, FetchGroupEntries, GroupLogCursor, Payment, SetGroupWake, SignalGroup,
    WatchedGroupLog,
};

/// The id of the log that begins with this access key.
#[must_use]
pub fn log_id(first_access_key: &VerifyingKey) -> [u8; 32] {
    labelled_sha256(label::GROUP_LOG_ID, &[first_access_key.as_bytes()])
}

/// SHA-256 of an entry, which its signature covers.
#[must_use]
pub fn entry_hash(entry: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(entry).into()
}

impl CreateGroupLog {
    /// The creation of a log whose first epoch has this number and this key.
    #[must_use]
    pub fn sign(access_key: &SigningKey, epoch: u64, payment: Payment) -> Self {
        let public = access_key.verifying_key();
        let signature = access_key.sign(label::GROUP_LOG_CREATE, &[public.as_bytes(), &epoch.to_be_bytes()]);
        Self { access_key: public, epoch, signature, payment }
    }

    /// The log's id.
    #[must_use]
    pub fn log_id(&self) -> [u8; 32] {
        log_id(&self.access_key)
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// [`SignatureError::Signature`]
    pub fn verify(&self) -> Result<(), SignatureError> {
        let parts: [&[u8]; 2] = [self.access_key.as_bytes(), &self.epoch.to_be_bytes()];
        self.access_key.verify(label::GROUP_LOG_CREATE, &parts, &self.signature)
    }
}

impl AppendGroupEntry {
    /// An entry for an epoch, signed with its key. With `next_access_key` it closes the epoch.
    #[must_use]
    pub fn sign(
        access_key: &SigningKey,
        log_id: [u8; 32],
        epoch: u64,
        entry_id: [u8; 16],
        entry: Vec<u8>,
        next_access_key: Option<VerifyingKey>,
        payment: Payment,
    ) -> Self {
        let mut append = Self { log_id, epoch, entry_id, entry, next_access_key, signature: [0; 64], payment };
        let signed = append.signed(&entry_hash(&append.entry));
        append.signature = access_key.sign(label::GROUP_APPEND, &[&signed]);
        append
    }

    /// Verifies the signature with the key of the epoch and the hash of the entry.
    ///
    /// # Errors
    /// [`SignatureError::Signature`]
    pub fn verify(&self, access_key: &VerifyingKey, entry_hash: &[u8; 32]) -> Result<(), SignatureError> {
        access_key.verify(label::GROUP_APPEND, &[&self.signed(entry_hash)], &self.signature)
    }

    /// log id (32), epoch (8), entry id (16), SHA-256 of the entry (32), 1 and the next access key (32) or 0.
    fn signed(&self, entry_hash: &[u8; 32]) -> Vec<u8> {
        let mut bytes = of_epoch(&self.log_id, self.epoch);
        bytes.extend_from_slice(&self.entry_id);
        bytes.extend_from_slice(entry_hash);
        match &self.next_access_key {
            Some(key) => {
                bytes.push(1);
                bytes.extend_from_slice(key.as_bytes());
            }
            None => bytes.push(0),
        }
        bytes
    }
}

impl FetchGroupEntries {
    /// A request for entries of an epoch over one connection.
    #[must_use]
    pub fn sign(
        access_key: &SigningKey,
        channel: &Channel<'_>,
        log_id: [u8; 32],
        epoch: u64,
        after: Option<GroupLogCursor>,
        limit: u32,
    ) -> Self {
        let signature = sign_read(access_key, channel, &log_id, epoch);
        Self { log_id, epoch, after, limit, signature }
    }
}

impl WatchedGroupLog {
    /// One log of a watch over one connection.
    #[must_use]
    pub fn sign(
        access_key: &SigningKey,
        channel: &Channel<'_>,
        log_id: [u8; 32],
        epoch: u64,
        after: Option<GroupLogCursor>,
    ) -> Self {
        let signature = sign_read(access_key, channel, &log_id, epoch);
        Self { log_id, epoch, after, signature }
    }
}

impl SignalGroup {
    /// A signal to those who watch, over one connection.
    #[must_use]
    pub fn sign(access_key: &SigningKey, channel: &Channel<'_>, log_id: [u8; 32], epoch: u64, signal: Vec<u8>) -> Self {
        let parts = [channel.encode(), of_epoch(&log_id, epoch)];
        let signature = access_key.sign(label::GROUP_SIGNAL, &[&parts[0], &parts[1], &signal]);
        Self { log_id, epoch, signal, signature }
    }

    /// Verifies the signature with the key of the epoch, for this connection.
    ///
    /// # Errors
    /// [`SignatureError::Signature`]
    pub fn verify(&self, access_key: &VerifyingKey, channel: &Channel<'_>) -> Result<(), SignatureError> {
        let parts = [channel.encode(), of_epoch(&self.log_id, self.epoch)];
        access_key.verify(label::GROUP_SIGNAL, &[&parts[0], &parts[1], &self.signal], &self.signature)
    }
}

impl SetGroupWake {
    /// Where a reader is to be woken and until when in milliseconds since 1970, or that it need not be any more; over one
    /// connection.
    #[must_use]
    pub fn sign(
        access_key: &SigningKey,
        channel: &Channel<'_>,
        log_id: [u8; 32],
        epoch: u64,
        handle: [u8; 16],
        wake: Option<(PushEndpoint, u64)>,
    ) -> Self {
        let mut set = Self { log_id, epoch, handle, wake, signature: [0; 64] };
        set.signature = access_key.sign(label::GROUP_WAKE, &[&channel.encode(), &set.signed()]);
        set
    }

    /// Verifies the signature with the key of the epoch, for this connection.
    ///
    /// # Errors
    /// [`SignatureError::Signature`]
    pub fn verify(&self, access_key: &VerifyingKey, channel: &Channel<'_>) -> Result<(), SignatureError> {
        access_key.verify(label::GROUP_WAKE, &[&channel.encode(), &self.signed()], &self.signature)
    }

    /// log id (32), epoch (8), handle (16), expiry (8), endpoint; 0 and no endpoint where the handle is forgotten.
    fn signed(&self) -> Vec<u8> {
        let (endpoint, expires) =
            self.wake.as_ref().map_or(("", 0), |(endpoint, expires)| (endpoint.as_str(), *expires));
        [&of_epoch(&self.log_id, self.epoch), &self.handle[..], &expires.to_be_bytes(), endpoint.as_bytes()].concat()
    }
}

/// Signs the right to read an epoch over one connection.
#[must_use]
pub fn sign_read(access_key: &SigningKey, channel: &Channel<'_>, log_id: &[u8; 32], epoch: u64) -> Signature {
    access_key.sign(label::GROUP_READ, &[&channel.encode(), &of_epoch(log_id, epoch)])
}

/// Verifies the right to read an epoch over one connection.
///
/// # Errors
/// [`SignatureError::Signature`]
pub fn verify_read(
    access_key: &VerifyingKey,
    channel: &Channel<'_>,
    log_id: &[u8; 32],
    epoch: u64,
    signature: &Signature,
) -> Result<(), SignatureError> {
    access_key.verify(label::GROUP_READ, &[&channel.encode(), &of_epoch(log_id, epoch)], signature)
}

/// log id (32), epoch (8).
fn of_epoch(log_id: &[u8; 32], epoch: u64) -> Vec<u8> {
    [&log_id[..], &epoch.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::key_package::KeyPackageUpload;
    use crate::test_rng::rng;
    use crate::vectors::{check, hex, secret};
    use crate::wire::transport::{Request, Transport, WatchGroupLogs};

    const CHANNEL: Channel<'_> =
        Channel { nonce: &[1; 32], domain: "clinic.example", transport: Transport::Quic, exporter: Some(&[2; 32]) };
    const OTHER: Channel<'_> = Channel { exporter: Some(&[3; 32]), ..CHANNEL };

    fn keys() -> [SigningKey; 2] {
        [1, 2].map(|seed| SigningKey::random(&mut rng(seed)))
    }

    #[test]
    fn a_creation_is_for_its_key_and_epoch() {
        let [key, other] = keys();
        let create = CreateGroupLog::sign(&key, 1, Payment::None);
        assert!(create.verify().is_ok());
        assert_eq!(create.log_id(), log_id(&key.verifying_key()));
        assert!(CreateGroupLog { epoch: 0, ..create.clone() }.verify().is_err());
        assert!(CreateGroupLog { access_key: other.verifying_key(), ..create }.verify().is_err());
    }

    #[test]
    fn an_entry_is_signed_whole() {
        let [key, other] = keys();
        let (public, next) = (key.verifying_key(), Some(other.verifying_key()));
        let append = AppendGroupEntry::sign(&key, [1; 32], 2, [3; 16], vec![4; 5], next, Payment::None);
        let is_good = |append: &AppendGroupEntry| append.verify(&public, &entry_hash(&append.entry)).is_ok();
        assert!(is_good(&append));
        for altered in [
            AppendGroupEntry { log_id: [9; 32], ..append.clone() },
            AppendGroupEntry { epoch: 9, ..append.clone() },
            AppendGroupEntry { entry_id: [9; 16], ..append.clone() },
            AppendGroupEntry { entry: vec![9; 5], ..append.clone() },
            AppendGroupEntry { next_access_key: None, ..append.clone() },
            AppendGroupEntry { next_access_key: Some(public), ..append.clone() },
        ] {
            assert!(!is_good(&altered), "{altered:?}");
        }
        assert!(append.verify(&other.verifying_key(), &entry_hash(&append.entry)).is_err());
    }

    #[test]
    fn reading_and_signals_are_for_one_connection() {
        let [key, other] = keys();
        let public = key.verifying_key();
        let fetch = FetchGroupEntries::sign(&key, &CHANNEL, [1; 32], 2, None, 5);
        let watched = WatchedGroupLog::sign(&key, &CHANNEL, [1; 32], 2, None);
        assert_eq!(fetch.signature, watched.signature);
        let is_good = |key, channel, log, epoch| verify_read(key, channel, &[log; 32], epoch, &fetch.signature).is_ok();
        assert!(is_good(&public, &CHANNEL, 1, 2));
        assert!(!is_good(&public, &OTHER, 1, 2));
        assert!(!is_good(&public, &CHANNEL, 9, 2));
        assert!(!is_good(&public, &CHANNEL, 1, 3));
        assert!(!is_good(&other.verifying_key(), &CHANNEL, 1, 2));

        let signal = SignalGroup::sign(&key, &CHANNEL, [1; 32], 2, vec![7]);
        assert!(signal.verify(&public, &CHANNEL).is_ok());
        assert!(signal.verify(&public, &OTHER).is_err());
        assert!(SignalGroup { signal: vec![8], ..signal.clone() }.verify(&public, &CHANNEL).is_err());
        assert!(SignalGroup { epoch: 3, ..signal }.verify(&public, &CHANNEL).is_err());
    }

    #[test]
    fn where_a_reader_is_woken_is_signed_whole_and_for_one_connection() {
        let [key, other] = keys();
        let public = key.verifying_key();
        let endpoint = |url: &str| url.parse::<PushEndpoint>().unwrap();
        let wake = Some((endpoint("https://push.example/1"), 7));
        let set = SetGroupWake::sign(&key, &CHANNEL, [1; 32], 2, [3; 16], wake);
        assert!(set.verify(&public, &CHANNEL).is_ok());
        assert!(set.verify(&public, &OTHER).is_err());
        assert!(set.verify(&other.verifying_key(), &CHANNEL).is_err());
        for altered in [
            SetGroupWake { log_id: [9; 32], ..set.clone() },
            SetGroupWake { epoch: 9, ..set.clone() },
            SetGroupWake { handle: [9; 16], ..set.clone() },
            SetGroupWake { wake: None, ..set.clone() },
            SetGroupWake { wake: Some((endpoint("https://push.example/1"), 8)), ..set.clone() },
            SetGroupWake { wake: Some((endpoint("https://push.example/2"), 7)), ..set.clone() },
        ] {
            assert!(altered.verify(&public, &CHANNEL).is_err(), "{altered:?}");
        }
    }

    #[test]
    fn group_log_vectors() {
        let (key, next) = (SigningKey::from_secret(&secret(1)), SigningKey::from_secret(&secret(2)));
        let create = CreateGroupLog::sign(&key, 1, Payment::None);
        let log_id = create.log_id();
        let append =
            |number, next| AppendGroupEntry::sign(&key, log_id, 1, [number; 16], vec![number; 40], next, Payment::None);
        let (entry, commit) = (append(5, None), append(6, Some(next.verifying_key())));
        let cursor = GroupLogCursor { incarnation: [7; 16], sequence: 1_790_000_000_001 };
        let fetch = FetchGroupEntries::sign(&key, &CHANNEL, log_id, 1, Some(cursor), 256);
        let watched = WatchedGroupLog::sign(&key, &CHANNEL, log_id, 1, None);
        let signal = SignalGroup::sign(&key, &CHANNEL, log_id, 1, vec![8; 30]);
        let endpoint: PushEndpoint = "https://push.example/up/7".parse().unwrap();
        let set_wake = |wake| SetGroupWake::sign(&key, &CHANNEL, log_id, 1, [13; 16], wake);
        let (wake, no_wake) = (set_wake(Some((endpoint, 1_800_000_000_000))), set_wake(None));
        let upload = KeyPackageUpload {
            address: "claire.martin@clinic.example".parse().unwrap(),
            device_id: 1,
            sequence: 9,
            last_resort: vec![10; 20],
            one_time: vec![(11, vec![12; 20])],
        };
        let requests = json!({
            "create_group_log": hex(Request::CreateGroupLog(create.clone()).encode()),
            "append_group_entry": hex(Request::AppendGroupEntry(entry.clone()).encode()),
            "append_group_entry_that_closes": hex(Request::AppendGroupEntry(commit.clone()).encode()),
            "fetch_group_entries": hex(Request::FetchGroupEntries(fetch.clone()).encode()),
            "watch_group_logs": hex(Request::WatchGroupLogs(WatchGroupLogs { logs: vec![watched] }).encode()),
            "signal_group": hex(Request::SignalGroup(signal.clone()).encode()),
            "set_group_wake": hex(Request::SetGroupWake(wake.clone()).encode()),
            "set_group_wake_that_removes": hex(Request::SetGroupWake(no_wake.clone()).encode()),
        });
        let vectors = json!({
            "about": "spec/group-log.md: signatures of a group log and of key packages, frames without their length.",
            "channel": { "domain": CHANNEL.domain, "exporter": hex([2; 32]), "nonce": hex([1; 32]), "transport": 1 },
            "access_secret": hex([1; 32]),
            "access_key": hex(key.verifying_key().as_bytes()),
            "next_access_key": hex(next.verifying_key().as_bytes()),
            "log_id": hex(log_id),
            "epoch": 1,
            "entry_hash": hex(entry_hash(&entry.entry)),
            "signatures": {
                "create": hex(create.signature),
                "append": hex(entry.signature),
                "append_that_closes": hex(commit.signature),
                "read": hex(fetch.signature),
                "signal": hex(signal.signature),
                "wake": hex(wake.signature),
                "wake_that_removes": hex(no_wake.signature),
            },
            "requests": requests,
            "key_packages": { "device_secret": hex([3; 32]), "upload": hex(upload.sign(&SigningKey::from_secret(&secret(3)))) },
        });
        check("group-log", &vectors);
    }
}
