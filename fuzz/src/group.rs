//! Groups: records, and what a peer may send.

use std::sync::LazyLock;

use chacha20::ChaCha20Rng;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::franking::{self, FrankedContent, FrankingTag};
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
    // Nothing leaves that its sender is not bound to; what is a content is bound, and leaves.
    let tag = FrankingTag { commitment: [5; 32], signature: [6; 64] };
    assert!(group.encrypt(&FrankedContent { bytes: rest.to_vec().into(), tag }, rng).is_err());
    if let Ok(content) = Content::decode(rest)
        && let Ok(franked) = group.frank(&content, rng)
    {
        assert!(group.encrypt(&franked, rng).is_ok());
        assert!(
            franking::open(&franked.bytes, &franked.tag, &group.log_id(), &device.keys.signing_key.verifying_key())
                .is_ok()
        );
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
