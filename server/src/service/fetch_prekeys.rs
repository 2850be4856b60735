//! `FetchPrekeys`: an account's statement and a prekey bundle of each of its devices.

use medipeps_core::prekey::EncodedBundle;
use medipeps_core::wire::transport::{ErrorCode, ErrorReply, FetchPrekeys, FetchPrekeysReply, Response};

use super::payment::Purpose;
use super::{Moment, Service, refuse, storage_failed};
use crate::fail_point::fail_point;
use crate::limits::NO_PREKEYS_RETRY_MS;
use crate::storage::{PrekeyError, TakenKem, TakenPrekeys, Taking};

impl Service {
    pub(super) async fn fetch_prekeys(&self, moment: Moment, request: FetchPrekeys) -> Result<Response, ErrorReply> {
        let FetchPrekeys { address, payment } = request;
        let limiters = [(&self.limiters.prekeys_per_address, 1)];
        let purpose = Purpose::Prekeys(address.as_str());
        let spend = self.pay(moment, payment, self.prices().prekeys, purpose, &limiters).await?;
        self.check_domain(&address)?;
        // Only accounts that exist take room in the limiter, or made-up ones would crowd them out.
        let known = self.storage.account(&address).await.map_err(storage_failed)?;
        known.ok_or_else(|| refuse(ErrorCode::UnknownAccount))?;
        // Past the limit nobody is refused: whoever drains somebody's one-time keys would keep others from writing to him.
        let withhold = self.limiters.prekeys_per_recipient.take(address.clone(), moment.now_ms).is_err();
        let taking = Taking { withhold, spend, now_ms: moment.now_ms };
        fail_point!(BeforeTakePrekeys);
        let taken = self.storage.take_prekeys(&address, taking).await.map_err(|error| match error {
            PrekeyError::Storage(error) => storage_failed(error),
            PrekeyError::Payment(error) => self.spend_refused(moment, error),
            _ => refuse(ErrorCode::UnknownAccount),
        })?;
        fail_point!(AfterTakePrekeys);
        // The statement is read after the keys: a device that went in between is left out, never one too many told.
        let account = self.storage.account(&address).await.map_err(storage_failed)?;
        let account = account.ok_or_else(|| refuse(ErrorCode::UnknownAccount))?;
        let listed = |device: &TakenPrekeys| account.devices.contains(&device.device_id);
        let bundles: Vec<_> = taken.into_iter().filter(listed).map(|device| bundle(device).encode()).collect();
        if bundles.is_empty() {
            let error = ErrorReply::new(ErrorCode::RateLimited, "no device of the account has prekeys yet");
            return Err(error.retry_after(NO_PREKEYS_RETRY_MS));
        }
        Ok(Response::FetchPrekeys(FetchPrekeysReply {
            statement: account.statement,
            bundles,
            one_time_withheld: withhold,
        }))
    }
}

fn bundle(taken: TakenPrekeys) -> EncodedBundle {
    EncodedBundle {
        device_id: taken.device_id,
        signed_prekey: taken.signed,
        one_time_prekey: taken.one_time,
        kem_prekey: match taken.kem {
            TakenKem::OneTime(key) | TakenKem::LastResort(key) => key,
        },
        seal_prekey: taken.seal,
    }
}
