//! Answers about key packages. [`crate::key_package`] signs and verifies the upload.

use super::statement;
use crate::limits::{DEVICES_MAX, KEY_PACKAGE_LENGTH_MAX};
use crate::wire::{WireError, proto};

/// How many key packages are left at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPackageStatusReply {
    /// One-time ones.
    pub one_time: u32,
    /// Of the last upload; 0 when there was none.
    pub sequence: u64,
    /// The server's time, in milliseconds since 1970: key packages are dated by it. 0 if it does not say.
    pub now: u64,
}

/// An account's statement, and a key package of each device that has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchKeyPackagesReply {
    /// An encoded `SignedStatement`.
    pub statement: Vec<u8>,
    /// At least one.
    pub packages: Vec<DeviceKeyPackage>,
}

/// A key package of one device, as the device uploaded it; the server has not looked into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKeyPackage {
    /// The device.
    pub device_id: u32,
    /// An encoded MLS key package, 1 to [`KEY_PACKAGE_LENGTH_MAX`] bytes.
    pub key_package: Vec<u8>,
    /// No other was left, so that others get the same one.
    pub last_resort: bool,
}

impl KeyPackageStatusReply {
    pub(super) const fn to_proto(self) -> proto::KeyPackageStatusReply {
        proto::KeyPackageStatusReply { one_time: self.one_time, sequence: self.sequence, now: self.now }
    }

    pub(super) const fn from_proto(message: &proto::KeyPackageStatusReply) -> Self {
        Self { one_time: message.one_time, sequence: message.sequence, now: message.now }
    }
}

impl FetchKeyPackagesReply {
    pub(super) fn to_proto(&self) -> proto::FetchKeyPackagesReply {
        let package = |one: &DeviceKeyPackage| proto::DeviceKeyPackage {
            device_id: one.device_id,
            key_package: one.key_package.clone(),
            last_resort: one.last_resort,
        };
        proto::FetchKeyPackagesReply {
            statement: self.statement.clone(),
            packages: self.packages.iter().map(package).collect(),
        }
    }

    pub(super) fn from_proto(message: proto::FetchKeyPackagesReply) -> Result<Self, WireError> {
        if message.packages.is_empty() || message.packages.len() > DEVICES_MAX {
            return Err(WireError::Bounds("packages"));
        }
        let packages = message
            .packages
            .into_iter()
            .map(|one| match (one.device_id, one.key_package.len()) {
                (0, _) => Err(WireError::Bounds("device_id")),
                (device_id, 1..=KEY_PACKAGE_LENGTH_MAX) => {
                    Ok(DeviceKeyPackage { device_id, key_package: one.key_package, last_resort: one.last_resort })
                }
                _ => Err(WireError::Bounds("key_package")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { statement: statement(message.statement)?, packages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transport::{FetchKeyPackages, Payment, Request, Response};

    fn reply(device_id: u32, length: usize) -> Response {
        let package = DeviceKeyPackage { device_id, key_package: vec![1; length], last_resort: true };
        Response::FetchKeyPackages(FetchKeyPackagesReply { statement: vec![2], packages: vec![package] })
    }

    #[test]
    fn requests_and_answers_come_back_as_they_were_sent() {
        for request in [
            Request::PublishKeyPackages(vec![1]),
            Request::KeyPackageStatus,
            Request::FetchKeyPackages(FetchKeyPackages { address: "a@b".parse().unwrap(), payment: Payment::None }),
        ] {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        let status = Response::KeyPackageStatus(KeyPackageStatusReply { one_time: 1, sequence: 2, now: 3 });
        for response in [status, reply(1, 1), reply(2, KEY_PACKAGE_LENGTH_MAX)] {
            assert_eq!(Response::decode(&response.encode()), Ok(response));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let refused = |response: Response| Response::decode(&response.encode()).unwrap_err();
        assert_eq!(refused(reply(0, 1)), WireError::Bounds("device_id"));
        assert_eq!(refused(reply(1, 0)), WireError::Bounds("key_package"));
        assert_eq!(refused(reply(1, KEY_PACKAGE_LENGTH_MAX + 1)), WireError::Bounds("key_package"));
        let none = FetchKeyPackagesReply { statement: vec![2], packages: Vec::new() };
        assert_eq!(refused(Response::FetchKeyPackages(none)), WireError::Bounds("packages"));
    }
}
