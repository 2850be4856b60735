//! The configuration file. `sample.toml` beside this file documents every key; `medipeps-server config` prints it.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use medipeps_core::address::is_domain;
use medipeps_core::limits::{BLOB_PIECE_LENGTH, GROUP_ENTRY_LENGTH_MAX};
use medipeps_core::push_endpoint::read_authority;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{
    BLOBS_BYTES_MAX, CONFIG_LENGTH_MAX, FREE_SPACE_FLOOR, GROUP_LOG_BYTES_MAX, GROUP_LOG_ENTRIES_MAX,
    GROUP_LOGS_BYTES_MAX, GROUP_LOGS_MAX, LARGEST_BLOB, QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, WAKE_HOSTS_MAX,
};
use crate::rate_limit::Rate;
use crate::storage::{GroupQuota, QueueQuota};

/// A commented configuration file: every key with its default.
pub const SAMPLE: &str = include_str!("sample.toml");

/// What a server is told by whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The domain of the accounts, `local@domain`.
    pub domain: String,
    /// The UDP address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder for the store and the keys. A relative one is taken from the folder of the configuration file.
    pub data_dir: PathBuf,
    /// A file with the certificate chain, in PEM. With `private_key`; without the two, a development certificate is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// A file with the private key of the certificate, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PathBuf>,
    /// How logs are written to standard error.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Which logs are written, in the notation of `tracing-subscriber`'s `EnvFilter`.
    #[serde(default = "default_log_filter")]
    pub log_filter: String,
    /// How long things are kept.
    #[serde(default)]
    pub retention: Retention,
    /// What the queue of one device may hold.
    #[serde(default)]
    pub queue: Queue,
    /// What blobs may take.
    #[serde(default)]
    pub blobs: Blobs,
    /// What group logs may take, and for how long.
    #[serde(default)]
    pub group: Group,
    /// The disk.
    #[serde(default)]
    pub storage: Disk,
    /// Connections.
    #[serde(default)]
    pub connection: Connections,
    /// How often things may be asked.
    #[serde(default)]
    pub rate: Rates,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text an event.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days for which an envelope waits for its device, 1 and up.
    pub envelope_days: u32,
    /// Days for which an invitation is good unless `invite` says otherwise, 1 and up.
    pub invitation_days: u32,
    /// Days for which a blob is kept from its beginning, 1 and up.
    pub blob_days: u32,
}

/// What the queue of one device may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Envelopes, 1 and up.
    pub messages_max: u64,
    /// Bytes of envelopes, 65536 and up.
    pub bytes_max: u64,
}

/// What blobs may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blobs {
    /// All together, in units of 10^9 bytes, 1 and up.
    pub max_gb: u32,
    /// One of them, in units of 10^9 bytes, 1 and up.
    pub largest_gb: u32,
}

/// Group logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Days for which an entry is kept, 1 and up.
    pub entry_days: u32,
    /// Days without a new entry after which a log goes, 1 and up. A log goes only when its entries have.
    pub log_days: u32,
    /// Entries of one log, 1 and up.
    pub log_entries_max: u64,
    /// Bytes of one log, 4325440 and up.
    pub log_bytes_max: u64,
    /// Logs, 1 and up.
    pub logs_max: u64,
    /// All logs together, in units of 10^9 bytes, 1 and up.
    pub max_gb: u32,
    /// Push services that may be called to wake readers, `host` or `host:port`; without a port, 443. None: nobody is woken.
    pub wake_hosts: Vec<String>,
    /// Whether push services may have private addresses, as in a hospital's own network.
    pub wake_private_addresses: bool,
    /// A file with certificate authorities of push services, in PEM, beside the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_certificates: Option<PathBuf>,
}

/// The disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Free space below which nothing new is taken, in units of 10^6 bytes. 0 switches it off.
    pub free_space_floor_mb: u32,
}

/// Connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Open at once, 1 and up.
    pub connections_max: usize,
    /// Open at once from one network address (IPv6: /64), 1 and up.
    pub connections_per_address_max: usize,
    /// Handshakes under way at once, 1 and up.
    pub handshakes_max: usize,
    /// Seconds of silence after which a connection is dropped, 10 to 600.
    pub idle_seconds: u32,
}

/// How often things may be asked. A network address is an IPv4 address or an IPv6 /64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Submissions to one recipient.
    pub submit_per_recipient: Rate,
    /// Submissions from one network address.
    pub submit_per_address: Rate,
    /// Fetches of one recipient's prekeys; each takes a one-time key of every device.
    pub prekeys_per_recipient: Rate,
    /// Fetches of prekeys from one network address.
    pub prekeys_per_address: Rate,
    /// Fetches of statements from one network address.
    pub statements_per_address: Rate,
    /// Registrations from one network address, successful or not.
    pub registrations_per_address: Rate,
    /// Statements published from one network address, successful or not.
    pub publications_per_address: Rate,
    /// Proofs of device from one network address, successful or not.
    pub proofs_per_address: Rate,
    /// Blobs begun or deleted from one network address.
    pub blob_begins_per_address: Rate,
    /// KiB of blobs taken from one network address.
    pub blob_upload_kib_per_address: Rate,
    /// KiB of blobs given to one network address.
    pub blob_download_kib_per_address: Rate,
    /// Fetches of one recipient's key packages; each takes a one-time one of every device.
    pub key_packages_per_recipient: Rate,
    /// Group logs created from one network address.
    pub group_creations_per_address: Rate,
    /// Entries appended to one group log.
    pub group_appends_per_log: Rate,
    /// Entries appended from one network address.
    pub group_appends_per_address: Rate,
    /// Fetches from group logs, and logs watched, from one network address.
    pub group_reads_per_address: Rate,
    /// Signals to group logs from one network address.
    pub group_signals_per_address: Rate,
    /// KiB of entries taken from one network address.
    pub group_upload_kib_per_address: Rate,
    /// KiB of entries given to one network address.
    pub group_download_kib_per_address: Rate,
}

fn default_log_filter() -> String {
    "info".to_owned()
}

impl Default for Retention {
    fn default() -> Self {
        Self { envelope_days: 30, invitation_days: 14, blob_days: 30 }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { messages_max: QUEUE_MESSAGES_MAX, bytes_max: QUEUE_BYTES_MAX }
    }
}

impl Default for Blobs {
    fn default() -> Self {
        Self { max_gb: (BLOBS_BYTES_MAX / GB) as u32, largest_gb: (LARGEST_BLOB / GB) as u32 }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self {
            entry_days: 90,
            log_days: 400,
            log_entries_max: GROUP_LOG_ENTRIES_MAX,
            log_bytes_max: GROUP_LOG_BYTES_MAX,
            logs_max: GROUP_LOGS_MAX,
            max_gb: (GROUP_LOGS_BYTES_MAX / GB) as u32,
            wake_hosts: Vec::new(),
            wake_private_addresses: false,
            wake_certificates: None,
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self { free_space_floor_mb: (FREE_SPACE_FLOOR / MB) as u32 }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self { connections_max: 10_000, connections_per_address_max: 2_000, handshakes_max: 256, idle_seconds: 120 }
    }
}

impl Default for Rates {
    fn default() -> Self {
        let rate = |burst, per_minute| Rate { burst, per_minute };
        Self {
            submit_per_recipient: rate(600, 120),
            submit_per_address: rate(1200, 1200),
            prekeys_per_recipient: rate(60, 6),
            prekeys_per_address: rate(300, 120),
            statements_per_address: rate(300, 300),
            registrations_per_address: rate(60, 30),
            publications_per_address: rate(60, 30),
            proofs_per_address: rate(1200, 1200),
            blob_begins_per_address: rate(1200, 300),
            // 8 GiB at once, 15 GiB an hour.
            blob_upload_kib_per_address: rate(8 << 20, 256 << 10),
            // 16 GiB at once, 60 GiB an hour.
            blob_download_kib_per_address: rate(16 << 20, 1 << 20),
            key_packages_per_recipient: rate(60, 6),
            group_creations_per_address: rate(300, 30),
            group_appends_per_log: rate(600, 240),
            group_appends_per_address: rate(2400, 1200),
            group_reads_per_address: rate(6000, 6000),
            group_signals_per_address: rate(600, 600),
            // 1 GiB at once, 4 GiB an hour.
            group_upload_kib_per_address: rate(1 << 20, 64 << 10),
            // 8 GiB at once, 60 GiB an hour.
            group_download_kib_per_address: rate(8 << 20, 1 << 20),
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is not TOML, a key is unknown or missing, or a value has the wrong type. The text names it.
    #[error("{path}: {error}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: Box<toml::de::Error>,
    },
    /// A value is out of its bounds.
    #[error("{path}: `{key}` {rule}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with the table in front of it.
        key: &'static str,
        /// What is wrong.
        rule: &'static str,
    },
}

impl Config {
    /// A configuration with defaults for everything that has one.
    #[must_use]
    pub fn new(domain: impl Into<String>, listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            domain: domain.into(),
            listen,
            data_dir: data_dir.into(),
            certificate: None,
            private_key: None,
            log_format: LogFormat::default(),
            log_filter: default_log_filter(),
            retention: Retention::default(),
            queue: Queue::default(),
            blobs: Blobs::default(),
            group: Group::default(),
            storage: Disk::default(),
            connection: Connections::default(),
            rate: Rates::default(),
        }
    }

    /// Reads a configuration file. Relative paths in it are taken from its own folder.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(CONFIG_LENGTH_MAX).read_to_string(&mut text))
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        let mut config = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let certificate =
            [config.certificate.as_mut(), config.private_key.as_mut(), config.group.wake_certificates.as_mut()];
        for relative in certificate.into_iter().flatten().chain([&mut config.data_dir]) {
            *relative = folder.join(&*relative);
        }
        Ok(config)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| ConfigError::Toml { path: path.to_owned(), error: Box::new(error) })?;
        config.check().map_err(|(key, rule)| ConfigError::Value { path: path.to_owned(), key, rule })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let at_least_one = "must be 1 or more";
        let rates = &self.rate;
        let rules = [
            (is_domain(&self.domain), "domain", "must be a domain name in lower case"),
            (!self.data_dir.as_os_str().is_empty(), "data_dir", "must name a folder"),
            (
                self.certificate.is_some() == self.private_key.is_some(),
                "certificate",
                "and `private_key` must be given together",
            ),
            (self.retention.envelope_days > 0, "retention.envelope_days", at_least_one),
            (self.retention.invitation_days > 0, "retention.invitation_days", at_least_one),
            (self.retention.blob_days > 0, "retention.blob_days", at_least_one),
            (self.blobs.max_gb > 0, "blobs.max_gb", at_least_one),
            (self.blobs.largest_gb > 0, "blobs.largest_gb", at_least_one),
            (self.group.entry_days > 0, "group.entry_days", at_least_one),
            (self.group.log_days > 0, "group.log_days", at_least_one),
            (self.group.log_entries_max > 0, "group.log_entries_max", at_least_one),
            (
                self.group.log_bytes_max >= GROUP_ENTRY_LENGTH_MAX as u64,
                "group.log_bytes_max",
                "must be 4325440 or more, the largest entry",
            ),
            (self.group.logs_max > 0, "group.logs_max", at_least_one),
            (self.group.max_gb > 0, "group.max_gb", at_least_one),
            (self.group.wake_hosts.len() <= WAKE_HOSTS_MAX, "group.wake_hosts", "has at most 64 hosts"),
            (
                self.group.wake_hosts.iter().all(|host| read_authority(host).is_some()),
                "group.wake_hosts",
                "must be hosts, each with a colon and a port if it is not 443",
            ),
            (self.queue.messages_max > 0, "queue.messages_max", at_least_one),
            (self.queue.bytes_max >= 65_536, "queue.bytes_max", "must be 65536 or more, the largest envelope"),
            (self.connection.connections_max > 0, "connection.connections_max", at_least_one),
            (self.connection.connections_per_address_max > 0, "connection.connections_per_address_max", at_least_one),
            (self.connection.handshakes_max > 0, "connection.handshakes_max", at_least_one),
            ((10..=600).contains(&self.connection.idle_seconds), "connection.idle_seconds", "must be from 10 to 600"),
            (is_rate(rates.submit_per_recipient), "rate.submit_per_recipient", NO_RATE),
            (is_rate(rates.submit_per_address), "rate.submit_per_address", NO_RATE),
            (is_rate(rates.prekeys_per_recipient), "rate.prekeys_per_recipient", NO_RATE),
            (is_rate(rates.prekeys_per_address), "rate.prekeys_per_address", NO_RATE),
            (is_rate(rates.statements_per_address), "rate.statements_per_address", NO_RATE),
            (is_rate(rates.registrations_per_address), "rate.registrations_per_address", NO_RATE),
            (is_rate(rates.publications_per_address), "rate.publications_per_address", NO_RATE),
            (is_rate(rates.proofs_per_address), "rate.proofs_per_address", NO_RATE),
            (is_rate(rates.blob_begins_per_address), "rate.blob_begins_per_address", NO_RATE),
            (is_piece_rate(rates.blob_upload_kib_per_address), "rate.blob_upload_kib_per_address", NO_PIECE_RATE),
            (is_piece_rate(rates.blob_download_kib_per_address), "rate.blob_download_kib_per_address", NO_PIECE_RATE),
            (is_rate(rates.key_packages_per_recipient), "rate.key_packages_per_recipient", NO_RATE),
            (is_rate(rates.group_creations_per_address), "rate.group_creations_per_address", NO_RATE),
            (is_rate(rates.group_appends_per_log), "rate.group_appends_per_log", NO_RATE),
            (is_rate(rates.group_appends_per_address), "rate.group_appends_per_address", NO_RATE),
            (is_rate(rates.group_reads_per_address), "rate.group_reads_per_address", NO_RATE),
            (is_rate(rates.group_signals_per_address), "rate.group_signals_per_address", NO_RATE),
            (is_entry_rate(rates.group_upload_kib_per_address), "rate.group_upload_kib_per_address", NO_ENTRY_RATE),
            (is_entry_rate(rates.group_download_kib_per_address), "rate.group_download_kib_per_address", NO_ENTRY_RATE),
        ];
        rules.into_iter().find(|(kept, ..)| !kept).map_or(Ok(()), |(_, key, rule)| Err((key, rule)))
    }

    /// What the store lets one queue hold.
    #[must_use]
    pub const fn queue_quota(&self) -> QueueQuota {
        QueueQuota { messages_max: self.queue.messages_max, bytes_max: self.queue.bytes_max }
    }

    /// What the store lets group logs hold.
    #[must_use]
    pub const fn group_quota(&self) -> GroupQuota {
        GroupQuota {
            entries_max: self.group.log_entries_max,
            bytes_max: self.group.log_bytes_max,
            logs_max: self.group.logs_max,
            all_bytes_max: self.group.max_gb as u64 * GB,
        }
    }

    /// Bytes of all blobs together.
    #[must_use]
    pub const fn blob_bytes_max(&self) -> u64 {
        self.blobs.max_gb as u64 * GB
    }

    /// Bytes of the largest blob that is taken.
    #[must_use]
    pub const fn largest_blob(&self) -> u64 {
        self.blobs.largest_gb as u64 * GB
    }

    /// Bytes of free disk space below which nothing new is taken.
    #[must_use]
    pub const fn free_space_floor(&self) -> u64 {
        self.storage.free_space_floor_mb as u64 * MB
    }

    /// The folder of the store.
    #[must_use]
    pub fn store_folder(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    /// The socket on which a running server takes orders of whoever runs it.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.data_dir.join("control.sock")
    }
}

const NO_RATE: &str = "needs a burst and a number per minute of 1 or more";

const fn is_rate(rate: Rate) -> bool {
    rate.burst > 0 && rate.per_minute > 0
}

const NO_PIECE_RATE: &str = "needs a burst of 513 or more, a piece of a blob, and a number per minute of 1 or more";

/// A bucket that a piece fits in: otherwise a piece would take the whole and count for less than it is.
const fn is_piece_rate(rate: Rate) -> bool {
    rate.burst as usize >= BLOB_PIECE_LENGTH.div_ceil(1024) && rate.per_minute > 0
}

const NO_ENTRY_RATE: &str =
    "needs a burst of 4225 or more, an entry of a group log, and a number per minute of 1 or more";

/// The same for an entry of a group log.
const fn is_entry_rate(rate: Rate) -> bool {
    rate.burst as usize >= GROUP_ENTRY_LENGTH_MAX.div_ceil(1024) && rate.per_minute > 0
}

const GB: u64 = 1_000_000_000;
const MB: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("server.toml"))
    }

    fn minimal() -> Config {
        Config::new("clinic.example", "0.0.0.0:4433".parse().unwrap(), "data")
    }

    /// The sample with the defaults that it shows in comments switched on.
    fn uncommented() -> String {
        let is_setting = |line: &&str| line.starts_with('[') || line.contains(" = ");
        let lines = SAMPLE.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') && is_setting(&setting) => setting,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_sample_holds_exactly_the_defaults() {
        assert_eq!(parse(SAMPLE).unwrap(), minimal());
        let mut shown = parse(&uncommented()).unwrap();
        assert_eq!(shown.certificate.take(), Some("certificate.pem".into()));
        assert_eq!(shown.private_key.take(), Some("private-key.pem".into()));
        assert_eq!(shown.group.wake_certificates.take(), Some("push-authorities.pem".into()));
        assert_eq!(shown, minimal());
    }

    #[test]
    fn every_key_is_in_the_sample_under_a_comment() {
        let mut config = minimal();
        config.certificate = Some("c".into());
        config.private_key = Some("p".into());
        config.group.wake_certificates = Some("a".into());
        let table = toml::Table::try_from(&config).unwrap();
        let mut keys: Vec<(String, String)> = Vec::new();
        for (name, value) in &table {
            match value {
                toml::Value::Table(inner) => keys.extend(inner.keys().map(|key| (format!("[{name}]"), key.clone()))),
                _ => keys.push((String::new(), name.clone())),
            }
        }
        assert!(keys.len() > 20, "{keys:?}");
        let shown = uncommented();
        let lines: Vec<&str> = shown.lines().collect();
        for (section, key) in keys {
            let start = if section.is_empty() { 0 } else { lines.iter().position(|line| *line == section).unwrap() };
            let at = start + lines[start..].iter().position(|line| line.starts_with(&format!("{key} = "))).expect(&key);
            assert!(lines[at - 1].starts_with("# "), "{section} {key} has no comment");
            assert!(!lines[start + 1..at].iter().any(|line| line.starts_with('[')), "{section} {key} is misplaced");
        }
    }

    #[test]
    fn wrong_configurations_are_named() {
        let required = "domain = 'a.example'\nlisten = '127.0.0.1:0'\ndata_dir = 'd'\n";
        assert!(parse(required).is_ok());
        for (text, named) in [
            ("domain = 'a.example'\n".to_owned(), "listen"),
            (format!("{required}colour = 1\n"), "colour"),
            (format!("{required}[queue]\nlength = 1\n"), "length"),
            (format!("{required}[group]\nwake_hosts = ['https://push.example']\n"), "group.wake_hosts"),
            (format!("{required}[group]\nwake_hosts = ['push.example:0']\n"), "group.wake_hosts"),
            (format!("{required}[queue]\nmessages_max = 0\n"), "queue.messages_max"),
            (format!("{required}certificate = 'c.pem'\n"), "private_key"),
            (format!("{required}log_format = 'xml'\n"), "xml"),
            (format!("{required}[rate]\nsubmit_per_address = {{ burst = 0, per_minute = 1 }}\n"), "submit_per_address"),
            (required.replace("a.example", "A.example"), "domain"),
            (required.replace("127.0.0.1:0", "localhost"), "listen"),
        ] {
            let message = parse(&text).expect_err(&text).to_string();
            assert!(message.contains(named), "{message} does not name {named}");
        }
    }

    #[test]
    fn relative_paths_start_at_the_configuration_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.toml");
        std::fs::write(&path, SAMPLE).unwrap();
        assert_eq!(Config::load(&path).unwrap().data_dir, folder.path().join("data"));
    }
}
