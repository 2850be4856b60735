//! The admin port: `/metrics`, `/health` and `/ready` over plain HTTP, for whoever runs the server. `spec/operation.md`.

use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::frame::FrameMemory;
use crate::limits::{
    ADMIN_CONNECTION_MS, ADMIN_CONNECTIONS_MAX, ADMIN_HEAD_TIMEOUT_MS, CONTROL_ACCEPT_RETRY_MS, HEALTH_READ_TIMEOUT_MS,
};
use crate::metrics::Readings;
use crate::service::Service;
use crate::storage::Storage;
use crate::transport::certificate::Certificates;

/// The text format of OpenMetrics, which Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Why there is no admin port.
#[derive(Debug, Error)]
#[error("cannot listen on {address}, the admin port: {error}")]
pub struct AdminPortError {
    /// What was asked for.
    pub address: String,
    /// What the system says.
    pub error: io::Error,
}

/// What the admin port tells of.
#[derive(Clone)]
pub(crate) struct AdminPort {
    pub(crate) service: Arc<Service>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) certificates: Arc<Certificates>,
    /// Memories of frames by their names in metrics.
    pub(crate) frames: Vec<(&'static str, FrameMemory)>,
}

/// Opens the socket, or takes the one that was handed over.
pub(crate) fn bind(
    address: Option<SocketAddr>,
    socket: Option<StdTcpListener>,
) -> Result<Option<TcpListener>, AdminPortError> {
    let named = address.map_or_else(|| "a socket that was handed over".to_owned(), |address| address.to_string());
    let listener = match (socket, address) {
        (Some(socket), _) => Ok(socket),
        (None, Some(address)) => StdTcpListener::bind(address),
        (None, None) => return Ok(None),
    };
    listener
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener).map(Some)
        })
        .map_err(|error| AdminPortError { address: named, error })
}

impl AdminPort {
    /// Answers until it is dropped.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the admin port was not taken");
                    sleep(Duration::from_millis(CONTROL_ACCEPT_RETRY_MS)).await;
                    continue;
                }
            };
            let port = self.clone();
            tokio::spawn(async move {
                port.serve_connection(stream).await;
                drop(place);
            });
        }
    }

    async fn serve_connection(self, stream: TcpStream) {
        let answer = service_fn(move |request: Request<Incoming>| {
            let port = self.clone();
            async move { Ok::<_, Infallible>(port.answer(&request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(ADMIN_HEAD_TIMEOUT_MS))
            .serve_connection(TokioIo::new(stream), answer);
        // What goes wrong with a connection is of no interest to anybody else.
        let _ = timeout(Duration::from_millis(ADMIN_CONNECTION_MS), connection).await;
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let known = matches!(request.uri().path(), "/metrics" | "/health" | "/ready");
        if known && request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this is read with GET\n");
            response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/metrics" => {
                let mut response = text(StatusCode::OK, self.metrics().await);
                response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(OPENMETRICS));
                response
            }
            "/health" => verdict(&self.ailments().await, "healthy"),
            "/ready" => verdict(&self.hindrances().await, "ready"),
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /health and /ready\n"),
        }
    }

    async fn metrics(&self) -> String {
        let readings = Readings {
            // A store that fails has nothing to tell; `/health` says so.
            blobs: self.storage.blob_usage().await.unwrap_or_default(),
            groups: self.storage.group_usage().await.unwrap_or_default(),
            frames: self.frames.iter().map(|(name, memory)| (*name, memory.used())).collect(),
            certificate_expiry: self.certificates.expires(),
            trust_list_expiry: self
                .service
                .trust_list()
                .map_or(0, |list| i64::try_from(list.fields().expires / 1000).unwrap_or(i64::MAX)),
            draining: self.service.is_draining(),
        };
        self.service.metrics().expose(&readings)
    }

    /// What is wrong so that only a restart mends it.
    async fn ailments(&self) -> Vec<String> {
        if let Some(failure) = &*self.storage.failure().borrow() {
            return vec![failure.to_string()];
        }
        let read = timeout(Duration::from_millis(HEALTH_READ_TIMEOUT_MS), self.storage.inspect(None, 1)).await;
        match read {
            Ok(Ok(_)) => Vec::new(),
            Ok(Err(error)) => vec![error.to_string()],
            Err(_) => vec!["the store does not answer".to_owned()],
        }
    }

    /// Why nobody should be sent here.
    async fn hindrances(&self) -> Vec<String> {
        let mut hindrances = self.ailments().await;
        if self.service.is_draining() {
            hindrances.push("the server is stopping".to_owned());
        }
        hindrances.extend(self.storage.check_space().err().map(|error| error.to_string()));
        hindrances
    }
}

fn verdict(wrong: &[String], right: &str) -> Response<Full<Bytes>> {
    if wrong.is_empty() {
        return text(StatusCode::OK, format!("{right}\n"));
    }
    let mut lines = String::new();
    for line in wrong {
        // Writing into a string does not fail.
        let _ = writeln!(lines, "{line}");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, lines)
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(TEXT));
    response
}
