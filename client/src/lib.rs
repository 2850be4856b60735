//! A Medipeps account on one device.
//!
//! The engine decides and does no I/O; the store keeps its records sealed; with the feature `native` (on by default)
//! come the shells that touch disk, network and terminal. Without it the crate builds for a browser's Worker.

pub mod account_store;
#[cfg(feature = "native")]
pub mod cli;
pub mod engine;
#[cfg(feature = "failpoints")]
pub mod fail_point;
#[cfg(not(feature = "failpoints"))]
mod fail_point;
pub mod limits;
pub mod shell;
pub mod store;
