//! What of a configuration can be changed while the server runs.

use thiserror::Error;

use super::Config;

/// Keys, and tables with all their keys, that can change while the server runs. Any other key needs a restart, a new one until
/// somebody sees to it that a reload takes it over and adds it here.
const RELOADABLE: &[&str] = &[
    "certificate",
    "private_key",
    "log_filter",
    "retention",
    "queue",
    "blobs",
    "group",
    "push",
    "storage",
    "connection",
    "rate",
    "tokens",
    "federation",
];

/// Why a running server does not take a configuration over. It goes on with the one that it has, as a whole.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// These keys have another value, and can have it only after a restart.
    #[error("nothing was taken over: {} cannot change while the server runs; restart it", list(.0))]
    NeedsRestart(Vec<String>),
    /// The configuration cannot be compared.
    #[error("the configuration cannot be written down: {0}")]
    Unreadable(#[from] toml::ser::Error),
}

/// The keys, with their tables in front of them, that have another value in `next`. Those that can have it only after a restart
/// are an error.
///
/// # Errors
/// [`ReloadError`]
pub fn changed_keys(current: &Config, next: &Config) -> Result<Vec<String>, ReloadError> {
    let [current, next] = [toml::Table::try_from(current)?, toml::Table::try_from(next)?];
    let mut changed = Vec::new();
    compare("", &current, &next, &mut changed);
    let is_fixed = |key: &&String| {
        let head = key.split('.').next().unwrap_or_default();
        !RELOADABLE.contains(&head)
    };
    let fixed: Vec<String> = changed.iter().filter(is_fixed).cloned().collect();
    if fixed.is_empty() { Ok(changed) } else { Err(ReloadError::NeedsRestart(fixed)) }
}

fn compare(prefix: &str, current: &toml::Table, next: &toml::Table, changed: &mut Vec<String>) {
    let mut keys: Vec<&String> = current.keys().chain(next.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        match (current.get(key), next.get(key)) {
            // Within `[rate]` a value is a table too; two levels are all there is.
            (Some(toml::Value::Table(current)), Some(toml::Value::Table(next))) if prefix.is_empty() => {
                compare(&format!("{key}."), current, next, changed);
            }
            (current, next) if current == next => {}
            _ => changed.push(format!("{prefix}{key}")),
        }
    }
}

fn list(keys: &[String]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rate;

    fn config() -> Config {
        Config::new("clinic.example", "127.0.0.1:4433".parse().unwrap(), "data")
    }

    #[test]
    fn what_changed_is_named() {
        let mut next = config();
        assert!(changed_keys(&config(), &next).unwrap().is_empty());
        next.rate.submit_per_address = Rate { burst: 1, per_minute: 2 };
        next.retention.blob_days = 3;
        next.certificate = Some("c.pem".into());
        next.push.hosts = vec!["push.example".to_owned()];
        let changed = changed_keys(&config(), &next).unwrap();
        assert_eq!(changed, ["certificate", "push.hosts", "rate.submit_per_address", "retention.blob_days"]);
    }

    #[test]
    fn what_needs_a_restart_refuses_the_whole() {
        let mut next = config();
        next.retention.blob_days = 3;
        next.domain = "other.example".to_owned();
        next.listen = "127.0.0.1:4434".parse().unwrap();
        next.admin.listen = Some("127.0.0.1:9464".parse().unwrap());
        let error = changed_keys(&config(), &next).unwrap_err();
        let ReloadError::NeedsRestart(keys) = &error else { panic!("{error}") };
        assert_eq!(keys, &["admin.listen", "domain", "listen"]);
        assert!(error.to_string().contains("`admin.listen`, `domain`, `listen` cannot change"), "{error}");
    }
}
