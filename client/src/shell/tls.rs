//! TLS as the client wants it: 1.3, no resumption, and two ways to trust a server. The same for QUIC and WebSocket.
//!
//! A server whose key is pinned may show any certificate: its hello is signed with the pinned key over this very TLS
//! channel's exporter, so that whoever stands between cannot pass it on. TLS still verifies that the other end holds
//! the certificate's key. A server that is not pinned yet must show a certificate of the Web's PKI for its host.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, IdleTimeout, NoneTokenStore, TransportConfig, VarInt};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, PeerIncompatible, RootCertStore, SignatureScheme};

use crate::limits::IDLE_TIMEOUT;

/// The protocol's name within the TLS of QUIC (RFC 7301).
const ALPN: &[u8] = b"medipeps/1";
/// What WebSocket begins with, within the TLS of TCP.
pub(super) const ALPN_HTTP1: &[u8] = b"http/1.1";

/// The variable that names a file with further certificate authorities, in PEM: a hospital group's own, for instance.
pub(super) const AUTHORITIES_VARIABLE: &str = "MEDIPEPS_AUTHORITIES";

/// Which certificates are good.
#[derive(Debug, Clone)]
pub(super) enum CertificateTrust {
    /// Any: the server is known by its own key.
    ServerKey,
    /// Those that lead to one of these roots and name the host.
    Roots(Arc<RootCertStore>),
    /// Those that lead to one of these roots and are for this name, whatever the host is called.
    RootsForName(Arc<RootCertStore>, String),
}

impl CertificateTrust {
    /// The roots of the Web's PKI, as Mozilla has them, and those in the file that [`AUTHORITIES_VARIABLE`] names. What is
    /// wrong with that file is the error. The certificate must be for this name, or for the host.
    pub(super) fn web_pki(name: Option<&str>) -> Result<Self, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = std::env::var_os(AUTHORITIES_VARIABLE) {
            let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(&path).map_err(|error| failed(&error))? {
                let certificate = certificate.map_err(|error| failed(&error))?;
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
        }
        let roots = Arc::new(roots);
        Ok(name.map_or(Self::Roots(roots.clone()), |name| Self::RootsForName(roots, name.to_owned())))
    }

    /// What TLS asks the host for, and what its certificate must name.
    pub(super) fn name<'a>(&'a self, host: &'a str) -> &'a str {
        match self {
            Self::RootsForName(_, name) => name,
            Self::ServerKey | Self::Roots(_) => host,
        }
    }
}

/// The TLS configuration of one connection. None is used for two, so that nothing TLS or QUIC remembers ties them.
pub(super) fn tls_config(trust: &CertificateTrust, alpn: &[u8]) -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut tls = match trust {
        CertificateTrust::ServerKey => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate { provider }))
            .with_no_client_auth(),
        CertificateTrust::Roots(roots) | CertificateTrust::RootsForName(roots, _) => {
            builder.with_root_certificates(roots.clone()).with_no_client_auth()
        }
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.resumption = Resumption::disabled();
    Ok(tls)
}

/// The QUIC configuration of connections to a server that is known by its key alone, for programs that hold very many.
///
/// # Errors
/// TLS refuses it.
pub fn pinned_quic_config(keep_alive: Duration) -> Result<ClientConfig, rustls::Error> {
    quic_config(&CertificateTrust::ServerKey, keep_alive)
}

/// The QUIC configuration of one connection.
pub(super) fn quic_config(trust: &CertificateTrust, keep_alive: Duration) -> Result<ClientConfig, rustls::Error> {
    let tls = tls_config(trust, ALPN)?;
    let quic = QuicClientConfig::try_from(tls).map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport_config(keep_alive))).token_store(Arc::new(NoneTokenStore));
    Ok(config)
}

fn transport_config(keep_alive: Duration) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = VarInt::from_u32(u32::try_from(IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX));
    transport
        .keep_alive_interval(Some(keep_alive))
        .max_idle_timeout(Some(IdleTimeout::from(idle)))
        // The client opens every stream.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    transport
}

/// Takes any certificate, and verifies that the other end holds its key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    /// Only TLS 1.3 is offered.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
