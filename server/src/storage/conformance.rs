//! What every engine must do, whichever way it does it. `conformance_suite!` makes the tests of an engine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use medipeps_core::Address;
use medipeps_core::limits::{ENVELOPE_LENGTH_MAX, STATEMENT_LENGTH_MAX};

use super::*;
use crate::limits::{INVITATION_RECORD_RETENTION_MS, ONE_TIME_PREKEYS_STORED_MAX, SUBMISSION_RECORD_RETENTION_MS};

/// An engine under test.
pub(super) trait Engine {
    /// A new, empty store.
    fn create(quota: QueueQuota) -> Self;
    /// Ends the process and starts it again, as far as the store can tell.
    fn reopen(&mut self);
    /// The store.
    fn storage(&self) -> Arc<dyn Storage>;
}

/// Makes a test of each case.
macro_rules! conformance_suite {
    ($engine:ty) => {
        $crate::storage::conformance::conformance_suite!($engine:
            registration_uses_up_an_invitation,
            statements_are_compared_and_set,
            a_device_that_goes_takes_its_queue_and_prekeys_along,
            a_deleted_account_leaves_nothing,
            a_queue_keeps_its_order,
            all_devices_or_none,
            a_repeat_gets_the_first_answer,
            quotas_hold,
            acknowledgements_remove_what_was_there,
            a_watcher_is_told,
            expiry_is_counted,
            prekeys_are_replaced_whole,
            every_one_time_key_goes_to_one_taker,
            the_highest_generation_is_kept,
            a_restart_keeps_everything,
            an_export_is_imported_without_one_time_keys,
            a_damaged_export_is_refused_whole,
            concurrent_submissions_get_dense_numbers,
            what_is_too_large_is_refused,
            an_inspection_shows_what_there_is,
        );
    };
    ($engine:ty: $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::storage::conformance::$case::<$engine>().await;
            }
        )*
    };
}
pub(super) use conformance_suite;

pub(super) const ROOMY: QueueQuota = QueueQuota { messages_max: 1000, bytes_max: 1 << 30 };
const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 3600 * 1000;

pub(super) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Prekeys whose bytes tell which they are.
pub(super) fn prekeys(tag: u8, ids: std::ops::Range<u32>) -> PrekeySet {
    let key = |kind: u8, id: u32| (id, [&[tag, kind][..], &id.to_be_bytes()].concat());
    PrekeySet {
        signed_prekey: vec![tag, 1],
        last_resort_kem: vec![tag; 1600],
        seal: vec![tag, 3],
        one_time: ids.clone().map(|id| key(4, id)).collect(),
        one_time_kem: ids.map(|id| key(5, id)).collect(),
    }
}

pub(super) fn registration(name: &str, invitation_hash: [u8; 32], devices: &[u32]) -> Registration {
    let device =
        |device_id: &u32| DeviceRecord { device_id: *device_id, sequence: 1, prekeys: prekeys(*device_id as u8, 0..3) };
    Registration {
        invitation_hash,
        address: address(name),
        statement: vec![7; 5000],
        statement_version: 1,
        devices: devices.iter().map(device).collect(),
        now_ms: NOW,
    }
}

/// Registers an account with three one-time keys of each kind a device.
pub(super) async fn register(storage: &dyn Storage, name: &str, devices: &[u32]) -> Address {
    let mut hash = [0; 32];
    hash[..name.len()].copy_from_slice(name.as_bytes());
    let invitation = Invitation { organisation: Some("CHU".into()), expires_ms: NOW + DAY };
    storage.create_invitation(hash, invitation).await.unwrap();
    storage.register(registration(name, hash, devices)).await.unwrap();
    address(name)
}

pub(super) fn submission(to: &Address, id: u8, envelopes: &[(u32, usize)]) -> Submission {
    Submission {
        id: [id; 16],
        address: to.clone(),
        envelopes: envelopes.iter().map(|(device, length)| (*device, vec![id; *length])).collect(),
        digest: [id; 32],
        now_ms: NOW,
        expires_ms: NOW + 30 * DAY,
    }
}

const TAKEN: Result<EnqueueOutcome, EnqueueError> = Ok(EnqueueOutcome::Accepted { duplicate: false });
const AGAIN: Result<EnqueueOutcome, EnqueueError> = Ok(EnqueueOutcome::Accepted { duplicate: true });

async fn sequences(storage: &dyn Storage, who: &Address, device: u32) -> Vec<u64> {
    storage.fetch(who, device, 0, 1000).await.unwrap().iter().map(|envelope| envelope.sequence).collect()
}

pub(super) async fn registration_uses_up_an_invitation<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let first = registration("a@x", [1; 32], &[1, 2]);
    assert_eq!(storage.register(first.clone()).await, Err(RegisterError::InvitationUnknown));
    let invitation = Invitation { organisation: Some("CHU".into()), expires_ms: NOW + 1 };
    storage.create_invitation([1; 32], invitation.clone()).await.unwrap();
    assert_eq!(storage.create_invitation([1; 32], invitation.clone()).await, Err(InvitationError::Exists));
    let twice = registration("a@x", [1; 32], &[1, 1]);
    assert_eq!(storage.register(twice).await, Err(RegisterError::Devices));
    let late = Registration { now_ms: NOW + 1, ..first.clone() };
    assert_eq!(storage.register(late.clone()).await, Err(RegisterError::InvitationExpired));
    assert_eq!(storage.account(&first.address).await, Ok(None));

    assert_eq!(storage.register(first.clone()).await, Ok(RegisterOutcome { repeated: false }));
    assert_eq!(storage.register(first.clone()).await, Ok(RegisterOutcome { repeated: true }));
    assert_eq!(storage.register(late).await, Ok(RegisterOutcome { repeated: true }), "a repeat may come late");
    let account = storage.account(&first.address).await.unwrap().unwrap();
    assert_eq!(
        account,
        Account {
            statement: first.statement.clone(),
            statement_version: 1,
            organisation: Some("CHU".into()),
            devices: vec![1, 2],
            created_ms: NOW,
        }
    );

    let other_statement = Registration { statement: vec![8; 10], ..first.clone() };
    assert_eq!(storage.register(other_statement).await, Err(RegisterError::InvitationUsed));
    let other_address = Registration { address: address("b@x"), ..first.clone() };
    assert_eq!(storage.register(other_address).await, Err(RegisterError::InvitationUsed));
    storage.create_invitation([2; 32], Invitation { organisation: None, ..invitation }).await.unwrap();
    let taken = Registration { invitation_hash: [2; 32], ..first };
    assert_eq!(storage.register(taken.clone()).await, Err(RegisterError::AddressTaken));
    let free = Registration { address: address("b@x"), ..taken };
    assert_eq!(storage.register(free).await, Ok(RegisterOutcome { repeated: false }), "a refusal costs no invitation");
    assert_eq!(storage.account(&address("b@x")).await.unwrap().unwrap().organisation, None);
}

pub(super) async fn statements_are_compared_and_set<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = address("a@x");
    let replace = |expected, bytes: u8, version, devices: &[u32]| {
        let (storage, who, devices) = (Arc::clone(&storage), who.clone(), devices.to_vec());
        async move { storage.replace_statement(&who, expected, vec![bytes; 300], version, devices).await }
    };
    assert_eq!(replace(1, 2, 2, &[1]).await, Err(StatementError::UnknownAccount));
    register(&*storage, "a@x", &[1]).await;
    assert_eq!(replace(1, 2, 3, &[1]).await, Err(StatementError::WrongVersion { current: 1 }));
    assert_eq!(replace(2, 2, 3, &[1]).await, Err(StatementError::WrongVersion { current: 1 }));
    assert_eq!(replace(1, 2, 2, &[]).await, Err(StatementError::Devices));
    assert_eq!(replace(1, 2, 2, &[1, 1]).await, Err(StatementError::Devices));
    assert_eq!(replace(1, 2, 2, &[1]).await, Ok(ReplaceOutcome { repeated: false }));
    assert_eq!(replace(1, 2, 2, &[1]).await, Ok(ReplaceOutcome { repeated: true }));
    assert_eq!(replace(1, 3, 2, &[1]).await, Err(StatementError::WrongVersion { current: 2 }));
    let account = storage.account(&who).await.unwrap().unwrap();
    assert_eq!((account.statement, account.statement_version), (vec![2; 300], 2));

    // Of many who replace the same version, one succeeds.
    let attempts: Vec<_> = (10..30).map(|byte| tokio::spawn(replace(2, byte, 3, &[1]))).collect();
    let mut won = 0;
    for attempt in attempts {
        won += usize::from(attempt.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
}

pub(super) async fn a_device_that_goes_takes_its_queue_and_prekeys_along<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 100), (2, 100)])).await, TAKEN);
    let mut watching = storage.watch(&who, 2).await.unwrap();
    watching.mark_unchanged();
    storage.replace_statement(&who, 1, vec![2], 2, vec![1, 3]).await.unwrap();
    assert!(watching.changed().await.is_err(), "whoever watched the queue is cut off");
    assert_eq!(storage.fetch(&who, 2, 0, 10).await, Err(QueueError::UnknownDevice));
    assert_eq!(storage.prekey_status(&who, 2).await, Err(PrekeyError::UnknownDevice));
    assert_eq!(sequences(&*storage, &who, 1).await, [1]);
    let taken = storage.take_prekeys(&who).await.unwrap();
    assert_eq!(taken.iter().map(|taken| taken.device_id).collect::<Vec<_>>(), [1], "3 has none yet");

    // A device without prekeys cannot be written to, so nobody is asked to.
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 100)])).await, TAKEN);
    storage.put_prekeys(&who, 3, 1, prekeys(3, 0..1)).await.unwrap();
    let stale = EnqueueError::StaleDevices { missing: vec![3], extra: vec![2], statement_version: 2 };
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 100), (2, 100)])).await, Err(stale));
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 100), (3, 100)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 3).await, [1]);
}

pub(super) async fn a_deleted_account_leaves_nothing<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 100), (2, 100)])).await, TAKEN);
    let mut watching = storage.watch(&who, 1).await.unwrap();
    watching.mark_unchanged();
    assert_eq!(storage.delete_account(&who, 2).await, Err(StatementError::WrongVersion { current: 1 }));
    assert_eq!(storage.delete_account(&who, 1).await, Ok(()));
    assert_eq!(storage.delete_account(&who, 1).await, Err(StatementError::UnknownAccount));
    assert!(watching.changed().await.is_err());
    assert_eq!(storage.account(&who).await, Ok(None));
    assert_eq!(storage.inspect(None, 10).await, Ok(Vec::new()));
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 1)])).await, Err(EnqueueError::UnknownRecipient));
    assert_eq!(storage.take_prekeys(&who).await, Err(PrekeyError::UnknownDevice));
    let mut hash = [0; 32];
    hash[..3].copy_from_slice(b"a@x");
    let repeat = storage.register(registration("a@x", hash, &[1, 2])).await;
    assert_eq!(repeat, Err(RegisterError::InvitationUsed), "a repeat must not raise the dead");

    let invitation = Invitation { organisation: None, expires_ms: NOW + 1 };
    storage.create_invitation([9; 32], invitation).await.unwrap();
    storage.register(registration("a@x", [9; 32], &[1])).await.unwrap();
    assert_eq!(sequences(&*storage, &who, 1).await, [0; 0]);
    assert_eq!(storage.prekey_status(&who, 1).await.unwrap().one_time, 3);
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 100)])).await, TAKEN, "its ids are forgotten as well");
    let counts = storage.expire(NOW + 31 * DAY).await.unwrap();
    assert_eq!((counts.envelopes, counts.submissions), (1, 1));
}

pub(super) async fn a_queue_keeps_its_order<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for id in 1..=20 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(2, 70), (1, 60)])).await, TAKEN);
    }
    let all = storage.fetch(&who, 1, 0, 1000).await.unwrap();
    assert_eq!(all.len(), 20);
    for (index, envelope) in all.iter().enumerate() {
        let number = index as u64 + 1;
        let expected = QueuedEnvelope { sequence: number, received_ms: NOW, envelope: vec![number as u8; 60] };
        assert_eq!(envelope, &expected);
    }
    let some = storage.fetch(&who, 2, 7, 5).await.unwrap();
    assert_eq!(some.iter().map(|envelope| envelope.sequence).collect::<Vec<_>>(), [8, 9, 10, 11, 12]);
    assert_eq!(storage.fetch(&who, 1, u64::MAX, 5).await, Ok(Vec::new()));
    assert_eq!(storage.fetch(&who, 1, 20, 5).await, Ok(Vec::new()));
    assert_eq!(storage.fetch(&who, 3, 0, 5).await, Err(QueueError::UnknownDevice));
}

pub(super) async fn all_devices_or_none<E: Engine>() {
    let engine = E::create(QueueQuota { messages_max: 2, bytes_max: 1 << 20 });
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    let nobody = address("b@x");
    assert_eq!(storage.enqueue(submission(&nobody, 1, &[(1, 9)])).await, Err(EnqueueError::UnknownRecipient));
    let stale = |missing: &[u32], extra: &[u32]| {
        let (missing, extra) = (missing.to_vec(), extra.to_vec());
        Err(EnqueueError::StaleDevices { missing, extra, statement_version: 1 })
    };
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9)])).await, stale(&[2], &[]));
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9), (2, 9), (3, 9)])).await, stale(&[], &[3]));
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9), (2, 9), (2, 9)])).await, stale(&[], &[2]));
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 9), (2, 9)])).await, TAKEN, "a refused id is as good as new");
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 9), (2, 9)])).await, TAKEN);
    storage.acknowledge(&who, 1, storage.incarnation(), 2).await.unwrap();
    let full = storage.enqueue(submission(&who, 3, &[(1, 9), (2, 9)])).await;
    assert_eq!(full, Err(EnqueueError::QueueFull { device: 2 }));
    assert_eq!(sequences(&*storage, &who, 1).await, [0; 0], "device 1 had room and got nothing");
    storage.acknowledge(&who, 2, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 9), (2, 9)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 1).await, [3]);
    assert_eq!(sequences(&*storage, &who, 2).await, [2, 3]);
}

pub(super) async fn a_repeat_gets_the_first_answer<E: Engine>() {
    let engine = E::create(QueueQuota { messages_max: 1, bytes_max: 1 << 20 });
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let other = register(&*storage, "b@x", &[1]).await;
    let first = submission(&who, 1, &[(1, 10)]);
    assert_eq!(storage.enqueue(first.clone()).await, TAKEN);
    assert_eq!(storage.enqueue(first.clone()).await, AGAIN, "though the queue is full now");
    let reused = Submission { digest: [9; 32], ..first.clone() };
    assert_eq!(storage.enqueue(reused).await, Err(EnqueueError::IdReused));
    assert_eq!(storage.enqueue(submission(&other, 1, &[(1, 10)])).await, TAKEN, "ids belong to a recipient");
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    storage.replace_statement(&who, 1, vec![2], 2, vec![2]).await.unwrap();
    assert_eq!(storage.enqueue(first.clone()).await, AGAIN, "though it was fetched and the device is gone");

    // Of many repeats at once, one is taken.
    storage.put_prekeys(&who, 2, 1, prekeys(2, 0..0)).await.unwrap();
    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let (storage, repeat) = (Arc::clone(&storage), submission(&who, 2, &[(2, 10)]));
            tokio::spawn(async move { storage.enqueue(repeat).await })
        })
        .collect();
    let mut fresh = 0;
    for attempt in attempts {
        let EnqueueOutcome::Accepted { duplicate } = attempt.await.unwrap().unwrap();
        fresh += usize::from(!duplicate);
    }
    assert_eq!(fresh, 1);
    assert_eq!(sequences(&*storage, &who, 2).await, [1]);

    let kept = storage.expire(NOW + SUBMISSION_RECORD_RETENTION_MS - 1).await.unwrap();
    assert_eq!(kept.submissions, 0);
    let forgotten = storage.expire(NOW + SUBMISSION_RECORD_RETENTION_MS).await.unwrap();
    assert_eq!(forgotten.submissions, 3);
    storage.acknowledge(&who, 2, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 1, &[(2, 10)])).await, TAKEN);
}

pub(super) async fn quotas_hold<E: Engine>() {
    let engine = E::create(QueueQuota { messages_max: 3, bytes_max: 1000 });
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let full = Err(EnqueueError::QueueFull { device: 1 });
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 1001)])).await, full);
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 900)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 101)])).await, full);
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 100)])).await, TAKEN);
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 1)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&who, 4, &[(1, 1)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&who, 5, &[(1, 1)])).await, full, "three messages are there");
    storage.expire(NOW + 30 * DAY).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 5, &[(1, 1000)])).await, TAKEN, "what expired makes room");
}

pub(super) async fn acknowledgements_remove_what_was_there<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let incarnation = storage.incarnation();
    for id in 1..=5 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(1, 10)])).await, TAKEN);
    }
    let mut foreign = incarnation;
    foreign[0] ^= 1;
    assert_eq!(storage.acknowledge(&who, 1, foreign, 1).await, Err(AcknowledgeError::ForeignIncarnation));
    assert_eq!(storage.acknowledge(&who, 2, incarnation, 1).await, Err(AcknowledgeError::UnknownDevice));
    let beyond = storage.acknowledge(&who, 1, incarnation, 6).await;
    assert_eq!(beyond, Err(AcknowledgeError::BeyondAssigned { highest: 5 }));
    assert_eq!(sequences(&*storage, &who, 1).await, [1, 2, 3, 4, 5]);
    assert_eq!(storage.acknowledge(&who, 1, incarnation, 0).await, Ok(()));
    for up_to in [3, 3, 2] {
        assert_eq!(storage.acknowledge(&who, 1, incarnation, up_to).await, Ok(()));
        assert_eq!(sequences(&*storage, &who, 1).await, [4, 5]);
    }
    assert_eq!(storage.acknowledge(&who, 1, incarnation, 5).await, Ok(()));
    assert_eq!(storage.enqueue(submission(&who, 6, &[(1, 10)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 1).await, [6], "a number is never given twice");
}

pub(super) async fn a_watcher_is_told<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    assert_eq!(storage.watch(&who, 2).await.err(), Some(QueueError::UnknownDevice));
    let mut watching = storage.watch(&who, 1).await.unwrap();
    assert_eq!(*watching.borrow_and_update(), 0);
    let waiting = tokio::spawn(async move {
        watching.changed().await.unwrap();
        *watching.borrow_and_update()
    });
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 10)])).await, TAKEN);
    assert_eq!(waiting.await.unwrap(), 1);
    assert_eq!(*storage.watch(&who, 1).await.unwrap().borrow(), 1, "a late watcher knows what is there");
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 10)])).await, TAKEN);
    assert_eq!(*storage.watch(&who, 1).await.unwrap().borrow(), 2);
}

pub(super) async fn expiry_is_counted<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for (id, days) in [(1, 1), (2, 3), (3, 2)] {
        let expires_ms = NOW + days * DAY;
        let timed = Submission { expires_ms, ..submission(&who, id, &[(1, 10), (2, 10)]) };
        assert_eq!(storage.enqueue(timed).await, TAKEN);
    }
    storage.acknowledge(&who, 2, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.expire(NOW + DAY - 1).await, Ok(ExpireCounts { envelopes: 0, ..Default::default() }));
    let counts = storage.expire(NOW + 2 * DAY).await.unwrap();
    assert_eq!(counts.envelopes, 3, "1 and 3 of device 1, 3 of device 2");
    assert_eq!(storage.expire(NOW + 2 * DAY).await.unwrap().envelopes, 0);
    assert_eq!(sequences(&*storage, &who, 1).await, [2]);
    assert_eq!(storage.expired_count(&who, 1).await, Ok(2));
    assert_eq!(storage.expired_count(&who, 2).await, Ok(1));
    storage.settle_expired(&who, 1, 1).await.unwrap();
    assert_eq!(storage.expired_count(&who, 1).await, Ok(1));
    storage.settle_expired(&who, 1, 5).await.unwrap();
    assert_eq!(storage.expired_count(&who, 1).await, Ok(0));
    assert_eq!(storage.settle_expired(&who, 3, 1).await, Err(QueueError::UnknownDevice));
    assert_eq!(storage.acknowledge(&who, 1, storage.incarnation(), 3).await, Ok(()), "expired numbers can be acked");

    let invitations = storage.expire(NOW + DAY + INVITATION_RECORD_RETENTION_MS).await.unwrap().invitations;
    assert_eq!(invitations, 1);
}

pub(super) async fn prekeys_are_replaced_whole<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let status = |one_time, one_time_kem, sequence| Ok(PrekeyStatus { one_time, one_time_kem, sequence });
    assert_eq!(storage.prekey_status(&who, 1).await, status(3, 3, 1));
    let old = storage.put_prekeys(&who, 1, 1, prekeys(9, 0..3)).await;
    assert_eq!(old, Err(PrekeyError::OldSequence { current: 1 }));
    assert_eq!(storage.put_prekeys(&who, 1, 1, prekeys(1, 0..3)).await, Ok(()), "the same again");
    assert_eq!(storage.put_prekeys(&who, 2, 1, prekeys(1, 0..3)).await, Err(PrekeyError::UnknownDevice));
    let first = storage.take_prekeys(&who).await.unwrap().remove(0);
    assert_eq!(first.one_time, Some(vec![1, 4, 0, 0, 0, 0]));
    assert_eq!(first.kem, TakenKem::OneTime(vec![1, 5, 0, 0, 0, 0]));

    // 0 was given away, 1 and 2 are there, 3 is new.
    assert_eq!(storage.put_prekeys(&who, 1, 5, prekeys(6, 0..4)).await, Ok(()));
    assert_eq!(storage.prekey_status(&who, 1).await, status(3, 3, 5));
    let mut given = Vec::new();
    for _ in 0..3 {
        let taken = storage.take_prekeys(&who).await.unwrap().remove(0);
        assert_eq!((taken.device_id, taken.signed, taken.seal), (1, vec![6, 1], vec![6, 3]), "replaced");
        given.push((taken.one_time.unwrap(), taken.kem));
    }
    let expected = [(1, 1), (1, 2), (6, 3)]
        .map(|(tag, id)| (vec![tag, 4, 0, 0, 0, id], TakenKem::OneTime(vec![tag, 5, 0, 0, 0, id])));
    assert_eq!(given, expected, "kept, kept, added");

    for _ in 0..2 {
        let taken = storage.take_prekeys(&who).await.unwrap().remove(0);
        assert_eq!((taken.one_time, taken.kem), (None, TakenKem::LastResort(vec![6; 1600])), "none is left");
    }
    assert_eq!(storage.prekey_status(&who, 1).await, status(0, 0, 5));
    let many = ONE_TIME_PREKEYS_STORED_MAX as u32;
    storage.put_prekeys(&who, 1, 6, prekeys(1, 100..100 + many)).await.unwrap();
    assert_eq!(storage.put_prekeys(&who, 1, 7, prekeys(1, 900..901)).await, Err(PrekeyError::TooMany));
    assert_eq!(storage.prekey_status(&who, 1).await, status(many as usize, many as usize, 6));
}

pub(super) async fn every_one_time_key_goes_to_one_taker<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    storage.put_prekeys(&who, 1, 2, prekeys(1, 10..50)).await.unwrap();
    let takers: Vec<_> = (0..60)
        .map(|_| {
            let (storage, who) = (Arc::clone(&storage), who.clone());
            tokio::spawn(async move { storage.take_prekeys(&who).await.unwrap() })
        })
        .collect();
    let mut given = BTreeMap::new();
    let mut last_resort = 0;
    for taker in takers {
        for taken in taker.await.unwrap() {
            if let Some(key) = taken.one_time {
                *given.entry(key).or_insert(0) += 1;
            }
            match taken.kem {
                TakenKem::OneTime(key) => *given.entry(key).or_insert(0) += 1,
                TakenKem::LastResort(_) => last_resort += 1,
            }
        }
    }
    assert!(given.values().all(|count| *count == 1), "a key was given twice");
    assert_eq!(given.len(), 2 * (43 + 3), "all keys of both devices");
    assert_eq!(last_resort, 2 * 60 - 43 - 3);
}

pub(super) async fn the_highest_generation_is_kept<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    for (reported, before) in [(5, 0), (3, 5), (9, 5), (9, 9)] {
        assert_eq!(storage.report_generation(&who, 1, reported).await, Ok(before));
    }
    assert_eq!(storage.report_generation(&who, 2, 1).await, Err(QueueError::UnknownDevice));
    drop(storage);
    engine.reopen();
    assert_eq!(engine.storage().report_generation(&who, 1, 1).await, Ok(9));
}

pub(super) async fn a_restart_keeps_everything<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for id in 1..=9 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(1, 5000), (2, 60)])).await, TAKEN);
    }
    storage.acknowledge(&who, 1, storage.incarnation(), 4).await.unwrap();
    storage.take_prekeys(&who).await.unwrap();
    let before = (
        storage.incarnation(),
        storage.account(&who).await.unwrap(),
        storage.fetch(&who, 1, 0, 100).await.unwrap(),
        storage.fetch(&who, 2, 0, 100).await.unwrap(),
        storage.inspect(None, 10).await.unwrap(),
    );
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    let after = (
        storage.incarnation(),
        storage.account(&who).await.unwrap(),
        storage.fetch(&who, 1, 0, 100).await.unwrap(),
        storage.fetch(&who, 2, 0, 100).await.unwrap(),
        storage.inspect(None, 10).await.unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(storage.enqueue(submission(&who, 9, &[(1, 5000), (2, 60)])).await, AGAIN);
    assert_eq!(storage.enqueue(submission(&who, 10, &[(1, 5000), (2, 60)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 1).await, [5, 6, 7, 8, 9, 10]);
    assert_eq!(storage.take_prekeys(&who).await.unwrap()[0].one_time, Some(vec![1, 4, 0, 0, 0, 1]));
}

/// A writer that can be read after it was given away.
#[derive(Clone, Default)]
pub(super) struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) async fn export(storage: &dyn Storage) -> Vec<u8> {
    let buffer = SharedBuffer::default();
    storage.export(Box::new(buffer.clone())).await.unwrap();
    let bytes = buffer.0.lock().unwrap();
    bytes.clone()
}

async fn filled<E: Engine>() -> (E, Address) {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "b@x", &[1, 4]).await;
    register(&*storage, "a@x", &[1]).await;
    storage.create_invitation([3; 32], Invitation { organisation: None, expires_ms: NOW + DAY }).await.unwrap();
    for id in 1..=6 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(1, 5000), (4, 70)])).await, TAKEN);
    }
    storage.acknowledge(&who, 1, storage.incarnation(), 2).await.unwrap();
    storage.report_generation(&who, 1, 8).await.unwrap();
    storage.take_prekeys(&who).await.unwrap();
    (engine, who)
}

pub(super) async fn an_export_is_imported_without_one_time_keys<E: Engine>() {
    let (source, who) = filled::<E>().await;
    let source = source.storage();
    let exported = export(&*source).await;
    for device in [1, 4u8] {
        for kind in [4, 5] {
            let unused = [device, kind, 0, 0, 0, 2];
            assert!(!exported.windows(6).any(|window| window == unused), "an unused one-time key is in the export");
        }
    }
    let mut target = E::create(ROOMY);
    let storage = target.storage();
    let created_with = storage.incarnation();
    storage.import(Box::new(Cursor::new(exported.clone()))).await.unwrap();
    let again = storage.import(Box::new(Cursor::new(exported))).await;
    assert!(matches!(again, Err(ImportError::NotEmpty)), "{again:?}");
    drop(storage);
    target.reopen();
    let storage = target.storage();
    assert_ne!(storage.incarnation(), source.incarnation());
    assert_ne!(storage.incarnation(), created_with);
    let old = storage.acknowledge(&who, 1, source.incarnation(), 3).await;
    assert_eq!(old, Err(AcknowledgeError::ForeignIncarnation));

    for device in [1, 4] {
        assert_eq!(storage.fetch(&who, device, 0, 99).await, source.fetch(&who, device, 0, 99).await);
    }
    assert_eq!(storage.account(&who).await, source.account(&who).await);
    let mut expected = source.inspect(None, 10).await.unwrap();
    for device in expected.iter_mut().flat_map(|account| &mut account.devices) {
        (device.one_time, device.one_time_kem) = (0, 0);
    }
    assert_eq!(storage.inspect(None, 10).await.unwrap(), expected);

    assert_eq!(storage.enqueue(submission(&who, 6, &[(1, 5000), (4, 70)])).await, AGAIN);
    assert_eq!(storage.enqueue(submission(&who, 7, &[(1, 5000), (4, 70)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 1).await, [3, 4, 5, 6, 7]);
    // The key with id 1 was unused at the export; who knows whether it was given away after.
    storage.put_prekeys(&who, 1, 2, prekeys(1, 0..4)).await.unwrap();
    assert_eq!(storage.take_prekeys(&who).await.unwrap()[0].one_time, Some(vec![1, 4, 0, 0, 0, 3]));
    let free = registration("c@x", [3; 32], &[1]);
    assert_eq!(storage.register(free).await, Ok(RegisterOutcome { repeated: false }));
    assert_eq!(storage.enqueue(submission(&address("c@x"), 1, &[(1, 10)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &address("c@x"), 1).await, [1], "the new account has a number of its own");
}

pub(super) async fn a_damaged_export_is_refused_whole<E: Engine>() {
    let (source, who) = filled::<E>().await;
    let exported = export(&*source.storage()).await;
    let target = E::create(ROOMY);
    let storage = target.storage();
    let before = storage.incarnation();
    let step = exported.len() / 50;
    for position in (0..exported.len()).step_by(step).chain([exported.len() - 1, exported.len() - 40]) {
        let cut = storage.import(Box::new(Cursor::new(exported[..position].to_vec()))).await;
        assert!(matches!(cut, Err(ImportError::Damaged | ImportError::Format)), "cut at {position}: {cut:?}");
        let mut bad = exported.clone();
        bad[position] ^= 1;
        let flipped = storage.import(Box::new(Cursor::new(bad))).await;
        assert!(matches!(flipped, Err(ImportError::Damaged | ImportError::Format)), "at {position}: {flipped:?}");
    }
    let longer = storage.import(Box::new(Cursor::new([&exported[..], &[0]].concat()))).await;
    assert!(matches!(longer, Err(ImportError::Damaged)));
    assert_eq!(storage.inspect(None, 10).await, Ok(Vec::new()), "nothing of it was taken");
    assert_eq!(storage.incarnation(), before);
    storage.import(Box::new(Cursor::new(exported))).await.unwrap();
    assert_eq!(sequences(&*storage, &who, 1).await, [3, 4, 5, 6]);
}

pub(super) async fn concurrent_submissions_get_dense_numbers<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let submitters: Vec<_> = (0..200u8)
        .map(|id| {
            let (storage, next) = (Arc::clone(&storage), submission(&who, id, &[(1, 4096)]));
            tokio::spawn(async move { storage.enqueue(next).await })
        })
        .collect();
    for submitter in submitters {
        assert_eq!(submitter.await.unwrap(), TAKEN);
    }
    let all = storage.fetch(&who, 1, 0, 1000).await.unwrap();
    assert_eq!(all.iter().map(|envelope| envelope.sequence).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    let contents: BTreeSet<u8> = all.iter().map(|envelope| envelope.envelope[0]).collect();
    assert_eq!(contents.len(), 200);
    assert!(all.iter().all(|envelope| envelope.envelope.iter().all(|byte| *byte == envelope.envelope[0])));
}

pub(super) async fn what_is_too_large_is_refused<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let largest = submission(&who, 1, &[(1, ENVELOPE_LENGTH_MAX)]);
    assert_eq!(storage.enqueue(largest).await, TAKEN);
    let larger = storage.enqueue(submission(&who, 2, &[(1, ENVELOPE_LENGTH_MAX + 1)])).await;
    assert!(matches!(larger, Err(EnqueueError::Storage(StorageError::Oversize { .. }))), "{larger:?}");
    let statement = vec![0; STATEMENT_LENGTH_MAX + 1];
    let larger = storage.replace_statement(&who, 1, statement, 2, vec![1]).await;
    assert!(matches!(larger, Err(StatementError::Storage(StorageError::Oversize { .. }))), "{larger:?}");
    let mut keys = prekeys(1, 0..1);
    keys.one_time[0].1 = vec![0; 5000];
    let larger = storage.put_prekeys(&who, 1, 2, keys).await;
    assert!(matches!(larger, Err(PrekeyError::Storage(StorageError::Oversize { .. }))), "{larger:?}");
    assert_eq!(storage.failure().borrow().clone(), None, "a refusal is no failure of the engine");
}

pub(super) async fn an_inspection_shows_what_there_is<E: Engine>() {
    let (engine, who) = filled::<E>().await;
    let storage = engine.storage();
    let all = storage.inspect(None, 10).await.unwrap();
    let names: Vec<_> = all.iter().map(|account| account.address.as_str()).collect();
    assert_eq!(names, ["a@x", "b@x"]);
    assert_eq!(storage.inspect(None, 1).await.unwrap(), all[..1]);
    assert_eq!(storage.inspect(Some(&address("a@x")), 10).await.unwrap(), all[1..]);
    assert_eq!(storage.inspect(Some(&who), 10).await.unwrap(), []);
    let account = &all[1];
    assert_eq!((account.submissions, account.statement_length, account.created_ms), (6, 5000, NOW));
    let device = &account.devices[0];
    assert_eq!((device.device_id, device.generation, device.highest_sequence, device.bytes), (1, 8, 6, 20_000));
    assert_eq!((device.one_time, device.one_time_kem, device.expired), (2, 2, 0));
    let envelope = InspectedEnvelope { sequence: 3, length: 5000, received_ms: NOW, expires_ms: NOW + 30 * DAY };
    assert_eq!((device.envelopes.len(), device.envelopes[0]), (4, envelope));
}
