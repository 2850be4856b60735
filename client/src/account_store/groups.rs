//! The groups of an account, as a person or a program reads them.

use std::collections::BTreeMap;

use medipeps_core::Address;
use medipeps_core::kind::{MessageId, Report};
use medipeps_core::wire::client_records::{
    GroupDepartureRecord, GroupMessageRecord, GroupOutboxRecord, GroupRecord, GroupRosterRecord, GroupStanding,
};
use rand_core::CryptoRng;

use super::{AccountStore, HandleError, decode, load};
use crate::engine::{
    CaseDetail, CaseFold, CaseList, CaseSummary, EngineError, GroupId, GroupMessage, GroupProblem, GroupReader,
    GroupSummary, MailboxView, ReadPosition, Time, Wakes, class, group_reader, key, place_of_upload, report_of,
};
use crate::limits::GROUP_MESSAGES_PER_LOAD;
use crate::store::Store;

impl<S: Store> AccountStore<S> {
    /// All groups, those with the newest member state last.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn groups(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<GroupSummary>, HandleError> {
        let mut transaction = self.store.begin(now.0, rng)?;
        let mut groups = Vec::new();
        let positions = transaction.scan(class::GROUP_READ)?;
        for (_, value) in transaction.scan(class::GROUP)?.iter() {
            let group: GroupRecord = decode(class::GROUP, value)?;
            let roster: GroupRosterRecord = load(&transaction, &key::group_roster(&group.log_id))?.unwrap_or_default();
            let of_group = positions.iter().filter_map(|(name, value)| {
                let address = std::str::from_utf8(name.strip_prefix(&group.log_id)?).ok()?.parse().ok()?;
                Some((address, ReadPosition::of(value)?))
            });
            // Who is gone is nobody's business any more.
            let is_member = |address: &Address| roster.members.iter().any(|member| member.address == *address);
            let read = of_group.filter(|(address, _)| is_member(address)).collect();
            groups.push(GroupSummary { id: group.log_id, group, roster, read });
        }
        groups.sort_by_key(|one| (one.group.joined, one.id));
        Ok(groups)
    }

    /// The newest messages of a group, at most `limit`, oldest first: those in the log in its order, then what waits.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn group_messages(
        &mut self,
        group: &GroupId,
        limit: u64,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<GroupMessage>, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let Some(record) = load(&transaction, &key::group(group))? else { return Ok(Vec::new()) };
        let numbers: Vec<u64> = (record.messages.saturating_sub(limit).max(record.first)..record.messages).collect();
        let keys: Vec<_> = numbers.iter().map(|number| key::group_message(group, *number).record().clone()).collect();
        let mut messages = Vec::new();
        for (number, value) in numbers.into_iter().zip(transaction.load(&keys)?) {
            let Some(value) = value else { continue };
            let message: GroupMessageRecord = decode(class::GROUP_MESSAGE, &value)?;
            messages.push(GroupMessage::of(number, message)?);
        }
        messages.sort_by_key(GroupMessage::order);
        Ok(messages)
    }

    /// One message of a group.
    ///
    /// # Errors
    /// [`HandleError`], with [`GroupProblem::UnknownMessage`] if there is none of this number.
    pub fn group_message(
        &mut self,
        group: &GroupId,
        number: u64,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<GroupMessage, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let message = load(&transaction, &key::group_message(group, number))?;
        let message = message.ok_or(EngineError::from(GroupProblem::UnknownMessage(number)))?;
        Ok(GroupMessage::of(number, message)?)
    }

    /// All cases of a group, the last opened first.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn group_cases(
        &mut self,
        group: &GroupId,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<CaseSummary>, HandleError> {
        let mut cases = CaseList::default();
        self.each_group_message(group, now, rng, |message| cases.take(&message))?;
        Ok(cases.finish(group))
    }

    /// One case with what was said in it.
    ///
    /// # Errors
    /// [`HandleError`], with [`GroupProblem::UnknownCase`] and [`GroupProblem::CaseTooLong`].
    pub fn group_case(
        &mut self,
        group: &GroupId,
        case: MessageId,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<CaseDetail, HandleError> {
        let mut fold = CaseFold::new(case);
        self.each_group_message(group, now, rng, |message| fold.take(message))?;
        Ok(fold.finish(group).map_err(EngineError::from)?)
    }

    /// Goes through all messages of a group, some at a time: a log of years is never in memory as a whole.
    fn each_group_message(
        &mut self,
        group: &GroupId,
        now: Time,
        rng: &mut impl CryptoRng,
        mut take: impl FnMut(GroupMessage),
    ) -> Result<(), HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let Some(record) = load(&transaction, &key::group(group))? else { return Ok(()) };
        let numbers: Vec<u64> = (0..record.messages).collect();
        for numbers in numbers.chunks(GROUP_MESSAGES_PER_LOAD) {
            let keys: Vec<_> =
                numbers.iter().map(|number| key::group_message(group, *number).record().clone()).collect();
            for (number, value) in numbers.iter().zip(transaction.load(&keys)?) {
                let Some(value) = value else { continue };
                take(GroupMessage::of(*number, decode(class::GROUP_MESSAGE, &value)?)?);
            }
        }
        Ok(())
    }

    /// The report of a message: what would be sent to the officer.
    ///
    /// # Errors
    /// [`HandleError`], with [`GroupProblem`] if there is no such message, or none to be reported.
    pub fn group_report(
        &mut self,
        group: &GroupId,
        number: u64,
        reason: &str,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Report, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let record = load(&transaction, &key::group(group))?.ok_or(EngineError::from(GroupProblem::Unknown))?;
        let message = load(&transaction, &key::group_message(group, number))?;
        let message = message.ok_or(EngineError::from(GroupProblem::UnknownMessage(number)))?;
        let certificate = load(&transaction, &key::device_certificate(&message.device_key))?;
        let certificate = certificate.as_ref().map(|bytes| bytes.as_slice());
        Ok(report_of(&record, &message, certificate, reason).map_err(EngineError::from)?)
    }

    /// What reads the logs of all groups that this device follows, from where it has come to.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn group_readers(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<GroupReader>, HandleError> {
        let mut transaction = self.store.begin(now.0, rng)?;
        let mut readers = Vec::new();
        for (_, value) in transaction.scan(class::GROUP)?.iter() {
            let group: GroupRecord = decode(class::GROUP, value)?;
            if matches!(group.standing, GroupStanding::Active | GroupStanding::Leaving)
                && let Some(key) = load(&transaction, &key::group_access(&group.log_id))?
            {
                readers.push(group_reader(&group, &key)?);
            }
        }
        Ok(readers)
    }

    /// The message of a group that waits for uploads; `None` if they are a mail's.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn group_upload(
        &mut self,
        content_id: &[u8; 16],
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<GroupMessage>, HandleError> {
        let place = load(&self.store.begin(now.0, rng)?, &key::group_upload(content_id))?;
        match place.and_then(|place| place_of_upload(&place)) {
            Some((group, number)) => self.group_message(&group, number, now, rng).map(Some),
            None => Ok(None),
        }
    }

    /// A group's mailbox: what has come, and who takes care of it.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn mailbox(
        &mut self,
        group: &GroupId,
        now: Time,
        rng: &mut impl CryptoRng,
    ) -> Result<MailboxView, HandleError> {
        let messages = self.group_messages(group, u64::MAX, now, rng)?;
        let mut transaction = self.store.begin(now.0, rng)?;
        let number_of = |name: &[u8]| {
            let (log_id, number) = name.split_first_chunk::<32>()?;
            Some(u64::from_be_bytes(number.try_into().ok()?)).filter(|_| log_id == group)
        };
        let owners = transaction.scan(class::GROUP_OWNER_SAID)?;
        let owners = owners.iter().filter_map(|(name, _)| number_of(name)).collect();
        let mut departures = BTreeMap::new();
        for (name, value) in transaction.scan(class::GROUP_DEPARTURE)?.iter() {
            if let Some(sequence) = number_of(name) {
                let departure: GroupDepartureRecord = decode(class::GROUP_DEPARTURE, value)?;
                departures.insert(sequence, departure);
            }
        }
        Ok(MailboxView::of(&messages, &owners, &departures))
    }

    /// The group whose mailbox this account is.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn served_mailbox(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Option<GroupId>, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        Ok(load(&transaction, &key::mailbox())?.map(|mailbox| mailbox.log_id))
    }

    /// Where this device is woken, and what servers were told of it.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn wakes(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Wakes, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let own = load(&transaction, &key::wake())?;
        drop(transaction);
        let mut told = Vec::new();
        for group in self.groups(now, rng)? {
            let transaction = self.store.begin(now.0, rng)?;
            told.extend(load(&transaction, &key::group_wake(&group.id))?.map(|wake| (group, wake)));
        }
        Ok(Wakes { own, groups: told })
    }

    /// Whether something that was said here is not in a group's log yet.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn group_waits(&mut self, group: &GroupId, now: Time, rng: &mut impl CryptoRng) -> Result<bool, HandleError> {
        let waiting = self.store.begin(now.0, rng)?.scan(class::GROUP_OUTBOX)?;
        for (_, value) in waiting.iter() {
            let entry: GroupOutboxRecord = decode(class::GROUP_OUTBOX, value)?;
            if entry.log_id == *group {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
