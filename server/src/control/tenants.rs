//! Orders that are about tenants.

use medipeps_core::wire::control::{ControlRequest, ControlResponse};

use super::Store;

impl Store {
    /// Carries out one order about tenants.
    pub(super) async fn carry_out_on_tenants(&self, request: ControlRequest) -> ControlResponse {
        let (storage, now_ms) = (self.storage.as_ref(), self.environment.now_ms());
        let done = match request {
            ControlRequest::AddTenant(tenant) => {
                storage.create_tenant(tenant.terms, now_ms).await.map(drop).map_err(|error| error.to_string())
            }
            ControlRequest::ChangeTenant(tenant) => {
                storage.change_tenant(tenant.number, tenant.terms).await.map_err(|error| error.to_string())
            }
            ControlRequest::RemoveTenant { number } => {
                storage.remove_tenant(number).await.map_err(|error| error.to_string())
            }
            ControlRequest::Suspend { address, suspended } => {
                storage.set_suspended(&address, suspended).await.map_err(|error| error.to_string())
            }
            ControlRequest::ListTenants => {
                return match storage.tenants().await {
                    Ok(tenants) => ControlResponse::Tenants(tenants),
                    Err(error) => ControlResponse::Error(error.to_string()),
                };
            }
            ControlRequest::TenantDays { number, first_day, last_day } => {
                // The present day as it stands now, whether the server runs or not.
                let counted = storage.count_tenants(now_ms).await;
                let days = match counted {
                    Ok(()) => storage.tenant_days(number, first_day, last_day).await,
                    Err(error) => Err(error),
                };
                return match days {
                    Ok(days) => ControlResponse::TenantDays(days),
                    Err(error) => ControlResponse::Error(error.to_string()),
                };
            }
            _ => Err("the order is not about tenants".to_owned()),
        };
        match done {
            Ok(()) => ControlResponse::Done,
            Err(error) => ControlResponse::Error(error),
        }
    }
}
