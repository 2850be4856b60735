//! How clients may come in beside QUIC.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Rule;
use crate::limits::ALLOWED_ORIGINS_MAX;

/// Transports beside QUIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transports {
    /// Whether WebSocket over TLS is taken on TCP, for networks that block UDP.
    pub websocket: bool,
    /// The TCP address for it; `None`: the address and port number of `listen`, which is where clients look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket_listen: Option<SocketAddr>,
    /// The Web origins whose pages may connect, by WebTransport or WebSocket: `https://HOST` or `https://HOST:PORT`, as
    /// browsers write them. None: no page may, and WebTransport is not offered.
    pub allowed_origins: Vec<String>,
}

impl Default for Transports {
    fn default() -> Self {
        Self { websocket: true, websocket_listen: None, allowed_origins: Vec::new() }
    }
}

impl Transports {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        vec![
            (
                self.websocket_listen.is_none() || self.websocket,
                "transport.websocket_listen",
                "has no use while `websocket` is false",
            ),
            (self.allowed_origins.len() <= ALLOWED_ORIGINS_MAX, "transport.allowed_origins", "has at most 64 origins"),
            (
                self.allowed_origins.iter().all(|origin| is_origin(origin)),
                "transport.allowed_origins",
                "must be origins as browsers write them: https://HOST or https://HOST:PORT in lower case, no path",
            ),
        ]
    }
}

/// An origin of HTTPS as browsers serialize it (RFC 6454 section 6.2): lower case, no port where it is 443, no path. Plain
/// HTTP is good for this machine alone, where browsers take it for secure.
fn is_origin(text: &str) -> bool {
    let (authority, default_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(authority), _) => (authority, "443"),
        (None, Some(authority)) if is_this_machine(authority) => (authority, "80"),
        _ => return false,
    };
    let Ok(parsed) = authority.parse::<http::uri::Authority>() else { return false };
    let port_fits = match parsed.port() {
        Some(port) => port.as_str() != default_port && port.as_u16() != 0,
        None => !authority.ends_with(':'),
    };
    port_fits && !authority.contains('@') && !authority.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_this_machine(authority: &str) -> bool {
    authority
        .parse::<http::uri::Authority>()
        .is_ok_and(|authority| matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        for origin in ["https://mail.clinic.example", "https://mail.clinic.example:8443", "https://[2001:db8::7]"] {
            assert!(is_origin(origin), "{origin}");
        }
        for origin in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:3000"] {
            assert!(is_origin(origin), "{origin}");
        }
        for text in [
            "",
            "*",
            "null",
            "https://",
            "mail.clinic.example",
            "http://mail.clinic.example",
            "http://localhost.example",
            "https://Mail.clinic.example",
            "https://mail.clinic.example/",
            "https://mail.clinic.example:443",
            "https://mail.clinic.example:0",
            "https://mail.clinic.example:",
            "https://user@mail.clinic.example",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }
}
