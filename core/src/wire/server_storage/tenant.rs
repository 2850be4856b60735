//! The records of tenants, which pass over the control socket as well.

use prost::Message;

use crate::tenant::{Licence, Tenant, TenantDay, TenantTerms, check_services};
use crate::wire::{WireError, proto};

impl Tenant {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_proto(proto::StoredTenant::decode(bytes)?)
    }

    pub(in crate::wire) fn to_proto(&self) -> proto::StoredTenant {
        let terms = &self.terms;
        proto::StoredTenant {
            number: self.number,
            created: self.created_ms,
            name: terms.name.clone(),
            licence: encode_licence(terms.licence),
            seats: terms.seats,
            storage_bytes: terms.storage_bytes,
            ends: terms.ends_ms,
            grace: terms.grace_ms,
            services: terms.services.clone(),
            suspended: terms.suspended,
        }
    }

    pub(in crate::wire) fn from_proto(message: proto::StoredTenant) -> Result<Self, WireError> {
        let terms = TenantTerms {
            name: message.name,
            licence: decode_licence(message.licence)?,
            seats: message.seats,
            storage_bytes: message.storage_bytes,
            ends_ms: message.ends,
            grace_ms: message.grace,
            services: message.services,
            suspended: message.suspended,
        };
        terms.check().map_err(|_| WireError::Bounds("name or services"))?;
        Ok(Self { number: message.number, created_ms: message.created, terms })
    }
}

impl TenantDay {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::from_proto(proto::StoredTenantDay::decode(bytes)?)
    }

    pub(in crate::wire) fn to_proto(&self) -> proto::StoredTenantDay {
        proto::StoredTenantDay {
            day: self.day,
            seats: self.seats,
            seats_peak: self.seats_peak,
            bytes_peak: self.bytes_peak,
            active: self.active,
            services: self.services.clone(),
        }
    }

    pub(in crate::wire) fn from_proto(message: proto::StoredTenantDay) -> Result<Self, WireError> {
        check_services(&message.services).map_err(|_| WireError::Bounds("services"))?;
        if message.seats > message.seats_peak {
            return Err(WireError::Bounds("seats"));
        }
        Ok(Self {
            day: message.day,
            seats: message.seats,
            seats_peak: message.seats_peak,
            bytes_peak: message.bytes_peak,
            active: message.active,
            services: message.services,
        })
    }
}

/// The number that stands for a licence.
pub(in crate::wire) const fn encode_licence(licence: Licence) -> i32 {
    (match licence {
        Licence::Mailbox => proto::TenantLicence::Mailbox,
        Licence::Structure => proto::TenantLicence::Structure,
        Licence::HospitalGroup => proto::TenantLicence::HospitalGroup,
        Licence::Establishment => proto::TenantLicence::Establishment,
        Licence::Territory => proto::TenantLicence::Territory,
    }) as i32
}

/// The licence that a number stands for.
pub(in crate::wire) fn decode_licence(number: i32) -> Result<Licence, WireError> {
    match proto::TenantLicence::try_from(number) {
        Ok(proto::TenantLicence::Mailbox) => Ok(Licence::Mailbox),
        Ok(proto::TenantLicence::Structure) => Ok(Licence::Structure),
        Ok(proto::TenantLicence::HospitalGroup) => Ok(Licence::HospitalGroup),
        Ok(proto::TenantLicence::Establishment) => Ok(Licence::Establishment),
        Ok(proto::TenantLicence::Territory) => Ok(Licence::Territory),
        Ok(proto::TenantLicence::Unspecified) | Err(_) => Err(WireError::Bounds("licence")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_way_to_the_disk() {
        for licence in Licence::ALL {
            let terms = TenantTerms {
                licence,
                seats: Some(0),
                storage_bytes: Some(1 << 40),
                ends_ms: Some(5),
                grace_ms: 6,
                services: vec!["mail".into(), "sms".into()],
                suspended: true,
                ..TenantTerms::unbounded("CHU de Pau")
            };
            let tenant = Tenant { number: 3, created_ms: 4, terms };
            assert_eq!(Tenant::decode(&tenant.encode()), Ok(tenant));
        }
        let tenant = Tenant::default_tenant();
        assert_eq!(Tenant::decode(&tenant.encode()), Ok(tenant), "no bound is not a bound of 0");
        let day = TenantDay {
            day: 20_000,
            seats: 2,
            seats_peak: 3,
            bytes_peak: 4,
            active: true,
            services: vec!["mail".into()],
        };
        assert_eq!(TenantDay::decode(&day.encode()), Ok(day.clone()));
        let below = TenantDay { seats: 4, ..day };
        assert_eq!(TenantDay::decode(&below.encode()), Err(WireError::Bounds("seats")));
        assert_eq!(Tenant::decode(&[]), Err(WireError::Bounds("licence")));
        let nameless = proto::StoredTenant { licence: 1, ..Default::default() };
        assert_eq!(Tenant::decode(&nameless.encode_to_vec()), Err(WireError::Bounds("name or services")));
    }
}
