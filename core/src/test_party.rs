//! Two people for tests: accounts with one device and prekeys each.

use chacha20::ChaCha20Rng;

use crate::Address;
use crate::crypto::signature::SigningKey;
use crate::crypto::x_wing;
use crate::envelope::Envelope;
use crate::handshake::{HandshakeError, InitialMessage};
use crate::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
use crate::prekey::{GeneratedPrekeys, PrekeyBundle};
use crate::session::{DecryptError, LocalDevice, ResponderPrekeys, Session};
use crate::test_rng::rng;

pub(crate) struct Party {
    pub(crate) keys: DeviceSecretKeys,
    pub(crate) statement: Statement,
    pub(crate) prekeys: GeneratedPrekeys,
    pub(crate) rng: ChaCha20Rng,
}

impl Party {
    pub(crate) fn new(name: &str, seed: u8, one_time: usize) -> Self {
        let mut rng = rng(seed);
        let address: Address = format!("{name}@clinic.example").parse().unwrap();
        let account_key = SigningKey::random(&mut rng);
        let recovery_key = SigningKey::random(&mut rng);
        let keys = DeviceSecretKeys::random(&mut rng);
        let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 100);
        let statement = StatementIssue {
            address: &address,
            recovery_key_hash: recovery_key_hash(&recovery_key.verifying_key()),
            previous: None,
            devices: vec![device],
            issued: 100,
        }
        .sign(&account_key)
        .unwrap();
        let prekeys = GeneratedPrekeys::draw(&keys.signing_key, &address, 1, 1, 1, one_time, 100, &mut rng);
        Self { keys, statement, prekeys, rng }
    }

    pub(crate) fn bundle(&self, index: usize) -> PrekeyBundle {
        PrekeyBundle::verify(&self.prekeys.bundle(index), &self.keys.signing_key.verifying_key()).unwrap()
    }

    pub(crate) fn initiate(&mut self, peer: &Self, index: usize) -> Session {
        let own = LocalDevice { statement: &self.statement, device_id: 1, keys: &self.keys };
        Session::initiate(&own, &peer.statement, &peer.bundle(index), &mut self.rng).unwrap()
    }

    pub(crate) fn encrypt(&mut self, session: &mut Session, content: &[u8]) -> Envelope {
        let own = LocalDevice { statement: &self.statement, device_id: 1, keys: &self.keys };
        Envelope::decode(&session.encrypt(content, &own, &mut self.rng).unwrap()).unwrap()
    }

    pub(crate) fn seal_key(&self) -> &x_wing::DecapsulationKey {
        &self.prekeys.seal_prekey.1
    }

    pub(crate) fn respond(&mut self, initial: &InitialMessage) -> Result<(Session, Vec<u8>), HandshakeError> {
        // A prekey that is not there is as good as a wrong one.
        let missing = || HandshakeError::Message(DecryptError::NoHeaderKey);
        let (handshake, own) = (initial.handshake(), &self.prekeys);
        let one_time = |id| own.one_time_prekeys.iter().find(|(other, _)| *other == id).map(|(_, key)| key);
        let mut kem = own.one_time_kem_prekeys.iter().chain([&own.last_resort_kem_prekey]);
        let prekeys = ResponderPrekeys {
            signed_prekey: [&own.signed_prekey]
                .into_iter()
                .find_map(|(id, key)| (*id == handshake.signed_prekey_id).then_some(key))
                .ok_or_else(missing)?,
            one_time_prekey: match handshake.one_time_prekey_id {
                None => None,
                Some(id) => Some(one_time(id).ok_or_else(missing)?),
            },
            kem_prekey: kem
                .find_map(|(id, key)| (*id == handshake.kem_prekey_id).then_some(key))
                .ok_or_else(missing)?,
        };
        let own = LocalDevice { statement: &self.statement, device_id: 1, keys: &self.keys };
        let (session, content) = Session::respond(&own, initial, &prekeys, &mut self.rng)?;
        Ok((session, content.to_vec()))
    }
}

/// Two sides of a session in which both have written once.
pub(crate) fn established() -> ((Party, Session), (Party, Session)) {
    let (mut alice, mut bob) = (Party::new("alice", 1, 1), Party::new("bob", 2, 1));
    let mut at_alice = alice.initiate(&bob, 0);
    let first = alice.encrypt(&mut at_alice, b"first").open_first_flight(bob.seal_key()).unwrap();
    let (mut at_bob, content) = bob.respond(&first).unwrap();
    assert_eq!(content, b"first");
    let reply = bob.encrypt(&mut at_bob, b"reply");
    assert_eq!(at_alice.decrypt(&reply, &mut alice.rng).unwrap().as_slice(), b"reply");
    ((alice, at_alice), (bob, at_bob))
}
