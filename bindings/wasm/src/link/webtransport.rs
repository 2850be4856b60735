//! A WebTransport session of the Worker as what carries a connection. `spec/transport.md`, WebTransport.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Poll, ready};
use std::time::Duration;

use medipeps_client::shell::address::ServerAddress;
use medipeps_client::shell::carrier::ByteStream;
use medipeps_client::shell::connection::RequestError;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::ending::{End, Ending, Living, stay_alive};
use super::url;
use crate::network::{Session, Stream};

/// A connection. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub(crate) struct WebTransportLink(Rc<Shared>);

struct Shared {
    session: Session,
    ending: Ending,
}

impl WebTransportLink {
    /// Connects. Dropping the future lets go of what was begun.
    pub(super) async fn connect(
        server: &ServerAddress,
        certificate_hashes: &[[u8; 32]],
        keep_alive: Duration,
    ) -> Result<Self, String> {
        let session = Session::connect(&url("https", server), certificate_hashes)?;
        let shared = Rc::new(Shared { session, ending: Ending::default() });
        shared.session.opened().await?;
        spawn_local(wait_for_end(shared.session.clone(), Rc::downgrade(&shared)));
        spawn_local(stay_alive(Rc::downgrade(&shared), keep_alive));
        Ok(Self(shared))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// The browser writes while the answer is waited for: a server that stops reading early answers why.
    pub(super) async fn send(&self, bytes: Vec<u8>) -> Result<WebTransportStream, RequestError> {
        if let Some(end) = self.0.ending.end() {
            return Err(end.error());
        }
        let stream =
            WebTransportStream { shared: self.0.clone(), stream: self.0.session.stream(&bytes), reading: None };
        match stream.stream.opened().await {
            Ok(()) => Ok(stream),
            Err(why) => Err(self.0.error(why)),
        }
    }

    pub(super) fn arrivals(&self) -> u64 {
        self.0.session.arrivals()
    }

    pub(super) async fn closed(&self) -> RequestError {
        self.0.ending.over().await
    }

    pub(super) fn close(&self) {
        self.0.finish(End::Closed("by this page".to_owned()));
    }
}

impl fmt::Debug for WebTransportLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebTransportLink").finish_non_exhaustive()
    }
}

/// The server's half of a stream.
pub(crate) struct WebTransportStream {
    shared: Rc<Shared>,
    stream: Stream,
    /// A read that was begun. What it gives would be lost with it.
    reading: Option<JsFuture>,
}

impl fmt::Debug for WebTransportStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebTransportStream").finish_non_exhaustive()
    }
}

impl ByteStream for WebTransportStream {
    async fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<bool, RequestError> {
        let read = poll_fn(|context| {
            let reading = self.reading.get_or_insert_with(|| self.stream.read());
            let read = ready!(Pin::new(reading).poll(context));
            self.reading = None;
            Poll::Ready(read)
        });
        Stream::part(read.await, buffer).map_err(|why| self.shared.error(why))
    }
}

impl Drop for WebTransportStream {
    fn drop(&mut self) {
        self.stream.let_go();
    }
}

impl Shared {
    /// What the browser says of a stream; of a connection that is over, why that is.
    fn error(&self, why: String) -> RequestError {
        self.ending.end().map_or(RequestError::Closed(why), |end| end.error())
    }
}

impl Living for Shared {
    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn silent_for(&self) -> Duration {
        Duration::from_secs_f64((self.session.silence() / 1000.0).max(0.0))
    }

    fn ask(&self) {
        // It goes by itself.
        let _ = self.session.ask();
    }

    fn finish(&self, end: End) {
        self.ending.set(end);
        self.session.close();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.session.close();
    }
}

async fn wait_for_end(session: Session, shared: Weak<Shared>) {
    let why = session.closed().await;
    if let Some(shared) = shared.upgrade() {
        shared.ending.set(End::Closed(why));
    }
}
