//! Restart, export, import and inspection: what must be the same afterwards.

use std::io::{self, Cursor, Write};
use std::sync::Mutex;

use super::*;

pub(in crate::storage) async fn a_restart_keeps_everything<E: Engine>() {
    let mut engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "a@x", &[1, 2]).await;
    for id in 1..=9 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(1, 5000), (2, 60)])).await, TAKEN);
    }
    storage.acknowledge(&who, 1, storage.incarnation(), 4).await.unwrap();
    storage.take_prekeys(&who, Taking::default()).await.unwrap();
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
    assert_eq!(storage.take_prekeys(&who, Taking::default()).await.unwrap()[0].one_time, Some(vec![1, 4, 0, 0, 0, 1]));
}

/// A writer that can be read after it was given away.
#[derive(Clone, Default)]
pub(in crate::storage) struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl SharedBuffer {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(in crate::storage) async fn export(storage: &dyn Storage) -> Vec<u8> {
    let buffer = SharedBuffer::default();
    storage.export(Box::new(buffer.clone())).await.unwrap();
    buffer.bytes()
}

async fn filled<E: Engine>() -> (E, Address) {
    let engine = E::create(ROOMY);
    let storage = engine.storage();
    let who = register(&*storage, "b@x", &[1, 4]).await;
    register(&*storage, "a@x", &[1]).await;
    storage
        .create_invitation([3; 32], Invitation { organisation: None, expires_ms: NOW + DAY, tenant: 0, address: None })
        .await
        .unwrap();
    for id in 1..=6 {
        assert_eq!(storage.enqueue(submission(&who, id, &[(1, 5000), (4, 70)])).await, TAKEN);
    }
    storage.acknowledge(&who, 1, storage.incarnation(), 2).await.unwrap();
    storage.report_generation(&who, 1, 8).await.unwrap();
    storage.take_prekeys(&who, Taking::default()).await.unwrap();
    (engine, who)
}

pub(in crate::storage) async fn an_export_is_imported_without_one_time_keys<E: Engine>() {
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
    assert_eq!(storage.take_prekeys(&who, Taking::default()).await.unwrap()[0].one_time, Some(vec![1, 4, 0, 0, 0, 3]));
    let free = registration("c@x", [3; 32], &[1]);
    assert_eq!(storage.register(free).await, Ok(RegisterOutcome { repeated: false }));
    assert_eq!(storage.enqueue(submission(&address("c@x"), 1, &[(1, 10)])).await, TAKEN);
    assert_eq!(sequences(&*storage, &address("c@x"), 1).await, [1], "the new account has a number of its own");
}

pub(in crate::storage) async fn a_damaged_export_is_refused_whole<E: Engine>() {
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

pub(in crate::storage) async fn an_inspection_shows_what_there_is<E: Engine>() {
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
