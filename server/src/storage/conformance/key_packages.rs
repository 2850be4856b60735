//! Key packages.

use std::collections::BTreeMap;
use std::io::Cursor;

use medipeps_core::limits::{KEY_PACKAGE_LENGTH_MAX, KEY_PACKAGES_PER_UPLOAD_MAX};

use super::*;

/// Packages whose bytes tell which they are.
fn packages(tag: u8, ids: std::ops::Range<u32>, length: usize) -> KeyPackageSet {
    let package = |id: u32| {
        let mut bytes = [&[tag][..], &id.to_be_bytes()].concat();
        bytes.resize(length, tag);
        (id, bytes)
    };
    KeyPackageSet { last_resort: vec![tag; length], one_time: ids.map(package).collect() }
}

async fn take(storage: &dyn Storage, who: &Address) -> TakenKeyPackage {
    storage.take_key_packages(who, Taking::default()).await.unwrap().remove(0)
}

pub(in crate::storage) async fn key_packages_are_replaced<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let status = |one_time, sequence| Ok(KeyPackageStatus { one_time, sequence });
    assert_eq!(storage.key_package_status(&who, 1).await, status(0, 0));
    assert_eq!(
        storage.take_key_packages(&who, Taking::default()).await,
        Ok(Vec::new()),
        "a device without any is left out"
    );
    storage.put_key_packages(&who, 1, 3, packages(1, 0..3, KEY_PACKAGE_LENGTH_MAX)).await.unwrap();
    assert_eq!(storage.key_package_status(&who, 1).await, status(3, 3));
    let same = storage.put_key_packages(&who, 1, 3, packages(1, 0..3, KEY_PACKAGE_LENGTH_MAX)).await;
    assert_eq!(same, Ok(()), "the same again");
    for (sequence, packages) in [(3, packages(2, 0..3, 9)), (2, packages(1, 0..3, 9))] {
        let old = storage.put_key_packages(&who, 1, sequence, packages).await;
        assert_eq!(old, Err(KeyPackageError::OldSequence { current: 3 }));
    }
    let other = storage.put_key_packages(&who, 2, 4, packages(1, 0..3, 9)).await;
    assert_eq!(other, Err(KeyPackageError::UnknownDevice));
    let first = take(&*storage, &who).await;
    assert_eq!(first.key_package, packages(1, 0..1, KEY_PACKAGE_LENGTH_MAX).one_time[0].1);
    assert!(!first.last_resort);

    // 0 was given away, 1 is replaced by a shorter one, 2 goes, 3 is new.
    let second = KeyPackageSet {
        one_time: packages(6, 0..4, 5000).one_time.into_iter().filter(|(id, _)| *id != 2).collect(),
        ..packages(6, 0..0, 5000)
    };
    storage.put_key_packages(&who, 1, 4, second.clone()).await.unwrap();
    assert_eq!(storage.key_package_status(&who, 1).await, status(2, 4));
    let mut given = Vec::new();
    for _ in 0..2 {
        given.push(take(&*storage, &who).await.key_package);
    }
    let expected = [1, 2].map(|place| second.one_time[place].1.clone());
    assert_eq!(given, expected, "those of the last upload alone");
    for _ in 0..2 {
        let last = take(&*storage, &who).await;
        assert_eq!((last.key_package, last.last_resort), (vec![6; 5000], true), "replaced whole, by a shorter one");
    }
    let many = KEY_PACKAGES_PER_UPLOAD_MAX as u32;
    for sequence in 5..9 {
        storage.put_key_packages(&who, 1, sequence, packages(1, 100..100 + many, 9)).await.unwrap();
        assert_eq!(
            storage.key_package_status(&who, 1).await,
            status(many as usize, sequence),
            "never more than of one upload"
        );
    }
    for refused in [packages(1, 0..1, KEY_PACKAGE_LENGTH_MAX + 1), packages(1, 0..many + 1, 9)] {
        let huge = storage.put_key_packages(&who, 1, 9, refused).await;
        assert!(matches!(huge, Err(KeyPackageError::Storage(StorageError::Oversize { .. }))), "{huge:?}");
    }
    engine.set_low_space(true);
    let low = storage.put_key_packages(&who, 1, 9, packages(1, 0..1, 9)).await;
    assert!(matches!(low, Err(KeyPackageError::Storage(StorageError::LowSpace { .. }))), "{low:?}");
    assert!(!take(&*storage, &who).await.last_resort, "they are given all the same");
}

pub(in crate::storage) async fn every_key_package_goes_to_one_taker<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    storage.put_key_packages(&who, 1, 1, packages(1, 0..40, 5000)).await.unwrap();
    storage.put_key_packages(&who, 2, 1, packages(2, 0..10, 100)).await.unwrap();
    let takers: Vec<_> = (0..50)
        .map(|_| {
            let (storage, who) = (Arc::clone(&storage), who.clone());
            tokio::spawn(async move { storage.take_key_packages(&who, Taking::default()).await.unwrap() })
        })
        .collect();
    let mut given = BTreeMap::new();
    let mut last_resort = 0;
    for taker in takers {
        for taken in taker.await.unwrap() {
            match taken.last_resort {
                true => last_resort += 1,
                false => *given.entry((taken.device_id, taken.key_package)).or_insert(0) += 1,
            }
        }
    }
    assert!(given.values().all(|count| *count == 1), "a package was given twice");
    assert_eq!((given.len(), last_resort), (50, 50), "all of both devices, and the last resort after them");
}

pub(in crate::storage) async fn key_packages_go_with_their_device<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for device in [1, 2u32] {
        storage.put_key_packages(&who, device, 1, packages(device as u8, 0..2, 5000)).await.unwrap();
    }
    storage.take_key_packages(&who, Taking::default()).await.unwrap();
    storage.replace_statement(&who, 1, vec![8; 10], 2, vec![2]).await.unwrap();
    drop(storage);
    engine.reopen();
    let storage = engine.storage();
    let taken = storage.take_key_packages(&who, Taking::default()).await.unwrap();
    assert_eq!(taken.iter().map(|one| one.device_id).collect::<Vec<_>>(), [2]);
    assert_eq!(taken[0].key_package, packages(2, 1..2, 5000).one_time[0].1, "a restart changes nothing");
    // Another device under the number has nothing of the one before, and may use its ids.
    storage.replace_statement(&who, 2, vec![9; 10], 3, vec![1, 2]).await.unwrap();
    assert_eq!(storage.key_package_status(&who, 1).await, Ok(KeyPackageStatus { one_time: 0, sequence: 0 }));
    storage.put_key_packages(&who, 1, 1, packages(5, 0..1, 10)).await.unwrap();
    assert_eq!(take(&*storage, &who).await.key_package, packages(5, 0..1, 10).one_time[0].1);
}

pub(in crate::storage) async fn used_key_packages_survive_an_export<E: Engine>() {
    let source = E::create(ROOMY);
    let source = source.storage();
    let who = register(&*source, "a@x", &[1]).await;
    source.put_key_packages(&who, 1, 1, packages(0xb7, 0..2, 5000)).await.unwrap();
    take(&*source, &who).await;
    let exported = export(&*source).await;
    assert!(!exported.windows(64).any(|window| window == [0xb7; 64]), "no package is in the export");
    let target = E::create(ROOMY);
    let storage = target.storage();
    storage.import(Box::new(Cursor::new(exported))).await.unwrap();
    assert_eq!(storage.key_package_status(&who, 1).await, Ok(KeyPackageStatus { one_time: 0, sequence: 0 }));
    assert_eq!(storage.take_key_packages(&who, Taking::default()).await, Ok(Vec::new()));
    // The one with id 1 was unused at the export; who knows whether it was given away after.
    storage.put_key_packages(&who, 1, 2, packages(0xb7, 0..3, 5000)).await.unwrap();
    assert_eq!(take(&*storage, &who).await.key_package, packages(0xb7, 2..3, 5000).one_time[0].1);
    assert!(take(&*storage, &who).await.last_resort);
}
