//! `medipeps-server check-config`

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tracing_subscriber::EnvFilter;

use super::{Failure, print};
use crate::config::Config;
use crate::environment::{Environment, SystemEnvironment};
use crate::limits::{CERTIFICATE_WARNING_SECONDS, TRUST_LIST_WARNING_MS};
use crate::transport::certificate::Certificate;
use crate::trust_list;
use crate::wake::check_push_services;

/// Files with secrets in the data directory.
const SECRETS: &[&str] = &["server.key", "quic.key", "push.key", "development-private-key.pem"];
/// Bits of a mode that let others than the owner in.
const OTHERS: u32 = 0o077;

/// Prints `ok`, or everything that is wrong, one line each, and fails.
pub(super) fn check_config(config: &Config) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    if let Err(error) = EnvFilter::try_new(&config.log_filter) {
        wrong.push(format!("`log_filter` is not understood: {error}"));
    }
    check_certificate(config, &mut wrong);
    check_trust_list(config, &mut wrong);
    if let Err(error) = check_push_services(config) {
        wrong.push(error.to_string());
    }
    check_files(config, &mut wrong);
    if wrong.is_empty() {
        return print("ok\n");
    }
    print(&format!("{}\n", wrong.join("\n")))?;
    let mistakes = if wrong.len() == 1 { "mistake" } else { "mistakes" };
    Err(Failure::Failed(format!("the configuration has {} {mistakes}", wrong.len())))
}

/// The certificate can be read, fits its key and lasts. Without one in the configuration there is nothing to look at: one for
/// development is made when the server starts.
fn check_certificate(config: &Config, wrong: &mut Vec<String>) {
    let Some(path) = &config.certificate else { return };
    match Certificate::load(config) {
        Ok(certificate) => {
            let now = i64::try_from(SystemEnvironment.now_ms() / 1000).unwrap_or(i64::MAX);
            let left = certificate.expires().saturating_sub(now);
            if left < 0 {
                wrong.push(format!("{}: the certificate has run out", path.display()));
            } else if left < CERTIFICATE_WARNING_SECONDS {
                let days = left / (24 * 3600);
                wrong.push(format!("{}: the certificate runs out in {days} days", path.display()));
            }
        }
        Err(error) => wrong.push(error.to_string()),
    }
}

/// The trust list can be read, is by its signer, not older than the one that was followed, and lasts.
fn check_trust_list(config: &Config, wrong: &mut Vec<String>) {
    let Some(path) = &config.federation.trust_list else { return };
    let now = SystemEnvironment.now_ms();
    match trust_list::expiry(config, now) {
        Ok(Some(expires)) if expires.saturating_sub(now) < TRUST_LIST_WARNING_MS => {
            let days = expires.saturating_sub(now) / (24 * 3600 * 1000);
            wrong.push(format!("{}: the trust list runs out in {days} days", path.display()));
        }
        Ok(_) => {}
        Err(error) => wrong.push(error.to_string()),
    }
}

/// Nobody but the owner reads the private key and what is in the data directory.
fn check_files(config: &Config, wrong: &mut Vec<String>) {
    if let Some(path) = &config.private_key {
        check_mode(path, wrong);
    }
    if config.data_dir.exists() {
        check_mode(&config.data_dir, wrong);
        for secret in SECRETS.iter().map(|name| config.data_dir.join(name)).filter(|path| path.exists()) {
            check_mode(&secret, wrong);
        }
    }
}

fn check_mode(path: &Path, wrong: &mut Vec<String>) {
    match fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & OTHERS != 0 => {
            let (mode, owner) = (metadata.permissions().mode() & 0o777, metadata.uid());
            wrong.push(format!("{}: its mode is {mode:o}; only its owner (user {owner}) may read it", path.display()));
        }
        Ok(_) => {}
        // A key that cannot be read has been complained of with its certificate.
        Err(_) => {}
    }
}
