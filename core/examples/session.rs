//! Two people open a session and talk: `cargo run --package medipeps-core --example session`.
//!
//! Everything that would travel is bytes here, and everything that would be stored as well. What a real client does besides
//! is said where it belongs.

use std::error::Error;

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::envelope::Envelope;
use medipeps_core::handshake::HandshakeParts;
use medipeps_core::identity::{
    DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash, safety_number,
};
use medipeps_core::prekey::{GeneratedPrekeys, PrekeyBundle};
use medipeps_core::session::{LocalDevice, ResponderPrekeys, Session};
use rand_core::SeedableRng;

/// The one device that each of the two has.
const DEVICE: u32 = 1;
/// Seconds since 1970. Time is an argument: nothing in the library reads a clock.
const NOW: u64 = 1_790_000_000;

/// A person with one device: what such a device keeps.
struct Person {
    statement: Statement,
    keys: DeviceSecretKeys,
    prekeys: GeneratedPrekeys,
    rng: ChaCha20Rng,
}

/// Runs the example.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // The same seeds every time, so that the example is the same. A client seeds with 32 bytes of the operating system.
    let mut claire = Person::new("claire@clinic.example", ChaCha20Rng::from_seed([1; 32]))?;
    let mut karim = Person::new("karim@clinic.example", ChaCha20Rng::from_seed([2; 32]))?;

    // Claire has fetched Karim's statement and a bundle of his prekeys from the server, and trusts it with neither: the
    // statement must hold together by its own signatures, the bundle must be signed by a device that it lists.
    let statement = Statement::decode(karim.statement.encoded())?;
    let device = statement.device_keys(DEVICE).ok_or("Karim's statement does not list the device")?;
    let bundle = PrekeyBundle::verify(&karim.prekeys.bundle(0), &device.signing_key)?;
    println!("Both read aloud: {}", claire.safety_number_with(&statement));

    // She opens a session. Nothing has been sent yet; her first envelopes all carry the handshake.
    let own = LocalDevice { statement: &claire.statement, device_id: DEVICE, keys: &claire.keys };
    let mut at_claire = Session::initiate(&own, &statement, &bundle, &mut claire.rng)?;
    let first = claire.encrypt(&mut at_claire, "Can you see Mrs Nessi today?")?;
    println!("A first flight of {} bytes", first.len());

    // Karim opens the seal, loads the prekeys that the message names, and answers the handshake. He would now compare her
    // statement with the one that he has pinned or fetched. In ONE transaction he stores the session and the message, and
    // deletes the one-time prekeys.
    let initial = Envelope::decode(&first)?.open_first_flight(&karim.prekeys.seal_prekey.1)?;
    println!("From {}", initial.sender().address());
    let own = LocalDevice { statement: &karim.statement, device_id: DEVICE, keys: &karim.keys };
    let prekeys = named_prekeys(&karim.prekeys, initial.handshake())?;
    let (mut at_karim, content) = Session::respond(&own, &initial, &prekeys, &mut karim.rng)?;
    assert_eq!(content.as_slice(), b"Can you see Mrs Nessi today?");

    // He answers. The state is stored before the envelope leaves: were it not, a crash could use a key twice.
    let answer = karim.encrypt(&mut at_karim, "At three. Bring her results.")?;
    let stored = at_karim.encode(); // goes into a store that is encrypted
    drop(at_karim);

    let answer = Envelope::decode(&answer)?;
    // Which of a thousand sessions is meant? The envelope's hint says it to whoever has the key.
    assert!(at_claire.hint_keys().iter().any(|key| answer.matches(key)));
    let content = at_claire.decrypt(&answer, &mut claire.rng)?;
    assert_eq!(content.as_slice(), b"At three. Bring her results.");
    assert!(!at_claire.awaiting_reply(), "from here on the handshake is left out");

    // Two messages overtake each other. After a restart Karim reads the session back and decrypts both.
    let one = Envelope::decode(&claire.encrypt(&mut at_claire, "Thank you.")?)?;
    let other = Envelope::decode(&claire.encrypt(&mut at_claire, "She is on her way.")?)?;
    let mut at_karim = Session::decode(&stored)?;
    assert_eq!(at_karim.decrypt(&other, &mut karim.rng)?.as_slice(), b"She is on her way.");
    assert_eq!(at_karim.decrypt(&one, &mut karim.rng)?.as_slice(), b"Thank you.");

    // A copy is refused, and a refusal changes nothing.
    let before = at_karim.encode();
    let Err(refused) = at_karim.decrypt(&one, &mut karim.rng) else { return Err("a copy was taken".into()) };
    assert_eq!(at_karim.encode(), before);
    println!("Three messages and an answer arrived; a copy was refused: {refused}");
    Ok(())
}

impl Person {
    fn new(address: &str, mut rng: ChaCha20Rng) -> Result<Self, Box<dyn Error>> {
        let address: Address = address.parse()?;
        // The account key lists devices and lies on primary devices only. The recovery key replaces it; keep it on paper.
        let account_key = SigningKey::random(&mut rng);
        let recovery_key = SigningKey::random(&mut rng);
        let keys = DeviceSecretKeys::random(&mut rng);
        let device = DeviceCertificate::issue(&account_key, &address, DEVICE, &keys.public_keys(), true, NOW);
        let statement = StatementIssue {
            address: &address,
            recovery_key_hash: recovery_key_hash(&recovery_key.verifying_key()),
            previous: None,
            devices: vec![device],
            issued: NOW,
        }
        .sign(&account_key)?;
        // Three prekeys that last, and ten of each kind that are used once. `prekeys.upload` goes to the server.
        let prekeys = GeneratedPrekeys::draw(&keys.signing_key, &address, DEVICE, 1, 1, 10, NOW, &mut rng);
        Ok(Self { statement, keys, prekeys, rng })
    }

    fn encrypt(&mut self, session: &mut Session, text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
        // A client encrypts an encoded `kind::content::Content`; to the session it is bytes.
        let own = LocalDevice { statement: &self.statement, device_id: DEVICE, keys: &self.keys };
        Ok(session.encrypt(text.as_bytes(), &own, &mut self.rng)?)
    }

    fn safety_number_with(&self, other: &Statement) -> String {
        let own = &self.statement;
        safety_number((own.address(), &own.account_key()), (other.address(), &other.account_key()))
    }
}

/// The private halves of the prekeys that a first flight names; a client has them in its store.
fn named_prekeys<'a>(
    own: &'a GeneratedPrekeys,
    handshake: &HandshakeParts,
) -> Result<ResponderPrekeys<'a>, Box<dyn Error>> {
    let one_time = |id| own.one_time_prekeys.iter().find(|(other, _)| *other == id).map(|(_, key)| key);
    let mut kem_prekeys = own.one_time_kem_prekeys.iter().chain([&own.last_resort_kem_prekey]);
    let kem_prekey = kem_prekeys.find(|(id, _)| *id == handshake.kem_prekey_id).map(|(_, key)| key);
    if own.signed_prekey.0 != handshake.signed_prekey_id {
        return Err("the signed prekey is not here any more".into());
    }
    Ok(ResponderPrekeys {
        signed_prekey: &own.signed_prekey.1,
        one_time_prekey: match handshake.one_time_prekey_id {
            None => None,
            Some(id) => Some(one_time(id).ok_or("the one-time prekey has been used")?),
        },
        kem_prekey: kem_prekey.ok_or("the KEM prekey has been used")?,
    })
}
