//! Which push services the server may call to wake devices.

use std::path::PathBuf;

use medipeps_core::limits::PUSH_APPS_MAX;
use medipeps_core::push_endpoint::{is_app, read_authority};
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::limits::PUSH_HOSTS_MAX;

/// Push services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// Web Push services that may be called, `host` or `host:port`; without a port, 443. None: nobody is woken by one.
    pub hosts: Vec<String>,
    /// Whether push services may have private addresses, as in a hospital's own network.
    pub private_addresses: bool,
    /// A file with certificate authorities of push services, in PEM, beside the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<PathBuf>,
    /// Where a Web Push service reaches whoever runs this server, `mailto:` or `https:`; with it calls are signed (RFC 8292).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// A file with the key of Apple's push service, in PEM (`AuthKey_….p8`). With the three that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apns_key: Option<PathBuf>,
    /// The id of that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apns_key_id: Option<String>,
    /// The id of the team of developers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apns_team: Option<String>,
    /// Bundle ids of the apps that may be woken.
    pub apns_apps: Vec<String>,
    /// Apple's push service, `host` or `host:port`.
    pub apns_host: String,
    /// A file with the service account of a Firebase project, in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fcm_account: Option<PathBuf>,
    /// Google's push service, `host` or `host:port`.
    pub fcm_host: String,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            private_addresses: false,
            certificates: None,
            contact: None,
            apns_key: None,
            apns_key_id: None,
            apns_team: None,
            apns_apps: Vec::new(),
            apns_host: "api.push.apple.com".to_owned(),
            fcm_account: None,
            fcm_host: "fcm.googleapis.com".to_owned(),
        }
    }
}

impl Push {
    /// The files that it names.
    pub(super) fn files(&mut self) -> [Option<&mut PathBuf>; 3] {
        [self.certificates.as_mut(), self.apns_key.as_mut(), self.fcm_account.as_mut()]
    }

    /// What must hold of the values.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let apns = [self.apns_key.is_some(), self.apns_key_id.is_some(), self.apns_team.is_some()];
        let is_contact = |contact: &String| contact.starts_with("mailto:") || contact.starts_with("https:");
        // Ten letters and digits, which go into what is signed.
        let is_id = |id: &Option<String>| id.as_ref().is_none_or(|id| is_app(id));
        vec![
            (self.hosts.len() <= PUSH_HOSTS_MAX, "push.hosts", "has at most 64 hosts"),
            (
                self.hosts.iter().all(|host| read_authority(host).is_some()),
                "push.hosts",
                "must be hosts, each with a colon and a port if it is not 443",
            ),
            (self.contact.as_ref().is_none_or(is_contact), "push.contact", "must begin with `mailto:` or `https:`"),
            (
                apns == [!self.apns_apps.is_empty(); 3],
                "push.apns_key",
                "and `apns_key_id`, `apns_team` and `apns_apps` must be given together",
            ),
            (is_id(&self.apns_key_id), "push.apns_key_id", "must be letters and digits"),
            (is_id(&self.apns_team), "push.apns_team", "must be letters and digits"),
            (self.apns_apps.len() <= PUSH_APPS_MAX, "push.apns_apps", "has at most 32 apps"),
            (self.apns_apps.iter().all(|app| is_app(app)), "push.apns_apps", "must be bundle ids of apps"),
            (read_authority(&self.apns_host).is_some(), "push.apns_host", "must be a host"),
            (read_authority(&self.fcm_host).is_some(), "push.fcm_host", "must be a host"),
        ]
    }
}
