//! What a device asks of its own account: the tenant's licence, and everything that the server has of it.

use super::{push, statement};
use crate::Address;
use crate::limits::{DEVICES_MAX, NAME_LENGTH_MAX, OWN_ENVELOPES_MAX};
use crate::push_endpoint::PushEndpoint;
use crate::tenant::{Licence, Standing, check_services};
use crate::wire::server_storage::{decode_licence, encode_licence};
use crate::wire::{WireError, proto};

/// The tenant of the account that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTenantReply {
    /// Its name.
    pub name: String,
    /// What its licence is counted by.
    pub licence: Licence,
    /// When the licence ends, in milliseconds since 1970; `None` for never.
    pub ends: Option<u64>,
    /// Milliseconds after the end for which everything goes on.
    pub grace: u64,
    /// As of now.
    pub standing: Standing,
    /// Services opted in, ascending; names that this version does not know included.
    pub services: Vec<String>,
}

/// Asks for everything that the server has of the account, a page of one queue at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchOwnData {
    /// Whose envelopes are listed; 0 for nobody's.
    pub device_id: u32,
    /// Those with higher numbers.
    pub after: u64,
}

/// What the server has of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOwnDataReply {
    /// The account.
    pub address: Address,
    /// The organisation of its invitation.
    pub organisation: Option<String>,
    /// The name of its tenant.
    pub tenant: String,
    /// When it was registered, in milliseconds since 1970.
    pub created: u64,
    /// An encoded `SignedStatement`.
    pub statement: Vec<u8>,
    /// Ids of submissions to it that are remembered.
    pub submissions: u64,
    /// Its devices, ascending.
    pub devices: Vec<OwnDeviceData>,
    /// Of the device that was asked for, ascending, at most `OWN_ENVELOPES_MAX`; none when there are no more.
    pub envelopes: Vec<OwnEnvelopeData>,
}

/// What the server has of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDeviceData {
    /// Its number within the account.
    pub device_id: u32,
    /// The highest store generation that it reported.
    pub generation: u64,
    /// Unused one-time X25519 prekeys.
    pub one_time_prekeys: u64,
    /// Unused one-time ML-KEM prekeys.
    pub one_time_kem_prekeys: u64,
    /// Unused one-time key packages.
    pub key_packages: u64,
    /// The highest number ever given in its queue.
    pub highest_sequence: u64,
    /// Envelopes in its queue.
    pub queued: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Envelopes that ran out and that it was not told of.
    pub expired: u64,
    /// Where it is woken.
    pub wake: Option<PushEndpoint>,
}

/// An envelope in a queue, without its bytes: those are pushed to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnEnvelopeData {
    /// Its number in the queue.
    pub sequence: u64,
    /// Its size in bytes.
    pub size: u32,
    /// When it was taken, in milliseconds since 1970.
    pub received: u64,
    /// When it runs out, in milliseconds since 1970.
    pub expires: u64,
}

impl FetchTenantReply {
    pub(super) fn to_proto(&self) -> proto::FetchTenantReply {
        proto::FetchTenantReply {
            name: self.name.clone(),
            licence: encode_licence(self.licence),
            ends: self.ends,
            grace: self.grace,
            standing: encode_standing(self.standing),
            services: self.services.clone(),
        }
    }

    pub(super) fn from_proto(message: proto::FetchTenantReply) -> Result<Self, WireError> {
        check_services(&message.services).map_err(|_| WireError::Bounds("services"))?;
        Ok(Self {
            name: bounded(message.name, "name")?,
            licence: decode_licence(message.licence)?,
            ends: message.ends,
            grace: message.grace,
            standing: decode_standing(message.standing)?,
            services: message.services,
        })
    }
}

impl FetchOwnData {
    pub(super) const fn to_proto(self) -> proto::FetchOwnData {
        proto::FetchOwnData { device_id: self.device_id, after: self.after }
    }

    pub(super) const fn from_proto(message: &proto::FetchOwnData) -> Self {
        Self { device_id: message.device_id, after: message.after }
    }
}

impl FetchOwnDataReply {
    pub(super) fn to_proto(&self) -> proto::FetchOwnDataReply {
        let device = |one: &OwnDeviceData| proto::OwnDeviceData {
            device_id: one.device_id,
            generation: one.generation,
            one_time_prekeys: one.one_time_prekeys,
            one_time_kem_prekeys: one.one_time_kem_prekeys,
            key_packages: one.key_packages,
            highest_sequence: one.highest_sequence,
            queued: one.queued,
            bytes: one.bytes,
            expired: one.expired,
            wake: push::text(one.wake.as_ref()),
        };
        let envelope = |one: &OwnEnvelopeData| proto::OwnEnvelopeData {
            sequence: one.sequence,
            size: one.size,
            received: one.received,
            expires: one.expires,
        };
        proto::FetchOwnDataReply {
            address: self.address.to_string(),
            organisation: self.organisation.clone().unwrap_or_default(),
            tenant: self.tenant.clone(),
            created: self.created,
            statement: self.statement.clone(),
            submissions: self.submissions,
            devices: self.devices.iter().map(device).collect(),
            envelopes: self.envelopes.iter().map(envelope).collect(),
        }
    }

    pub(super) fn from_proto(message: proto::FetchOwnDataReply) -> Result<Self, WireError> {
        if message.devices.len() > DEVICES_MAX {
            return Err(WireError::Bounds("devices"));
        }
        if message.envelopes.len() > OWN_ENVELOPES_MAX {
            return Err(WireError::Bounds("envelopes"));
        }
        let device = |one: proto::OwnDeviceData| {
            Ok(OwnDeviceData {
                wake: push::endpoint(&one.wake)?,
                device_id: one.device_id,
                generation: one.generation,
                one_time_prekeys: one.one_time_prekeys,
                one_time_kem_prekeys: one.one_time_kem_prekeys,
                key_packages: one.key_packages,
                highest_sequence: one.highest_sequence,
                queued: one.queued,
                bytes: one.bytes,
                expired: one.expired,
            })
        };
        let envelope = |one: proto::OwnEnvelopeData| OwnEnvelopeData {
            sequence: one.sequence,
            size: one.size,
            received: one.received,
            expires: one.expires,
        };
        let organisation = bounded(message.organisation, "organisation")?;
        Ok(Self {
            address: Address::from_canonical(&message.address).map_err(|_| WireError::Bounds("address"))?,
            organisation: Some(organisation).filter(|name| !name.is_empty()),
            tenant: bounded(message.tenant, "tenant")?,
            created: message.created,
            statement: statement(message.statement)?,
            submissions: message.submissions,
            devices: message.devices.into_iter().map(device).collect::<Result<_, WireError>>()?,
            envelopes: message.envelopes.into_iter().map(envelope).collect(),
        })
    }
}

fn bounded(text: String, field: &'static str) -> Result<String, WireError> {
    if text.len() > NAME_LENGTH_MAX { Err(WireError::Bounds(field)) } else { Ok(text) }
}

const fn encode_standing(standing: Standing) -> i32 {
    (match standing {
        Standing::Active => proto::TenantStanding::Active,
        Standing::Grace => proto::TenantStanding::Grace,
        Standing::Ended => proto::TenantStanding::Ended,
        Standing::Suspended => proto::TenantStanding::Suspended,
    }) as i32
}

fn decode_standing(number: i32) -> Result<Standing, WireError> {
    match proto::TenantStanding::try_from(number) {
        Ok(proto::TenantStanding::Active) => Ok(Standing::Active),
        Ok(proto::TenantStanding::Grace) => Ok(Standing::Grace),
        Ok(proto::TenantStanding::Ended) => Ok(Standing::Ended),
        Ok(proto::TenantStanding::Suspended) => Ok(Standing::Suspended),
        Ok(proto::TenantStanding::Unspecified) | Err(_) => Err(WireError::Bounds("standing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::transport::{Request, Response};

    fn own_data(envelopes: usize) -> FetchOwnDataReply {
        FetchOwnDataReply {
            address: "claire@clinic.example".parse().unwrap(),
            organisation: Some("Clinic".to_owned()),
            tenant: "default".to_owned(),
            created: 1,
            statement: vec![2],
            submissions: 3,
            devices: vec![OwnDeviceData {
                device_id: 4,
                generation: 5,
                one_time_prekeys: 6,
                one_time_kem_prekeys: 7,
                key_packages: 8,
                highest_sequence: 9,
                queued: 10,
                bytes: 11,
                expired: 12,
                wake: Some("https://push.example/1".parse().unwrap()),
            }],
            envelopes: vec![OwnEnvelopeData { sequence: 13, size: 14, received: 15, expires: 16 }; envelopes],
        }
    }

    #[test]
    fn what_is_asked_and_answered_comes_back_as_it_was_sent() {
        for request in [Request::FetchTenant, Request::FetchOwnData(FetchOwnData { device_id: 1, after: 2 })] {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        for standing in [Standing::Active, Standing::Grace, Standing::Ended, Standing::Suspended] {
            let reply = Response::FetchTenant(FetchTenantReply {
                name: "CHU de Pau".to_owned(),
                licence: Licence::HospitalGroup,
                ends: Some(1),
                grace: 2,
                standing,
                services: vec!["mail".to_owned(), "sms".to_owned()],
            });
            assert_eq!(Response::decode(&reply.encode()), Ok(reply));
        }
        let reply = Response::FetchOwnData(own_data(OWN_ENVELOPES_MAX));
        assert_eq!(Response::decode(&reply.encode()), Ok(reply));
        let long = Response::FetchOwnData(own_data(OWN_ENVELOPES_MAX + 1));
        assert_eq!(Response::decode(&long.encode()), Err(WireError::Bounds("envelopes")));
    }
}
