//! A WebSocket of the Worker as what carries a connection. `spec/transport.md`, browser WebSocket.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use medipeps_client::limits::WEBSOCKET_STREAM_RECEIVE_WINDOW;
use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::carrier::ByteStream;
use medipeps_client::shell::connection::RequestError;
use wasm_bindgen_futures::spawn_local;

use super::ending::{End, Ending, Living, stay_alive};
use super::url;
use crate::host;
use crate::network::Socket;
use crate::qmux::{Arrived, Multiplexer};

/// The subprotocol: this protocol's streams by the second draft of qmux.
const SUBPROTOCOL: &str = "qmux-02.medipeps-1";

/// A connection. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub(crate) struct WebSocketLink(Rc<Shared>);

struct Shared {
    socket: Socket,
    streams: RefCell<Multiplexer>,
    ending: Ending,
    arrivals: Cell<u64>,
    last_arrival: Cell<Duration>,
}

impl WebSocketLink {
    /// Connects. Dropping the future lets go of what was begun.
    pub(super) async fn connect(server: &ServerAddress, keep_alive: Duration) -> Result<Self, String> {
        let shared = Rc::new(Shared {
            socket: Socket::connect(&url("wss", server), SUBPROTOCOL)?,
            streams: RefCell::new(Multiplexer::new(WEBSOCKET_STREAM_RECEIVE_WINDOW)),
            ending: Ending::default(),
            arrivals: Cell::default(),
            last_arrival: Cell::default(),
        });
        shared.socket.opened().await?;
        shared.last_arrival.set(host::elapsed());
        shared.flush();
        spawn_local(pump(shared.socket.clone(), Rc::downgrade(&shared)));
        spawn_local(stay_alive(Rc::downgrade(&shared), keep_alive));
        Ok(Self(shared))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(super) async fn send(&self, bytes: Vec<u8>) -> Result<WebSocketStream, RequestError> {
        let opened = poll_fn(|context| {
            if let Some(end) = self.0.ending.end() {
                return Poll::Ready(Err(end.error()));
            }
            match self.0.streams.borrow_mut().open(&bytes) {
                Some(id) => Poll::Ready(Ok(id)),
                None => self.0.ending.wait(context),
            }
        });
        let id = opened.await?;
        self.0.flush();
        Ok(WebSocketStream { shared: self.0.clone(), id })
    }

    pub(super) fn arrivals(&self) -> u64 {
        self.0.arrivals.get()
    }

    pub(super) async fn closed(&self) -> RequestError {
        self.0.ending.over().await
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl fmt::Debug for WebSocketLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebSocketLink").finish_non_exhaustive()
    }
}

/// The server's half of a stream.
pub(crate) struct WebSocketStream {
    shared: Rc<Shared>,
    id: u64,
}

impl fmt::Debug for WebSocketStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebSocketStream").finish_non_exhaustive()
    }
}

impl ByteStream for WebSocketStream {
    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<bool, RequestError> {
        let read = poll_fn(|context| {
            let arrived = self.shared.streams.borrow_mut().read(self.id, buffer);
            match arrived {
                Arrived::Data => Poll::Ready(Ok(true)),
                Arrived::End => Poll::Ready(Ok(false)),
                Arrived::Reset(code) => {
                    Poll::Ready(Err(RequestError::Closed(format!("the stream was ended with code {code}"))))
                }
                Arrived::Nothing => self.shared.ending.wait(context),
            }
        })
        .await;
        // The server may send as much again.
        self.shared.flush();
        read
    }
}

impl Drop for WebSocketStream {
    fn drop(&mut self) {
        self.shared.streams.borrow_mut().let_go(self.id);
        self.shared.flush();
    }
}

impl Shared {
    /// Sends what may be sent.
    fn flush(&self) {
        let mut streams = self.streams.borrow_mut();
        while let Some(record) = streams.next_record() {
            self.socket.send(&record);
        }
    }

    fn receive(&self, record: &[u8]) {
        self.arrivals.set(self.arrivals.get() + 1);
        self.last_arrival.set(host::elapsed());
        let received = self.streams.borrow_mut().receive(record);
        if let Err(violation) = received {
            return self.finish(End::Closed(violation.to_string()));
        }
        let closed =
            self.streams.borrow().closed().map(|(code, reason)| format!("by the server, code {code} {reason}"));
        match closed {
            Some(why) => self.finish(End::Closed(why.trim_end().to_owned())),
            None => {
                self.flush();
                self.ending.wake();
            }
        }
    }

    fn close(&self) {
        if self.ending.end().is_none() {
            self.streams.borrow_mut().close();
            self.flush();
            self.finish(End::Closed("by this page".to_owned()));
        }
    }
}

impl Living for Shared {
    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn silent_for(&self) -> Duration {
        host::elapsed().saturating_sub(self.last_arrival.get())
    }

    fn ask(&self) {
        self.streams.borrow_mut().ping();
        self.flush();
    }

    fn finish(&self, end: End) {
        self.ending.set(end);
        self.socket.close();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

/// Takes what comes until nothing more does.
async fn pump(socket: Socket, shared: Weak<Shared>) {
    loop {
        let message = socket.next_message().await;
        let Some(shared) = shared.upgrade() else { return };
        match message {
            Ok(record) => shared.receive(&record),
            Err(why) => return shared.finish(End::Closed(why)),
        }
    }
}
