//! One statement of an organisation, and the signatures of its administrators.

use thiserror::Error;

use super::policy::OrganisationPolicy;
use crate::Address;
use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::{Signature, SigningKey, VerifyingKey};
use crate::label::{self, Label};
use crate::limits::{ADMINISTRATORS_MAX, NAME_LENGTH_MAX, ORGANISATION_STATEMENT_LENGTH_MAX};
use crate::wire::WireError;
use crate::wire::organisation::{OrganisationStatementFields, SignedOrganisationStatement};

/// A statement that keeps its own rules. Who signed it is only known beside the one before: [`super::OrganisationChain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganisationStatement {
    fields: OrganisationStatementFields,
    signed: SignedOrganisationStatement,
    hash: [u8; 32],
}

/// A statement before it is signed: its bytes go from administrator to administrator, and the signatures come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementDraft {
    statement: Vec<u8>,
}

/// One administrator's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdministratorSignature {
    /// Whose.
    pub administrator: VerifyingKey,
    /// Over the statement or the certificate.
    pub signature: Signature,
}

/// Why a statement is refused by itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrganisationError {
    /// It cannot be read.
    #[error("the organisation's statement cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// Over the limit in bytes.
    #[error("the organisation's statement is over {ORGANISATION_STATEMENT_LENGTH_MAX} bytes")]
    TooLong,
    /// The name is blank, too long, or of several lines.
    #[error("the organisation's name is out of bounds")]
    Name,
    /// None, more than the limit, or not ascending.
    #[error("the list of administrators breaks the rules")]
    Administrators,
    /// 0, or more than there are administrators.
    #[error("the threshold is none that the administrators can reach")]
    Threshold,
    /// Version 0, or a hash of the statement before where there can be none, or none where there must be one.
    #[error("the statement's version and its hash of the one before do not fit")]
    Chain,
    /// A field of the policy is out of bounds.
    #[error("the field {0} of the policy is out of bounds")]
    Policy(&'static str),
    /// Signatures that are not ascending by administrator, one twice for instance, or more than there can be.
    #[error("the signatures are not ascending by administrator")]
    SignatureOrder,
}

impl StatementDraft {
    /// The first statement of an organisation, or the next one after `previous`.
    ///
    /// # Errors
    /// [`OrganisationError`] for what would be refused by those who get it.
    pub fn new(
        address: &Address,
        name: &str,
        previous: Option<&OrganisationStatement>,
        (administrators, threshold): (&[VerifyingKey], u32),
        policy: OrganisationPolicy,
        issued: u64,
    ) -> Result<Self, OrganisationError> {
        let version = previous.map_or(Some(1), |previous| previous.version().checked_add(1));
        let mut administrators = administrators.to_vec();
        administrators.sort_unstable();
        let fields = OrganisationStatementFields {
            address: address.clone(),
            name: name.to_owned(),
            version: version.ok_or(OrganisationError::Chain)?,
            previous_hash: previous.map(|previous| previous.hash),
            administrators,
            threshold,
            policy,
            issued,
        };
        let draft = Self { statement: fields.encode() };
        draft.clone().assemble(Vec::new())?;
        Ok(draft)
    }

    /// Reads the bytes that an administrator is asked to sign, so that he sees what they say: see [`Self::preview`].
    ///
    /// # Errors
    /// [`OrganisationError`]
    pub fn decode(statement: &[u8]) -> Result<Self, OrganisationError> {
        let draft = Self { statement: statement.to_vec() };
        draft.clone().assemble(Vec::new())?;
        Ok(draft)
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.statement
    }

    /// What the statement will say. Nobody has signed it.
    ///
    /// # Errors
    /// [`OrganisationError`]
    pub fn preview(&self) -> Result<OrganisationStatement, OrganisationError> {
        self.clone().assemble(Vec::new())
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, administrator: &SigningKey) -> AdministratorSignature {
        sign(administrator, label::ORGANISATION_STATEMENT, &self.statement)
    }

    /// The statement with its signatures, in whatever order they came.
    ///
    /// # Errors
    /// [`OrganisationError`]
    pub fn assemble(
        self,
        mut signatures: Vec<AdministratorSignature>,
    ) -> Result<OrganisationStatement, OrganisationError> {
        signatures.sort_unstable_by_key(|signature| signature.administrator);
        let signed = SignedOrganisationStatement { statement: self.statement, signatures };
        OrganisationStatement::decode(&signed.encode())
    }
}

impl OrganisationStatement {
    /// Reads a statement and checks its own rules. Nothing is said about who signed it.
    ///
    /// # Errors
    /// [`OrganisationError`]
    pub fn decode(encoded: &[u8]) -> Result<Self, OrganisationError> {
        if encoded.len() > ORGANISATION_STATEMENT_LENGTH_MAX {
            return Err(OrganisationError::TooLong);
        }
        let signed = SignedOrganisationStatement::decode(encoded)?;
        let fields = OrganisationStatementFields::decode(&signed.statement)?;
        check_order(&signed.signatures)?;
        let name = &fields.name;
        if name.trim().is_empty() || name.len() > NAME_LENGTH_MAX || name.chars().any(char::is_control) {
            return Err(OrganisationError::Name);
        }
        let administrators = &fields.administrators;
        let ascending = administrators.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || !(1..=ADMINISTRATORS_MAX).contains(&administrators.len()) {
            return Err(OrganisationError::Administrators);
        }
        if !(1..=administrators.len() as u64).contains(&u64::from(fields.threshold)) {
            return Err(OrganisationError::Threshold);
        }
        if fields.version == 0 || (fields.version == 1) != fields.previous_hash.is_none() {
            return Err(OrganisationError::Chain);
        }
        fields.policy.validate()?;
        let hash = labelled_sha256(label::ORGANISATION_HASH, &[&signed.statement]);
        Ok(Self { fields, signed, hash })
    }

    /// The organisation's account.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.fields.address
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.fields.name
    }

    /// 1 and up.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.fields.version
    }

    /// Of the statement before; `None` in version 1.
    #[must_use]
    pub const fn previous_hash(&self) -> Option<[u8; 32]> {
        self.fields.previous_hash
    }

    /// Who signs the next one, ascending.
    #[must_use]
    pub fn administrators(&self) -> &[VerifyingKey] {
        &self.fields.administrators
    }

    /// How many of them must.
    #[must_use]
    pub const fn threshold(&self) -> u32 {
        self.fields.threshold
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &OrganisationPolicy {
        &self.fields.policy
    }

    /// Milliseconds since 1970, by the clock of who drafted it.
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.fields.issued
    }

    /// SHA-256 of the signed bytes; the next statement names it.
    #[must_use]
    pub const fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The statement as it travels.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        self.signed.encode()
    }

    /// An administrator's signature.
    #[must_use]
    pub fn sign(&self, administrator: &SigningKey) -> AdministratorSignature {
        sign(administrator, label::ORGANISATION_STATEMENT, &self.signed.statement)
    }

    /// The same statement with one more signature, or with a newer one of the same administrator.
    #[must_use]
    pub fn with_signature(mut self, signature: AdministratorSignature) -> Self {
        add_signature(&mut self.signed.signatures, signature);
        self
    }

    /// The signatures that it has, good or not.
    #[must_use]
    pub fn signatures(&self) -> &[AdministratorSignature] {
        &self.signed.signatures
    }

    /// By which a statement is known to those who are to sign it, whoever has signed already.
    #[must_use]
    pub fn draft_id(&self) -> [u8; 32] {
        labelled_sha256(label::ORGANISATION_DRAFT, &[&self.signed.statement])
    }

    /// Which of these administrators have signed it.
    #[must_use]
    pub fn signed_by(&self, administrators: &[VerifyingKey]) -> Vec<VerifyingKey> {
        let (statement, signatures) = (&self.signed.statement, &self.signed.signatures);
        signed_by(administrators, label::ORGANISATION_STATEMENT, statement, signatures)
    }

    /// How many of these administrators have signed it.
    pub(super) fn signers(&self, administrators: &[VerifyingKey]) -> usize {
        self.signed_by(administrators).len()
    }
}

pub(super) fn sign(administrator: &SigningKey, label: Label, bytes: &[u8]) -> AdministratorSignature {
    let signature = administrator.sign(label, &[bytes]);
    AdministratorSignature { administrator: administrator.verifying_key(), signature }
}

/// Refuses the same administrator twice, and so many that verifying them would be work.
pub(super) fn check_order(signatures: &[AdministratorSignature]) -> Result<(), OrganisationError> {
    let ascending = signatures.windows(2).all(|pair| pair[0].administrator < pair[1].administrator);
    if ascending && signatures.len() <= ADMINISTRATORS_MAX { Ok(()) } else { Err(OrganisationError::SignatureOrder) }
}

/// Puts a signature in its place; one of the same administrator goes.
pub(super) fn add_signature(signatures: &mut Vec<AdministratorSignature>, signature: AdministratorSignature) {
    signatures.retain(|other| other.administrator != signature.administrator);
    signatures.push(signature);
    signatures.sort_unstable_by_key(|signature| signature.administrator);
}

/// Which of these administrators have signed. Signatures of others do not count and do no harm: an administrator may have
/// been removed since. The signatures are ascending, so nobody counts twice.
pub(super) fn signed_by(
    administrators: &[VerifyingKey],
    label: Label,
    bytes: &[u8],
    signatures: &[AdministratorSignature],
) -> Vec<VerifyingKey> {
    let listed = signatures.iter().filter(|signature| administrators.contains(&signature.administrator));
    let good = |one: &&AdministratorSignature| one.administrator.verify(label, &[bytes], &one.signature).is_ok();
    listed.filter(good).map(|signature| signature.administrator).collect()
}
