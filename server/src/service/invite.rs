//! Invitations, made by whoever runs the server.

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

/// Makes an invitation that is good for `valid_ms` milliseconds from now, and returns its code.
///
/// # Errors
/// [`InviteError`]
pub async fn invite(
    storage: &dyn Storage,
    server_key: &ServerKey,
    environment: &dyn Environment,
    organisation: Option<String>,
    valid_ms: u64,
) -> Result<String, InviteError> {
    let mut secret = Secret::<16>::zeroed();
    environment.fill_random(secret.as_mut_bytes())?;
    let invitation = Invitation { secret, server_key_hash: server_key.hash().0 };
    let expires_ms = environment.now_ms().saturating_add(valid_ms);
    storage
        .create_invitation(
            Invitation::hash(invitation.secret.as_bytes()),
            storage::Invitation { organisation, expires_ms },
        )
        .await?;
    Ok(invitation.code())
}
