//! What was said in a group ends: by the retention that the members have agreed on, or by what its sender said of it. It goes
//! with everything that was kept of it. A bounded number goes in one step, oldest first.
//!
//! Age is counted from when the server took an entry, up to [`server_clock::now`].

use medipeps_core::kind::Content;
use medipeps_core::wire::client_records::{GroupMessageRecord, GroupMessageState, GroupRecord};
use zeroize::Zeroizing;

use super::{GroupEvent, GroupId, load, read_position, store, tell};
use crate::engine::records::{class, key};
use crate::engine::server_clock;
use crate::engine::transaction::{Stop, Transaction};
use crate::limits::{GROUP_DELETED_AT_ONCE_MAX, GROUP_DELETION_LOOK_MS, GROUP_RETENTION_GRACE_MS};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Nothing is to be deleted at any time that is known.
const NEVER: u64 = u64::MAX;

/// What has become of a message.
enum Ends {
    /// It is over, or is not there.
    Now,
    /// It is to be deleted then, in milliseconds since 1970.
    At(u64),
    /// It is on its way, which has an end of its own.
    Later,
}

/// Deletes what is over in a group, whether this device is still in it or not.
pub(super) fn delete_due(transaction: &mut Transaction<'_>, group_id: &GroupId) -> Result<(), Stop> {
    let group = load(transaction, group_id)?;
    if group.next_deletion == NEVER {
        return Ok(());
    }
    let Some(now) = server_clock::now(transaction, &group.domain)? else { return Ok(()) };
    if group.next_deletion > now {
        return Ok(());
    }
    let roster = transaction.load(&key::group_roster(group_id))?.unwrap_or_default();
    let mut group = Sweep { group, now, deleted: 0, next: NEVER };
    group.expired(transaction)?;
    group.retained(transaction, u64::from(roster.retention_days) * DAY_MS)?;
    let Sweep { mut group, deleted, next, .. } = group;
    (group.next_deletion, group.seen) = (next, group.seen.max(group.first));
    store(transaction, &group);
    if deleted > 0 {
        tell(transaction, group_id, GroupEvent::Deleted { count: deleted });
    }
    Ok(())
}

/// One look through a group.
struct Sweep {
    group: GroupRecord,
    now: u64,
    deleted: u64,
    /// When to look again.
    next: u64,
}

impl Sweep {
    /// What ends by itself.
    fn expired(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Stop> {
        let mut due = Vec::new();
        for (key, _) in transaction.scan::<Zeroizing<Vec<u8>>>(class::GROUP_EXPIRY)? {
            let Some((log_id, rest)) = key.name().split_first_chunk::<32>() else { continue };
            let Some((expires, number)) = rest.split_first_chunk::<8>() else { continue };
            let (expires, Ok(number)) = (u64::from_be_bytes(*expires), number.try_into()) else { continue };
            if *log_id != self.group.log_id {
                continue;
            }
            if expires > self.now || due.len() >= GROUP_DELETED_AT_ONCE_MAX {
                // In the order of the times: the first that is left is the next.
                self.look_again(expires);
                break;
            }
            due.push((key.clone(), u64::from_be_bytes(number)));
        }
        let keys: Vec<_> = due.iter().map(|(_, number)| key::group_message(&self.group.log_id, *number)).collect();
        let messages = transaction.load_all(&keys)?;
        for ((key, number), message) in due.into_iter().zip(messages) {
            match message {
                Some(message) if message.state == GroupMessageState::Queued => {
                    self.look_again(self.now.saturating_add(GROUP_DELETION_LOOK_MS))
                }
                message => {
                    if let Some(message) = message {
                        self.delete(transaction, number, &message)?;
                    }
                    transaction.delete(&key);
                }
            }
        }
        Ok(())
    }

    /// What is older than the members keep anything.
    fn retained(&mut self, transaction: &mut Transaction<'_>, retention: u64) -> Result<(), Stop> {
        if retention == 0 {
            return Ok(());
        }
        if self.group.kept_until > self.now {
            self.look_again(self.group.kept_until);
            return Ok(());
        }
        let end = self.group.messages.min(self.group.first.saturating_add(GROUP_DELETED_AT_ONCE_MAX as u64));
        // The first one tells whether there is anything to do; the rest are read only then.
        let first = self.group.first..self.group.messages.min(self.group.first + 1);
        for numbers in [first.clone(), first.end..end] {
            let keys: Vec<_> = numbers.clone().map(|number| key::group_message(&self.group.log_id, number)).collect();
            for (number, message) in numbers.zip(transaction.load_all(&keys)?) {
                match ends(message.as_ref(), retention, self.now) {
                    Ends::At(at) => {
                        self.look_again(at);
                        return Ok(());
                    }
                    Ends::Later => self.look_again(self.now.saturating_add(GROUP_DELETION_LOOK_MS)),
                    Ends::Now => {
                        if let Some(message) = &message {
                            self.delete(transaction, number, message)?;
                        }
                        self.group.first += u64::from(self.group.first == number);
                    }
                }
            }
        }
        if end < self.group.messages {
            self.look_again(self.now);
        }
        Ok(())
    }

    fn delete(
        &mut self,
        transaction: &mut Transaction<'_>,
        number: u64,
        message: &GroupMessageRecord,
    ) -> Result<(), Stop> {
        let log_id = &self.group.log_id;
        read_position::forget(transaction, log_id, &message.content_id, number)?;
        transaction.delete(&key::group_message(log_id, number));
        transaction.delete(&key::group_received(log_id, &message.sender, &message.content_id));
        transaction.delete(&key::group_owner_said(log_id, number));
        if let Some(expires) = Content::decode(&message.content).ok().and_then(|content| content.expires) {
            transaction.delete(&key::group_expiry(log_id, expires, number));
        }
        self.deleted += 1;
        Ok(())
    }

    fn look_again(&mut self, at: u64) {
        self.next = self.next.min(at);
    }
}

fn ends(message: Option<&GroupMessageRecord>, retention: u64, now: u64) -> Ends {
    match message {
        None => Ends::Now,
        Some(message) if message.state == GroupMessageState::Queued => Ends::Later,
        Some(message) => match message.received.saturating_add(retention) {
            at if at <= now => Ends::Now,
            at => Ends::At(at),
        },
    }
}

/// Notes when a message that is stored now will end.
pub(super) fn note(transaction: &mut Transaction<'_>, group: &mut GroupRecord, number: u64, content: &Content) {
    if let Some(expires) = content.expires {
        transaction.store(&key::group_expiry(&group.log_id, expires, number), &Zeroizing::new(Vec::new()));
        group.next_deletion = group.next_deletion.min(expires);
    }
    if group.next_deletion == NEVER {
        // The first of a group in which nothing was left: when it ends is found out with the next look.
        group.next_deletion = 0;
    }
}

/// Whether a message is over before it is here: it was on its way for longer than the members keep it.
pub(super) fn is_over(
    transaction: &mut Transaction<'_>,
    group: &GroupRecord,
    (content, received): (&Content, u64),
) -> Result<bool, Stop> {
    let Some(now) = server_clock::now(transaction, &group.domain)? else { return Ok(false) };
    if content.expires.is_some_and(|expires| expires <= now) {
        return Ok(true);
    }
    let roster = transaction.load(&key::group_roster(&group.log_id))?.unwrap_or_default();
    let retention = u64::from(roster.retention_days) * DAY_MS;
    Ok(retention != 0 && group.kept_until <= now && received.saturating_add(retention) <= now)
}

/// The members have agreed on another retention, by an entry that the server took at a time.
pub(super) fn agreed(
    transaction: &mut Transaction<'_>,
    group: &mut GroupRecord,
    (before, days): (u32, u32),
    received: u64,
) {
    if before == days {
        return;
    }
    let is_shorter = days != 0 && (before == 0 || days < before);
    group.kept_until = if is_shorter { received.saturating_add(GROUP_RETENTION_GRACE_MS) } else { 0 };
    group.next_deletion = 0;
    let kept_until = is_shorter.then_some(group.kept_until);
    tell(transaction, &group.log_id, GroupEvent::RetentionChanged { days, kept_until });
}
