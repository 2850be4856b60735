//! What others publish: the primitives against the vectors of Wycheproof and X-Wing, clinical documents against HL7's schemas
//! and the examples of the French agency. They are read from `MEDIPEPS_VECTORS`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::path::PathBuf;
use std::process::Command;

use data_encoding::HEXLOWER;
use medipeps_core::crypto::dh::{DhPublicKey, DhSecretKey};
use medipeps_core::crypto::secret::Secret;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::crypto::{aead, kem, x_wing};
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

/// Every case of a Wycheproof file with its group; the number of cases must be what the file says.
fn wycheproof(name: &str, mut check: impl FnMut(&Value, &Value)) {
    let file = vectors(&format!("wycheproof/{name}_test.json"));
    let mut count = 0;
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            check(group, case);
            count += 1;
        }
    }
    assert_eq!(count, file["numberOfTests"].as_u64().unwrap());
}

#[test]
fn x25519() {
    wycheproof("x25519", |_, case| {
        let (public, private) = (bytes(&case["public"]), bytes(&case["private"]));
        let secret = DhSecretKey::from_secret(&Secret::from_slice(&private).unwrap());
        let agreed = DhPublicKey::from_slice(&public).and_then(|public| secret.agree(&public));
        let flags: Vec<_> = case["flags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        // We are stricter than RFC 7748: non-canonical points and zero secrets are refused, and nothing else is.
        let refused = flags.iter().any(|flag| ["NonCanonicalPublic", "ZeroSharedSecret"].contains(flag));
        match agreed {
            Ok(shared) => assert_eq!(shared.as_bytes().to_vec(), bytes(&case["shared"]), "case {}", case["tcId"]),
            Err(_) => assert!(refused || public[31] & 0x80 != 0, "case {} {flags:?}", case["tcId"]),
        }
        if flags.contains(&"ZeroSharedSecret") {
            assert!(agreed_is_refused(&public, &private), "case {}", case["tcId"]);
        }
    });
}

fn agreed_is_refused(public: &[u8], private: &[u8]) -> bool {
    let secret = DhSecretKey::from_secret(&Secret::from_slice(private).unwrap());
    DhPublicKey::from_slice(public).and_then(|public| secret.agree(&public)).is_err()
}

#[test]
fn ed25519() {
    wycheproof("ed25519", |group, case| {
        let key = bytes(&group["publicKey"]["pk"]);
        let (message, signature) = (bytes(&case["msg"]), bytes(&case["sig"]));
        // Our own verification puts a label before the message, so the crate underneath is asked, as strictly as we do.
        let verified = VerifyingKey::from_slice(&key).is_ok_and(|key| {
            let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).unwrap();
            ed25519_dalek::Signature::from_slice(&signature)
                .is_ok_and(|signature| key.verify_strict(&message, &signature).is_ok())
        });
        assert_eq!(verified, case["result"] == "valid", "case {}", case["tcId"]);
    });
}

#[test]
fn chacha20_poly1305() {
    wycheproof("chacha20_poly1305", |group, case| {
        if group["ivSize"] != 96 {
            assert_eq!(case["result"], "invalid");
            return;
        }
        let key = Secret::from_slice(&bytes(&case["key"])).unwrap();
        let nonce: [u8; 12] = bytes(&case["iv"]).try_into().unwrap();
        let (aad, message) = (bytes(&case["aad"]), bytes(&case["msg"]));
        let sealed = [bytes(&case["ct"]), bytes(&case["tag"])].concat();
        let opened = aead::open(&key, &nonce, &aad, &sealed);
        if case["result"] == "valid" {
            assert_eq!(opened.unwrap(), message, "case {}", case["tcId"]);
            assert_eq!(aead::seal(&key, &nonce, &aad, &message), sealed, "case {}", case["tcId"]);
        } else {
            assert!(opened.is_err(), "case {}", case["tcId"]);
        }
    });
}

#[test]
fn ml_kem_1024_decapsulation() {
    wycheproof("mlkem_1024", |_, case| {
        let seed = Secret::from_slice(&bytes(&case["seed"]));
        let (Some(seed), Ok(ciphertext)) = (seed, kem::Ciphertext::from_slice(&bytes(&case["c"]))) else {
            assert_eq!(case["result"], "invalid", "case {}", case["tcId"]);
            return;
        };
        assert_eq!(case["result"], "valid", "case {}", case["tcId"]);
        let secret = kem::DecapsulationKey::from_seed(seed);
        assert_eq!(secret.encapsulation_key().as_bytes().to_vec(), bytes(&case["ek"]), "case {}", case["tcId"]);
        assert_eq!(secret.decapsulate(&ciphertext).as_bytes().to_vec(), bytes(&case["K"]), "case {}", case["tcId"]);
    });
}

#[test]
fn ml_kem_1024_key_generation() {
    wycheproof("mlkem_1024_keygen_seed", |_, case| {
        let seed = Secret::from_slice(&bytes(&case["seed"])).unwrap();
        let key = kem::DecapsulationKey::from_seed(seed).encapsulation_key();
        assert_eq!(key.as_bytes().to_vec(), bytes(&case["ek"]), "case {}", case["tcId"]);
    });
}

#[test]
fn ml_kem_1024_encapsulation_keys() {
    wycheproof("mlkem_1024_encaps", |_, case| {
        let key = kem::EncapsulationKey::from_slice(&bytes(&case["ek"]));
        assert_eq!(key.is_ok(), case["result"] == "valid", "case {}", case["tcId"]);
        if let Ok(key) = key {
            let (ciphertext, shared) = key.encapsulate(&mut Fixed(bytes(&case["m"])));
            assert_eq!(ciphertext.as_bytes().to_vec(), bytes(&case["c"]), "case {}", case["tcId"]);
            assert_eq!(shared.as_bytes().to_vec(), bytes(&case["K"]), "case {}", case["tcId"]);
        }
    });
}

#[test]
fn x_wing() {
    for case in vectors("x-wing.json").as_array().unwrap() {
        let secret = x_wing::DecapsulationKey::from_seed(Secret::from_slice(&bytes(&case["seed"])).unwrap());
        let key = secret.encapsulation_key();
        assert_eq!(key.to_bytes(), bytes(&case["pk"]));
        let (ciphertext, shared) = key.encapsulate(&mut Fixed(bytes(&case["eseed"]))).unwrap();
        assert_eq!(ciphertext.to_vec(), bytes(&case["ct"]));
        assert_eq!(shared.as_bytes().to_vec(), bytes(&case["ss"]));
        assert_eq!(secret.decapsulate(&ciphertext).unwrap().as_bytes().to_vec(), bytes(&case["ss"]));
    }
}

/// Gives the bytes that it was made of, once.
struct Fixed(Vec<u8>);

impl rand_core::TryRng for Fixed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("our code draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("our code draws bytes")
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Self::Error> {
        destination.copy_from_slice(&self.0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Fixed {}

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
