//! `FetchOwnData`: a person asks what the server has of him.

use medipeps_core::limits::OWN_ENVELOPES_MAX;
use medipeps_core::wire::transport::{
    ErrorCode, ErrorReply, FetchOwnData, FetchOwnDataReply, OwnDeviceData, OwnEnvelopeData, Response,
};

use super::connection::ProvedDevice;
use super::{Service, internal, refuse, storage_failed};
use crate::storage::{InspectedDevice, InspectedEnvelope};

impl Service {
    pub(super) async fn fetch_own_data(
        &self,
        device: &ProvedDevice,
        request: FetchOwnData,
    ) -> Result<Response, ErrorReply> {
        let account = self.check_listed(device).await?;
        let inspected = self.storage.inspect_account(&device.address).await.map_err(storage_failed)?;
        let inspected = inspected.ok_or_else(|| refuse(ErrorCode::UnknownDevice))?;
        let tenant = self.storage.tenant(account.tenant).await.map_err(storage_failed)?;
        let listed = inspected.devices.iter().find(|one| one.device_id == request.device_id);
        let waiting = listed.into_iter().flat_map(|one| &one.envelopes);
        let page = waiting.filter(|one| one.sequence > request.after).take(OWN_ENVELOPES_MAX);
        Ok(Response::FetchOwnData(FetchOwnDataReply {
            address: inspected.address.clone(),
            organisation: inspected.organisation.clone(),
            tenant: tenant.ok_or_else(|| internal("an account has no tenant"))?.terms.name,
            created: inspected.created_ms,
            statement: account.statement,
            submissions: inspected.submissions,
            devices: inspected.devices.iter().map(own_device).collect(),
            envelopes: page.map(own_envelope).collect(),
        }))
    }
}

fn own_device(device: &InspectedDevice) -> OwnDeviceData {
    OwnDeviceData {
        device_id: device.device_id,
        generation: device.generation,
        one_time_prekeys: device.one_time as u64,
        one_time_kem_prekeys: device.one_time_kem as u64,
        key_packages: device.key_packages as u64,
        highest_sequence: device.highest_sequence,
        queued: device.envelopes.len() as u64,
        bytes: device.bytes,
        expired: device.expired,
        wake: device.wake.clone(),
    }
}

const fn own_envelope(envelope: &InspectedEnvelope) -> OwnEnvelopeData {
    OwnEnvelopeData {
        sequence: envelope.sequence,
        size: envelope.length,
        received: envelope.received_ms,
        expires: envelope.expires_ms,
    }
}
