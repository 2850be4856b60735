//! The account statement and its chain.

use thiserror::Error;

use super::certificate::{DeviceCertificate, DevicePublicKeys};
use crate::Address;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::label;
use crate::limits::{DEVICES_MAX, PRIMARY_DEVICES_MAX, STATEMENT_LENGTH_MAX};
use crate::wire::WireError;
use crate::wire::identity::{SignedStatement, StatementFields};

/// A statement whose signatures and inner rules have been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    fields: StatementFields,
    devices: Vec<DeviceCertificate>,
    signer: Signer,
    encoded: Vec<u8>,
    hash: [u8; 32],
}

/// Who signed a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The account key that the statement names.
    Account,
    /// This recovery key, whose hash the statement before must name.
    Recovery(VerifyingKey),
}

/// How a statement differs from the one that was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is the same.
    None,
    /// Newer, under the same account key.
    Devices,
    /// Newer, and the account key is another: contacts must be told.
    AccountKey,
}

/// What goes into a new statement.
#[derive(Debug, Clone)]
pub struct StatementIssue<'a> {
    /// The account.
    pub address: &'a Address,
    /// SHA-256 of the recovery key, by [`recovery_key_hash`].
    pub recovery_key_hash: [u8; 32],
    /// The statement before, if there is one.
    pub previous: Option<&'a Statement>,
    /// Certificates under the new statement's account key.
    pub devices: Vec<DeviceCertificate>,
    /// Seconds since 1970.
    pub issued: u64,
}

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StatementError {
    /// It cannot be read.
    #[error("the statement cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// Over the limit in bytes.
    #[error("the statement is over {STATEMENT_LENGTH_MAX} bytes")]
    TooLong,
    /// Neither the account key nor the named recovery key made the signature.
    #[error("the statement's signature does not verify")]
    Signature,
    /// A certificate's signature does not verify.
    #[error("a device certificate's signature does not verify")]
    CertificateSignature,
    /// A certificate is for another account or under another account key.
    #[error("a device certificate belongs to another account")]
    ForeignCertificate,
    /// None, more than the limit, the same id or keys twice, or not one or two primary ones.
    #[error("the statement's list of devices breaks the rules")]
    Devices,
    /// Version 0, or a hash of the statement before where there can be none, or none where there must be one.
    #[error("the statement's version and its hash of the one before do not fit")]
    Chain,
    /// It is about another account than the known one.
    #[error("the statement is of another account")]
    OtherAccount,
    /// Older than the known one, or a different one of the same version.
    #[error("the statement does not come after the known one")]
    NotNewer,
    /// It does not name the known statement as the one before.
    #[error("the statement does not name the known one as its predecessor")]
    PreviousHash,
    /// The account key changed without the recovery key's signature, or with a wrong one.
    #[error("the account key changed without the recovery key")]
    KeyChange,
    /// It names another recovery key without the signature of the one before: a stolen primary device would lock the owner
    /// out.
    #[error("the recovery key changed without the signature of the one before")]
    RecoveryKeyChange,
}

/// The hash by which a statement names a recovery key.
#[must_use]
pub fn recovery_key_hash(recovery_key: &VerifyingKey) -> [u8; 32] {
    labelled_sha256(label::RECOVERY_KEY_HASH, &[recovery_key.as_bytes()])
}

impl StatementIssue<'_> {
    /// Signs the statement with the account key that its certificates name.
    ///
    /// # Errors
    /// [`StatementError`] if the result would be refused by those who get it.
    pub fn sign(self, account_key: &SigningKey) -> Result<Statement, StatementError> {
        self.sign_as(account_key.verifying_key(), account_key, None)
    }

    /// Signs the statement with the recovery key; `account_key` is the new one.
    ///
    /// # Errors
    /// [`StatementError`] if the result would be refused by those who get it.
    pub fn sign_with_recovery_key(
        self,
        account_key: VerifyingKey,
        recovery_key: &SigningKey,
    ) -> Result<Statement, StatementError> {
        self.sign_as(account_key, recovery_key, Some(recovery_key.verifying_key()))
    }

    fn sign_as(
        self,
        account_key: VerifyingKey,
        signer: &SigningKey,
        recovery_key: Option<VerifyingKey>,
    ) -> Result<Statement, StatementError> {
        let fields = StatementFields {
            address: self.address.clone(),
            account_key,
            recovery_key_hash: self.recovery_key_hash,
            version: self
                .previous
                .map_or(Ok(1), |previous| previous.version().checked_add(1).ok_or(StatementError::Chain))?,
            previous_hash: self.previous.map(|previous| previous.hash),
            devices: self.devices.iter().map(|device| device.signed().clone()).collect(),
            issued: self.issued,
        };
        let statement = fields.encode();
        let signature = signer.sign(label::ACCOUNT_STATEMENT, &[&statement]);
        let issued = Statement::decode(&SignedStatement { statement, signature, recovery_key }.encode())?;
        if let Some(previous) = self.previous {
            issued.follows(previous)?;
        }
        Ok(issued)
    }
}

impl Statement {
    /// Reads and verifies an encoded `SignedStatement`, by itself: signatures, certificates, the rules for devices.
    /// Whether it follows another is for [`Self::follows`] and [`Self::change_since`].
    ///
    /// # Errors
    /// [`StatementError`]
    pub fn decode(encoded: &[u8]) -> Result<Self, StatementError> {
        if encoded.len() > STATEMENT_LENGTH_MAX {
            return Err(StatementError::TooLong);
        }
        let signed = SignedStatement::decode(encoded)?;
        let fields = StatementFields::decode(&signed.statement)?;
        let (key, signer) = signed
            .recovery_key
            .map_or((fields.account_key, Signer::Account), |recovery| (recovery, Signer::Recovery(recovery)));
        key.verify(label::ACCOUNT_STATEMENT, &[&signed.statement], &signed.signature)
            .map_err(|_| StatementError::Signature)?;
        // Version 1 has nothing before it that could have named a recovery key.
        let first = fields.version == 1;
        if fields.version == 0 || first != fields.previous_hash.is_none() || (first && signer != Signer::Account) {
            return Err(StatementError::Chain);
        }
        let devices = devices(&fields)?;
        let hash = labelled_sha256(label::STATEMENT_HASH, &[&signed.statement]);
        Ok(Self { fields, devices, signer, encoded: signed.encode(), hash })
    }

    /// Checks that this statement is the next one after `previous`, as the server demands.
    ///
    /// # Errors
    /// [`StatementError`]
    pub fn follows(&self, previous: &Self) -> Result<Change, StatementError> {
        if self.address() != previous.address() {
            return Err(StatementError::OtherAccount);
        }
        if previous.version().checked_add(1) != Some(self.version()) {
            return Err(StatementError::NotNewer);
        }
        if self.fields.previous_hash != Some(previous.hash) {
            return Err(StatementError::PreviousHash);
        }
        match self.signer {
            Signer::Account if self.account_key() != previous.account_key() => Err(StatementError::KeyChange),
            Signer::Account if self.recovery_key_hash() != previous.recovery_key_hash() => {
                Err(StatementError::RecoveryKeyChange)
            }
            Signer::Account => Ok(Change::Devices),
            Signer::Recovery(key) if recovery_key_hash(&key) == previous.fields.recovery_key_hash => {
                Ok(if self.account_key() == previous.account_key() { Change::Devices } else { Change::AccountKey })
            }
            Signer::Recovery(_) => Err(StatementError::KeyChange),
        }
    }

    /// What changed since the statement that a contact is known by; the ones in between may be missing.
    ///
    /// # Errors
    /// [`StatementError::OtherAccount`], [`StatementError::NotNewer`], and [`StatementError::PreviousHash`] where the
    /// version is the next one but the chain does not hold.
    pub fn change_since(&self, known: &Self) -> Result<Change, StatementError> {
        if self.address() != known.address() {
            return Err(StatementError::OtherAccount);
        }
        if self.account_key() != known.account_key() {
            return Ok(Change::AccountKey);
        }
        if self.version() == known.version() {
            return if self.hash == known.hash { Ok(Change::None) } else { Err(StatementError::NotNewer) };
        }
        if self.version() < known.version() {
            return Err(StatementError::NotNewer);
        }
        if self.version() == known.version() + 1 && self.fields.previous_hash != Some(known.hash) {
            return Err(StatementError::PreviousHash);
        }
        Ok(Change::Devices)
    }

    /// The account.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.fields.address
    }

    /// The account's key.
    #[must_use]
    pub const fn account_key(&self) -> VerifyingKey {
        self.fields.account_key
    }

    /// 1 and up.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.fields.version
    }

    /// Seconds since 1970, by the clock of the device that issued it.
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.fields.issued
    }

    /// By which the account's recovery key is known.
    #[must_use]
    pub const fn recovery_key_hash(&self) -> [u8; 32] {
        self.fields.recovery_key_hash
    }

    /// Who signed.
    #[must_use]
    pub const fn signer(&self) -> Signer {
        self.signer
    }

    /// The devices.
    #[must_use]
    pub fn devices(&self) -> &[DeviceCertificate] {
        &self.devices
    }

    /// One device.
    #[must_use]
    pub fn device(&self, device_id: u32) -> Option<&DeviceCertificate> {
        self.devices.iter().find(|device| device.device_id() == device_id)
    }

    /// Public keys of one device.
    #[must_use]
    pub fn device_keys(&self, device_id: u32) -> Option<DevicePublicKeys> {
        self.device(device_id).map(DeviceCertificate::keys)
    }

    /// SHA-256 of the signed bytes; the next statement names it.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The encoded `SignedStatement`.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

fn devices(fields: &StatementFields) -> Result<Vec<DeviceCertificate>, StatementError> {
    if fields.devices.is_empty() || fields.devices.len() > DEVICES_MAX {
        return Err(StatementError::Devices);
    }
    let mut devices: Vec<DeviceCertificate> = Vec::with_capacity(fields.devices.len());
    for signed in &fields.devices {
        let device = DeviceCertificate::verify(signed.clone())?;
        if device.address() != &fields.address || device.account_key() != fields.account_key {
            return Err(StatementError::ForeignCertificate);
        }
        let (id, keys) = (device.device_id(), device.keys());
        let clash = |other: &DeviceCertificate| {
            other.device_id() == id
                || other.keys().signing_key == keys.signing_key
                || other.keys().dh_key == keys.dh_key
        };
        if devices.iter().any(clash) {
            return Err(StatementError::Devices);
        }
        devices.push(device);
    }
    let primaries = devices.iter().filter(|device| device.primary()).count();
    if primaries == 0 || primaries > PRIMARY_DEVICES_MAX { Err(StatementError::Devices) } else { Ok(devices) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;
    use crate::identity::DeviceSecretKeys;
    use crate::test_rng::rng;

    struct Account {
        address: Address,
        key: SigningKey,
        recovery: SigningKey,
        device: DeviceSecretKeys,
    }

    impl Account {
        fn new(seed: u8) -> Self {
            let mut rng = rng(seed);
            Self {
                address: format!("user{seed}@clinic.example").parse().unwrap(),
                key: SigningKey::random(&mut rng),
                recovery: SigningKey::random(&mut rng),
                device: DeviceSecretKeys::random(&mut rng),
            }
        }

        fn certificate(&self, key: &SigningKey, id: u32) -> DeviceCertificate {
            DeviceCertificate::issue(key, &self.address, id, &self.device.public_keys(), true, 5)
        }

        fn issue<'a>(&'a self, previous: Option<&'a Statement>, devices: Vec<DeviceCertificate>) -> StatementIssue<'a> {
            StatementIssue {
                address: &self.address,
                recovery_key_hash: recovery_key_hash(&self.recovery.verifying_key()),
                previous,
                devices,
                issued: 5,
            }
        }

        fn first(&self) -> Statement {
            self.issue(None, vec![self.certificate(&self.key, 1)]).sign(&self.key).unwrap()
        }
    }

    #[test]
    fn a_chain_is_followed() {
        let account = Account::new(1);
        let first = account.first();
        let second =
            account.issue(Some(&first), vec![account.certificate(&account.key, 2)]).sign(&account.key).unwrap();
        assert_eq!(second.follows(&first), Ok(Change::Devices));
        assert_eq!(second.change_since(&first), Ok(Change::Devices));
        assert_eq!(first.change_since(&second), Err(StatementError::NotNewer));
        assert_eq!(Statement::decode(second.encoded()), Ok(second));
    }

    #[test]
    fn only_the_recovery_key_replaces_the_account_key() {
        let account = Account::new(2);
        let first = account.first();
        let new_key = SigningKey::from_secret(&Secret::from([9; 32]));
        let devices = || vec![account.certificate(&new_key, 2)];
        let own = account.issue(Some(&first), devices()).sign(&new_key);
        assert_eq!(own, Err(StatementError::KeyChange));
        let wrong = account.issue(Some(&first), devices()).sign_with_recovery_key(new_key.verifying_key(), &new_key);
        assert_eq!(wrong, Err(StatementError::KeyChange));
        let right = account
            .issue(Some(&first), devices())
            .sign_with_recovery_key(new_key.verifying_key(), &account.recovery)
            .unwrap();
        assert_eq!(right.follows(&first), Ok(Change::AccountKey));
        assert_eq!(right.change_since(&first), Ok(Change::AccountKey));
    }

    #[test]
    fn only_the_recovery_key_replaces_the_recovery_key() {
        let account = Account::new(7);
        let first = account.first();
        let other_recovery = recovery_key_hash(&SigningKey::from_secret(&Secret::from([9; 32])).verifying_key());
        let issue = || {
            let devices = vec![account.certificate(&account.key, 1)];
            StatementIssue { recovery_key_hash: other_recovery, ..account.issue(Some(&first), devices) }
        };
        assert_eq!(issue().sign(&account.key), Err(StatementError::RecoveryKeyChange));
        let right = issue().sign_with_recovery_key(account.key.verifying_key(), &account.recovery).unwrap();
        assert_eq!(right.follows(&first), Ok(Change::Devices));
        assert_eq!(right.recovery_key_hash(), other_recovery);
    }

    #[test]
    fn twenty_devices_of_a_long_address_fit_a_statement() {
        let mut rng = rng(8);
        let key = SigningKey::random(&mut rng);
        let keys: Vec<_> = (0..DEVICES_MAX + 1).map(|_| DeviceSecretKeys::random(&mut rng).public_keys()).collect();
        let statement = |address_length: usize, devices: usize| {
            let domain = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
            let address = format!("{}@{}", "l".repeat(64), &domain[..address_length - 65]);
            let address: Address = address.parse().unwrap();
            // Numbers and times as long as they get.
            let certificate = |index: usize| {
                let (id, primary) = (u32::MAX - index as u32, index < PRIMARY_DEVICES_MAX);
                DeviceCertificate::issue(&key, &address, id, &keys[index], primary, u64::from(u32::MAX))
            };
            let issue = StatementIssue {
                address: &address,
                recovery_key_hash: recovery_key_hash(&key.verifying_key()),
                previous: None,
                devices: (0..devices).map(certificate).collect(),
                issued: u64::from(u32::MAX),
            };
            // What a later one has besides: the hash of the one before, a longer number, the recovery key.
            issue.sign(&key).map(|statement| statement.encoded().len() + 34 + 9 + 34)
        };
        let fits = |length, devices| statement(length, devices).is_ok_and(|bytes| bytes <= STATEMENT_LENGTH_MAX);
        assert!(fits(102, DEVICES_MAX) && !fits(103, DEVICES_MAX));
        assert!(fits(318, 11) && !fits(318, 12));
        assert_eq!(statement(70, DEVICES_MAX + 1), Err(StatementError::Devices));
    }

    #[test]
    fn a_fork_of_the_chain_is_refused() {
        let account = Account::new(3);
        let first = account.first();
        let mut other = account.issue(None, vec![account.certificate(&account.key, 1)]);
        other.issued = 6;
        let other = other.sign(&account.key).unwrap();
        assert_eq!(other.change_since(&first), Err(StatementError::NotNewer));
        let second =
            account.issue(Some(&other), vec![account.certificate(&account.key, 1)]).sign(&account.key).unwrap();
        assert_eq!(second.follows(&first), Err(StatementError::PreviousHash));
        assert_eq!(second.change_since(&first), Err(StatementError::PreviousHash));
    }

    #[test]
    fn devices_must_be_distinct_and_of_the_account() {
        let (account, other) = (Account::new(4), Account::new(5));
        let twice = vec![account.certificate(&account.key, 1), account.certificate(&account.key, 2)];
        assert_eq!(account.issue(None, twice).sign(&account.key), Err(StatementError::Devices));
        assert_eq!(account.issue(None, vec![]).sign(&account.key), Err(StatementError::Devices));
        let foreign = vec![other.certificate(&other.key, 1)];
        assert_eq!(account.issue(None, foreign).sign(&account.key), Err(StatementError::ForeignCertificate));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused() {
        let statement = Account::new(6).first();
        for bit in 0..statement.encoded().len() * 8 {
            let mut bytes = statement.encoded().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // A bit of a field's number may turn it into an unknown field, which prost skips: then a field is missing.
            assert!(Statement::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}
