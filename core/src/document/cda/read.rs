//! XML to [`ClinicalDocument`].

use std::str::FromStr;

use data_encoding::BASE64;
use roxmltree::{Document, Node, ParsingOptions};

use super::{
    Author, Body, CONFIDENTIALITY_SYSTEM, CdaError, ClinicalDocument, Code, Confidentiality, Encounter, Fault,
    Identifier, LegalAuthenticator, NAMESPACE, NationalIdentity, Organisation, PROFESSIONAL_ROOT, Patient, PersonName,
    Professional, RelatedDocument, Relation, SEX_SYSTEM, ServiceEvent, Sex, TYPE_ID, Timestamp, bounds,
};
use crate::limits::CDA_NODES_MAX;

/// Reads the fields; whether they go together is for `validate`.
pub(super) fn read(bytes: &[u8]) -> Result<ClinicalDocument, CdaError> {
    let text = bounds::check(bytes)?;
    let nodes_limit = u32::try_from(CDA_NODES_MAX).unwrap_or(u32::MAX).saturating_mul(2);
    let options = ParsingOptions { allow_dtd: false, nodes_limit, entity_resolver: None };
    let tree = Document::parse_with_options(text, options).map_err(|error| refusal(&error, text))?;
    let root = tree.root_element();
    if root.tag_name().name() != "ClinicalDocument" {
        return Err(CdaError::NotClinicalDocument);
    }
    if root.tag_name().namespace() != Some(NAMESPACE) {
        return Err(CdaError::WrongNamespace);
    }
    document(Element(root))
}

fn refusal(error: &roxmltree::Error, text: &str) -> CdaError {
    match error {
        roxmltree::Error::DtdDetected => CdaError::DocumentType,
        roxmltree::Error::UnknownEntityReference(..) | roxmltree::Error::EntityReferenceLoop(_) => CdaError::Entity,
        roxmltree::Error::NodesLimitReached => CdaError::TooManyNodes,
        _ => {
            let position = error.pos();
            let lines = usize::try_from(position.row.saturating_sub(1)).unwrap_or(0);
            let before: usize = text.split_inclusive('\n').take(lines).map(str::len).sum();
            CdaError::Malformed { offset: (before as u64).saturating_add(u64::from(position.col.saturating_sub(1))) }
        }
    }
}

fn document(root: Element<'_, '_>) -> Result<ClinicalDocument, CdaError> {
    let type_id = root.required("typeId", "typeId")?;
    if (type_id.attribute("root"), type_id.attribute("extension")) != (Some(TYPE_ID.0), Some(TYPE_ID.1)) {
        return Err(CdaError::WrongType);
    }
    let mut targets = root.children("recordTarget");
    let target = targets.next().ok_or(CdaError::field("recordTarget", Fault::Missing))?;
    if targets.next().is_some() {
        return Err(CdaError::SeveralPatients);
    }
    let custodian = root.required("custodian", "custodian")?.required("assignedCustodian", "custodian")?;
    let authenticator = root.only("legalAuthenticator", "legalAuthenticator")?;
    let encounter = match root.only("componentOf", "componentOf")? {
        Some(component) => Some(encounter(component.required("encompassingEncounter", "encompassingEncounter")?)?),
        None => None,
    };
    Ok(ClinicalDocument {
        id: required(identifier(root, "id", "id")?, "id")?,
        set_id: identifier(root, "setId", "setId")?,
        version_number: version_number(root, "versionNumber")?,
        code: required(code(root, "code", "code")?, "code")?,
        title: root.required("title", "title")?.text(),
        effective_time: required(timestamp(root, "effectiveTime", "effectiveTime")?, "effectiveTime")?,
        confidentiality: confidentiality(root)?,
        language: root
            .only("languageCode", "languageCode")?
            .and_then(|element| element.attribute("code"))
            .map(str::to_owned),
        patient: patient(target.required("patientRole", "patientRole")?)?,
        authors: root.children("author").map(author).collect::<Result<_, _>>()?,
        custodian: organisation(custodian.required("representedCustodianOrganization", "custodian")?, "custodian")?,
        legal_authenticator: authenticator.map(legal_authenticator).transpose()?,
        service_events: root.children("documentationOf").map(service_event).collect::<Result<_, _>>()?,
        related_documents: root.children("relatedDocument").map(related_document).collect::<Result<_, _>>()?,
        encounter,
        body: body(root.required("component", "component")?)?,
    })
}

fn confidentiality(root: Element<'_, '_>) -> Result<Confidentiality, CdaError> {
    let code = required(code(root, "confidentialityCode", "confidentialityCode")?, "confidentialityCode")?;
    match (code.system(), code.code()) {
        (CONFIDENTIALITY_SYSTEM, "N") => Ok(Confidentiality::Normal),
        (CONFIDENTIALITY_SYSTEM, "R") => Ok(Confidentiality::Restricted),
        (CONFIDENTIALITY_SYSTEM, "V") => Ok(Confidentiality::VeryRestricted),
        _ => Err(CdaError::field("confidentialityCode", Fault::Unsupported)),
    }
}

fn patient(role: Element<'_, '_>) -> Result<Patient, CdaError> {
    let (mut national, mut local) = (None, Vec::new());
    for element in role.children("id") {
        let Some(identifier) = identifier_of(element, "patient.id")? else { continue };
        match NationalIdentity::from_identifier(&identifier) {
            None => local.push(identifier),
            Some(identity) => {
                let identity = identity.map_err(|fault| CdaError::field("patient.id", fault))?;
                if national.replace(identity).is_some() {
                    return Err(CdaError::SeveralPatients);
                }
            }
        }
    }
    let person = role.required("patient", "patient")?;
    let mut names = person.children("name");
    let name = names.next().ok_or(CdaError::field("patient.name", Fault::Missing))?;
    if names.next().is_some() {
        return Err(CdaError::field("patient.name", Fault::Repeated));
    }
    let (birth_name, used_name) = family_names(name)?;
    let (mut given_names, mut used_given_name) = (Vec::new(), None);
    for (qualifier, given) in name.texts("given") {
        match qualifier {
            Some("BR") => given_names.insert(0, given), // the first one is marked where the order might mislead
            Some("CL") => used_given_name = Some(given),
            _ => given_names.push(given),
        }
    }
    let sex = match person.only("administrativeGenderCode", "patient.administrativeGenderCode")? {
        None => Sex::Unknown,
        Some(element) if element.attribute("nullFlavor").is_some() => Sex::Unknown,
        Some(element) => match (element.attribute("codeSystem"), element.attribute("code")) {
            (Some(SEX_SYSTEM), Some("F")) => Sex::Female,
            (Some(SEX_SYSTEM), Some("M")) => Sex::Male,
            (Some(SEX_SYSTEM), Some("UN" | "U")) => Sex::Undifferentiated,
            _ => return Err(CdaError::field("patient.administrativeGenderCode", Fault::Unsupported)),
        },
    };
    let birth = timestamp(person, "birthTime", "patient.birthTime")?;
    Ok(Patient { national, local, birth_name, used_name, given_names, used_given_name, birth, sex })
}

/// The name at birth and the one in use. A name without a qualifier counts as that at birth where none is marked so.
fn family_names(name: Element<'_, '_>) -> Result<(String, Option<String>), CdaError> {
    let marked = |wanted| name.texts("family").find(|(qualifier, _)| *qualifier == wanted).map(|(_, text)| text);
    let birth = marked(Some("BR")).or_else(|| marked(None));
    let used = marked(Some("CL")).or_else(|| marked(Some("SP")));
    Ok((required(birth, "patient.family")?, used))
}

fn author(element: Element<'_, '_>) -> Result<Author, CdaError> {
    let time = required(timestamp(element, "time", "author.time")?, "author.time")?;
    let professional = professional(element.required("assignedAuthor", "author")?, "author")?;
    Ok(Author { time, professional })
}

fn legal_authenticator(element: Element<'_, '_>) -> Result<LegalAuthenticator, CdaError> {
    let time = required(timestamp(element, "time", "legalAuthenticator.time")?, "legalAuthenticator.time")?;
    let professional = professional(element.required("assignedEntity", "legalAuthenticator")?, "legalAuthenticator")?;
    Ok(LegalAuthenticator { time, professional })
}

fn professional(entity: Element<'_, '_>, field: &'static str) -> Result<Professional, CdaError> {
    let name = match entity.only("assignedPerson", field)? {
        Some(person) => person.children("name").next().map(|name| person_name(name, field)).transpose()?,
        None => None,
    };
    let organisation = entity.only("representedOrganization", field)?;
    Ok(Professional {
        id: first_identifier(entity, field, Some(PROFESSIONAL_ROOT))?,
        profession: code(entity, "code", field)?,
        name,
        organisation: organisation.map(|element| organisation_of(element, field)).transpose()?.flatten(),
    })
}

fn person_name(name: Element<'_, '_>, field: &'static str) -> Result<PersonName, CdaError> {
    let part = |part| name.texts(part).next().map(|(_, text)| text);
    let family = match part("family") {
        Some(family) => family,
        None => name.text(), // a name in one piece
    };
    if family.is_empty() {
        return Err(CdaError::field(field, Fault::Empty));
    }
    let given = name.texts("given").map(|(_, text)| text).collect();
    Ok(PersonName { prefix: part("prefix"), given, family, suffix: part("suffix") })
}

fn organisation(element: Element<'_, '_>, field: &'static str) -> Result<Organisation, CdaError> {
    Ok(Organisation {
        id: first_identifier(element, field, None)?,
        name: element.texts("name").next().map(|(_, text)| text),
        setting: code(element, "standardIndustryClassCode", field)?,
    })
}

/// An organisation of which the document says anything.
fn organisation_of(element: Element<'_, '_>, field: &'static str) -> Result<Option<Organisation>, CdaError> {
    let read = organisation(element, field)?;
    Ok((read != Organisation { id: None, name: None, setting: None }).then_some(read))
}

fn service_event(element: Element<'_, '_>) -> Result<ServiceEvent, CdaError> {
    let event = element.required("serviceEvent", "serviceEvent")?;
    let (start, end) = interval(event, "serviceEvent.effectiveTime")?;
    let performer = match event.children("performer").next() {
        Some(performer) => Some(professional(performer.required("assignedEntity", "performer")?, "performer")?),
        None => None,
    };
    Ok(ServiceEvent { code: code(event, "code", "serviceEvent.code")?, start, end, performer })
}

fn encounter(element: Element<'_, '_>) -> Result<Encounter, CdaError> {
    let (start, end) = interval(element, "encompassingEncounter.effectiveTime")?;
    let facility = match element.only("location", "location")? {
        Some(location) => Some(location.required("healthCareFacility", "healthCareFacility")?),
        None => None,
    };
    let (facility, care_setting) = match facility {
        Some(facility) => {
            let id = first_identifier(facility, "healthCareFacility", None)?;
            (id, code(facility, "code", "healthCareFacility.code")?)
        }
        None => (None, None),
    };
    let code = code(element, "code", "encompassingEncounter.code")?;
    Ok(Encounter { code, start, end, facility, care_setting })
}

fn related_document(element: Element<'_, '_>) -> Result<RelatedDocument, CdaError> {
    let relation = match element.attribute("typeCode") {
        Some("RPLC") => Relation::Replaces,
        Some("APND") => Relation::Appends,
        Some("XFRM") => Relation::Transforms,
        _ => return Err(CdaError::field("relatedDocument", Fault::Unsupported)),
    };
    let parent = element.required("parentDocument", "parentDocument")?;
    Ok(RelatedDocument {
        relation,
        id: required(first_identifier(parent, "parentDocument.id", None)?, "parentDocument.id")?,
        set_id: identifier(parent, "setId", "parentDocument.setId")?,
        version_number: version_number(parent, "parentDocument.versionNumber")?,
    })
}

fn body(component: Element<'_, '_>) -> Result<Body, CdaError> {
    if component.children("structuredBody").next().is_some() {
        return Err(CdaError::StructuredBody);
    }
    let text = component.required("nonXMLBody", "body")?.required("text", "body")?;
    if text.children("reference").next().is_some() {
        return Err(CdaError::ExternalBody);
    }
    if text.attribute("compression").is_some() {
        return Err(CdaError::field("body.compression", Fault::Unsupported));
    }
    let content = text.raw_text();
    let data = match text.attribute("representation") {
        Some("B64") => {
            let content: Vec<u8> = content.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64.decode(&content).map_err(|_| CdaError::BodyEncoding)?
        }
        None | Some("TXT") => content.into_bytes(),
        Some(_) => return Err(CdaError::field("body.representation", Fault::Unsupported)),
    };
    Ok(Body { media_type: text.attribute("mediaType").unwrap_or("text/plain").to_owned(), data })
}

/// Both ends of an interval; a point in time is both.
fn interval(parent: Element<'_, '_>, field: &'static str) -> Result<(Option<Timestamp>, Option<Timestamp>), CdaError> {
    let Some(time) = parent.only("effectiveTime", field)? else { return Ok((None, None)) };
    if time.attribute("value").is_some() {
        let point = value(time, field)?;
        return Ok((point.clone(), point));
    }
    Ok((timestamp(time, "low", field)?, timestamp(time, "high", field)?))
}

fn timestamp(parent: Element<'_, '_>, name: &str, field: &'static str) -> Result<Option<Timestamp>, CdaError> {
    parent.only(name, field)?.map_or(Ok(None), |element| value(element, field))
}

fn value<T: FromStr<Err = Fault>>(element: Element<'_, '_>, field: &'static str) -> Result<Option<T>, CdaError> {
    let value = element.attribute("value").map(str::parse).transpose();
    value.map_err(|fault| CdaError::field(field, fault))
}

fn version_number(parent: Element<'_, '_>, field: &'static str) -> Result<Option<u32>, CdaError> {
    let number = parent.only("versionNumber", field)?.and_then(|element| element.attribute("value"));
    number.map(str::parse).transpose().map_err(|_| CdaError::field(field, Fault::Malformed))
}

fn code(parent: Element<'_, '_>, name: &str, field: &'static str) -> Result<Option<Code>, CdaError> {
    let Some(element) = parent.only(name, field)? else { return Ok(None) };
    let Some(code) = element.attribute("code") else { return Ok(None) };
    let system = element.attribute("codeSystem").ok_or(CdaError::field(field, Fault::Missing))?;
    let display = element.attribute("displayName").map(collapsed).filter(|display| !display.is_empty());
    Code::new(code, system, display.as_deref()).map(Some).map_err(|fault| CdaError::field(field, fault))
}

fn identifier(parent: Element<'_, '_>, name: &str, field: &'static str) -> Result<Option<Identifier>, CdaError> {
    parent.only(name, field)?.map_or(Ok(None), |element| identifier_of(element, field))
}

/// The first `id`, or the first of a preferred root.
fn first_identifier(
    parent: Element<'_, '_>,
    field: &'static str,
    preferred: Option<&str>,
) -> Result<Option<Identifier>, CdaError> {
    let mut first = None;
    for element in parent.children("id") {
        let read = identifier_of(element, field)?;
        if read.as_ref().is_some_and(|read| Some(read.root()) == preferred) {
            return Ok(read);
        }
        first = first.or(read);
    }
    Ok(first)
}

fn identifier_of(element: Element<'_, '_>, field: &'static str) -> Result<Option<Identifier>, CdaError> {
    let Some(root) = element.attribute("root") else { return Ok(None) };
    let extension = element.attribute("extension");
    Identifier::new(root, extension).map(Some).map_err(|fault| CdaError::field(field, fault))
}

fn required<T>(value: Option<T>, field: &'static str) -> Result<T, CdaError> {
    value.ok_or(CdaError::field(field, Fault::Missing))
}

/// An element; only what is of HL7's namespace is seen below it.
#[derive(Clone, Copy)]
struct Element<'tree, 'text>(Node<'tree, 'text>);

impl<'tree, 'text> Element<'tree, 'text> {
    fn children(self, name: &str) -> impl Iterator<Item = Self> {
        self.0.children().filter(move |node| node.has_tag_name((NAMESPACE, name))).map(Self)
    }

    /// The one child of this name, if there is one.
    fn only(self, name: &str, field: &'static str) -> Result<Option<Self>, CdaError> {
        let mut children = self.children(name);
        let first = children.next();
        if children.next().is_some() { Err(CdaError::field(field, Fault::Repeated)) } else { Ok(first) }
    }

    fn required(self, name: &str, field: &'static str) -> Result<Self, CdaError> {
        required(self.only(name, field)?, field)
    }

    /// The texts of the children of this name, with the qualifier of each; empty ones say nothing.
    fn texts(self, name: &str) -> impl Iterator<Item = (Option<&'tree str>, String)> {
        let texts = self.children(name).map(|child| (child.attribute("qualifier"), child.text()));
        texts.filter(|(_, text)| !text.is_empty())
    }

    fn attribute(self, name: &str) -> Option<&'tree str> {
        self.0.attribute(name)
    }

    /// The text in this element, with white space as a line of text has it.
    fn text(self) -> String {
        collapsed(&self.raw_text())
    }

    /// The text in this element and not in those below it, as it is.
    fn raw_text(self) -> String {
        self.0.children().filter(Node::is_text).filter_map(|node| node.text()).collect()
    }
}

/// Runs of XML's white space become one space; none is left at the ends.
fn collapsed(text: &str) -> String {
    let words = text.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}
