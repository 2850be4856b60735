//! A Medipeps account in a page of a browser: the engine and the loop of [`medipeps_client`], with IndexedDB for a disk, and
//! WebTransport or a WebSocket for a network. It runs in a dedicated Worker; `js/client.js` is what a page imports.
//!
//! What needs no browser is compiled and tested everywhere; the rest is there for `wasm32` alone.

#[cfg(target_arch = "wasm32")]
pub mod account;
#[cfg(target_arch = "wasm32")]
pub mod choice;
#[cfg(target_arch = "wasm32")]
mod copies;
#[cfg(target_arch = "wasm32")]
mod defect;
#[cfg(target_arch = "wasm32")]
mod document;
#[cfg(target_arch = "wasm32")]
mod error;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod link;
#[cfg(target_arch = "wasm32")]
mod network;
#[cfg(target_arch = "wasm32")]
mod platform;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "used in browsers"))]
mod qmux;
#[cfg(target_arch = "wasm32")]
mod record;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "used in browsers"))]
mod store;
#[cfg(target_arch = "wasm32")]
pub mod version;
