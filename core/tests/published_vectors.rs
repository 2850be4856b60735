//! The primitives against vectors that others publish: Wycheproof and X-Wing's. They are read from `MEDIPEPS_VECTORS`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use medipeps_core::crypto::dh::{DhPublicKey, DhSecretKey};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::crypto::{aead, kem, x_wing};
use serde_json::Value;

fn vectors(name: &str) -> Value {
    let folder = std::env::var_os("MEDIPEPS_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"), PathBuf::from);
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{name}: {error}; name the folder of the published vectors in MEDIPEPS_VECTORS")
    });
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// Every case of a Wycheproof file with its group; the number of cases must be what the file says.
fn wycheproof(name: &str, mut check: impl FnMut(&Value, &Value)) {
    let file = vectors(&format!("wycheproof/{name}_test.json"));
    let mut count = 0;
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            check(group, case);
            count += 1;
        }
    }
    assert_eq!(count, file["numberOfTests"].as_u64().unwrap());
}

#[test]
fn x25519() {
    wycheproof("x25519", |_, case| {
        let (public, private) = (bytes(&case["public"]), bytes(&case["private"]));
        let secret = DhSecretKey::from_secret(&Secret::from_slice(&private).unwrap());
        let agreed = DhPublicKey::from_slice(&public).and_then(|public| secret.agree(&public));
        let flags: Vec<_> = case["flags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        // We are stricter than RFC 7748: non-canonical points and zero secrets are refused, and nothing else is.
        let refused = flags.iter().any(|flag| ["NonCanonicalPublic", "ZeroSharedSecret"].contains(flag));
        match agreed {
            Ok(shared) => assert_eq!(shared.as_bytes().to_vec(), bytes(&case["shared"]), "case {}", case["tcId"]),
            Err(_) => assert!(refused || public[31] & 0x80 != 0, "case {} {flags:?}", case["tcId"]),
        }
        if flags.contains(&"ZeroSharedSecret") {
            assert!(agreed_is_refused(&public, &private), "case {}", case["tcId"]);
        }
    });
}

fn agreed_is_refused(public: &[u8], private: &[u8]) -> bool {
    let secret = DhSecretKey::from_secret(&Secret::from_slice(private).unwrap());
    DhPublicKey::from_slice(public).and_then(|public| secret.agree(&public)).is_err()
}

#[test]
fn ed25519() {
    wycheproof("ed25519", |group, case| {
        let key = bytes(&group["publicKey"]["pk"]);
        let (message, signature) = (bytes(&case["msg"]), bytes(&case["sig"]));
        // Our own verification puts a label before the message, so the crate underneath is asked, as strictly as we do.
        let verified = VerifyingKey::from_slice(&key).is_ok_and(|key| {
            let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).unwrap();
            ed25519_dalek::Signature::from_slice(&signature)
                .is_ok_and(|signature| key.verify_strict(&message, &signature).is_ok())
        });
        assert_eq!(verified, case["result"] == "valid", "case {}", case["tcId"]);
    });
}

#[test]
fn chacha20_poly1305() {
    wycheproof("chacha20_poly1305", |group, case| {
        if group["ivSize"] != 96 {
            assert_eq!(case["result"], "invalid");
            return;
        }
        let key = Secret::from_slice(&bytes(&case["key"])).unwrap();
        let nonce: [u8; 12] = bytes(&case["iv"]).try_into().unwrap();
        let (aad, message) = (bytes(&case["aad"]), bytes(&case["msg"]));
        let sealed = [bytes(&case["ct"]), bytes(&case["tag"])].concat();
        let opened = aead::open(&key, &nonce, &aad, &sealed);
        if case["result"] == "valid" {
            assert_eq!(opened.unwrap(), message, "case {}", case["tcId"]);
            assert_eq!(aead::seal(&key, &nonce, &aad, &message), sealed, "case {}", case["tcId"]);
        } else {
            assert!(opened.is_err(), "case {}", case["tcId"]);
        }
    });
}

#[test]
fn ml_kem_1024_decapsulation() {
    wycheproof("mlkem_1024", |_, case| {
        let seed = Secret::from_slice(&bytes(&case["seed"]));
        let (Some(seed), Ok(ciphertext)) = (seed, kem::Ciphertext::from_slice(&bytes(&case["c"]))) else {
            assert_eq!(case["result"], "invalid", "case {}", case["tcId"]);
            return;
        };
        assert_eq!(case["result"], "valid", "case {}", case["tcId"]);
        let secret = kem::DecapsulationKey::from_seed(seed);
        assert_eq!(secret.encapsulation_key().as_bytes().to_vec(), bytes(&case["ek"]), "case {}", case["tcId"]);
        assert_eq!(secret.decapsulate(&ciphertext).as_bytes().to_vec(), bytes(&case["K"]), "case {}", case["tcId"]);
    });
}

#[test]
fn ml_kem_1024_key_generation() {
    wycheproof("mlkem_1024_keygen_seed", |_, case| {
        let seed = Secret::from_slice(&bytes(&case["seed"])).unwrap();
        let key = kem::DecapsulationKey::from_seed(seed).encapsulation_key();
        assert_eq!(key.as_bytes().to_vec(), bytes(&case["ek"]), "case {}", case["tcId"]);
    });
}

#[test]
fn ml_kem_1024_encapsulation_keys() {
    wycheproof("mlkem_1024_encaps", |_, case| {
        let key = kem::EncapsulationKey::from_slice(&bytes(&case["ek"]));
        assert_eq!(key.is_ok(), case["result"] == "valid", "case {}", case["tcId"]);
        if let Ok(key) = key {
            let (ciphertext, shared) = key.encapsulate(&mut Fixed(bytes(&case["m"])));
            assert_eq!(ciphertext.as_bytes().to_vec(), bytes(&case["c"]), "case {}", case["tcId"]);
            assert_eq!(shared.as_bytes().to_vec(), bytes(&case["K"]), "case {}", case["tcId"]);
        }
    });
}

#[test]
fn x_wing() {
    for case in vectors("x-wing.json").as_array().unwrap() {
        let secret = x_wing::DecapsulationKey::from_seed(Secret::from_slice(&bytes(&case["seed"])).unwrap());
        let key = secret.encapsulation_key();
        assert_eq!(key.to_bytes(), bytes(&case["pk"]));
        let (ciphertext, shared) = key.encapsulate(&mut Fixed(bytes(&case["eseed"]))).unwrap();
        assert_eq!(ciphertext.to_vec(), bytes(&case["ct"]));
        assert_eq!(shared.as_bytes().to_vec(), bytes(&case["ss"]));
        assert_eq!(secret.decapsulate(&ciphertext).unwrap().as_bytes().to_vec(), bytes(&case["ss"]));
    }
}

/// Gives the bytes that it was made of, once.
struct Fixed(Vec<u8>);

impl rand_core::TryRng for Fixed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("our code draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("our code draws bytes")
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Self::Error> {
        destination.copy_from_slice(&self.0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Fixed {}
