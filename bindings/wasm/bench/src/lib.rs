//! What a message costs, for a program (`main.rs`) and for a page (`against_native.js`): the same code, the same random numbers.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::envelope::Envelope;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::prekey::{GeneratedPrekeys, PrekeyBundle};
use medipeps_core::session::{LocalDevice, ResponderPrekeys, Session};
use rand_core::SeedableRng;
use wasm_bindgen::prelude::*;

/// Two devices that have written to each other, and something to write.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Conversation {
    rng: ChaCha20Rng,
    alice: Party,
    bob: Party,
    at_alice: Session,
    at_bob: Session,
    content: Vec<u8>,
    envelope: Envelope,
}

#[derive(Debug)]
struct Party {
    keys: DeviceSecretKeys,
    statement: Statement,
    prekeys: GeneratedPrekeys,
}

#[wasm_bindgen]
impl Conversation {
    /// With a content of so many bytes.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(length: usize) -> Self {
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        let (alice, bob) = (Party::new("alice", &mut rng), Party::new("bob", &mut rng));
        let mut at_alice = Session::initiate(&alice.device(), &bob.statement, &bob.bundle(), &mut rng).unwrap();
        let flight = Envelope::decode(&at_alice.encrypt(b"a", &alice.device(), &mut rng).unwrap()).unwrap();
        let initial = flight.open_first_flight(&bob.prekeys.seal_prekey.1).unwrap();
        let prekeys = bob.responder_prekeys();
        let (mut at_bob, _) = Session::respond(&bob.device(), &initial, &prekeys, &mut rng).unwrap();
        let reply = Envelope::decode(&at_bob.encrypt(b"b", &bob.device(), &mut rng).unwrap()).unwrap();
        at_alice.decrypt(&reply, &mut rng).unwrap();
        // Both chains have begun, so that what is decrypted is the same chain and no DH step.
        let content = vec![7; length];
        let mut next = || Envelope::decode(&at_alice.encrypt(&content, &alice.device(), &mut rng).unwrap()).unwrap();
        let (first, envelope) = (next(), next());
        at_bob.decrypt(&first, &mut rng).unwrap();
        Self { rng, alice, bob, at_alice, at_bob, content, envelope }
    }

    /// Encrypts so often.
    pub fn encrypt(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.at_alice.encrypt(&self.content, &self.alice.device(), &mut self.rng).unwrap();
        }
    }

    /// Decrypts the same envelope so often, each time by a copy of the session.
    pub fn decrypt(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.at_bob.clone().decrypt(&self.envelope, &mut self.rng).unwrap();
        }
    }

    /// Begins so many conversations: handshake and first message.
    pub fn begin(&mut self, rounds: u32) {
        for _ in 0..rounds {
            let (device, bundle) = (self.alice.device(), self.bob.bundle());
            let mut session = Session::initiate(&device, &self.bob.statement, &bundle, &mut self.rng).unwrap();
            session.encrypt(&self.content, &device, &mut self.rng).unwrap();
        }
    }
}

impl Party {
    fn new(name: &str, rng: &mut ChaCha20Rng) -> Self {
        let address: Address = format!("{name}@bench.example").parse().unwrap();
        let account_key = SigningKey::random(rng);
        let keys = DeviceSecretKeys::random(rng);
        let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1);
        let issue = StatementIssue {
            address: &address,
            recovery_key_hash: [0; 32],
            previous: None,
            devices: vec![device],
            issued: 1,
        };
        let statement = issue.sign(&account_key).unwrap();
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
