//! What the policy says about emergencies, out of a file; and services by their names.

use std::path::Path;

use medipeps_core::Address;
use medipeps_core::organisation::{BreakGlass, OrganisationService};
use serde::Deserialize;

use super::read_file;
use crate::cli::{CommandError, group};
use crate::engine::{GroupSummary, organisation_service_name};

const SERVICES: [OrganisationService; 16] = [
    OrganisationService::Mail,
    OrganisationService::Chat,
    OrganisationService::SharedRecord,
    OrganisationService::Post,
    OrganisationService::Teleconsultation,
    OrganisationService::Sms,
    OrganisationService::Payment,
    OrganisationService::Chatbot,
    OrganisationService::Portal,
    OrganisationService::ReceptionKiosk,
    OrganisationService::VirtualPrinter,
    OrganisationService::Directory,
    OrganisationService::Consent,
    OrganisationService::PatientMail,
    OrganisationService::TeleExpertise,
    OrganisationService::Office,
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BreakGlassJson {
    who: Vec<String>,
    required: u32,
    minutes: u64,
    notified: Vec<String>,
    group: String,
}

/// A service by its name.
pub(super) fn service(name: &str) -> Result<OrganisationService, String> {
    SERVICES.into_iter().find(|service| organisation_service_name(*service) == name).ok_or_else(|| {
        let names: Vec<_> = SERVICES.iter().map(|service| organisation_service_name(*service)).collect();
        format!("there is no such service; there are {}", names.join(", "))
    })
}

/// Services by their names, ascending.
pub(super) fn services(mut services: Vec<OrganisationService>) -> Vec<OrganisationService> {
    services.sort_unstable_by_key(|service| service.number());
    services.dedup();
    services
}

/// `{"who": [ADDRESS], "required": 2, "minutes": 60, "notified": [ADDRESS], "group": GROUP}`.
pub(super) fn break_glass(path: &Path, groups: &[GroupSummary]) -> Result<BreakGlass, CommandError> {
    let refuse = |error: String| CommandError::Failed(format!("{}: {error}", path.display()));
    let file: BreakGlassJson = serde_json::from_slice(&read_file(path)?).map_err(|error| refuse(error.to_string()))?;
    let address =
        |text: &String| text.parse::<Address>().map_err(|error| refuse(format!("\"{text}\" is no address: {error}")));
    let addresses = |list: &[String]| list.iter().map(address).collect::<Result<Vec<_>, _>>();
    Ok(BreakGlass {
        who: addresses(&file.who)?,
        required: file.required,
        duration: file.minutes.saturating_mul(60_000),
        notified: addresses(&file.notified)?,
        log_id: group::find(&file.group, groups)?,
    })
}
