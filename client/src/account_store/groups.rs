//! The groups of an account, as a person or a program reads them.

use std::collections::BTreeMap;

use medipeps_core::wire::client_records::{
    GroupDepartureRecord, GroupMessageRecord, GroupOutboxRecord, GroupRecord, GroupStanding,
};
use rand_core::CryptoRng;

use super::{AccountStore, HandleError, decode, load};
use crate::engine::{
    GroupId, GroupMessage, GroupReader, GroupSummary, GroupWakes, MailboxView, Time, class, group_reader, key,
};
use crate::store::Store;

impl<S: Store> AccountStore<S> {
    /// All groups, those with the newest member state last.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn groups(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<Vec<GroupSummary>, HandleError> {
        let mut transaction = self.store.begin(now.0, rng)?;
        let mut groups = Vec::new();
        for (_, value) in transaction.scan(class::GROUP)?.iter() {
            let group: GroupRecord = decode(class::GROUP, value)?;
            let roster = load(&transaction, &key::group_roster(&group.log_id))?.unwrap_or_default();
            groups.push(GroupSummary { id: group.log_id, group, roster });
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
        let numbers: Vec<u64> = (record.messages.saturating_sub(limit)..record.messages).collect();
        let keys: Vec<_> = numbers.iter().map(|number| key::group_message(group, *number).record().clone()).collect();
        let mut messages = Vec::new();
        for (number, value) in numbers.into_iter().zip(transaction.load(&keys)?) {
            let Some(value) = value else { continue };
            let message: GroupMessageRecord = decode(class::GROUP_MESSAGE, &value)?;
            messages.push(GroupMessage::of(number, message)?);
        }
        let place = |message: &GroupMessage| match message.message.sequence {
            0 => (true, message.number),
            sequence => (false, sequence),
        };
        messages.sort_by_key(place);
        Ok(messages)
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

    /// Where this device is woken for its groups, and what their servers were told of it, by group.
    ///
    /// # Errors
    /// [`HandleError`]
    pub fn group_wakes(&mut self, now: Time, rng: &mut impl CryptoRng) -> Result<GroupWakes, HandleError> {
        let transaction = self.store.begin(now.0, rng)?;
        let endpoint = load(&transaction, &key::wake())?.map(|wake| wake.endpoint);
        drop(transaction);
        let mut told = Vec::new();
        for group in self.groups(now, rng)? {
            let transaction = self.store.begin(now.0, rng)?;
            told.extend(load(&transaction, &key::group_wake(&group.id))?.map(|wake| (group, wake)));
        }
        Ok(GroupWakes { endpoint, told })
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
