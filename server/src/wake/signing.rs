//! Keys that push services know the server by, and what is signed with them: JSON Web Signatures (RFC 7515) in their compact form.

use std::fs;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::service::PushError;

/// Bytes of the largest file with a key or an account: they have 300 to 3 000.
const FILE_LENGTH_MAX: u64 = 64 << 10;

/// A P-256 key: signs as ES256.
pub(super) struct EcKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

/// An RSA key: signs as RS256.
pub(super) struct RsaKey {
    pair: rsa::KeyPair,
    random: SystemRandom,
}

impl EcKey {
    /// Draws a key, in PKCS#8.
    pub(super) fn draw() -> Option<Zeroizing<Vec<u8>>> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok()?;
        Some(Zeroizing::new(key.as_ref().to_vec()))
    }

    /// A key in PKCS#8; `None` if it is none of this curve.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random).ok()?;
        Some(Self { pair, random })
    }

    /// A key out of a file in PEM, as Apple hands it out.
    pub(super) fn from_file(path: &Path) -> Result<Self, PushError> {
        let der = pkcs8(&read(path)?);
        der.and_then(|der| Self::from_pkcs8(der.secret_pkcs8_der()))
            .ok_or_else(|| failed(path, "this is no P-256 key in PEM (PKCS#8)"))
    }

    /// The public half, an uncompressed point.
    pub(super) fn public(&self) -> Option<[u8; 65]> {
        self.pair.public_key().as_ref().try_into().ok()
    }

    /// A signed token: RFC 7515, section 7.1. `None` if the system has no randomness.
    pub(super) fn token(&self, key_id: Option<&str>, claims: &Value) -> Option<String> {
        let header = match key_id {
            Some(key_id) => json!({ "alg": "ES256", "kid": key_id }),
            None => json!({ "alg": "ES256", "typ": "JWT" }),
        };
        let signed = signed_part(&header, claims);
        let signature = self.pair.sign(&self.random, signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))
    }
}

impl RsaKey {
    /// A key in PEM, PKCS#8; `None` if it is none of RSA.
    pub(super) fn from_pem(pem: &str) -> Option<Self> {
        let pair = rsa::KeyPair::from_pkcs8(pkcs8(pem.as_bytes())?.secret_pkcs8_der()).ok()?;
        Some(Self { pair, random: SystemRandom::new() })
    }

    /// A signed token; `None` if the system has no randomness.
    pub(super) fn token(&self, key_id: &str, claims: &Value) -> Option<String> {
        let signed = signed_part(&json!({ "alg": "RS256", "kid": key_id, "typ": "JWT" }), claims);
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &self.random, signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
    }
}

/// The content of a file with a key or an account.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PushError> {
    let length = fs::metadata(path).map_err(|error| failed(path, error))?.len();
    if length > FILE_LENGTH_MAX {
        return Err(failed(path, "the file is too long for what it should hold"));
    }
    fs::read(path).map(Zeroizing::new).map_err(|error| failed(path, error))
}

/// What is wrong with a file.
pub(super) fn failed(path: &Path, reason: impl ToString) -> PushError {
    PushError::File { path: path.to_owned(), reason: reason.to_string() }
}

fn pkcs8(pem: &[u8]) -> Option<PrivatePkcs8KeyDer<'static>> {
    PrivatePkcs8KeyDer::from_pem_slice(pem).ok()
}

fn signed_part(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}", encode(header), encode(claims))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    };

    /// A service account as Google hands it out, with a key made for these tests.
    pub(in crate::wake) const ACCOUNT: &str = include_str!("../../tests/wake/service-account.json");

    /// Header and claims of a token whose signature verifies.
    pub(in crate::wake) fn verified(
        token: &str,
        algorithm: &'static dyn VerificationAlgorithm,
        key: &[u8],
    ) -> (Value, Value) {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        UnparsedPublicKey::new(algorithm, key).verify(signed.as_bytes(), &signature).unwrap();
        let decode = |part: &str| serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        (decode(header), decode(claims))
    }

    pub(in crate::wake) fn verified_es256(token: &str, key: &[u8; 65]) -> (Value, Value) {
        verified(token, &ECDSA_P256_SHA256_FIXED, key)
    }

    pub(in crate::wake) fn verified_rs256(token: &str) -> (Value, Value) {
        let account: Value = serde_json::from_str(ACCOUNT).unwrap();
        let key = RsaKey::from_pem(account["private_key"].as_str().unwrap()).unwrap();
        verified(token, &RSA_PKCS1_2048_8192_SHA256, key.pair.public().as_ref())
    }

    #[test]
    fn tokens_verify_and_say_what_was_signed() {
        let key = EcKey::from_pkcs8(&EcKey::draw().unwrap()).unwrap();
        let claims = json!({ "aud": "https://push.example" });
        let (header, read) = verified_es256(&key.token(None, &claims).unwrap(), &key.public().unwrap());
        assert_eq!((header, read), (json!({ "alg": "ES256", "typ": "JWT" }), claims.clone()));
        let (header, _) = verified_es256(&key.token(Some("KEY"), &claims).unwrap(), &key.public().unwrap());
        assert_eq!(header, json!({ "alg": "ES256", "kid": "KEY" }));
    }

    #[test]
    fn a_key_of_apple_names_its_curve_twice() {
        // What `generate_pkcs8` writes, with the parameters that Apple's files have inside the key too.
        let mut apple = EcKey::draw().unwrap();
        // SEQUENCE, the OCTET STRING around the key, and the SEQUENCE in it.
        for (place, length) in [(2, 0x87), (28, 0x6d), (30, 0x6b)] {
            assert_eq!(apple[place], length);
            apple[place] += 12;
        }
        let parameters = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        apple.splice(68..68, parameters);
        assert!(EcKey::from_pkcs8(&apple).is_some(), "{apple:02x?}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.p8");
        assert!(EcKey::from_file(&path).is_err());
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ACCOUNT] {
            std::fs::write(&path, text).unwrap();
            let refused = EcKey::from_file(&path).err().unwrap().to_string();
            assert!(refused.contains("no P-256 key"), "{refused}");
        }
        std::fs::write(&path, vec![b'a'; FILE_LENGTH_MAX as usize + 1]).unwrap();
        assert!(EcKey::from_file(&path).err().unwrap().to_string().contains("too long"));
        assert!(RsaKey::from_pem("").is_none());
    }
}
