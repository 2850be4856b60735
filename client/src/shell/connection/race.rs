//! Which transport it becomes: QUIC and WebSocket race, the one that did better in this network last time with a head start.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::link::Link;
use super::{ConnectError, quic, route, websocket};
use crate::limits::{CONNECT_ADDRESSES_MAX, CONNECT_WAIT, TRANSPORT_HEAD_START};
use crate::shell::address::ServerAddress;
use crate::shell::race::race;
use crate::shell::tls::CertificateTrust;

/// Connects by whichever transport is there first.
pub(super) async fn connect(
    server: &ServerAddress,
    certificates: &CertificateTrust,
    keep_alive: Duration,
) -> Result<Link, ConnectError> {
    let route = route::current();
    let deadline = Instant::now() + CONNECT_WAIT;
    let in_time = |attempt| async move {
        let silence = |_| Err(ConnectError::Unreachable(format!("no answer from {server}")));
        timeout_at(deadline, attempt).await.unwrap_or_else(silence)
    };
    if let Some(proxy) = route.proxy_for(&server.host) {
        return in_time(boxed(websocket::connect_through(proxy, server, certificates, keep_alive))).await;
    }
    let silence = |_| Err(ConnectError::Unreachable(format!("no answer to the look-up of {}", server.host)));
    let addresses = timeout_at(deadline, resolve(server)).await.unwrap_or_else(silence)?;
    let network = route.network_to(addresses.first().copied());
    let by_quic = in_time(boxed(quic::connect(certificates.name(&server.host), &addresses, certificates, keep_alive)));
    let by_websocket = in_time(boxed(websocket::connect(server, &addresses, certificates, keep_alive)));
    let head_start = sleep(TRANSPORT_HEAD_START);
    let link = if !route.tries_quic() {
        by_websocket.await
    } else if route.prefers_websocket(network) {
        race(by_websocket, by_quic, head_start, more_telling).await
    } else {
        race(by_quic, by_websocket, head_start, more_telling).await
    }?;
    tracing::info!(transport = link.transport().name(), %server, "connected");
    route.note(network, link.transport());
    Ok(link)
}

/// One type for the futures of both transports.
fn boxed<'a>(
    attempt: impl Future<Output = Result<Link, ConnectError>> + Send + 'a,
) -> Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send + 'a>> {
    Box::pin(attempt)
}

/// An answer that was refused says more than silence; of two of a kind the first says more.
pub(super) fn more_telling(first: ConnectError, second: ConnectError) -> ConnectError {
    match (&first, &second) {
        (ConnectError::Unreachable(_), _) => second,
        _ => first,
    }
}

/// The network addresses of a host, families in turn.
pub(super) async fn resolve(server: &ServerAddress) -> Result<Vec<SocketAddr>, ConnectError> {
    let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
    let found: Vec<_> =
        found.map_err(|error| ConnectError::Unreachable(format!("{}: {error}", server.host)))?.collect();
    let (six, four): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv6);
    let mut addresses = Vec::new();
    for index in 0..six.len().max(four.len()) {
        addresses.extend(six.get(index).into_iter().chain(four.get(index)));
    }
    addresses.truncate(CONNECT_ADDRESSES_MAX);
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Result<u8, ConnectError> {
        Err(ConnectError::Unreachable("silence".to_owned()))
    }

    fn refused() -> Result<u8, ConnectError> {
        Err(ConnectError::Certificate("refused".to_owned()))
    }

    #[test]
    fn a_refusal_says_more_than_silence() {
        let tell = |first: Result<u8, _>, second: Result<u8, _>| {
            more_telling(first.unwrap_err(), second.unwrap_err()).to_string()
        };
        assert!(tell(silence(), refused()).contains("refused"));
        assert!(tell(refused(), silence()).contains("refused"));
    }
}
