//! `Acknowledge`: the device has committed everything up to a number, and the server forgets it.

use medipeps_core::wire::transport::{Acknowledge, ErrorCode, ErrorReply, Response};

use super::connection::ProvedDevice;
use super::{Service, queue_failed, refuse, storage_failed};
use crate::fail_point::fail_point;
use crate::storage::AcknowledgeError;

impl Service {
    pub(super) async fn acknowledge(
        &self,
        device: &ProvedDevice,
        request: Acknowledge,
    ) -> Result<Response, ErrorReply> {
        self.check_listed(device).await?;
        let (address, device_id) = (&device.address, device.device_id);
        if request.incarnation != self.storage.incarnation() {
            return Err(wrong_incarnation());
        }
        fail_point!(BeforeAcknowledge);
        // Both go into one commit where the engine can; the device is told once both are on the disk.
        let (reported, acknowledged) = tokio::join!(
            self.storage.report_generation(address, device_id, request.generation),
            self.storage.acknowledge(address, device_id, request.incarnation, request.up_to),
        );
        reported.map_err(queue_failed)?;
        acknowledged.map_err(|error| match error {
            AcknowledgeError::UnknownDevice => refuse(ErrorCode::UnknownDevice),
            AcknowledgeError::ForeignIncarnation => wrong_incarnation(),
            AcknowledgeError::BeyondAssigned { .. } => ErrorReply::new(ErrorCode::AcknowledgeAhead, error.to_string()),
            AcknowledgeError::Storage(error) => storage_failed(error),
        })?;
        fail_point!(AfterAcknowledge);
        self.delivery_loops.acknowledged(address, device_id);
        self.subscriptions.acknowledged(address, device_id, request.up_to);
        self.wakes.device_fetched(address, device_id);
        Ok(Response::Done)
    }
}

fn wrong_incarnation() -> ErrorReply {
    ErrorReply::new(ErrorCode::WrongIncarnation, "the acknowledgement belongs to another life of the store")
}
