//! What several commands ask of the tenants.

use medipeps_core::tenant::{Tenant, TenantUsage};
use medipeps_core::wire::control::{ControlRequest, ControlResponse};

use crate::cli::Failure;
use crate::cli::store::Orders;

/// All tenants.
pub(super) async fn list(orders: &mut Orders<'_>) -> Result<Vec<(Tenant, TenantUsage)>, Failure> {
    match orders.give(ControlRequest::ListTenants).await? {
        ControlResponse::Tenants(tenants) => Ok(tenants),
        _ => Err(Failure::failed("the server answered something else")),
    }
}

/// The one with a name.
pub(super) async fn named(orders: &mut Orders<'_>, name: &str) -> Result<(Tenant, TenantUsage), Failure> {
    let found = list(orders).await?.into_iter().find(|(tenant, _)| tenant.terms.name == name);
    found.ok_or_else(|| Failure::Failed(format!("there is no tenant {name:?}; see `admin tenant list`")))
}

/// Gives an order that is answered with nothing but that it is done.
pub(super) async fn done(orders: &mut Orders<'_>, request: ControlRequest) -> Result<(), Failure> {
    match orders.give(request).await? {
        ControlResponse::Done => Ok(()),
        _ => Err(Failure::failed("the server answered something else")),
    }
}
