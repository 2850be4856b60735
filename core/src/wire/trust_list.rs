//! `spec/proto/trust_list.proto`. Encodings only; [`crate::trust_list`] checks what they say.

use prost::Message;

use super::identity::verifying_key;
use super::{WireError, fixed, proto};
use crate::address::is_domain;
use crate::crypto::signature::Signature;
use crate::limits::{SPKI_PINS_MAX, TRUST_LIST_DOMAINS_MAX, TRUST_LIST_LENGTH_MAX};
use crate::trust_list::{TrustListFields, TrustedDomain, is_host};

/// A trust list as it is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTrustList {
    /// An encoded `TrustList`, the exact bytes that were signed.
    pub list: Vec<u8>,
    /// By the list's signer.
    pub signature: Signature,
}

impl SignedTrustList {
    /// The list as it travels, and as it is in a file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::SignedTrustList { list: self.list.clone(), signature: self.signature.to_vec() }.encode_to_vec()
    }

    /// Reads it. Nothing is verified by this.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > TRUST_LIST_LENGTH_MAX {
            return Err(WireError::Bounds("trust_list"));
        }
        let message = proto::SignedTrustList::decode(bytes)?;
        Ok(Self { signature: fixed(&message.signature, "signature")?, list: message.list })
    }
}

impl TrustListFields {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let domains = self.domains.iter().map(domain_to_proto);
        proto::TrustList { number: self.number, issued: self.issued, expires: self.expires, domains: domains.collect() }
            .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::TrustList::decode(bytes)?;
        if message.domains.len() > TRUST_LIST_DOMAINS_MAX {
            return Err(WireError::Bounds("domains"));
        }
        let domains = message.domains.into_iter().map(domain_from_proto).collect::<Result<_, _>>()?;
        Ok(Self { number: message.number, issued: message.issued, expires: message.expires, domains })
    }
}

pub(super) fn domain_to_proto(one: &TrustedDomain) -> proto::TrustedDomain {
    proto::TrustedDomain {
        domain: one.domain.clone(),
        host: one.host.clone(),
        port: u32::from(one.port),
        server_key: one.server_key.as_bytes().to_vec(),
        spki_pins: one.spki_pins.iter().map(|pin| pin.to_vec()).collect(),
    }
}

pub(super) fn domain_from_proto(message: proto::TrustedDomain) -> Result<TrustedDomain, WireError> {
    if !is_domain(&message.domain) {
        return Err(WireError::Bounds("domain"));
    }
    if !is_host(&message.host) {
        return Err(WireError::Bounds("host"));
    }
    let port = u16::try_from(message.port).ok().filter(|port| *port != 0).ok_or(WireError::Bounds("port"))?;
    if message.spki_pins.len() > SPKI_PINS_MAX {
        return Err(WireError::Bounds("spki_pins"));
    }
    let pins = message.spki_pins.iter().map(|pin| fixed(pin, "spki_pins"));
    Ok(TrustedDomain {
        server_key: verifying_key(&message.server_key, "server_key")?,
        spki_pins: pins.collect::<Result<_, _>>()?,
        domain: message.domain,
        host: message.host,
        port,
    })
}
