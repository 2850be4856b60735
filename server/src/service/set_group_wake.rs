//! `SetGroupWake`: where a reader of a group log is woken, or that it need not be any more.

use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Response, SetGroupWake};

use super::set_device_wake::push_service_refused;
use super::{Connection, Moment, Service, rate_limited, refuse, storage_failed};
use crate::limits::{GROUP_LOG_FULL_RETRY_MS, GROUP_WAKE_RETENTION_MS};
use crate::storage::{GroupWake, GroupWakeError, NewGroupWake};

impl Service {
    pub(super) async fn set_group_wake(
        &self,
        connection: &Connection,
        moment: Moment,
        nonce: &[u8; 32],
        request: SetGroupWake,
    ) -> Result<Response, ErrorReply> {
        let Moment { now_ms, network } = moment;
        self.limiters.group_reads_per_address.take(network, now_ms).map_err(rate_limited)?;
        let (key, _) = self.access_key(&request.log_id, request.epoch).await?;
        let channel = connection.channel(nonce, &self.domain);
        request.verify(&key, &channel).map_err(|_| refuse(ErrorCode::GroupAccessRefused))?;
        let SetGroupWake { log_id, epoch, handle, wake, .. } = request;
        let Some((endpoint, expires_ms)) = wake else {
            // Whoever has proved a closed epoch may still ask not to be woken.
            self.storage.remove_group_wake(log_id, handle).await.map_err(storage_failed)?;
            return Ok(Response::Done);
        };
        if !self.wakes.allows(&endpoint) {
            return Err(push_service_refused());
        }
        if expires_ms <= now_ms {
            return Err(ErrorReply::new(ErrorCode::Malformed, "the handle has run out already"));
        }
        let expires_ms = expires_ms.min(now_ms.saturating_add(GROUP_WAKE_RETENTION_MS));
        let wake = GroupWake { log_id, handle, epoch, endpoint, expires_ms };
        let stored = self.storage.set_group_wake(NewGroupWake { wake, access_key: *key.as_bytes() }).await;
        stored.map_err(|error| match error {
            GroupWakeError::UnknownLog => refuse(ErrorCode::UnknownGroupLog),
            GroupWakeError::AccessRefused => refuse(ErrorCode::GroupAccessRefused),
            GroupWakeError::StaleEpoch => refuse(ErrorCode::StaleGroupEpoch),
            GroupWakeError::Full => {
                ErrorReply::new(ErrorCode::GroupWakesFull, error.to_string()).retry_after(GROUP_LOG_FULL_RETRY_MS)
            }
            GroupWakeError::Storage(error) => storage_failed(error),
        })?;
        Ok(Response::Done)
    }
}
