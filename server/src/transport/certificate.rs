//! The TLS certificate: of the configuration, or one for development that is made on the first start. It can be replaced while
//! the server runs: new handshakes get the new one, open connections keep theirs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::key_file::{KeyFileError, load_or_create};

/// ALPN of native clients (RFC 7301).
pub(crate) const ALPN: &[u8] = b"medipeps/1";

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The certificate or its key cannot be read.
    #[error("{path}: {error}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: rustls::pki_types::pem::Error,
    },
    /// The file has no certificate in it.
    #[error("{0}: no certificate in this file")]
    Empty(PathBuf),
    /// What the file has is no certificate of X.509.
    #[error("{0}: the first certificate in this file cannot be read")]
    Malformed(PathBuf),
    /// The certificate and its key do not fit, or TLS refuses them.
    #[error("{path}: {error}")]
    Refused {
        /// The certificate's file.
        path: PathBuf,
        /// What TLS says.
        error: rustls::Error,
    },
    /// The development certificate cannot be kept.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
}

/// A certificate with its key, as the files had it.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    key: Arc<CertifiedKey>,
    /// Seconds since 1970.
    expires: i64,
    files: Files,
}

/// The files of a certificate, and how they looked when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Files {
    certificate: PathBuf,
    private_key: PathBuf,
    seen: [Option<(SystemTime, u64)>; 2],
}

/// The certificate that new handshakes get, whichever listener they come to.
#[derive(Debug)]
pub(crate) struct Certificates(RwLock<Certificate>);

impl Certificate {
    /// Reads what the configuration names; without a name, makes a certificate for development.
    pub(crate) fn load(config: &Config) -> Result<Self, CertificateError> {
        let (certificate, private_key) = match (&config.certificate, &config.private_key) {
            (Some(certificate), Some(private_key)) => (certificate.clone(), private_key.clone()),
            _ => development_certificate(&config.domain, &config.data_dir)?,
        };
        Self::read(Files::look(certificate, private_key))
    }

    /// Reads files that were looked at before: what is written into them meanwhile shows at the next look.
    fn read(files: Files) -> Result<Self, CertificateError> {
        let path = &files.certificate;
        let chain = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| CertificateError::Pem { path: path.clone(), error })?;
        let first = chain.first().ok_or_else(|| CertificateError::Empty(path.clone()))?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(first).map_err(|_| CertificateError::Malformed(path.clone()))?;
        let expires = parsed.validity().not_after.timestamp();
        let key = PrivateKeyDer::from_pem_file(&files.private_key)
            .map_err(|error| CertificateError::Pem { path: files.private_key.clone(), error })?;
        let key = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
            .map_err(|error| CertificateError::Refused { path: path.clone(), error })?;
        Ok(Self { key: Arc::new(key), expires, files })
    }

    /// When it runs out, in seconds since 1970.
    pub(crate) const fn expires(&self) -> i64 {
        self.expires
    }
}

impl Files {
    fn look(certificate: PathBuf, private_key: PathBuf) -> Self {
        let seen = [&certificate, &private_key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        });
        Self { certificate, private_key, seen }
    }

    fn look_again(&self) -> Self {
        Self::look(self.certificate.clone(), self.private_key.clone())
    }
}

impl Certificates {
    pub(crate) fn new(certificate: Certificate) -> Arc<Self> {
        Arc::new(Self(RwLock::new(certificate)))
    }

    /// Gives new handshakes another certificate. Whether it is another.
    pub(crate) fn replace(&self, next: Certificate) -> bool {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let differs = current.key.cert != next.key.cert;
        *current = next;
        differs
    }

    /// Takes over what the files have, if they have changed. Whether there is another certificate now; after an error there is
    /// the one from before, and the files are read again the next time.
    pub(crate) fn renew(&self) -> Result<bool, CertificateError> {
        let files = self.current().files.clone();
        let look = files.look_again();
        if look == files { Ok(false) } else { Ok(self.replace(Certificate::read(look)?)) }
    }

    /// When the certificate runs out, in seconds since 1970.
    pub(crate) fn expires(&self) -> i64 {
        self.current().expires
    }

    fn current(&self) -> RwLockReadGuard<'_, Certificate> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().key.clone())
    }
}

/// TLS 1.3 alone, without early data, which could be replayed, and without tickets, which would tie one connection to
/// another.
pub(crate) fn tls_config(certificates: &Arc<Certificates>) -> Result<rustls::ServerConfig, rustls::Error> {
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificates.clone());
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(tls)
}

/// Makes a self-signed P-256 certificate for the domain and localhost, once. Clients pin the server key, not this.
fn development_certificate(domain: &str, data_dir: &Path) -> Result<(PathBuf, PathBuf), KeyFileError> {
    let private_key = data_dir.join("development-private-key.pem");
    let certificate = data_dir.join("development-certificate.pem");
    let pem = load_or_create(&private_key, || {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        Ok(Zeroizing::new(key.serialize_pem().into_bytes()))
    })?;
    load_or_create(&certificate, || {
        let damaged = KeyFileError::Damaged { path: private_key.clone(), what: "it is not PEM" };
        let key = rcgen::KeyPair::from_pem(std::str::from_utf8(&pem).map_err(|_| damaged)?)?;
        let names = vec![domain.to_owned(), "localhost".to_owned()];
        let certificate = rcgen::CertificateParams::new(names)?.self_signed(&key)?;
        Ok(Zeroizing::new(certificate.pem().into_bytes()))
    })?;
    Ok((certificate, private_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration with a development certificate in a folder of its own.
    fn config(folder: &tempfile::TempDir) -> Config {
        let config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), folder.path());
        Certificate::load(&config).unwrap();
        config
    }

    #[test]
    fn the_development_certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        let first = fs::read(folder.path().join("development-certificate.pem")).unwrap();
        let certificates = Certificates::new(Certificate::load(&config).unwrap());
        assert_eq!(fs::read(folder.path().join("development-certificate.pem")).unwrap(), first);
        let tls = tls_config(&certificates).unwrap();
        assert_eq!((tls.max_early_data_size, tls.send_tls13_tickets), (0, 0));
        assert!(certificates.expires() > 1_800_000_000, "rcgen's run out in 4096");
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let [one, other] = [1, 2].map(|_| tempfile::tempdir().unwrap());
        let mut config = config(&one);
        self::config(&other);
        config.certificate = Some(one.path().join("development-certificate.pem"));
        config.private_key = Some(one.path().join("development-private-key.pem"));
        Certificate::load(&config).unwrap();
        config.private_key = Some(other.path().join("development-private-key.pem"));
        assert!(matches!(Certificate::load(&config), Err(CertificateError::Refused { .. })));
        config.private_key = Some(other.path().join("absent.pem"));
        assert!(matches!(Certificate::load(&config), Err(CertificateError::Pem { .. })));
    }

    #[test]
    fn files_that_change_are_taken_over_once_they_fit() {
        let [one, other] = [1, 2].map(|_| tempfile::tempdir().unwrap());
        let config = config(&one);
        self::config(&other);
        let certificates = Certificates::new(Certificate::load(&config).unwrap());
        let before = certificates.current().key.clone();
        assert!(!certificates.renew().unwrap(), "nothing has changed");
        let take = |name: &str| fs::copy(other.path().join(name), one.path().join(name)).unwrap();
        take("development-certificate.pem");
        assert!(matches!(certificates.renew(), Err(CertificateError::Refused { .. })), "the key is still the old one");
        assert!(Arc::ptr_eq(&certificates.current().key, &before));
        take("development-private-key.pem");
        assert!(certificates.renew().unwrap());
        assert_ne!(certificates.current().key.cert, before.cert);
        fs::write(one.path().join("development-certificate.pem"), "-----BEGIN").unwrap();
        assert!(certificates.renew().is_err() && certificates.renew().is_err(), "it is looked at each time");
        assert_ne!(certificates.current().key.cert, before.cert);
    }
}
