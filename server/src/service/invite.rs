//! Invitations, made by whoever runs the server.

use medipeps_core::Address;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::invitation::Invitation;
use thiserror::Error;

use crate::environment::{Environment, RandomnessError};
use crate::server_key::ServerKey;
use crate::storage::{self, InvitationError, Storage};

/// Why there is no invitation.
#[derive(Debug, Error)]
pub enum InviteError {
    /// No secret could be drawn.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The store did not take it.
    #[error(transparent)]
    Storage(#[from] InvitationError),
}

/// What an invitation is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// The organisation that the account will belong to.
    pub organisation: Option<String>,
    /// For how many milliseconds it is good.
    pub valid_ms: u64,
    /// The number of the tenant that the account will belong to.
    pub tenant: u64,
    /// The only address that it can be used for.
    pub address: Option<Address>,
}

/// Makes an invitation and returns its code.
///
/// # Errors
/// [`InviteError`]
pub async fn invite(
    storage: &dyn Storage,
    server_key: &ServerKey,
    environment: &dyn Environment,
    new: NewInvitation,
) -> Result<String, InviteError> {
    let mut secret = Secret::<16>::zeroed();
    environment.fill_random(secret.as_mut_bytes())?;
    let invitation = Invitation { secret, server_key_hash: server_key.hash().0 };
    let expires_ms = environment.now_ms().saturating_add(new.valid_ms);
    storage
        .create_invitation(
            Invitation::hash(invitation.secret.as_bytes()),
            storage::Invitation {
                organisation: new.organisation,
                expires_ms,
                tenant: new.tenant,
                address: new.address,
            },
        )
        .await?;
    Ok(invitation.code())
}
