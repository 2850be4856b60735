//! The TLS certificate: of the configuration, or one for development that is made on the first start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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

/// TLS 1.3 alone, without early data, which could be replayed, and without tickets, which would tie one connection to
/// another.
pub(crate) fn tls_config(config: &Config) -> Result<rustls::ServerConfig, CertificateError> {
    let (certificate, private_key) = match (&config.certificate, &config.private_key) {
        (Some(certificate), Some(private_key)) => (certificate.clone(), private_key.clone()),
        _ => development_certificate(&config.domain, &config.data_dir)?,
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| CertificateError::Pem { path: certificate.clone(), error })?;
    if chain.is_empty() {
        return Err(CertificateError::Empty(certificate));
    }
    let key = PrivateKeyDer::from_pem_file(&private_key)
        .map_err(|error| CertificateError::Pem { path: private_key, error })?;
    let refused = |error| CertificateError::Refused { path: certificate.clone(), error };
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(refused)?;
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

    #[test]
    fn the_development_certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new("clinic.example", "127.0.0.1:0".parse().unwrap(), folder.path());
        tls_config(&config).unwrap();
        let first = std::fs::read(folder.path().join("development-certificate.pem")).unwrap();
        let tls = tls_config(&config).unwrap();
        assert_eq!(std::fs::read(folder.path().join("development-certificate.pem")).unwrap(), first);
        assert_eq!((tls.max_early_data_size, tls.send_tls13_tickets), (0, 0));
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let [one, other] = [1, 2].map(|_| tempfile::tempdir().unwrap());
        let listen = "127.0.0.1:0".parse().unwrap();
        for folder in [&one, &other] {
            tls_config(&Config::new("clinic.example", listen, folder.path())).unwrap();
        }
        let mut config = Config::new("clinic.example", listen, one.path());
        config.certificate = Some(one.path().join("development-certificate.pem"));
        config.private_key = Some(one.path().join("development-private-key.pem"));
        tls_config(&config).unwrap();
        config.private_key = Some(other.path().join("development-private-key.pem"));
        assert!(matches!(tls_config(&config), Err(CertificateError::Refused { .. })));
        config.private_key = Some(other.path().join("absent.pem"));
        assert!(matches!(tls_config(&config), Err(CertificateError::Pem { .. })));
    }
}
