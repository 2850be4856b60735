//! Clinical documents: HL7 CDA Release 2, level 1, with the header that French exchanges expect.
//!
//! [`ClinicalDocument::from_xml`] reads what the type has fields for; the XML itself remains the document. What it accepts,
//! [`ClinicalDocument::to_xml`] writes, and that reads as the same again. `spec/documents.md` has the rules.

mod bounds;
mod identifier;
mod patient;
mod read;
#[cfg(test)]
mod tests;
mod timestamp;
mod write;

use std::fmt;

use thiserror::Error;

pub use identifier::{Code, Identifier, LOINC, ORGANISATION_ROOT, PROFESSIONAL_ROOT};
pub use patient::{Ins, InsAuthority, Matricule, NationalIdentity, Patient, Sex};
pub use timestamp::Timestamp;

use crate::limits::{
    CDA_BODY_LENGTH_MAX, CDA_DEPTH_MAX, CDA_IDENTIFIER_LENGTH_MAX, CDA_LENGTH_MAX, CDA_NODES_MAX, CDA_PARTICIPANTS_MAX,
    CDA_TAG_LENGTH_MAX, CDA_TEXT_LENGTH_MAX,
};

/// The namespace of HL7 version 3.
pub const NAMESPACE: &str = "urn:hl7-org:v3";
/// The type of every CDA Release 2 document: root and extension.
const TYPE_ID: (&str, &str) = ("2.16.840.1.113883.1.3", "POCD_HD000040");
/// Code system of confidentiality.
const CONFIDENTIALITY_SYSTEM: &str = "2.16.840.1.113883.5.25";
/// Code system of administrative sex.
const SEX_SYSTEM: &str = "2.16.840.1.113883.5.1";

/// A clinical document of level 1: a header, and a body in a format of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct ClinicalDocument {
    /// Names this version of the document.
    pub id: Identifier,
    /// Names all versions of it.
    pub set_id: Option<Identifier>,
    /// Counts the versions from 1.
    pub version_number: Option<u32>,
    /// What kind of document it is, in LOINC mostly.
    pub code: Code,
    /// The title.
    pub title: String,
    /// When it was made, with its offset from UTC.
    pub effective_time: Timestamp,
    /// Who may see it.
    pub confidentiality: Confidentiality,
    /// The language (BCP 47), for instance `fr-FR`.
    pub language: Option<String>,
    /// The one patient.
    pub patient: Patient,
    /// Who wrote it, one at least.
    pub authors: Vec<Author>,
    /// The organisation that keeps it.
    pub custodian: Organisation,
    /// Who answers for it.
    pub legal_authenticator: Option<LegalAuthenticator>,
    /// What was done.
    pub service_events: Vec<ServiceEvent>,
    /// Other documents that it stands beside or instead of.
    pub related_documents: Vec<RelatedDocument>,
    /// The stay or visit.
    pub encounter: Option<Encounter>,
    /// The content.
    pub body: Body,
}

/// Who may see a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidentiality {
    /// `N`
    Normal,
    /// `R`
    Restricted,
    /// `V`
    VeryRestricted,
}

/// A person's name.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName {
    /// For instance `MME`.
    pub prefix: Option<String>,
    /// Given names.
    pub given: Vec<String>,
    /// Family name.
    pub family: String,
    /// For instance `DR`.
    pub suffix: Option<String>,
}

/// A professional in one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Professional {
    /// The number; none where the document says that it is unknown.
    pub id: Option<Identifier>,
    /// Profession and specialty.
    pub profession: Option<Code>,
    /// The name.
    pub name: Option<PersonName>,
    /// On whose behalf.
    pub organisation: Option<Organisation>,
}

/// Who wrote a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub professional: Professional,
}

/// Who answers for a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalAuthenticator {
    /// Since when.
    pub time: Timestamp,
    /// Who.
    pub professional: Professional,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// Its number. A custodian has one.
    pub id: Option<Identifier>,
    /// Its name.
    pub name: Option<String>,
    /// The practice setting.
    pub setting: Option<Code>,
}

/// Something that was done to the patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEvent {
    /// What.
    pub code: Option<Code>,
    /// From when.
    pub start: Option<Timestamp>,
    /// Until when.
    pub end: Option<Timestamp>,
    /// By whom.
    pub performer: Option<Professional>,
}

/// The stay or visit in which a document was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encounter {
    /// Its kind.
    pub code: Option<Code>,
    /// From when.
    pub start: Option<Timestamp>,
    /// Until when.
    pub end: Option<Timestamp>,
    /// Number of the facility.
    pub facility: Option<Identifier>,
    /// The care setting of the facility.
    pub care_setting: Option<Code>,
}

/// Another document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelatedDocument {
    /// How it is related.
    pub relation: Relation,
    /// Its id.
    pub id: Identifier,
    /// Its set.
    pub set_id: Option<Identifier>,
    /// Its version.
    pub version_number: Option<u32>,
}

/// How a document is related to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It stands instead of the other: `RPLC`.
    Replaces,
    /// It adds to the other: `APND`.
    Appends,
    /// It is the other in another format: `XFRM`.
    Transforms,
}

/// The content of a document of level 1.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// For instance `application/pdf`.
    pub media_type: String,
    /// The file.
    pub data: Vec<u8>,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// It must be there.
    #[error("is missing")]
    Missing,
    /// It must be there once.
    #[error("is there more than once")]
    Repeated,
    /// There are more than [`CDA_PARTICIPANTS_MAX`].
    #[error("is there too often")]
    TooMany,
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It is longer than its limit.
    #[error("is too long")]
    TooLong,
    /// It has a control character, or one that XML cannot hold, or white space that XML would not keep.
    #[error("has a character that it must not have")]
    Character,
    /// It does not have its form, or is no date of the calendar.
    #[error("does not have its form")]
    Malformed,
    /// The key of a matricule belongs to another number.
    #[error("has a check key of another number")]
    CheckKey,
    /// It has a value that we do not know.
    #[error("has a value that is not supported")]
    Unsupported,
}

/// Why a clinical document is not read or written. No variant holds anything of its text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CdaError {
    /// Over [`CDA_LENGTH_MAX`].
    #[error("the document has {length} bytes; at most {CDA_LENGTH_MAX} are read")]
    TooLarge {
        /// Bytes.
        length: usize,
    },
    /// It is not UTF-8, or says that it is not.
    #[error("the document is not in UTF-8")]
    Encoding,
    /// It is not well-formed XML with namespaces.
    #[error("the document is not well-formed XML, near byte {offset}")]
    Malformed {
        /// Byte offset.
        offset: u64,
    },
    /// It has a document type declaration, which could define entities.
    #[error("the document has a document type declaration")]
    DocumentType,
    /// It refers to an entity other than XML's own five.
    #[error("the document refers to an entity")]
    Entity,
    /// Over [`CDA_DEPTH_MAX`].
    #[error("elements lie deeper than {CDA_DEPTH_MAX}")]
    TooDeep,
    /// Over [`CDA_NODES_MAX`].
    #[error("the document has over {CDA_NODES_MAX} nodes")]
    TooManyNodes,
    /// Over [`CDA_TAG_LENGTH_MAX`], or [`crate::limits::CDA_ATTRIBUTES_MAX`].
    #[error("a start tag is longer than {CDA_TAG_LENGTH_MAX} bytes or has too many attributes")]
    TagTooLong,
    /// The root element is not `ClinicalDocument`.
    #[error("this is not a clinical document")]
    NotClinicalDocument,
    /// The root element is a `ClinicalDocument` of another namespace.
    #[error("this is a ClinicalDocument of another namespace than {NAMESPACE}")]
    WrongNamespace,
    /// The `typeId` is not that of CDA Release 2.
    #[error("the document is not of CDA Release 2")]
    WrongType,
    /// It has more than one `recordTarget`, or two national identities.
    #[error("the document is about more than one patient")]
    SeveralPatients,
    /// It has a structured body (level 2 or 3).
    #[error("the body is structured; only level 1 is read")]
    StructuredBody,
    /// The body is elsewhere.
    #[error("the body is a reference, not part of the document")]
    ExternalBody,
    /// The body is said to be base64 and is not.
    #[error("the body is not base64")]
    BodyEncoding,
    /// Over [`CDA_BODY_LENGTH_MAX`].
    #[error("the body is longer than {CDA_BODY_LENGTH_MAX} bytes")]
    BodyTooLarge,
    /// A field must not be so.
    #[error("{field} {fault}")]
    Field {
        /// Which.
        field: &'static str,
        /// Why.
        fault: Fault,
    },
}

impl CdaError {
    /// An error about a field; for mapping, the field comes first.
    const fn field(field: &'static str, fault: Fault) -> Self {
        Self::Field { field, fault }
    }
}

impl ClinicalDocument {
    /// The document in UTF-8 XML.
    ///
    /// # Errors
    /// [`CdaError::Field`] and [`CdaError::BodyTooLarge`], for what would be refused when read.
    pub fn to_xml(&self) -> Result<Vec<u8>, CdaError> {
        self.validate()?;
        write::write(self)
    }

    /// Reads a document. Nothing is ever fetched, and no entity expanded.
    ///
    /// # Errors
    /// [`CdaError`]
    pub fn from_xml(bytes: &[u8]) -> Result<Self, CdaError> {
        let document = read::read(bytes)?;
        document.validate()?;
        Ok(document)
    }

    /// The same rules for what is read and what is written.
    fn validate(&self) -> Result<(), CdaError> {
        field_text("title", &self.title)?;
        if !self.effective_time.has_offset() {
            return Err(CdaError::field("effectiveTime", Fault::Malformed));
        }
        if self.version_number == Some(0) {
            return Err(CdaError::field("versionNumber", Fault::Malformed));
        }
        if self.language.as_deref().is_some_and(|language| !is_language(language)) {
            return Err(CdaError::field("languageCode", Fault::Malformed));
        }
        self.patient.validate()?;
        if self.authors.is_empty() {
            return Err(CdaError::field("author", Fault::Missing));
        }
        for (count, field) in [
            (self.authors.len(), "author"),
            (self.service_events.len(), "documentationOf"),
            (self.related_documents.len(), "relatedDocument"),
        ] {
            if count > CDA_PARTICIPANTS_MAX {
                return Err(CdaError::field(field, Fault::TooMany));
            }
        }
        self.authors.iter().try_for_each(|author| author.professional.validate("author"))?;
        if self.custodian.id.is_none() {
            return Err(CdaError::field("custodian.id", Fault::Missing));
        }
        if self.custodian.setting.is_some() {
            return Err(CdaError::field("custodian.standardIndustryClassCode", Fault::Unsupported)); // has no place there
        }
        self.custodian.validate("custodian")?;
        self.legal_authenticator.iter().try_for_each(|one| one.professional.validate("legalAuthenticator"))?;
        let mut performers = self.service_events.iter().filter_map(|event| event.performer.as_ref());
        performers.try_for_each(|performer| performer.validate("performer"))?;
        if self.related_documents.iter().any(|related| related.version_number == Some(0)) {
            return Err(CdaError::field("relatedDocument.versionNumber", Fault::Malformed));
        }
        self.body.validate()
    }
}

impl Professional {
    fn validate(&self, field: &'static str) -> Result<(), CdaError> {
        if let Some(name) = &self.name {
            if name.given.len() > CDA_PARTICIPANTS_MAX {
                return Err(CdaError::field(field, Fault::TooMany));
            }
            let mut parts = name.given.iter().chain(&name.prefix).chain(&name.suffix).chain([&name.family]);
            parts.try_for_each(|part| field_text(field, part))?;
        }
        self.organisation.iter().try_for_each(|organisation| organisation.validate(field))
    }
}

impl Organisation {
    fn validate(&self, field: &'static str) -> Result<(), CdaError> {
        if self.id.is_none() && self.name.is_none() && self.setting.is_none() {
            return Err(CdaError::field(field, Fault::Empty)); // XML does not keep that apart from no organisation
        }
        self.name.iter().try_for_each(|name| field_text(field, name))
    }
}

impl Body {
    fn validate(&self) -> Result<(), CdaError> {
        if self.data.len() > CDA_BODY_LENGTH_MAX {
            return Err(CdaError::BodyTooLarge);
        }
        if self.data.is_empty() {
            return Err(CdaError::field("body", Fault::Empty));
        }
        let is_token = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        let is_media_type = self.media_type.len() <= CDA_IDENTIFIER_LENGTH_MAX
            && self.media_type.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
        if is_media_type { Ok(()) } else { Err(CdaError::field("body.mediaType", Fault::Malformed)) }
    }
}

/// Whether the text has the form of a language tag (BCP 47): a language of two or three letters, then subtags.
fn is_language(text: &str) -> bool {
    let mut tags = text.split('-');
    text.len() <= 35
        && tags
            .next()
            .is_some_and(|tag| matches!(tag.len(), 2 | 3) && tag.bytes().all(|byte| byte.is_ascii_alphabetic()))
        && tags.all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn field_text(field: &'static str, text: &str) -> Result<(), CdaError> {
    check_text(text, CDA_TEXT_LENGTH_MAX).map_err(|fault| CdaError::field(field, fault))
}

/// Text of one line that comes back from XML as it was.
fn check_text(text: &str, length_max: usize) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if text.len() > length_max {
        return Err(Fault::TooLong);
    }
    let is_refused = |character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}');
    if text.contains(is_refused) || text.starts_with(' ') || text.ends_with(' ') || text.contains("  ") {
        return Err(Fault::Character);
    }
    Ok(())
}

/// Health data: nothing of it is shown.
impl fmt::Debug for ClinicalDocument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClinicalDocument").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PersonName").finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Body");
        shown.field("media_type", &self.media_type).field("length", &self.data.len()).finish_non_exhaustive()
    }
}
