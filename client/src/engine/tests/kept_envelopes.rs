//! Envelopes of no session are kept for a week, and tried again when there are sessions.

use chacha20::ChaCha20Rng;
use medipeps_core::envelope::VERSION;
use medipeps_core::wire::client_records::{AgendaRecord, KeptEnvelopeRecord, UndecryptableRecord};
use medipeps_core::wire::transport::Delivery;
use rand_core::{Rng, SeedableRng};

use super::repair::{DAY, HOUR, acquainted, pass, wait_for_received, waiting};
use super::world::{World, mail};
use crate::engine::{Time, class, key};
use crate::limits::{DELIVERY_BATCH_MAX, KEPT_ENVELOPE_MS, KEPT_ENVELOPES_LENGTH_MAX, KEPT_ENVELOPES_MAX};

/// As many envelopes as anybody can send who knows an address.
fn flood(world: &mut World, number: usize, count: usize, length: usize) {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let now = world.now;
    for _ in 0..count {
        let mut envelope = vec![VERSION; length];
        rng.fill_bytes(&mut envelope[1..]);
        world.device(number).enqueue(envelope, now);
    }
    let batch = world.pushed(number);
    for part in batch.chunks(DELIVERY_BATCH_MAX) {
        world.deliver(number, part.to_vec());
    }
}

/// The kept envelopes' numbers in the queue, oldest first, and their bytes together.
fn kept(world: &mut World, number: usize) -> (Vec<u64>, usize) {
    let now = world.now;
    let client = &mut world.clients[number];
    let mut transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
    let stored = transaction.scan(class::KEPT_ENVELOPE).unwrap();
    let records: Vec<_> = stored.iter().map(|(_, value)| KeptEnvelopeRecord::decode(value).unwrap()).collect();
    let length = records.iter().map(|record| record.envelope.len()).sum();
    (records.iter().map(|record| record.sequence).collect(), length)
}

#[test]
fn no_more_than_256_are_kept_and_the_oldest_go_first() {
    let mut world = World::new(&["paul"]);
    flood(&mut world, 0, KEPT_ENVELOPES_MAX + 44, 4096);
    let expected: Vec<u64> = (45..=KEPT_ENVELOPES_MAX as u64 + 44).collect();
    assert_eq!(kept(&mut world, 0), (expected, KEPT_ENVELOPES_MAX * 4096));
    let now = Time(world.now);
    let client = &mut world.clients[0];
    let status = client.store.status(now, &mut client.rng).unwrap();
    assert_eq!(status.kept_envelopes, KEPT_ENVELOPES_MAX);
    assert_eq!(status.queue.undecryptable, KEPT_ENVELOPES_MAX as u64 + 44, "all are counted");
}

#[test]
fn large_ones_take_eight_mebibytes_together_and_no_more() {
    let mut world = World::new(&["paul"]);
    flood(&mut world, 0, 140, 64 << 10);
    let (numbers, length) = kept(&mut world, 0);
    assert_eq!((numbers.len(), length), (128, KEPT_ENVELOPES_LENGTH_MAX));
    assert_eq!(numbers.last(), Some(&140));
}

#[test]
fn after_a_week_they_are_dropped() {
    let mut world = World::new(&["paul"]);
    flood(&mut world, 0, 3, 4096);
    pass(&mut world, &[0], 3 * DAY, HOUR);
    flood(&mut world, 0, 2, 4096);
    pass(&mut world, &[0], KEPT_ENVELOPE_MS - 3 * DAY - HOUR, HOUR);
    assert_eq!(kept(&mut world, 0).0.len(), 5);
    pass(&mut world, &[0], 2 * HOUR, HOUR);
    assert_eq!(kept(&mut world, 0).0, [4, 5]);
    // A clock that jumps back makes none stay for ever.
    world.now -= 300 * DAY;
    pass(&mut world, &[0], KEPT_ENVELOPE_MS + HOUR, 6 * HOUR);
    assert!(kept(&mut world, 0).0.is_empty());
}

/// As after a store was put back: an envelope was kept, and now the session is there to which it belongs. When that moves,
/// the envelope is tried again.
#[test]
fn a_kept_envelope_is_read_when_its_session_is_there() {
    let mut world = acquainted();
    let paul = world.address(1);
    world.send(0, mail(&paul, "kept"));
    let Delivery { sequence, received, envelope, .. } = world.device(1).queue.pop().unwrap();
    let now = world.now;
    let record = KeptEnvelopeRecord { sequence, received, kept: now, envelope, request_lane: false };
    let noted = UndecryptableRecord { sequence, received, reason: "no_session".into(), sender: None };
    let client = &mut world.clients[1];
    client.put(&key::kept_envelope(0), &record, now);
    client.put(&key::undecryptable(0), &noted, now);
    client.put(&key::agenda(), &AgendaRecord { kept: now + KEPT_ENVELOPE_MS, ..AgendaRecord::default() }, now);
    world.send(0, mail(&paul, "next"));
    world.settle();
    assert_eq!(world.texts(1), ["hello", "kept", "next"]);
    assert!(kept(&mut world, 1).0.is_empty());
    let client = &mut world.clients[1];
    let status = client.store.status(Time(now), &mut client.rng).unwrap();
    assert!(status.undecryptable.is_empty(), "it is no longer one that cannot be read");
    wait_for_received(&mut world);
    assert_eq!(waiting(&mut world, 0), 0);
}

/// It does not open with any of the sessions that move: it stays.
#[test]
fn a_kept_envelope_of_somebody_else_stays() {
    let mut world = acquainted();
    flood(&mut world, 1, 1, 4096);
    world.send(0, mail(&world.address(1), "a"));
    world.settle();
    assert_eq!(kept(&mut world, 1).0.len(), 1);
}
