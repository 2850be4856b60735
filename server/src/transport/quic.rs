//! QUIC connections as they come in: handshake, then the protocol that TLS has agreed on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use medipeps_core::label;
use medipeps_core::proof::{EXPORTER_LENGTH, Exporter};
use medipeps_core::wire::transport::Transport;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Endpoint, Incoming};
use tokio::time::timeout;

use super::connection::{Host, serve};
use super::door::Door;
use super::link::{Close, Link};
use super::origin::{Asker, PATH, asker};
use crate::limits::{HANDSHAKE_TIMEOUT_MS, HELLO_TIMEOUT_MS};
use crate::service::Service;

/// ALPN of HTTP/3, on which browsers speak WebTransport.
pub(super) const ALPN_HTTP3: &[u8] = web_transport_quinn::ALPN.as_bytes();

/// Takes connections until the endpoint is closed.
pub(crate) async fn accept_quic(endpoint: Endpoint, door: Arc<Door>, host: Host) {
    let metrics = host.service.metrics();
    let count = |result| metrics.handshake(Transport::Quic, result);
    while let Some(incoming) = endpoint.accept().await {
        if door.is_busy() && incoming.may_retry() && !incoming.remote_address_validated() {
            count("retried");
            // It can fail only for a client that has shown its address.
            let _ = incoming.retry();
            continue;
        }
        let Some(handshake) = door.begin_quic_handshake() else {
            count("refused");
            incoming.refuse();
            continue;
        };
        let Some(places) = door.enter(incoming.remote_address().ip().into()) else {
            tracing::debug!("a connection was refused: too many are open");
            count("refused");
            incoming.refuse();
            continue;
        };
        let host = host.clone();
        // On the heap, with the packet that came, and gone when it is over: the task lives as long as the connection.
        let shaking = Box::pin(shake_hands(incoming, host.service.clone()));
        tokio::spawn(async move {
            let connection = shaking.await;
            drop(handshake);
            if let Some(connection) = connection {
                serve_quic(connection, host).await;
            }
            drop(places);
        });
    }
}

async fn shake_hands(incoming: Incoming, service: Arc<Service>) -> Option<quinn::Connection> {
    let count = |result| service.metrics().handshake(Transport::Quic, result);
    let Ok(connecting) = incoming.accept() else {
        count("failed");
        return None;
    };
    match timeout(Duration::from_millis(HANDSHAKE_TIMEOUT_MS), connecting).await {
        Ok(Ok(connection)) => {
            count("completed");
            Some(connection)
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a handshake failed");
            count("failed");
            None
        }
        Err(_) => {
            count("timed_out");
            None
        }
    }
}

async fn serve_quic(connection: quinn::Connection, host: Host) {
    let handshake = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    if handshake.and_then(|data| data.protocol).as_deref() == Some(ALPN_HTTP3) {
        if let Some(session) = Box::pin(open_session(connection, &host.allowed_origins)).await {
            Box::pin(serve(Link::WebTransport(Box::new(session)), None, host)).await;
        }
        return;
    }
    let exporter = exporter(&connection);
    // TLS lets a client open three streams of one direction, for HTTP/3's sake; this protocol has none.
    let link = Link::Quic(connection.clone());
    // Pinned before: what `select!` is given by value it keeps twice, for as long as the connection lives.
    let mut served = pin!(serve(link.clone(), exporter, host));
    tokio::select! {
        () = &mut served => {}
        Ok(_) = connection.accept_uni() => link.close(Close::OneDirection),
    }
}

fn exporter(connection: &quinn::Connection) -> Option<Exporter> {
    let mut exporter: Exporter = [0; EXPORTER_LENGTH];
    connection.export_keying_material(&mut exporter, label::TLS_EXPORTER.as_bytes(), b"").ok()?;
    Some(exporter)
}

/// The one WebTransport session of an HTTP/3 connection, for a page of an allowed origin.
async fn open_session(
    connection: quinn::Connection,
    allowed_origins: &[String],
) -> Option<web_transport_quinn::Session> {
    let opened = async {
        let request = web_transport_quinn::Request::accept(connection.clone()).await.ok()?;
        let refused = if request.url.path() != PATH {
            StatusCode::NOT_FOUND
        } else if asker(&request.headers, allowed_origins) == Asker::Page {
            return request.ok().await.ok();
        } else {
            StatusCode::FORBIDDEN
        };
        tracing::debug!(status = refused.as_u16(), "a WebTransport session was refused");
        request.reject(refused).await.ok()?;
        // The client closes once it has the answer.
        connection.closed().await;
        None
    };
    let session = timeout(Duration::from_millis(HELLO_TIMEOUT_MS), opened).await.ok().flatten();
    if session.is_none() {
        connection.close(Close::NoSession.code(), Close::NoSession.reason().as_bytes());
    }
    session
}
