//! `SetDeviceWake` and `FetchPushServices`: where a device is woken, and by which push services it can be.

use medipeps_core::push_endpoint::PushEndpoint;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, Response};

use super::connection::ProvedDevice;
use super::{Service, queue_failed};

impl Service {
    pub(super) async fn set_device_wake(
        &self,
        device: &ProvedDevice,
        endpoint: Option<PushEndpoint>,
    ) -> Result<Response, ErrorReply> {
        self.check_listed(device).await?;
        if endpoint.as_ref().is_some_and(|endpoint| !self.wakes.allows(endpoint)) {
            return Err(push_service_refused());
        }
        let stored = self.storage.set_device_wake(&device.address, device.device_id, endpoint).await;
        stored.map_err(queue_failed)?;
        Ok(Response::Done)
    }

    pub(super) fn fetch_push_services(&self) -> Response {
        Response::FetchPushServices(self.wakes.services())
    }
}

/// What is said of a push service that is not in the configuration.
pub(super) fn push_service_refused() -> ErrorReply {
    ErrorReply::new(ErrorCode::PushServiceRefused, "this server does not call that push service")
}
