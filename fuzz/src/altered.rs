//! A session that has been used in both directions, and envelopes to it that someone changed on the way.

use std::sync::OnceLock;

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::envelope::Envelope;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::prekey::{GeneratedPrekeys, PrekeyBundle};
use medipeps_core::session::{LocalDevice, ResponderPrekeys, Session};
use rand_core::SeedableRng;

/// What the changed envelope holds.
const CONTENT: &[u8] = b"Potassium 6.1 mmol/L";

/// A receiver, and an envelope that it can open.
struct Prepared {
    receiver: Session,
    envelope: Vec<u8>,
}

/// Applies the changes of the input to the envelope and holds the receiver to what it must do with it.
pub(crate) fn refuses(changes: &[u8]) {
    static PREPARED: OnceLock<Option<Prepared>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(Prepared::make);
    assert!(prepared.is_some(), "the session to try this on cannot be made");
    let Some(Prepared { receiver, envelope }) = prepared else { return };

    let mut altered = envelope.clone();
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]])) % altered.len();
        altered[place] ^= change[2];
    }
    let mut session = receiver.clone();
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let content = Envelope::decode(&altered).ok().and_then(|decoded| session.decrypt(&decoded, &mut rng).ok());
    if altered == *envelope {
        assert_eq!(content.as_deref().map(Vec::as_slice), Some(CONTENT), "an unchanged envelope opens");
    } else {
        assert!(content.is_none(), "a changed envelope opens");
        assert_eq!(session.encode(), receiver.encode(), "a failed decryption changes the session");
    }
}

impl Prepared {
    /// Two devices that have both written, and one more envelope. Everything is drawn from a fixed seed.
    fn make() -> Option<Self> {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (alice, bob) = (Party::new("alice", &mut rng)?, Party::new("bob", &mut rng)?);
        let bundle = PrekeyBundle::verify(&bob.prekeys.bundle(0), &bob.keys.signing_key.verifying_key()).ok()?;
        let mut at_alice = Session::initiate(&alice.device(), &bob.statement, &bundle, &mut rng).ok()?;
        let flight = Envelope::decode(&at_alice.encrypt(b"first", &alice.device(), &mut rng).ok()?).ok()?;
        let initial = flight.open_first_flight(&bob.prekeys.seal_prekey.1).ok()?;
        let prekeys = ResponderPrekeys {
            signed_prekey: &bob.prekeys.signed_prekey.1,
            one_time_prekey: bob.prekeys.one_time_prekeys.first().map(|(_, key)| key),
            kem_prekey: &bob.prekeys.one_time_kem_prekeys.first()?.1,
        };
        let (mut receiver, _) = Session::respond(&bob.device(), &initial, &prekeys, &mut rng).ok()?;
        let reply = Envelope::decode(&receiver.encrypt(b"second", &bob.device(), &mut rng).ok()?).ok()?;
        at_alice.decrypt(&reply, &mut rng).ok()?;
        let envelope = at_alice.encrypt(CONTENT, &alice.device(), &mut rng).ok()?;
        Some(Self { receiver, envelope })
    }
}

/// An account with one device.
struct Party {
    keys: DeviceSecretKeys,
    statement: Statement,
    prekeys: GeneratedPrekeys,
}

impl Party {
    fn new(name: &str, rng: &mut ChaCha20Rng) -> Option<Self> {
        let address: Address = format!("{name}@fuzz.example").parse().ok()?;
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
        let statement = issue.sign(&account_key).ok()?;
        let prekeys = GeneratedPrekeys::draw(&keys.signing_key, &address, 1, 1, 1, 1, 1, rng);
        Some(Self { keys, statement, prekeys })
    }

    fn device(&self) -> LocalDevice<'_> {
        LocalDevice { statement: &self.statement, device_id: 1, keys: &self.keys }
    }
}
