//! `FetchTenant`: a device asks which services its account has, and until when.

use medipeps_core::wire::transport::{ErrorReply, FetchTenantReply, Response};

use super::connection::ProvedDevice;
use super::{Moment, Service, internal, storage_failed};

impl Service {
    pub(super) async fn fetch_tenant(&self, device: &ProvedDevice, moment: Moment) -> Result<Response, ErrorReply> {
        let account = self.check_listed(device).await?;
        let tenant = self.storage.tenant(account.tenant).await.map_err(storage_failed)?;
        let terms = tenant.ok_or_else(|| internal("an account has no tenant"))?.terms;
        Ok(Response::FetchTenant(FetchTenantReply {
            standing: terms.standing(moment.now_ms),
            name: terms.name,
            licence: terms.licence,
            ends: terms.ends_ms,
            grace: terms.grace_ms,
            services: terms.services,
        }))
    }
}
