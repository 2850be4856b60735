//! Both sides of a linking, and those who want to be one of them.

use super::*;
use crate::crypto::x_wing;
use crate::identity::DeviceSecretKeys;
use crate::kind::DeviceName;
use crate::test_rng::rng;
use crate::wire::linking::{LinkGrant, LinkOffer, LinkReveal};

/// A new device.
pub(crate) struct NewDevice {
    pub(crate) key: x_wing::DecapsulationKey,
    pub(crate) reveal: LinkReveal,
    pub(crate) offer: LinkingOffer,
}

pub(crate) fn new_device(seed: u8, name: &str) -> NewDevice {
    let rng = &mut rng(seed);
    let key = x_wing::DecapsulationKey::random(rng);
    let reveal = LinkReveal { nonce: *Secret::<32>::random(rng).as_bytes(), name: name.to_owned() };
    let offer = LinkOffer {
        address: "claire@clinic.example".parse().unwrap(),
        device_id: 7,
        keys: DeviceSecretKeys::random(rng).public_keys(),
        encapsulation_key: key.encapsulation_key(),
        commitment: commitment(&reveal),
        server_key_hash: [2; 32],
    };
    let offer = LinkingOffer::seal(&Secret::random(rng), &offer);
    NewDevice { key, reveal, offer }
}

pub(crate) fn grant() -> LinkGrant {
    LinkGrant {
        statement: vec![1; 700],
        name: "Claire Martin".to_owned(),
        server_key_hash: [2; 32],
        account_key: Some(Secret::from([3; 32])),
        devices: vec![DeviceName { device_id: 7, name: "Ward tablet".to_owned(), at: 0 }],
        contacts: vec![vec![4; 800]],
        servers: vec![("hospital.example".to_owned(), vec![5; 40])],
        contacts_left_out: 0,
        tokens: None,
    }
}

/// The primary device's side up to the answer.
fn answered(code: &LinkingCode, sealed_offer: &[u8], seed: u8) -> (LinkOffer, Vec<u8>, LinkingAgreement) {
    let offer = Rendezvous::new(&code.rendezvous_secret).open_offer(sealed_offer, &code.offer_hash).unwrap();
    let (answer, shared) = answer(code, &offer, &mut rng(seed)).unwrap();
    let agreement = LinkingAgreement::new(&shared, &code.offer_hash, &answer);
    (offer, answer, agreement)
}

#[test]
fn both_sides_show_the_same_digits_and_the_grant_arrives() {
    let device = new_device(1, "Ward tablet");
    let (offer, answer, primary) = answered(&device.offer.code, &device.offer.sealed, 2);
    let new = device.offer.agree(&device.key, &answer).unwrap();
    assert_eq!(new, primary);
    let reveal = primary.open_reveal(&new.seal_reveal(&device.reveal), &offer).unwrap();
    assert_eq!(reveal, device.reveal);
    assert_eq!(new.comparison(&device.reveal), primary.comparison(&reveal));
    assert_eq!(new.comparison(&device.reveal).to_string().len(), 9);
    primary.open_confirmation(&new.seal_confirmation(&device.reveal), &reveal).unwrap();
    assert_eq!(new.open_grant(&primary.seal_grant(&grant(), &reveal), &device.reveal), Ok(grant()));
}

#[test]
fn who_photographed_the_code_and_answers_first_gets_other_digits() {
    let device = new_device(1, "");
    let (offer, answer, primary) = answered(&device.offer.code, &device.offer.sealed, 2);
    let (_, thiefs_answer, thief) = answered(&device.offer.code, &device.offer.sealed, 3);
    // The server keeps the first answer; the new device agrees with the thief.
    let new = device.offer.agree(&device.key, &thiefs_answer).unwrap();
    assert_eq!(new, thief);
    assert_ne!(new.comparison(&device.reveal), primary.comparison(&device.reveal));
    assert_ne!(thiefs_answer, answer);
    // What is for the thief is not for the owner, and lies elsewhere.
    assert_ne!(new.reveal_id(), primary.reveal_id());
    assert_eq!(primary.open_reveal(&new.seal_reveal(&device.reveal), &offer), Err(LinkingError::Seal));
    assert_eq!(new.open_grant(&primary.seal_grant(&grant(), &device.reveal), &device.reveal), Err(LinkingError::Seal));
}

#[test]
fn who_photographed_the_code_cannot_be_the_new_device() {
    let device = new_device(1, "");
    let (offer, answer, primary) = answered(&device.offer.code, &device.offer.sealed, 2);
    // With the code he reads the offer, and has no key to it.
    let opened = Rendezvous::new(&device.offer.code.rendezvous_secret)
        .open_offer(&device.offer.sealed, &device.offer.code.offer_hash)
        .unwrap();
    assert_eq!(opened, offer);
    let thiefs_key = x_wing::DecapsulationKey::random(&mut rng(9));
    let thief = device.offer.agree(&thiefs_key, &answer).unwrap();
    assert_ne!(thief.reveal_id(), primary.reveal_id());
    assert_eq!(primary.open_reveal(&thief.seal_reveal(&device.reveal), &offer), Err(LinkingError::Seal));
    // An offer of his own has another hash than the code.
    let own = LinkingOffer::seal(
        &device.offer.code.rendezvous_secret,
        &LinkOffer { encapsulation_key: thiefs_key.encapsulation_key(), ..offer },
    );
    let refused =
        Rendezvous::new(&device.offer.code.rendezvous_secret).open_offer(&own.sealed, &device.offer.code.offer_hash);
    assert_eq!(refused, Err(LinkingError::OfferHash));
}

#[test]
fn a_reveal_that_was_not_committed_to_is_refused() {
    // Whoever could choose the nonce, or the name, after the answer could try until the digits fit.
    let device = new_device(1, "Ward tablet");
    let (offer, answer, primary) = answered(&device.offer.code, &device.offer.sealed, 2);
    let new = device.offer.agree(&device.key, &answer).unwrap();
    let other_nonce = LinkReveal { nonce: [0; 32], ..device.reveal.clone() };
    let other_name = LinkReveal { name: "Ward tablet 2".to_owned(), ..device.reveal };
    for reveal in [other_nonce, other_name] {
        assert_eq!(primary.open_reveal(&new.seal_reveal(&reveal), &offer), Err(LinkingError::Commitment));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let device = new_device(1, "");
    let (offer, answer, primary) = answered(&device.offer.code, &device.offer.sealed, 2);
    let reveal = primary.seal_reveal(&device.reveal);
    let confirmation = primary.seal_confirmation(&device.reveal);
    let grant = primary.seal_grant(&grant(), &device.reveal);
    let flipped = |bytes: &[u8], bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    for bit in (0..4112 * 8).step_by(37) {
        assert!(device.offer.agree(&device.key, &flipped(&answer, bit)).is_err(), "answer {bit}");
        assert!(primary.open_reveal(&flipped(&reveal, bit), &offer).is_err(), "reveal {bit}");
        assert!(primary.open_confirmation(&flipped(&confirmation, bit), &device.reveal).is_err(), "yes {bit}");
        assert!(primary.open_grant(&flipped(&grant, bit), &device.reveal).is_err(), "grant {bit}");
    }
}

#[test]
fn what_is_small_looks_alike_and_what_is_too_large_is_refused() {
    let device = new_device(1, "");
    let (_, answer, primary) = answered(&device.offer.code, &device.offer.sealed, 2);
    let lengths = [
        device.offer.sealed.len(),
        answer.len(),
        primary.seal_reveal(&device.reveal).len(),
        primary.seal_confirmation(&device.reveal).len(),
    ];
    assert_eq!(lengths, [PADDED_TO + TAG_LENGTH; 4]);
    let large = vec![0; LINKING_BLOB_LENGTH_MAX + 1];
    assert_eq!(primary.open_grant(&large, &device.reveal), Err(LinkingError::Malformed));
}
