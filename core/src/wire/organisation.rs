//! `spec/proto/organisation.proto`. Encodings only; [`crate::organisation`] checks what they say.

mod message;

use prost::Message;

pub(crate) use message::{decode_message, encode_message};

use super::identity::verifying_key;
use super::{WireError, fixed, proto};
use crate::Address;
use crate::crypto::signature::VerifyingKey;
use crate::limits::{ADMINISTRATORS_MAX, ON_CALL_ENTRIES_MAX, REVOKED_SERIALS_MAX};
use crate::organisation::{AdministratorSignature, BreakGlass, OnCallEntry, OrganisationPolicy, OrganisationService};

/// The fields of an organisation's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationStatementFields {
    /// The organisation's account.
    pub address: Address,
    /// Its name.
    pub name: String,
    /// 1 and up.
    pub version: u64,
    /// Of the statement before; `None` in version 1.
    pub previous_hash: Option<[u8; 32]>,
    /// Ascending.
    pub administrators: Vec<VerifyingKey>,
    /// How many of them must sign.
    pub threshold: u32,
    /// The policy.
    pub policy: OrganisationPolicy,
    /// Milliseconds since 1970.
    pub issued: u64,
}

/// A statement as it is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOrganisationStatement {
    /// The exact bytes that were signed.
    pub statement: Vec<u8>,
    /// Ascending by administrator.
    pub signatures: Vec<AdministratorSignature>,
}

/// The fields of a member's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberCertificateFields {
    /// The hash of the organisation's first statement.
    pub organisation: [u8; 32],
    /// 1 and up.
    pub serial: u64,
    /// The member's account.
    pub address: Address,
    /// Its key.
    pub account_key: VerifyingKey,
    /// For instance "nurse".
    pub role: String,
    /// From when it holds, in milliseconds since 1970.
    pub issued: u64,
    /// From when it does not hold, in milliseconds since 1970.
    pub ends: u64,
}

/// A certificate as it is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMemberCertificate {
    /// The exact bytes that were signed.
    pub certificate: Vec<u8>,
    /// Ascending by administrator.
    pub signatures: Vec<AdministratorSignature>,
}

impl OrganisationStatementFields {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::OrganisationStatement {
            address: self.address.to_string(),
            name: self.name.clone(),
            version: self.version,
            previous_hash: self.previous_hash.map(|hash| hash.to_vec()).unwrap_or_default(),
            administrators: self.administrators.iter().map(|key| key.as_bytes().to_vec()).collect(),
            threshold: self.threshold,
            policy: Some(encode_policy(&self.policy)),
            issued: self.issued,
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::OrganisationStatement::decode(bytes)?;
        if message.administrators.len() > ADMINISTRATORS_MAX {
            return Err(WireError::Bounds("administrators"));
        }
        let administrators = message.administrators.iter().map(|key| verifying_key(key, "administrators"));
        Ok(Self {
            address: address(&message.address, "address")?,
            name: message.name,
            version: message.version,
            previous_hash: match message.previous_hash.as_slice() {
                [] => None,
                hash => Some(fixed(hash, "previous_hash")?),
            },
            administrators: administrators.collect::<Result<_, _>>()?,
            threshold: message.threshold,
            policy: decode_policy(message.policy.ok_or(WireError::Missing("policy"))?)?,
            issued: message.issued,
        })
    }
}

impl SignedOrganisationStatement {
    /// The statement as it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let signatures = encode_signatures(&self.signatures);
        proto::SignedOrganisationStatement { statement: self.statement.clone(), signatures }.encode_to_vec()
    }

    /// Reads it. Nothing is verified by this.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedOrganisationStatement::decode(bytes)?;
        Ok(Self { signatures: decode_signatures(&message.signatures)?, statement: message.statement })
    }
}

impl MemberCertificateFields {
    /// The bytes to sign.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::MemberCertificate {
            organisation: self.organisation.to_vec(),
            serial: self.serial,
            address: self.address.to_string(),
            account_key: self.account_key.as_bytes().to_vec(),
            role: self.role.clone(),
            issued: self.issued,
            ends: self.ends,
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::MemberCertificate::decode(bytes)?;
        Ok(Self {
            organisation: fixed(&message.organisation, "organisation")?,
            serial: message.serial,
            address: address(&message.address, "address")?,
            account_key: verifying_key(&message.account_key, "account_key")?,
            role: message.role,
            issued: message.issued,
            ends: message.ends,
        })
    }
}

impl SignedMemberCertificate {
    /// The certificate as it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let signatures = encode_signatures(&self.signatures);
        proto::SignedMemberCertificate { certificate: self.certificate.clone(), signatures }.encode_to_vec()
    }

    /// Reads it. Nothing is verified by this.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::SignedMemberCertificate::decode(bytes)?;
        Ok(Self { signatures: decode_signatures(&message.signatures)?, certificate: message.certificate })
    }
}

impl OrganisationService {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        let known = match self {
            Self::Mail => proto::OrganisationService::Mail,
            Self::Chat => proto::OrganisationService::Chat,
            Self::SharedRecord => proto::OrganisationService::SharedRecord,
            Self::Post => proto::OrganisationService::Post,
            Self::Teleconsultation => proto::OrganisationService::Teleconsultation,
            Self::Sms => proto::OrganisationService::Sms,
            Self::Payment => proto::OrganisationService::Payment,
            Self::Chatbot => proto::OrganisationService::Chatbot,
            Self::Portal => proto::OrganisationService::Portal,
            Self::ReceptionKiosk => proto::OrganisationService::ReceptionKiosk,
            Self::VirtualPrinter => proto::OrganisationService::VirtualPrinter,
            Self::Directory => proto::OrganisationService::Directory,
            Self::Consent => proto::OrganisationService::Consent,
            Self::PatientMail => proto::OrganisationService::PatientMail,
            Self::TeleExpertise => proto::OrganisationService::TeleExpertise,
            Self::Office => proto::OrganisationService::Office,
            Self::Later(number) => return number,
        };
        known as u32
    }

    /// The service of a number; one that is not known here stays a number.
    #[must_use]
    pub fn of_number(number: u32) -> Self {
        match i32::try_from(number).map(proto::OrganisationService::try_from) {
            Ok(Ok(proto::OrganisationService::Mail)) => Self::Mail,
            Ok(Ok(proto::OrganisationService::Chat)) => Self::Chat,
            Ok(Ok(proto::OrganisationService::SharedRecord)) => Self::SharedRecord,
            Ok(Ok(proto::OrganisationService::Post)) => Self::Post,
            Ok(Ok(proto::OrganisationService::Teleconsultation)) => Self::Teleconsultation,
            Ok(Ok(proto::OrganisationService::Sms)) => Self::Sms,
            Ok(Ok(proto::OrganisationService::Payment)) => Self::Payment,
            Ok(Ok(proto::OrganisationService::Chatbot)) => Self::Chatbot,
            Ok(Ok(proto::OrganisationService::Portal)) => Self::Portal,
            Ok(Ok(proto::OrganisationService::ReceptionKiosk)) => Self::ReceptionKiosk,
            Ok(Ok(proto::OrganisationService::VirtualPrinter)) => Self::VirtualPrinter,
            Ok(Ok(proto::OrganisationService::Directory)) => Self::Directory,
            Ok(Ok(proto::OrganisationService::Consent)) => Self::Consent,
            Ok(Ok(proto::OrganisationService::PatientMail)) => Self::PatientMail,
            Ok(Ok(proto::OrganisationService::TeleExpertise)) => Self::TeleExpertise,
            Ok(Ok(proto::OrganisationService::Office)) => Self::Office,
            Ok(Ok(proto::OrganisationService::Unspecified) | Err(_)) | Err(_) => Self::Later(number),
        }
    }
}

fn encode_policy(policy: &OrganisationPolicy) -> proto::OrganisationPolicy {
    proto::OrganisationPolicy {
        services: policy.services.iter().map(|service| service.number()).collect(),
        seats: policy.seats,
        retention_days: policy.retention_days.unwrap_or(0),
        break_glass: policy.break_glass.as_ref().map(|glass| proto::BreakGlass {
            who: texts(&glass.who),
            required: glass.required,
            duration: glass.duration,
            notified: texts(&glass.notified),
            log_id: glass.log_id.to_vec(),
        }),
        on_call: policy
            .on_call
            .iter()
            .map(|entry| proto::OnCallEntry {
                from: entry.from,
                until: entry.until,
                function: entry.function.clone(),
                addresses: texts(&entry.addresses),
            })
            .collect(),
        revoked: policy.revoked.clone(),
        serials_from: policy.serials_from,
        officer: policy.officer.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn decode_policy(policy: proto::OrganisationPolicy) -> Result<OrganisationPolicy, WireError> {
    if policy.on_call.len() > ON_CALL_ENTRIES_MAX {
        return Err(WireError::Bounds("on_call"));
    }
    if policy.revoked.len() > REVOKED_SERIALS_MAX {
        return Err(WireError::Bounds("revoked"));
    }
    let glass = |glass: proto::BreakGlass| {
        Ok::<_, WireError>(BreakGlass {
            who: addresses(&glass.who, "break_glass.who")?,
            required: glass.required,
            duration: glass.duration,
            notified: addresses(&glass.notified, "break_glass.notified")?,
            log_id: fixed(&glass.log_id, "break_glass.log_id")?,
        })
    };
    let entry = |entry: proto::OnCallEntry| {
        let addresses = addresses(&entry.addresses, "on_call.addresses")?;
        Ok(OnCallEntry { from: entry.from, until: entry.until, function: entry.function, addresses })
    };
    Ok(OrganisationPolicy {
        services: policy.services.into_iter().map(OrganisationService::of_number).collect(),
        seats: policy.seats,
        retention_days: Some(policy.retention_days).filter(|&days| days != 0),
        break_glass: policy.break_glass.map(glass).transpose()?,
        on_call: policy.on_call.into_iter().map(entry).collect::<Result<_, WireError>>()?,
        revoked: policy.revoked,
        serials_from: policy.serials_from,
        officer: match policy.officer.as_str() {
            "" => None,
            text => Some(address(text, "officer")?),
        },
    })
}

fn encode_signatures(signatures: &[AdministratorSignature]) -> Vec<proto::AdministratorSignature> {
    let signature = |signature: &AdministratorSignature| proto::AdministratorSignature {
        administrator: signature.administrator.as_bytes().to_vec(),
        signature: signature.signature.to_vec(),
    };
    signatures.iter().map(signature).collect()
}

fn decode_signatures(signatures: &[proto::AdministratorSignature]) -> Result<Vec<AdministratorSignature>, WireError> {
    if signatures.len() > ADMINISTRATORS_MAX {
        return Err(WireError::Bounds("signatures"));
    }
    let signature = |message: &proto::AdministratorSignature| {
        Ok(AdministratorSignature {
            administrator: verifying_key(&message.administrator, "signatures.administrator")?,
            signature: fixed(&message.signature, "signatures.signature")?,
        })
    };
    signatures.iter().map(signature).collect()
}

pub(in crate::wire) fn address(text: &str, field: &'static str) -> Result<Address, WireError> {
    Address::from_canonical(text).map_err(|_| WireError::Bounds(field))
}

fn addresses(texts: &[String], field: &'static str) -> Result<Vec<Address>, WireError> {
    texts.iter().map(|text| address(text, field)).collect()
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
