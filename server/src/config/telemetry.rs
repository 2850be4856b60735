//! Traces.

use serde::{Deserialize, Serialize};

use super::{AT_LEAST_ONE, Rule};

/// Traces for OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Where a collector takes spans by OTLP over HTTP, as a whole URL. None: nothing is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// One request in so many is traced, 1 and up.
    pub sample_one_in: u32,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_one_in: 1 }
    }
}

impl Telemetry {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let is_url = |url: &String| {
            let uri = url.parse::<http::Uri>();
            uri.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        };
        vec![
            (
                self.otlp_endpoint.as_ref().is_none_or(is_url),
                "telemetry.otlp_endpoint",
                "must be a URL that begins with http:// or https://",
            ),
            (self.sample_one_in > 0, "telemetry.sample_one_in", AT_LEAST_ONE),
        ]
    }
}
