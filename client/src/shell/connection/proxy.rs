//! HTTP proxies that pass TCP on by `CONNECT` (RFC 9110 section 9.3.6).

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::ConnectError;
use crate::limits::{PROXY_ANSWER_LENGTH_MAX, PROXY_HEADERS_MAX};
use crate::shell::address::ServerAddress;

/// Port of an HTTP proxy whose address names none.
const DEFAULT_PORT: u16 = 80;

/// An HTTP proxy: `http://HOST:PORT`, with `USER:PASSWORD@` before the host if it asks for them.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Host and TCP port.
    pub(super) address: ServerAddress,
    /// Value of the header `Proxy-Authorization`.
    authorization: Option<Zeroizing<String>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({}, ..)", self.address)
    }
}

/// A text names no proxy that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It is not of the form.
    #[error("a proxy is given as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")]
    Form,
    /// It is of another kind.
    #[error("only HTTP proxies can be used (http://HOST:PORT)")]
    Kind,
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(ProxyError::Kind),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => (Some(credentials), authority),
            None => (None, rest),
        };
        let has_port =
            authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let address = if has_port { authority.parse() } else { format!("{authority}:{DEFAULT_PORT}").parse() };
        let authorization = credentials.map(|credentials| {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            let plain = [decoded(user)?.as_slice(), b":", &decoded(password)?].concat();
            let plain = Zeroizing::new(plain);
            Ok(Zeroizing::new(format!("Basic {}", BASE64.encode(&plain))))
        });
        Ok(Self { address: address.map_err(|_| ProxyError::Form)?, authorization: authorization.transpose()? })
    }
}

/// Without percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, ProxyError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let byte = if *first == b'%' {
            let ([high, low], after) = after.split_first_chunk().ok_or(ProxyError::Form)?;
            rest = after;
            let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(ProxyError::Form);
            u8::try_from(digit(high)? << 4 | digit(low)?).map_err(|_| ProxyError::Form)?
        } else {
            *first
        };
        bytes.push(byte);
    }
    Ok(bytes)
}

impl Proxy {
    /// Asks for a tunnel to the server. From then on the stream is as if it led there.
    pub(super) async fn open_tunnel(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        server: &ServerAddress,
    ) -> Result<(), ConnectError> {
        let authorization = match &self.authorization {
            Some(value) => Zeroizing::new(format!("Proxy-Authorization: {}\r\n", value.as_str())),
            None => Zeroizing::default(),
        };
        let request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n{}\r\n", authorization.as_str());
        let lost = |error| ConnectError::Unreachable(format!("the proxy {}: {error}", self.address));
        stream.write_all(Zeroizing::new(request).as_bytes()).await.map_err(lost)?;
        let mut answer = Vec::new();
        loop {
            // One byte after the other: what comes after the head is not the proxy's.
            let byte = stream.read_u8().await.map_err(lost)?;
            answer.push(byte);
            if byte != b'\n' {
                continue;
            }
            if let Some(status) = status(&answer).map_err(|what| self.refusal(what))? {
                return match status {
                    200..=299 => Ok(()),
                    407 => Err(self.refusal("it asks for a user and a password (407)")),
                    status => Err(self.refusal(&format!("it answers {status}"))),
                };
            }
            if answer.len() >= PROXY_ANSWER_LENGTH_MAX {
                return Err(self.refusal("its answer is too long"));
            }
        }
    }

    fn refusal(&self, what: &str) -> ConnectError {
        ConnectError::Proxy(format!("{}: {what}", self.address))
    }
}

/// The status of an answer's head; `None` while it is not whole.
fn status(head: &[u8]) -> Result<Option<u16>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; PROXY_HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    match answer.parse(head) {
        Ok(httparse::Status::Complete(_)) => Ok(answer.code),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err("its answer is not HTTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    fn server() -> ServerAddress {
        "mail.clinic.example:443".parse().unwrap()
    }

    #[test]
    fn proxies_are_read_and_their_secrets_not_shown() {
        let proxy: Proxy = "http://claire:p%40ss:w@proxy.clinic.example:3128/".parse().unwrap();
        assert_eq!(proxy.address.to_string(), "proxy.clinic.example:3128");
        assert_eq!(proxy.authorization.as_deref().unwrap(), "Basic Y2xhaXJlOnBAc3M6dw==");
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy.clinic.example:3128, ..)");
        let plain: Proxy = "proxy.clinic.example".parse().unwrap();
        assert_eq!((plain.address.port, plain.authorization), (80, None));
        assert_eq!("[2001:db8::7]:3128".parse::<Proxy>().unwrap().address.host, "2001:db8::7");
        for (text, error) in [
            ("", ProxyError::Form),
            ("http://", ProxyError::Form),
            ("http://proxy:0", ProxyError::Form),
            ("http://proxy:3128/path", ProxyError::Form),
            ("http://a%4:b@proxy:3128", ProxyError::Form),
            ("https://proxy:3128", ProxyError::Kind),
            ("socks5://proxy:1080", ProxyError::Kind),
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(error), "{text}");
        }
    }

    async fn tunnel(proxy: &str, answer: &str) -> (Result<(), ConnectError>, String, Vec<u8>) {
        let proxy: Proxy = proxy.parse().unwrap();
        let (mut near, mut far) = duplex(4096);
        far.write_all(answer.as_bytes()).await.unwrap();
        let outcome = proxy.open_tunnel(&mut near, &server()).await;
        let mut asked = vec![0; 4096];
        let count = far.read(&mut asked).await.unwrap();
        drop(far);
        let mut left = Vec::new();
        near.read_to_end(&mut left).await.unwrap();
        (outcome, String::from_utf8(asked[..count].to_vec()).unwrap(), left)
    }

    #[tokio::test]
    async fn a_tunnel_begins_after_the_head() {
        let answer = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n\x16\x03";
        let (outcome, asked, left) = tunnel("http://claire:x@proxy:3128", answer).await;
        outcome.unwrap();
        assert_eq!(
            asked,
            "CONNECT mail.clinic.example:443 HTTP/1.1\r\nHost: mail.clinic.example:443\r\n\
             Proxy-Authorization: Basic Y2xhaXJlOng=\r\n\r\n"
        );
        assert_eq!(left, b"\x16\x03");
    }

    #[tokio::test]
    async fn refusals_are_told() {
        let long = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Filler: abcdefghijklmnopqrstuvwxyz\r\n".repeat(60));
        let flood = format!("HTTP/1.1 200 OK\r\nX-Filler: {}\r\n\r\n", "a".repeat(PROXY_ANSWER_LENGTH_MAX));
        assert!(tunnel("proxy:1", &long).await.0.is_ok(), "64 headers are none too many");
        for (answer, said) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
            ("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello", "403"),
            ("SSH-2.0-OpenSSH\r\n", "not HTTP"),
        ] {
            let (outcome, ..) = tunnel("proxy:1", answer).await;
            let Err(ConnectError::Proxy(what)) = outcome else { panic!("{answer}: {outcome:?}") };
            assert!(what.contains(said), "{what}");
        }
        let proxy: Proxy = "proxy:1".parse().unwrap();
        let (mut near, mut far) = duplex(4 * PROXY_ANSWER_LENGTH_MAX);
        far.write_all(flood.as_bytes()).await.unwrap();
        let outcome = proxy.open_tunnel(&mut near, &server()).await;
        assert!(matches!(outcome, Err(ConnectError::Proxy(_))), "{outcome:?}");
    }
}
