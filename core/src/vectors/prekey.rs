//! `prekey.json`: what a device publishes.

use serde_json::json;

use super::{check, hex};
use crate::prekey::{KemPrekey, OneTimePrekey, SealPrekey, SignedPrekey};
use crate::test_party::Party;

#[test]
fn prekey_vectors() {
    let party = Party::new("bob", 2, 1);
    let prekeys = &party.prekeys;
    let upload = prekeys.upload.sign(&party.keys.signing_key);
    let one_time = &prekeys.one_time_prekeys[0];
    let one_time_kem = &prekeys.one_time_kem_prekeys[0];
    check(
        "prekeys",
        &json!({
            "about": "spec/handshake.md, Prekeys. KEM secrets are the 64-byte seeds d || z, the seal secret X-Wing's 32-byte seed.",
            "device_signing_secret": hex(party.keys.signing_key.to_secret().as_bytes()),
            "signed_prekey": {
                "id": prekeys.signed_prekey.0,
                "secret": hex(prekeys.signed_prekey.1.to_secret().as_bytes()),
                "encoded": hex(SignedPrekey::encode(&prekeys.upload.signed_prekey)),
            },
            "one_time_prekey": {
                "id": one_time.0,
                "secret": hex(one_time.1.to_secret().as_bytes()),
                "encoded": hex(OneTimePrekey::encode(&prekeys.upload.one_time_prekeys[0])),
            },
            "one_time_kem_prekey": {
                "id": one_time_kem.0,
                "seed": hex(one_time_kem.1.seed().as_bytes()),
                "encoded": hex(KemPrekey::encode(&prekeys.upload.one_time_kem_prekeys[0])),
            },
            "last_resort_kem_prekey": {
                "id": prekeys.last_resort_kem_prekey.0,
                "seed": hex(prekeys.last_resort_kem_prekey.1.seed().as_bytes()),
                "encoded": hex(KemPrekey::encode(&prekeys.upload.last_resort_kem_prekey)),
            },
            "seal_prekey": {
                "id": prekeys.seal_prekey.0,
                "seed": hex(prekeys.seal_prekey.1.seed().as_bytes()),
                "encoded": hex(SealPrekey::encode(&prekeys.upload.seal_prekey)),
            },
            "signed_upload": hex(upload),
            "bundle_with_one_time_keys": hex(prekeys.bundle(0).encode()),
            "bundle_without": hex(prekeys.bundle(1).encode()),
        }),
    );
}
