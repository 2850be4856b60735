//! `spec/vectors/group.json`: the policy, the wrapping, and what a passive member meets from key package to removal.

use mls_rs::mls_rs_codec::MlsDecode;
use mls_rs::storage_provider::KeyPackageData;
use serde_json::{Value, json};

use super::entry::{unwrap, wrap};
use super::keys::log_id;
use super::tests::{Account, NOW, encrypted};
use super::*;
use crate::Address;
use crate::crypto::secret::Secret;
use crate::test_rng::rng;
use crate::vectors::{check, hex};
use crate::wire::group::KeyPackageSecretFields;

#[test]
fn group_vectors() {
    let [claire, karim] = [Account::new("claire", 1, 1), Account::new("karim", 1, 2)];
    let policy = GroupPolicy {
        description: "Night shift".to_owned(),
        retention_days: 30,
        organisation: Some("office@clinic.example".parse().unwrap()),
        case: vec![1, 2, 3],
        predecessor: Some([4; 32]),
        successor: None,
        blinding: [5; 32],
        ..claire.policy(&[(&karim, Role::Member)])
    };
    let roster = |entry: &RosterEntry| {
        let role = match entry.role {
            Role::Owner => "owner",
            Role::Member => "member",
            Role::Reader => "reader",
        };
        json!({ "address": entry.address.as_str(), "account_key": hex(entry.account_key), "role": role })
    };
    let eve = Account::new("eve", 1, 3);
    let before = claire.policy(&[(&karim, Role::Reader), (&eve, Role::Member)]);
    let before = GroupPolicy { blinding: policy.blinding, ..before };
    let change = GroupPolicyChange::between(&before, &policy);
    assert_eq!(change.apply(&before), policy);
    let keys = EpochKeys::new(5, &Secret::from([6; 32]), Secret::from([7; 32]));
    let access_key = keys.access_key().verifying_key();
    let log = log_id(&access_key);
    let entry = wrap(&keys, &log, b"an MLSMessage", &mut rng(8)).unwrap();
    assert_eq!(unwrap(&keys, &log, &entry).unwrap().as_slice(), b"an MLSMessage");
    check(
        "group",
        &json!({
            "about": "spec/group.md. All keys are given; a private key of X-Wing is its seed.",
            "policy": {
                "name": policy.name,
                "description": policy.description,
                "roster": policy.roster.iter().map(roster).collect::<Vec<_>>(),
                "retention_days": policy.retention_days,
                "log_domain": policy.log_domain,
                "organisation": policy.organisation.as_ref().map(Address::as_str),
                "case": hex(&policy.case),
                "predecessor": hex([4; 32]),
                "blinding": hex(policy.blinding),
                "encoded": hex(policy.encode()),
                "hash": hex(policy.context_hash()),
            },
            "policy_change": { "from": hex(before.encode()), "change": hex(change.encode()), "to": hex(policy.encode()) },
            "entry": {
                "epoch": 5,
                "access_seed": hex([6; 32]),
                "access_key": hex(access_key.as_bytes()),
                "log_id": hex(log),
                "outer_key": hex([7; 32]),
                "nonce": hex(&entry[..24]),
                "message": hex(b"an MLSMessage"),
                "entry": hex(&entry),
            },
            "passive_member": [passive(Suite::PostQuantum), passive(Suite::Classical)],
        }),
    );
}

/// Claire makes a group, adds Karim, writes, updates, renames it, and removes him; he only reads.
fn passive(suite: Suite) -> Value {
    let rng = &mut rng(9);
    let [claire, karim] = [Account::new("claire", 1, 1), Account::new("karim", 1, 2)];
    let mut policy = claire.policy(&[(&karim, Role::Member)]);
    let mut group = claire.engine(1).create(suite, &policy, NOW, rng).unwrap();
    let made = karim.engine(1).key_package(suite, NOW, rng).unwrap();
    let package = KeyPackage::verify(&made.key_package, suite, &karim.statement, NOW).unwrap();
    let prepared = group.prepare_commit(&Change { add: vec![package], ..Change::default() }, rng).unwrap();
    group.adopt_commit().unwrap();
    let invitation = prepared.invitation.unwrap();
    let mut reading = karim.engine(1).join(&invitation, &made.secret).unwrap();

    let mut log = Vec::new();
    let mut read = |group: &mut Group, entry: &GroupEntry, closes: bool| {
        let received = group.process(&entry.entry, entry.epoch, closes).unwrap();
        let content = match received {
            Received::Message { franked, .. } => json!(hex(&*franked.bytes)),
            _ => Value::Null,
        };
        log.push(json!({
            "epoch": entry.epoch,
            "closes_epoch": closes,
            "entry": hex(&entry.entry),
            "content": content,
            "removed": group.is_removed(),
            "policy_hash": hex(group.policy().unwrap().context_hash()),
            "keys_after": epoch(group),
        }));
    };
    let first = epoch(&reading);
    read(&mut reading, &encrypted(&mut group, "Bed 4 is free", rng).unwrap(), false);
    let update = group.prepare_commit(&Change::default(), rng).unwrap();
    group.adopt_commit().unwrap();
    read(&mut reading, &update.entry, true);
    read(&mut reading, &encrypted(&mut group, "Bed 5 as well", rng).unwrap(), false);
    policy.name = "Ward 4".to_owned();
    let renaming = Change { policy: Some(policy.clone()), ..Change::default() };
    let renaming = group.prepare_commit(&renaming, rng).unwrap();
    group.adopt_commit().unwrap();
    read(&mut reading, &renaming.entry, true);
    let leaf = group.leaves_of(karim.address()).unwrap()[0].leaf;
    policy.remove(karim.address());
    let change = Change { remove: vec![leaf], policy: Some(policy), ..Change::default() };
    let removal = group.prepare_commit(&change, rng).unwrap();
    read(&mut reading, &removal.entry, true);

    let record = KeyPackageSecretFields::decode(&made.secret.encode()).unwrap();
    let secret = KeyPackageData::mls_decode(&mut record.data.as_slice()).unwrap();
    json!({
        "cipher_suite": suite.number(),
        "signing_key": hex(karim.devices[0].signing_key.to_secret().as_bytes()),
        "key_package": hex(&made.key_package),
        "init_key": hex(&*secret.init_key),
        "leaf_key": hex(&*secret.leaf_node_key),
        "invitation": hex(invitation.encode()),
        "group_id": hex(reading.id().0),
        "log_id": hex(reading.log_id()),
        "keys": first,
        "log": log,
    })
}

fn epoch(group: &Group) -> Value {
    json!({
        "epoch": group.keys().epoch(),
        "access_key": hex(group.keys().access_key().verifying_key().as_bytes()),
        "outer_key": hex(group.keys().outer_key().as_bytes()),
    })
}
