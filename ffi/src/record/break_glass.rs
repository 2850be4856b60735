//! Access in an emergency, beyond one's role.

use std::time::SystemTime;

use medipeps_client::engine::BreakGlassSummary;
use medipeps_core::Address;
use medipeps_core::kind::{self, BreakGlassUse};

use super::{hex, time};
use crate::identifier::{AccountAddress, MessageIdentifier, OrganisationIdentifier};

/// Somebody has asked for access in an emergency.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct BreakGlassRequest {
    /// By which it is known.
    pub request: MessageIdentifier,
    /// Whose policy allows it.
    pub organisation: OrganisationIdentifier,
    /// How far it has come.
    pub state: BreakGlassState,
    /// Who asks.
    pub requester: AccountAddress,
    /// Why.
    pub reason: String,
    /// What is to be opened, in words.
    pub subject: String,
    /// When he has asked.
    pub requested: SystemTime,
    /// Who has agreed.
    pub agreed: Vec<AccountAddress>,
    /// How many must; 0 where the policy allows nothing any more.
    pub required: u32,
    /// Since when it is used.
    pub begins: Option<SystemTime>,
    /// Until when.
    pub until: Option<SystemTime>,
    /// When it was ended before its time.
    pub ended: Option<SystemTime>,
}

/// How far access in an emergency has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum BreakGlassState {
    /// It is asked for.
    Requested,
    /// Enough have agreed; who has asked may open it.
    Granted,
    /// It is being written into the group and told; not open yet.
    Announced,
    /// It is open, for this account.
    Open,
    /// Somebody else uses it.
    Used,
    /// It is over.
    Over,
}

/// What is said about access in an emergency.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum BreakGlassSays {
    /// It is asked for.
    Requested {
        /// Why.
        reason: String,
        /// What is to be opened, in words.
        subject: String,
    },
    /// The sender agrees.
    Agreed,
    /// It is used from now on.
    Used {
        /// From when.
        begins: SystemTime,
        /// Until when.
        until: SystemTime,
        /// Who uses it.
        requester: AccountAddress,
        /// Who has agreed.
        agreed: Vec<AccountAddress>,
        /// Why.
        reason: String,
        /// What is opened, in words.
        subject: String,
    },
    /// It was ended.
    Ended,
}

impl From<&BreakGlassSummary> for BreakGlassRequest {
    fn from(summary: &BreakGlassSummary) -> Self {
        let record = &summary.record;
        Self {
            request: hex(&record.request),
            organisation: hex(&record.organisation.0),
            state: BreakGlassState::of(summary.state),
            requester: record.requester.to_string(),
            reason: record.reason.clone(),
            subject: record.subject.clone(),
            requested: time(record.requested),
            agreed: record.agreed.iter().map(Address::to_string).collect(),
            required: summary.required,
            begins: record.used.map(|(from, _)| time(from)),
            until: record.used.map(|(_, until)| time(until)),
            ended: record.ended.map(time),
        }
    }
}

impl BreakGlassState {
    /// By the engine's word for it.
    fn of(word: &str) -> Self {
        match word {
            "granted" => Self::Granted,
            "announced" => Self::Announced,
            "open" => Self::Open,
            "used" => Self::Used,
            "over" => Self::Over,
            _ => Self::Requested,
        }
    }
}

impl From<&kind::BreakGlassSays> for BreakGlassSays {
    fn from(says: &kind::BreakGlassSays) -> Self {
        match says {
            kind::BreakGlassSays::Requested { reason, subject } => {
                Self::Requested { reason: reason.clone(), subject: subject.clone() }
            }
            kind::BreakGlassSays::Agreed => Self::Agreed,
            kind::BreakGlassSays::Used(usage) => {
                let BreakGlassUse { from, until, requester, agreed, reason, subject } = usage;
                Self::Used {
                    begins: time(*from),
                    until: time(*until),
                    requester: requester.to_string(),
                    agreed: agreed.iter().map(Address::to_string).collect(),
                    reason: reason.clone(),
                    subject: subject.clone(),
                }
            }
            kind::BreakGlassSays::Ended => Self::Ended,
        }
    }
}
