//! `Submit`: envelopes for all devices of a recipient, from nobody in particular.

use medipeps_core::wire::transport::{
    DeviceEnvelope, ErrorCode, ErrorReply, Lane, Response, StaleDevices, Submit, SubmitReply,
};
use sha2::{Digest, Sha256};

use super::payment::Purpose;
use super::{Moment, Service, rate_limited, refuse, storage_failed};
use crate::fail_point::fail_point;
use crate::limits::QUEUE_FULL_RETRY_MS;
use crate::storage::{EnqueueError, EnqueueOutcome, Submission};

impl Service {
    pub(super) async fn submit(&self, moment: Moment, request: Submit) -> Result<Response, ErrorReply> {
        let Submit { id, address, envelopes, payment, delivery_key } = request;
        let limiters = [(&self.limiters.submit_per_address, 1)];
        let purpose = Purpose::Submit(id, address.as_str());
        let spend = self.pay(moment, payment, self.prices().submit, purpose, &limiters).await?;
        self.check_domain(&address)?;
        // Only accounts that exist take room in the limiter, or made-up ones would crowd them out.
        let account = self.storage.account(&address).await.map_err(storage_failed)?;
        let account = account.ok_or_else(|| refuse(ErrorCode::UnknownAccount))?;
        let knows_key = delivery_key.is_some_and(|key| key.is_among(&address, &account.delivery_keys));
        let (lane, limiter) = if knows_key || account.delivery_keys.is_empty() {
            (Lane::Normal, &self.limiters.submit_per_recipient)
        } else {
            (Lane::Request, &self.limiters.requests_per_recipient)
        };
        limiter.take(address.clone(), moment.now_ms).map_err(rate_limited)?;
        let devices: Vec<u32> = envelopes.iter().map(|one| one.device_id).collect();
        let submission = Submission {
            id,
            address: address.clone(),
            digest: digest(&envelopes),
            envelopes: envelopes.into_iter().map(|one| (one.device_id, one.envelope)).collect(),
            now_ms: moment.now_ms,
            expires_ms: moment.now_ms.saturating_add(self.settings().envelope_retention_ms),
            lane,
            spend,
        };
        fail_point!(BeforeSubmit);
        let enqueued = self.storage.enqueue(submission).await;
        let EnqueueOutcome::Accepted { duplicate } = enqueued.map_err(|error| match error {
            EnqueueError::Payment(error) => self.spend_refused(moment, error),
            error => refused(error),
        })?;
        fail_point!(AfterSubmit);
        // Looked up now that it is on the disk: a subscription that ends from here on sees that something waits.
        let away = devices.into_iter().filter(|device| !self.subscriptions.is_open(&address, *device));
        away.for_each(|device| self.wakes.envelope_waits(&address, device));
        Ok(Response::Submit(SubmitReply { duplicate }))
    }
}

/// What tells a repeat from another submission with the same id: the envelopes, in the order of their devices. The store
/// keeps ids by recipient, so the address need not go in.
fn digest(envelopes: &[DeviceEnvelope]) -> [u8; 32] {
    let mut sorted: Vec<_> = envelopes.iter().collect();
    sorted.sort_by_key(|one| one.device_id);
    let mut digest = Sha256::new();
    for one in sorted {
        digest.update(one.device_id.to_be_bytes());
        digest.update((one.envelope.len() as u64).to_be_bytes());
        digest.update(&one.envelope);
    }
    digest.finalize().into()
}

fn refused(error: EnqueueError) -> ErrorReply {
    match error {
        EnqueueError::UnknownRecipient => refuse(ErrorCode::UnknownAccount),
        EnqueueError::StaleDevices { missing, extra, statement_version } => {
            let mut reply =
                ErrorReply::new(ErrorCode::StaleDevices, "the envelopes do not fit the recipient's devices");
            reply.stale_devices = Some(StaleDevices { missing, extra, statement_version });
            reply
        }
        EnqueueError::QueueFull { .. } => {
            ErrorReply::new(ErrorCode::QueueFull, "a queue of the recipient is full").retry_after(QUEUE_FULL_RETRY_MS)
        }
        EnqueueError::RequestLaneFull { .. } => {
            let error = ErrorReply::new(ErrorCode::RequestLaneFull, "too many strangers wait for the recipient");
            error.retry_after(QUEUE_FULL_RETRY_MS)
        }
        EnqueueError::Payment(_) => refuse(ErrorCode::TokenSpent),
        EnqueueError::AccountSuspended => ErrorReply::new(ErrorCode::AccountSuspended, error.to_string()),
        EnqueueError::TenantSuspended => ErrorReply::new(ErrorCode::TenantSuspended, error.to_string()),
        EnqueueError::LicenceEnded => ErrorReply::new(ErrorCode::LicenceEnded, error.to_string()),
        EnqueueError::TenantStorageFull => {
            ErrorReply::new(ErrorCode::TenantStorageFull, error.to_string()).retry_after(QUEUE_FULL_RETRY_MS)
        }
        EnqueueError::IdReused => ErrorReply::new(ErrorCode::SubmissionIdReused, error.to_string()),
        EnqueueError::Storage(error) => storage_failed(error),
    }
}
