//! Cases in a group: what a person says about one or in one, and the fold of what is stored into what is shown.

use std::collections::BTreeMap;

use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::{
    Author, Body, Case, CaseEntry, CaseMember, CaseRefusal, CaseState, CaseThread, ChatEntry, ChatThread, MessageId,
    PatientReference, Place,
};
use medipeps_core::limits::TRANSCRIPT_MESSAGES_MAX;
use medipeps_core::organisation::OrganisationService;
use medipeps_core::wire::client_records::GroupMessageState;

use super::message::{self, Thread};
use super::{GroupId, GroupMessage, GroupProblem, SendToGroup};
use crate::engine::organisation;
use crate::engine::records::key;
use crate::engine::transaction::{Stop, Transaction};

/// Something to be said about a case or in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendToCase {
    /// Which case; `None`: the message opens one.
    pub case: Option<MessageId>,
    /// Of an opening: whom it is about.
    pub patient: Option<PatientReference>,
    /// What.
    pub message: SendToGroup,
}

/// A case as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseSummary {
    /// In which group.
    pub group: GroupId,
    /// The case.
    pub case: CaseThread,
    /// Messages in its thread, those about the case itself not counted.
    pub messages: u64,
}

/// A case with what was said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseDetail {
    /// In which group.
    pub group: GroupId,
    /// The case.
    pub case: CaseThread,
    /// What its thread shows.
    pub chat: ChatThread,
    /// Messages of the case in the log's order, then what waits or was not sent. Those that do not count are not among
    /// them.
    pub messages: Vec<GroupMessage>,
    /// How many of others' messages do not count: written after the closing, by somebody who does not belong to the
    /// team, or against the rules.
    pub refused: usize,
}

/// All cases of a group out of its messages, which come one after the other and are not kept.
#[derive(Debug, Default)]
pub struct CaseList {
    events: Vec<CaseEntry>,
    messages: BTreeMap<MessageId, u64>,
}

/// One case out of its group's messages.
#[derive(Debug)]
pub struct CaseFold {
    case: MessageId,
    messages: Vec<GroupMessage>,
    over: bool,
}

impl CaseList {
    /// Takes in the next message of the group, in any order.
    pub fn take(&mut self, message: &GroupMessage) {
        if message.message.state != GroupMessageState::Logged {
            return;
        }
        let Some((author, place)) = origin(message) else { return };
        match CaseEntry::of(&message.content, author, place) {
            Some(entry) => self.events.push(entry),
            None => *self.messages.entry(message.content.thread).or_default() += 1,
        }
    }

    /// The cases, the last opened first.
    #[must_use]
    pub fn finish(mut self, group: &GroupId) -> Vec<CaseSummary> {
        self.events.sort_by_key(|entry| (entry.place.position, entry.id));
        let mut cases: BTreeMap<MessageId, CaseThread> = BTreeMap::new();
        for entry in self.events {
            // What is not allowed does not count; everybody decides the same.
            match cases.get_mut(&entry.thread) {
                Some(case) => drop(case.apply(entry)),
                None => drop(CaseThread::open(entry).map(|case| cases.insert(case.id(), case))),
            }
        }
        let messages = |case: &CaseThread| self.messages.get(&case.id()).copied().unwrap_or(0);
        let summary = |case| CaseSummary { group: *group, messages: messages(&case), case };
        let mut cases: Vec<_> = cases.into_values().map(summary).collect();
        cases.sort_by_key(|one| std::cmp::Reverse(one.case.events().first().map_or(0, |opened| opened.place.position)));
        cases
    }
}

impl CaseFold {
    /// Of this case.
    #[must_use]
    pub const fn new(case: MessageId) -> Self {
        Self { case, messages: Vec::new(), over: false }
    }

    /// Takes in the next message of the group, in any order; those of other threads are not kept.
    pub fn take(&mut self, message: GroupMessage) {
        if message.content.thread != self.case {
            return;
        }
        if self.messages.len() >= TRANSCRIPT_MESSAGES_MAX {
            self.over = true;
            return;
        }
        self.messages.push(message);
    }

    /// What the case shows.
    ///
    /// # Errors
    /// [`GroupProblem::UnknownCase`] if its opening is not here, [`GroupProblem::CaseTooLong`].
    pub fn finish(mut self, group: &GroupId) -> Result<CaseDetail, GroupProblem> {
        if self.over {
            return Err(GroupProblem::CaseTooLong);
        }
        self.messages.sort_by_key(GroupMessage::order);
        let (mut case, mut chat): (Option<CaseThread>, _) = (None, ChatThread::default());
        let (mut messages, mut refused) = (Vec::new(), 0);
        for message in self.messages {
            if message.message.state != GroupMessageState::Logged {
                messages.push(message);
                continue;
            }
            match count(&mut case, &mut chat, &message) {
                true => messages.push(message),
                false => refused += 1,
            }
        }
        let case = case.ok_or(GroupProblem::UnknownCase)?;
        Ok(CaseDetail { group: *group, case, chat, messages, refused })
    }
}

impl CaseDetail {
    /// Whether a message of an account would be taken in now, as far as this device knows; `now` in milliseconds since
    /// 1970.
    ///
    /// # Errors
    /// [`GroupProblem::CaseRefused`]
    pub fn check_admits(&self, author: &Author, now: u64) -> Result<(), GroupProblem> {
        Ok(self.case.admits(author, now)?)
    }

    /// Whether something that an account says about the case itself would count now.
    ///
    /// # Errors
    /// [`GroupProblem::CaseRefused`]
    pub fn check_act(&self, author: &Author, act: &Case, now: u64) -> Result<(), GroupProblem> {
        let position = self.case.events().last().map_or(0, |last| last.place.position).saturating_add(1);
        let (id, thread, place) = (MessageId([0; 16]), self.case.id(), Place { position, at: now });
        let entry = CaseEntry { id, thread, author: author.clone(), place, patient: None, case: act.clone() };
        self.case.clone().apply(entry)?;
        Ok(())
    }

    /// Whether it takes anything in at this time, in milliseconds since 1970.
    #[must_use]
    pub fn state(&self, now: u64) -> CaseState {
        self.case.state_at(now)
    }
}

/// Takes a message into its case. False if it does not count.
fn count(case: &mut Option<CaseThread>, chat: &mut ChatThread, message: &GroupMessage) -> bool {
    let Some((author, place)) = origin(message) else { return false };
    if let Some(entry) = CaseEntry::of(&message.content, author.clone(), place) {
        return match case {
            Some(case) => case.apply(entry).is_ok(),
            None => match CaseThread::open(entry) {
                Ok(opened) => {
                    *case = Some(opened);
                    true
                }
                Err(_) => false,
            },
        };
    }
    if case.as_ref().is_none_or(|case| case.admits(&author, place.at).is_err()) {
        return false;
    }
    match ChatEntry::of(&message.content, author, place) {
        Some(entry) => chat.apply(entry).is_ok(),
        // Of a kind that this client does not show by itself: its fallback text is.
        None => true,
    }
}

/// Who wrote a message that is in the log, and where it stands.
pub(super) fn origin(message: &GroupMessage) -> Option<(Author, Place)> {
    let record = &message.message;
    let account_key = VerifyingKey::from_slice(&record.account_key).ok()?;
    let author = Author { address: record.sender.clone(), account_key };
    Some((author, Place { position: record.sequence, at: record.received }))
}

/// Stores what is to be said about a case or in one. Whether it will count is for the readers, by the log's order.
pub(super) fn send(transaction: &mut Transaction<'_>, command: &SendToCase) -> Result<(), Stop> {
    organisation::check_service(transaction, OrganisationService::Chat)?;
    if let Body::Case(Case::Opening { team, .. } | Case::Team { team }) = &command.message.body {
        check_members(transaction, &command.message.group, team)?;
    }
    let thread = match (&command.case, &command.patient) {
        (Some(case), _) => Thread::Case(*case),
        (None, Some(patient)) => Thread::Opening(patient.clone()),
        (None, None) => return Err(GroupProblem::CaseRefused(CaseRefusal::NoPatient).into()),
    };
    message::queue(transaction, &command.message, thread).map(|_| ())
}

/// Who is not in the group would never see the case.
fn check_members(transaction: &mut Transaction<'_>, group: &GroupId, team: &[CaseMember]) -> Result<(), Stop> {
    let roster = transaction.load(&key::group_roster(group))?.unwrap_or_default();
    let in_group = |member: &&CaseMember| roster.members.iter().any(|one| one.address == member.address);
    match team.iter().find(|member| !in_group(member)) {
        Some(member) => Err(GroupProblem::NotMember(member.address.clone()).into()),
        None => Ok(()),
    }
}
