//! Documents there and back, and documents that must not be read.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::limits::CDA_ATTRIBUTES_MAX;

/// A document with every field.
fn full() -> ClinicalDocument {
    let organisation = Organisation {
        id: Some(Identifier::finess("120459876").unwrap()),
        name: Some("Laboratoire des charmes & fils <Lyon>".into()),
        setting: Some(Code::new("AMBULATOIRE", "1.2.250.1.213.1.1.4.9", Some("Ambulatoire")).unwrap()),
    };
    let professional = Professional {
        id: Some(Identifier::rpps("01234534765").unwrap()),
        profession: Some(Code::new("G15_10/SM03", "1.2.250.1.213.1.1.4.5", Some("Médecin \"SM\"")).unwrap()),
        name: Some(PersonName {
            prefix: Some("MME".into()),
            given: vec!["Eva".into()],
            family: "O'Blue".into(),
            suffix: Some("DR".into()),
        }),
        organisation: Some(organisation.clone()),
    };
    let time: Timestamp = "20210104160527+0100".parse().unwrap();
    let set_id = Identifier::uuid(&[2; 16]);
    ClinicalDocument {
        id: Identifier::uuid(&[1; 16]),
        set_id: Some(set_id.clone()),
        version_number: Some(2),
        code: Code::loinc("11502-2", "CR d'examens biologiques").unwrap(),
        title: "Compte rendu d'examens biologiques".into(),
        effective_time: time.clone(),
        confidentiality: Confidentiality::Restricted,
        language: Some("fr-FR".into()),
        patient: Patient {
            national: Some(NationalIdentity::Demonstration(Matricule::new("277076322082910").unwrap())),
            local: vec![Identifier::new("1.2.3.4.567.8.9.10", Some("1234567890121")).unwrap()],
            birth_name: "NESSI".into(),
            used_name: Some("DECOURCY".into()),
            given_names: vec!["RUTH".into(), "ISABELLE".into()],
            used_given_name: Some("ISABELLE".into()),
            birth: Some("19770714".parse().unwrap()),
            sex: Sex::Female,
        },
        authors: vec![Author { time: time.clone(), professional: professional.clone() }],
        custodian: Organisation { setting: None, ..organisation.clone() },
        legal_authenticator: Some(LegalAuthenticator { time: time.clone(), professional: professional.clone() }),
        service_events: vec![ServiceEvent {
            code: Some(Code::loinc("18723-7", "Hématologie").unwrap()),
            start: Some(time.clone()),
            end: Some(time.clone()),
            performer: Some(professional),
        }],
        related_documents: vec![RelatedDocument {
            relation: Relation::Replaces,
            id: Identifier::uuid(&[3; 16]),
            set_id: Some(set_id),
            version_number: Some(1),
        }],
        encounter: Some(Encounter {
            code: Some(Code::new("AMB", "2.16.840.1.113883.5.4", None).unwrap()),
            start: Some(time),
            end: None,
            facility: organisation.id,
            care_setting: Some(Code::new("SA07", "1.2.250.1.71.4.2.4", Some("Cabinet individuel")).unwrap()),
        }),
        body: Body { media_type: "application/pdf".into(), data: b"%PDF-1.4 and so on".to_vec() },
    }
}

fn xml() -> String {
    String::from_utf8(full().to_xml().unwrap()).unwrap()
}

/// What reading says to the full document with one text replaced; the text must be there.
fn with(from: &str, to: &str) -> Result<ClinicalDocument, CdaError> {
    let xml = xml();
    assert!(xml.contains(from), "{from}");
    ClinicalDocument::from_xml(xml.replacen(from, to, 1).as_bytes())
}

#[test]
fn a_full_document_comes_back() {
    assert_eq!(ClinicalDocument::from_xml(xml().as_bytes()), Ok(full()));
    assert!(xml().contains("Laboratoire des charmes &amp; fils &lt;Lyon&gt;"));
}

#[test]
fn entities_of_files_and_hosts_are_refused_unread() {
    for external in ["file:///etc/passwd", "http://127.0.0.1:9/secret", "data:,x"] {
        let declaration = format!("<!DOCTYPE r [<!ENTITY xxe SYSTEM \"{external}\">]><ClinicalDocument");
        assert_eq!(with("<ClinicalDocument", &declaration), Err(CdaError::DocumentType));
        let external_subset = format!("<!DOCTYPE r SYSTEM \"{external}\"><ClinicalDocument");
        assert_eq!(with("<ClinicalDocument", &external_subset), Err(CdaError::DocumentType));
    }
    assert_eq!(with("<ClinicalDocument", "<!DOCTYPE ClinicalDocument><ClinicalDocument"), Err(CdaError::DocumentType));
    let parameter = "<!DOCTYPE r [<!ENTITY % p SYSTEM \"http://127.0.0.1:9/p\"> %p;]><ClinicalDocument";
    assert_eq!(with("<ClinicalDocument", parameter), Err(CdaError::DocumentType));
    assert_eq!(with("NESSI", "&xxe;"), Err(CdaError::Entity));
    assert_eq!(with("\"fr-FR\"", "\"&xxe;\""), Err(CdaError::Entity));
    assert_eq!(with("NESSI", "&#78;ESSI"), Ok(full()), "a character reference is text");
}

#[test]
fn a_billion_laughs_are_refused_before_the_first() {
    let mut declaration = String::from("<!DOCTYPE l [<!ENTITY l0 \"lol\">");
    for level in 1..10 {
        let laughs = format!("&l{};", level - 1).repeat(10);
        declaration.push_str(&format!("<!ENTITY l{level} \"{laughs}\">"));
    }
    declaration.push_str("]><ClinicalDocument");
    let xml = xml().replacen("<ClinicalDocument", &declaration, 1).replacen("NESSI", "&l9;", 1);
    assert_eq!(ClinicalDocument::from_xml(xml.as_bytes()), Err(CdaError::DocumentType));
}

#[test]
fn deep_nesting_is_refused() {
    let nested =
        |depth: usize| format!("{}{}<recordTarget>", "<informant>".repeat(depth), "</informant>".repeat(depth));
    assert_eq!(with("<recordTarget>", &nested(CDA_DEPTH_MAX - 1)), Ok(full()));
    assert_eq!(with("<recordTarget>", &nested(CDA_DEPTH_MAX)), Err(CdaError::TooDeep));
    assert_eq!(with("<recordTarget>", &nested(200_000)), Err(CdaError::TooDeep));
    assert_eq!(ClinicalDocument::from_xml("<a>".repeat(1_000_000).as_bytes()), Err(CdaError::TooDeep), "never closed");
}

#[test]
fn huge_attributes_and_many_of_them_are_refused() {
    let huge = format!("<recordTarget junk=\"{}\">", "x".repeat(CDA_TAG_LENGTH_MAX));
    assert_eq!(with("<recordTarget>", &huge), Err(CdaError::TagTooLong));
    let many = |count| {
        let attributes: String = (0..count).map(|index| format!(" a{index}=\"\"")).collect();
        format!("<recordTarget{attributes}>")
    };
    assert_eq!(with("<recordTarget>", &many(CDA_ATTRIBUTES_MAX)), Ok(full()));
    assert_eq!(with("<recordTarget>", &many(CDA_ATTRIBUTES_MAX + 1)), Err(CdaError::TagTooLong));
}

#[test]
fn too_much_is_refused() {
    let nodes = "<a/>".repeat(CDA_NODES_MAX);
    assert_eq!(with("<recordTarget>", &format!("{nodes}<recordTarget>")), Err(CdaError::TooManyNodes));
    let length = CDA_LENGTH_MAX + 1;
    assert_eq!(ClinicalDocument::from_xml(&vec![b' '; length]), Err(CdaError::TooLarge { length }));
    let mut document = full();
    document.body.data = vec![0; CDA_BODY_LENGTH_MAX + 1];
    assert_eq!(document.to_xml(), Err(CdaError::BodyTooLarge));
    document.body.data.pop();
    let largest = document.to_xml().unwrap();
    assert_eq!(ClinicalDocument::from_xml(&largest), Ok(document));
}

#[test]
fn two_patients_are_refused() {
    let xml = xml();
    let (start, end) = (xml.find("<recordTarget>").unwrap(), xml.find("</recordTarget>").unwrap() + 15);
    let twice = format!("{}{}", &xml[..end], &xml[start..]);
    assert_eq!(ClinicalDocument::from_xml(twice.as_bytes()), Err(CdaError::SeveralPatients));
    let other = "<id root=\"1.2.250.1.213.1.4.8\" extension=\"241023155512304\"/><id root=\"1.2.250.1.213.1.4.11\"";
    assert_eq!(with("<id root=\"1.2.250.1.213.1.4.11\"", other), Err(CdaError::SeveralPatients));
}

#[test]
fn what_is_no_clinical_document_is_refused() {
    let read = |text: &str| ClinicalDocument::from_xml(text.as_bytes()).unwrap_err();
    assert_eq!(read("<html xmlns=\"urn:hl7-org:v3\"/>"), CdaError::NotClinicalDocument);
    assert_eq!(read("<levelone/>"), CdaError::NotClinicalDocument); // CDA Release 1
    assert_eq!(read("<ClinicalDocument/>"), CdaError::WrongNamespace);
    assert_eq!(with(NAMESPACE, "urn:hl7-org:v2"), Err(CdaError::WrongNamespace));
    assert_eq!(with("POCD_HD000040", "POCD_HD000020"), Err(CdaError::WrongType));
    assert!(matches!(read(""), CdaError::Malformed { .. }));
    assert!(matches!(read("%PDF-1.4"), CdaError::Malformed { .. }));
    let without_end = xml().replace("</ClinicalDocument>", "");
    assert!(matches!(read(&without_end), CdaError::Malformed { .. }));
    assert_eq!(ClinicalDocument::from_xml(b"<a>\xff</a>"), Err(CdaError::Encoding));
    assert_eq!(with("UTF-8", "ISO-8859-1"), Err(CdaError::Encoding));
    let prefixed = xml().replace("xmlns=", "xmlns:h=").replace("</", "</h:");
    let prefixed = prefixed.replace('<', "<h:").replace("<h:/h:", "</h:").replace("<h:?", "<?");
    assert_eq!(ClinicalDocument::from_xml(prefixed.as_bytes()), Ok(full()), "the namespace counts, not its prefix");
}

#[test]
fn a_body_must_be_what_it_says() {
    let data = data_encoding::BASE64.encode(b"%PDF-1.4 and so on");
    assert_eq!(with(&data, "JVBERi0x!"), Err(CdaError::BodyEncoding));
    assert_eq!(with(&data, &data[..data.len() - 1]), Err(CdaError::BodyEncoding));
    assert_eq!(with(&data, " \n\t"), Err(CdaError::field("body", Fault::Empty)));
    assert_eq!(with(&data, &data.replace("I", "\r\n  I")), Ok(full()), "white space may break the lines");
    assert_eq!(with(&data, "<reference value=\"http://127.0.0.1/x\"/>"), Err(CdaError::ExternalBody));
    assert_eq!(with("<nonXMLBody>", "<structuredBody/><nonXMLBody>"), Err(CdaError::StructuredBody));
    let text = with("representation=\"B64\"", "representation=\"TXT\"").unwrap();
    assert_eq!(text.body.data, data.as_bytes());
    let unknown = with("representation=\"B64\"", "representation=\"B32\"");
    assert_eq!(unknown, Err(CdaError::field("body.representation", Fault::Unsupported)));
    let deflated = with("representation=\"B64\"", "representation=\"B64\" compression=\"DF\"");
    assert_eq!(deflated, Err(CdaError::field("body.compression", Fault::Unsupported)));
    assert_eq!(with("application/pdf", "pdf"), Err(CdaError::field("body.mediaType", Fault::Malformed)));
}

#[test]
fn fields_are_refused_by_name() {
    let refused = |from: &str, to: &str, field, fault| assert_eq!(with(from, to), Err(CdaError::field(field, fault)));
    refused("19770714", "19770731T", "patient.birthTime", Fault::Malformed);
    refused("19770714", "19770231", "patient.birthTime", Fault::Malformed);
    refused("<birthTime value=\"19770714\"/>", "", "patient.birthTime", Fault::Missing);
    refused("277076322082910", "277076322082911", "patient.id", Fault::CheckKey);
    refused("\"1.2.3.4.567.8.9.10\"", "\"banana\"", "patient.id", Fault::Malformed);
    refused(
        "<effectiveTime value=\"20210104160527+0100\"",
        "<effectiveTime value=\"20210104160527\"",
        "effectiveTime",
        Fault::Malformed,
    );
    refused("code=\"11502-2\"", "code=\"11502-3\"", "code", Fault::Malformed);
    refused("<versionNumber value=\"2\"", "<versionNumber value=\"0\"", "versionNumber", Fault::Malformed);
    refused("<versionNumber value=\"2\"", "<versionNumber value=\"-1\"", "versionNumber", Fault::Malformed);
    refused("code=\"R\"", "code=\"Q\"", "confidentialityCode", Fault::Unsupported);
    refused("code=\"F\"", "code=\"X\"", "patient.administrativeGenderCode", Fault::Unsupported);
    refused("RPLC", "XXXX", "relatedDocument", Fault::Unsupported);
    refused("fr-FR", "français", "languageCode", Fault::Malformed);
    refused("<title>Compte rendu d", "<title>x</title><title>d", "title", Fault::Repeated);
    refused("NESSI", " ", "patient.family", Fault::Missing);
    assert!(matches!(with("NESSI", "NES&#x1;SI"), Err(CdaError::Malformed { .. })), "no character of XML");
}

#[test]
fn what_may_not_be_read_may_not_be_written() {
    let refused = |change: fn(&mut ClinicalDocument), field, fault| {
        let mut document = full();
        change(&mut document);
        assert_eq!(document.to_xml(), Err(CdaError::field(field, fault)));
    };
    refused(|document| document.title = "a\u{0}b".into(), "title", Fault::Character);
    refused(|document| document.title = "two  spaces".into(), "title", Fault::Character);
    refused(|document| document.title = "x".repeat(CDA_TEXT_LENGTH_MAX + 1), "title", Fault::TooLong);
    refused(|document| document.patient.birth_name.clear(), "patient.family", Fault::Empty);
    refused(|document| document.patient.sex = Sex::Unknown, "patient.administrativeGenderCode", Fault::Missing);
    refused(|document| document.patient.birth = "197707".parse().ok(), "patient.birthTime", Fault::Missing);
    refused(|document| document.authors.clear(), "author", Fault::Missing);
    refused(|document| document.authors = vec![document.authors[0].clone(); 17], "author", Fault::TooMany);
    refused(|document| document.custodian.id = None, "custodian.id", Fault::Missing);
    refused(
        |document| document.patient.local = vec![Identifier::new(patient::NIR_ROOT, Some("1")).unwrap()],
        "patient.id",
        Fault::Malformed,
    );
    refused(
        |document| (document.patient.national, document.patient.local) = (None, Vec::new()),
        "patient.id",
        Fault::Missing,
    );
}

#[test]
fn nothing_of_a_patient_is_shown() {
    let shown = format!("{:?} {:?} {:?}", full(), full().patient, full().authors);
    for secret in ["NESSI", "277076322082910", "RUTH", "1977", "1234567890121", "Blue", "%PDF"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// A line of text that XML keeps: words with one space between them.
fn line() -> impl Strategy<Value = String> {
    vec("[^\\s\\p{C}]{1,9}", 1..4).prop_map(|words| words.join(" "))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (86_400_i64..4_000_000_000, -840_i16..=840)
        .prop_map(|(seconds, offset)| Timestamp::from_unix(seconds, offset).unwrap())
}

fn identifier() -> impl Strategy<Value = Identifier> {
    let root = prop_oneof![
        "[0-2](\\.[1-9][0-9]{0,6}){1,9}",
        any::<[u8; 16]>().prop_map(|bytes| Identifier::uuid(&bytes).root().to_owned())
    ];
    (root, option::of(line())).prop_map(|(root, extension)| Identifier::new(&root, extension.as_deref()).unwrap())
}

fn code() -> impl Strategy<Value = Code> {
    let system = "1\\.2(\\.[1-9][0-9]{0,4}){1,5}";
    ("[!-~]{1,12}", system, option::of(line()))
        .prop_map(|(code, system, display)| Code::new(&code, &system, display.as_deref()).unwrap())
}

fn organisation() -> impl Strategy<Value = Organisation> {
    (identifier(), option::of(line()), option::of(code())).prop_map(|(id, name, setting)| Organisation {
        id: Some(id),
        name,
        setting,
    })
}

fn professional() -> impl Strategy<Value = Professional> {
    let name = (option::of(line()), vec(line(), 0..3), line(), option::of(line()))
        .prop_map(|(prefix, given, family, suffix)| PersonName { prefix, given, family, suffix });
    (option::of(identifier()), option::of(code()), option::of(name), option::of(organisation()))
        .prop_map(|(id, profession, name, organisation)| Professional { id, profession, name, organisation })
}

fn patient() -> impl Strategy<Value = Patient> {
    let national = prop_oneof![
        Just(None),
        (0..4, 1_000_000_000_000_u64..3_000_000_000_000).prop_map(|(kind, body)| {
            let matricule = Matricule::new(&format!("{body}{:02}", 97 - body % 97)).unwrap();
            Some(match kind {
                0 => NationalIdentity::Production(Ins { authority: InsAuthority::Nir, matricule }),
                1 => NationalIdentity::Production(Ins { authority: InsAuthority::Nia, matricule }),
                2 => NationalIdentity::Test(matricule),
                _ => NationalIdentity::Demonstration(matricule),
            })
        })
    ];
    let names = (line(), option::of(line()), vec(line(), 1..4), option::of(line()));
    let sex = prop_oneof![Just(Sex::Female), Just(Sex::Male), Just(Sex::Undifferentiated)];
    (national, vec(identifier(), 1..3), names, time(), sex).prop_map(|(national, local, names, birth, sex)| {
        let (birth_name, used_name, given_names, used_given_name) = names;
        Patient { national, local, birth_name, used_name, given_names, used_given_name, birth: Some(birth), sex }
    })
}

fn service_event() -> impl Strategy<Value = ServiceEvent> {
    (option::of(code()), option::of(time()), option::of(time()), option::of(professional()))
        .prop_map(|(code, start, end, performer)| ServiceEvent { code, start, end, performer })
}

fn related_document() -> impl Strategy<Value = RelatedDocument> {
    let relation = prop_oneof![Just(Relation::Replaces), Just(Relation::Appends), Just(Relation::Transforms)];
    (relation, identifier(), option::of(identifier()), option::of(1_u32..))
        .prop_map(|(relation, id, set_id, version_number)| RelatedDocument { relation, id, set_id, version_number })
}

fn encounter() -> impl Strategy<Value = Encounter> {
    let ends = (option::of(time()), option::of(time()));
    (option::of(code()), ends, option::of(identifier()), option::of(code()))
        .prop_map(|(code, (start, end), facility, care_setting)| Encounter { code, start, end, facility, care_setting })
}

prop_compose! {
    fn document()(
        (id, set_id, version_number, code, title) in (identifier(), option::of(identifier()), option::of(1_u32..), code(), line()),
        (effective_time, language, patient) in (time(), option::of("[a-z]{2}(-[A-Z]{2})?"), patient()),
        confidentiality in prop_oneof![
            Just(Confidentiality::Normal), Just(Confidentiality::Restricted), Just(Confidentiality::VeryRestricted),
        ],
        authors in vec((time(), professional()).prop_map(|(time, professional)| Author { time, professional }), 1..3),
        custodian in organisation().prop_map(|organisation| Organisation { setting: None, ..organisation }),
        legal_authenticator in option::of(
            (time(), professional()).prop_map(|(time, professional)| LegalAuthenticator { time, professional })
        ),
        service_events in vec(service_event(), 0..3),
        related_documents in vec(related_document(), 0..3),
        encounter in option::of(encounter()),
        (media_type, data) in ("[a-z]{1,9}/[a-z.+-]{1,9}", vec(any::<u8>(), 1..300)),
    ) -> ClinicalDocument {
        let body = Body { media_type, data };
        ClinicalDocument {
            id, set_id, version_number, code, title, effective_time, confidentiality, language, patient, authors, custodian,
            legal_authenticator, service_events, related_documents, encounter, body,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_document_comes_back(document in document()) {
        let xml = document.to_xml().unwrap();
        prop_assert!(ClinicalDocument::from_xml(&xml) == Ok(document), "{}", String::from_utf8_lossy(&xml));
    }
}
