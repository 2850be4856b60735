//! What the account's server was agreed to do.

use std::time::SystemTime;

use medipeps_core::tenant::{self, Standing};
use medipeps_core::wire::transport::FetchTenantReply;

use super::time;

/// The licence under which an account is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Licence {
    /// Who has it.
    pub tenant: String,
    /// What it is counted by.
    pub unit: LicenceUnit,
    /// How it stands now.
    pub standing: LicenceStanding,
    /// When it ends; `None`: never.
    pub ends: Option<SystemTime>,
    /// Days after its end for which everything goes on.
    pub grace_days: u32,
    /// Services opted in, by their names (`spec/tenants.md`), ascending.
    pub services: Vec<String>,
}

/// What a licence is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LicenceUnit {
    /// Each mailbox.
    Mailbox,
    /// A structure: a practice, a laboratory, a home.
    Structure,
    /// A hospital group.
    HospitalGroup,
    /// An establishment.
    Establishment,
    /// A territory.
    Territory,
}

/// How a licence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum LicenceStanding {
    /// Everything goes.
    Active,
    /// It has ended; everything goes on for a while.
    Grace,
    /// The while is over: what has come can be fetched, nothing new comes.
    Ended,
    /// Nothing goes.
    Suspended,
}

impl From<FetchTenantReply> for Licence {
    fn from(reply: FetchTenantReply) -> Self {
        let FetchTenantReply { name, licence, ends, grace, standing, services } = reply;
        Self {
            tenant: name,
            unit: match licence {
                tenant::Licence::Mailbox => LicenceUnit::Mailbox,
                tenant::Licence::Structure => LicenceUnit::Structure,
                tenant::Licence::HospitalGroup => LicenceUnit::HospitalGroup,
                tenant::Licence::Establishment => LicenceUnit::Establishment,
                tenant::Licence::Territory => LicenceUnit::Territory,
            },
            standing: match standing {
                Standing::Active => LicenceStanding::Active,
                Standing::Grace => LicenceStanding::Grace,
                Standing::Ended => LicenceStanding::Ended,
                Standing::Suspended => LicenceStanding::Suspended,
            },
            ends: ends.map(time),
            grace_days: u32::try_from(grace / 86_400_000).unwrap_or(u32::MAX),
            services,
        }
    }
}
