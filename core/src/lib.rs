//! The Medipeps protocol without I/O: identities, handshake, sessions, envelopes and message kinds.
//!
//! Nothing here reads a clock, a random source, a file or a socket: time and randomness are arguments. `spec/` in the
//! repository describes everything that this crate puts on the wire or on disk.
//!
//! # A message from one person to another
//! ```
//! use chacha20::ChaCha20Rng;
//! use medipeps_core::Address;
//! use medipeps_core::crypto::signature::SigningKey;
//! use medipeps_core::envelope::Envelope;
//! use medipeps_core::identity::{DeviceCertificate, DeviceSecretKeys, Statement, StatementIssue, recovery_key_hash};
//! use medipeps_core::prekey::{GeneratedPrekeys, PrekeyBundle};
//! use medipeps_core::session::{LocalDevice, ResponderPrekeys, Session};
//! use rand_core::SeedableRng;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rng = &mut ChaCha20Rng::from_seed([7; 32]); // from the operating system, elsewhere than here
//!
//! // An account: a key, a statement that lists its devices, and the keys of the one device that it has.
//! let mut account = |address: &str| -> Result<(Statement, DeviceSecretKeys), Box<dyn std::error::Error>> {
//!     let address: Address = address.parse()?;
//!     let (account_key, recovery_key) = (SigningKey::random(rng), SigningKey::random(rng));
//!     let keys = DeviceSecretKeys::random(rng);
//!     let device = DeviceCertificate::issue(&account_key, &address, 1, &keys.public_keys(), true, 1_790_000_000);
//!     let statement = StatementIssue {
//!         address: &address,
//!         recovery_key_hash: recovery_key_hash(&recovery_key.verifying_key()),
//!         previous: None,
//!         devices: vec![device],
//!         issued: 1_790_000_000,
//!     };
//!     Ok((statement.sign(&account_key)?, keys))
//! };
//! let (claire, claires_keys) = account("claire@clinic.example")?;
//! let (karim, karims_keys) = account("karim@clinic.example")?;
//!
//! // Karim publishes prekeys. Claire gets a bundle of them from a server that she need not trust.
//! let prekeys = GeneratedPrekeys::draw(&karims_keys.signing_key, karim.address(), 1, 1, 1, 1, 1_790_000_000, rng);
//! let bundle = PrekeyBundle::verify(&prekeys.bundle(0), &karims_keys.signing_key.verifying_key())?;
//!
//! // Claire opens a session and encrypts. Her client stores `at_claire.encode()` before the envelope leaves.
//! let own = LocalDevice { statement: &claire, device_id: 1, keys: &claires_keys };
//! let mut at_claire = Session::initiate(&own, &karim, &bundle, rng)?;
//! let envelope = at_claire.encrypt(b"Good morning", &own, rng)?;
//!
//! // Karim opens the seal and answers the handshake with the prekeys that it names.
//! let initial = Envelope::decode(&envelope)?.open_first_flight(&prekeys.seal_prekey.1)?;
//! assert_eq!(initial.sender().address(), claire.address());
//! let own = LocalDevice { statement: &karim, device_id: 1, keys: &karims_keys };
//! let named = ResponderPrekeys {
//!     signed_prekey: &prekeys.signed_prekey.1,
//!     one_time_prekey: Some(&prekeys.one_time_prekeys[0].1),
//!     kem_prekey: &prekeys.one_time_kem_prekeys[0].1,
//! };
//! let (at_karim, content) = Session::respond(&own, &initial, &named, rng)?;
//! assert_eq!(content.as_slice(), b"Good morning");
//! assert_eq!(at_karim.id(), at_claire.id());
//! # Ok(())
//! # }
//! ```
//!
//! `examples/session.rs` goes on from here: an answer, state read back after a restart, messages that overtake each other.
//! Groups are in [`group`], files in [`attachment`], what a message says in [`kind`].

pub mod address;
pub mod attachment;
pub mod backup;
pub mod braid;
pub mod crypto;
pub mod decoy;
pub mod delivery_key;
pub mod document;
pub mod double_ratchet;
pub mod envelope;
pub mod erasure;
pub mod franking;
pub mod group;
pub mod group_log;
pub mod handshake;
pub mod identity;
pub mod invitation;
pub mod key_package;
pub mod kind;
pub mod label;
pub mod limits;
pub mod linking;
pub mod organisation;
mod pqxdh;
pub mod prekey;
pub mod proof;
pub mod push_endpoint;
pub mod session;
pub mod spqr;
pub mod tenant;
pub mod token;
pub mod wire;

#[cfg(test)]
mod test_party;
#[cfg(test)]
mod test_rng;
#[cfg(test)]
mod vectors;

pub use address::Address;
