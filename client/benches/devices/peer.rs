//! A person with several devices, made by core alone.

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::envelope::Envelope;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::prekey::{GeneratedPrekeys, PrekeyBundle};
use medipeps_core::session::{LocalDevice, ResponderPrekeys, Session};
use medipeps_core::wire::transport::{DeviceEnvelope, FetchPrekeysReply};
use rand_core::SeedableRng;

pub(crate) struct Peer {
    pub(crate) address: Address,
    pub(crate) statement: Statement,
    pub(crate) devices: Vec<Device>,
    rng: ChaCha20Rng,
}

pub(crate) struct Device {
    pub(crate) id: u32,
    keys: DeviceSecretKeys,
    prekeys: GeneratedPrekeys,
    session: Option<Session>,
}

impl Peer {
    pub(crate) fn new(name: &str, devices: u32) -> Self {
        let mut seed = [0; 32];
        for (place, byte) in seed.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        let mut rng = ChaCha20Rng::from_seed(seed);
        let address: Address = format!("{name}@bench.example").parse().unwrap();
        let account_key = SigningKey::random(&mut rng);
        let (mut certificates, mut all) = (Vec::new(), Vec::new());
        for id in 1..=devices {
            let keys = DeviceSecretKeys::random(&mut rng);
            let certificate =
                DeviceCertificate::issue(&account_key, &address, id, &keys.public_keys(), id == 1, 1_700_000_000);
            certificates.push(certificate);
            let prekeys = GeneratedPrekeys::draw(&keys.signing_key, &address, id, 1, 1, 1, 1_700_000_000, &mut rng);
            all.push(Device { id, keys, prekeys, session: None });
        }
        let issue = StatementIssue {
            address: &address,
            recovery_key_hash: [0; 32],
            previous: None,
            devices: certificates,
            issued: 1_700_000_000,
        };
        let statement = issue.sign(&account_key).unwrap();
        Self { address, statement, devices: all, rng }
    }

    /// What the server says when it is asked for prekeys.
    pub(crate) fn prekeys(&self) -> FetchPrekeysReply {
        let bundles = self.devices.iter().map(|device| device.prekeys.bundle(0).encode()).collect();
        FetchPrekeysReply { statement: self.statement.encoded().to_vec(), bundles, one_time_withheld: false }
    }

    /// The first device's prekeys, as whoever writes to it verifies them.
    pub(crate) fn verified_bundle(&self) -> PrekeyBundle {
        let device = &self.devices[0];
        PrekeyBundle::verify(&device.prekeys.bundle(0), &device.keys.signing_key.verifying_key()).unwrap()
    }

    /// Reads first flights, and writes an answer on each session.
    pub(crate) fn answer(&mut self, envelopes: &[DeviceEnvelope]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        for sent in envelopes {
            let device = self.devices.iter_mut().find(|device| device.id == sent.device_id).unwrap();
            let local = LocalDevice { statement: &self.statement, device_id: device.id, keys: &device.keys };
            let flight = Envelope::decode(&sent.envelope).unwrap();
            let initial = flight.open_first_flight(&device.prekeys.seal_prekey.1).unwrap();
            let prekeys = ResponderPrekeys {
                signed_prekey: &device.prekeys.signed_prekey.1,
                one_time_prekey: Some(&device.prekeys.one_time_prekeys[0].1),
                kem_prekey: &device.prekeys.one_time_kem_prekeys[0].1,
            };
            let (mut session, _) = Session::respond(&local, &initial, &prekeys, &mut self.rng).unwrap();
            answers.push(session.encrypt(b"not a content", &local, &mut self.rng).unwrap());
            device.session = Some(session);
        }
        answers
    }

    /// Reads what was sent over the sessions, and writes content on each: the other side makes a step of its ratchet.
    pub(crate) fn answer_again(&mut self, envelopes: &[DeviceEnvelope], content: &[u8]) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        for sent in envelopes {
            let device = self.devices.iter_mut().find(|device| device.id == sent.device_id).unwrap();
            let local = LocalDevice { statement: &self.statement, device_id: device.id, keys: &device.keys };
            let session = device.session.as_mut().unwrap();
            session.decrypt(&Envelope::decode(&sent.envelope).unwrap(), &mut self.rng).unwrap();
            answers.push(session.encrypt(content, &local, &mut self.rng).unwrap());
        }
        answers
    }

    /// The first device, as a writer.
    pub(crate) fn writer(&self) -> LocalDevice<'_> {
        LocalDevice { statement: &self.statement, device_id: 1, keys: &self.devices[0].keys }
    }
}
