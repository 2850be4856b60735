//! `spec/vectors/organisation.json`.

use serde_json::json;

use super::tests::full_policy;
use super::{MemberCertificate, OrganisationChain, OrganisationId, OrganisationPolicy, StatementDraft};
use crate::crypto::secret::Secret;
use crate::crypto::signature::SigningKey;
use crate::kind::test_content::author;
use crate::vectors::{check, hex};

#[test]
fn organisation_vectors() {
    let keys = [1_u8, 2, 3, 4].map(|number| SigningKey::from_secret(&Secret::from([number; 32])));
    let public = |numbers: &[usize]| numbers.iter().map(|number| keys[*number].verifying_key()).collect::<Vec<_>>();
    let address = "clinic@clinic.example".parse().unwrap();
    let name = "Clinic of the Lake";
    let none = OrganisationPolicy::default();
    let draft = StatementDraft::new(&address, name, None, (&public(&[0, 1, 2]), 2), none, 1_700_000_000_000).unwrap();
    let signatures = [0, 1].map(|number: usize| draft.sign(&keys[number])).to_vec();
    let first = draft.assemble(signatures).unwrap();
    let id = OrganisationId(first.hash());
    let administrators = (&*public(&[0, 2, 3]), 2);
    let draft =
        StatementDraft::new(&address, name, Some(&first), administrators, full_policy(), 1_700_000_001_000).unwrap();
    let (second_signed, signatures) =
        (hex(draft.bytes()), [0, 2].map(|number: usize| draft.sign(&keys[number])).to_vec());
    let second = draft.assemble(signatures).unwrap();
    let chain = OrganisationChain::verify(id, &first.encoded(), [&*second.encoded()]).unwrap();
    let member = MemberCertificate::draft(id, 12, &author(1), "nurse", 1_700_000_000_000, 1_800_000_000_000).unwrap();
    let member = [0, 1, 3].into_iter().fold(member, |one, number: usize| {
        let signature = one.sign(&keys[number]);
        one.with_signature(signature)
    });
    assert_eq!(chain.membership(&member, &author(1), 1_750_000_000_000).unwrap().role, "nurse");
    let encoded = |statement: &super::OrganisationStatement| json!({ "encoded": hex(statement.encoded()), "hash": hex(statement.hash()) });
    check(
        "organisation",
        &json!({
            "about": "spec/organisation.md: two of three administrators; the second statement, by the first and the third, replaces \
                the second by the fourth; a member whom the first, the second and the fourth have certified, and who counts under \
                the second statement. Ed25519 keys are given as their 32-byte secrets.",
            "administrators": keys.iter().map(|key| json!({
                "secret": hex(key.to_secret().as_bytes()),
                "public": hex(key.verifying_key().as_bytes()),
            })).collect::<Vec<_>>(),
            "id": hex(id.0),
            "first_statement": encoded(&first),
            "second_statement": encoded(&second),
            "second_signed_bytes": second_signed,
            "member": {
                "address": author(1).address.as_str(),
                "account_key": hex(author(1).account_key.as_bytes()),
                "certificate": hex(member.encoded()),
                "holds_at": 1_750_000_000_000_u64,
            },
        }),
    );
}
