//! Groups: records, and what a peer may send.

use std::sync::LazyLock;

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::franking::{self, FrankingProof};
use medipeps_core::group::{
    Group, GroupEngine, GroupPolicy, GroupPolicyChange, GroupRejoin, GroupWelcome, KeyPackage, KeyPackageSecret,
    SignedSignal, Suite, stored_pages,
};
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue};
use medipeps_core::kind::Content;
use rand_core::SeedableRng;

/// Records and what goes over 1:1; a manifest or page that is nobody's makes no group.
pub(crate) fn record(data: &[u8]) {
    select_decoder!(data: GroupPolicy, GroupWelcome, GroupRejoin, KeyPackageSecret, GroupPolicyChange, SignedSignal);
    let bytes = data.get(1..).unwrap_or_default();
    if let Ok(policy) = GroupPolicy::decode(bytes) {
        let _ = policy.check();
    }
    if let (Ok(change), Some(group)) = (GroupPolicyChange::decode(bytes), DEVICE.as_ref().and_then(Device::group))
        && let Ok(before) = group.policy()
    {
        let after = change.apply(&before);
        // Whatever order it comes in, what it changes to can be changed back.
        if after.check().is_ok() {
            assert!(GroupPolicyChange::between(&after, &before).apply(&after) == *before);
        }
    }
    let _ = stored_pages(bytes);
    let Some(device) = DEVICE.as_ref() else { return };
    // The page is cut from the same bytes, so that a manifest may fit it.
    let half = bytes.len() / 2;
    for manifest in [bytes, &bytes[..half]] {
        assert!(
            device
                .engine()
                .is_none_or(|engine| { engine.load(manifest, |_| Some(bytes[half..].to_vec().into())).is_err() })
        );
    }
}

/// Whatever a peer or a server may send.
pub(crate) fn refuses(data: &[u8]) {
    let Some(device) = DEVICE.as_ref() else { return };
    let Some(engine) = device.engine() else { return };
    let (at, rest) = data.split_at(data.len().min(2));
    assert!(KeyPackage::verify(rest, Suite::Classical, &device.statement, 1).is_err());
    let rng = &mut ChaCha20Rng::from_seed([2; 32]);
    let cut = at.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)).min(rest.len());
    let (one, other) = rest.split_at(cut);
    let invitation = GroupWelcome { welcome: one.to_vec(), tree: other.to_vec(), policy: device.policy().encode() };
    let _ = invitation.key_packages();
    if let Ok(made) = engine.key_package(Suite::Classical, 1, rng) {
        assert!(engine.join(&invitation, &made.secret).is_err());
    }
    let help = GroupRejoin {
        group_info: one.to_vec(),
        tree: other.to_vec(),
        access_seed: Secret::from([3; 32]),
        outer_key: Secret::from([4; 32]),
        policy: device.policy().encode(),
    };
    assert!(engine.rejoin(&help, &[], rng).is_err());
    let Some(mut group) = device.group() else { return };
    assert!(group.open_signal(rest).is_err());
    for closes in [false, true] {
        assert!(group.process(rest, 0, closes).is_err());
        assert_eq!(group.epoch(), 0);
    }
    // Whatever leaves, its sender is bound to.
    if let Ok(encrypted) = group.encrypt(rest, rng) {
        let key = device.keys.signing_key.verifying_key();
        let opened = franking::open(rest, &encrypted.proof, &group.log_id(), &key);
        assert_eq!(opened.map(|opened| opened.content), Content::decode(rest).map_err(Into::into));
    }
}

/// A leaf, a signature, a group context and a content: nobody has signed them, in this context or in that of a group.
pub(crate) fn franked(data: &[u8]) {
    let Some((leaf, rest)) = data.split_first_chunk() else { return };
    let Some((signature, rest)) = rest.split_first_chunk() else { return };
    let Some((length, rest)) = rest.split_first() else { return };
    let Some((context, content)) = rest.split_at_checked(usize::from(*length)) else { return };
    let Some(device) = DEVICE.as_ref() else { return };
    let key = device.keys.signing_key.verifying_key();
    let proof =
        FrankingProof { group_context: context.to_vec(), leaf: u32::from_be_bytes(*leaf), signature: *signature };
    assert!(franking::open(content, &proof, &[7; 32], &key).is_err());
    let Some(mut group) = device.group() else { return };
    let Ok(encrypted) = group.encrypt(content, &mut ChaCha20Rng::from_seed([2; 32])) else { return };
    let (log, opened) = (group.log_id(), franking::open(content, &encrypted.proof, &group.log_id(), &key));
    assert_eq!(opened.map(|opened| opened.content), Content::decode(content).map_err(Into::into));
    for mixed in [
        FrankingProof { group_context: context.to_vec(), ..encrypted.proof.clone() },
        FrankingProof { signature: *signature, ..encrypted.proof.clone() },
    ] {
        assert!(mixed == encrypted.proof || franking::open(content, &mixed, &log, &key).is_err());
    }
}

struct Device {
    statement: Statement,
    keys: DeviceSecretKeys,
}

static DEVICE: LazyLock<Option<Device>> = LazyLock::new(|| {
    let rng = &mut ChaCha20Rng::from_seed([1; 32]);
    let address = "claire@clinic.example".parse().ok()?;
    let account_key = SigningKey::random(rng);
    let keys = DeviceSecretKeys::random(rng);
    let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1);
    let statement = StatementIssue {
        address: &address,
        recovery_key_hash: [0; 32],
        previous: None,
        devices: vec![device],
        issued: 1,
    };
    Some(Device { statement: statement.sign(&account_key).ok()?, keys })
});

impl Device {
    fn engine(&self) -> Option<GroupEngine<'_>> {
        Some(GroupEngine { certificate: self.statement.device(1)?, signing_key: &self.keys.signing_key })
    }

    fn policy(&self) -> GroupPolicy {
        let key = *self.statement.account_key().as_bytes();
        GroupPolicy::new("fuzzed", self.statement.address(), key, "clinic.example")
    }

    fn group(&self) -> Option<Group> {
        self.engine()?.create(Suite::Classical, &self.policy(), 1, &mut ChaCha20Rng::from_seed([5; 32])).ok()
    }
}
