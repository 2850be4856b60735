//! Invitations, accounts, statements and generations.

use super::*;

pub(in crate::storage) async fn registration_uses_up_an_invitation<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let first = registration("a@x", [1; 32], &[1, 2]);
    assert_eq!(storage.register(first.clone()).await, Err(RegisterError::InvitationUnknown));
    let invitation = Invitation { organisation: Some("CHU".into()), expires_ms: NOW + 1, tenant: 0, address: None };
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
            delivery_keys: vec![],
            tenant: 0,
            suspended: false,
            tenant_suspended: false,
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

pub(in crate::storage) async fn statements_are_compared_and_set<E: Engine>() {
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

pub(in crate::storage) async fn a_device_that_goes_takes_its_queue_and_prekeys_along<E: Engine>() {
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
    let taken = storage.take_prekeys(&who, Taking::default()).await.unwrap();
    assert_eq!(taken.iter().map(|taken| taken.device_id).collect::<Vec<_>>(), [1], "3 has none yet");

    // A device without prekeys cannot be written to, so nobody is asked to.
    assert_eq!(storage.enqueue(submission(&who, 2, &[(1, 100)])).await, TAKEN);
    storage.put_prekeys(&who, 3, 1, prekeys(3, 0..1)).await.unwrap();
    let stale = EnqueueError::StaleDevices { missing: vec![3], extra: vec![2], statement_version: 2 };
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 100), (2, 100)])).await, Err(stale));
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 100), (3, 100)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &who, 3).await, [1]);
}

pub(in crate::storage) async fn a_deleted_account_leaves_nothing<E: Engine>() {
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
    assert_eq!(storage.take_prekeys(&who, Taking::default()).await, Err(PrekeyError::UnknownDevice));
    let mut hash = [0; 32];
    hash[..3].copy_from_slice(b"a@x");
    let repeat = storage.register(registration("a@x", hash, &[1, 2])).await;
    assert_eq!(repeat, Err(RegisterError::InvitationUsed), "a repeat must not raise the dead");

    let invitation = Invitation { organisation: None, expires_ms: NOW + 1, tenant: 0, address: None };
    storage.create_invitation([9; 32], invitation).await.unwrap();
    storage.register(registration("a@x", [9; 32], &[1])).await.unwrap();
    assert_eq!(sequences(&*storage, &who, 1).await, [0; 0]);
    assert_eq!(storage.prekey_status(&who, 1).await.unwrap().one_time, 3);
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 100)])).await, TAKEN, "its ids are forgotten as well");
    let counts = storage.expire(NOW + 31 * DAY).await.unwrap();
    assert_eq!((counts.envelopes, counts.submissions), (1, 1));
}

pub(in crate::storage) async fn the_highest_generation_is_kept<E: Engine>() {
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
