//! What others publish: the primitives against the vectors of Wycheproof and X-Wing, groups against those of the MLS working
//! group, clinical documents against HL7's schemas and the examples of the French agency. They are read from
//! `MEDIPEPS_VECTORS`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

#[path = "published_vectors/mls.rs"]
mod mls;
#[path = "published_vectors/primitives.rs"]
mod primitives;
#[path = "published_vectors/wycheproof.rs"]
mod wycheproof;

use std::path::PathBuf;
use std::process::Command;

use data_encoding::HEXLOWER;
use medipeps_core::document::cda::{
    Author, Body, ClinicalDocument, Code, Confidentiality, Encounter, Identifier, Ins, InsAuthority,
    LegalAuthenticator, Matricule, NationalIdentity, Organisation, Patient, PersonName, Professional, RelatedDocument,
    Relation, ServiceEvent, Sex,
};
use serde_json::Value;

fn path(name: &str) -> PathBuf {
    let folder = std::env::var_os("MEDIPEPS_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"), PathBuf::from);
    folder.join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name))
        .unwrap_or_else(|error| panic!("{name}: {error}; name the folder of the published vectors in MEDIPEPS_VECTORS"))
}

fn vectors(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// The published examples of CDA Release 2, level 1. The second one's name says R1; its content is Release 2 as well.
const CDA_EXAMPLES: [&str; 2] =
    ["cda/example-CR-BIO_2021.01_CDA-R2-Niveau-1.xml", "cda/example-DOC_NON_STRUCTURE_CDA-R1.xml"];

#[test]
fn published_clinical_documents_are_read() {
    let [laboratory, prescription] = CDA_EXAMPLES
        .map(|name| ClinicalDocument::from_xml(text(name).as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}")));
    assert_eq!(laboratory.title, "Compte rendu d'examens biologiques");
    assert_eq!((laboratory.code.code(), prescription.code.code()), ("11502-2", "57833-6"));
    assert_eq!(laboratory.effective_time.as_str(), "20210104160527+0100");
    assert_eq!(laboratory.set_id, Some(Identifier::new("696C03A5-2604-45B4-8D81-85DFC136C902", None).unwrap()));
    assert_eq!(laboratory.version_number, Some(1));
    assert_eq!(laboratory.confidentiality, Confidentiality::Normal);
    let matricule = Matricule::new("277076322082910").unwrap();
    for document in [&laboratory, &prescription] {
        let patient = &document.patient;
        let ins = Ins { authority: InsAuthority::Nir, matricule: matricule.clone() };
        assert_eq!(patient.national, Some(NationalIdentity::Production(ins)));
        assert_eq!((patient.birth_name.as_str(), patient.used_name.as_deref()), ("NESSI", Some("DECOURCY")));
        assert_eq!(patient.given_names, ["RUTH", "ISABELLE"]);
        assert_eq!((patient.birth.as_ref().unwrap().as_str(), patient.sex), ("19770714", Sex::Female));
        assert_eq!(patient.local.len(), 1);
        assert_eq!(document.body.media_type, "application/pdf");
        assert!(document.body.data.starts_with(b"%PDF-1."));
        assert_eq!(ClinicalDocument::from_xml(&document.to_xml().unwrap()).as_ref(), Ok(document));
    }
    let author = &laboratory.authors[0].professional;
    assert_eq!(author.id, Some(Identifier::rpps("01234534765").unwrap()));
    assert_eq!(author.name.as_ref().unwrap().family, "CAMPARINI");
    assert_eq!(author.organisation.as_ref().unwrap().id, Some(Identifier::finess("120459876").unwrap()));
    assert_eq!(prescription.encounter.unwrap().care_setting.unwrap().code(), "SA07");
}

#[test]
fn clinical_documents_are_valid_against_the_schema() {
    for example in CDA_EXAMPLES {
        assert_eq!(schema_refusal(&text(example)), None, "the validator takes {example}");
    }
    let full = full_document();
    let small = ClinicalDocument {
        set_id: None,
        version_number: None,
        language: None,
        patient: Patient {
            national: None,
            used_name: None,
            given_names: Vec::new(),
            used_given_name: None,
            birth: None,
            sex: Sex::Unknown,
            ..full.patient.clone()
        },
        authors: vec![Author {
            time: full.effective_time.clone(),
            professional: Professional { id: None, profession: None, name: None, organisation: None },
        }],
        legal_authenticator: None,
        service_events: vec![ServiceEvent { code: None, start: None, end: None, performer: None }],
        related_documents: Vec::new(),
        encounter: Some(Encounter { code: None, start: None, end: None, facility: None, care_setting: None }),
        ..full.clone()
    };
    let mut ours = vec![full, small];
    ours.extend(CDA_EXAMPLES.map(|name| ClinicalDocument::from_xml(text(name).as_bytes()).unwrap()));
    for document in &ours {
        let xml = String::from_utf8(document.to_xml().unwrap()).unwrap();
        assert_eq!(schema_refusal(&xml), None, "{}", document.title);
        // Controls: an element in the wrong place, and a value of the wrong form.
        let (start, end) = (xml.find("<custodian>").unwrap(), xml.find("</custodian>").unwrap() + "</custodian>".len());
        let misplaced = format!("{}{}", &xml[..start], &xml[end..]).replacen(
            "<author>",
            &format!("{}<author>", &xml[start..end]),
            1,
        );
        assert!(schema_refusal(&misplaced).is_some_and(|why| why.contains("custodian")), "{misplaced}");
        let effective_time = document.effective_time.as_str();
        let unlike_a_time = xml.replacen(effective_time, "2021-01-04", 1);
        assert!(schema_refusal(&unlike_a_time).is_some_and(|why| why.contains("2021-01-04")));
    }
}

/// What libxml2's validator says against `CDA_extended.xsd`, if it is not content. It is kept from the network.
fn schema_refusal(xml: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("document.xml");
    std::fs::write(&file, xml).unwrap();
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--nonet", "--schema"]).arg(path("cda/CDA_extended.xsd")).arg(&file);
    let output = command.output().unwrap_or_else(|error| panic!("xmllint (Debian: libxml2-utils): {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => None,
        Some(3 | 4) => Some(said), // not valid
        status => panic!("xmllint ended with {status:?}: {said}"),
    }
}

/// A document with every field that is written.
fn full_document() -> ClinicalDocument {
    let time: medipeps_core::document::cda::Timestamp = "20210104160527+0100".parse().unwrap();
    let organisation = Organisation {
        id: Some(Identifier::finess("120459876").unwrap()),
        name: Some("Laboratoire \"des charmes\" & fils <Lyon>".into()),
        setting: Some(Code::new("AMBULATOIRE", "1.2.250.1.213.1.1.4.9", Some("Ambulatoire")).unwrap()),
    };
    let name = PersonName {
        prefix: Some("MME".into()),
        given: vec!["Eva".into(), "Marie".into()],
        family: "BLUE".into(),
        suffix: Some("DR".into()),
    };
    let professional = Professional {
        id: Some(Identifier::rpps("01234534765").unwrap()),
        profession: Some(Code::new("G15_10/SM03", "1.2.250.1.213.1.1.4.5", Some("Médecin")).unwrap()),
        name: Some(name),
        organisation: Some(organisation.clone()),
    };
    let related = |relation| RelatedDocument {
        relation,
        id: Identifier::uuid(&[3; 16]),
        set_id: Some(Identifier::uuid(&[2; 16])),
        version_number: Some(1),
    };
    ClinicalDocument {
        id: Identifier::uuid(&[1; 16]),
        set_id: Some(Identifier::uuid(&[2; 16])),
        version_number: Some(2),
        code: Code::loinc("11502-2", "CR d'examens biologiques").unwrap(),
        title: "Compte rendu d'examens biologiques".into(),
        effective_time: time.clone(),
        confidentiality: Confidentiality::VeryRestricted,
        language: Some("fr-FR".into()),
        patient: Patient {
            national: Some(NationalIdentity::Test(Matricule::new("277076322082910").unwrap())),
            local: vec![Identifier::new("1.2.3.4.567.8.9.10", Some("1234567890121")).unwrap()],
            birth_name: "NESSI".into(),
            used_name: Some("DECOURCY".into()),
            given_names: vec!["RUTH".into(), "ISABELLE".into()],
            used_given_name: Some("ISABELLE".into()),
            birth: Some("19770714".parse().unwrap()),
            sex: Sex::Undifferentiated,
        },
        authors: vec![Author { time: time.clone(), professional: professional.clone() }; 2],
        custodian: Organisation { setting: None, ..organisation.clone() },
        legal_authenticator: Some(LegalAuthenticator { time: time.clone(), professional: professional.clone() }),
        service_events: vec![ServiceEvent {
            code: Some(Code::loinc("18723-7", "Hématologie").unwrap()),
            start: Some(time.clone()),
            end: Some("20210104170527.25+0100".parse().unwrap()),
            performer: Some(professional),
        }],
        related_documents: vec![related(Relation::Replaces), related(Relation::Appends), related(Relation::Transforms)],
        encounter: Some(Encounter {
            code: Some(Code::new("AMB", "2.16.840.1.113883.5.4", None).unwrap()),
            start: Some(time),
            end: Some("2021010418+0100".parse().unwrap()),
            facility: organisation.id,
            care_setting: Some(Code::new("SA07", "1.2.250.1.71.4.2.4", Some("Cabinet individuel")).unwrap()),
        }),
        body: Body { media_type: "application/pdf".into(), data: b"%PDF-1.4 and so on".to_vec() },
    }
}
