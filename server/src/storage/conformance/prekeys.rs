//! Prekeys.

use std::collections::BTreeMap;

use super::*;
use crate::limits::ONE_TIME_PREKEYS_STORED_MAX;

pub(in crate::storage) async fn prekeys_are_replaced_whole<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1]).await;
    let status = |one_time, one_time_kem, sequence| Ok(PrekeyStatus { one_time, one_time_kem, sequence });
    assert_eq!(storage.prekey_status(&who, 1).await, status(3, 3, 1));
    let old = storage.put_prekeys(&who, 1, 1, prekeys(9, 0..3)).await;
    assert_eq!(old, Err(PrekeyError::OldSequence { current: 1 }));
    assert_eq!(storage.put_prekeys(&who, 1, 1, prekeys(1, 0..3)).await, Ok(()), "the same again");
    assert_eq!(storage.put_prekeys(&who, 2, 1, prekeys(1, 0..3)).await, Err(PrekeyError::UnknownDevice));
    let first = storage.take_prekeys(&who, Taking::default()).await.unwrap().remove(0);
    assert_eq!(first.one_time, Some(vec![1, 4, 0, 0, 0, 0]));
    assert_eq!(first.kem, TakenKem::OneTime(vec![1, 5, 0, 0, 0, 0]));

    // 0 was given away, 1 and 2 are there, 3 is new.
    assert_eq!(storage.put_prekeys(&who, 1, 5, prekeys(6, 0..4)).await, Ok(()));
    assert_eq!(storage.prekey_status(&who, 1).await, status(3, 3, 5));
    let mut given = Vec::new();
    for _ in 0..3 {
        let taken = storage.take_prekeys(&who, Taking::default()).await.unwrap().remove(0);
        assert_eq!((taken.device_id, taken.signed, taken.seal), (1, vec![6, 1], vec![6, 3]), "replaced");
        given.push((taken.one_time.unwrap(), taken.kem));
    }
    let expected = [(1, 1), (1, 2), (6, 3)]
        .map(|(tag, id)| (vec![tag, 4, 0, 0, 0, id], TakenKem::OneTime(vec![tag, 5, 0, 0, 0, id])));
    assert_eq!(given, expected, "kept, kept, added");

    for _ in 0..2 {
        let taken = storage.take_prekeys(&who, Taking::default()).await.unwrap().remove(0);
        assert_eq!((taken.one_time, taken.kem), (None, TakenKem::LastResort(vec![6; 1600])), "none is left");
    }
    assert_eq!(storage.prekey_status(&who, 1).await, status(0, 0, 5));
    let many = ONE_TIME_PREKEYS_STORED_MAX as u32;
    storage.put_prekeys(&who, 1, 6, prekeys(1, 100..100 + many)).await.unwrap();
    assert_eq!(storage.put_prekeys(&who, 1, 7, prekeys(1, 900..901)).await, Err(PrekeyError::TooMany));
    assert_eq!(storage.prekey_status(&who, 1).await, status(many as usize, many as usize, 6));
}

pub(in crate::storage) async fn every_one_time_key_goes_to_one_taker<E: Engine>() {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    storage.put_prekeys(&who, 1, 2, prekeys(1, 10..50)).await.unwrap();
    let takers: Vec<_> = (0..60)
        .map(|_| {
            let (storage, who) = (Arc::clone(&storage), who.clone());
            tokio::spawn(async move { storage.take_prekeys(&who, Taking::default()).await.unwrap() })
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
