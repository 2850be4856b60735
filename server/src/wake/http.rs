//! Requests to push services over HTTPS. Whatever answers is not believed in anything but whether to come again.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, StatusCode, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use super::address::is_public;
use super::service::PushError;
use crate::limits::{WAKE_ANSWER_LENGTH_MAX, WAKE_IDLE_CONNECTIONS_MAX, WAKE_IDLE_TIMEOUT, WAKE_TIMEOUT_MS};

/// Calls push services, over connections that are kept for a while; HTTP/2 where they speak it, as Apple's must.
#[derive(Clone)]
pub(super) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    private_addresses: bool,
}

/// What a push service said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Empty if it was longer than anything of use.
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It may come another time.
    Unreachable,
    /// The push service has a private address, and must not be called.
    Private,
}

impl HttpClient {
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
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(WAKE_IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(WAKE_IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(WAKE_ANSWER_LENGTH_MAX)
            .build(https);
        Ok(Self { client, private_addresses })
    }

    /// Sends a request and reads the answer. `name` is what logs call the push service.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>, name: &str) -> Result<Answer, NoAnswer> {
        // An address instead of a name is not looked up, and must be held against the rule here.
        let host = request.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.parse::<IpAddr>().is_ok_and(|address| !self.private_addresses && !is_public(address)) {
            tracing::warn!(service = name, "a push service has a private address and is not called");
            return Err(NoAnswer::Private);
        }
        match tokio::time::timeout(Duration::from_millis(WAKE_TIMEOUT_MS), self.client.request(request)).await {
            Ok(Ok(answer)) => {
                let (head, body) = answer.into_parts();
                // Read to its end, within bounds, so that the connection serves for the next one; dropped otherwise.
                let rest = Limited::new(body, WAKE_ANSWER_LENGTH_MAX).collect();
                let rest = tokio::time::timeout(Duration::from_millis(WAKE_TIMEOUT_MS), rest).await;
                let body = rest.ok().and_then(Result::ok).map(|whole| whole.to_bytes()).unwrap_or_default();
                Ok(Answer { status: head.status, headers: head.headers, body })
            }
            Ok(Err(error)) => {
                tracing::debug!(service = name, %error, "a push service cannot be reached");
                Err(NoAnswer::Unreachable)
            }
            Err(_) => {
                tracing::debug!(service = name, "a push service does not answer");
                Err(NoAnswer::Unreachable)
            }
        }
    }
}

impl Answer {
    /// How long the push service wants to be left alone, in milliseconds from now: RFC 9110, section 10.2.3, seconds or a date.
    pub(super) fn retry_after(&self, now: SystemTime) -> Option<u64> {
        retry_after(&self.headers, now)
    }
}

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
    use hyper::Method;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Thu, 26 Nov 2026 16:00:00 GMT").unwrap();
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
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), wait, "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
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
        let request = |url: &str| Request::builder().method(Method::POST).uri(url).body(Full::default()).unwrap();
        let client = HttpClient::new(false, None).unwrap();
        for url in ["https://127.0.0.1:1/", "https://[::1]:1/", "https://10.0.0.1/", "https://[::ffff:127.0.0.1]:1/"] {
            assert_eq!(client.send(request(url), "test").await.err(), Some(NoAnswer::Private), "{url}");
        }
        let client = HttpClient::new(true, None).unwrap();
        let called = client.send(request("https://127.0.0.1:1/"), "test").await;
        assert_eq!(called.err(), Some(NoAnswer::Unreachable), "nobody listens there");
    }
}
