//! vodozemac, the peer of the same domain and licence: a classical Double Ratchet without header encryption or padding.

use criterion::{BatchSize, Criterion};
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

/// Two sides that have both written.
fn established() -> (Session, Session) {
    let (alice, mut bob) = (Account::new(), Account::new());
    bob.generate_one_time_keys(1);
    let one_time_key = *bob.one_time_keys().values().next().unwrap();
    let config = SessionConfig::version_1();
    let mut at_alice = alice.create_outbound_session(config, bob.curve25519_key(), one_time_key).unwrap();
    let OlmMessage::PreKey(first) = at_alice.encrypt("a").unwrap() else {
        unreachable!("the first is a prekey message")
    };
    let created = bob.create_inbound_session(config, alice.curve25519_key(), &first).unwrap();
    let mut at_bob = created.session;
    let reply = at_bob.encrypt("b").unwrap();
    at_alice.decrypt(&reply).unwrap();
    (at_alice, at_bob)
}

pub(crate) fn vodozemac(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peer");
    for (name, size) in [("32B", 32), ("1KiB", 1 << 10), ("4KiB", 4 << 10)] {
        let content = vec![7; size];
        let (mut sender, mut receiver) = established();
        let first = sender.encrypt(&content).unwrap();
        receiver.decrypt(&first).unwrap();
        let message = sender.encrypt(&content).unwrap();
        group.bench_function(format!("vodozemac-encrypt-{name}"), |bench| {
            bench.iter(|| sender.encrypt(&content).unwrap());
        });
        // A session is no Clone; its pickle is.
        let state = receiver.pickle();
        let copy = serde_json::to_string(&state).unwrap();
        group.bench_function(format!("vodozemac-decrypt-{name}"), |bench| {
            bench.iter_batched_ref(
                || Session::from_pickle(serde_json::from_str(&copy).unwrap()),
                |receiver| receiver.decrypt(&message).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}
