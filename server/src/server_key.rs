//! The key by which clients know a server. Certificates come and go; this key stays.

use std::fmt;
use std::path::Path;

use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::{SigningKey, VerifyingKey};
use medipeps_core::proof::server_key_hash;

use crate::environment::Environment;
use crate::key_file::{KeyFileError, create_data_directory, load_or_draw};

/// The server's Ed25519 key, kept in `server.key` of the data directory.
#[derive(Debug, Clone)]
pub struct ServerKey(SigningKey);

/// What invitation codes carry of a server key, printed in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerKeyHash(pub [u8; 32]);

impl ServerKey {
    /// Loads the key of a data directory; draws it on the first start.
    ///
    /// # Errors
    /// [`KeyFileError`]
    pub fn load_or_create(data_dir: &Path, environment: &dyn Environment) -> Result<Self, KeyFileError> {
        create_data_directory(data_dir)?;
        let seed = load_or_draw::<32>(&data_dir.join("server.key"), environment)?;
        Ok(Self(SigningKey::from_secret(&Secret::from(*seed))))
    }

    /// What clients pin.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    /// What invitation codes carry.
    #[must_use]
    pub fn hash(&self) -> ServerKeyHash {
        ServerKeyHash(server_key_hash(&self.0.verifying_key()))
    }

    /// The private key, to sign hellos with.
    pub(crate) const fn signing_key(&self) -> &SigningKey {
        &self.0
    }
}

impl From<SigningKey> for ServerKey {
    fn from(key: SigningKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for ServerKeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}
