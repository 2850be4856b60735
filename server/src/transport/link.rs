//! What carries a connection, and its streams. Everything above sees streams of bytes, whichever transport it is.

use std::io;
use std::net::IpAddr;

use medipeps_core::wire::transport::Transport;
use quinn::VarInt;
use tokio::io::AsyncReadExt;
use web_transport_trait::{RecvStream as _, SendStream as _, Session as _};

use crate::frame::ReadSome;

/// Why the server closes a connection, as an application error code. `spec/transport.md`, section "Connection".
#[derive(Debug, Clone, Copy)]
pub(crate) enum Close {
    /// The server stops.
    ShuttingDown = 1,
    /// Nobody said Hello.
    NoHello = 2,
    /// TLS gave no exporter.
    NoExporter = 3,
    /// An HTTP/3 client asked for no WebTransport session that the server takes.
    NoSession = 10,
    /// A client of `medipeps/1` opened a stream of one direction.
    OneDirection = 11,
}

impl Close {
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::ShuttingDown => "the server is stopping",
            Self::NoHello => "no Hello",
            Self::NoExporter => "no TLS exporter",
            Self::NoSession => "no WebTransport session",
            Self::OneDirection => "a stream of one direction",
        }
    }
}

/// A connection, whatever carries it.
#[derive(Clone)]
pub(crate) enum Link {
    /// QUIC with ALPN `medipeps/1`.
    Quic(quinn::Connection),
    /// WebTransport over HTTP/3.
    WebTransport(Box<web_transport_quinn::Session>),
    /// qmux over WebSocket.
    WebSocket {
        /// The streams.
        session: Box<qmux::Session>,
        /// Whether a browser is at the other end.
        browser: bool,
        /// The client's address.
        address: IpAddr,
    },
}

impl Link {
    /// What clients sign that they are connected by.
    pub(crate) const fn transport(&self) -> Transport {
        match self {
            Self::Quic(_) => Transport::Quic,
            Self::WebTransport(_) => Transport::WebTransport,
            Self::WebSocket { browser: false, .. } => Transport::WebSocket,
            Self::WebSocket { browser: true, .. } => Transport::BrowserWebSocket,
        }
    }

    /// The client's address now: over QUIC it may change.
    pub(crate) fn address(&self) -> IpAddr {
        match self {
            Self::Quic(connection) => connection.remote_address().ip(),
            Self::WebTransport(session) => session.remote_address().ip(),
            Self::WebSocket { address, .. } => *address,
        }
    }

    /// The next stream that the client opens; `None` when the connection is gone. Nearly every connection is QUIC's and waits
    /// here for days: what the others need is on the heap, where it costs that one nothing.
    pub(crate) async fn accept(&self) -> Option<(SendHalf, ReceiveHalf)> {
        match self {
            Self::Quic(connection) => {
                let (send, receive) = connection.accept_bi().await.ok()?;
                Some((SendHalf::Quic(send), ReceiveHalf::Quic(receive)))
            }
            Self::WebTransport(session) => {
                let (send, receive) = Box::pin(session.accept_bi()).await.ok()?;
                Some((SendHalf::WebTransport(Box::new(send)), ReceiveHalf::WebTransport(Box::new(receive))))
            }
            Self::WebSocket { session, .. } => {
                let (send, receive) = Box::pin(session.accept_bi()).await.ok()?;
                Some((SendHalf::WebSocket(Box::new(send)), ReceiveHalf::WebSocket(Box::new(receive))))
            }
        }
    }

    /// Ends the connection and tells the client why.
    pub(crate) fn close(&self, close: Close) {
        match self {
            Self::Quic(connection) => connection.close(close.code(), close.reason().as_bytes()),
            Self::WebTransport(session) => session.close(close as u32, close.reason().as_bytes()),
            Self::WebSocket { session, .. } => session.close(close as u32, close.reason()),
        }
    }

    /// Waits until the connection is gone.
    pub(crate) async fn closed(&self) {
        match self {
            Self::Quic(connection) => {
                connection.closed().await;
            }
            Self::WebTransport(session) => {
                Box::pin(session.closed()).await;
            }
            Self::WebSocket { session, .. } => {
                Box::pin(session.closed()).await;
            }
        }
    }
}

/// The server's half of a stream.
pub(crate) enum SendHalf {
    Quic(quinn::SendStream),
    WebTransport(Box<web_transport_quinn::SendStream>),
    WebSocket(Box<qmux::SendStream>),
}

/// The client takes nothing more on this stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamGone;

impl SendHalf {
    /// Hands all bytes to the transport. It waits while the client takes none.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamGone> {
        match self {
            Self::Quic(stream) => stream.write_all(bytes).await.map_err(|_| StreamGone),
            Self::WebTransport(stream) => Box::pin(stream.write_all(bytes)).await.map_err(|_| StreamGone),
            Self::WebSocket(stream) => Box::pin(stream.write_all(bytes)).await.map_err(|_| StreamGone),
        }
    }

    /// Gives the stream up in the middle.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Quic(stream) => {
                let _ = stream.reset(VarInt::from_u32(0));
            }
            Self::WebTransport(stream) => {
                let _ = stream.reset(0);
            }
            Self::WebSocket(stream) => stream.reset(0),
        }
    }

    /// Ends the stream; `false` if the client had already let go of it.
    pub(crate) fn finish(&mut self) -> bool {
        match self {
            Self::Quic(stream) => stream.finish().is_ok(),
            Self::WebTransport(stream) => stream.finish().is_ok(),
            Self::WebSocket(stream) => stream.finish().is_ok(),
        }
    }

    /// Waits until the client has everything or lets go of the stream, or the connection is gone.
    pub(crate) async fn stopped(&mut self) {
        match self {
            Self::Quic(stream) => {
                let _ = stream.stopped().await;
            }
            Self::WebTransport(stream) => {
                let _ = Box::pin(stream.stopped()).await;
            }
            Self::WebSocket(stream) => {
                let _ = Box::pin(stream.closed()).await;
            }
        }
    }
}

/// The client's half of a stream.
pub(crate) enum ReceiveHalf {
    Quic(quinn::RecvStream),
    WebTransport(Box<web_transport_quinn::RecvStream>),
    WebSocket(Box<qmux::RecvStream>),
}

impl ReceiveHalf {
    /// Whatever else comes is of no interest; on a stream that has ended this does nothing.
    pub(crate) fn stop(&mut self) {
        match self {
            Self::Quic(stream) => {
                let _ = stream.stop(VarInt::from_u32(0));
            }
            Self::WebTransport(stream) => {
                let _ = stream.stop(0);
            }
            Self::WebSocket(stream) => stream.stop(0),
        }
    }
}

impl ReadSome for ReceiveHalf {
    async fn read_some(&mut self, bytes: &mut Vec<u8>, at_most: usize) -> io::Result<usize> {
        match self {
            Self::Quic(stream) => stream.take(at_most as u64).read_buf(bytes).await,
            Self::WebTransport(stream) => Box::pin(stream.take(at_most as u64).read_buf(bytes)).await,
            Self::WebSocket(stream) => match Box::pin(stream.read_chunk(at_most)).await {
                Ok(Some(chunk)) => {
                    bytes.extend_from_slice(&chunk);
                    Ok(chunk.len())
                }
                Ok(None) => Ok(0),
                Err(error) => Err(io::Error::other(error)),
            },
        }
    }
}
