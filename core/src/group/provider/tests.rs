//! The provider by itself; published vectors are in `core/tests/published_vectors/mls.rs`.

use mls_rs_core::crypto::{CipherSuiteProvider, CryptoProvider, HpkeContextR, HpkeContextS, HpkePsk};

use super::*;
use crate::crypto::x_wing::{CIPHERTEXT_LENGTH, ENCAPSULATION_KEY_LENGTH};
use crate::test_rng::rng;

fn suites() -> [(Provider, Suite); 2] {
    [CLASSICAL, POST_QUANTUM].map(|suite| {
        let provider = Provider::default();
        let suite = provider.cipher_suite_provider(suite).unwrap();
        (provider, suite)
    })
}

#[test]
fn nothing_is_random_outside_of_a_call() {
    for (provider, suite) in suites() {
        let drawn = |seed| provider.randomness().during(&mut rng(seed), || suite.random_bytes_vec(32));
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert_eq!(suite.random_bytes_vec(32), Err(ProviderError::Randomness));
        assert_eq!(suite.kem_generate().unwrap_err(), ProviderError::Randomness);
        assert_eq!(suite.signature_key_generate().unwrap_err(), ProviderError::Randomness);
    }
}

#[test]
fn what_is_sealed_to_a_key_opens_with_it_alone() {
    for (provider, suite) in suites() {
        provider.randomness().during(&mut rng(1), || {
            let [(secret, public), (other, other_public)] =
                [suite.kem_generate().unwrap(), suite.kem_generate().unwrap()];
            let sealed = suite.hpke_seal(&public, b"info", Some(b"aad"), b"plaintext").unwrap();
            let open = |secret, public, info: &[u8], aad: &[u8]| {
                suite.hpke_open(&sealed, secret, public, info, Some(aad)).map(|opened| opened.to_vec())
            };
            assert_eq!(open(&secret, &public, b"info", b"aad").unwrap(), b"plaintext");
            assert!(open(&other, &other_public, b"info", b"aad").is_err());
            assert!(open(&secret, &public, b"other", b"aad").is_err());
            assert!(open(&secret, &public, b"info", b"other").is_err());
            let psk = HpkePsk::new(b"id", &[7; 32]);
            let sealed = suite.hpke_seal_psk(&public, b"info", None, b"plaintext", psk.clone()).unwrap();
            assert!(suite.hpke_open_psk(&sealed, &secret, &public, b"info", None, psk).is_ok());
            let wrong = HpkePsk::new(b"id", &[8; 32]);
            assert!(suite.hpke_open_psk(&sealed, &secret, &public, b"info", None, wrong).is_err());
            let (output, mut sender) = suite.hpke_setup_s(&public, b"info").unwrap();
            let mut receiver = suite.hpke_setup_r(&output, &secret, &public, b"info").unwrap();
            let sealed = sender.seal(None, b"one").unwrap();
            assert_eq!(receiver.open(None, &sealed).unwrap().to_vec(), b"one");
            assert_eq!(sender.export(b"context", 32).unwrap(), receiver.export(b"context", 32).unwrap());
        });
    }
}

#[test]
fn x_wing_has_its_own_lengths_and_derivation() {
    let [(_, classical), (provider, suite)] = suites();
    provider.randomness().during(&mut rng(1), || {
        let (secret, public) = suite.kem_generate().unwrap();
        assert_eq!((secret.len(), public.len()), (32, ENCAPSULATION_KEY_LENGTH));
        let (output, _) = suite.hpke_setup_s(&public, b"").unwrap();
        assert_eq!(output.len(), CIPHERTEXT_LENGTH);
        assert!(suite.kem_public_key_validate(&public).is_ok());
        assert!(classical.kem_public_key_validate(&public).is_err());
    });
    let (derived, public) = suite.kem_derive(b"thirty-two bytes of key material").unwrap();
    assert_eq!(*derived, libcrux_sha3::shake256::<32>(b"thirty-two bytes of key material"));
    assert_eq!(suite.kem_derive(b"thirty-two bytes of key material").unwrap().1, public);
}

#[test]
fn each_key_signs_for_itself_by_turns() {
    let (provider, suite) = &suites()[0];
    let keys = provider.randomness().during(&mut rng(1), || [(); 2].map(|()| suite.signature_key_generate().unwrap()));
    for _ in 0..2 {
        for (secret, public) in &keys {
            let signature = suite.sign(secret, b"data").unwrap();
            assert!(suite.verify(public, &signature, b"data").is_ok());
            assert!(suite.verify(public, &signature, b"other").is_err());
        }
    }
    let signature = suite.sign(&keys[0].0, b"data").unwrap();
    assert!(suite.verify(&keys[1].1, &signature, b"data").is_err());
    assert_eq!(suite.sign(&vec![1; 31].into(), b"data"), Err(ProviderError::KeyLength));
    // A point of small order is no key.
    assert_eq!(suite.verify(&vec![0; 32].into(), &signature, b"data"), Err(ProviderError::Signature));
}

#[test]
fn points_that_are_refused_elsewhere_are_refused_here() {
    let (provider, suite) = &suites()[0];
    provider.randomness().during(&mut rng(1), || {
        for refused in [[0; 32], [0xff; 32]] {
            assert!(suite.hpke_seal(&refused.to_vec().into(), b"", None, b"").is_err());
        }
    });
}
