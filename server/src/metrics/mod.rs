//! What the server counts of itself, for `/metrics` of the admin port. `spec/operation.md` says what each means.
//!
//! No label has an address, an account, a group or a network address: what is counted must not tell who writes to whom.

mod request;

use medipeps_core::wire::transport::Transport;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use request::MeasuredRequest;

use crate::storage::{BlobUsage, GroupUsage, StoreMetrics};

/// Names and values of labels.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    connections: Family<Labels<2>, Gauge>,
    handshakes: Family<Labels<2>, Counter>,
    requests: Family<Labels<2>, Counter>,
    request_seconds: Family<Labels<1>, Histogram>,
    refusals: Family<Labels<1>, Counter>,
    /// Calls to push services, by how they ended.
    pub(crate) wakes: Family<Labels<1>, Counter>,
    /// Subscriptions that are open.
    pub(crate) subscriptions: Gauge,
    /// Watches of group logs that are open.
    pub(crate) group_watches: Gauge,
    delivered: Counter,
    delivery_seconds: Histogram,
    /// Envelopes that were pushed again and again, and never acknowledged.
    pub(crate) delivery_loops: Counter,
    /// Of them, those that went to the end of their queues.
    pub(crate) envelopes_moved: Counter,
    frame_memory: Family<Labels<1>, Gauge>,
    blobs: Gauge,
    blob_bytes: Gauge,
    group_logs: Gauge,
    group_log_bytes: Gauge,
    group_wakes: Gauge,
    certificate_expiry: Gauge,
    trust_list_expiry: Gauge,
    draining: Gauge,
    reloads: Family<Labels<1>, Counter>,
    last_reload: Gauge,
}

/// What is looked up when the metrics are asked for.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) blobs: BlobUsage,
    pub(crate) groups: GroupUsage,
    /// Bytes of frames in memory, by what they are for.
    pub(crate) frames: Vec<(&'static str, usize)>,
    /// Seconds since 1970.
    pub(crate) certificate_expiry: i64,
    /// Seconds since 1970; 0 without a list.
    pub(crate) trust_list_expiry: i64,
    pub(crate) draining: bool,
}

impl Metrics {
    /// Everything at zero, with what the store counts.
    pub(crate) fn new(store: &StoreMetrics) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("medipeps"),
            connections: Family::default(),
            handshakes: Family::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            refusals: Family::default(),
            wakes: Family::default(),
            subscriptions: Gauge::default(),
            group_watches: Gauge::default(),
            delivered: Counter::default(),
            delivery_seconds: seconds(),
            delivery_loops: Counter::default(),
            envelopes_moved: Counter::default(),
            frame_memory: Family::default(),
            blobs: Gauge::default(),
            blob_bytes: Gauge::default(),
            group_logs: Gauge::default(),
            group_log_bytes: Gauge::default(),
            group_wakes: Gauge::default(),
            certificate_expiry: Gauge::default(),
            trust_list_expiry: Gauge::default(),
            draining: Gauge::default(),
            reloads: Family::default(),
            last_reload: Gauge::default(),
        };
        metrics.register();
        metrics.register_store(store);
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The server's version", version);
        registry.register("connections", "Connections that have said Hello", self.connections.clone());
        registry.register("handshakes", "Handshakes that have ended", self.handshakes.clone());
        registry.register("requests", "Requests that were answered", self.requests.clone());
        let help = "From a request, whole, to its answer, not written; for a push, to its beginning";
        registry.register_with_unit("request_duration", help, Unit::Seconds, self.request_seconds.clone());
        registry.register("rate_limit_refusals", "What the limits of [rate] refused", self.refusals.clone());
        registry.register("wakes", "Calls to push services that have ended", self.wakes.clone());
        registry.register("subscriptions", "Open pushes of queues", self.subscriptions.clone());
        registry.register("group_watches", "Open pushes of group logs", self.group_watches.clone());
        registry.register("envelopes_delivered", "Envelopes pushed, repeats included", self.delivered.clone());
        let help = "From the queue to the push, of envelopes that came while their device was subscribed";
        registry.register_with_unit("delivery_duration", help, Unit::Seconds, self.delivery_seconds.clone());
        let help = "Envelopes pushed first of their queue again and again without acknowledgement";
        registry.register("delivery_loops", help, self.delivery_loops.clone());
        let help = "Of these, envelopes moved to the end of their queue";
        registry.register("envelopes_moved", help, self.envelopes_moved.clone());
        let help = "Frames in memory, by what they are for";
        registry.register_with_unit("frame_memory", help, Unit::Bytes, self.frame_memory.clone());
        registry.register("blobs", "Blobs, begun ones included", self.blobs.clone());
        registry.register_with_unit("blob", "Reserved for blobs", Unit::Bytes, self.blob_bytes.clone());
        registry.register("group_logs", "Group logs", self.group_logs.clone());
        registry.register_with_unit("group_log", "Of entries of group logs", Unit::Bytes, self.group_log_bytes.clone());
        registry.register("group_wakes", "Wake handles of group logs", self.group_wakes.clone());
        let help = "When the certificate runs out, since 1970";
        registry.register_with_unit("certificate_expiry", help, Unit::Seconds, self.certificate_expiry.clone());
        let help = "When the trust list runs out, since 1970; 0: none is followed";
        registry.register_with_unit("trust_list_expiry", help, Unit::Seconds, self.trust_list_expiry.clone());
        registry.register("shutting_down", "1 once the server is told to stop", self.draining.clone());
        registry.register("config_reloads", "Reloads of the configuration", self.reloads.clone());
        let help = "When the configuration was last taken over, since 1970";
        registry.register_with_unit("config_last_reload", help, Unit::Seconds, self.last_reload.clone());
    }

    fn register_store(&mut self, store: &StoreMetrics) {
        let registry = &mut self.registry;
        registry.register("envelopes_enqueued", "Envelopes put into queues", store.enqueued.clone());
        registry.register("envelopes_acknowledged", "Envelopes acknowledged by devices", store.acknowledged.clone());
        registry.register("envelopes_expired", "Envelopes that ran out in their queues", store.expired.clone());
        registry.register("queued_envelopes", "Envelopes in all queues", store.queued.clone());
        registry.register_with_unit("queued", "Of envelopes in all queues", Unit::Bytes, store.queued_bytes.clone());
        registry.register("commit_operations", "Operations in one commit", store.commit_operations.clone());
        let help = "Of a commit, syncs included";
        registry.register_with_unit("commit_duration", help, Unit::Seconds, store.commit_seconds.clone());
        let help = "Of the syncs of the records of a commit";
        registry.register_with_unit("sync_duration", help, Unit::Seconds, store.sync_seconds.clone());
    }

    /// The connections of a transport that are of a kind: `greeted`, `anonymous`, `proved`, `refused`.
    pub(crate) fn connection(&self, transport: Transport, kind: &'static str) -> Gauge {
        self.connections.get_or_create_owned(&[("transport", name(transport)), ("kind", kind)])
    }

    /// Counts a handshake: `completed`, `failed`, `timed_out`, `refused`, `retried`.
    pub(crate) fn handshake(&self, transport: Transport, result: &'static str) {
        self.handshakes.get_or_create(&[("transport", name(transport)), ("result", result)]).inc();
    }

    /// Measures a request from now on.
    pub(crate) fn begin_request(&self, request: &'static str, transport: Transport) -> MeasuredRequest<'_> {
        MeasuredRequest::begin(self, request, name(transport))
    }

    /// What a limit of `[rate]` refuses.
    pub(crate) fn refusals_of(&self, limiter: &'static str) -> Counter {
        self.refusals.get_or_create_owned(&[("limiter", limiter)])
    }

    /// Counts a push of an envelope; with the milliseconds since it came where the device was there.
    pub(crate) fn delivered(&self, waited_ms: Option<u64>) {
        self.delivered.inc();
        if let Some(waited_ms) = waited_ms {
            self.delivery_seconds.observe(waited_ms as f64 / 1000.0);
        }
    }

    /// Counts a reload of the configuration at a time in milliseconds since 1970.
    pub(crate) fn reloaded(&self, taken: bool, now_ms: u64) {
        let result = if taken { "taken" } else { "refused" };
        self.reloads.get_or_create(&[("result", result)]).inc();
        if taken {
            self.last_reload.set(i64::try_from(now_ms / 1000).unwrap_or(i64::MAX));
        }
    }

    /// All of it, in the text format of OpenMetrics 1.0.
    pub(crate) fn expose(&self, readings: &Readings) -> String {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for (memory, bytes) in &readings.frames {
            self.frame_memory.get_or_create(&[("memory", *memory)]).set(number(*bytes as u64));
        }
        self.blobs.set(number(readings.blobs.blobs));
        self.blob_bytes.set(number(readings.blobs.bytes));
        self.group_logs.set(number(readings.groups.logs));
        self.group_log_bytes.set(number(readings.groups.bytes));
        self.group_wakes.set(number(readings.groups.wakes));
        self.certificate_expiry.set(readings.certificate_expiry);
        self.trust_list_expiry.set(readings.trust_list_expiry);
        self.draining.set(i64::from(readings.draining));
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// What a transport is called in labels.
pub(crate) const fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Quic => "quic",
        Transport::WebTransport => "webtransport",
        Transport::WebSocket => "websocket",
        Transport::BrowserWebSocket => "browser_websocket",
    }
}

/// A histogram of durations from 0.1 ms to 26 s.
pub(crate) fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 19))
}

/// A histogram of counts from 1 to 1024.
pub(crate) fn counts() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 11))
}
