//! An account of the tests, with the keys of one device.

use chacha20::ChaCha20Rng;
use medipeps_core::Address;
use medipeps_core::crypto::signature::SigningKey;
use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
use medipeps_core::prekey::GeneratedPrekeys;
use medipeps_core::proof::sign_deletion;
use medipeps_core::wire::transport::{DeleteAccount, DeviceEnvelope, Payment, Register, Request, Submit};
use rand_core::SeedableRng;

/// Keys of an account and of its first device.
pub struct Account {
    pub address: Address,
    pub key: SigningKey,
    pub recovery: SigningKey,
    pub device_id: u32,
    pub device: DeviceSecretKeys,
    pub statement: Statement,
    pub prekeys: GeneratedPrekeys,
}

/// One-time prekeys in an upload of these tests.
pub const ONE_TIME_PREKEYS: usize = 2;

impl Account {
    /// An account that the server does not know yet.
    pub fn new(address: &str) -> Self {
        let mut seed = [0; 32];
        for (byte, letter) in seed.iter_mut().zip(address.bytes()) {
            *byte = letter;
        }
        let mut rng = ChaCha20Rng::from_seed(seed);
        let address: Address = address.parse().unwrap();
        let [key, recovery] = [(); 2].map(|()| SigningKey::random(&mut rng));
        let device = DeviceSecretKeys::random(&mut rng);
        let statement = StatementIssue {
            address: &address,
            recovery_key_hash: recovery_key_hash(&recovery.verifying_key()),
            previous: None,
            devices: vec![DeviceCertificate::issue(&key, &address, 1, &device.public_keys(), true, 5)],
            issued: 5,
        };
        let statement = statement.sign(&key).unwrap();
        let prekeys = GeneratedPrekeys::draw(&device.signing_key, &address, 1, 1, 1, ONE_TIME_PREKEYS, 100, &mut rng);
        Self { address, key, recovery, device_id: 1, device, statement, prekeys }
    }

    /// The request that registers it.
    pub fn register(&self, invitation: [u8; 16]) -> Request {
        Request::Register(Register {
            invitation,
            statement: self.statement.encoded().to_vec(),
            prekeys: vec![self.prekeys.upload.sign(&self.device.signing_key)],
        })
    }

    /// The next statement, with these certificates.
    pub fn next_statement(&self, devices: Vec<DeviceCertificate>) -> Statement {
        let issue = StatementIssue {
            address: &self.address,
            recovery_key_hash: recovery_key_hash(&self.recovery.verifying_key()),
            previous: Some(&self.statement),
            devices,
            issued: 6,
        };
        issue.sign(&self.key).unwrap()
    }

    /// The account goes.
    pub fn deletion(&self) -> Request {
        let (address, statement_version) = (self.address.clone(), self.statement.version());
        let signature = sign_deletion(&self.key, &address, statement_version);
        Request::DeleteAccount(DeleteAccount { address, statement_version, signature })
    }

    /// A certificate for a device of this account.
    pub fn certificate(&self, device_id: u32, device: &DeviceSecretKeys) -> DeviceCertificate {
        DeviceCertificate::issue(&self.key, &self.address, device_id, &device.public_keys(), true, 6)
    }

    /// The same account seen from another of its devices.
    pub fn on_device(&self, device_id: u32, device: DeviceSecretKeys, statement: Statement) -> Self {
        let mut rng = ChaCha20Rng::from_seed([device_id as u8; 32]);
        let prekeys = GeneratedPrekeys::draw(
            &device.signing_key,
            &self.address,
            device_id,
            1,
            1,
            ONE_TIME_PREKEYS,
            100,
            &mut rng,
        );
        let (key, recovery) = (self.key.clone(), self.recovery.clone());
        Self { address: self.address.clone(), key, recovery, device_id, device, statement, prekeys }
    }
}

/// An envelope of 4 KiB to each of these devices; `mark` tells one submission from another.
pub fn submit(address: &Address, devices: &[u32], mark: u8) -> Request {
    let envelope = |device_id: &u32| DeviceEnvelope { device_id: *device_id, envelope: vec![mark; 4096] };
    Request::Submit(Submit {
        id: [mark; 16],
        address: address.clone(),
        envelopes: devices.iter().map(envelope).collect(),
        payment: Payment::None,
        delivery_key: None,
    })
}
