//! The Medipeps protocol without I/O: identities, handshake, sessions, envelopes and message kinds.
//!
//! Nothing here reads a clock, a random source, a file or a socket: time and randomness are arguments. `spec/` in the
//! repository describes everything that this crate puts on the wire or on disk.

pub mod address;
pub mod attachment;
pub mod braid;
pub mod crypto;
pub mod document;
pub mod double_ratchet;
pub mod envelope;
pub mod erasure;
pub mod handshake;
pub mod identity;
pub mod invitation;
pub mod kind;
pub mod label;
pub mod limits;
mod pqxdh;
pub mod prekey;
pub mod proof;
pub mod session;
pub mod spqr;
pub mod wire;

#[cfg(test)]
mod test_party;
#[cfg(test)]
mod test_rng;
#[cfg(test)]
mod vectors;

pub use address::Address;
