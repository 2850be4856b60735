//! `CreateGroupLog`: a log that whoever has its first key may write to.

use medipeps_core::wire::transport::{CreateGroupLog, ErrorCode, ErrorReply, Response};

use super::payment::Purpose;
use super::{Moment, Service, refuse, storage_failed};
use crate::limits::GROUP_LOG_FULL_RETRY_MS;
use crate::storage::{CreateGroupLogError, NewGroupLog};

impl Service {
    pub(super) async fn create_group_log(
        &self,
        moment: Moment,
        request: CreateGroupLog,
    ) -> Result<Response, ErrorReply> {
        let limiters = [(&self.limiters.group_creations_per_address, 1)];
        let (payment, price) = (request.payment.clone(), self.prices().group_create);
        let spend = self.pay(moment, payment, price, Purpose::GroupLog(request.log_id()), &limiters).await?;
        request.verify().map_err(|_| refuse(ErrorCode::GroupAccessRefused))?;
        let log = NewGroupLog {
            log_id: request.log_id(),
            access_key: *request.access_key.as_bytes(),
            epoch: request.epoch,
            now_ms: moment.now_ms,
            expires_ms: moment.now_ms.saturating_add(self.settings().group_log_retention_ms),
            spend,
        };
        self.storage.create_group_log(log).await.map_err(|error| match error {
            CreateGroupLogError::Exists => refuse(ErrorCode::GroupLogExists),
            CreateGroupLogError::Full => {
                ErrorReply::new(ErrorCode::GroupLogFull, error.to_string()).retry_after(GROUP_LOG_FULL_RETRY_MS)
            }
            CreateGroupLogError::Payment(error) => self.spend_refused(moment, error),
            CreateGroupLogError::Storage(error) => storage_failed(error),
        })?;
        Ok(Response::Done)
    }
}
