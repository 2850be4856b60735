//! `FetchStatement`: the newest statement of an account.

use medipeps_core::Address;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Response};

use super::{Moment, Service, rate_limited, refuse, storage_failed};

impl Service {
    pub(super) async fn fetch_statement(&self, moment: Moment, address: &Address) -> Result<Response, ErrorReply> {
        self.limiters.statements_per_address.take(moment.network, moment.now_ms).map_err(rate_limited)?;
        self.check_domain(address)?;
        let account = self.storage.account(address).await.map_err(storage_failed)?;
        let account = account.ok_or_else(|| refuse(ErrorCode::UnknownAccount))?;
        Ok(Response::FetchStatement(account.statement))
    }
}
