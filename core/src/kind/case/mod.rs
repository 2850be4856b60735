//! The kind `case`: a thread about one patient, with a team and an end. What is said in it is of the kind `chat`.

#[cfg(test)]
pub(in crate::kind) mod tests;
mod thread;
mod transcript;

use std::fmt;

pub use thread::{CaseAct, CaseEntry, CaseEvent, CaseRefusal, CaseState, CaseThread};
pub use transcript::{
    SignedTranscript, Transcript, TranscriptError, TranscriptMessage, TranscriptOption, TranscriptSays,
    VerifiedTranscript,
};

use super::content::{Content, ContentError};
use crate::Address;
use crate::limits::{CASE_REASON_LENGTH_MAX, CASE_TEAM_MAX, CASE_TITLE_LENGTH_MAX, NAME_LENGTH_MAX};

/// What is said about a case itself. Its content's thread is the case.
#[derive(Clone, PartialEq, Eq)]
pub enum Case {
    /// A case begins. Its content opens the thread and names the patient.
    Opening {
        /// 1 to [`CASE_TITLE_LENGTH_MAX`] bytes.
        title: String,
        /// Who works on it.
        team: Vec<CaseMember>,
        /// When it closes by itself, in milliseconds since 1970.
        closes: Option<u64>,
    },
    /// The case is closed: nothing is added any more.
    Closing {
        /// May be empty.
        reason: String,
    },
    /// The case is opened again.
    Reopening {
        /// May be empty.
        reason: String,
        /// When it closes by itself, in milliseconds since 1970.
        closes: Option<u64>,
    },
    /// Another team, instead of the one before.
    Team {
        /// Who works on it.
        team: Vec<CaseMember>,
    },
}

/// Who works on a case, and as what.
#[derive(Clone, PartialEq, Eq)]
pub struct CaseMember {
    /// Who.
    pub address: Address,
    /// For instance "anaesthetist".
    pub function: String,
    /// Whether he may close the case, open it again and change its team. Who opened it may, too.
    pub may_close: bool,
}

impl Case {
    /// What a client that does not know the kind shows.
    #[must_use]
    pub fn fallback_text(&self) -> String {
        match self {
            Self::Opening { title, .. } => format!("Case opened: {title}"),
            Self::Closing { reason } if reason.is_empty() => "Case closed".to_owned(),
            Self::Closing { reason } => format!("Case closed: {reason}"),
            Self::Reopening { reason, .. } if reason.is_empty() => "Case opened again".to_owned(),
            Self::Reopening { reason, .. } => format!("Case opened again: {reason}"),
            Self::Team { team } => {
                let names: Vec<_> = team.iter().map(|member| member.address.as_str()).collect();
                format!("The case's team is now {}", names.join(", "))
            }
        }
    }

    pub(super) fn validate(&self, content: &Content) -> Result<(), ContentError> {
        let reason_is_good = |reason: &str| reason.len() <= CASE_REASON_LENGTH_MAX;
        match self {
            Self::Opening { title, team, .. } => {
                if content.thread != content.id {
                    return Err(ContentError::Field("thread"));
                }
                if content.patient.as_ref().is_none_or(|patient| patient.identifier.is_empty()) {
                    return Err(ContentError::Field("patient"));
                }
                let is_line = !title.trim().is_empty() && !title.chars().any(char::is_control);
                if !is_line || title.len() > CASE_TITLE_LENGTH_MAX {
                    return Err(ContentError::Field("case.title"));
                }
                validate_team(team)
            }
            Self::Team { team } => validate_team(team),
            Self::Closing { reason } | Self::Reopening { reason, .. } if !reason_is_good(reason) => {
                Err(ContentError::Field("case.reason"))
            }
            Self::Closing { .. } | Self::Reopening { .. } => Ok(()),
        }
    }
}

fn validate_team(team: &[CaseMember]) -> Result<(), ContentError> {
    let twice = |index: usize| team[..index].iter().any(|member| member.address == team[index].address);
    if team.is_empty() || team.len() > CASE_TEAM_MAX || (0..team.len()).any(twice) {
        return Err(ContentError::Field("case.team"));
    }
    let function_is_good = |text: &str| text.len() <= NAME_LENGTH_MAX && !text.chars().any(char::is_control);
    if !team.iter().all(|member| function_is_good(&member.function)) {
        return Err(ContentError::Field("case.team.function"));
    }
    if team.iter().any(|member| member.may_close) { Ok(()) } else { Err(ContentError::Field("case.team.may_close")) }
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Opening { .. } => "Opening(..)",
            Self::Closing { .. } => "Closing(..)",
            Self::Reopening { .. } => "Reopening(..)",
            Self::Team { .. } => "Team(..)",
        })
    }
}

super::redacted::redacted!(CaseMember);
