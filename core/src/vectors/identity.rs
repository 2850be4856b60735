//! `identity.json`: statements, certificates, safety numbers.

use serde_json::json;

use super::{check, hex, secret};
use crate::crypto::dh::DhSecretKey;
use crate::crypto::signature::SigningKey;
use crate::identity::{
    DeviceCertificate, DeviceSecretKeys, StatementIssue, VerificationCode, recovery_key_hash, safety_number,
};

#[test]
fn identity_vectors() {
    let address = "claire.martin@clinic.example".parse().unwrap();
    let account_key = SigningKey::from_secret(&secret(1));
    let recovery_key = SigningKey::from_secret(&secret(2));
    let device = DeviceSecretKeys {
        signing_key: SigningKey::from_secret(&secret(3)),
        dh_key: DhSecretKey::from_secret(&secret(4)),
    };
    let certificate = DeviceCertificate::issue(&account_key, &address, 1, &device.public_keys(), true, 1_700_000_000);
    let issue = |previous, issued| StatementIssue {
        address: &address,
        recovery_key_hash: recovery_key_hash(&recovery_key.verifying_key()),
        previous,
        devices: vec![certificate.clone()],
        issued,
    };
    let first = issue(None, 1_700_000_000).sign(&account_key).unwrap();
    let second = issue(Some(&first), 1_700_000_001).sign(&account_key).unwrap();
    let new_key = SigningKey::from_secret(&secret(5));
    let new_certificate = DeviceCertificate::issue(&new_key, &address, 2, &device.public_keys(), true, 1_700_000_002);
    let mut recovered = issue(Some(&second), 1_700_000_002);
    recovered.devices = vec![new_certificate];
    let recovered = recovered.sign_with_recovery_key(new_key.verifying_key(), &recovery_key).unwrap();
    let other = "karim.benali@clinic.example".parse().unwrap();
    let statement = |statement: &crate::identity::Statement| json!({ "encoded": hex(statement.encoded()), "hash": hex(statement.hash()), "version": statement.version() });
    check(
        "identity",
        &json!({
            "about": "spec/identity.md: certificates, statements, safety number. Ed25519 and X25519 keys are given as their 32-byte secrets.",
            "address": address.as_str(),
            "account_key": { "secret": hex([1; 32]), "public": hex(account_key.verifying_key().as_bytes()) },
            "recovery_key": {
                "secret": hex([2; 32]),
                "public": hex(recovery_key.verifying_key().as_bytes()),
                "hash": hex(recovery_key_hash(&recovery_key.verifying_key())),
            },
            "device": {
                "id": 1,
                "signing_secret": hex([3; 32]),
                "signing_public": hex(device.public_keys().signing_key.as_bytes()),
                "dh_secret": hex([4; 32]),
                "dh_public": hex(device.public_keys().dh_key.as_bytes()),
            },
            "certificate": {
                "signed_bytes": hex(&certificate.signed().certificate),
                "signature": hex(certificate.signed().signature),
            },
            "first_statement": statement(&first),
            "second_statement": statement(&second),
            "new_account_key": { "secret": hex([5; 32]), "public": hex(new_key.verifying_key().as_bytes()) },
            "statement_by_recovery_key": statement(&recovered),
            "safety_number": {
                "one": { "address": address.as_str(), "account_key": hex(account_key.verifying_key().as_bytes()) },
                "other": { "address": other_text(&other), "account_key": hex(new_key.verifying_key().as_bytes()) },
                "digits": safety_number((&address, &account_key.verifying_key()), (&other, &new_key.verifying_key())),
            },
            "verification_code": {
                "shown_by": { "address": address.as_str(), "account_key": hex(account_key.verifying_key().as_bytes()) },
                "shown_to": { "address": other_text(&other), "account_key": hex(new_key.verifying_key().as_bytes()) },
                "text": VerificationCode::new(
                    (&address, &account_key.verifying_key()),
                    (&other, &new_key.verifying_key()),
                ).to_string(),
            },
        }),
    );
}

fn other_text(address: &crate::Address) -> &str {
    address.as_str()
}
