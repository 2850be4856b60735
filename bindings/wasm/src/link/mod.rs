//! What carries a connection of a page: WebTransport or WebSocket, whichever gets through. `spec/transport.md`, Which transport a
//! page takes.

mod ending;
mod websocket;
mod webtransport;

use std::time::Duration;

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};
use medipeps_client::limits::{CONNECT_WAIT, TRANSPORT_HEAD_START};
use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::carrier::{ByteStream, Carrier};
use medipeps_client::shell::connection::{ConnectError, RequestError, ServerExpectation};
use medipeps_client::shell::race::race;
use medipeps_core::proof::Exporter;
use medipeps_core::wire::transport::Transport;

use self::websocket::{WebSocketLink, WebSocketStream};
use self::webtransport::{WebTransportLink, WebTransportStream};
use crate::choice::{self, Choice};
use crate::host;

/// Where the server takes pages, by either transport.
const PATH: &str = "/medipeps/1";

/// A connection of a page. Clones share it; the last one dropped closes it.
#[derive(Debug, Clone)]
pub(crate) enum PageLink {
    WebTransport(WebTransportLink),
    WebSocket(WebSocketLink),
}

impl Carrier for PageLink {
    type Stream = PageStream;

    /// The browser asks for a certificate of the Web's PKI for the host, whatever is asked for here; or for one of those that whoever
    /// opened the account has named.
    async fn connect(server: &ServerExpectation<'_>, keep_alive: Duration) -> Result<Self, ConnectError> {
        let choice = Choice::current();
        let by_webtransport = attempt(Transport::WebTransport, async {
            let link = WebTransportLink::connect(server.address, choice.certificate_hashes(), keep_alive).await?;
            Ok(Self::WebTransport(link))
        });
        let by_websocket = attempt(Transport::BrowserWebSocket, async {
            Ok(Self::WebSocket(WebSocketLink::connect(server.address, keep_alive).await?))
        });
        let head_start = host::sleep_for(TRANSPORT_HEAD_START);
        let link = match (choice.allows_webtransport(), choice.allows_websocket()) {
            (true, false) => by_webtransport.await,
            (false, _) => by_websocket.await,
            (true, true) if choice.prefers_websocket(host::since_1970()) => {
                race(by_websocket, by_webtransport, head_start, both).await
            }
            (true, true) => race(by_webtransport, by_websocket, head_start, both).await,
        };
        let link = link.map_err(|why| ConnectError::Unreachable(format!("{}: {why}", server.address)))?;
        choice::note(link.transport(), host::since_1970());
        Ok(link)
    }

    fn transport(&self) -> Transport {
        match self {
            Self::WebTransport(_) => Transport::WebTransport,
            Self::WebSocket(_) => Transport::BrowserWebSocket,
        }
    }

    fn exporter(&self) -> Result<Option<Exporter>, ConnectError> {
        Ok(None)
    }

    fn certificate_key_hash(&self) -> Option<[u8; 32]> {
        None
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::WebTransport(one), Self::WebTransport(other)) => one.is(other),
            (Self::WebSocket(one), Self::WebSocket(other)) => one.is(other),
            _ => false,
        }
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<PageStream, RequestError> {
        match self {
            Self::WebTransport(link) => link.send(bytes).await.map(PageStream::WebTransport),
            Self::WebSocket(link) => link.send(bytes).await.map(PageStream::WebSocket),
        }
    }

    fn arrivals(&self) -> u64 {
        match self {
            Self::WebTransport(link) => link.arrivals(),
            Self::WebSocket(link) => link.arrivals(),
        }
    }

    fn abandon(&self) {
        match self {
            Self::WebTransport(link) => link.close(),
            Self::WebSocket(link) => link.close(),
        }
    }

    async fn closed(&self) -> RequestError {
        match self {
            Self::WebTransport(link) => link.closed().await,
            Self::WebSocket(link) => link.closed().await,
        }
    }

    /// The browser delivers what has been written.
    async fn close(self) {
        self.abandon();
    }
}

/// The server's half of a stream.
#[derive(Debug)]
pub(crate) enum PageStream {
    WebTransport(WebTransportStream),
    WebSocket(WebSocketStream),
}

impl ByteStream for PageStream {
    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<bool, RequestError> {
        match self {
            Self::WebTransport(stream) => stream.read_into(buffer).await,
            Self::WebSocket(stream) => stream.read_into(buffer).await,
        }
    }
}

/// One transport's part of the race. What it says of a failure begins with its name, and is kept for people to see.
fn attempt<'a>(
    transport: Transport,
    connecting: impl Future<Output = Result<PageLink, String>> + 'a,
) -> LocalBoxFuture<'a, Result<PageLink, String>> {
    // On the heap: a connection is made now and then, and whoever waits for it would be as large.
    async move {
        let outcome = match select(connecting.boxed_local(), host::sleep_for(CONNECT_WAIT).boxed_local()).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err("no answer".to_owned()),
        };
        outcome.map_err(|why| {
            let why = format!("{}: {why}", choice::name(transport));
            choice::failed(why.clone());
            why
        })
    }
    .boxed_local()
}

/// Neither tells why, as browsers have it; so both are told.
fn both(first: String, second: String) -> String {
    format!("{first}; {second}")
}

fn url(scheme: &str, server: &ServerAddress) -> String {
    format!("{scheme}://{server}{PATH}")
}
