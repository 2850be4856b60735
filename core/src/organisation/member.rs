//! An organisation's word for a member.

use thiserror::Error;

use super::chain::{OrganisationChain, OrganisationId};
use super::statement::{AdministratorSignature, OrganisationError, add_signature, check_order, sign, signed_by};
use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::{SigningKey, VerifyingKey};
use crate::kind::Author;
use crate::label;
use crate::limits::{MEMBER_CERTIFICATE_LENGTH_MAX, NAME_LENGTH_MAX};
use crate::wire::WireError;
use crate::wire::organisation::{MemberCertificateFields, SignedMemberCertificate};

/// A certificate as it is carried. It says nothing before [`OrganisationChain::membership`] has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberCertificate {
    fields: MemberCertificateFields,
    signed: SignedMemberCertificate,
}

/// That an account belongs to an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Which organisation.
    pub organisation: OrganisationId,
    /// The certificate's serial.
    pub serial: u64,
    /// For instance "nurse".
    pub role: String,
    /// From when it does not hold any more, in milliseconds since 1970.
    pub ends: u64,
}

/// Why an account does not count as a member.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MembershipError {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// Over the limit in bytes.
    #[error("the certificate is over {MEMBER_CERTIFICATE_LENGTH_MAX} bytes")]
    TooLong,
    /// Serial 0, a role that is blank, too long or of several lines, or an end before its beginning.
    #[error("the field {0} of the certificate is out of bounds")]
    Field(&'static str),
    /// The signatures are not ascending.
    #[error(transparent)]
    Signatures(OrganisationError),
    /// It is of another organisation.
    #[error("the certificate is of another organisation")]
    OtherOrganisation,
    /// It is for another account, or for the same address under another account key.
    #[error("the certificate is for another account")]
    OtherAccount,
    /// Too few of the administrators that are named now have signed it: it never was good, or an administrator has been removed
    /// and it has to be signed anew.
    #[error("{valid} administrators have signed the certificate; {needed} are needed")]
    NotEnoughSignatures {
        /// Whose signatures verify.
        valid: usize,
        /// How many are needed.
        needed: u32,
    },
    /// It has been taken back.
    #[error("the certificate has been revoked")]
    Revoked,
    /// It does not hold yet.
    #[error("the certificate holds from {issued} on")]
    NotYet {
        /// Milliseconds since 1970.
        issued: u64,
    },
    /// It does not hold any more.
    #[error("the certificate has ended at {ends}")]
    Expired {
        /// Milliseconds since 1970.
        ends: u64,
    },
}

impl MemberCertificate {
    /// A certificate that nobody has signed yet. `issued` and `ends` are in milliseconds since 1970, the end not included.
    ///
    /// # Errors
    /// [`MembershipError`] for what would be refused by those who get it.
    pub fn draft(
        organisation: OrganisationId,
        serial: u64,
        account: &Author,
        role: &str,
        issued: u64,
        ends: u64,
    ) -> Result<Self, MembershipError> {
        let fields = MemberCertificateFields {
            organisation: organisation.0,
            serial,
            address: account.address.clone(),
            account_key: account.account_key,
            role: role.to_owned(),
            issued,
            ends,
        };
        let signed = SignedMemberCertificate { certificate: fields.encode(), signatures: Vec::new() };
        Self::decode(&signed.encode())
    }

    /// Reads a certificate and checks its own rules.
    ///
    /// # Errors
    /// [`MembershipError`]
    pub fn decode(encoded: &[u8]) -> Result<Self, MembershipError> {
        if encoded.len() > MEMBER_CERTIFICATE_LENGTH_MAX {
            return Err(MembershipError::TooLong);
        }
        let signed = SignedMemberCertificate::decode(encoded)?;
        let fields = MemberCertificateFields::decode(&signed.certificate)?;
        check_order(&signed.signatures).map_err(MembershipError::Signatures)?;
        let role = &fields.role;
        if role.trim().is_empty() || role.len() > NAME_LENGTH_MAX || role.chars().any(char::is_control) {
            return Err(MembershipError::Field("role"));
        }
        if fields.serial == 0 {
            return Err(MembershipError::Field("serial"));
        }
        if fields.ends <= fields.issued { Err(MembershipError::Field("ends")) } else { Ok(Self { fields, signed }) }
    }

    /// An administrator's signature.
    #[must_use]
    pub fn sign(&self, administrator: &SigningKey) -> AdministratorSignature {
        sign(administrator, label::ORGANISATION_MEMBER, &self.signed.certificate)
    }

    /// The same certificate with one more signature, or with a newer one of the same administrator.
    #[must_use]
    pub fn with_signature(mut self, signature: AdministratorSignature) -> Self {
        add_signature(&mut self.signed.signatures, signature);
        self
    }

    /// The organisation that it says.
    #[must_use]
    pub const fn organisation(&self) -> OrganisationId {
        OrganisationId(self.fields.organisation)
    }

    /// Whom it is about.
    #[must_use]
    pub fn account(&self) -> Author {
        Author { address: self.fields.address.clone(), account_key: self.fields.account_key }
    }

    /// For instance "nurse".
    #[must_use]
    pub fn role(&self) -> &str {
        &self.fields.role
    }

    /// From when it holds, and from when it does not, in milliseconds since 1970.
    #[must_use]
    pub const fn period(&self) -> (u64, u64) {
        (self.fields.issued, self.fields.ends)
    }

    /// The signatures that it has, good or not.
    #[must_use]
    pub fn signatures(&self) -> &[AdministratorSignature] {
        &self.signed.signatures
    }

    /// By which a certificate is known to those who are to sign it, whoever has signed already.
    #[must_use]
    pub fn draft_id(&self) -> [u8; 32] {
        labelled_sha256(label::ORGANISATION_DRAFT, &[&self.signed.certificate])
    }

    /// Which of these administrators have signed it.
    #[must_use]
    pub fn signed_by(&self, administrators: &[VerifyingKey]) -> Vec<VerifyingKey> {
        let (certificate, signatures) = (&self.signed.certificate, &self.signed.signatures);
        signed_by(administrators, label::ORGANISATION_MEMBER, certificate, signatures)
    }

    /// Its serial.
    #[must_use]
    pub const fn serial(&self) -> u64 {
        self.fields.serial
    }

    /// The certificate as it travels.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        self.signed.encode()
    }
}

impl OrganisationChain {
    /// Whether an account, as a session or a group has authenticated it, is a member at this time, in milliseconds since 1970.
    ///
    /// Signatures are counted among the administrators that are named **now**. Those of an administrator who was removed count
    /// for nothing, whatever date stands beside them: whoever has stolen a key can date back.
    ///
    /// # Errors
    /// [`MembershipError`]
    pub fn membership(
        &self,
        certificate: &MemberCertificate,
        account: &Author,
        at: u64,
    ) -> Result<Membership, MembershipError> {
        let fields = &certificate.fields;
        if fields.organisation != self.id().0 {
            return Err(MembershipError::OtherOrganisation);
        }
        if fields.address != account.address || fields.account_key != account.account_key {
            return Err(MembershipError::OtherAccount);
        }
        let (administrators, needed) = (self.current().administrators(), self.current().threshold());
        let valid = certificate.signed_by(administrators).len();
        if (valid as u64) < u64::from(needed) {
            return Err(MembershipError::NotEnoughSignatures { valid, needed });
        }
        if self.current().policy().is_revoked(fields.serial) {
            return Err(MembershipError::Revoked);
        }
        if at < fields.issued {
            return Err(MembershipError::NotYet { issued: fields.issued });
        }
        if at >= fields.ends {
            return Err(MembershipError::Expired { ends: fields.ends });
        }
        let (serial, role, ends) = (fields.serial, fields.role.clone(), fields.ends);
        Ok(Membership { organisation: self.id(), serial, role, ends })
    }
}
