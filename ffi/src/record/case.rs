//! Cases: threads about one patient inside a group, with a team and an end.

use std::time::SystemTime;

use medipeps_client::engine::{CaseDetail, CaseSummary, GroupId};
use medipeps_client::shell::agent::now;
use medipeps_core::kind::{self, CaseState as StateNow, CaseThread, PatientReference};

use super::{hex, time};
use crate::MedipepsError;
use crate::identifier::{AccountAddress, GroupIdentifier, MessageIdentifier, address};
use crate::record::group::GroupMessage;

/// Whom a case is about.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct Patient {
    /// For instance the INS matricule.
    pub identifier: String,
    /// OID of who assigned it; may be empty.
    #[uniffi(default = "")]
    pub assigning_authority: String,
}

/// Who works on a case.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct CaseMember {
    /// Who.
    pub address: AccountAddress,
    /// As what, for instance "anaesthetist"; may be empty.
    #[uniffi(default = "")]
    pub function: String,
    /// May close the case, open it again and change its team. Who opened it may, too.
    #[uniffi(default = false)]
    pub may_close: bool,
}

/// A case to be opened.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct CaseRequest {
    /// Whom it is about.
    pub patient: Patient,
    /// What it is about, in one line.
    pub title: String,
    /// Who works on it. This account belongs to it, named or not.
    #[uniffi(default = [])]
    pub team: Vec<CaseMember>,
    /// When it closes by itself.
    #[uniffi(default = None)]
    pub closes: Option<SystemTime>,
}

/// Whether a case takes anything in.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum CaseState {
    /// It does.
    Open,
    /// It does not.
    Closed {
        /// Since when.
        since: SystemTime,
    },
}

/// What happens to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum CaseAct {
    /// It was opened.
    Opened,
    /// It was closed.
    Closed,
    /// It was opened again.
    Reopened,
    /// It has another team.
    Team,
}

/// What is said about a case.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum CaseSays {
    /// It begins with this message.
    Opening {
        /// What it is about.
        title: String,
        /// Who works on it.
        team: Vec<CaseMember>,
        /// When it closes by itself.
        closes: Option<SystemTime>,
    },
    /// It is closed.
    Closing {
        /// Why; may be empty.
        reason: String,
    },
    /// It is opened again.
    Reopening {
        /// Why; may be empty.
        reason: String,
        /// When it closes by itself.
        closes: Option<SystemTime>,
    },
    /// It has another team.
    Team {
        /// Who works on it.
        team: Vec<CaseMember>,
    },
}

/// Something that has happened to a case.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct CaseEvent {
    /// What.
    pub act: CaseAct,
    /// Who did it.
    pub by: AccountAddress,
    /// When.
    pub time: SystemTime,
    /// Why; empty if nobody said.
    pub reason: String,
}

/// A case.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct Case {
    /// The case, which is the message that opened it.
    pub id: MessageIdentifier,
    /// In which group.
    pub group: GroupIdentifier,
    /// Whom it is about.
    pub patient: Patient,
    /// What it is about.
    pub title: String,
    /// Whether it takes anything in now.
    pub state: CaseState,
    /// When it closes by itself.
    pub closes: Option<SystemTime>,
    /// Who works on it.
    pub team: Vec<CaseMember>,
    /// What has happened to it, in order.
    pub events: Vec<CaseEvent>,
}

/// A case as lists show it.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct CaseOverview {
    /// The case.
    pub case: Case,
    /// Messages in it.
    pub messages: i64,
}

/// A case with what was said in it.
#[derive(Clone, PartialEq, uniffi::Record)]
pub struct CaseContents {
    /// The case.
    pub case: Case,
    /// What was said in it, in the group's order, then what waits or was not sent.
    pub messages: Vec<GroupMessage>,
    /// How many messages of others do not count: not of the team, after the closing, or against the rules.
    pub refused: u32,
}

impl From<CaseSummary> for CaseOverview {
    fn from(summary: CaseSummary) -> Self {
        let messages = i64::try_from(summary.messages).unwrap_or(i64::MAX);
        Self { case: Case::of(&summary.group, &summary.case), messages }
    }
}

impl From<CaseDetail> for CaseContents {
    fn from(detail: CaseDetail) -> Self {
        // What happened to the case is in it already.
        let is_event = |id| detail.case.events().iter().any(|event| event.id == id);
        let said = detail.messages.iter().filter(|message| !is_event(message.content.id));
        Self {
            case: Case::of(&detail.group, &detail.case),
            messages: said.map(GroupMessage::from).collect(),
            refused: u32::try_from(detail.refused).unwrap_or(u32::MAX),
        }
    }
}

impl Case {
    fn of(group: &GroupId, case: &CaseThread) -> Self {
        let patient = case.patient();
        Self {
            id: hex(&case.id().0),
            group: hex(group),
            patient: Patient {
                identifier: patient.identifier.clone(),
                assigning_authority: patient.assigning_authority.clone(),
            },
            title: case.title().to_owned(),
            state: match case.state_at(now().0) {
                StateNow::Open => CaseState::Open,
                StateNow::Closed { since } => CaseState::Closed { since: time(since) },
            },
            closes: case.closes().map(time),
            team: case.team().iter().map(CaseMember::from).collect(),
            events: case.events().iter().map(CaseEvent::from).collect(),
        }
    }
}

impl From<&kind::CaseEvent> for CaseEvent {
    fn from(event: &kind::CaseEvent) -> Self {
        Self {
            act: match event.act {
                kind::CaseAct::Opened => CaseAct::Opened,
                kind::CaseAct::Closed => CaseAct::Closed,
                kind::CaseAct::Reopened => CaseAct::Reopened,
                kind::CaseAct::Team => CaseAct::Team,
            },
            by: event.author.address.to_string(),
            time: time(event.place.at),
            reason: event.reason.clone(),
        }
    }
}

impl From<&kind::Case> for CaseSays {
    fn from(case: &kind::Case) -> Self {
        let members = |team: &[kind::CaseMember]| team.iter().map(CaseMember::from).collect();
        match case {
            kind::Case::Opening { title, team, closes } => {
                Self::Opening { title: title.clone(), team: members(team), closes: closes.map(time) }
            }
            kind::Case::Closing { reason } => Self::Closing { reason: reason.clone() },
            kind::Case::Reopening { reason, closes } => {
                Self::Reopening { reason: reason.clone(), closes: closes.map(time) }
            }
            kind::Case::Team { team } => Self::Team { team: members(team) },
        }
    }
}

impl From<&kind::CaseMember> for CaseMember {
    fn from(member: &kind::CaseMember) -> Self {
        let kind::CaseMember { address, function, may_close } = member;
        Self { address: address.to_string(), function: function.clone(), may_close: *may_close }
    }
}

impl From<Patient> for PatientReference {
    fn from(patient: Patient) -> Self {
        Self {
            identifier: patient.identifier.trim().to_owned(),
            assigning_authority: patient.assigning_authority.trim().to_owned(),
        }
    }
}

/// A team as the engine has it: nobody twice, and somebody who may close the case.
pub(crate) fn team(members: &[CaseMember]) -> Result<Vec<kind::CaseMember>, MedipepsError> {
    let mut team: Vec<kind::CaseMember> = Vec::new();
    for member in members {
        let address = address(&member.address)?;
        if team.iter().any(|one| one.address == address) {
            return Err(MedipepsError::argument("team", &format!("{address} is named twice")));
        }
        team.push(kind::CaseMember { address, function: member.function.clone(), may_close: member.may_close });
    }
    if team.iter().any(|member| member.may_close) {
        return Ok(team);
    }
    Err(MedipepsError::argument("team", "somebody must be able to close the case"))
}
