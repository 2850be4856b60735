//! What touches network and time on a device. The engine decides; this does.

pub mod address;
pub mod agent;
#[cfg(feature = "native")]
pub mod anchor;
pub mod backoff;
#[cfg(feature = "native")]
pub mod backup_file;
pub mod carrier;
pub mod connection;
#[cfg(feature = "native")]
pub mod domain_lookup;
#[cfg(feature = "native")]
pub mod file_name;
mod frame;
#[cfg(feature = "native")]
pub mod home;
pub mod lookup_error;
#[cfg(feature = "native")]
pub mod presence;
pub mod race;
pub mod runtime;
#[cfg(feature = "native")]
pub mod tls;
pub mod transfer;
#[cfg(feature = "native")]
pub mod wipe;
