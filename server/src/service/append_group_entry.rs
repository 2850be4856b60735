//! `AppendGroupEntry`: an entry for the current epoch of a group log, from nobody in particular.

use medipeps_core::group_log::entry_hash;
use medipeps_core::wire::transport::{AppendGroupEntry, AppendGroupEntryReply, ErrorCode, ErrorReply, Response};
use sha2::{Digest, Sha256};

use super::group_logs::on_the_wire;
use super::payment::Purpose;
use super::{Answer, Moment, Service, internal, kib, rate_limited, refuse, storage_failed};
use crate::fail_point::fail_point;
use crate::limits::{GROUP_ENTRY_LARGE, GROUP_LOG_FULL_RETRY_MS};
use crate::storage::{GroupAppend, GroupAppendError, GroupAppendOutcome, Spend};

impl Service {
    pub(super) async fn append_group_entry(
        &self,
        moment: Moment,
        request: AppendGroupEntry,
    ) -> Result<Answer, ErrorReply> {
        let now_ms = moment.now_ms;
        let (log_id, epoch) = (request.log_id, request.epoch);
        let length = request.entry.len();
        let limiters =
            [(&self.limiters.group_appends_per_address, 1), (&self.limiters.group_upload_per_address, kib(length))];
        let (payment, price) = (request.payment.clone(), self.prices().group_append(length));
        let spend = self.pay(moment, payment, price, Purpose::GroupEntry(log_id, request.entry_id), &limiters).await?;
        // Nobody could close the last epoch that there is a number for.
        if epoch == u64::MAX && request.next_access_key.is_some() {
            return Err(ErrorReply::new(ErrorCode::Malformed, "there is no next epoch"));
        }
        let (access_key, _) = self.access_key(&log_id, epoch).await?;
        let (request, hash) = hashed(request).await?;
        request.verify(&access_key, &hash).map_err(|_| refuse(ErrorCode::GroupAccessRefused))?;
        // Only members take room in the limiter, or made-up logs would crowd them out.
        self.limiters.group_appends_per_log.take(log_id, now_ms).map_err(rate_limited)?;
        let closes_epoch = request.next_access_key.is_some();
        let append = append(request, *access_key.as_bytes(), hash, now_ms, self.group_retention(), spend);
        fail_point!(BeforeAppend);
        let appended = self.storage.append_group_entry(append).await;
        fail_point!(AfterAppend);
        match appended {
            Ok(GroupAppendOutcome { sequence, duplicate }) => {
                if !duplicate {
                    self.wakes.entry_came(log_id, epoch, closes_epoch);
                }
                let incarnation = self.storage.incarnation();
                let reply = AppendGroupEntryReply { incarnation, sequence, duplicate };
                Ok(Answer::Response(Response::AppendGroupEntry(reply)))
            }
            Err(GroupAppendError::StaleEpoch { closing_sequence }) => {
                Ok(self.stale_epoch((&log_id, epoch), closing_sequence).await)
            }
            Err(GroupAppendError::Payment(error)) => Err(self.spend_refused(moment, error)),
            Err(error) => Err(refused(error)),
        }
    }

    /// Tells an author who has proved an older epoch what closed it, and nothing of what came after: later commits are sealed
    /// for members whom he may not be one of.
    async fn stale_epoch(&self, log: (&[u8; 32], u64), closing_sequence: u64) -> Answer {
        let mut error = refuse(ErrorCode::StaleGroupEpoch);
        let Ok(mut fetched) = self.group_entries(log, closing_sequence.saturating_sub(1), 1).await else {
            return Answer::Response(Response::Error(error));
        };
        let commit = fetched.entries.entries.pop().filter(|entry| entry.closes_epoch);
        error.closing_commit = commit.map(on_the_wire).map(Box::new);
        Answer::Held(Response::Error(error), fetched.share)
    }
}

/// The request with the hash of its entry; a large one is hashed on a thread that may take its time.
async fn hashed(request: AppendGroupEntry) -> Result<(AppendGroupEntry, [u8; 32]), ErrorReply> {
    if request.entry.len() < GROUP_ENTRY_LARGE {
        let hash = entry_hash(&request.entry);
        return Ok((request, hash));
    }
    let hashing = tokio::task::spawn_blocking(move || {
        let hash = entry_hash(&request.entry);
        (request, hash)
    });
    hashing.await.map_err(|_| internal("a hash was broken off"))
}

fn append(
    request: AppendGroupEntry,
    access_key: [u8; 32],
    hash: [u8; 32],
    now_ms: u64,
    (entry_ms, log_ms): (u64, u64),
    spend: Spend,
) -> GroupAppend {
    let AppendGroupEntry { log_id, epoch, entry_id, entry, next_access_key, .. } = request;
    let next_access_key = next_access_key.map(|key| *key.as_bytes());
    GroupAppend {
        log_id,
        epoch,
        access_key,
        entry_id,
        digest: digest(epoch, &hash, next_access_key.as_ref()),
        entry,
        next_access_key,
        now_ms,
        expires_ms: now_ms.saturating_add(entry_ms),
        log_expires_ms: now_ms.saturating_add(log_ms),
        spend,
    }
}

/// What tells a repeat from another entry with the same id. The store keeps ids by log, so the log need not go in.
fn digest(epoch: u64, entry_hash: &[u8; 32], next_access_key: Option<&[u8; 32]>) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(epoch.to_be_bytes());
    digest.update(entry_hash);
    digest.update(next_access_key.map(<[u8; 32]>::as_slice).unwrap_or_default());
    digest.finalize().into()
}

fn refused(error: GroupAppendError) -> ErrorReply {
    match error {
        GroupAppendError::UnknownLog => refuse(ErrorCode::UnknownGroupLog),
        GroupAppendError::AccessRefused => refuse(ErrorCode::GroupAccessRefused),
        GroupAppendError::StaleEpoch { .. } => refuse(ErrorCode::StaleGroupEpoch),
        GroupAppendError::IdReused => refuse(ErrorCode::EntryIdReused),
        GroupAppendError::Full => {
            ErrorReply::new(ErrorCode::GroupLogFull, error.to_string()).retry_after(GROUP_LOG_FULL_RETRY_MS)
        }
        GroupAppendError::Payment(_) => refuse(ErrorCode::TokenSpent),
        GroupAppendError::Storage(error) => storage_failed(error),
    }
}
