//! Where a reader is woken: the address of a Web Push subscription (RFC 8030), held to the little that it needs.
//!
//! A URL is read in one way only, so that what is held against a list of allowed hosts is what is called: `https`, a host name
//! or an address, a port or none, a path. Nobody's name or password, no fragment, no letters beyond ASCII.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::limits::PUSH_ENDPOINT_LENGTH_MAX;

/// The port that a URL without one means.
const HTTPS_PORT: u16 = 443;

/// The `https` URL of a push subscription. It is a capability: whoever has it can wake its reader, so it prints as its host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PushEndpoint {
    url: String,
    host: String,
    port: u16,
}

/// Why a text is no [`PushEndpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushEndpointError {
    /// It is longer than [`PUSH_ENDPOINT_LENGTH_MAX`].
    #[error("the address of a push service has at most {PUSH_ENDPOINT_LENGTH_MAX} bytes")]
    TooLong,
    /// It does not begin with `https://`.
    #[error("the address of a push service begins with https://")]
    Scheme,
    /// It has no host, a host of other letters than names and addresses have, or no port after a colon.
    #[error("the address of a push service names a host, and after a colon a port")]
    Host,
    /// It names a user, has a fragment, or has letters that a URL must not have.
    #[error("the address of a push service has no user, no fragment and no other letters than URLs have")]
    Letters,
}

impl PushEndpoint {
    /// The URL as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The host in lower case; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 443 unless the URL says otherwise.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for PushEndpoint {
    type Err = PushEndpointError;

    fn from_str(url: &str) -> Result<Self, PushEndpointError> {
        if url.len() > PUSH_ENDPOINT_LENGTH_MAX {
            return Err(PushEndpointError::TooLong);
        }
        let rest = url.strip_prefix("https://").ok_or(PushEndpointError::Scheme)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') || !path.bytes().all(is_of_a_path) {
            return Err(PushEndpointError::Letters);
        }
        let (host, port) = read_authority(authority).ok_or(PushEndpointError::Host)?;
        Ok(Self { url: url.to_owned(), host, port })
    }
}

/// The host and the port of `host`, `host:port`, `[address]` or `[address]:port`, the host in lower case.
///
/// `None` if it is none of these.
#[must_use]
pub fn read_authority(authority: &str) -> Option<(String, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            let letters = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
            // An empty label would make two spellings of one name.
            let labels = !host.split('.').any(str::is_empty);
            if !letters || !labels {
                return None;
            }
            (host, port)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0)?
        }
        None if port.is_empty() => HTTPS_PORT,
        _ => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// RFC 3986: what paths and queries are made of, escapes not looked into.
const fn is_of_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
                | b'?'
        )
}

impl fmt::Debug for PushEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PushEndpoint(https://{}:{}/..)", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_in_one_way() {
        for (url, host, port) in [
            ("https://push.example/", "push.example", 443),
            ("https://push.example", "push.example", 443),
            ("https://Push.Example:8443/up?a=b&c=%2f", "push.example", 8443),
            ("https://push.example?token=a@b", "push.example", 443),
            ("https://192.0.2.7:1/x", "192.0.2.7", 1),
            ("https://[2001:DB8::1]/x", "2001:db8::1", 443),
            ("https://[::1]:65535/x", "::1", 65535),
        ] {
            let endpoint: PushEndpoint = url.parse().unwrap();
            assert_eq!((endpoint.as_str(), endpoint.host(), endpoint.port()), (url, host, port));
        }
    }

    #[test]
    fn what_could_be_read_in_another_way_is_refused() {
        use PushEndpointError::{Host, Letters, Scheme, TooLong};
        let long = format!("https://push.example/{}", "a".repeat(PUSH_ENDPOINT_LENGTH_MAX));
        for (url, error) in [
            ("http://push.example/", Scheme),
            ("HTTPS://push.example/", Scheme),
            ("", Scheme),
            ("https:///x", Host),
            ("https://?x", Host),
            ("https://push.example:/", Host),
            ("https://push.example:0/", Host),
            ("https://push.example:+80/", Host),
            ("https://push.example:65536/", Host),
            ("https://push.example./", Host),
            ("https://push..example/", Host),
            ("https://[::1/", Host),
            ("https://[::1]x/", Host),
            ("https://[fe80::1%25eth0]/", Host),
            ("https://püsh.example/", Host),
            ("https://push.example\\@evil.example/", Letters),
            ("https://a@push.example/", Letters),
            ("https://push.example#x", Host),
            ("https://push.example/#x", Letters),
            ("https://push.example/a b", Letters),
            ("https://push.example/a\r\nHost: b", Letters),
            ("https://push.example/ä", Letters),
            ("https://push.example/\\x", Letters),
            (&long, TooLong),
        ] {
            assert_eq!(url.parse::<PushEndpoint>(), Err(error), "{url}");
        }
    }

    #[test]
    fn it_prints_without_what_wakes() {
        let endpoint: PushEndpoint = "https://push.example/secret".parse().unwrap();
        assert_eq!(format!("{endpoint:?}"), "PushEndpoint(https://push.example:443/..)");
    }
}
