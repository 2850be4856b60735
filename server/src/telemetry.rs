//! Traces for OpenTelemetry: a span a request, with its name, the transport, how long it took and its code, and nothing else.
//!
//! Nothing is collected until [`start`] has been called. Spans go to the collector in batches, from a thread of their own; what
//! it does not take is dropped.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::config::Telemetry;
use crate::limits::{TRACE_ANSWER_LENGTH_MAX, TRACE_EXPORT_TIMEOUT_MS};

/// The name of the service and of the tracer.
const NAME: &str = "medipeps-server";

/// Where spans go, once there is a collector.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Why there are no traces.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The collector's address or TLS is of no use.
    #[error("traces cannot be sent: {0}")]
    Exporter(String),
}

/// Sends spans to the collector of a configuration, if it names one. The provider is to be shut down at the end, so that the
/// last spans go out.
pub(crate) fn start(config: &Telemetry) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    let failed = |error: &dyn fmt::Display| TelemetryError::Exporter(error.to_string());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new().map_err(|error| failed(&error))?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_millis(TRACE_EXPORT_TIMEOUT_MS))
        .build()
        .map_err(|error| failed(&error))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::TraceIdRatioBased(1.0 / f64::from(config.sample_one_in.max(1))))
        .with_resource(Resource::builder_empty().with_service_name(NAME).build())
        .build();
    // Only the first of a process is taken; a second server in one process traces to where the first does.
    let _ = TRACER.set(provider.tracer(NAME));
    Ok(Some(provider))
}

/// Reports a request that was answered. Without a collector it does nothing.
pub(crate) fn request(
    name: &'static str,
    transport: &'static str,
    code: &'static str,
    began: SystemTime,
    took: Duration,
) {
    let Some(tracer) = TRACER.get() else { return };
    let mut span = tracer
        .span_builder(name)
        .with_kind(SpanKind::Server)
        .with_start_time(began)
        .with_attributes([KeyValue::new("medipeps.transport", transport), KeyValue::new("medipeps.code", code)])
        .start(tracer);
    if code != "ok" {
        span.set_status(Status::error(""));
    }
    span.end_with_timestamp(began + took);
}

/// Sends to the collector over the server's own HTTP client: the exporter's threads have no runtime to do it on.
struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl Collector {
    fn new() -> Result<Self, rustls::Error> {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(https), runtime: Handle::current() })
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Collector")
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let exchange = async move {
            let answer = client.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, TRACE_ANSWER_LENGTH_MAX).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let bounded = tokio::time::timeout(Duration::from_millis(TRACE_EXPORT_TIMEOUT_MS), exchange);
        self.runtime.spawn(bounded).await??
    }
}
