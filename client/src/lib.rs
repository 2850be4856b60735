//! A Medipeps account on one device.
//!
//! The engine decides and does no I/O; the store keeps its records sealed; with the feature `native` (on by default)
//! come the shells that touch disk, network and terminal. Without it the crate builds for a browser's Worker.

pub mod account_store;
pub mod engine;
pub mod limits;
pub mod shell;
pub mod store;
