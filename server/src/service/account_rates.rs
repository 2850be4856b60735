//! How often one account may ask over connections that have proved a device of it: a device that has gone wild must not take the
//! server from the others.

use medipeps_core::wire::transport::ErrorReply;

use super::access::Admission;
use super::connection::ProvedDevice;
use super::{Service, rate_limited};

impl Service {
    /// Counts a request for the account whose device was proved. Requests of nobody are counted by their network address, each where
    /// it is answered.
    pub(super) fn count_for_account(&self, admission: &Admission, now_ms: u64) -> Result<(), ErrorReply> {
        let Some(device) = proved(admission) else { return Ok(()) };
        let narrower = match admission {
            Admission::PublishPrekeys(..) | Admission::PublishKeyPackages(..) => {
                Some(&self.limiters.uploads_per_account)
            }
            Admission::Subscribe(_) => Some(&self.limiters.subscriptions_per_account),
            _ => None,
        };
        for limiter in [Some(&self.limiters.requests_per_account), narrower].into_iter().flatten() {
            limiter.take(device.address.clone(), now_ms).map_err(rate_limited)?;
        }
        Ok(())
    }
}

/// The device that a request comes from. A new request has to be named here.
fn proved(admission: &Admission) -> Option<&ProvedDevice> {
    match admission {
        Admission::PublishKeyPackages(device, _)
        | Admission::KeyPackageStatus(device)
        | Admission::PublishPrekeys(device, _)
        | Admission::PrekeyStatus(device)
        | Admission::DeleteAccount(device, _)
        | Admission::Subscribe(device)
        | Admission::Acknowledge(device, _)
        | Admission::DrawTokens(device, _)
        | Admission::DrawVoucher(device, _)
        | Admission::SetDeliveryKeys(device, _)
        | Admission::SetDeviceWake(device, _)
        | Admission::FetchTenant(device)
        | Admission::FetchOwnData(device, _) => Some(device),
        Admission::Hello
        | Admission::Authenticate { .. }
        | Admission::Register(_)
        | Admission::FetchStatement(_)
        | Admission::PublishStatement(_)
        | Admission::FetchPrekeys(_)
        | Admission::Submit(_)
        | Admission::BeginBlob(_)
        | Admission::PutBlobPiece(_)
        | Admission::FetchBlob(_)
        | Admission::DeleteBlob(_)
        | Admission::FetchKeyPackages(_)
        | Admission::CreateGroupLog(_)
        | Admission::AppendGroupEntry(_)
        | Admission::FetchGroupEntries { .. }
        | Admission::WatchGroupLogs { .. }
        | Admission::SignalGroup { .. }
        | Admission::SetGroupWake { .. }
        | Admission::RedeemVoucher { .. }
        | Admission::FetchIssuerKeys
        | Admission::FetchPushServices
        | Admission::FetchTrustList { .. } => None,
    }
}
