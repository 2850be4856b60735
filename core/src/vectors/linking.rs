//! `linking.json`: offers, agreements and what two devices say while they link.

use serde_json::json;

use super::{check, copy, drawn, hex, secret};
use crate::crypto::dh::DhSecretKey;
use crate::crypto::secret::Secret;
use crate::crypto::signature::SigningKey;
use crate::crypto::x_wing;
use crate::identity::DeviceSecretKeys;
use crate::linking::{self, LinkingAgreement, LinkingOffer, Rendezvous};
use crate::test_rng::rng;
use crate::wire::linking::{LinkOffer, LinkReveal};

#[test]
fn linking_vectors() {
    let mut rng = rng(21);
    let key = x_wing::DecapsulationKey::from_seed(secret(1));
    let device = DeviceSecretKeys {
        signing_key: SigningKey::from_secret(&secret(3)),
        dh_key: DhSecretKey::from_secret(&secret(4)),
    };
    let reveal = LinkReveal { nonce: [5; 32], name: "Ward tablet".to_owned() };
    let offer = LinkOffer {
        address: "claire.martin@clinic.example".parse().unwrap(),
        device_id: 7,
        keys: device.public_keys(),
        encapsulation_key: key.encapsulation_key(),
        commitment: linking::commitment(&reveal),
        server_key_hash: [6; 32],
    };
    let sealed = LinkingOffer::seal(&Secret::from([2; 16]), &offer);
    let rendezvous = Rendezvous::new(&sealed.code.rendezvous_secret);
    let before = copy(&rng);
    let (answer, shared) = linking::answer(&sealed.code, &offer, &mut rng).unwrap();
    let randomness = drawn(&before, &rng);
    let agreement = sealed.agree(&key, &answer).unwrap();
    assert_eq!(agreement, LinkingAgreement::new(&shared, &sealed.code.offer_hash, &answer));
    let grant = linking::tests::grant();
    check(
        "linking",
        &json!({
            "about": "spec/linking.md. The X-Wing key is given as its seed. What is sealed is given whole.",
            "rendezvous_secret": hex([2; 16]),
            "decapsulation_key": hex([1; 32]),
            "offer": { "id": hex(rendezvous.offer_id()), "message": hex(offer.encode()), "sealed": hex(&sealed.sealed) },
            "code": sealed.code.to_string(),
            "answer": {
                "id": hex(rendezvous.answer_id()),
                "randomness": randomness,
                "sealed": hex(&answer),
                "shared_secret": hex(shared.as_bytes()),
            },
            "reveal": {
                "id": hex(agreement.reveal_id()),
                "message": hex(reveal.encode()),
                "sealed": hex(agreement.seal_reveal(&reveal)),
            },
            "comparison": agreement.comparison(&reveal).to_string(),
            "confirmation": {
                "id": hex(agreement.confirmation_id()),
                "sealed": hex(agreement.seal_confirmation(&reveal)),
            },
            "grant": {
                "id": hex(agreement.grant_id()),
                "message": hex(grant.encode()),
                "sealed": hex(agreement.seal_grant(&grant, &reveal)),
            },
            "upload_secret": {
                "seed": hex([8; 32]),
                "blob_id": hex([9; 32]),
                "secret": hex(linking::upload_secret(&secret(8), &[9; 32])),
            },
        }),
    );
}
