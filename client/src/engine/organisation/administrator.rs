//! The keys with which a person administers organisations.
//!
//! A key is drawn on a device and kept in its store, sealed. It leaves it once, on paper: its secret is shown when it is
//! drawn, as the recovery key is. k of n administrators are what makes up for a key that is lost.

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::organisation::OrganisationId;
use medipeps_core::wire::client_records::AdministratorKeyRecord;

use super::{OrganisationEvent, OrganisationProblem, tell};
use crate::engine::account::OwnDevice;
use crate::engine::records::{class, key};
use crate::engine::transaction::{Stop, Transaction};

/// Of events that concern no organisation yet.
const NONE: OrganisationId = OrganisationId([0; 32]);

pub(super) fn draw(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    OwnDevice::load(transaction)?.check_not_revoked()?;
    let drawn = SigningKey::random(&mut transaction.rng);
    let public = store(transaction, &drawn);
    tell(transaction, &NONE, OrganisationEvent::KeyDrawn { public, secret: drawn.to_secret() });
    Ok(())
}

pub(super) fn add(transaction: &mut Transaction<'_>, secret: &Secret<32>) -> Result<(), Stop> {
    OwnDevice::load(transaction)?.check_not_revoked()?;
    let public = store(transaction, &SigningKey::from_secret(secret));
    tell(transaction, &NONE, OrganisationEvent::KeyAdded { public });
    Ok(())
}

pub(super) fn forget(transaction: &mut Transaction<'_>, public: &VerifyingKey) -> Result<(), Stop> {
    let key = key::administrator_key(public.as_bytes());
    if !transaction.exists(&key)? {
        return Err(OrganisationProblem::UnknownKey.into());
    }
    transaction.delete(&key);
    Ok(())
}

/// The keys on this device that are among these.
pub(super) fn keys_among(
    transaction: &mut Transaction<'_>,
    administrators: &[VerifyingKey],
) -> Result<Vec<SigningKey>, Stop> {
    let all = transaction.scan::<AdministratorKeyRecord>(class::ADMINISTRATOR_KEY)?;
    let keys = all.iter().map(|(_, record)| SigningKey::from_secret(&record.secret));
    Ok(keys.filter(|key| administrators.contains(&key.verifying_key())).collect())
}

fn store(transaction: &mut Transaction<'_>, signing: &SigningKey) -> VerifyingKey {
    let public = signing.verifying_key();
    let record = AdministratorKeyRecord { secret: signing.to_secret(), created: transaction.now.0 };
    transaction.store(&key::administrator_key(public.as_bytes()), &record);
    public
}
