//! Connecting by QUIC.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use quinn::{ConnectionError, Endpoint};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ConnectError;
use super::link::{Link, QuicLink};
use super::race::more_telling;
use crate::limits::CONNECT_STAGGER;
use crate::shell::tls::{CertificateTrust, quic_config};

/// Tries the network addresses one beside the other, each with a socket of its own, until one answers.
pub(super) async fn connect(
    host: &str,
    addresses: &[SocketAddr],
    certificates: &CertificateTrust,
    keep_alive: Duration,
) -> Result<Link, ConnectError> {
    let mut last = ConnectError::Unreachable("no answer".to_owned());
    let mut attempts = JoinSet::new();
    for (index, address) in addresses.iter().copied().enumerate() {
        let (host, certificates) = (host.to_owned(), certificates.clone());
        let stagger = CONNECT_STAGGER.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
        attempts.spawn(async move {
            sleep(stagger).await;
            attempt(address, &host, &certificates, keep_alive).await
        });
    }
    while let Some(attempted) = attempts.join_next().await {
        match attempted {
            Ok(Ok(link)) => return Ok(Link::Quic(link)),
            Ok(Err(error)) => last = more_telling(last, error),
            Err(_) => {}
        }
    }
    Err(last)
}

async fn attempt(
    address: SocketAddr,
    host: &str,
    certificates: &CertificateTrust,
    keep_alive: Duration,
) -> Result<QuicLink, ConnectError> {
    let local = match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let unreachable = |error: &dyn std::fmt::Display| ConnectError::Unreachable(format!("{address}: {error}"));
    let config = quic_config(certificates, keep_alive).map_err(|error| ConnectError::Protocol(error.to_string()))?;
    let endpoint = Endpoint::client(SocketAddr::new(local, 0)).map_err(|error| unreachable(&error))?;
    let connecting = endpoint.connect_with(config, address, host).map_err(|error| unreachable(&error))?;
    match connecting.await {
        Ok(connection) => Ok(QuicLink { endpoint, connection }),
        Err(error) => Err(refusal(&error, address)),
    }
}

/// TLS alerts (RFC 8446 section 6.2) as QUIC carries them: 0x100 and the alert (RFC 9001 section 4.8).
fn refusal(error: &ConnectionError, address: SocketAddr) -> ConnectError {
    const TLS_ALERT: u64 = 0x100;
    const CERTIFICATE_ALERTS: std::ops::RangeInclusive<u64> = 42..=48;
    let said = || format!("{address}: {error}");
    match error {
        ConnectionError::TransportError(local) => match u64::from(local.code).checked_sub(TLS_ALERT) {
            Some(alert) if CERTIFICATE_ALERTS.contains(&alert) => ConnectError::Certificate(local.reason.clone()),
            _ => ConnectError::Protocol(said()),
        },
        ConnectionError::ConnectionClosed(close) if u64::from(close.error_code) >= TLS_ALERT => {
            ConnectError::Protocol(said())
        }
        ConnectionError::VersionMismatch => ConnectError::Protocol(said()),
        _ => ConnectError::Unreachable(said()),
    }
}
