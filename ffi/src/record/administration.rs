//! Organisations as their administrators have them: keys, drafts, and what they change.

use std::time::SystemTime;

use medipeps_client::engine::{self, AdministratorKeySummary, CreateOrganisation, DraftSummary};
use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::organisation::{self, MemberCertificate};

use super::group::number;
use super::organisation::{Administrator, BreakGlassPolicy, OnCallEntry, OrganisationService, OrganisationStatement};
use super::{hex, time};
use crate::MedipepsError;
use crate::identifier::{AccountAddress, DraftIdentifier, OrganisationIdentifier, address, administrator_key};

/// A key with which a person administers organisations.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct AdministratorKey {
    /// What others know of it, 64 hexadecimal digits.
    pub key: String,
    /// When it came into this store.
    pub since: SystemTime,
}

/// A key that was drawn just now.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct DrawnAdministratorKey {
    /// What others are told, for [`OrganisationRequest::administrators`].
    pub administrator: Administrator,
    /// Its secret, to be written down and locked away: shown now or never.
    pub secret: String,
}

impl std::fmt::Debug for DrawnAdministratorKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DrawnAdministratorKey")
            .field("administrator", &self.administrator)
            .finish_non_exhaustive()
    }
}

/// An organisation to be drafted.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OrganisationRequest {
    /// What it is called.
    pub name: String,
    /// Its own account, which never changes.
    pub address: AccountAddress,
    /// Who administers it.
    pub administrators: Vec<Administrator>,
    /// How many of them must sign.
    pub required_signatures: u32,
    /// What is switched on for members.
    pub services: Vec<OrganisationService>,
    /// How many members there may be at a time.
    pub seats: u32,
    /// How many days members keep messages, at most.
    #[uniffi(default = None)]
    pub retention_days: Option<u32>,
    /// Who gets reports.
    #[uniffi(default = None)]
    pub officer: Option<AccountAddress>,
}

/// What the next statement of an organisation changes.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum StatementChange {
    /// It is called otherwise.
    Rename {
        /// How.
        name: String,
    },
    /// It has one more administrator.
    AddAdministrator {
        /// Whom.
        administrator: Administrator,
    },
    /// It has one administrator less.
    RemoveAdministrator {
        /// His key.
        key: String,
    },
    /// So many administrators must sign.
    RequiredSignatures {
        /// How many.
        count: u32,
    },
    /// These services are on, and no others.
    Services {
        /// All that are.
        services: Vec<OrganisationService>,
    },
    /// There may be so many members at a time.
    Seats {
        /// How many.
        seats: u32,
    },
    /// Members keep messages for so many days at most.
    Retention {
        /// `None`: no bound.
        days: Option<u32>,
    },
    /// Who gets reports.
    Officer {
        /// `None`: nobody.
        officer: Option<AccountAddress>,
    },
    /// Who is on call when, instead of what was there.
    Rota {
        /// All of it.
        entries: Vec<OnCallEntry>,
    },
    /// Who may break the glass.
    BreakGlass {
        /// `None`: nobody.
        policy: Option<BreakGlassPolicy>,
    },
    /// Somebody is no member any more.
    RevokeMember {
        /// Who: all certificates of his that are known here.
        member: AccountAddress,
    },
    /// Certificates do not hold any more.
    RevokeSerials {
        /// Which.
        serials: Vec<i64>,
    },
    /// Certificates with lower serials do not hold any more.
    SerialsFrom {
        /// The first that may.
        serial: i64,
    },
}

/// A member's certificate to be drafted.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct CertificateRequest {
    /// Whose. Another account is added as a contact where it is none.
    pub member: AccountAddress,
    /// As what, for instance "nurse, cardiology".
    pub role: String,
    /// From when on it does not hold.
    pub ends: SystemTime,
    /// From when on it holds; `None`: from now on.
    #[uniffi(default = None)]
    pub begins: Option<SystemTime>,
}

/// Something that an organisation's administrators are to sign.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OrganisationDraft {
    /// By which it is known.
    pub id: DraftIdentifier,
    /// Of which organisation.
    pub organisation: OrganisationIdentifier,
    /// The organisation as thirty digits: those of one that is being made.
    pub digits: String,
    /// What is to be signed. A person reads all of it first.
    pub contents: DraftContents,
    /// Who has sent it; `None`: it was drafted here.
    pub sent_by: Option<AccountAddress>,
    /// When it came into this store.
    pub since: SystemTime,
    /// A key of this device has signed it.
    pub signed_here: bool,
    /// The keys whose signatures count.
    pub signed_by: Vec<String>,
    /// How many must.
    pub required: u32,
    /// Enough have.
    pub ready: bool,
    /// Why it can never be published: a word out of `spec/organisation.md`.
    pub hindrance: Option<String>,
}

/// What is to be signed.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
#[allow(clippy::large_enum_variant, reason = "nothing is boxed across languages")]
pub enum DraftContents {
    /// A statement of the organisation.
    Statement {
        /// All of it.
        statement: OrganisationStatement,
    },
    /// A member's certificate.
    Certificate {
        /// Whose.
        member: AccountAddress,
        /// Under this account key, 64 hexadecimal digits.
        account_key: String,
        /// As what.
        role: String,
        /// From when on it holds.
        begins: SystemTime,
        /// From when on it does not.
        ends: SystemTime,
        /// By which it can be revoked.
        serial: i64,
    },
}

/// A draft that was made or signed here.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct DraftChange {
    /// As it stands now.
    pub draft: OrganisationDraft,
    /// Administrators to whom it was not sent: they belong to another domain and are no contacts. Hand them the file of
    /// [`crate::Client::export_draft`].
    pub not_told: Vec<AccountAddress>,
}

impl From<&AdministratorKeySummary> for AdministratorKey {
    fn from(summary: &AdministratorKeySummary) -> Self {
        Self { key: hex(summary.public.as_bytes()), since: time(summary.created) }
    }
}

impl Administrator {
    pub(crate) fn reached(self) -> Result<(VerifyingKey, Option<Address>), MedipepsError> {
        Ok((administrator_key(&self.key)?, self.address.as_deref().map(address).transpose()?))
    }
}

impl OrganisationRequest {
    pub(crate) fn into_command(self) -> Result<CreateOrganisation, MedipepsError> {
        let administrators = self.administrators.into_iter().map(Administrator::reached);
        Ok(CreateOrganisation {
            address: address(&self.address)?,
            name: self.name,
            administrators: administrators.collect::<Result<_, _>>()?,
            threshold: self.required_signatures,
            policy: organisation::OrganisationPolicy {
                services: services(self.services),
                seats: self.seats,
                retention_days: self.retention_days,
                officer: self.officer.as_deref().map(address).transpose()?,
                ..organisation::OrganisationPolicy::default()
            },
        })
    }
}

impl StatementChange {
    pub(crate) fn into_change(self) -> Result<engine::StatementChange, MedipepsError> {
        Ok(match self {
            Self::Rename { name } => engine::StatementChange::Name(name),
            Self::AddAdministrator { administrator } => {
                let (key, address) = administrator.reached()?;
                engine::StatementChange::AddAdministrator(key, address)
            }
            Self::RemoveAdministrator { key } => engine::StatementChange::RemoveAdministrator(administrator_key(&key)?),
            Self::RequiredSignatures { count } => engine::StatementChange::Threshold(count),
            Self::Services { services: all } => engine::StatementChange::Services(services(all)),
            Self::Seats { seats } => engine::StatementChange::Seats(seats),
            Self::Retention { days } => engine::StatementChange::Retention(days),
            Self::Officer { officer } => engine::StatementChange::Officer(officer.as_deref().map(address).transpose()?),
            Self::Rota { entries } => {
                let entries = entries.into_iter().map(OnCallEntry::into_entry).collect::<Result<_, _>>()?;
                engine::StatementChange::OnCall(entries)
            }
            Self::BreakGlass { policy } => {
                engine::StatementChange::BreakGlass(policy.map(BreakGlassPolicy::into_policy).transpose()?)
            }
            Self::RevokeMember { member } => engine::StatementChange::RevokeAccount(address(&member)?),
            Self::RevokeSerials { serials } => {
                engine::StatementChange::RevokeSerials(serials.into_iter().map(serial).collect::<Result<_, _>>()?)
            }
            Self::SerialsFrom { serial: first } => engine::StatementChange::SerialsFrom(serial(first)?),
        })
    }
}

impl OrganisationDraft {
    /// `None` if there is nothing in it.
    pub(crate) fn of(draft: &DraftSummary) -> Option<Self> {
        let record = &draft.record;
        let contents = match (&draft.statement, &draft.certificate) {
            (Some(statement), _) => {
                let statement = OrganisationStatement::of(statement, &record.administrators);
                DraftContents::Statement { statement }
            }
            (None, Some(certificate)) => DraftContents::of(certificate),
            (None, None) => return None,
        };
        Some(Self {
            id: hex(&draft.id),
            organisation: hex(&record.organisation.0),
            digits: record.organisation.digits(),
            contents,
            sent_by: record.from.as_ref().map(Address::to_string),
            since: time(record.created),
            signed_here: record.signed,
            signed_by: draft.signed.iter().map(|key| hex(key.as_bytes())).collect(),
            required: draft.needed,
            ready: draft.is_ready(),
            hindrance: draft.hindrance.map(str::to_owned),
        })
    }
}

impl DraftContents {
    fn of(certificate: &MemberCertificate) -> Self {
        let (account, (begins, ends)) = (certificate.account(), certificate.period());
        Self::Certificate {
            member: account.address.to_string(),
            account_key: hex(account.account_key.as_bytes()),
            role: certificate.role().to_owned(),
            begins: time(begins),
            ends: time(ends),
            serial: number(certificate.serial()),
        }
    }
}

/// Each once, ascending, as a statement has them.
fn services(services: Vec<OrganisationService>) -> Vec<organisation::OrganisationService> {
    let mut services: Vec<organisation::OrganisationService> = services.into_iter().map(Into::into).collect();
    services.sort_unstable_by_key(|service| service.number());
    services.dedup();
    services
}

fn serial(serial: i64) -> Result<u64, MedipepsError> {
    u64::try_from(serial).map_err(|_| MedipepsError::argument("serial", "it is not negative"))
}
