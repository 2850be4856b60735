//! Two processes on one home: each has its own handle on the store, and neither ever uses what the other has used.

use std::collections::BTreeSet;

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use rand_core::SeedableRng;

use super::world::{World, mail};
use crate::account_store::AccountStore;
use crate::engine::{Input, Time};
use crate::store::seal::{SealedStore, Unlock};

#[test]
fn two_processes_write_on_one_session_without_using_a_key_twice() {
    let mut world = World::new(&["claire", "paul"]);
    let (claire, paul) = (world.address(0), world.address(1));
    world.send(0, mail(&paul, "0"));
    world.settle();
    world.send(1, mail(&claire, "answer"));
    world.settle();
    // The second process has everything in its memory that a process can have, and takes turns with the first.
    let unlock = Secret::from([7; 32]);
    let sealed = SealedStore::open(world.clients[0].disk.clone(), &Unlock::PlatformKey(&unlock)).unwrap();
    let mut other = (AccountStore::new(sealed), ChaCha20Rng::from_seed([200; 32]));
    for number in 1..=10 {
        std::mem::swap(&mut world.clients[0].store, &mut other.0);
        std::mem::swap(&mut world.clients[0].rng, &mut other.1);
        world.send(0, mail(&paul, &number.to_string()));
        if number % 3 == 0 {
            world.settle();
        }
    }
    world.settle();
    let expected: Vec<String> = (0..=10).map(|number| number.to_string()).collect();
    assert_eq!(world.texts(1), expected);
    assert!(world.clients[1].undecryptable().is_empty());
    let envelopes = world.server.submitted().into_iter().flat_map(|submit| submit.envelopes);
    let nonces: Vec<Vec<u8>> = envelopes.map(|one| one.envelope[1..13].to_vec()).collect();
    assert_eq!(nonces.iter().collect::<BTreeSet<_>>().len(), nonces.len());
}

#[test]
fn the_same_batch_in_two_processes_is_shown_once() {
    let mut world = World::new(&["claire", "paul"]);
    world.send(0, mail(&world.address(1), "hello"));
    let (incarnation, batch) = (world.server.incarnation, world.pushed(1));
    let unlock = Secret::from([7; 32]);
    let sealed = SealedStore::open(world.clients[1].disk.clone(), &Unlock::PlatformKey(&unlock)).unwrap();
    let (mut other, mut rng) = (AccountStore::new(sealed), ChaCha20Rng::from_seed([201; 32]));
    let input = Input::Deliveries { incarnation, batch };
    other.handle(&input, Time(world.now), &mut rng).unwrap();
    world.run(1, &input).unwrap();
    assert_eq!(world.texts(1), ["hello"]);
    assert!(world.clients[1].undecryptable().is_empty());
}
