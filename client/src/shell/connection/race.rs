//! Which transport it becomes: QUIC and WebSocket race, the one that did better in this network last time with a head start.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::link::Link;
use super::{ConnectError, quic, route, websocket};
use crate::limits::{CONNECT_ADDRESSES_MAX, CONNECT_WAIT, TRANSPORT_HEAD_START};
use crate::shell::address::ServerAddress;
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
    let link = if !route.tries_quic() {
        by_websocket.await
    } else if route.prefers_websocket(network) {
        race(by_websocket, by_quic, TRANSPORT_HEAD_START).await
    } else {
        race(by_quic, by_websocket, TRANSPORT_HEAD_START).await
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

/// What comes first of two attempts; the second begins after a head start, or at once when the first has failed.
async fn race<T>(
    first: impl Future<Output = Result<T, ConnectError>>,
    second: impl Future<Output = Result<T, ConnectError>>,
    head_start: Duration,
) -> Result<T, ConnectError> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    match timeout(head_start, &mut first).await {
        Ok(Ok(won)) => return Ok(won),
        Ok(Err(error)) => return second.await.map_err(|other| more_telling(error, other)),
        Err(_) => {}
    }
    tokio::select! {
        outcome = &mut first => match outcome {
            Ok(won) => Ok(won),
            Err(error) => second.await.map_err(|other| more_telling(error, other)),
        },
        outcome = &mut second => match outcome {
            Ok(won) => Ok(won),
            Err(other) => first.await.map_err(|error| more_telling(error, other)),
        },
    }
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
    use tokio::time::sleep;

    async fn after(milliseconds: u64, outcome: Result<u8, ConnectError>) -> Result<u8, ConnectError> {
        sleep(Duration::from_millis(milliseconds)).await;
        outcome
    }

    fn silence() -> Result<u8, ConnectError> {
        Err(ConnectError::Unreachable("silence".to_owned()))
    }

    fn refused() -> Result<u8, ConnectError> {
        Err(ConnectError::Certificate("refused".to_owned()))
    }

    #[tokio::test]
    async fn the_first_has_a_head_start_and_the_faster_wins() {
        let head_start = Duration::from_millis(300);
        for (first, second, won, at_least) in [
            (after(100, Ok(1)), after(0, Ok(2)), Some(1), 100),
            (after(2000, Ok(1)), after(0, Ok(2)), Some(2), 300),
            (after(400, Ok(1)), after(1000, Ok(2)), Some(1), 400),
            (after(10, silence()), after(10, Ok(2)), Some(2), 20),
            (after(400, refused()), after(300, Ok(2)), Some(2), 600),
            (after(600, Ok(1)), after(10, refused()), Some(1), 600),
            (after(400, refused()), after(300, silence()), None, 600),
        ] {
            let begun = Instant::now();
            let outcome = race(first, second, head_start).await;
            let took = begun.elapsed().as_millis();
            assert!((at_least..at_least + 250).contains(&took), "{took} ms");
            match outcome {
                Ok(winner) => assert_eq!(Some(winner), won),
                Err(error) => assert!(won.is_none() && matches!(error, ConnectError::Certificate(_)), "{error}"),
            }
        }
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
