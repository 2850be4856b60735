//! A push service of the tests, on this machine: hyper's server behind rustls, which notes what comes. For the server's own tests
//! and for those with the real commands.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Within this a call that is due comes, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// In this a call that is not due would have come.
const QUIET: Duration = Duration::from_millis(150);

/// A request as it came.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
    pub connection: usize,
}

/// A push service: hyper's server behind rustls.
pub struct PushService {
    pub host: String,
    folder: TempDir,
    calls: mpsc::UnboundedReceiver<Call>,
    /// What it answers with, one after another; 201 when there is none left.
    answers: Arc<Mutex<VecDeque<Response<Full<Bytes>>>>>,
}

impl PushService {
    /// One that speaks HTTP/1.1, as UnifiedPush gateways on one's own machine do.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One that speaks HTTP/2, as Apple's does.
    pub async fn start_http2() -> Self {
        Self::start_with(&[b"h2"]).await
    }

    async fn start_with(protocols: &[&[u8]]) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certified.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let (acceptor, listener) = (TlsAcceptor::from(Arc::new(tls)), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let host = format!("localhost:{}", listener.local_addr().unwrap().port());
        let (told, calls) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let to_give = Arc::clone(&answers);
        tokio::spawn(async move {
            for connection in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                let (acceptor, told, to_give) = (acceptor.clone(), told.clone(), Arc::clone(&to_give));
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let answer = |request: Request<Incoming>| {
                        let (told, to_give) = (told.clone(), Arc::clone(&to_give));
                        async move {
                            let (head, body) = request.into_parts();
                            let (method, path) = (head.method, head.uri.to_string());
                            let (version, headers) = (head.version, head.headers);
                            let body = body.collect().await.unwrap().to_bytes();
                            let call = Call { method, path, version, headers, body, at: Instant::now(), connection };
                            let answer = to_give.lock().unwrap().pop_front().unwrap_or_else(|| status(201));
                            let _ = told.send(call);
                            Ok::<_, Infallible>(answer)
                        }
                    };
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(tls), service_fn(answer)).await;
                });
            }
        });
        Self { host, folder, calls, answers }
    }

    pub fn answer_with(&self, answers: impl IntoIterator<Item = Response<Full<Bytes>>>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// A folder of its own, with the certificate in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file with the certificate that it is known by.
    pub fn certificates(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub async fn call(&mut self) -> Call {
        tokio::time::timeout(PATIENCE, self.calls.recv()).await.expect("nobody called").unwrap()
    }

    pub async fn is_quiet(&mut self) {
        let call = tokio::time::timeout(QUIET, self.calls.recv()).await;
        assert!(call.is_err(), "{call:?}");
    }
}

pub fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(Full::default()).unwrap()
}

pub fn with_header(code: u16, name: &str, value: &str) -> Response<Full<Bytes>> {
    let mut answer = status(code);
    let name: hyper::header::HeaderName = name.parse().unwrap();
    answer.headers_mut().insert(name, value.parse().unwrap());
    answer
}
