//! What the server hears: QUIC connections, their streams, and the frames on them. `spec/transport.md`.

pub(crate) mod certificate;
pub(crate) mod connection;
pub(crate) mod endpoint;
