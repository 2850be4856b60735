//! What the protocol costs beside its primitives, in one run. `cargo xtask bench core` prints the ratios.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]
#![allow(missing_docs, reason = "criterion_group! makes a public function")]

mod attachment;
mod peer;
mod tokens;

use chacha20::ChaCha20Rng;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use medipeps_core::Address;
use medipeps_core::crypto::dh::DhSecretKey;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::crypto::{aead, incremental_kem, kdf, kem, x_wing};
use medipeps_core::double_ratchet::ENCRYPTED_HEADER_LENGTH;
use medipeps_core::envelope::{Envelope, Hint};
use medipeps_core::erasure::{Decoder, Encoder};
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::label;
use medipeps_core::limits::BRAID_CHUNKS;
use medipeps_core::prekey::{GeneratedPrekeys, PrekeyBundle};
use medipeps_core::session::{LocalDevice, ResponderPrekeys, Session};
use rand_core::{Rng, SeedableRng};

/// Bytes of content. The last is the most that a 64 KiB envelope takes.
const SIZES: [(&str, usize); 3] =
    [("32B", 32), ("1KiB", 1 << 10), ("64KiB", (64 << 10) - 17 - ENCRYPTED_HEADER_LENGTH - 16 - 1)];

struct Party {
    keys: DeviceSecretKeys,
    statement: Statement,
    prekeys: GeneratedPrekeys,
}

impl Party {
    fn new(name: &str, rng: &mut ChaCha20Rng) -> Self {
        let address: Address = format!("{name}@bench.example").parse().unwrap();
        let account_key = SigningKey::random(rng);
        let keys = DeviceSecretKeys::random(rng);
        let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1);
        let statement = StatementIssue {
            address: &address,
            recovery_key_hash: [0; 32],
            previous: None,
            devices: vec![device],
            issued: 1,
        }
        .sign(&account_key)
        .unwrap();
        let prekeys = GeneratedPrekeys::draw(&keys.signing_key, &address, 1, 1, 1, 1, 1, rng);
        Self { keys, statement, prekeys }
    }

    fn device(&self) -> LocalDevice<'_> {
        LocalDevice { statement: &self.statement, device_id: 1, keys: &self.keys }
    }

    fn bundle(&self) -> PrekeyBundle {
        PrekeyBundle::verify(&self.prekeys.bundle(0), &self.keys.signing_key.verifying_key()).unwrap()
    }

    fn responder_prekeys(&self) -> ResponderPrekeys<'_> {
        ResponderPrekeys {
            signed_prekey: &self.prekeys.signed_prekey.1,
            one_time_prekey: Some(&self.prekeys.one_time_prekeys[0].1),
            kem_prekey: &self.prekeys.one_time_kem_prekeys[0].1,
        }
    }
}

/// Two sides that have both written.
fn established(rng: &mut ChaCha20Rng) -> (Party, Session, Party, Session) {
    let (alice, bob) = (Party::new("alice", rng), Party::new("bob", rng));
    let mut at_alice = Session::initiate(&alice.device(), &bob.statement, &bob.bundle(), rng).unwrap();
    let flight = Envelope::decode(&at_alice.encrypt(b"a", &alice.device(), rng).unwrap()).unwrap();
    let initial = flight.open_first_flight(&bob.prekeys.seal_prekey.1).unwrap();
    let (mut at_bob, _) = Session::respond(&bob.device(), &initial, &bob.responder_prekeys(), rng).unwrap();
    let reply = Envelope::decode(&at_bob.encrypt(b"b", &bob.device(), rng).unwrap()).unwrap();
    at_alice.decrypt(&reply, rng).unwrap();
    (alice, at_alice, bob, at_bob)
}

fn primitives(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut group = criterion.benchmark_group("primitive");
    let key = Secret::<32>::random(&mut rng);
    for (name, size) in [("4KiB", 4 << 10), ("64KiB", 64 << 10), ("header", ENCRYPTED_HEADER_LENGTH - 16)] {
        let plaintext = vec![7; size];
        let sealed = aead::seal(&key, &[0; 12], &[], &plaintext);
        group.bench_function(format!("seal-{name}"), |bench| {
            bench.iter(|| aead::seal(&key, &[0; 12], &[], &plaintext));
        });
        group.bench_function(format!("open-{name}"), |bench| {
            bench.iter(|| aead::open(&key, &[0; 12], &[], &sealed).unwrap());
        });
    }
    group.bench_function("hmac", |bench| bench.iter(|| kdf::hmac_byte(&key, 1)));
    group.bench_function("hkdf", |bench| {
        bench.iter(|| kdf::hkdf::<44>(&[0; 32], &[key.as_bytes()], label::MESSAGE_KEY));
    });
    let (one, other) = (DhSecretKey::random(&mut rng), DhSecretKey::random(&mut rng).public_key());
    // The longest piece of the Braid after its own chunks are sent: what a message costs at most.
    let piece = vec![7; 1152];
    group.bench_function("braid-chunks", |bench| {
        bench.iter_batched_ref(
            || Encoder::resume(&piece, 100),
            |encoder| encoder.next_chunks(BRAID_CHUNKS),
            BatchSize::SmallInput,
        );
    });
    let (first, chunks) = Encoder::resume(&piece, 100).next_chunks(36);
    group.bench_function("braid-decode", |bench| {
        bench.iter(|| {
            let mut decoder = Decoder::new(piece.len());
            decoder.add(first, &chunks);
            decoder.piece().unwrap()
        });
    });
    group.bench_function("x25519", |bench| bench.iter(|| one.agree(&other).unwrap()));
    group.bench_function("x25519-keygen", |bench| bench.iter(|| DhSecretKey::random(&mut rng).public_key()));
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let signing = SigningKey::random(&mut rng);
    let signature = signing.sign(label::SIGNED_PREKEY, &[b"message"]);
    let verifying = signing.verifying_key();
    group.bench_function("ed25519-verify", |bench| {
        bench.iter(|| verifying.verify(label::SIGNED_PREKEY, &[b"message"], &signature).unwrap());
    });
    let kem_secret = kem::DecapsulationKey::random(&mut rng);
    let kem_key = kem_secret.encapsulation_key();
    let (ciphertext, _) = kem_key.encapsulate(&mut rng);
    group.bench_function("mlkem1024-keygen", |bench| bench.iter(|| kem_secret.encapsulation_key()));
    group.bench_function("mlkem1024-encapsulate", |bench| bench.iter(|| kem_key.encapsulate(&mut rng)));
    group.bench_function("mlkem1024-decapsulate", |bench| bench.iter(|| kem_secret.decapsulate(&ciphertext)));
    let epoch_seed = incremental_kem::DecapsulationSeed::random(&mut rng);
    group.bench_function("braid-keygen", |bench| bench.iter(|| epoch_seed.encapsulation_key()));
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let seal = x_wing::DecapsulationKey::random(&mut rng);
    let seal_key = seal.encapsulation_key();
    let (sealed, _) = seal_key.encapsulate(&mut rng).unwrap();
    group.bench_function("x-wing-encapsulate", |bench| bench.iter(|| seal_key.encapsulate(&mut rng).unwrap()));
    group.bench_function("x-wing-decapsulate", |bench| bench.iter(|| seal.decapsulate(&sealed).unwrap()));
    group.finish();
}

fn messages(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    let (alice, at_alice, bob, at_bob) = established(&mut rng);
    let mut group = criterion.benchmark_group("message");
    for (name, size) in SIZES {
        let content = vec![7; size];
        let mut session = at_alice.clone();
        group.bench_function(format!("encrypt-{name}"), |bench| {
            bench.iter(|| session.encrypt(&content, &alice.device(), &mut rng).unwrap());
        });
        // Both chains have begun, so that what is decrypted is the same chain and no DH step.
        let (mut sender, mut receiver) = (at_alice.clone(), at_bob.clone());
        let first = sender.encrypt(&content, &alice.device(), &mut rng).unwrap();
        receiver.decrypt(&Envelope::decode(&first).unwrap(), &mut rng).unwrap();
        let envelope = Envelope::decode(&sender.encrypt(&content, &alice.device(), &mut rng).unwrap()).unwrap();
        group.bench_function(format!("decrypt-{name}"), |bench| {
            bench.iter_batched_ref(
                || receiver.clone(),
                |receiver| receiver.decrypt(&envelope, &mut rng).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    let mut sender = at_alice.clone();
    let envelope = Envelope::decode(&sender.encrypt(b"a", &alice.device(), &mut rng).unwrap()).unwrap();
    group.bench_function("decrypt-dh-step", |bench| {
        bench.iter_batched_ref(
            || at_bob.clone(),
            |receiver| receiver.decrypt(&envelope, &mut rng).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("state-encode", |bench| bench.iter(|| at_bob.encode()));
    let encoded = at_bob.encode();
    println!("value message/state-bytes {}", encoded.len());
    println!("value message/wire-bytes {}", envelope.encode().len());
    group.bench_function("state-decode", |bench| bench.iter(|| Session::decode(&encoded).unwrap()));
    group.finish();
    drop(bob);
}

fn handshakes(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let (alice, bob) = (Party::new("alice", &mut rng), Party::new("bob", &mut rng));
    let mut group = criterion.benchmark_group("pqxdh");
    let encoded = bob.prekeys.bundle(0);
    group.bench_function("initiate", |bench| {
        bench.iter(|| {
            let bundle = PrekeyBundle::verify(&encoded, &bob.keys.signing_key.verifying_key()).unwrap();
            let mut session = Session::initiate(&alice.device(), &bob.statement, &bundle, &mut rng).unwrap();
            session.encrypt(b"a", &alice.device(), &mut rng).unwrap()
        });
    });
    let mut session = Session::initiate(&alice.device(), &bob.statement, &bob.bundle(), &mut rng).unwrap();
    let flight = Envelope::decode(&session.encrypt(b"a", &alice.device(), &mut rng).unwrap()).unwrap();
    group.bench_function("respond", |bench| {
        bench.iter(|| {
            let initial = flight.open_first_flight(&bob.prekeys.seal_prekey.1).unwrap();
            Session::respond(&bob.device(), &initial, &bob.responder_prekeys(), &mut rng).unwrap()
        });
    });
    group.finish();
}

fn lookup(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    let (alice, mut at_alice, _, _) = established(&mut rng);
    let envelope = Envelope::decode(&at_alice.encrypt(b"a", &alice.device(), &mut rng).unwrap()).unwrap();
    let mut group = criterion.benchmark_group("lookup");
    for sessions in [1_000, 40_000] {
        // As the client keeps them: one after another.
        let mut keys = vec![[0; 32]; sessions * 2];
        keys.iter_mut().for_each(|key| rng.fill_bytes(key));
        group.bench_function(format!("{sessions}-sessions"), |bench| {
            bench.iter(|| Hint::matching(&[envelope.hint()], &keys));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(40)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = primitives, messages, handshakes, lookup, attachment::attachments, peer::vodozemac, tokens::tokens
}
criterion_main!(benches);
