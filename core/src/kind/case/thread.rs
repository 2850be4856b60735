//! A case as a reader sees it: the fold of what was said about it, in the order of the log.

use std::collections::BTreeSet;

use thiserror::Error;

use super::super::author::{Author, Place};
use super::super::body::Body;
use super::super::content::{Content, MessageId, PatientReference};
use super::super::redacted::redacted;
use super::{Case, CaseMember};
use crate::Address;
use crate::limits::CASE_EVENTS_MAX;

/// One message about a case, with what the session or the group says about it.
#[derive(Clone, PartialEq, Eq)]
pub struct CaseEntry {
    /// The content's id.
    pub id: MessageId,
    /// The content's thread: the case.
    pub thread: MessageId,
    /// Who wrote it: never what the content claims.
    pub author: Author,
    /// When and where in the thread.
    pub place: Place,
    /// The content's patient.
    pub patient: Option<PatientReference>,
    /// What it says.
    pub case: Case,
}

/// A case.
#[derive(Clone, PartialEq, Eq)]
pub struct CaseThread {
    id: MessageId,
    patient: PatientReference,
    title: String,
    team: Vec<CaseMember>,
    closes: Option<u64>,
    closed: Option<u64>,
    events: Vec<CaseEvent>,
    seen: BTreeSet<MessageId>,
}

/// Something that has happened to a case.
#[derive(Clone, PartialEq, Eq)]
pub struct CaseEvent {
    /// Its message.
    pub id: MessageId,
    /// Who did it.
    pub author: Author,
    /// When and where in the thread.
    pub place: Place,
    /// What.
    pub act: CaseAct,
    /// Why; empty if nobody said.
    pub reason: String,
}

/// What happens to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Whether a case takes anything in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseState {
    /// It does.
    Open,
    /// It does not.
    Closed {
        /// Since when, in milliseconds since 1970.
        since: u64,
    },
}

/// Why something does not count. The case is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CaseRefusal {
    /// It does not open a case.
    #[error("a case begins with its opening")]
    NotOpening,
    /// It names no patient.
    #[error("a case is about a patient")]
    NoPatient,
    /// It is about another case.
    #[error("the message belongs to another case")]
    OtherCase,
    /// The case is open already.
    #[error("the case is open")]
    AlreadyOpen,
    /// The case is closed.
    #[error("the case is closed since {since}")]
    Closed {
        /// Milliseconds since 1970.
        since: u64,
    },
    /// By somebody who does not work on it.
    #[error("the account does not belong to the case's team")]
    NotInTeam,
    /// By a member of the team who may not.
    #[error("the account may not close the case, open it again or change its team")]
    MayNotClose,
    /// It stands before what has been taken in: a log is read in its order.
    #[error("the message stands before one that has been taken in")]
    OutOfOrder,
    /// Too much has happened to it.
    #[error("at most {CASE_EVENTS_MAX} things happen to a case")]
    TooManyEvents,
}

impl CaseEntry {
    /// The entry of a content; `None` if it is of another kind.
    #[must_use]
    pub fn of(content: &Content, author: Author, place: Place) -> Option<Self> {
        let Body::Case(case) = &content.body else { return None };
        let (id, thread, patient) = (content.id, content.thread, content.patient.clone());
        Some(Self { id, thread, author, place, patient, case: case.clone() })
    }
}

impl CaseThread {
    /// Begins a case.
    ///
    /// # Errors
    /// [`CaseRefusal::NotOpening`], [`CaseRefusal::OtherCase`] and [`CaseRefusal::NoPatient`].
    pub fn open(entry: CaseEntry) -> Result<Self, CaseRefusal> {
        let Case::Opening { title, team, closes } = entry.case else { return Err(CaseRefusal::NotOpening) };
        if entry.id != entry.thread {
            return Err(CaseRefusal::OtherCase);
        }
        let patient = entry.patient.ok_or(CaseRefusal::NoPatient)?;
        let (id, author, place) = (entry.id, entry.author, entry.place);
        let opened = CaseEvent { id, author, place, act: CaseAct::Opened, reason: String::new() };
        let seen = BTreeSet::from([entry.id]);
        Ok(Self { id: entry.id, patient, title, team, closes, closed: None, events: vec![opened], seen })
    }

    /// Takes in what comes next in the log. `false`: it has come before, and nothing has changed.
    ///
    /// # Errors
    /// [`CaseRefusal`]; the case is as before.
    pub fn apply(&mut self, entry: CaseEntry) -> Result<bool, CaseRefusal> {
        if entry.thread != self.id {
            return Err(CaseRefusal::OtherCase);
        }
        if self.seen.contains(&entry.id) {
            return Ok(false);
        }
        if self.events.last().is_some_and(|last| entry.place.position <= last.place.position) {
            return Err(CaseRefusal::OutOfOrder);
        }
        if self.events.len() >= CASE_EVENTS_MAX {
            return Err(CaseRefusal::TooManyEvents);
        }
        self.may_close(&entry.author)?;
        let at = entry.place.at;
        let state = self.state_at(at);
        let (act, reason) = match entry.case {
            Case::Opening { .. } => return Err(CaseRefusal::AlreadyOpen),
            Case::Closing { reason } => {
                open(state)?;
                self.closed = Some(at);
                (CaseAct::Closed, reason)
            }
            Case::Reopening { reason, closes } => {
                if state == CaseState::Open {
                    return Err(CaseRefusal::AlreadyOpen);
                }
                (self.closed, self.closes) = (None, closes);
                (CaseAct::Reopened, reason)
            }
            Case::Team { team } => {
                open(state)?;
                self.team = team;
                (CaseAct::Team, String::new())
            }
        };
        self.seen.insert(entry.id);
        self.events.push(CaseEvent { id: entry.id, author: entry.author, place: entry.place, act, reason });
        Ok(true)
    }

    /// Whether an account may add a message to the case now, which is to be asked before [`super::super::ChatThread::apply`].
    /// `at` is the message's [`Place::at`].
    ///
    /// # Errors
    /// [`CaseRefusal::Closed`] and [`CaseRefusal::NotInTeam`].
    pub fn admits(&self, author: &Author, at: u64) -> Result<(), CaseRefusal> {
        open(self.state_at(at))?;
        if self.is_opener(author) || self.member(&author.address).is_some() {
            Ok(())
        } else {
            Err(CaseRefusal::NotInTeam)
        }
    }

    /// Whether it is open at this time, in milliseconds since 1970.
    #[must_use]
    pub fn state_at(&self, at: u64) -> CaseState {
        let by_itself = self.closes.filter(|closes| *closes <= at);
        match (self.closed, by_itself) {
            (Some(since), _) | (None, Some(since)) => CaseState::Closed { since },
            (None, None) => CaseState::Open,
        }
    }

    fn may_close(&self, author: &Author) -> Result<(), CaseRefusal> {
        match self.member(&author.address) {
            _ if self.is_opener(author) => Ok(()),
            None => Err(CaseRefusal::NotInTeam),
            Some(member) if member.may_close => Ok(()),
            Some(_) => Err(CaseRefusal::MayNotClose),
        }
    }

    fn is_opener(&self, author: &Author) -> bool {
        self.events.first().is_some_and(|opened| opened.author == *author)
    }

    fn member(&self, address: &Address) -> Option<&CaseMember> {
        self.team.iter().find(|member| member.address == *address)
    }

    /// The case's id, which is its thread's.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Whom it is about.
    #[must_use]
    pub const fn patient(&self) -> &PatientReference {
        &self.patient
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Who works on it now.
    #[must_use]
    pub fn team(&self) -> &[CaseMember] {
        &self.team
    }

    /// When it closes by itself, in milliseconds since 1970.
    #[must_use]
    pub const fn closes(&self) -> Option<u64> {
        self.closes
    }

    /// What has happened to it, the opening first.
    #[must_use]
    pub fn events(&self) -> &[CaseEvent] {
        &self.events
    }
}

const fn open(state: CaseState) -> Result<(), CaseRefusal> {
    match state {
        CaseState::Open => Ok(()),
        CaseState::Closed { since } => Err(CaseRefusal::Closed { since }),
    }
}

redacted!(CaseEntry, CaseThread, CaseEvent);
