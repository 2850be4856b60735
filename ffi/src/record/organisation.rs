//! Organisations: what they say of themselves, and who belongs to them.

use std::time::SystemTime;

use medipeps_client::engine::{self, Certified, MemberSummary, OnCall as OnCallNow, OrganisationSummary};
use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::organisation::{self, OrganisationService as Service};
use medipeps_core::wire::client_records::OrganisationStanding;

use super::group::number;
use super::{hex, milliseconds, time};
use crate::MedipepsError;
use crate::identifier::{AccountAddress, GroupIdentifier, OrganisationIdentifier, addresses, group_id};

/// An organisation that this device knows.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Organisation {
    /// Its id, which never changes.
    pub id: OrganisationIdentifier,
    /// The same as thirty digits, which a person compares with what an administrator has told him before he joins.
    pub digits: String,
    /// How this account stands to it.
    pub state: OrganisationState,
    /// Who has told of it.
    pub offered_by: Option<AccountAddress>,
    /// What it says.
    pub statement: OrganisationStatement,
    /// What this account is in it.
    pub own: MemberStanding,
    /// Where it is forked: the other statement, signed as well. A person asks the administrators, then decides
    /// ([`crate::Client::resolve_fork`]).
    pub other: Option<OrganisationStatement>,
}

/// How this account stands to an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum OrganisationState {
    /// Somebody has told of it, and no person has confirmed it: nothing of it is trusted.
    Offered,
    /// It is joined, and what it says holds.
    Joined,
    /// Alarm: there are two statements of one version, both signed by enough administrators. Nothing of it is trusted.
    Forked,
}

/// What an organisation says, signed by its administrators.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OrganisationStatement {
    /// What it is called.
    pub name: String,
    /// Its own account.
    pub address: AccountAddress,
    /// Its number, from 1 on.
    pub version: i64,
    /// Of it.
    pub issued: SystemTime,
    /// Who may sign.
    pub administrators: Vec<Administrator>,
    /// How many of them must.
    pub required_signatures: u32,
    /// What it allows, asks and plans.
    pub policy: OrganisationPolicy,
    /// Hexadecimal digits that tell two statements apart.
    pub digest: String,
}

/// Somebody who administers an organisation.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Administrator {
    /// His key, 64 hexadecimal digits.
    pub key: String,
    /// Where he is reached, as far as this device was told.
    #[uniffi(default = None)]
    pub address: Option<AccountAddress>,
}

/// What an organisation allows, asks and plans.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OrganisationPolicy {
    /// What is switched on for members.
    pub services: Vec<OrganisationService>,
    /// How many members there may be at a time.
    pub seats: u32,
    /// How many days members keep messages, at most; `None`: no bound.
    pub retention_days: Option<u32>,
    /// Who gets reports.
    pub officer: Option<AccountAddress>,
    /// Who is on call when.
    pub on_call: Vec<OnCallEntry>,
    /// Who may break the glass; `None`: nobody.
    pub break_glass: Option<BreakGlassPolicy>,
    /// Serials of certificates that do not hold any more.
    pub revoked: Vec<i64>,
    /// Certificates with lower serials do not hold any more, either.
    pub serials_from: i64,
}

/// Something that an organisation switches on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum OrganisationService {
    /// Mail.
    Mail,
    /// Groups.
    Chat,
    /// The shared patient record.
    SharedRecord,
    /// Post on paper.
    Post,
    /// Video consultations.
    Teleconsultation,
    /// Text messages.
    Sms,
    /// Payments.
    Payment,
    /// Automatic answers.
    Chatbot,
    /// The patients' portal.
    Portal,
    /// The kiosk at the reception.
    ReceptionKiosk,
    /// The virtual printer.
    VirtualPrinter,
    /// The directory.
    Directory,
    /// Consents.
    Consent,
    /// Mail to patients.
    PatientMail,
    /// Expertise at a distance.
    TeleExpertise,
    /// Office documents.
    Office,
    /// One of a later version.
    Later {
        /// Its number (`spec/organisation.md`).
        service: u32,
    },
}

/// Who is on call.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OnCallEntry {
    /// From when.
    pub begins: SystemTime,
    /// Until when, that moment not included.
    pub until: SystemTime,
    /// For what, for instance "anaesthesia".
    pub function: String,
    /// In the order in which they are called.
    pub addresses: Vec<AccountAddress>,
}

/// Who is on call at a moment.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OnCall {
    /// For what.
    pub function: String,
    /// In the order in which they are called.
    pub addresses: Vec<AccountAddress>,
    /// Until when.
    pub until: SystemTime,
}

/// Who may have access in an emergency, beyond his role.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct BreakGlassPolicy {
    /// Who may agree.
    pub who: Vec<AccountAddress>,
    /// How many of them must.
    pub required: u32,
    /// For how many minutes it is open.
    pub minutes: u32,
    /// Who is told.
    pub notified: Vec<AccountAddress>,
    /// The group in which all of it is written down.
    pub group: GroupIdentifier,
}

/// What an account is in an organisation, as far as is known here.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum MemberStanding {
    /// A member.
    Certified {
        /// As what.
        role: String,
        /// From when on it is not.
        ends: SystemTime,
    },
    /// Its certificate does not hold.
    Lapsed {
        /// Why: a word out of `spec/organisation.md`.
        reason: String,
        /// As what it was certified.
        role: String,
        /// Until when.
        ends: SystemTime,
    },
    /// It has shown no certificate.
    Unknown,
}

/// Another account of which an organisation has said something.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OrganisationMember {
    /// Who.
    pub address: AccountAddress,
    /// What it is.
    pub standing: MemberStanding,
    /// Serials of its certificates that are known here, ascending.
    pub serials: Vec<i64>,
}

/// What an organisation that is joined here says of an account, to be shown beside its name.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Certification {
    /// Which organisation.
    pub organisation: OrganisationIdentifier,
    /// What that is called.
    pub name: String,
    /// As what.
    pub role: String,
    /// From when on it does not.
    pub ends: SystemTime,
    /// The organisation has switched mail off for its members, and this has come by it all the same.
    pub service_off: bool,
}

impl From<&OrganisationSummary> for Organisation {
    fn from(summary: &OrganisationSummary) -> Self {
        let record = &summary.record;
        let said = |statement| OrganisationStatement::of(statement, &record.administrators);
        Self {
            id: hex(&record.id.0),
            digits: record.id.digits(),
            state: match record.standing {
                OrganisationStanding::Offered => OrganisationState::Offered,
                OrganisationStanding::Joined => OrganisationState::Joined,
                OrganisationStanding::Forked => OrganisationState::Forked,
            },
            offered_by: record.offered_by.as_ref().map(Address::to_string),
            statement: said(summary.chain.current()),
            own: MemberStanding::from(&summary.own),
            other: summary.fork.as_ref().map(|fork| said(&fork.other)),
        }
    }
}

impl OrganisationStatement {
    /// `reached`: where administrators are.
    pub(crate) fn of(statement: &organisation::OrganisationStatement, reached: &[(VerifyingKey, Address)]) -> Self {
        let administrator = |key: &VerifyingKey| Administrator {
            key: hex(key.as_bytes()),
            address: reached.iter().find(|(known, _)| known == key).map(|(_, address)| address.to_string()),
        };
        Self {
            name: statement.name().to_owned(),
            address: statement.address().to_string(),
            version: number(statement.version()),
            issued: time(statement.issued()),
            administrators: statement.administrators().iter().map(administrator).collect(),
            required_signatures: statement.threshold(),
            policy: OrganisationPolicy::from(statement.policy()),
            digest: hex(&statement.hash()),
        }
    }
}

impl From<&organisation::OrganisationPolicy> for OrganisationPolicy {
    fn from(policy: &organisation::OrganisationPolicy) -> Self {
        Self {
            services: policy.services.iter().copied().map(OrganisationService::from).collect(),
            seats: policy.seats,
            retention_days: policy.retention_days,
            officer: policy.officer.as_ref().map(Address::to_string),
            on_call: policy.on_call.iter().map(OnCallEntry::from).collect(),
            break_glass: policy.break_glass.as_ref().map(BreakGlassPolicy::from),
            revoked: policy.revoked.iter().copied().map(number).collect(),
            serials_from: number(policy.serials_from),
        }
    }
}

impl From<Service> for OrganisationService {
    fn from(service: Service) -> Self {
        match service {
            Service::Mail => Self::Mail,
            Service::Chat => Self::Chat,
            Service::SharedRecord => Self::SharedRecord,
            Service::Post => Self::Post,
            Service::Teleconsultation => Self::Teleconsultation,
            Service::Sms => Self::Sms,
            Service::Payment => Self::Payment,
            Service::Chatbot => Self::Chatbot,
            Service::Portal => Self::Portal,
            Service::ReceptionKiosk => Self::ReceptionKiosk,
            Service::VirtualPrinter => Self::VirtualPrinter,
            Service::Directory => Self::Directory,
            Service::Consent => Self::Consent,
            Service::PatientMail => Self::PatientMail,
            Service::TeleExpertise => Self::TeleExpertise,
            Service::Office => Self::Office,
            Service::Later(service) => Self::Later { service },
        }
    }
}

impl From<OrganisationService> for Service {
    fn from(service: OrganisationService) -> Self {
        match service {
            OrganisationService::Mail => Self::Mail,
            OrganisationService::Chat => Self::Chat,
            OrganisationService::SharedRecord => Self::SharedRecord,
            OrganisationService::Post => Self::Post,
            OrganisationService::Teleconsultation => Self::Teleconsultation,
            OrganisationService::Sms => Self::Sms,
            OrganisationService::Payment => Self::Payment,
            OrganisationService::Chatbot => Self::Chatbot,
            OrganisationService::Portal => Self::Portal,
            OrganisationService::ReceptionKiosk => Self::ReceptionKiosk,
            OrganisationService::VirtualPrinter => Self::VirtualPrinter,
            OrganisationService::Directory => Self::Directory,
            OrganisationService::Consent => Self::Consent,
            OrganisationService::PatientMail => Self::PatientMail,
            OrganisationService::TeleExpertise => Self::TeleExpertise,
            OrganisationService::Office => Self::Office,
            // A number that has a name is that service.
            OrganisationService::Later { service } => Self::of_number(service),
        }
    }
}

impl From<&organisation::OnCallEntry> for OnCallEntry {
    fn from(entry: &organisation::OnCallEntry) -> Self {
        let organisation::OnCallEntry { from, until, function, addresses } = entry;
        let addresses = addresses.iter().map(Address::to_string).collect();
        Self { begins: time(*from), until: time(*until), function: function.clone(), addresses }
    }
}

impl OnCallEntry {
    pub(crate) fn into_entry(self) -> Result<organisation::OnCallEntry, MedipepsError> {
        let Self { begins, until, function, addresses: listed } = self;
        let (from, until, addresses) = (milliseconds(begins), milliseconds(until), addresses(&listed)?);
        Ok(organisation::OnCallEntry { from, until, function, addresses })
    }
}

impl From<&OnCallNow> for OnCall {
    fn from(now: &OnCallNow) -> Self {
        let addresses = now.addresses.iter().map(Address::to_string).collect();
        Self { function: now.function.clone(), addresses, until: time(now.until) }
    }
}

impl From<&organisation::BreakGlass> for BreakGlassPolicy {
    fn from(glass: &organisation::BreakGlass) -> Self {
        let all = |list: &[Address]| list.iter().map(Address::to_string).collect();
        Self {
            who: all(&glass.who),
            required: glass.required,
            minutes: u32::try_from(glass.duration / 60_000).unwrap_or(u32::MAX),
            notified: all(&glass.notified),
            group: hex(&glass.log_id),
        }
    }
}

impl BreakGlassPolicy {
    pub(crate) fn into_policy(self) -> Result<organisation::BreakGlass, MedipepsError> {
        Ok(organisation::BreakGlass {
            who: addresses(&self.who)?,
            required: self.required,
            duration: u64::from(self.minutes) * 60_000,
            notified: addresses(&self.notified)?,
            log_id: group_id(&self.group)?,
        })
    }
}

impl From<&engine::MemberStanding> for MemberStanding {
    fn from(standing: &engine::MemberStanding) -> Self {
        match standing {
            engine::MemberStanding::Certified(membership) => {
                Self::Certified { role: membership.role.clone(), ends: time(membership.ends) }
            }
            engine::MemberStanding::Lapsed { code, role, ends } => {
                Self::Lapsed { reason: (*code).to_owned(), role: role.clone(), ends: time(*ends) }
            }
            engine::MemberStanding::Unknown => Self::Unknown,
        }
    }
}

impl From<&MemberSummary> for OrganisationMember {
    fn from(member: &MemberSummary) -> Self {
        Self {
            address: member.address.to_string(),
            standing: MemberStanding::from(&member.standing),
            serials: member.serials.iter().copied().map(number).collect(),
        }
    }
}

impl From<&Certified> for Certification {
    fn from(certified: &Certified) -> Self {
        Self {
            organisation: hex(&certified.organisation.0),
            name: certified.name.clone(),
            role: certified.role.clone(),
            ends: time(certified.ends),
            service_off: certified.service_off,
        }
    }
}
