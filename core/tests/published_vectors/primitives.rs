//! Every primitive that is in use against Wycheproof's vectors, and X-Wing against its own.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, Mac};
use libcrux_ml_kem::mlkem768;
use medipeps_core::crypto::dh::{DhPublicKey, DhSecretKey};
use medipeps_core::crypto::incremental_kem::{self, DecapsulationSeed};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::crypto::{aead, kdf, kem, x_wing};
use sha2::Sha256;

use crate::wycheproof::Expected::{Acceptable, Invalid, Valid};
use crate::wycheproof::{Case, File};
use crate::{bytes, vectors};

#[test]
fn x25519() {
    let file = File {
        name: "x25519",
        is: ("XDH", "xdh_comp_schema_v1.json"),
        group_type: "XdhComp",
        group_fields: &["curve"],
        case_fields: &["public", "private", "shared"],
        optional_fields: &[],
        flags: &[
            "EdgeCaseMultiplication",
            "EdgeCasePrivateKey",
            "EdgeCaseShared",
            "Ktv",
            "LowOrderPublic",
            "NonCanonicalPublic",
            "Normal",
            "SmallPublicKey",
            "SpecialPublicKey",
            "Twist",
            "ZeroSharedSecret",
        ],
        cases: 518,
    };
    let mut refused = 0;
    file.each(|case| {
        assert_eq!(case.group["curve"], "curve25519");
        let (public, private) = (case.bytes("public"), case.bytes("private"));
        let secret = DhSecretKey::from_secret(&Secret::from_slice(&private).unwrap());
        let agreed = DhPublicKey::from_slice(&public).and_then(|public| secret.agree(&public));
        // We are stricter than RFC 7748: non-canonical points and zero secrets are refused, and nothing else is.
        let refuse = case.has_flag("NonCanonicalPublic") || case.has_flag("ZeroSharedSecret") || public[31] & 0x80 != 0;
        let agrees_with_the_standard = match case.expected() {
            Valid => !refuse,
            Invalid => refuse,
            Acceptable => true,
        };
        assert!(agrees_with_the_standard, "case {}", case.number());
        assert_eq!(agreed.is_err(), refuse, "case {}", case.number());
        match agreed {
            Ok(shared) => assert_eq!(shared.as_bytes().to_vec(), case.bytes("shared"), "case {}", case.number()),
            Err(_) => refused += 1,
        }
    });
    assert!(refused >= 31, "{refused} were refused");
}

#[test]
fn ed25519() {
    let file = File {
        name: "ed25519",
        is: ("EDDSA", "eddsa_verify_schema_v1.json"),
        group_type: "EddsaVerify",
        group_fields: &["publicKey", "publicKeyDer", "publicKeyPem", "publicKeyJwk"],
        case_fields: &["msg", "sig"],
        optional_fields: &[],
        flags: &[
            "CompressedSignature",
            "InvalidEncoding",
            "InvalidKtv",
            "InvalidSignature",
            "Ktv",
            "SignatureMalleability",
            "SignatureWithGarbage",
            "TinkOverflow",
            "TruncatedSignature",
            "Valid",
        ],
        cases: 151,
    };
    file.each(|case| {
        let key = bytes(&case.group["publicKey"]["pk"]);
        let (message, signature) = (case.bytes("msg"), case.bytes("sig"));
        // Our own verification puts a label before the message, so the crate underneath is asked, as strictly as we do.
        let verified = VerifyingKey::from_slice(&key).is_ok_and(|key| {
            let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).unwrap();
            ed25519_dalek::Signature::from_slice(&signature)
                .is_ok_and(|signature| key.verify_strict(&message, &signature).is_ok())
        });
        assert_eq!(verified, is_valid(case), "case {}", case.number());
    });
}

#[test]
fn chacha20_poly1305() {
    aead_file("chacha20_poly1305", "CHACHA20-POLY1305", 325).each(|case| {
        assert_eq!((&case.group["keySize"], &case.group["tagSize"]), (&256.into(), &128.into()));
        let key = Secret::from_slice(&case.bytes("key")).unwrap();
        let Ok(nonce) = <[u8; aead::NONCE_LENGTH]>::try_from(case.bytes("iv")) else {
            // A nonce of another length cannot be said in our types.
            return assert!(!is_valid(case) && case.has_flag("InvalidNonceSize"), "case {}", case.number());
        };
        let (aad, message) = (case.bytes("aad"), case.bytes("msg"));
        let sealed = [case.bytes("ct"), case.bytes("tag")].concat();
        let once = Secret::from_slice(&[key.as_bytes().as_slice(), &nonce].concat()).unwrap();
        let opened = [
            aead::open(&key, &nonce, &aad, &sealed).ok(),
            aead::open_once(&once, &aad, sealed.clone()).ok().map(|opened| opened.to_vec()),
        ];
        if is_valid(case) {
            assert_eq!(opened, [Some(message.clone()), Some(message.clone())], "case {}", case.number());
            assert_eq!(aead::seal(&key, &nonce, &aad, &message), sealed, "case {}", case.number());
            assert_eq!(aead::seal_once(&once, &aad, message.into()), sealed, "case {}", case.number());
        } else {
            assert_eq!(opened, [None, None], "case {}", case.number());
        }
    });
}

/// The client's store seals with it, by the same crate in the same version.
#[test]
fn xchacha20_poly1305() {
    aead_file("xchacha20_poly1305", "XCHACHA20-POLY1305", 315).each(|case| {
        assert_eq!((&case.group["keySize"], &case.group["tagSize"]), (&256.into(), &128.into()));
        let cipher = XChaCha20Poly1305::new_from_slice(&case.bytes("key")).unwrap();
        let Ok(nonce) = <[u8; 24]>::try_from(case.bytes("iv")).map(XNonce::from) else {
            return assert!(!is_valid(case) && case.has_flag("InvalidNonceSize"), "case {}", case.number());
        };
        let (aad, message) = (case.bytes("aad"), case.bytes("msg"));
        let sealed = [case.bytes("ct"), case.bytes("tag")].concat();
        let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &aad });
        if is_valid(case) {
            assert_eq!(opened.unwrap(), message, "case {}", case.number());
            let again = cipher.encrypt(&nonce, Payload { msg: &message, aad: &aad }).unwrap();
            assert_eq!(again, sealed, "case {}", case.number());
        } else {
            assert!(opened.is_err(), "case {}", case.number());
        }
    });
}

const fn aead_file(name: &'static str, algorithm: &'static str, cases: usize) -> File {
    File {
        name,
        is: (algorithm, "aead_test_schema_v1.json"),
        group_type: "AeadTest",
        group_fields: &["ivSize", "keySize", "tagSize"],
        case_fields: &["key", "iv", "aad", "msg", "ct", "tag"],
        optional_fields: &[],
        flags: &[
            "EdgeCaseCiphertext",
            "EdgeCasePoly1305",
            "EdgeCasePolyKey",
            "EdgeCaseTag",
            "InvalidNonceSize",
            "Ktv",
            "ModifiedTag",
            "Pseudorandom",
        ],
        cases,
    }
}

/// Our own function takes labels alone for `info`, so the crate underneath is asked, in the same way: extract from parts.
#[test]
fn hkdf_sha256() {
    let file = File {
        name: "hkdf_sha256",
        is: ("HKDF-SHA-256", "hkdf_test_schema_v1.json"),
        group_type: "HkdfTest",
        group_fields: &["keySize"],
        case_fields: &["ikm", "salt", "info", "size", "okm"],
        optional_fields: &[],
        flags: &["EmptySalt", "MaximalOutputSize", "Normal", "OutputCollision", "SizeTooLarge"],
        cases: 86,
    };
    file.each(|case| {
        let (salt, ikm, info) = (case.bytes("salt"), case.bytes("ikm"), case.bytes("info"));
        let mut extract = HkdfExtract::<Sha256>::new(Some(&salt));
        let (one, other) = ikm.split_at(ikm.len() / 3);
        extract.input_ikm(one);
        extract.input_ikm(other);
        let mut output = vec![0; case.length("size")];
        let expanded = extract.finalize().1.expand(&info, &mut output);
        assert_eq!(expanded.is_ok(), is_valid(case), "case {}", case.number());
        if is_valid(case) {
            assert_eq!(output, case.bytes("okm"), "case {}", case.number());
            let mut whole = vec![0; output.len()];
            Hkdf::<Sha256>::new(Some(&salt), &ikm).expand(&info, &mut whole).unwrap();
            assert_eq!(whole, output, "case {}", case.number());
        }
    });
}

#[test]
fn hmac_sha256() {
    let file = File {
        name: "hmac_sha256",
        is: ("HMACSHA256", "mac_test_schema_v1.json"),
        group_type: "MacTest",
        group_fields: &["keySize", "tagSize"],
        case_fields: &["key", "msg", "tag"],
        optional_fields: &[],
        flags: &["ModifiedTag", "Pseudorandom"],
        cases: 174,
    };
    let mut by_our_own = 0;
    file.each(|case| {
        let (key, message, tag) = (case.bytes("key"), case.bytes("msg"), case.bytes("tag"));
        let length = usize::try_from(case.group["tagSize"].as_u64().unwrap() / 8).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(&message);
        let made = mac.clone().finalize().into_bytes();
        assert_eq!(made[..length] == tag[..], is_valid(case), "case {}", case.number());
        if length == made.len() {
            assert_eq!(mac.verify_slice(&tag).is_ok(), is_valid(case), "case {}", case.number());
        }
        // The ratchet's step: a key of 32 bytes, a message of one.
        if let (Some(key), [byte]) = (Secret::from_slice(&key), message.as_slice()) {
            let ours = kdf::hmac_byte(&key, *byte);
            assert_eq!(ours.as_bytes()[..length] == tag[..], is_valid(case), "case {}", case.number());
            by_our_own += 1;
        }
    });
    assert!(by_our_own > 0, "no case is one of the ratchet's");
}

#[test]
fn ml_kem_768_decapsulation() {
    decapsulation_file("mlkem_768").each(|case| {
        assert_eq!(case.group["parameterSet"], "ML-KEM-768");
        let (seed, ciphertext) = (Secret::from_slice(&case.bytes("seed")), case.bytes("c"));
        let parts = ciphertext.split_at_checked(incremental_kem::FIRST_PART_LENGTH).and_then(|(first, second)| {
            Some((first.try_into().ok()?, <&[u8; incremental_kem::SECOND_PART_LENGTH]>::try_from(second).ok()?))
        });
        let (Some(seed), Some((first, second))) = (seed, parts) else {
            return assert!(!is_valid(case), "case {}", case.number());
        };
        assert!(is_valid(case), "case {}", case.number());
        let secret = DecapsulationSeed::from_secret(seed);
        assert_eq!(joined(&secret), case.optional("ek").unwrap(), "case {}", case.number());
        assert_eq!(secret.decapsulate(first, second).as_bytes().to_vec(), case.bytes("K"), "case {}", case.number());
    });
}

#[test]
fn ml_kem_768_key_generation() {
    key_generation_file("mlkem_768_keygen_seed").each(|case| {
        assert_eq!((&case.group["parameterSet"], is_valid(case)), (&"ML-KEM-768".into(), true));
        let seed = Secret::<64>::from_slice(&case.bytes("seed")).unwrap();
        let pair = mlkem768::generate_key_pair(*seed.as_bytes());
        assert_eq!(pair.sk().to_vec(), case.bytes("dk"), "case {}", case.number());
        assert_eq!(joined(&DecapsulationSeed::from_secret(seed)), case.bytes("ek"), "case {}", case.number());
    });
}

/// In two parts, as the ratchet does it; what the plain way gives must be the same.
#[test]
fn ml_kem_768_encapsulation() {
    encapsulation_file("mlkem_768_encaps", 265).each(|case| {
        assert_eq!(case.group["parameterSet"], "ML-KEM-768");
        let key: Result<[u8; incremental_kem::VECTOR_LENGTH + 32], _> = case.bytes("ek").try_into();
        let Ok(key) = key else {
            return assert!(!is_valid(case), "case {}", case.number());
        };
        let (vector, rho) = key.split_first_chunk().unwrap();
        let mut header = [0; incremental_kem::HEADER_LENGTH];
        header[..32].copy_from_slice(rho);
        header[32..].copy_from_slice(&libcrux_sha3::sha256(&key));
        let checked = incremental_kem::check_vector(&header, vector);
        assert_eq!(checked.is_ok(), is_valid(case), "case {}", case.number());
        assert_eq!(mlkem768::validate_public_key(&key.into()), is_valid(case), "case {}", case.number());
        let randomness = Secret::from_slice(&case.bytes("m")).unwrap();
        let (first, shared) = incremental_kem::encapsulate_first(&header, &randomness);
        let second = incremental_kem::encapsulate_second(&header, vector, &randomness, &first);
        assert_eq!(second.is_ok(), is_valid(case), "case {}", case.number());
        if let Ok(second) = second {
            assert_eq!([first.as_slice(), &second].concat(), case.bytes("c"), "case {}", case.number());
            assert_eq!(shared.as_bytes().to_vec(), case.bytes("K"), "case {}", case.number());
        }
    });
}

/// The encapsulation key out of the two parts of the ratchet.
fn joined(secret: &DecapsulationSeed) -> Vec<u8> {
    let key = secret.encapsulation_key();
    [key.vector.as_slice(), &key.header[..32]].concat()
}

#[test]
fn ml_kem_1024_decapsulation() {
    decapsulation_file("mlkem_1024").each(|case| {
        assert_eq!(case.group["parameterSet"], "ML-KEM-1024");
        let seed = Secret::from_slice(&case.bytes("seed"));
        let (Some(seed), Ok(ciphertext)) = (seed, kem::Ciphertext::from_slice(&case.bytes("c"))) else {
            return assert!(!is_valid(case), "case {}", case.number());
        };
        assert!(is_valid(case), "case {}", case.number());
        let secret = kem::DecapsulationKey::from_seed(seed);
        let key = secret.encapsulation_key().as_bytes().to_vec();
        assert_eq!(key, case.optional("ek").unwrap(), "case {}", case.number());
        assert_eq!(secret.decapsulate(&ciphertext).as_bytes().to_vec(), case.bytes("K"), "case {}", case.number());
    });
}

#[test]
fn ml_kem_1024_key_generation() {
    key_generation_file("mlkem_1024_keygen_seed").each(|case| {
        assert_eq!((&case.group["parameterSet"], is_valid(case)), (&"ML-KEM-1024".into(), true));
        let seed = Secret::<64>::from_slice(&case.bytes("seed")).unwrap();
        let pair = libcrux_ml_kem::mlkem1024::generate_key_pair(*seed.as_bytes());
        assert_eq!(pair.sk().to_vec(), case.bytes("dk"), "case {}", case.number());
        let key = kem::DecapsulationKey::from_seed(seed).encapsulation_key();
        assert_eq!(key.as_bytes().to_vec(), case.bytes("ek"), "case {}", case.number());
    });
}

#[test]
fn ml_kem_1024_encapsulation() {
    encapsulation_file("mlkem_1024_encaps", 269).each(|case| {
        assert_eq!(case.group["parameterSet"], "ML-KEM-1024");
        let key = kem::EncapsulationKey::from_slice(&case.bytes("ek"));
        assert_eq!(key.is_ok(), is_valid(case), "case {}", case.number());
        if let Ok(key) = key {
            let (ciphertext, shared) = key.encapsulate(&mut Fixed(case.bytes("m")));
            assert_eq!(ciphertext.as_bytes().to_vec(), case.bytes("c"), "case {}", case.number());
            assert_eq!(shared.as_bytes().to_vec(), case.bytes("K"), "case {}", case.number());
        }
    });
}

const fn decapsulation_file(name: &'static str) -> File {
    File {
        name,
        is: ("ML-KEM", "mlkem_test_schema.json"),
        group_type: "MLKEMTest",
        group_fields: &["parameterSet"],
        case_fields: &["seed", "c", "K"],
        optional_fields: &["ek"], // left out where the ciphertext or the seed has the wrong length
        flags: &["Strcmp"],
        cases: 193,
    }
}

const fn key_generation_file(name: &'static str) -> File {
    File {
        name,
        is: ("ML-KEM", "mlkem_keygen_seed_test_schema.json"),
        group_type: "MLKEMKeyGen",
        group_fields: &["parameterSet"],
        case_fields: &["seed", "ek", "dk"],
        optional_fields: &[],
        flags: &[],
        cases: 100,
    }
}

const fn encapsulation_file(name: &'static str, cases: usize) -> File {
    File {
        name,
        is: ("ML-KEM", "mlkem_encaps_test_schema.json"),
        group_type: "MLKEMEncapsTest",
        group_fields: &["parameterSet"],
        case_fields: &["m", "ek", "c", "K"],
        optional_fields: &[],
        flags: &["ModulusOverflow"],
        cases,
    }
}

#[test]
fn x_wing() {
    let cases = vectors("x-wing.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 3);
    for case in cases {
        assert_eq!(case.as_object().unwrap().len(), 6, "an unknown field");
        assert_eq!(case["sk"], case["seed"]);
        let secret = x_wing::DecapsulationKey::from_seed(Secret::from_slice(&bytes(&case["seed"])).unwrap());
        let key = secret.encapsulation_key();
        assert_eq!(key.to_bytes(), bytes(&case["pk"]));
        let (ciphertext, shared) = key.encapsulate(&mut Fixed(bytes(&case["eseed"]))).unwrap();
        assert_eq!(ciphertext.to_vec(), bytes(&case["ct"]));
        assert_eq!(shared.as_bytes().to_vec(), bytes(&case["ss"]));
        assert_eq!(secret.decapsulate(&ciphertext).unwrap().as_bytes().to_vec(), bytes(&case["ss"]));
    }
    println!("x-wing: {} cases", cases.len());
}

fn is_valid(case: &Case<'_>) -> bool {
    match case.expected() {
        Valid => true,
        Invalid => false,
        Acceptable => panic!("case {} is acceptable, which leaves open what to expect", case.number()),
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
