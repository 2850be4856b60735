//! The admin port.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Rule;

/// The admin port: metrics and health, over plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The TCP address; port 0 takes a free one. None: there is no admin port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Whether the address may be one that other machines reach.
    pub allow_remote: bool,
}

impl Admin {
    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let local = self.listen.is_none_or(|listen| listen.ip().is_loopback());
        vec![(
            local || self.allow_remote,
            "admin.listen",
            "must be a loopback address (127.0.0.1, ::1): whoever reaches it sees how much is sent and when; \
             `allow_remote = true` allows others",
        )]
    }
}
