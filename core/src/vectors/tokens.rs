//! Vectors of `spec/tokens.md`, and the published ones of RFC 9497 for the suite that it stands on.

use data_encoding::HEXLOWER;
use serde_json::json;
use voprf::{EvaluationElement, Proof, Ristretto255, VoprfClient, VoprfServer};

use super::{check, hex, secret};
use crate::crypto::signature::SigningKey;
use crate::delivery_key::DeliveryKey;
use crate::kind::{Body, GivenDeliveryKey, test_content};
use crate::proof::Channel;
use crate::test_rng::{FixedRng, rng};
use crate::token::{IssuerKeys, IssuerSecretKey, Prices, TokenBatch, Voucher};
use crate::wire::transport::{FetchPrekeys, Payment, RedeemVoucher, Request, Transport};

#[test]
fn our_own_vectors() {
    let (server_key, voucher_key) = (SigningKey::from_secret(&secret(1)), SigningKey::from_secret(&secret(2)));
    let issuer = IssuerSecretKey::derive(&secret(3), 20_783, 1_795_824_000_000).unwrap();
    let batch = TokenBatch::blind(&issuer.public(), 2, secret(4)).unwrap();
    let answer = issuer.evaluate(batch.request(), &mut rng(5)).unwrap();
    let tokens = batch.finalize(&answer).unwrap();
    let list = IssuerKeys {
        domain: "clinic.example".into(),
        keys: vec![issuer.public()],
        prices: Prices { submit: 1, prekeys: 1, blob_mib: 64, group_create: 4, group_append_kib: 64 },
        batch: 500,
        vouchers: 4,
        voucher_tokens: 100,
        required: false,
        incarnation: [9; 16],
    };
    let voucher = Voucher {
        home: "clinic.example".into(),
        domain: "hospital.example".into(),
        day: 20_783,
        key: voucher_key.verifying_key(),
        tokens: 100,
        incarnation: [9; 16],
    };
    let (nonce, exporter) = ([6; 32], [7; 32]);
    let channel =
        Channel { nonce: &nonce, domain: "hospital.example", transport: Transport::Quic, exporter: Some(&exporter) };
    let signed_voucher = voucher.sign(&server_key);
    let redeem = RedeemVoucher::sign(&voucher_key, &channel, signed_voucher.clone(), batch.request().clone());
    let address = "claire@clinic.example".parse().unwrap();
    let token = |token: &crate::wire::transport::Token| json!({ "nonce": hex(token.nonce), "authenticator": hex(token.authenticator) });
    let paid = FetchPrekeys { address, payment: Payment::Tokens(tokens.clone()) };
    let delivery_key = DeliveryKey::from([8; 16]);
    let given = GivenDeliveryKey { key: delivery_key.clone(), made_at: 1_795_824_000_000 };
    let content = test_content::content(Body::Empty).encode().unwrap();
    check(
        "tokens",
        &json!({
            "about": "spec/tokens.md: an issuer key, a batch, its tokens, a signed list, a voucher, a delivery key, and one beside a message.",
            "issuer_key": {
                "seed": hex([3; 32]),
                "day": 20_783,
                "public_key": hex(issuer.public().public_key),
                "id": hex(issuer.id()),
            },
            "batch": {
                "seed": hex([4; 32]),
                "blinded": hex(batch.request().blinded.concat()),
                "evaluated": hex(answer.evaluated.concat()),
                "proof": hex(answer.proof),
                "tokens": tokens.iter().map(token).collect::<Vec<_>>(),
            },
            "list": { "server_secret": hex([1; 32]), "signed": hex(list.sign(&server_key)) },
            "voucher": {
                "server_secret": hex([1; 32]),
                "voucher_secret": hex([2; 32]),
                "signed": hex(signed_voucher),
                "id": hex(voucher.id()),
            },
            "redemption": {
                "channel": { "nonce": hex(nonce), "domain": "hospital.example", "transport": 1, "exporter": hex(exporter) },
                "request": hex(Request::RedeemVoucher(redeem).encode()),
            },
            "paid_fetch_of_prekeys": hex(Request::FetchPrekeys(paid.clone()).encode()),
            "delivery_key": {
                "key": hex(delivery_key.as_bytes()),
                "address": paid.address.as_str(),
                "hash": hex(delivery_key.hash(&paid.address)),
            },
            "given_delivery_key": {
                "key": hex(given.key.as_bytes()),
                "made_at": given.made_at,
                "content": hex(content.as_slice()),
                "beside": hex(given.attach(&content).unwrap().as_slice()),
            },
        }),
    );
}

fn bytes(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// Gives scalars: what is drawn is 64 bytes, taken modulo the order of the group.
fn scalars(scalars: &[&str]) -> FixedRng {
    FixedRng(scalars.iter().flat_map(|scalar| [bytes(scalar), vec![0; 32]].concat()).collect())
}

struct Published {
    inputs: &'static [&'static str],
    blinds: &'static [&'static str],
    blinded: &'static [&'static str],
    evaluated: &'static [&'static str],
    proof: &'static str,
    proof_scalar: &'static str,
    outputs: &'static [&'static str],
}

const KEY: &str = "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e";
const BLIND: &str = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706";
const SCALAR: &str = "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e";

const OUTPUTS: [&str; 2] = [
    "b58cfbe118e0cb94d79b5fd6a6dafb98764dff49c14e1770b566e42402da1a7da4d8527693914139caee5bd03903af43a491351d23b430948dd50cde10d32b3c",
    "8a9a2f3c7f085b65933594309041fc1898d42d0858e59f90814ae90571a6df60356f4610bf816f27afdd84f47719e480906d27ecd994985890e5f539e7ea74b6",
];

/// RFC 9497 appendix A.1.2: ristretto255-SHA512, VOPRF mode.
const PUBLISHED: [Published; 3] = [
    Published {
        inputs: &["00"],
        blinds: &[BLIND],
        blinded: &["863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"],
        evaluated: &["aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e"],
        proof: "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd066d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
        proof_scalar: SCALAR,
        outputs: &[OUTPUTS[0]],
    },
    Published {
        inputs: &["5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"],
        blinds: &[BLIND],
        blinded: &["cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c"],
        evaluated: &["60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468"],
        proof: "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
        proof_scalar: SCALAR,
        outputs: &[OUTPUTS[1]],
    },
    Published {
        inputs: &["00", "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"],
        blinds: &[BLIND, SCALAR],
        blinded: &[
            "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
            "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654",
        ],
        evaluated: &[
            "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
            "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a",
        ],
        proof: "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08",
        proof_scalar: "419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c",
        outputs: &[OUTPUTS[0], OUTPUTS[1]],
    },
];

#[test]
fn the_suite_is_that_of_rfc_9497() {
    let server = VoprfServer::<Ristretto255>::new_from_seed(&[0xa3; 32], b"test key").unwrap();
    assert_eq!(voprf_key(&server), KEY);
    for vector in &PUBLISHED {
        let mut blinds = scalars(vector.blinds);
        let inputs: Vec<_> = vector.inputs.iter().map(|input| bytes(input)).collect();
        let blinded: Vec<_> = inputs
            .iter()
            .map(|input| VoprfClient::<Ristretto255>::blind(input, &mut crate::token::OldRng(&mut blinds)).unwrap())
            .collect();
        let (states, messages): (Vec<_>, Vec<_>) = blinded.into_iter().map(|one| (one.state, one.message)).unzip();
        assert_eq!(messages.iter().map(|one| hex(one.serialize())).collect::<Vec<_>>(), vector.blinded);
        let mut scalar = scalars(&[vector.proof_scalar]);
        let answer = server.batch_blind_evaluate(&mut crate::token::OldRng(&mut scalar), &messages).unwrap();
        assert_eq!(answer.messages.iter().map(|one| hex(one.serialize())).collect::<Vec<_>>(), vector.evaluated);
        assert_eq!(hex(answer.proof.serialize()), vector.proof);
        let evaluated: Vec<_> =
            vector.evaluated.iter().map(|one| EvaluationElement::deserialize(&bytes(one)).unwrap()).collect();
        let proof = Proof::deserialize(&bytes(vector.proof)).unwrap();
        let outputs =
            VoprfClient::batch_finalize(&inputs, &states, &evaluated, &proof, server.get_public_key()).unwrap();
        assert_eq!(outputs.map(|one| hex(one.unwrap())).collect::<Vec<_>>(), vector.outputs);
        let direct: Vec<_> = inputs.iter().map(|input| hex(server.evaluate(input).unwrap())).collect();
        assert_eq!(direct, vector.outputs);
    }
}

fn voprf_key(server: &VoprfServer<Ristretto255>) -> String {
    use voprf::Group;
    hex(Ristretto255::serialize_elem(server.get_public_key()))
}
