//! The trust list that the server follows: read from its file, handed to clients, asked for the keys that sign vouchers.
//!
//! The file is looked at from time to time. A list that is older, or not by the right signer, takes no place; the last one
//! that was taken is kept in the data directory, so that no restart brings an older one back.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::limits::TRUST_LIST_LENGTH_MAX;
use medipeps_core::trust_list::{TrustList, TrustListError};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::environment::Environment;
use crate::limits::TRUST_LIST_LOOK_INTERVAL_MS;
use crate::service::VoucherKeys;

/// Name of the copy in the data directory.
const KEPT: &str = "trust-list";

/// Why a trust list is not taken.
#[derive(Debug, Error)]
pub enum TrustListFileError {
    /// The file cannot be read, or the copy cannot be written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The list is refused.
    #[error("{path}: {error}")]
    List {
        /// The file.
        path: PathBuf,
        /// Why.
        error: TrustListError,
    },
}

/// The list that is followed, and where a newer one comes from.
#[derive(Debug)]
pub struct FollowedTrustList {
    path: PathBuf,
    kept: PathBuf,
    signer: VerifyingKey,
    current: RwLock<Option<Arc<TrustList>>>,
    /// What the file looked like when it was last read.
    seen: Mutex<Option<(SystemTime, u64)>>,
}

impl FollowedTrustList {
    /// Begins to follow the list of a configuration; `None` if it has none. A list that has run out, or is older than the one
    /// that was followed before, is no reason not to start: the domain's own mail does not need it.
    ///
    /// # Errors
    /// [`TrustListFileError`], if there is nothing to follow but what is refused.
    pub fn open(config: &Config, now: u64) -> Result<Option<Arc<Self>>, TrustListFileError> {
        let (Some(path), Some(signer)) = (config.federation.trust_list.clone(), config.federation.signer()) else {
            return Ok(None);
        };
        let kept = config.data_dir.join(KEPT);
        // A copy under another signer is from before the configuration was changed.
        let before = read(&kept).ok().and_then(|bytes| TrustList::verify(&bytes, &signer).ok()).map(Arc::new);
        let has_one = before.is_some();
        let followed = Self { path, kept, signer, current: RwLock::new(before), seen: Mutex::new(None) };
        match followed.reread(now) {
            Ok(_) => {}
            Err(error @ TrustListFileError::List { error: TrustListError::Expired, .. }) => {
                tracing::error!(%error, "the trust list is not followed");
            }
            Err(error) if has_one => tracing::error!(%error, "the trust list of before is followed"),
            Err(error) => return Err(error),
        }
        Ok(Some(Arc::new(followed)))
    }

    /// Reads the file again. Gives back whether a newer list has been taken.
    ///
    /// # Errors
    /// [`TrustListFileError`]; the list of before stays.
    pub fn reread(&self, now: u64) -> Result<bool, TrustListFileError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = look(&self.path);
        let refused = |error| TrustListFileError::List { path: self.path.clone(), error };
        let bytes = read(&self.path).map_err(|error| TrustListFileError::Io { path: self.path.clone(), error })?;
        let list = TrustList::verify(&bytes, &self.signer).map_err(refused)?;
        let known = self.newest().map(|known| (known.fields().number, known.digest()));
        list.check_successor(known, now).map_err(refused)?;
        if known.is_some_and(|(number, _)| number == list.fields().number) {
            return Ok(false);
        }
        keep(&self.kept, &bytes).map_err(|error| TrustListFileError::Io { path: self.kept.clone(), error })?;
        let (number, domains) = (list.fields().number, list.fields().domains.len());
        tracing::info!(number, domains, "a trust list has been taken");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(list));
        Ok(true)
    }

    /// The newest list that was taken, whether it has run out or not.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<TrustList>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key that signs the vouchers of a domain, if the domain is on a list that is in force.
    #[must_use]
    pub fn voucher_key(&self, domain: &str, now: u64) -> Option<VerifyingKey> {
        let list = self.newest().filter(|list| !list.is_over(now))?;
        list.domain(domain).map(|one| one.server_key)
    }

    /// Whether this is the list that a configuration names.
    pub(crate) fn is_of(&self, config: &Config) -> bool {
        config.federation.trust_list.as_ref() == Some(&self.path)
            && config.federation.signer().as_ref() == Some(&self.signer)
    }

    /// Takes newer lists as they are put in the file's place.
    pub(crate) async fn watch(self: Arc<Self>, environment: Arc<dyn Environment>) {
        let mut ticks = interval(Duration::from_millis(TRUST_LIST_LOOK_INTERVAL_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let same = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == look(&self.path);
            if !same && let Err(error) = self.reread(environment.now_ms()) {
                tracing::error!(%error, "the trust list is not taken; the one of before is followed");
            }
        }
    }
}

/// A list that is followed for as long as this lives.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) list: Arc<FollowedTrustList>,
    watching: JoinHandle<()>,
}

impl Following {
    /// Begins to look at the file.
    pub(crate) fn begin(list: Arc<FollowedTrustList>, environment: Arc<dyn Environment>) -> Self {
        Self { watching: tokio::spawn(list.clone().watch(environment)), list }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// When the list of a configuration runs out, in milliseconds since 1970, if it has one. Nothing is taken over.
///
/// # Errors
/// [`TrustListFileError`], also for a list that is older than the one that was followed, or has run out.
pub(crate) fn expiry(config: &Config, now: u64) -> Result<Option<u64>, TrustListFileError> {
    let (Some(path), Some(signer)) = (config.federation.trust_list.clone(), config.federation.signer()) else {
        return Ok(None);
    };
    let bytes = read(&path).map_err(|error| TrustListFileError::Io { path: path.clone(), error })?;
    let refused = |error| TrustListFileError::List { path: path.clone(), error };
    let list = TrustList::verify(&bytes, &signer).map_err(refused)?;
    let before = read(&config.data_dir.join(KEPT)).ok().and_then(|bytes| TrustList::verify(&bytes, &signer).ok());
    let known = before.map(|known| (known.fields().number, known.digest()));
    list.check_successor(known, now).map_err(refused)?;
    Ok(Some(list.fields().expires))
}

/// Whose vouchers are taken: those whom the configuration names, and the domains of the trust list.
#[derive(Debug)]
pub(crate) struct TrustedVoucherKeys {
    pub(crate) configured: BTreeMap<String, VerifyingKey>,
    pub(crate) trust_list: Arc<FollowedTrustList>,
}

impl VoucherKeys for TrustedVoucherKeys {
    fn voucher_key(&self, domain: &str, now_ms: u64) -> Option<VerifyingKey> {
        self.configured.get(domain).copied().or_else(|| self.trust_list.voucher_key(domain, now_ms))
    }
}

/// What changes when another file is put in its place.
fn look(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more shows that it is too large.
    File::open(path)?.take(TRUST_LIST_LENGTH_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// On the disk whole, or as it was before.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use medipeps_core::crypto::secret::Secret;
    use medipeps_core::crypto::signature::SigningKey;
    use medipeps_core::trust_list::{TrustListFields, TrustedDomain};

    const ISSUED: u64 = 1_790_000_000_000;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_secret(&Secret::from([seed; 32]))
    }

    fn list(number: u64, domains: &[&str], signer: &SigningKey) -> TrustList {
        let one = |domain: &&str| TrustedDomain {
            domain: (*domain).to_owned(),
            host: "192.0.2.1".into(),
            port: 1,
            server_key: key(9).verifying_key(),
            spki_pins: Vec::new(),
        };
        let domains = domains.iter().map(one).collect();
        TrustList::sign(TrustListFields { number, issued: ISSUED, expires: ISSUED + 1000, domains }, signer).unwrap()
    }

    fn config(folder: &Path) -> Config {
        let data = folder.join("data");
        fs::create_dir_all(&data).unwrap();
        let mut config = Config::new("a.example", "127.0.0.1:0".parse().unwrap(), data);
        config.federation.trust_list = Some(folder.join("list"));
        config.federation.trust_list_signer = Some(data_encoding::HEXLOWER.encode(key(1).verifying_key().as_bytes()));
        config
    }

    #[test]
    fn no_restart_brings_an_older_list_back() {
        let folder = tempfile::tempdir().unwrap();
        let (config, path) = (config(folder.path()), folder.path().join("list"));
        let old = list(1, &["b.example", "c.example"], &key(1));
        fs::write(&path, old.encoded()).unwrap();
        let followed = FollowedTrustList::open(&config, ISSUED).unwrap().unwrap();
        assert!(followed.voucher_key("b.example", ISSUED).is_some());
        assert_eq!(followed.voucher_key("d.example", ISSUED), None);
        assert_eq!(followed.voucher_key("b.example", ISSUED + 1000), None, "it has run out");
        fs::write(&path, list(2, &["c.example"], &key(1)).encoded()).unwrap();
        assert_eq!(expiry(&config, ISSUED).unwrap(), Some(ISSUED + 1000));
        assert!(expiry(&config, ISSUED + 1000).is_err(), "it has run out");
        assert!(followed.reread(ISSUED).unwrap());
        assert!(!followed.reread(ISSUED).unwrap());
        assert_eq!(followed.voucher_key("b.example", ISSUED), None, "it has left");
        // The older one is put back, under a running server and before a start.
        fs::write(&path, old.encoded()).unwrap();
        let older = followed.reread(ISSUED);
        assert!(matches!(older, Err(TrustListFileError::List { error: TrustListError::Older { .. }, .. })));
        let again = FollowedTrustList::open(&config, ISSUED).unwrap().unwrap();
        let refused = expiry(&config, ISSUED);
        assert!(matches!(refused, Err(TrustListFileError::List { error: TrustListError::Older { .. }, .. })));
        for followed in [&followed, &again] {
            assert_eq!(followed.newest().unwrap().fields().number, 2);
        }
    }

    #[test]
    fn a_list_that_is_refused_leaves_the_one_of_before() {
        let folder = tempfile::tempdir().unwrap();
        let (config, path) = (config(folder.path()), folder.path().join("list"));
        assert!(matches!(FollowedTrustList::open(&config, ISSUED), Err(TrustListFileError::Io { .. })));
        fs::write(&path, list(1, &["b.example"], &key(2)).encoded()).unwrap();
        let refused = FollowedTrustList::open(&config, ISSUED);
        assert!(matches!(refused, Err(TrustListFileError::List { error: TrustListError::Signature, .. })));
        fs::write(&path, list(1, &["b.example"], &key(1)).encoded()).unwrap();
        let over = FollowedTrustList::open(&config, ISSUED + 1000).unwrap().unwrap();
        assert_eq!(over.newest(), None, "a server starts without a list that has run out");
        let followed = FollowedTrustList::open(&config, ISSUED).unwrap().unwrap();
        for spoilt in [list(2, &[], &key(2)).encoded(), b"no list", list(1, &[], &key(1)).encoded()] {
            fs::write(&path, spoilt).unwrap();
            assert!(followed.reread(ISSUED).is_err());
            assert!(followed.voucher_key("b.example", ISSUED).is_some());
        }
        // The file is gone while the server starts.
        fs::remove_file(&path).unwrap();
        let again = FollowedTrustList::open(&config, ISSUED).unwrap().unwrap();
        assert!(again.voucher_key("b.example", ISSUED).is_some());
    }
}
