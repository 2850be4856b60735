//! One request, measured: for the metrics and, where traces are collected, as a span.

use std::time::{Instant, SystemTime};

use medipeps_core::wire::transport::ErrorReply;

use super::Metrics;
use crate::telemetry;

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct MeasuredRequest<'a> {
    metrics: &'a Metrics,
    request: &'static str,
    transport: &'static str,
    began: Instant,
    began_at: SystemTime,
}

impl<'a> MeasuredRequest<'a> {
    pub(super) fn begin(metrics: &'a Metrics, request: &'static str, transport: &'static str) -> Self {
        Self { metrics, request, transport, began: Instant::now(), began_at: SystemTime::now() }
    }

    /// It is answered, with an error or without.
    pub(crate) fn finish(self, error: Option<&ErrorReply>) {
        let code = error.map_or("ok", |error| error.known_code().map_or("unknown", |code| code.name()));
        let took = self.began.elapsed();
        self.metrics.requests.get_or_create(&[("request", self.request), ("code", code)]).inc();
        self.metrics.request_seconds.get_or_create(&[("request", self.request)]).observe(took.as_secs_f64());
        telemetry::request(self.request, self.transport, code, self.began_at, took);
    }
}
