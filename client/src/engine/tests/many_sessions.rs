//! Among very many sessions: what is searched and read for a batch of envelopes, by counts.

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::envelope::{HintKey, VERSION};
use medipeps_core::wire::transport::Delivery;
use rand_core::{Rng, SeedableRng};

use super::repair::acquainted;
use super::world::{World, mail, rounds_of};
use crate::engine::{HintKeys, Input, Need, Record, Undecryptable, class, key};
use crate::limits::DELIVERY_BATCH_MAX;
use crate::store::Patch;

const SESSIONS: u32 = 40_000;

/// Paul's store has hint keys of so many more sessions, two each.
fn crowd(world: &mut World) {
    let now = world.now;
    let client = &mut world.clients[1];
    let mut patch = Patch::default();
    for number in 0..SESSIONS {
        let mut id = [0xee; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let keys = (0..2).map(|_| HintKey::from_secret(Secret::random(&mut client.rng))).collect();
        patch.put(key::hints(&id).record().clone(), HintKeys(keys).encode());
    }
    let transaction = client.store.store_mut().begin(now, &mut client.rng).unwrap();
    transaction.commit(&patch, &mut client.rng).unwrap();
}

/// A full batch for Paul: envelopes of no session, two of Claire's, and one of another version.
fn batch(world: &mut World) -> Vec<Delivery> {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let now = world.now;
    for number in 0..DELIVERY_BATCH_MAX - 2 {
        let mut envelope = vec![VERSION; 4096];
        rng.fill_bytes(&mut envelope[1..]);
        envelope[0] = if number == 3 { VERSION + 1 } else { VERSION };
        world.device(1).enqueue(envelope, now);
    }
    world.send(0, mail(&world.address(1), "first"));
    world.send(0, mail(&world.address(1), "second"));
    let batch = world.pushed(1);
    assert_eq!(batch.len(), DELIVERY_BATCH_MAX);
    batch
}

fn searched(round: &[Need]) -> usize {
    round.iter().filter(|need| matches!(need, Need::Sessions(_))).count()
}

#[test]
fn a_batch_is_searched_once_whatever_is_in_it() {
    let mut world = acquainted();
    let batch = batch(&mut world);
    let input = Input::Deliveries { incarnation: world.server.incarnation, batch: batch.clone() };
    let (all, step) = rounds_of(&mut world, 1, &input);
    assert!(!step.patch.is_empty());
    let searches: Vec<usize> = all.iter().map(|round| searched(round)).filter(|count| *count > 0).collect();
    assert_eq!(searches, [DELIVERY_BATCH_MAX - 1], "all in one round, and no other searches");
    assert!(all.len() > 3, "sessions and contacts are asked for after that: {} rounds", all.len());
    assert!(!all.concat().contains(&Need::Class(class::HINT)));
    // What was worked off is not searched again.
    world.deliver(1, batch.clone());
    let (all, _) = rounds_of(&mut world, 1, &input);
    assert_eq!(all.iter().map(|round| searched(round)).sum::<usize>(), 0);
    assert_eq!(world.texts(1), ["hello", "first", "second"]);
}

#[test]
fn a_batch_among_forty_thousand_sessions_reads_pages_once_and_then_only_what_it_needs() {
    let mut world = acquainted();
    crowd(&mut world);
    let first = batch(&mut world);
    let reads = |world: &mut World, batch: Vec<Delivery>| {
        let before = world.clients[1].disk.reads();
        let incarnation = world.server.incarnation;
        let now = world.now;
        world.clients[1].handle(&Input::Deliveries { incarnation, batch }, now).unwrap();
        world.clients[1].disk.reads() - before
    };
    world.clients[1].restart();
    let cold = reads(&mut world, first);
    assert!((256..256 + 40).contains(&cold), "{cold} records read");
    let second: Vec<_> = {
        world.device(1).acknowledged = DELIVERY_BATCH_MAX as u64 + 1;
        let mut batch = batch_after(&mut world);
        batch.retain(|delivery| delivery.sequence > DELIVERY_BATCH_MAX as u64 + 1);
        batch
    };
    let warm = reads(&mut world, second);
    assert!(warm < 44, "{warm} records read");
    assert_eq!(world.texts(1), ["hello", "first", "second", "third"]);
    let strangers = world.clients[1].undecryptable();
    assert_eq!(strangers.iter().filter(|reason| **reason == Undecryptable::NoSession).count(), DELIVERY_BATCH_MAX - 2);
}

/// One more envelope of no session, and a mail.
fn batch_after(world: &mut World) -> Vec<Delivery> {
    let (mut rng, now) = (ChaCha20Rng::from_seed([10; 32]), world.now);
    let mut envelope = vec![VERSION; 4096];
    rng.fill_bytes(&mut envelope[1..]);
    world.device(1).enqueue(envelope, now);
    world.send(0, mail(&world.address(1), "third"));
    world.pushed(1)
}
