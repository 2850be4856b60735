//! What the server hears: connections by QUIC, WebTransport and WebSocket, their streams, and the frames on them.
//! `spec/transport.md`.

pub(crate) mod certificate;
pub(crate) mod connection;
pub(crate) mod door;
pub(crate) mod endpoint;
pub(crate) mod link;
pub(crate) mod memory;
mod origin;
mod patience;
pub(crate) mod quic;
pub(crate) mod websocket;
