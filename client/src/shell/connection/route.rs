//! How this process reaches servers: through which proxy, and what it remembers of the networks that it was in.

use std::env;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use medipeps_core::wire::transport::Transport;
use thiserror::Error;

use super::network::{LastTransport, NetworkId, Networks, identify};
use super::proxy::{Proxy, ProxyError};
use crate::store::sqlite;

/// Through what the network is reached. The same for all connections of a process.
#[derive(Debug, Default)]
pub struct Route {
    proxy: Option<Proxy>,
    /// Whether QUIC is not tried.
    websocket_alone: bool,
    /// Hosts that are reached without it.
    direct: Vec<String>,
    /// Whether this machine is reached without it.
    spares_this_machine: bool,
    /// The account's folder.
    home: Option<PathBuf>,
}

/// A text that was to name a proxy does not.
#[derive(Debug, Error)]
#[error("{place}: {error}")]
pub struct RouteError {
    /// Where the text was.
    pub place: &'static str,
    /// What is wrong with it.
    pub error: ProxyError,
}

static ROUTE: OnceLock<Route> = OnceLock::new();

/// Sets the route of this process, once, before its first connection; `false` if it has one already.
pub fn set(route: Route) -> bool {
    ROUTE.set(route).is_ok()
}

/// The route of this process: straight to the servers unless [`set`] said otherwise.
pub(super) fn current() -> &'static Route {
    ROUTE.get_or_init(Route::default)
}

/// Which transport got through last for the account in this folder.
#[must_use]
pub fn last_transport(home: &Path) -> Option<LastTransport> {
    Networks::new(home).last()
}

impl Route {
    /// Straight to the servers, and by WebSocket alone, to measure what a network without UDP would see.
    #[must_use]
    pub fn websocket_alone() -> Self {
        Self { websocket_alone: true, ..Self::default() }
    }

    /// Whether QUIC is tried.
    pub(super) const fn tries_quic(&self) -> bool {
        !self.websocket_alone
    }

    /// The route for the account in a folder. `proxy` is what the person said: a proxy, or `none`. Otherwise it is as the
    /// environment says: `HTTPS_PROXY`, unless `NO_PROXY` names the host, and never to this machine itself.
    ///
    /// # Errors
    /// [`RouteError`]
    pub fn new(home: Option<&Path>, proxy: Option<&str>) -> Result<Self, RouteError> {
        let variable = |upper: &str, lower: &str| {
            let value = env::var(upper).or_else(|_| env::var(lower)).ok();
            value.filter(|value| !value.trim().is_empty())
        };
        let from_environment = variable("HTTPS_PROXY", "https_proxy");
        Self::from_texts(home, proxy, from_environment.as_deref(), variable("NO_PROXY", "no_proxy").as_deref())
    }

    fn from_texts(
        home: Option<&Path>,
        said: Option<&str>,
        environment: Option<&str>,
        no_proxy: Option<&str>,
    ) -> Result<Self, RouteError> {
        let parse = |text: &str, place| text.parse().map(Some).map_err(|error| RouteError { place, error });
        let home = home.map(Path::to_owned);
        if let Some(said) = said {
            let proxy = if said == "none" { None } else { parse(said, "--proxy")? };
            return Ok(Self { proxy, home, ..Self::default() });
        }
        let proxy = environment.map(|text| parse(text, "HTTPS_PROXY")).transpose()?.flatten();
        let direct = no_proxy.unwrap_or_default().split(',').map(|host| host.trim().to_lowercase());
        let direct = direct.filter(|host| !host.is_empty()).collect();
        Ok(Self { proxy, direct, spares_this_machine: true, home, websocket_alone: false })
    }

    /// The proxy through which a host is reached; `None`: directly.
    pub(super) fn proxy_for(&self, host: &str) -> Option<&Proxy> {
        let spared = self.spares_this_machine && is_this_machine(host);
        let direct = self.direct.iter().any(|entry| names(entry, host));
        self.proxy.as_ref().filter(|_| !spared && !direct)
    }

    /// The network on the way to a server.
    pub(super) fn network_to(&self, server: Option<SocketAddr>) -> Option<NetworkId> {
        self.networks()?;
        identify(server?)
    }

    /// Whether WebSocket has the head start there.
    pub(super) fn prefers_websocket(&self, network: Option<NetworkId>) -> bool {
        let known = self.networks().zip(network);
        known.is_some_and(|(networks, network)| networks.prefers_websocket(network))
    }

    /// Keeps which transport got through.
    pub(super) fn note(&self, network: Option<NetworkId>, transport: Transport) {
        if let Some((networks, network)) = self.networks().zip(network)
            && let Err(error) = networks.note(network, transport)
        {
            tracing::debug!(%error, "which transport got through cannot be kept");
        }
    }

    /// Nothing is put into a folder that has no account.
    fn networks(&self) -> Option<Networks> {
        let home = self.home.as_deref().filter(|home| home.join(sqlite::FILE_NAME).exists())?;
        Some(Networks::new(home))
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether an entry of `NO_PROXY` is for a host: `*`, the host itself, or a domain that it is in, with or without a dot.
fn names(entry: &str, host: &str) -> bool {
    let domain = entry.trim_start_matches("*.").trim_start_matches('.');
    let within = |rest: &str| rest.is_empty() || rest.ends_with('.');
    entry == "*" || !domain.is_empty() && host.strip_suffix(domain).is_some_and(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(said: Option<&str>, environment: Option<&str>, no_proxy: &str) -> Route {
        Route::from_texts(None, said, environment, Some(no_proxy)).unwrap()
    }

    #[test]
    fn the_environment_names_a_proxy_and_exceptions() {
        let route = route(None, Some("http://proxy:3128"), "intern.example, .lab.example,192.0.2.7,*.x.example");
        for host in ["intern.example", "mail.intern.example", "a.lab.example", "192.0.2.7", "y.x.example"] {
            assert!(route.proxy_for(host).is_none(), "{host}");
        }
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(route.proxy_for(host).is_none(), "{host}");
        }
        for host in ["mail.clinic.example", "notintern.example", "192.0.2.70", "2001:db8::7"] {
            assert!(route.proxy_for(host).is_some(), "{host}");
        }
        assert!(self::route(None, Some("http://proxy:3128"), "*").proxy_for("mail.clinic.example").is_none());
        assert!(self::route(None, None, "").proxy_for("mail.clinic.example").is_none());
    }

    #[test]
    fn what_a_person_says_counts_more() {
        let said = route(Some("http://other:8080"), Some("http://proxy:3128"), "*");
        for host in ["mail.clinic.example", "127.0.0.1"] {
            assert!(format!("{:?}", said.proxy_for(host)).contains("other:8080"), "{host}");
        }
        assert!(route(Some("none"), Some("http://proxy:3128"), "").proxy_for("mail.clinic.example").is_none());
        let wrong = Route::from_texts(None, Some("socks5://x:1"), None, None).unwrap_err();
        assert!(wrong.to_string().starts_with("--proxy: "), "{wrong}");
        let wrong = Route::from_texts(None, None, Some("https://x:1"), None).unwrap_err();
        assert!(wrong.to_string().starts_with("HTTPS_PROXY: "), "{wrong}");
    }
}
