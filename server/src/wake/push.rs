//! One call to a push service: RFC 8030, section 5, without content. Whatever answers is not believed in anything but whether
//! to come again.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use medipeps_core::push_endpoint::PushEndpoint;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tower_service::Service;

use super::address::is_public;
use crate::limits::{
    WAKE_ANSWER_LENGTH_MAX, WAKE_IDLE_CONNECTIONS_MAX, WAKE_IDLE_TIMEOUT, WAKE_TIMEOUT_MS, WAKE_TTL_SECONDS,
};

/// Of RFC 8030, section 5.4: a wake that waits at the push service is replaced by the next one, whatever group it is for. It is
/// the same for all, so that the push service cannot tell groups apart by it.
const TOPIC: &str = "medipeps";

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The push service has taken it.
    Woken,
    /// The subscription is no more.
    Gone,
    /// The push service does not take it, and would not the next time.
    Refused,
    /// It could not be told, or the push service takes nothing now; with the milliseconds that it wants to be left alone.
    Later(Option<u64>),
}

impl Outcome {
    /// What metrics call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Woken => "woken",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Later(_) => "later",
        }
    }
}

/// Why push services cannot be called at all.
#[derive(Debug, Error)]
pub enum PushError {
    /// The file with further certificate authorities cannot be read, or has none.
    #[error("the certificate authorities of push services: {0}")]
    Authorities(String),
    /// TLS cannot be set up.
    #[error("TLS to push services: {0}")]
    Tls(#[from] rustls::Error),
}

/// Calls push services, over connections that are kept for a while.
#[derive(Clone)]
pub(super) struct PushClient {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>,
    private_addresses: bool,
}

impl PushClient {
    /// A client that trusts the public certificate authorities and those of a file in PEM, and calls private addresses only if
    /// it may.
    pub(super) fn new(private_addresses: bool, authorities: Option<&Path>) -> Result<Self, PushError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = authorities {
            let failed = |error: String| PushError::Authorities(format!("{}: {error}", path.display()));
            let found = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
            let before = roots.len();
            for certificate in found {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.len() == before {
                return Err(failed("there is no certificate in it".to_owned()));
            }
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new_with_resolver(Resolver { private_addresses });
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(Duration::from_millis(WAKE_TIMEOUT_MS / 2)));
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(WAKE_IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(WAKE_IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(WAKE_ANSWER_LENGTH_MAX)
            .build(https);
        Ok(Self { client, private_addresses })
    }

    /// Wakes a reader. `now` is for answers that name a time.
    pub(super) async fn wake(&self, endpoint: &PushEndpoint, now: SystemTime) -> Outcome {
        // An address instead of a name is not looked up, and must be held against the rule here.
        let address = endpoint.host().parse::<IpAddr>();
        if address.is_ok_and(|address| !self.private_addresses && !is_public(address)) {
            tracing::warn!(host = endpoint.host(), "a push service has a private address and is not called");
            return Outcome::Refused;
        }
        let request = Request::builder()
            .method(Method::POST)
            .uri(endpoint.as_str())
            // Without it some servers ask for a length (411).
            .header(header::CONTENT_LENGTH, 0)
            .header("ttl", WAKE_TTL_SECONDS)
            .header("urgency", "normal")
            .header("topic", TOPIC)
            .body(Empty::new());
        let Ok(request) = request else { return Outcome::Refused };
        match tokio::time::timeout(Duration::from_millis(WAKE_TIMEOUT_MS), self.client.request(request)).await {
            Ok(Ok(answer)) => {
                let outcome = read_answer(answer.status(), answer.headers(), now);
                // Read to its end, within bounds, so that the connection serves for the next one; dropped otherwise.
                let rest = Limited::new(answer.into_body(), WAKE_ANSWER_LENGTH_MAX).collect();
                let _ = tokio::time::timeout(Duration::from_millis(WAKE_TIMEOUT_MS), rest).await;
                outcome
            }
            Ok(Err(error)) => {
                tracing::debug!(host = endpoint.host(), %error, "a push service cannot be reached");
                Outcome::Later(None)
            }
            Err(_) => {
                tracing::debug!(host = endpoint.host(), "a push service does not answer");
                Outcome::Later(None)
            }
        }
    }
}

/// RFC 8030, sections 5, 7.3 and 8.4: 201 is the rule, 404 and 410 end a subscription, 429 and failures pass. A redirection is
/// not followed: it could lead anywhere.
fn read_answer(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Woken,
        StatusCode::NOT_FOUND | StatusCode::GONE => Outcome::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Outcome::Later(retry_after(headers, now)),
        status if status.is_server_error() => Outcome::Later(retry_after(headers, now)),
        _ => Outcome::Refused,
    }
}

/// RFC 9110, section 10.2.3: seconds or a date. In milliseconds from now.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000));
    }
    let wait = httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default();
    Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// Looks names up, and lets no private address through: a name in the list of allowed hosts may be anybody's to point anywhere.
#[derive(Clone)]
struct Resolver {
    private_addresses: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let private_addresses = self.private_addresses;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<_> = found.filter(|found| private_addresses || is_public(found.ip())).collect();
            if allowed.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the name has no public address"));
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, wait: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.extend(wait.map(|wait| (header::RETRY_AFTER, wait.parse().unwrap())));
        let now = httpdate::parse_http_date("Thu, 26 Nov 2026 16:00:00 GMT").unwrap();
        read_answer(StatusCode::from_u16(status).unwrap(), &headers, now)
    }

    #[test]
    fn answers_say_whether_to_come_again() {
        for woken in [200, 201, 202, 204] {
            assert_eq!(answered(woken, None), Outcome::Woken);
        }
        assert_eq!([404, 410].map(|status| answered(status, None)), [Outcome::Gone; 2]);
        for refused in [301, 302, 307, 308, 400, 401, 403, 413] {
            assert_eq!(answered(refused, Some("5")), Outcome::Refused, "{refused}");
        }
        for later in [408, 429, 500, 502, 503, 599] {
            assert_eq!(answered(later, None), Outcome::Later(None), "{later}");
            assert_eq!(answered(later, Some("120")), Outcome::Later(Some(120_000)), "{later}");
        }
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        for (text, wait) in [
            ("0", Some(0)),
            (" 7 ", Some(7000)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Thu, 26 Nov 2026 16:02:00 GMT", Some(120_000)),
            ("Thu, 26 Nov 2026 15:00:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(answered(503, Some(text)), Outcome::Later(wait), "{text:?}");
        }
    }

    #[tokio::test]
    async fn names_of_this_machine_are_not_found_unless_they_may_be() {
        let name: Name = "localhost".parse().unwrap();
        let refused = Resolver { private_addresses: false }.call(name.clone()).await;
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::PermissionDenied));
        let found = Resolver { private_addresses: true }.call(name).await.unwrap();
        assert!(found.map(|found| found.ip()).all(|address| address.is_loopback()));
    }

    #[tokio::test]
    async fn a_private_address_is_not_called() {
        let client = PushClient::new(false, None).unwrap();
        for url in ["https://127.0.0.1:1/", "https://[::1]:1/", "https://10.0.0.1/", "https://[::ffff:127.0.0.1]:1/"] {
            assert_eq!(client.wake(&url.parse().unwrap(), SystemTime::UNIX_EPOCH).await, Outcome::Refused, "{url}");
        }
        let client = PushClient::new(true, None).unwrap();
        let called = client.wake(&"https://127.0.0.1:1/".parse().unwrap(), SystemTime::UNIX_EPOCH).await;
        assert_eq!(called, Outcome::Later(None), "nobody listens there");
    }
}
