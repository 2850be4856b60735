//! Tenants: seats, room in queues, ends and what is counted for statements.

use medipeps_core::tenant::{DEFAULT_TENANT, Tenant, TenantDay, TenantTerms, TenantUsage};

use super::*;

fn terms(name: &str) -> TenantTerms {
    TenantTerms::unbounded(name)
}

/// An invitation of a tenant; its hash.
async fn invite(storage: &dyn Storage, tenant: u64, tag: u8) -> [u8; 32] {
    let invitation = Invitation { organisation: None, expires_ms: NOW + 900 * DAY, tenant, address: None };
    storage.create_invitation([tag; 32], invitation).await.unwrap();
    [tag; 32]
}

/// An account of a tenant with one device.
async fn join(storage: &dyn Storage, tenant: u64, tag: u8) -> Address {
    let hash = invite(storage, tenant, tag).await;
    let registration = registration(&format!("{tag}@x"), hash, &[1]);
    storage.register(registration.clone()).await.unwrap();
    registration.address
}

async fn usage(storage: &dyn Storage, tenant: u64) -> TenantUsage {
    let tenants = storage.tenants().await.unwrap();
    tenants.into_iter().find(|(one, _)| one.number == tenant).unwrap().1
}

pub(in crate::storage) async fn tenants_have_numbers_and_names_of_their_own<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let default = Tenant::default_tenant();
    assert_eq!(storage.tenants().await, Ok(vec![(default.clone(), TenantUsage::default())]));
    let first = storage.create_tenant(terms("CHU"), NOW).await.unwrap();
    assert_eq!(storage.create_tenant(terms("CHU"), NOW).await, Err(TenantError::NameTaken));
    assert_eq!(storage.create_tenant(terms("default"), NOW).await, Err(TenantError::NameTaken));
    assert!(matches!(storage.create_tenant(terms(""), NOW).await, Err(TenantError::Terms(_))));
    let second = storage.create_tenant(terms("Clinic"), NOW).await.unwrap();
    assert_eq!(storage.change_tenant(second, terms("CHU")).await, Err(TenantError::NameTaken));
    assert_eq!(storage.change_tenant(99, terms("x")).await, Err(TenantError::Unknown));
    let changed = TenantTerms { seats: Some(3), ..terms("Clinic of Pau") };
    assert_eq!(storage.change_tenant(second, changed.clone()).await, Ok(()));
    assert_eq!(storage.change_tenant(second, changed.clone()).await, Ok(()), "its own name is no other's");
    assert_eq!(storage.change_tenant(DEFAULT_TENANT, TenantTerms { seats: Some(1), ..terms("rest") }).await, Ok(()));
    assert_eq!(storage.remove_tenant(DEFAULT_TENANT).await, Err(TenantError::Default));
    assert_eq!(storage.remove_tenant(first).await, Ok(()));
    assert_eq!(storage.remove_tenant(first).await, Err(TenantError::Unknown));
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.tenant(first).await, Ok(None));
    assert_eq!(storage.tenant(second).await, Ok(Some(Tenant { number: second, created_ms: NOW, terms: changed })));
    assert_eq!(storage.tenant(DEFAULT_TENANT).await.unwrap().unwrap().terms.name, "rest");
    let third = storage.create_tenant(terms("CHU"), NOW).await.unwrap();
    assert!(third > second && third != first, "a number is given once");
}

pub(in crate::storage) async fn seats_are_never_given_twice<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let tenant = storage.create_tenant(TenantTerms { seats: Some(3), ..terms("CHU") }, NOW).await.unwrap();
    let unknown = Invitation { organisation: None, expires_ms: NOW + DAY, tenant: 99, address: None };
    assert_eq!(storage.create_invitation([1; 32], unknown).await, Err(InvitationError::UnknownTenant));
    let first = join(&*storage, tenant, 1).await;
    // Of many who come at once, as many get in as there are seats.
    let mut attempts = Vec::new();
    for tag in 10..30 {
        let hash = invite(&*storage, tenant, tag).await;
        let storage = Arc::clone(&storage);
        let registration = registration(&format!("{tag}@x"), hash, &[1]);
        attempts.push(tokio::spawn(async move { storage.register(registration).await }));
    }
    let (mut in_time, mut late) = (0, 0);
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(_) => in_time += 1,
            Err(error) => {
                assert_eq!(error, RegisterError::SeatsExhausted);
                late += 1;
            }
        }
    }
    assert_eq!((in_time, late), (2, 18));
    assert_eq!(storage.remove_tenant(tenant).await, Err(TenantError::InUse { accounts: 3 }));
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(usage(&*storage, tenant).await.seats, 3);
    assert_eq!(usage(&*storage, DEFAULT_TENANT).await.seats, 0);
    storage.register(registration("1@x", [1; 32], &[1])).await.unwrap();
    assert_eq!(usage(&*storage, tenant).await.seats, 3, "a repeat takes no second seat");
    storage.delete_account(&first, 1).await.unwrap();
    let again = invite(&*storage, tenant, 40).await;
    let registration = registration("40@x", again, &[1]);
    assert_eq!(storage.register(registration).await, Ok(RegisterOutcome { repeated: false }), "a seat is free again");
    assert_eq!(usage(&*storage, tenant).await.seats, 3);
}

pub(in crate::storage) async fn an_invitation_may_be_bound_to_an_address<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let invitation =
        Invitation { organisation: None, expires_ms: NOW + DAY, tenant: 0, address: Some(address("claire@x")) };
    storage.create_invitation([1; 32], invitation).await.unwrap();
    let other = storage.register(registration("karim@x", [1; 32], &[1])).await;
    assert_eq!(other, Err(RegisterError::InvitationBound));
    let own = storage.register(registration("claire@x", [1; 32], &[1])).await;
    assert_eq!(own, Ok(RegisterOutcome { repeated: false }), "a refusal costs no invitation");
}

pub(in crate::storage) async fn the_room_of_a_tenant_is_counted_over_its_queues<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let small = TenantTerms { storage_bytes: Some(1000), ..terms("CHU") };
    let tenant = storage.create_tenant(small, NOW).await.unwrap();
    let (first, second) = (join(&*storage, tenant, 1).await, join(&*storage, tenant, 2).await);
    let outside = join(&*storage, DEFAULT_TENANT, 3).await;
    assert_eq!(storage.enqueue(submission(&first, 1, &[(1, 600)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&second, 2, &[(1, 401)])).await, Err(EnqueueError::TenantStorageFull));
    assert_eq!(storage.enqueue(submission(&second, 2, &[(1, 400)])).await, TAKEN);
    assert_eq!(storage.enqueue(submission(&outside, 3, &[(1, 5000)])).await, TAKEN, "another tenant has its own room");
    assert_eq!(storage.enqueue(submission(&first, 1, &[(1, 600)])).await, AGAIN, "what was taken is not refused");
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(usage(&*storage, tenant).await, TenantUsage { seats: 2, bytes: 1000 });
    storage.acknowledge(&first, 1, storage.incarnation(), 1).await.unwrap();
    assert_eq!(usage(&*storage, tenant).await.bytes, 400);
    assert_eq!(storage.enqueue(submission(&first, 4, &[(1, 600)])).await, TAKEN);
    storage.delete_account(&second, 1).await.unwrap();
    assert_eq!(usage(&*storage, tenant).await, TenantUsage { seats: 1, bytes: 600 });
    storage.expire(NOW + 31 * DAY).await.unwrap();
    assert_eq!(usage(&*storage, tenant).await.bytes, 0);
    assert_eq!(usage(&*storage, DEFAULT_TENANT).await, TenantUsage { seats: 1, bytes: 0 });
    // A device that is removed takes its queue along.
    assert_eq!(storage.enqueue(submission(&first, 5, &[(1, 600)])).await, TAKEN);
    storage.replace_statement(&first, 1, vec![2], 2, vec![2]).await.unwrap();
    assert_eq!(usage(&*storage, tenant).await.bytes, 0);
}

pub(in crate::storage) async fn what_has_ended_takes_nothing_new_and_loses_nothing<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let ending = TenantTerms { ends_ms: Some(NOW), grace_ms: DAY, ..terms("CHU") };
    let tenant = storage.create_tenant(ending.clone(), NOW - DAY).await.unwrap();
    let who = join(&*storage, tenant, 1).await;
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 100)])).await, TAKEN, "it is the grace");
    let late = Submission { now_ms: NOW + DAY, ..submission(&who, 2, &[(1, 100)]) };
    assert_eq!(storage.enqueue(late.clone()).await, Err(EnqueueError::LicenceEnded));
    let hash = invite(&*storage, tenant, 2).await;
    let joining = Registration { now_ms: NOW + DAY, ..registration("2@x", hash, &[1]) };
    assert_eq!(storage.register(joining.clone()).await, Err(RegisterError::LicenceEnded));
    assert_eq!(sequences(&*storage, &who, 1).await, [1], "what waits can be fetched");
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    storage.change_tenant(tenant, TenantTerms { ends_ms: None, ..ending.clone() }).await.unwrap();
    assert_eq!(storage.enqueue(late).await, TAKEN);
    assert_eq!(storage.register(joining).await, Ok(RegisterOutcome { repeated: false }));

    storage.change_tenant(tenant, TenantTerms { suspended: true, ..ending.clone() }).await.unwrap();
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 1)])).await, Err(EnqueueError::TenantSuspended));
    let hash = invite(&*storage, tenant, 3).await;
    assert_eq!(storage.register(registration("3@x", hash, &[1])).await, Err(RegisterError::TenantSuspended));
    storage.change_tenant(tenant, TenantTerms { ends_ms: None, ..ending }).await.unwrap();
    assert_eq!(storage.set_suspended(&address("none@x"), true).await, Err(SuspendError::UnknownAccount));
    assert_eq!(storage.set_suspended(&who, true).await, Ok(()));
    assert!(storage.account(&who).await.unwrap().unwrap().suspended);
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 1)])).await, Err(EnqueueError::AccountSuspended));
    storage.replace_statement(&who, 1, vec![2], 2, vec![1]).await.unwrap();
    assert!(storage.account(&who).await.unwrap().unwrap().suspended, "another statement does not free it");
    assert_eq!(storage.set_suspended(&who, false).await, Ok(()));
    assert_eq!(storage.enqueue(submission(&who, 3, &[(1, 1)])).await, TAKEN);
}

pub(in crate::storage) async fn every_day_of_a_tenant_is_counted<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let services = vec!["mail".to_owned()];
    let first_terms = TenantTerms { ends_ms: Some(NOW + DAY), services: services.clone(), ..terms("CHU") };
    let tenant = storage.create_tenant(first_terms, NOW).await.unwrap();
    let today = u32::try_from(NOW / DAY).unwrap();
    let (first, second) = (join(&*storage, tenant, 1).await, join(&*storage, tenant, 2).await);
    assert_eq!(storage.enqueue(submission(&first, 1, &[(1, 700)])).await, TAKEN);
    storage.count_tenants(NOW).await.unwrap();
    storage.delete_account(&second, 1).await.unwrap();
    storage.acknowledge(&first, 1, storage.incarnation(), 1).await.unwrap();
    storage.count_tenants(NOW + 1).await.unwrap();
    storage.count_tenants(NOW + 2 * DAY).await.unwrap();
    let day = |day, seats, seats_peak, bytes_peak, active| TenantDay {
        day,
        seats,
        seats_peak,
        bytes_peak,
        active,
        services: services.clone(),
    };
    let expected = vec![day(today, 1, 2, 700, true), day(today + 2, 1, 1, 0, false)];
    assert_eq!(storage.tenant_days(tenant, 0, u32::MAX).await, Ok(expected.clone()));
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.tenant_days(tenant, 0, u32::MAX).await, Ok(expected.clone()));
    assert_eq!(storage.tenant_days(tenant, today + 1, today + 2).await, Ok(vec![expected[1].clone()]));
    assert_eq!(storage.tenant_days(tenant, 2, 1).await, Ok(Vec::new()));
    let kept = u64::from(crate::limits::TENANT_DAYS_KEPT);
    storage.count_tenants(NOW + kept * DAY).await.unwrap();
    let left = storage.tenant_days(tenant, 0, u32::MAX).await.unwrap();
    assert_eq!(left.iter().map(|day| day.day).collect::<Vec<_>>(), [today + 2, today + kept as u32]);
}

pub(in crate::storage) async fn an_export_carries_tenants<E: Engine>() {
    let storage = E::create(ROOMY);
    let storage = storage.storage();
    let tenant = storage.create_tenant(TenantTerms { seats: Some(2), ..terms("CHU") }, NOW).await.unwrap();
    let who = join(&*storage, tenant, 1).await;
    assert_eq!(storage.enqueue(submission(&who, 1, &[(1, 700)])).await, TAKEN);
    storage.set_suspended(&who, true).await.unwrap();
    invite(&*storage, tenant, 2).await;
    storage.count_tenants(NOW).await.unwrap();
    let exported = export(&*storage).await;
    let target = E::create(ROOMY);
    let target = target.storage();
    target.import(Box::new(io::Cursor::new(exported))).await.unwrap();
    assert_eq!(target.tenants().await, storage.tenants().await);
    assert_eq!(target.tenant_days(tenant, 0, u32::MAX).await, storage.tenant_days(tenant, 0, u32::MAX).await);
    assert_eq!(target.account(&who).await, storage.account(&who).await);
    assert_eq!(target.register(registration("2@x", [2; 32], &[1])).await, Ok(RegisterOutcome { repeated: false }));
    let hash = invite(&*target, tenant, 3).await;
    let full = target.register(registration("3@x", hash, &[1])).await;
    assert_eq!(full, Err(RegisterError::SeatsExhausted), "seats are counted on");
    let next = target.create_tenant(terms("Clinic"), NOW).await.unwrap();
    assert!(next > tenant);
    let nonempty = E::create(ROOMY);
    let nonempty = nonempty.storage();
    nonempty.create_tenant(terms("CHU"), NOW).await.unwrap();
    let refused = nonempty.import(Box::new(io::Cursor::new(export(&*storage).await))).await;
    assert!(matches!(refused, Err(ImportError::NotEmpty)), "{refused:?}");
}
