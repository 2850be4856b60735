//! Where devices are woken: one place each, which goes with the device and is not handed on.

use super::*;

const URL: &str = "https://push.example/1";

fn wake(who: &Address, device: u32, endpoint: &str) -> DeviceWake {
    DeviceWake { address: who.clone(), device, endpoint: endpoint.parse().unwrap() }
}

async fn set(storage: &dyn Storage, who: &Address, device: u32, endpoint: Option<&str>) -> Result<(), QueueError> {
    storage.set_device_wake(who, device, endpoint.map(|endpoint| endpoint.parse().unwrap())).await
}

pub(in crate::storage) async fn a_device_is_due_to_be_woken_while_envelopes_wait<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    let other = register(&*storage, "b@x", &[1]).await;
    assert_eq!(set(&*storage, &who, 1, Some(URL)).await, Ok(()));
    assert_eq!(storage.due_device_wake(&who, 1).await, Ok(None), "nothing waits");
    storage.enqueue(submission(&who, 1, &[(1, 10), (2, 10)])).await.unwrap();
    storage.enqueue(submission(&other, 1, &[(1, 10)])).await.unwrap();
    assert_eq!(storage.due_device_wake(&who, 1).await, Ok(Some(wake(&who, 1, URL))));
    assert_eq!(storage.due_device_wake(&who, 2).await, Ok(None), "it is not woken");
    assert_eq!(storage.due_device_wake(&who, 3).await, Ok(None), "it is not there");
    assert_eq!(set(&*storage, &other, 1, Some("apns:example.App/00ff")).await, Ok(()));
    let all = vec![wake(&who, 1, URL), wake(&other, 1, "apns:example.App/00ff")];
    assert_eq!(storage.due_device_wakes().await.unwrap(), all);
    storage.acknowledge(&who, 1, storage.incarnation(), 1).await.unwrap();
    assert_eq!(storage.due_device_wakes().await.unwrap(), all[1..]);
    assert_eq!(set(&*storage, &other, 1, None).await, Ok(()));
    assert_eq!(storage.due_device_wakes().await.unwrap(), []);
    assert_eq!(set(&*storage, &who, 3, Some(URL)).await, Err(QueueError::UnknownDevice));
    assert_eq!(set(&*storage, &address("c@x"), 1, None).await, Err(QueueError::UnknownDevice));
    engine.set_low_space(true);
    let taken = set(&*storage, &other, 1, Some(URL)).await;
    assert!(matches!(taken, Err(QueueError::Storage(StorageError::LowSpace { .. }))), "{taken:?}");
    assert_eq!(set(&*storage, &who, 1, None).await, Ok(()), "what is there can be removed");
}

pub(in crate::storage) async fn a_device_wake_is_dropped_only_as_it_was_found<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    storage.enqueue(submission(&who, 1, &[(1, 10)])).await.unwrap();
    set(&*storage, &who, 1, Some(URL)).await.unwrap();
    let found = storage.due_device_wake(&who, 1).await.unwrap().unwrap();
    set(&*storage, &who, 1, Some("https://push.example/2")).await.unwrap();
    storage.drop_device_wake(found).await.unwrap();
    let renewed = wake(&who, 1, "https://push.example/2");
    assert_eq!(storage.due_device_wake(&who, 1).await, Ok(Some(renewed.clone())), "its device has renewed it");
    for _ in 0..2 {
        storage.drop_device_wake(renewed.clone()).await.unwrap();
        assert_eq!(storage.due_device_wake(&who, 1).await, Ok(None));
    }
    storage.drop_device_wake(wake(&address("c@x"), 1, URL)).await.unwrap();
}

pub(in crate::storage) async fn a_device_wake_goes_with_its_device<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for device in [1, 2] {
        set(&*storage, &who, device, Some(URL)).await.unwrap();
    }
    storage.replace_statement(&who, 1, vec![8; 10], 2, vec![2]).await.unwrap();
    // Another device may get the number.
    storage.replace_statement(&who, 2, vec![9; 10], 3, vec![1, 2]).await.unwrap();
    storage.put_prekeys(&who, 1, 1, prekeys(1, 0..3)).await.unwrap();
    storage.enqueue(submission(&who, 1, &[(1, 10), (2, 10)])).await.unwrap();
    assert_eq!(storage.due_device_wakes().await.unwrap(), [wake(&who, 2, URL)]);
    storage.delete_account(&who, 3).await.unwrap();
    let invitation = Invitation { organisation: None, expires_ms: NOW + DAY, tenant: 0, address: None };
    storage.create_invitation([9; 32], invitation).await.unwrap();
    storage.register(registration("a@x", [9; 32], &[2])).await.unwrap();
    storage.enqueue(submission(&who, 1, &[(2, 10)])).await.unwrap();
    assert_eq!(storage.due_device_wakes().await.unwrap(), []);
}

pub(in crate::storage) async fn device_wakes_survive_a_restart_and_are_shown<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    set(&*storage, &who, 1, Some(URL)).await.unwrap();
    storage.enqueue(submission(&who, 1, &[(1, 10), (2, 10)])).await.unwrap();
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    assert_eq!(storage.due_device_wakes().await.unwrap(), [wake(&who, 1, URL)]);
    let inspected = storage.inspect_account(&who).await.unwrap().unwrap();
    let shown: Vec<_> = inspected.devices.into_iter().map(|device| device.wake).collect();
    assert_eq!(shown, [Some(URL.parse().unwrap()), None]);
}
