//! Other domains as a client knows them: the trust list that it follows, the domains of it, and those that have left.

use prost::Message;

use super::{optional_id, text};
use crate::crypto::signature::VerifyingKey;
use crate::trust_list::TrustedDomain;
use crate::wire::identity::verifying_key;
use crate::wire::{WireError, proto, trust_list};

/// Which trust list is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustListRecord {
    /// Who signs it.
    pub signer: VerifyingKey,
    /// Other domains are not reached at all.
    pub only_listed: bool,
    /// Number and digest of the newest list that was taken.
    pub known: Option<(u64, [u8; 32])>,
    /// When that was issued, in milliseconds since 1970.
    pub issued: u64,
    /// From when on it is not followed, in milliseconds since 1970.
    pub expires: u64,
    /// When the own server was last asked for a newer one, in milliseconds since 1970.
    pub asked: u64,
    /// Why the last list that came was not taken.
    pub problem: Option<String>,
}

/// What the list has of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDomainRecord(pub TrustedDomain);

/// A domain that was on an earlier list and is on none since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepartedDomainRecord {
    /// Of the first list without it.
    pub number: u64,
    /// When that list was taken, in milliseconds since 1970.
    pub at: u64,
}

impl TrustListRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientTrustList {
            signer: self.signer.as_bytes().to_vec(),
            only_listed: self.only_listed,
            number: self.known.map_or(0, |(number, _)| number),
            digest: self.known.map(|(_, digest)| digest.to_vec()).unwrap_or_default(),
            issued: self.issued,
            expires: self.expires,
            asked: self.asked,
            problem: self.problem.clone().unwrap_or_default(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientTrustList::decode(bytes)?;
        let known = match (record.number, optional_id(&record.digest, "digest")?) {
            (0, None) => None,
            (number, Some(digest)) if number != 0 => Some((number, digest)),
            _ => return Err(WireError::Bounds("digest")),
        };
        Ok(Self {
            signer: verifying_key(&record.signer, "signer")?,
            only_listed: record.only_listed,
            known,
            issued: record.issued,
            expires: record.expires,
            asked: record.asked,
            problem: text(record.problem),
        })
    }
}

impl ListedDomainRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientListedDomain { domain: Some(trust_list::domain_to_proto(&self.0)) }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientListedDomain::decode(bytes)?;
        Ok(Self(trust_list::domain_from_proto(record.domain.ok_or(WireError::Missing("domain"))?)?))
    }
}

impl DepartedDomainRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientDepartedDomain { number: self.number, at: self.at }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientDepartedDomain::decode(bytes)?;
        Ok(Self { number: record.number, at: record.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signature::SigningKey;
    use crate::vectors::secret;

    #[test]
    fn the_records_come_back_as_they_were() {
        let key = SigningKey::from_secret(&secret(1)).verifying_key();
        let none = TrustListRecord {
            signer: key,
            only_listed: true,
            known: None,
            issued: 0,
            expires: 0,
            asked: 0,
            problem: Some("older".into()),
        };
        let some = TrustListRecord { known: Some((3, [4; 32])), issued: 5, expires: 6, asked: 7, ..none.clone() };
        for record in [none, some] {
            assert_eq!(TrustListRecord::decode(&record.encode()), Ok(record));
        }
        let (domain, host) = ("clinic.example".into(), "2001:db8::1".into());
        let listed = TrustedDomain { domain, host, port: 1, server_key: key, spki_pins: vec![[2; 32]] };
        let listed = ListedDomainRecord(listed);
        assert_eq!(ListedDomainRecord::decode(&listed.encode()), Ok(listed));
        let departed = DepartedDomainRecord { number: 4, at: 5 };
        assert_eq!(DepartedDomainRecord::decode(&departed.encode()), Ok(departed));
    }
}
