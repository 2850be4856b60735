//! The configuration file. `sample.toml` beside this file documents every key; `medipeps-server config` prints it.

mod admin;
mod capacity;
mod error;
mod federation;
mod group;
mod push;
mod rates;
mod reload;
mod telemetry;
mod tokens;
mod transport;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use medipeps_core::address::is_domain;
use serde::{Deserialize, Serialize};

pub use admin::Admin;
pub use capacity::{Blobs, Connections, Disk, Queue, Retention};
pub use error::ConfigError;
pub use federation::Federation;
pub use group::Group;
pub use push::Push;
pub use rates::Rates;
pub use reload::{ReloadError, changed_keys};
pub use telemetry::Telemetry;
pub use tokens::{Prices, Tokens};
pub use transport::Transports;

use crate::limits::CONFIG_LENGTH_MAX;
use crate::storage::{GroupQuota, QueueQuota};

/// A commented configuration file: every key with its default.
pub const SAMPLE: &str = include_str!("sample.toml");

/// What a server is told by whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The domain of the accounts, `local@domain`.
    pub domain: String,
    /// The address to listen on, UDP for QUIC and TCP for WebSocket; port 0 takes a free one.
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
    /// Push services that may be called to wake devices.
    #[serde(default)]
    pub push: Push,
    /// The disk.
    #[serde(default)]
    pub storage: Disk,
    /// Connections.
    #[serde(default)]
    pub connection: Connections,
    /// How often things may be asked.
    #[serde(default)]
    pub rate: Rates,
    /// Transports beside QUIC.
    #[serde(default)]
    pub transport: Transports,
    /// Tokens that pay for anonymous requests.
    #[serde(default)]
    pub tokens: Tokens,
    /// Other servers.
    #[serde(default)]
    pub federation: Federation,
    /// The admin port.
    #[serde(default)]
    pub admin: Admin,
    /// Traces.
    #[serde(default)]
    pub telemetry: Telemetry,
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

fn default_log_filter() -> String {
    "info".to_owned()
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
            push: Push::default(),
            storage: Disk::default(),
            connection: Connections::default(),
            rate: Rates::default(),
            transport: Transports::default(),
            tokens: Tokens::default(),
            federation: Federation::default(),
            admin: Admin::default(),
            telemetry: Telemetry::default(),
        }
    }

    /// Reads a configuration file. Relative paths in it are taken from its own folder.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::parse(&read(path)?, path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let certificate =
            [config.certificate.as_mut(), config.private_key.as_mut(), config.federation.trust_list.as_mut()];
        let named = certificate.into_iter().chain(config.push.files()).flatten();
        for relative in named.chain([&mut config.data_dir]) {
            *relative = folder.join(&*relative);
        }
        Ok(config)
    }

    /// The control socket of a server with this configuration file, whatever else is wrong with the file.
    ///
    /// # Errors
    /// [`ConfigError`] where the file does not say.
    pub(crate) fn control_socket_of(path: &Path) -> Result<PathBuf, ConfigError> {
        #[derive(Deserialize)]
        struct DataDirectory {
            data_dir: PathBuf,
        }
        let DataDirectory { data_dir } = toml::from_str(&read(path)?)
            .map_err(|error| ConfigError::Toml { path: path.to_owned(), error: Box::new(error) })?;
        Ok(control_socket(&path.parent().unwrap_or_else(|| Path::new("")).join(data_dir)))
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)
            .map_err(|error| ConfigError::Toml { path: path.to_owned(), error: Box::new(error) })?;
        config.check().map_err(|(key, rule)| ConfigError::Value { path: path.to_owned(), key, rule })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let rules = [
            (is_domain(&self.domain), "domain", "must be a domain name in lower case"),
            (!self.data_dir.as_os_str().is_empty(), "data_dir", "must name a folder"),
            (
                self.certificate.is_some() == self.private_key.is_some(),
                "certificate",
                "and `private_key` must be given together",
            ),
        ];
        rules
            .into_iter()
            .chain(self.retention.rules())
            .chain(self.queue.rules())
            .chain(self.blobs.rules())
            .chain(self.group.rules())
            .chain(self.push.rules())
            .chain(self.connection.rules())
            .chain(self.rate.rules())
            .chain(self.transport.rules())
            .chain(self.tokens.rules())
            .chain(self.federation.rules())
            .chain(self.admin.rules())
            .chain(self.telemetry.rules())
            .find(|(kept, ..)| !kept)
            .map_or(Ok(()), |(_, key, rule)| Err((key, rule)))
    }

    /// What the store lets one queue hold.
    #[must_use]
    pub const fn queue_quota(&self) -> QueueQuota {
        QueueQuota {
            messages_max: self.queue.messages_max,
            bytes_max: self.queue.bytes_max,
            request_messages_max: self.queue.request_messages_max,
            request_bytes_max: self.queue.request_bytes_max,
        }
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
        control_socket(&self.data_dir)
    }

    /// Which accounts were deleted, so that no backup of before raises them.
    #[must_use]
    pub fn deletion_log(&self) -> PathBuf {
        self.data_dir.join("deletions.log")
    }
}

fn control_socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(CONFIG_LENGTH_MAX).read_to_string(&mut text))
        .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
    Ok(text)
}

/// Whether it holds, the key, and what must be.
type Rule = (bool, &'static str, &'static str);

const AT_LEAST_ONE: &str = "must be 1 or more";
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
        assert_eq!(shown.push.certificates.take(), Some("push-authorities.pem".into()));
        assert_eq!(shown.push.contact.take(), Some("mailto:it@clinic.example".to_owned()));
        assert_eq!(shown.push.apns_key.take(), Some("AuthKey_ABC123DEFG.p8".into()));
        assert_eq!(shown.push.apns_key_id.take(), Some("ABC123DEFG".to_owned()));
        assert_eq!(shown.push.apns_team.take(), Some("DEF123GHIJ".to_owned()));
        assert_eq!(std::mem::take(&mut shown.push.apns_apps), ["example.clinic.App"]);
        assert_eq!(shown.push.fcm_account.take(), Some("service-account.json".into()));
        assert_eq!(shown.transport.websocket_listen.take(), Some("0.0.0.0:443".parse().unwrap()));
        assert_eq!(shown.admin.listen.take(), Some("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(shown.telemetry.otlp_endpoint.take(), Some("http://127.0.0.1:4318/v1/traces".to_owned()));
        assert_eq!(shown.federation.trust_list.take(), Some("trust-list".into()));
        assert!(shown.federation.trust_list_signer.take().is_some());
        assert_eq!(shown, minimal());
    }

    #[test]
    fn every_key_is_in_the_sample_under_a_comment() {
        let mut config = minimal();
        config.certificate = Some("c".into());
        config.private_key = Some("p".into());
        config.push.certificates = Some("a".into());
        config.push.contact = Some("mailto:a".to_owned());
        config.push.apns_key = Some("a".into());
        config.push.apns_key_id = Some("a".to_owned());
        config.push.apns_team = Some("a".to_owned());
        config.push.fcm_account = Some("a".into());
        config.transport.websocket_listen = Some(config.listen);
        config.admin.listen = Some("127.0.0.1:1".parse().unwrap());
        config.telemetry.otlp_endpoint = Some("http://a".to_owned());
        config.federation.trust_list = Some("t".into());
        config.federation.trust_list_signer = Some("k".into());
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
            (format!("{required}[push]\nhosts = ['https://push.example']\n"), "push.hosts"),
            (format!("{required}[push]\nhosts = ['push.example:0']\n"), "push.hosts"),
            (format!("{required}[push]\ncontact = 'it@clinic.example'\n"), "push.contact"),
            (format!("{required}[push]\napns_apps = ['example.App']\n"), "push.apns_key"),
            (format!("{required}[push]\nfcm_host = 'https://fcm.example'\n"), "push.fcm_host"),
            (format!("{required}[queue]\nmessages_max = 0\n"), "queue.messages_max"),
            (format!("{required}[tokens]\nbatch = 0\n"), "tokens.batch"),
            (format!("{required}[tokens]\nkey_days = 1\n"), "tokens.key_days"),
            (format!("{required}[federation]\nvoucher_keys = {{ 'b.example' = 'AAAA' }}\n"), "federation.voucher_keys"),
            (format!("{required}certificate = 'c.pem'\n"), "private_key"),
            (format!("{required}[federation]\ntrust_list = 'list'\n"), "trust_list_signer"),
            (format!("{required}[federation]\ntrust_list = 'l'\ntrust_list_signer = '00'\n"), "a public key"),
            (format!("{required}log_format = 'xml'\n"), "xml"),
            (format!("{required}[transport]\nallowed_origins = ['*']\n"), "transport.allowed_origins"),
            (
                format!("{required}[transport]\nwebsocket = false\nwebsocket_listen = '127.0.0.1:1'\n"),
                "transport.websocket_listen",
            ),
            (format!("{required}[admin]\nlisten = '192.0.2.1:9464'\n"), "allow_remote"),
            (format!("{required}[telemetry]\notlp_endpoint = 'collector:4318'\n"), "telemetry.otlp_endpoint"),
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
