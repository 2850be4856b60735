//! The primitives, each behind a type that refuses what it must refuse.
//!
//! Everything here is a thin layer over a published crate; `spec/primitives.md` names them and their sources.

pub mod aead;
pub mod dh;
pub mod hash;
pub mod incremental_kem;
pub mod kdf;
pub mod kem;
pub mod secret;
pub mod signature;
pub(crate) mod wide_chacha;
pub mod x_wing;
