//! Sockets that a service manager holds and hands over (systemd's socket activation): they outlive the process, so that what
//! comes while the server restarts waits in them.

use std::io;
use std::net::{TcpListener, UdpSocket};

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The name of the UDP socket for QUIC (`FileDescriptorName=` of the socket unit).
const QUIC: &str = "quic";
/// The name of the TCP socket for WebSocket.
const WEBSOCKET: &str = "websocket";
/// The name of the TCP socket of the admin port.
const ADMIN: &str = "admin";

/// Sockets that were handed over, in the place of those that the configuration names.
#[derive(Debug, Default)]
pub struct ActivatedSockets {
    /// For QUIC, in the place of `listen`.
    pub quic: Option<UdpSocket>,
    /// For WebSocket, in the place of `transport.websocket_listen`.
    pub websocket: Option<TcpListener>,
    /// For the admin port, in the place of `admin.listen`.
    pub admin: Option<TcpListener>,
}

impl ActivatedSockets {
    /// Takes what the environment (`LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`) says was handed over. Names say what a socket is
    /// for; one without a name of ours is taken for what its kind allows: UDP for QUIC, TCP for WebSocket.
    ///
    /// # Errors
    /// A socket is not of the kind that its name says, there are two of a name, or a socket is for nothing.
    pub fn from_environment() -> io::Result<Self> {
        // Read first: the descriptors take the variables with them.
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut handed_over = ListenFd::from_env();
        let mut sockets = Self::default();
        for index in 0..handed_over.len() {
            match names.get(index).copied().unwrap_or_default() {
                ADMIN => put(&mut sockets.admin, handed_over.take_tcp_listener(index)?, ADMIN)?,
                WEBSOCKET => put(&mut sockets.websocket, handed_over.take_tcp_listener(index)?, WEBSOCKET)?,
                // A socket of another kind is left at its place.
                name => match (name, handed_over.take_udp_socket(index)) {
                    (_, Ok(socket)) => put(&mut sockets.quic, socket, QUIC)?,
                    (QUIC, Err(error)) => return Err(error),
                    (name, Err(_)) => {
                        let socket = handed_over.take_tcp_listener(index).map_err(|error| {
                            io::Error::new(error.kind(), format!("the socket {name:?} that was handed over: {error}"))
                        })?;
                        put(&mut sockets.websocket, socket, WEBSOCKET)?;
                    }
                },
            }
        }
        Ok(sockets)
    }
}

fn put<T>(place: &mut Option<T>, socket: Option<T>, name: &str) -> io::Result<()> {
    if place.is_some() {
        return Err(io::Error::other(format!("two sockets were handed over for {name:?}")));
    }
    *place = socket;
    Ok(())
}

/// Tells the service manager what the server does. Without one it does nothing.
pub(crate) fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
