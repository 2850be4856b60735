//! An organisation's mailbox as members see it: out of what the group's log has brought, the same for all of them.

use std::collections::{BTreeMap, BTreeSet};

use medipeps_core::Address;
use medipeps_core::crypto::signature::VerifyingKey;
use medipeps_core::kind::{Author, Body, Content, Mailbox, MailboxArrival, MailboxEntry, MessageId, Place};
use medipeps_core::wire::client_records::{GroupDepartureRecord, GroupMessageState};

use super::GroupMessage;

/// A mailbox: what has come, and who takes care of it.
#[derive(Debug, Clone, Default)]
pub struct MailboxView {
    /// Who holds what, and who did what.
    pub mailbox: Mailbox,
    /// What has come, by its name in the mailbox.
    pub mails: BTreeMap<MessageId, MailboxMail>,
}

/// A message of the mailbox.
#[derive(Debug, Clone)]
pub struct MailboxMail {
    /// Its number in the group on this device.
    pub number: u64,
    /// Who has written it.
    pub sender: Address,
    /// When the server took it, in milliseconds since 1970.
    pub received: u64,
    /// Which account posted it.
    pub posted_by: Address,
    /// What it says; `None` if the parts do not make a whole.
    pub content: Option<Content>,
    /// How often somebody has answered.
    pub answers: u64,
}

impl MailboxView {
    /// Out of the messages of a group, the numbers of those that an owner wrote, and who went out of it, by the sequence of the
    /// commit.
    #[must_use]
    pub fn of(
        messages: &[GroupMessage],
        owners: &BTreeSet<u64>,
        departures: &BTreeMap<u64, GroupDepartureRecord>,
    ) -> Self {
        let mut logged: Vec<&GroupMessage> =
            messages.iter().filter(|message| message.message.state == GroupMessageState::Logged).collect();
        logged.sort_by_key(|message| message.message.sequence);
        let mut view = Self::default();
        let mut parts: BTreeMap<MessageId, BTreeMap<u32, &MailboxArrival>> = BTreeMap::new();
        let mut departures = departures.iter().peekable();
        for message in logged {
            let sequence = message.message.sequence;
            while let Some((position, departure)) = departures.next_if(|(position, _)| **position < sequence) {
                view.departed(*position, departure);
            }
            view.take(message, owners.contains(&message.number), &mut parts);
        }
        departures.for_each(|(position, departure)| view.departed(*position, departure));
        view
    }

    fn take<'a>(
        &mut self,
        message: &'a GroupMessage,
        is_owner: bool,
        parts: &mut BTreeMap<MessageId, BTreeMap<u32, &'a MailboxArrival>>,
    ) {
        let record = &message.message;
        let Ok(account_key) = VerifyingKey::from_slice(&record.account_key) else { return };
        let author = Author { address: record.sender.clone(), account_key };
        let place = Place { position: record.sequence, at: record.received };
        match &message.content.body {
            // Only the mailbox's account, which owns the group, says what has come.
            Body::MailboxArrival(arrival) if is_owner => {
                let known = parts.entry(arrival.message).or_default();
                known.entry(arrival.part).or_insert(arrival);
                if known.len() < arrival.parts as usize || self.mails.contains_key(&arrival.message) {
                    return;
                }
                let content = MailboxArrival::join(&known.values().copied().collect::<Vec<_>>()).ok();
                if self.mailbox.arrived(arrival.message, place) == Ok(true) {
                    let (sender, posted_by) = (arrival.sender.clone(), record.sender.clone());
                    let (number, received, answers) = (message.number, arrival.received, 0);
                    let mail = MailboxMail { number, sender, received, posted_by, content, answers };
                    self.mails.insert(arrival.message, mail);
                }
            }
            Body::MailboxAnswer(answer) => {
                if let Some(mail) = self.mails.get_mut(&answer.message) {
                    mail.answers += 1;
                }
            }
            _ => {
                if let Some(entry) = MailboxEntry::of(&message.content, author, is_owner, place) {
                    // What is not allowed does not count; everybody decides the same.
                    let _ = self.mailbox.apply(entry);
                }
            }
        }
    }

    fn departed(&mut self, position: u64, departure: &GroupDepartureRecord) {
        let Ok(account_key) = VerifyingKey::from_slice(&departure.account_key) else { return };
        let by = Author { address: departure.by.clone(), account_key };
        for gone in &departure.gone {
            self.mailbox.member_left(gone, &by, Place { position, at: departure.at });
        }
    }
}
