//! [`ClinicalDocument`] to XML, element by element in the order of the schema (`CDA.xsd`).

use std::io;

use data_encoding::BASE64;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{
    Author, CONFIDENTIALITY_SYSTEM, CdaError, ClinicalDocument, Code, Confidentiality, Encounter, Identifier,
    LegalAuthenticator, NAMESPACE, Organisation, Patient, PersonName, Professional, RelatedDocument, Relation,
    SEX_SYSTEM, ServiceEvent, Sex, TYPE_ID, Timestamp,
};
use crate::limits::CDA_LENGTH_MAX;

/// What a document of ours conforms to: HL7 France, the header of the French framework, IHE's XDS-SD.
const TEMPLATE_IDS: [&str; 3] = ["2.16.840.1.113883.2.8.2.1", "1.2.250.1.213.1.1.1.1", "1.3.6.1.4.1.19376.1.2.20"];

/// The XML being written.
struct Xml(Writer<Vec<u8>>);

/// Writes a document that has been validated.
pub(super) fn write(document: &ClinicalDocument) -> Result<Vec<u8>, CdaError> {
    let mut xml = Xml(Writer::new_with_indent(Vec::new(), b' ', 2));
    // A vector takes every byte, so this does not happen.
    xml.document(document).map_err(|_| CdaError::TooLarge { length: usize::MAX })?;
    let bytes = xml.0.into_inner();
    if bytes.len() > CDA_LENGTH_MAX { Err(CdaError::TooLarge { length: bytes.len() }) } else { Ok(bytes) }
}

impl Xml {
    fn document(&mut self, document: &ClinicalDocument) -> io::Result<()> {
        self.0.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        self.element("ClinicalDocument", &[("xmlns", NAMESPACE)], |xml| {
            xml.empty("realmCode", &[("code", "FR")])?;
            xml.empty("typeId", &[("root", TYPE_ID.0), ("extension", TYPE_ID.1)])?;
            TEMPLATE_IDS.iter().try_for_each(|root| xml.empty("templateId", &[("root", root)]))?;
            xml.identifier("id", &document.id)?;
            xml.code("code", &document.code)?;
            xml.text("title", &[], &document.title)?;
            xml.time("effectiveTime", &document.effective_time)?;
            let confidentiality = match document.confidentiality {
                Confidentiality::Normal => "N",
                Confidentiality::Restricted => "R",
                Confidentiality::VeryRestricted => "V",
            };
            let attributes = [("code", confidentiality), ("codeSystem", CONFIDENTIALITY_SYSTEM)];
            xml.empty("confidentialityCode", &attributes)?;
            document.language.iter().try_for_each(|language| xml.empty("languageCode", &[("code", language)]))?;
            document.set_id.iter().try_for_each(|id| xml.identifier("setId", id))?;
            xml.version_number(document.version_number)?;
            xml.patient(&document.patient)?;
            document.authors.iter().try_for_each(|author| xml.author(author))?;
            xml.custodian(&document.custodian)?;
            document.legal_authenticator.iter().try_for_each(|one| xml.legal_authenticator(one))?;
            document.service_events.iter().try_for_each(|event| xml.service_event(event))?;
            document.related_documents.iter().try_for_each(|related| xml.related_document(related))?;
            document.encounter.iter().try_for_each(|encounter| xml.encounter(encounter))?;
            let body = &document.body;
            let attributes = [("mediaType", &*body.media_type), ("representation", "B64")];
            xml.element("component", &[], |xml| {
                xml.element("nonXMLBody", &[], |xml| xml.text("text", &attributes, &BASE64.encode(&body.data)))
            })
        })
    }

    fn patient(&mut self, patient: &Patient) -> io::Result<()> {
        self.element("recordTarget", &[], |xml| {
            xml.element("patientRole", &[], |xml| {
                if let Some(national) = &patient.national {
                    let attributes = [("root", national.root()), ("extension", national.matricule().as_str())];
                    xml.empty("id", &attributes)?;
                }
                patient.local.iter().try_for_each(|id| xml.identifier("id", id))?;
                xml.element("patient", &[], |xml| {
                    xml.element("name", &[], |xml| xml.patient_name(patient))?;
                    let sex = match patient.sex {
                        Sex::Female => "F",
                        Sex::Male => "M",
                        Sex::Undifferentiated => "UN",
                        Sex::Unknown => "",
                    };
                    let attributes = [("code", sex), ("codeSystem", SEX_SYSTEM)];
                    let attributes = if sex.is_empty() { &[("nullFlavor", "UNK")] } else { &attributes[..] };
                    xml.empty("administrativeGenderCode", attributes)?;
                    patient.birth.iter().try_for_each(|birth| xml.time("birthTime", birth))
                })
            })
        })
    }

    fn patient_name(&mut self, patient: &Patient) -> io::Result<()> {
        for (index, given) in patient.given_names.iter().enumerate() {
            let attributes: &[_] = if index == 0 { &[("qualifier", "BR")] } else { &[] };
            self.text("given", attributes, given)?;
        }
        let used = patient.used_given_name.iter();
        used.clone().try_for_each(|name| self.text("given", &[("qualifier", "CL")], name))?;
        self.text("family", &[("qualifier", "BR")], &patient.birth_name)?;
        patient.used_name.iter().try_for_each(|name| self.text("family", &[("qualifier", "CL")], name))
    }

    fn author(&mut self, author: &Author) -> io::Result<()> {
        self.element("author", &[], |xml| {
            xml.time("time", &author.time)?;
            xml.professional("assignedAuthor", &author.professional)
        })
    }

    fn custodian(&mut self, custodian: &Organisation) -> io::Result<()> {
        self.element("custodian", &[], |xml| {
            xml.element("assignedCustodian", &[], |xml| xml.organisation("representedCustodianOrganization", custodian))
        })
    }

    fn legal_authenticator(&mut self, authenticator: &LegalAuthenticator) -> io::Result<()> {
        self.element("legalAuthenticator", &[], |xml| {
            xml.time("time", &authenticator.time)?;
            xml.empty("signatureCode", &[("code", "S")])?;
            xml.professional("assignedEntity", &authenticator.professional)
        })
    }

    fn service_event(&mut self, event: &ServiceEvent) -> io::Result<()> {
        self.element("documentationOf", &[], |xml| {
            xml.element("serviceEvent", &[], |xml| {
                event.code.iter().try_for_each(|code| xml.code("code", code))?;
                if event.start.is_some() || event.end.is_some() {
                    xml.interval(event.start.as_ref(), event.end.as_ref())?;
                }
                let Some(performer) = &event.performer else { return Ok(()) };
                let attributes = [("typeCode", "PRF")];
                xml.element("performer", &attributes, |xml| xml.professional("assignedEntity", performer))
            })
        })
    }

    fn related_document(&mut self, related: &RelatedDocument) -> io::Result<()> {
        let relation = match related.relation {
            Relation::Replaces => "RPLC",
            Relation::Appends => "APND",
            Relation::Transforms => "XFRM",
        };
        self.element("relatedDocument", &[("typeCode", relation)], |xml| {
            xml.element("parentDocument", &[], |xml| {
                xml.identifier("id", &related.id)?;
                related.set_id.iter().try_for_each(|id| xml.identifier("setId", id))?;
                xml.version_number(related.version_number)
            })
        })
    }

    fn encounter(&mut self, encounter: &Encounter) -> io::Result<()> {
        self.element("componentOf", &[], |xml| {
            xml.element("encompassingEncounter", &[], |xml| {
                encounter.code.iter().try_for_each(|code| xml.code("code", code))?;
                xml.interval(encounter.start.as_ref(), encounter.end.as_ref())?;
                if encounter.facility.is_none() && encounter.care_setting.is_none() {
                    return Ok(());
                }
                xml.element("location", &[], |xml| {
                    xml.element("healthCareFacility", &[], |xml| {
                        encounter.facility.iter().try_for_each(|id| xml.identifier("id", id))?;
                        encounter.care_setting.iter().try_for_each(|code| xml.code("code", code))
                    })
                })
            })
        })
    }

    fn professional(&mut self, name: &str, professional: &Professional) -> io::Result<()> {
        self.element(name, &[], |xml| {
            match &professional.id {
                Some(id) => xml.identifier("id", id)?,
                None => xml.empty("id", &[("nullFlavor", "UNK")])?, // the schema wants one
            }
            professional.profession.iter().try_for_each(|code| xml.code("code", code))?;
            if let Some(name) = &professional.name {
                xml.element("assignedPerson", &[], |xml| xml.person_name(name))?;
            }
            let organisation = professional.organisation.iter();
            organisation.clone().try_for_each(|organisation| xml.organisation("representedOrganization", organisation))
        })
    }

    fn person_name(&mut self, name: &PersonName) -> io::Result<()> {
        self.element("name", &[], |xml| {
            name.prefix.iter().try_for_each(|prefix| xml.text("prefix", &[], prefix))?;
            name.given.iter().try_for_each(|given| xml.text("given", &[], given))?;
            xml.text("family", &[], &name.family)?;
            name.suffix.iter().try_for_each(|suffix| xml.text("suffix", &[], suffix))
        })
    }

    fn organisation(&mut self, name: &str, organisation: &Organisation) -> io::Result<()> {
        self.element(name, &[], |xml| {
            organisation.id.iter().try_for_each(|id| xml.identifier("id", id))?;
            organisation.name.iter().try_for_each(|name| xml.text("name", &[], name))?;
            organisation.setting.iter().try_for_each(|code| xml.code("standardIndustryClassCode", code))
        })
    }

    fn identifier(&mut self, name: &str, identifier: &Identifier) -> io::Result<()> {
        match identifier.extension() {
            Some(extension) => self.empty(name, &[("root", identifier.root()), ("extension", extension)]),
            None => self.empty(name, &[("root", identifier.root())]),
        }
    }

    fn code(&mut self, name: &str, code: &Code) -> io::Result<()> {
        let mut attributes = vec![("code", code.code()), ("codeSystem", code.system())];
        attributes.extend(code.display().map(|display| ("displayName", display)));
        self.empty(name, &attributes)
    }

    fn time(&mut self, name: &str, time: &Timestamp) -> io::Result<()> {
        self.empty(name, &[("value", time.as_str())])
    }

    fn interval(&mut self, start: Option<&Timestamp>, end: Option<&Timestamp>) -> io::Result<()> {
        if start.is_none() && end.is_none() {
            return self.empty("effectiveTime", &[("nullFlavor", "UNK")]);
        }
        self.element("effectiveTime", &[], |xml| {
            start.iter().try_for_each(|time| xml.time("low", time))?;
            end.iter().try_for_each(|time| xml.time("high", time))
        })
    }

    fn version_number(&mut self, number: Option<u32>) -> io::Result<()> {
        number.iter().try_for_each(|number| self.empty("versionNumber", &[("value", &number.to_string())]))
    }

    fn element(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        content: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let start = quick_xml::events::BytesStart::new(name).with_attributes(attributes.iter().copied());
        let end = start.to_end().into_owned();
        self.0.write_event(Event::Start(start))?;
        content(self)?;
        self.0.write_event(Event::End(end))
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.0.create_element(name).with_attributes(attributes.iter().copied()).write_empty().map(drop)
    }

    fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> io::Result<()> {
        let element = self.0.create_element(name).with_attributes(attributes.iter().copied());
        element.write_text_content(BytesText::new(text)).map(drop)
    }
}
