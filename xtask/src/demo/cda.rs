//! The clinical document of the demo, written by core: a discharge summary for a patient who does not exist.

use medipeps_core::document::cda::{
    Author, Body, CdaError, ClinicalDocument, Code, Confidentiality, Encounter, Fault, Identifier, LegalAuthenticator,
    Matricule, NationalIdentity, Organisation, Patient as CdaPatient, PersonName, Professional, Sex, Timestamp,
};

/// What goes into the document.
#[derive(Debug)]
pub(super) struct DischargeSummary<'a> {
    /// When it was written, in seconds since 1970.
    pub(super) written: u64,
    /// Whom it is about.
    pub(super) patient: Patient<'a>,
    /// The author's given and family name.
    pub(super) author: (&'a str, &'a str),
    /// The organisation that keeps the document.
    pub(super) custodian: &'a str,
    /// The body.
    pub(super) text: &'a str,
}

/// A woman who does not exist.
#[derive(Debug)]
pub(super) struct Patient<'a> {
    /// A matricule, under the root that France keeps for demonstrations.
    pub(super) matricule: &'a str,
    /// The given name.
    pub(super) given: &'a str,
    /// The family name.
    pub(super) family: &'a str,
    /// The birth date, `YYYYMMDD`.
    pub(super) born: &'a str,
}

/// The object identifier under which the demo numbers things: that of the example UUID in ITU-T X.667, so it is nobody's.
const DEMO_ROOT: &str = "2.25.329800735698586629295641978511506172918";

impl DischargeSummary<'_> {
    /// The document as XML.
    ///
    /// # Errors
    /// [`CdaError`] for a field that a clinical document cannot have.
    pub(super) fn to_xml(&self) -> Result<Vec<u8>, CdaError> {
        self.document().map_err(|fault| CdaError::Field { field: "the demo's document", fault })?.to_xml()
    }

    fn document(&self) -> Result<ClinicalDocument, Fault> {
        let seconds = i64::try_from(self.written).map_err(|_| Fault::Malformed)?;
        let written = Timestamp::from_unix(seconds, 0)?;
        let own = |extension| Identifier::new(DEMO_ROOT, Some(extension));
        let custodian =
            Organisation { id: Some(own("custodian")?), name: Some(self.custodian.to_owned()), setting: None };
        let author = Professional {
            id: Some(own("author")?),
            profession: None,
            name: Some(PersonName {
                prefix: None,
                given: vec![self.author.0.to_owned()],
                family: self.author.1.to_owned(),
                suffix: None,
            }),
            organisation: Some(custodian.clone()),
        };
        Ok(ClinicalDocument {
            id: own("2026-0117")?,
            set_id: Some(own("2026-0117-set")?),
            version_number: Some(1),
            code: Code::loinc("18842-5", "Discharge summary")?,
            title: "Discharge summary".to_owned(),
            effective_time: written.clone(),
            confidentiality: Confidentiality::Normal,
            language: Some("en-GB".to_owned()),
            patient: CdaPatient {
                national: Some(NationalIdentity::Demonstration(Matricule::new(self.patient.matricule)?)),
                local: Vec::new(),
                birth_name: self.patient.family.to_owned(),
                used_name: None,
                given_names: vec![self.patient.given.to_owned()],
                used_given_name: None,
                birth: Some(self.patient.born.parse()?),
                sex: Sex::Female,
            },
            authors: vec![Author { time: written.clone(), professional: author.clone() }],
            custodian: custodian.clone(),
            legal_authenticator: Some(LegalAuthenticator { time: written.clone(), professional: author }),
            service_events: Vec::new(),
            related_documents: Vec::new(),
            encounter: Some(Encounter {
                code: None,
                start: Some(written),
                end: None,
                facility: custodian.id,
                care_setting: None,
            }),
            body: Body { media_type: "text/plain".to_owned(), data: self.text.as_bytes().to_vec() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::mails;
    use super::*;

    #[test]
    fn what_the_demo_sends_is_a_clinical_document() {
        let (name, xml) = mails::with_report().unwrap().attachment.unwrap();
        assert_eq!(name, "discharge-aubert.xml");
        let document = ClinicalDocument::from_xml(&xml).unwrap();
        assert_eq!(document.patient.birth_name, mails::PATIENT.family);
        assert!(matches!(document.patient.national, Some(NationalIdentity::Demonstration(_))));
        assert!(document.body.data.starts_with(b"Admitted for atrial fibrillation"));
    }

    #[test]
    fn a_patient_with_a_wrong_number_is_refused() {
        let patient = Patient { matricule: "241023155512305", ..mails::PATIENT };
        let summary =
            DischargeSummary { written: 1_700_000_000, patient, author: ("A", "B"), custodian: "C", text: "D" };
        assert!(matches!(summary.to_xml(), Err(CdaError::Field { fault: Fault::CheckKey, .. })));
    }
}
