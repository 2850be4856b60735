//! The kind `mailbox_event`: who in an organisation takes care of what has come to its mailbox. It travels in the organisation's
//! own group; the fold of the group's log says who holds what, and who did what.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::author::{Author, Place};
use super::body::Body;
use super::content::{Content, MessageId};
use crate::Address;
use crate::limits::{MAILBOX_ITEMS_MAX, MAILBOX_TRACE_MAX};

/// What somebody does with a message of the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxEvent {
    /// The message that has come.
    pub message: MessageId,
    /// What.
    pub act: MailboxAct,
}

/// What is done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxAct {
    /// The sender takes care of it.
    Claimed,
    /// This colleague takes care of it.
    Assigned(Address),
    /// Nobody takes care of it any more.
    Released,
    /// Nothing is left to do.
    Done,
}

/// An event with what the group says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxEntry {
    /// The content's id.
    pub id: MessageId,
    /// Who wrote it: never what the content claims.
    pub author: Author,
    /// Whether he is an owner of the group, by its roster in this epoch.
    pub is_owner: bool,
    /// When and where in the log.
    pub place: Place,
    /// What he does.
    pub event: MailboxEvent,
}

/// How it stands with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxState {
    /// Nobody takes care of it.
    Unclaimed,
    /// Somebody does.
    Held {
        /// Who.
        by: Address,
        /// Since when, in milliseconds since 1970.
        since: u64,
    },
    /// Nothing is left to do.
    Done {
        /// Who said so.
        by: Address,
        /// When, in milliseconds since 1970.
        at: u64,
    },
}

/// Something that has happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxTrace {
    /// When and where in the log.
    pub place: Place,
    /// By whom; `None`: it came from outside.
    pub author: Option<Author>,
    /// What.
    pub act: MailboxTraceAct,
}

/// What has happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxTraceAct {
    /// It has come.
    Arrived,
    /// Somebody did this.
    Did(MailboxAct),
    /// Who held it has left the organisation, and it is free again.
    HolderLeft(Address),
}

/// A message of the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxItem {
    state: MailboxState,
    trace: Vec<MailboxTrace>,
}

/// All messages of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mailbox {
    items: BTreeMap<MessageId, MailboxItem>,
    seen: BTreeSet<MessageId>,
}

/// Why an event does not count. The mailbox is as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MailboxRefusal {
    /// No such message has come.
    #[error("no such message has come to the mailbox")]
    UnknownMessage,
    /// Somebody takes care of it already: of two who claim, the first in the log has it.
    #[error("{by} takes care of the message")]
    Held {
        /// Who.
        by: Address,
    },
    /// Nobody takes care of it.
    #[error("nobody takes care of the message")]
    NotHeld,
    /// It is done.
    #[error("the message is done")]
    Done,
    /// Only who holds it, or an owner of the group, may do this.
    #[error("only who takes care of the message, or an owner, may do this")]
    NotHolder,
    /// The mailbox is full.
    #[error("at most {MAILBOX_ITEMS_MAX} messages of a mailbox are followed")]
    TooManyMessages,
    /// Too much has happened to the message.
    #[error("at most {MAILBOX_TRACE_MAX} things happen to a message")]
    TooManyEvents,
}

impl MailboxEvent {
    pub(super) fn fallback_text(&self) -> String {
        match &self.act {
            MailboxAct::Claimed => "Takes care of a message".to_owned(),
            MailboxAct::Assigned(assignee) => format!("Gives a message to {assignee}"),
            MailboxAct::Released => "Does not take care of a message any more".to_owned(),
            MailboxAct::Done => "Is done with a message".to_owned(),
        }
    }
}

impl MailboxEntry {
    /// The entry of a content; `None` if it is of another kind.
    #[must_use]
    pub fn of(content: &Content, author: Author, is_owner: bool, place: Place) -> Option<Self> {
        let Body::MailboxEvent(event) = &content.body else { return None };
        Some(Self { id: content.id, author, is_owner, place, event: event.clone() })
    }
}

impl Mailbox {
    /// A message has come. `false`: it was there.
    ///
    /// # Errors
    /// [`MailboxRefusal::TooManyMessages`]
    pub fn arrived(&mut self, message: MessageId, place: Place) -> Result<bool, MailboxRefusal> {
        if self.items.contains_key(&message) {
            return Ok(false);
        }
        if self.items.len() >= MAILBOX_ITEMS_MAX {
            return Err(MailboxRefusal::TooManyMessages);
        }
        let trace = vec![MailboxTrace { place, author: None, act: MailboxTraceAct::Arrived }];
        self.items.insert(message, MailboxItem { state: MailboxState::Unclaimed, trace });
        Ok(true)
    }

    /// Takes in what comes next in the log. `false`: it has come before, and nothing has changed.
    ///
    /// # Errors
    /// [`MailboxRefusal`]; the mailbox is as before.
    pub fn apply(&mut self, entry: MailboxEntry) -> Result<bool, MailboxRefusal> {
        if self.seen.contains(&entry.id) {
            return Ok(false);
        }
        let item = self.items.get_mut(&entry.event.message).ok_or(MailboxRefusal::UnknownMessage)?;
        if item.trace.len() >= MAILBOX_TRACE_MAX {
            return Err(MailboxRefusal::TooManyEvents);
        }
        item.state = item.state.after(&entry)?;
        let act = MailboxTraceAct::Did(entry.event.act);
        item.trace.push(MailboxTrace { place: entry.place, author: Some(entry.author), act });
        self.seen.insert(entry.id);
        Ok(true)
    }

    /// Somebody has been removed from the group: what he held is free again. `by` is who removed him.
    pub fn member_left(&mut self, address: &Address, by: &Author, place: Place) {
        for item in self.items.values_mut() {
            if matches!(&item.state, MailboxState::Held { by, .. } if by == address) {
                item.state = MailboxState::Unclaimed;
                let act = MailboxTraceAct::HolderLeft(address.clone());
                item.trace.push(MailboxTrace { place, author: Some(by.clone()), act });
            }
        }
    }

    /// One message.
    #[must_use]
    pub fn item(&self, message: &MessageId) -> Option<&MailboxItem> {
        self.items.get(message)
    }

    /// All messages.
    pub fn items(&self) -> impl Iterator<Item = (&MessageId, &MailboxItem)> {
        self.items.iter()
    }

    /// What one person has done, message by message.
    pub fn trace_of(&self, address: &Address) -> impl Iterator<Item = (&MessageId, &MailboxTrace)> {
        let all = self.items.iter().flat_map(|(message, item)| item.trace.iter().map(move |trace| (message, trace)));
        all.filter(move |(_, trace)| trace.author.as_ref().is_some_and(|author| author.address == *address))
    }
}

impl MailboxItem {
    /// How it stands.
    #[must_use]
    pub const fn state(&self) -> &MailboxState {
        &self.state
    }

    /// What has happened to it, in the order of the log.
    #[must_use]
    pub fn trace(&self) -> &[MailboxTrace] {
        &self.trace
    }
}

impl MailboxState {
    /// The state after an event, if that is legal.
    fn after(&self, entry: &MailboxEntry) -> Result<Self, MailboxRefusal> {
        let (account, at) = (&entry.author.address, entry.place.at);
        let may = |holder: &Address| holder == account || entry.is_owner;
        match (self, &entry.event.act) {
            (Self::Unclaimed, MailboxAct::Claimed) => Ok(Self::Held { by: account.clone(), since: at }),
            (Self::Unclaimed, MailboxAct::Assigned(to)) => Ok(Self::Held { by: to.clone(), since: at }),
            (Self::Unclaimed, MailboxAct::Released | MailboxAct::Done) => Err(MailboxRefusal::NotHeld),
            (Self::Held { by, .. }, MailboxAct::Claimed) => Err(MailboxRefusal::Held { by: by.clone() }),
            (Self::Held { by, .. }, MailboxAct::Assigned(to)) if may(by) => {
                Ok(Self::Held { by: to.clone(), since: at })
            }
            (Self::Held { by, .. }, MailboxAct::Done) if by == account => Ok(Self::Done { by: account.clone(), at }),
            (Self::Held { by, .. } | Self::Done { by, .. }, MailboxAct::Released) if may(by) => Ok(Self::Unclaimed),
            (Self::Held { .. }, _) | (Self::Done { .. }, MailboxAct::Released) => Err(MailboxRefusal::NotHolder),
            (Self::Done { .. }, _) => Err(MailboxRefusal::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kind::test_content::{author, content, id};

    fn entry(number: u64, account: u8, is_owner: bool, act: MailboxAct) -> MailboxEntry {
        let place = Place { position: number, at: 10 * number };
        let event = MailboxEvent { message: id(1), act };
        MailboxEntry { id: id(100 + number), author: author(account), is_owner, place, event }
    }

    fn mailbox() -> Mailbox {
        let mut mailbox = Mailbox::default();
        assert_eq!(mailbox.arrived(id(1), Place { position: 1, at: 10 }), Ok(true));
        assert_eq!(mailbox.arrived(id(1), Place { position: 2, at: 20 }), Ok(false));
        mailbox
    }

    fn state(mailbox: &Mailbox) -> &MailboxState {
        mailbox.item(&id(1)).unwrap().state()
    }

    #[test]
    fn events_come_back_as_they_were() {
        for act in
            [MailboxAct::Claimed, MailboxAct::Assigned(author(2).address), MailboxAct::Released, MailboxAct::Done]
        {
            let sent = content(Body::MailboxEvent(MailboxEvent { message: id(1), act }));
            assert!(!sent.fallback_text.is_empty());
            assert_eq!(Content::decode(&sent.encode().unwrap()), Ok(sent));
        }
    }

    #[test]
    fn of_two_who_claim_the_first_in_the_log_has_it() {
        let mut mailbox = mailbox();
        assert_eq!(mailbox.apply(entry(2, 1, false, MailboxAct::Claimed)), Ok(true));
        assert_eq!(mailbox.apply(entry(2, 1, false, MailboxAct::Claimed)), Ok(false));
        let held = MailboxRefusal::Held { by: author(1).address };
        assert_eq!(mailbox.apply(entry(3, 2, true, MailboxAct::Claimed)), Err(held));
        assert_eq!(*state(&mailbox), MailboxState::Held { by: author(1).address, since: 20 });
        let elsewhere = MailboxEntry {
            event: MailboxEvent { message: id(9), act: MailboxAct::Claimed },
            ..entry(4, 1, true, MailboxAct::Claimed)
        };
        assert_eq!(mailbox.apply(elsewhere), Err(MailboxRefusal::UnknownMessage));
    }

    #[test]
    fn only_the_holder_is_done_and_an_owner_may_take_away() {
        let mut mailbox = mailbox();
        assert_eq!(mailbox.apply(entry(2, 1, false, MailboxAct::Done)), Err(MailboxRefusal::NotHeld));
        assert_eq!(mailbox.apply(entry(3, 1, false, MailboxAct::Assigned(author(2).address))), Ok(true));
        assert_eq!(mailbox.apply(entry(4, 1, false, MailboxAct::Released)), Err(MailboxRefusal::NotHolder));
        assert_eq!(mailbox.apply(entry(5, 1, true, MailboxAct::Done)), Err(MailboxRefusal::NotHolder));
        assert_eq!(mailbox.apply(entry(6, 1, true, MailboxAct::Assigned(author(3).address))), Ok(true));
        assert_eq!(mailbox.apply(entry(7, 3, false, MailboxAct::Done)), Ok(true));
        assert_eq!(*state(&mailbox), MailboxState::Done { by: author(3).address, at: 70 });
        assert_eq!(mailbox.apply(entry(8, 2, false, MailboxAct::Claimed)), Err(MailboxRefusal::Done));
        assert_eq!(mailbox.apply(entry(9, 2, false, MailboxAct::Released)), Err(MailboxRefusal::NotHolder));
        assert_eq!(mailbox.apply(entry(10, 3, false, MailboxAct::Released)), Ok(true));
        assert_eq!(*state(&mailbox), MailboxState::Unclaimed);
        let of = |number| mailbox.trace_of(&author(number).address).count();
        assert_eq!((of(1), of(2), of(3)), (2, 0, 2));
    }

    #[test]
    fn what_a_leaver_held_is_free_again_and_the_trace_says_so() {
        let mut mailbox = mailbox();
        mailbox.apply(entry(2, 1, false, MailboxAct::Claimed)).unwrap();
        mailbox.member_left(&author(2).address, &author(3), Place { position: 3, at: 30 });
        assert!(matches!(state(&mailbox), MailboxState::Held { .. }));
        mailbox.member_left(&author(1).address, &author(3), Place { position: 4, at: 40 });
        assert_eq!(*state(&mailbox), MailboxState::Unclaimed);
        let last = mailbox.item(&id(1)).unwrap().trace().last().unwrap();
        assert_eq!(last.act, MailboxTraceAct::HolderLeft(author(1).address));
        mailbox.apply(entry(5, 2, false, MailboxAct::Claimed)).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is tried: a refusal changes nothing, everything that counts is in the trace, and only the holder is done.
        #[test]
        fn refusals_change_nothing_and_the_trace_is_whole(
            acts in prop::collection::vec((1_u8..4, any::<bool>(), 0_u8..6), 0..40),
        ) {
            let mut mailbox = mailbox();
            let mut counted = 1;
            for ((account, is_owner, act), number) in acts.into_iter().zip(2..) {
                let act = match act {
                    0 | 1 => MailboxAct::Claimed,
                    2 => MailboxAct::Assigned(author(account % 3 + 1).address),
                    3 => MailboxAct::Released,
                    _ => MailboxAct::Done,
                };
                let before = mailbox.clone();
                let is_done = act == MailboxAct::Done;
                match mailbox.apply(entry(number, account, is_owner, act)) {
                    Err(_) => prop_assert_eq!(&mailbox, &before),
                    Ok(_) => {
                        counted += 1;
                        let held = matches!(state(&before), MailboxState::Held { by, .. } if *by == author(account).address);
                        prop_assert!(!is_done || held);
                    }
                }
                prop_assert_eq!(mailbox.item(&id(1)).unwrap().trace().len(), counted);
            }
        }
    }
}
