//! Where a server is reached.

use std::fmt;
use std::str::FromStr;

use medipeps_core::limits::ADDRESS_DOMAIN_LENGTH_MAX;
use thiserror::Error;

/// Host and port of a server: `mail.clinic.example:4433`, `192.0.2.7:4433`, `[2001:db8::7]:4433`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// A name to look up, or a network address (an IPv6 one without its brackets).
    pub host: String,
    /// UDP port, not 0.
    pub port: u16,
}

/// A text is not of the form `HOST:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a server is given as HOST:PORT, an IPv6 address as [ADDRESS]:PORT")]
pub struct ServerAddressError;

impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<Self, ServerAddressError> {
        let (host, port) = text.trim().rsplit_once(':').ok_or(ServerAddressError)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().map_err(|_| ServerAddressError)?.to_string(),
            // A bare IPv6 address would leave open where the port begins.
            None if host.contains(':') => return Err(ServerAddressError),
            None => host.to_lowercase(),
        };
        let of_a_host = |letter: char| letter.is_ascii_alphanumeric() || ".-_:".contains(letter);
        if host.is_empty() || host.len() > ADDRESS_DOMAIN_LENGTH_MAX || !host.chars().all(of_a_host) {
            return Err(ServerAddressError);
        }
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { host, port }),
            _ => Err(ServerAddressError),
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_come_back() {
        for text in ["mail.clinic.example:4433", "192.0.2.7:1", "[2001:db8::7]:65535", "localhost:4433"] {
            assert_eq!(text.parse::<ServerAddress>().unwrap().to_string(), text);
        }
        assert_eq!(" Mail.Clinic.example:4433\n".parse::<ServerAddress>().unwrap().host, "mail.clinic.example");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "host", ":4433", "host:", "host:0", "host:65536", "host:-1", "2001:db8::7:443", "[host]:443"] {
            assert_eq!(text.parse::<ServerAddress>(), Err(ServerAddressError), "{text}");
        }
        for text in ["a b:443", "https://host:443", "user@host:443", &format!("{}:443", "a".repeat(254))] {
            assert_eq!(text.parse::<ServerAddress>(), Err(ServerAddressError), "{text}");
        }
    }
}
