//! Files that go with what is said in a group: uploaded as those of a mail are, once for all members. What is said waits for
//! them, and goes to the outbox with the last.

use medipeps_core::kind::Content;
use medipeps_core::wire::client_records::{GroupMessageRecord, GroupMessageState, GroupOutboxRecord};
use zeroize::Zeroizing;

use super::{GroupEvent, GroupId, tell};
use crate::engine::records::{Bytes, class, key};
use crate::engine::transaction::{Stop, Transaction};
use crate::engine::upload;

/// A message of a group that waits for its uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Waiting {
    log_id: GroupId,
    number: u64,
    content_id: [u8; 16],
}

/// Which message of which group waits for the uploads of a content, as its record says.
pub(crate) fn place_of(record: &[u8]) -> Option<(GroupId, u64)> {
    let (log_id, number) = record.split_first_chunk::<32>()?;
    Some((*log_id, u64::from_be_bytes(number.try_into().ok()?)))
}

/// Notes that a message waits.
pub(super) fn wait(transaction: &mut Transaction<'_>, (log_id, number): (&GroupId, u64), content_id: &[u8; 16]) {
    let place = [log_id.as_slice(), &number.to_be_bytes()].concat();
    transaction.store(&key::group_upload(content_id), &Zeroizing::new(place));
}

/// The message of a group to which uploads belong; `None` if they are a mail's.
pub(in crate::engine) fn waiting(
    transaction: &mut Transaction<'_>,
    content_id: &[u8; 16],
) -> Result<Option<Waiting>, Stop> {
    let record = transaction.load(&key::group_upload(content_id))?;
    let place = record.and_then(|record| place_of(&record));
    Ok(place.map(|(log_id, number)| Waiting { log_id, number, content_id: *content_id }))
}

/// Nothing more can be said in a group: what waits for its files neither.
pub(super) fn fail_all(transaction: &mut Transaction<'_>, group_id: &GroupId, code: &str) -> Result<(), Stop> {
    for (key, record) in transaction.scan::<Bytes>(class::GROUP_UPLOAD)? {
        let is_of_group = place_of(&record).is_some_and(|(log_id, _)| log_id == *group_id);
        if let (true, Ok(content_id)) = (is_of_group, key.name().try_into()) {
            upload::fail_message(transaction, &content_id, code)?;
        }
    }
    Ok(())
}

impl Waiting {
    /// What is to be said.
    pub(in crate::engine) fn content(&self, transaction: &mut Transaction<'_>) -> Result<Option<Content>, Stop> {
        let message = self.message(transaction)?;
        Ok(message.map(|message| Content::decode(&message.content)).transpose()?)
    }

    /// It has other references now.
    pub(in crate::engine) fn store_content(
        &self,
        transaction: &mut Transaction<'_>,
        content: &Content,
    ) -> Result<(), Stop> {
        let Some(mut message) = self.message(transaction)? else { return Ok(()) };
        message.content = content.encode()?.to_vec();
        self.store(transaction, &message);
        Ok(())
    }

    /// All files are at the server: it goes to the outbox.
    pub(in crate::engine) fn release(&self, transaction: &mut Transaction<'_>) -> Result<(), Stop> {
        let entry = GroupOutboxRecord {
            log_id: self.log_id,
            content_id: self.content_id,
            number: self.number,
            created: transaction.now.0,
            entry: None,
            attempts: 0,
            next_attempt: 0,
        };
        transaction.delete(&key::group_upload(&self.content_id));
        transaction.store(&key::group_outbox(&self.log_id, &self.content_id), &entry);
        self.report(transaction, false, None)
    }

    /// Tells what stands in the way, or that it has failed.
    pub(in crate::engine) fn report(
        &self,
        transaction: &mut Transaction<'_>,
        failed: bool,
        code: Option<&str>,
    ) -> Result<(), Stop> {
        let Some(mut message) = self.message(transaction)? else { return Ok(()) };
        let state = if failed { GroupMessageState::Failed } else { GroupMessageState::Queued };
        let code = code.map(str::to_owned);
        if failed {
            transaction.delete(&key::group_upload(&self.content_id));
        }
        if (message.state, &message.code) == (state, &code) {
            return Ok(());
        }
        (message.state, message.code) = (state, code.clone());
        self.store(transaction, &message);
        tell(transaction, &self.log_id, GroupEvent::MessageState { number: self.number, state, code });
        Ok(())
    }

    fn message(&self, transaction: &mut Transaction<'_>) -> Result<Option<GroupMessageRecord>, Stop> {
        transaction.load(&key::group_message(&self.log_id, self.number))
    }

    fn store(&self, transaction: &mut Transaction<'_>, message: &GroupMessageRecord) {
        transaction.store(&key::group_message(&self.log_id, self.number), message);
    }
}
