//! `spec/proto/client_organisations.proto`: organisations as a device has them.

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use super::{address, secret, some_bytes, text};
use crate::Address;
use crate::crypto::secret::Secret;
use crate::crypto::signature::VerifyingKey;
use crate::kind::OrganisationDraft;
use crate::organisation::{ChainLink, OrganisationId};
use crate::wire::identity::verifying_key;
use crate::wire::{WireError, fixed, proto};

/// How a device stands to an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganisationStanding {
    /// Somebody has told of it; no person has confirmed it.
    Offered,
    /// A person has confirmed its id.
    Joined,
    /// There are two statements of one version: nothing of it is trusted until a person has decided.
    Forked,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationRecord {
    /// Which.
    pub id: OrganisationId,
    /// How this device stands to it.
    pub standing: OrganisationStanding,
    /// One a statement, from the first on.
    pub links: Vec<ChainLink>,
    /// The newest statement, encoded.
    pub current: Vec<u8>,
    /// Who has told of it.
    pub offered_by: Option<Address>,
    /// Milliseconds since 1970; 0: not yet.
    pub joined: u64,
    /// Another statement of a known version, encoded.
    pub fork: Option<Vec<u8>>,
    /// The own certificate, encoded.
    pub certificate: Option<Vec<u8>>,
    /// Where administrators are reached, as far as this device was told.
    pub administrators: Vec<(VerifyingKey, Address)>,
    /// Hashes of statements against which a person has decided.
    pub rejected: Vec<[u8; 32]>,
    /// When a colleague is asked for newer statements, in milliseconds since 1970.
    pub next_ask: u64,
    /// When groups are held against certificates and policy, in milliseconds since 1970.
    pub next_check: u64,
}

/// What is known of another member of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationMemberRecord {
    /// Of which organisation.
    pub organisation: OrganisationId,
    /// Who.
    pub address: Address,
    /// Encoded certificates, the newest last.
    pub certificates: Vec<Vec<u8>>,
    /// When the own certificate was last shown to him, in milliseconds since 1970; 0: never.
    pub shown: u64,
    /// When he was last asked for something, in milliseconds since 1970; 0: never.
    pub asked: u64,
}

/// Something that administrators are to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationDraftRecord {
    /// Of which organisation.
    pub organisation: OrganisationId,
    /// What, with the signatures so far.
    pub draft: OrganisationDraft,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Who has sent it.
    pub from: Option<Address>,
    /// A key of this device has signed it.
    pub signed: bool,
    /// Where administrators are reached.
    pub administrators: Vec<(VerifyingKey, Address)>,
}

/// A message about an organisation that is not whole yet, or whose sender is not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationArrivalRecord {
    /// Of the whole.
    pub digest: [u8; 32],
    /// Who sends it.
    pub sender: Address,
    /// Under which account key.
    pub account_key: VerifyingKey,
    /// The sender is a contact by that key.
    pub checked: bool,
    /// Bytes of the whole.
    pub length: u32,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Ascending.
    pub pieces: Vec<(u32, Vec<u8>)>,
}

/// Access in an emergency, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlassRecord {
    /// Whose policy allows it.
    pub organisation: OrganisationId,
    /// Names the request.
    pub request: [u8; 16],
    /// The group in whose log it stands.
    pub log_id: [u8; 32],
    /// Who asks.
    pub requester: Address,
    /// Why.
    pub reason: String,
    /// What is to be opened, in words.
    pub subject: String,
    /// Milliseconds since 1970, by the server's clock.
    pub requested: u64,
    /// Who has agreed, in the order of the log.
    pub agreed: Vec<Address>,
    /// From when to when it is used, in milliseconds since 1970; the end not included.
    pub used: Option<(u64, u64)>,
    /// When it was ended before its time, in milliseconds since 1970.
    pub ended: Option<u64>,
    /// Of this device's own use: its content id in the log.
    pub use_content: Option<[u8; 16]>,
    /// Of this device's own use: who is told, and by which content.
    pub notices: Vec<(Address, [u8; 16])>,
    /// The use is in the log.
    pub logged: bool,
}

/// A key with which this person administers organisations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdministratorKeyRecord {
    /// Ed25519.
    pub secret: Secret<32>,
    /// Milliseconds since 1970.
    pub created: u64,
}

impl OrganisationRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let link = |link: &ChainLink| proto::ClientOrganisationLink {
            hash: link.hash.to_vec(),
            administrators: link.administrators.iter().map(|key| key.as_bytes().to_vec()).collect(),
            threshold: link.threshold,
        };
        proto::ClientOrganisation {
            id: self.id.0.to_vec(),
            standing: match self.standing {
                OrganisationStanding::Offered => 1,
                OrganisationStanding::Joined => 2,
                OrganisationStanding::Forked => 3,
            },
            links: self.links.iter().map(link).collect(),
            current: self.current.clone(),
            offered_by: optional_address(self.offered_by.as_ref()),
            joined: self.joined,
            fork: self.fork.clone().unwrap_or_default(),
            certificate: self.certificate.clone().unwrap_or_default(),
            administrators: encode_administrators(&self.administrators),
            rejected: self.rejected.iter().map(|hash| hash.to_vec()).collect(),
            next_ask: self.next_ask,
            next_check: self.next_check,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOrganisation::decode(bytes)?;
        let link = |link: &proto::ClientOrganisationLink| {
            let administrators = link.administrators.iter().map(|key| verifying_key(key, "links.administrators"));
            Ok(ChainLink {
                hash: fixed(&link.hash, "links.hash")?,
                administrators: administrators.collect::<Result<_, _>>()?,
                threshold: link.threshold,
            })
        };
        Ok(Self {
            id: organisation(&record.id)?,
            standing: match record.standing {
                1 => OrganisationStanding::Offered,
                2 => OrganisationStanding::Joined,
                3 => OrganisationStanding::Forked,
                _ => return Err(WireError::Bounds("standing")),
            },
            links: record.links.iter().map(link).collect::<Result<_, WireError>>()?,
            current: record.current,
            offered_by: text(record.offered_by).map(|one| address(&one)).transpose()?,
            joined: record.joined,
            fork: some_bytes(record.fork),
            certificate: some_bytes(record.certificate),
            administrators: decode_administrators(&record.administrators)?,
            rejected: record.rejected.iter().map(|hash| fixed(hash, "rejected")).collect::<Result<_, _>>()?,
            next_ask: record.next_ask,
            next_check: record.next_check,
        })
    }
}

impl OrganisationMemberRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientOrganisationMember {
            organisation: self.organisation.0.to_vec(),
            address: self.address.to_string(),
            certificates: self.certificates.clone(),
            shown: self.shown,
            asked: self.asked,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOrganisationMember::decode(bytes)?;
        Ok(Self {
            organisation: organisation(&record.organisation)?,
            address: address(&record.address)?,
            certificates: record.certificates,
            shown: record.shown,
            asked: record.asked,
        })
    }
}

impl OrganisationDraftRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (statement, certificate) = match &self.draft {
            OrganisationDraft::Statement(bytes) => (bytes.clone(), Vec::new()),
            OrganisationDraft::Certificate(bytes) => (Vec::new(), bytes.clone()),
        };
        proto::ClientOrganisationDraft {
            organisation: self.organisation.0.to_vec(),
            statement,
            certificate,
            created: self.created,
            from: optional_address(self.from.as_ref()),
            signed: self.signed,
            administrators: encode_administrators(&self.administrators),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOrganisationDraft::decode(bytes)?;
        Ok(Self {
            organisation: organisation(&record.organisation)?,
            draft: match (some_bytes(record.statement), some_bytes(record.certificate)) {
                (Some(statement), None) => OrganisationDraft::Statement(statement),
                (None, Some(certificate)) => OrganisationDraft::Certificate(certificate),
                _ => return Err(WireError::Bounds("draft")),
            },
            created: record.created,
            from: text(record.from).map(|one| address(&one)).transpose()?,
            signed: record.signed,
            administrators: decode_administrators(&record.administrators)?,
        })
    }
}

impl OrganisationArrivalRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let piece =
            |(index, bytes): &(u32, Vec<u8>)| proto::ClientOrganisationPiece { index: *index, bytes: bytes.clone() };
        proto::ClientOrganisationArrival {
            digest: self.digest.to_vec(),
            sender: self.sender.to_string(),
            account_key: self.account_key.as_bytes().to_vec(),
            checked: self.checked,
            length: self.length,
            created: self.created,
            pieces: self.pieces.iter().map(piece).collect(),
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOrganisationArrival::decode(bytes)?;
        Ok(Self {
            digest: fixed(&record.digest, "digest")?,
            sender: address(&record.sender)?,
            account_key: verifying_key(&record.account_key, "account_key")?,
            checked: record.checked,
            length: record.length,
            created: record.created,
            pieces: record.pieces.into_iter().map(|piece| (piece.index, piece.bytes)).collect(),
        })
    }
}

impl BreakGlassRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (from, until) = self.used.unwrap_or_default();
        let notice = |(address, content_id): &(Address, [u8; 16])| proto::ClientBreakGlassNotice {
            address: address.to_string(),
            content_id: content_id.to_vec(),
        };
        proto::ClientBreakGlass {
            organisation: self.organisation.0.to_vec(),
            request: self.request.to_vec(),
            log_id: self.log_id.to_vec(),
            requester: self.requester.to_string(),
            reason: self.reason.clone(),
            subject: self.subject.clone(),
            requested: self.requested,
            agreed: self.agreed.iter().map(ToString::to_string).collect(),
            from,
            until,
            ended: self.ended.unwrap_or(0),
            use_content: self.use_content.map(|id| id.to_vec()).unwrap_or_default(),
            notices: self.notices.iter().map(notice).collect(),
            logged: self.logged,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientBreakGlass::decode(bytes)?;
        let notice = |notice: &proto::ClientBreakGlassNotice| {
            Ok((address(&notice.address)?, fixed(&notice.content_id, "notices.content_id")?))
        };
        Ok(Self {
            organisation: organisation(&record.organisation)?,
            request: fixed(&record.request, "request")?,
            log_id: fixed(&record.log_id, "log_id")?,
            requester: address(&record.requester)?,
            reason: record.reason,
            subject: record.subject,
            requested: record.requested,
            agreed: record.agreed.iter().map(|one| address(one)).collect::<Result<_, _>>()?,
            used: (record.until != 0).then_some((record.from, record.until)),
            ended: (record.ended != 0).then_some(record.ended),
            use_content: super::optional_id(&record.use_content, "use_content")?,
            notices: record.notices.iter().map(notice).collect::<Result<_, WireError>>()?,
            logged: record.logged,
        })
    }
}

impl AdministratorKeyRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut record =
            proto::ClientAdministratorKey { secret: self.secret.as_bytes().to_vec(), created: self.created };
        let bytes = Zeroizing::new(record.encode_to_vec());
        record.secret.zeroize();
        bytes
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientAdministratorKey::decode(bytes)?;
        Ok(Self { secret: secret(record.secret, "secret")?, created: record.created })
    }
}

fn organisation(bytes: &[u8]) -> Result<OrganisationId, WireError> {
    fixed(bytes, "organisation").map(OrganisationId)
}

fn optional_address(address: Option<&Address>) -> String {
    address.map(ToString::to_string).unwrap_or_default()
}

fn encode_administrators(list: &[(VerifyingKey, Address)]) -> Vec<proto::ClientOrganisationAdministrator> {
    let one = |(key, address): &(VerifyingKey, Address)| proto::ClientOrganisationAdministrator {
        key: key.as_bytes().to_vec(),
        address: address.to_string(),
    };
    list.iter().map(one).collect()
}

fn decode_administrators(
    list: &[proto::ClientOrganisationAdministrator],
) -> Result<Vec<(VerifyingKey, Address)>, WireError> {
    let one = |one: &proto::ClientOrganisationAdministrator| {
        Ok((verifying_key(&one.key, "administrators.key")?, address(&one.address)?))
    };
    list.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signature::SigningKey;

    fn who() -> Address {
        "a@b".parse().unwrap()
    }

    fn key(number: u8) -> VerifyingKey {
        SigningKey::from_secret(&Secret::from([number; 32])).verifying_key()
    }

    #[test]
    fn organisations_come_back_as_they_were_stored() {
        let record = OrganisationRecord {
            id: OrganisationId([1; 32]),
            standing: OrganisationStanding::Forked,
            links: vec![ChainLink { hash: [1; 32], administrators: vec![key(1), key(2)], threshold: 2 }],
            current: vec![3],
            offered_by: Some(who()),
            joined: 4,
            fork: Some(vec![5]),
            certificate: Some(vec![6]),
            administrators: vec![(key(1), who())],
            rejected: vec![[7; 32]],
            next_ask: 8,
            next_check: 9,
        };
        assert_eq!(OrganisationRecord::decode(&record.encode()), Ok(record.clone()));
        for standing in [OrganisationStanding::Offered, OrganisationStanding::Joined] {
            let record =
                OrganisationRecord { standing, offered_by: None, fork: None, certificate: None, ..record.clone() };
            assert_eq!(OrganisationRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn what_belongs_to_them_comes_back_too() {
        let organisation = OrganisationId([1; 32]);
        let member = OrganisationMemberRecord {
            organisation,
            address: who(),
            certificates: vec![vec![1], vec![2]],
            shown: 3,
            asked: 4,
        };
        assert_eq!(OrganisationMemberRecord::decode(&member.encode()), Ok(member));
        for draft in [OrganisationDraft::Statement(vec![1]), OrganisationDraft::Certificate(vec![2])] {
            let record = OrganisationDraftRecord {
                organisation,
                draft,
                created: 3,
                from: Some(who()),
                signed: true,
                administrators: vec![(key(1), who())],
            };
            assert_eq!(OrganisationDraftRecord::decode(&record.encode()), Ok(record));
        }
        let arrival = OrganisationArrivalRecord {
            digest: [1; 32],
            sender: who(),
            account_key: key(1),
            checked: true,
            length: 5,
            created: 6,
            pieces: vec![(0, vec![1]), (3, vec![2])],
        };
        assert_eq!(OrganisationArrivalRecord::decode(&arrival.encode()), Ok(arrival));
        let secret = AdministratorKeyRecord { secret: Secret::from([1; 32]), created: 2 };
        assert_eq!(AdministratorKeyRecord::decode(&secret.encode()), Ok(secret));
        let glass = BreakGlassRecord {
            organisation,
            request: [2; 16],
            log_id: [3; 32],
            requester: who(),
            reason: "Why".into(),
            subject: "What".into(),
            requested: 4,
            agreed: vec![who()],
            used: Some((5, 6)),
            ended: Some(7),
            use_content: Some([8; 16]),
            notices: vec![(who(), [9; 16])],
            logged: true,
        };
        assert_eq!(BreakGlassRecord::decode(&glass.encode()), Ok(glass.clone()));
        let asked = BreakGlassRecord { used: None, ended: None, use_content: None, logged: false, ..glass };
        assert_eq!(BreakGlassRecord::decode(&asked.encode()), Ok(asked));
    }
}
