//! `FetchKeyPackages`: an account's statement and a key package of each of its devices.

use medipeps_core::wire::transport::{
    DeviceKeyPackage, ErrorCode, ErrorReply, FetchKeyPackages, FetchKeyPackagesReply, Response,
};

use super::payment::Purpose;
use super::{Moment, Service, refuse, storage_failed};
use crate::limits::NO_PREKEYS_RETRY_MS;
use crate::storage::{KeyPackageError, TakenKeyPackage, Taking};

impl Service {
    pub(super) async fn fetch_key_packages(
        &self,
        moment: Moment,
        request: FetchKeyPackages,
    ) -> Result<Response, ErrorReply> {
        let FetchKeyPackages { address, payment } = request;
        let limiters = [(&self.limiters.prekeys_per_address, 1)];
        let purpose = Purpose::KeyPackages(address.as_str());
        let spend = self.pay(moment, payment, self.prices().prekeys, purpose, &limiters).await?;
        self.check_domain(&address)?;
        // Only accounts that exist take room in the limiter, or made-up ones would crowd them out.
        let known = self.storage.account(&address).await.map_err(storage_failed)?;
        known.ok_or_else(|| refuse(ErrorCode::UnknownAccount))?;
        // Past the limit the last-resort ones are given: nobody can keep others from adding somebody to a group.
        let withhold = self.limiters.key_packages_per_recipient.take(address.clone(), moment.now_ms).is_err();
        let taking = Taking { withhold, spend, now_ms: moment.now_ms };
        let taken = self.storage.take_key_packages(&address, taking).await.map_err(|error| match error {
            KeyPackageError::Storage(error) => storage_failed(error),
            KeyPackageError::Payment(error) => self.spend_refused(moment, error),
            _ => refuse(ErrorCode::UnknownAccount),
        })?;
        // The statement is read after the packages: a device that went in between is left out, never one too many told.
        let account = self.storage.account(&address).await.map_err(storage_failed)?;
        let account = account.ok_or_else(|| refuse(ErrorCode::UnknownAccount))?;
        let packages: Vec<_> =
            taken.into_iter().filter(|one| account.devices.contains(&one.device_id)).map(on_the_wire).collect();
        if packages.is_empty() {
            let error = ErrorReply::new(ErrorCode::RateLimited, "no device of the account has key packages yet");
            return Err(error.retry_after(NO_PREKEYS_RETRY_MS));
        }
        Ok(Response::FetchKeyPackages(FetchKeyPackagesReply { statement: account.statement, packages }))
    }
}

fn on_the_wire(taken: TakenKeyPackage) -> DeviceKeyPackage {
    let TakenKeyPackage { device_id, key_package, last_resort } = taken;
    DeviceKeyPackage { device_id, key_package, last_resort }
}
