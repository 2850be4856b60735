//! What carries a connection: sockets of a program, or what a browser gives to a page. Everything above sees streams of bytes.

use std::fmt::Debug;
use std::time::Duration;

use medipeps_core::proof::Exporter;
use medipeps_core::wire::transport::Transport;

use super::connection::{ConnectError, RequestError, ServerExpectation};
use super::runtime::{MaybeSend, MaybeSync};

/// An open connection below the protocol's own hello. Clones share it; the last one dropped closes it.
pub trait Carrier: Clone + Debug + MaybeSend + MaybeSync + 'static {
    /// The server's half of a stream.
    type Stream: ByteStream;

    /// Connects to where the server is. That it is the right one is for its hello to show, as far as `server` does not ask for a
    /// certificate. `keep_alive` says how often to ask for a sign of life.
    ///
    /// # Errors
    /// [`ConnectError`]
    fn connect(
        server: &ServerExpectation<'_>,
        keep_alive: Duration,
    ) -> impl Future<Output = Result<Self, ConnectError>> + MaybeSend;

    /// What is signed about how the two ends are connected.
    fn transport(&self) -> Transport;

    /// What TLS gives both ends of this very connection; `None` where the transport is one of pages, which cannot have it.
    ///
    /// # Errors
    /// [`ConnectError::Protocol`] if it should be there and is not.
    fn exporter(&self) -> Result<Option<Exporter>, ConnectError>;

    /// SHA-256 of the SubjectPublicKeyInfo of the certificate that the server showed; `None` where that cannot be seen.
    fn certificate_key_hash(&self) -> Option<[u8; 32]>;

    /// Whether both are clones of one connection.
    fn is(&self, other: &Self) -> bool;

    /// Writes these bytes on a new stream and ends it. The server may stop reading early; its answer says why.
    ///
    /// # Errors
    /// [`RequestError::Closed`], [`RequestError::TimedOut`]
    fn send(&self, bytes: Vec<u8>) -> impl Future<Output = Result<Self::Stream, RequestError>> + MaybeSend;

    /// How often something has come from the server so far.
    fn arrivals(&self) -> u64;

    /// Closes the connection without waiting for anybody.
    fn abandon(&self);

    /// Waits until the connection is gone, and tells why.
    fn closed(&self) -> impl Future<Output = RequestError> + MaybeSend;

    /// Closes the connection and gives the server a moment to learn of it.
    fn close(self) -> impl Future<Output = ()> + MaybeSend;
}

/// The server's half of a stream.
pub trait ByteStream: Debug + MaybeSend + MaybeSync + 'static {
    /// Appends what there is next; `false` where the stream ends. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`RequestError::Closed`], [`RequestError::TimedOut`]
    fn read_into(&mut self, buffer: &mut Vec<u8>) -> impl Future<Output = Result<bool, RequestError>> + MaybeSend;
}
