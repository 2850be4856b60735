//! Delivery keys: those of others, and one's own.

use prost::Message;

use crate::kind::GivenDeliveryKey;
use crate::limits::DELIVERY_KEYS_MAX;
use crate::wire::content::{given_delivery_key, given_delivery_key_of};
use crate::wire::{WireError, fixed, proto};

/// What is known of another account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryRecord {
    /// The newest key that it has given.
    pub key: Option<GivenDeliveryKey>,
    /// When a person accepted it, in milliseconds since 1970; 0: not.
    pub accepted_at: u64,
}

/// The keys that this account gives to those whom it has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnDeliveryKeysRecord {
    /// The newest last; the others are still good at the server. At most [`DELIVERY_KEYS_MAX`].
    pub keys: Vec<GivenDeliveryKey>,
    /// The hashes that the server has taken, in the order of the keys.
    pub told: Vec<[u8; 32]>,
    /// When to tell the server again that did not answer, in milliseconds since 1970.
    pub next_attempt: u64,
}

impl DeliveryRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let key = self.key.as_ref().map(given_delivery_key);
        proto::ClientDelivery { key, accepted_at: self.accepted_at }.encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientDelivery::decode(bytes)?;
        let key = record.key.map(given_delivery_key_of).transpose()?;
        Ok(Self { key, accepted_at: record.accepted_at })
    }
}

impl OwnDeliveryKeysRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::ClientOwnDeliveryKeys {
            keys: self.keys.iter().map(given_delivery_key).collect(),
            told: self.told.iter().map(|hash| hash.to_vec()).collect(),
            next_attempt: self.next_attempt,
        }
        .encode_to_vec()
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let record = proto::ClientOwnDeliveryKeys::decode(bytes)?;
        if record.keys.len() > DELIVERY_KEYS_MAX {
            return Err(WireError::Bounds("keys"));
        }
        Ok(Self {
            keys: record.keys.into_iter().map(given_delivery_key_of).collect::<Result<_, _>>()?,
            told: record.told.iter().map(|hash| fixed(hash, "told")).collect::<Result<_, _>>()?,
            next_attempt: record.next_attempt,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_come_back_as_they_were() {
        let key = GivenDeliveryKey { key: [1; 16].into(), made_at: 5 };
        for key in [None, Some(key.clone())] {
            let record = DeliveryRecord { key, accepted_at: 7 };
            assert_eq!(DeliveryRecord::decode(&record.encode()), Ok(record));
        }
        let own = OwnDeliveryKeysRecord { keys: vec![key.clone(); 4], told: vec![[3; 32]], next_attempt: 9 };
        assert_eq!(OwnDeliveryKeysRecord::decode(&own.encode()), Ok(own.clone()));
        let many = OwnDeliveryKeysRecord { keys: vec![key; 5], ..own };
        assert_eq!(OwnDeliveryKeysRecord::decode(&many.encode()), Err(WireError::Bounds("keys")));
    }
}
