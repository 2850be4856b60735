//! A WebSocket of the Worker as what carries a connection. `spec/transport.md`, browser WebSocket.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use medipeps_client::limits::{CONNECT_WAIT, IDLE_TIMEOUT, WEBSOCKET_STREAM_RECEIVE_WINDOW};
use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::carrier::{ByteStream, Carrier};
use medipeps_client::shell::connection::{ConnectError, RequestError, ServerExpectation};
use medipeps_core::proof::Exporter;
use medipeps_core::wire::transport::Transport;
use wasm_bindgen_futures::spawn_local;

use crate::host::{self, Socket};
use crate::qmux::{Arrived, Multiplexer};

/// The subprotocol: this protocol's streams by the second draft of qmux.
const SUBPROTOCOL: &str = "qmux-02.medipeps-1";
/// Where the server takes WebSocket.
const PATH: &str = "/medipeps/1";

/// A connection of a page. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub(crate) struct PageLink(Rc<Shared>);

struct Shared {
    socket: Socket,
    state: RefCell<State>,
}

struct State {
    streams: Multiplexer,
    /// Whoever waits for something of the server's.
    waiting: Vec<Waker>,
    ended: Option<End>,
    arrivals: u64,
    last_arrival: Duration,
}

#[derive(Clone)]
enum End {
    Closed(String),
    Silent,
}

impl fmt::Debug for PageLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PageLink").finish_non_exhaustive()
    }
}

impl Carrier for PageLink {
    type Stream = PageStream;

    /// The browser asks for a certificate of the Web's PKI for the host, whatever is asked for here.
    async fn connect(server: &ServerExpectation<'_>, keep_alive: Duration) -> Result<Self, ConnectError> {
        let socket = Socket::open(&url(server.address), SUBPROTOCOL, CONNECT_WAIT).await;
        let socket = socket.map_err(|why| ConnectError::Unreachable(format!("{}: {why}", server.address)))?;
        let state = State {
            streams: Multiplexer::new(WEBSOCKET_STREAM_RECEIVE_WINDOW),
            waiting: Vec::new(),
            ended: None,
            arrivals: 0,
            last_arrival: host::elapsed(),
        };
        let shared = Rc::new(Shared { socket, state: RefCell::new(state) });
        shared.flush();
        spawn_local(pump(shared.socket.clone(), Rc::downgrade(&shared)));
        spawn_local(stay_alive(Rc::downgrade(&shared), keep_alive));
        Ok(Self(shared))
    }

    fn transport(&self) -> Transport {
        Transport::BrowserWebSocket
    }

    fn exporter(&self) -> Result<Option<Exporter>, ConnectError> {
        Ok(None)
    }

    fn certificate_key_hash(&self) -> Option<[u8; 32]> {
        None
    }

    fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<PageStream, RequestError> {
        let opened = poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            if let Some(end) = &state.ended {
                return Poll::Ready(Err(end.error()));
            }
            if let Some(id) = state.streams.open(&bytes) {
                return Poll::Ready(Ok(id));
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        });
        let id = opened.await?;
        self.0.flush();
        Ok(PageStream { shared: self.0.clone(), id })
    }

    fn arrivals(&self) -> u64 {
        self.0.state.borrow().arrivals
    }

    fn abandon(&self) {
        self.0.close();
    }

    async fn closed(&self) -> RequestError {
        poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            if let Some(end) = &state.ended {
                return Poll::Ready(end.error());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The browser delivers what has been written.
    async fn close(self) {
        self.0.close();
    }
}

/// The server's half of a stream.
pub(crate) struct PageStream {
    shared: Rc<Shared>,
    id: u64,
}

impl fmt::Debug for PageStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PageStream").finish_non_exhaustive()
    }
}

impl ByteStream for PageStream {
    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<bool, RequestError> {
        let read = poll_fn(|context| {
            let mut state = self.shared.state.borrow_mut();
            let read = match state.streams.read(self.id, buffer) {
                Arrived::Data => Ok(true),
                Arrived::End => Ok(false),
                Arrived::Reset(code) => Err(RequestError::Closed(format!("the stream was ended with code {code}"))),
                Arrived::Nothing => match &state.ended {
                    Some(end) => Err(end.error()),
                    None => {
                        state.waiting.push(context.waker().clone());
                        return Poll::Pending;
                    }
                },
            };
            Poll::Ready(read)
        })
        .await;
        // The server may send as much again.
        self.shared.flush();
        read
    }
}

impl Drop for PageStream {
    fn drop(&mut self) {
        self.shared.state.borrow_mut().streams.let_go(self.id);
        self.shared.flush();
    }
}

impl Shared {
    /// Sends what may be sent.
    fn flush(&self) {
        let mut state = self.state.borrow_mut();
        while let Some(record) = state.streams.next_record() {
            self.socket.send(&record);
        }
    }

    fn receive(&self, record: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.arrivals += 1;
        state.last_arrival = host::elapsed();
        if let Err(violation) = state.streams.receive(record) {
            drop(state);
            return self.end(End::Closed(violation.to_string()));
        }
        let closed = state.streams.closed().map(|(code, reason)| format!("by the server, code {code} {reason}"));
        drop(state);
        match closed {
            Some(why) => self.end(End::Closed(why.trim_end().to_owned())),
            None => {
                self.flush();
                self.wake();
            }
        }
    }

    fn end(&self, end: End) {
        self.state.borrow_mut().ended.get_or_insert(end);
        self.socket.close();
        self.wake();
    }

    fn close(&self) {
        if self.state.borrow().ended.is_none() {
            self.state.borrow_mut().streams.close();
            self.flush();
            self.end(End::Closed("by this page".to_owned()));
        }
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut self.state.borrow_mut().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

impl End {
    fn error(&self) -> RequestError {
        match self {
            Self::Closed(why) => RequestError::Closed(why.clone()),
            Self::Silent => RequestError::TimedOut,
        }
    }
}

/// Takes what comes until nothing more does.
async fn pump(socket: Socket, shared: Weak<Shared>) {
    loop {
        let message = socket.next_message().await;
        let Some(shared) = shared.upgrade() else { return };
        match message {
            Ok(record) => shared.receive(&record),
            Err(why) => return shared.end(End::Closed(why)),
        }
    }
}

/// Asks for a sign of life now and then, and gives up a server that is silent.
async fn stay_alive(shared: Weak<Shared>, every: Duration) {
    loop {
        host::sleep_for(every.min(IDLE_TIMEOUT / 4)).await;
        let Some(shared) = shared.upgrade() else { return };
        let (ended, silent_for) = {
            let state = shared.state.borrow();
            (state.ended.is_some(), host::elapsed().saturating_sub(state.last_arrival))
        };
        if ended {
            return;
        }
        if silent_for >= IDLE_TIMEOUT {
            return shared.end(End::Silent);
        }
        if silent_for >= every {
            shared.state.borrow_mut().streams.ping();
            shared.flush();
        }
    }
}

fn url(server: &ServerAddress) -> String {
    format!("wss://{server}{PATH}")
}
