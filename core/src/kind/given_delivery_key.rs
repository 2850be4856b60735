//! The delivery key that one account gives to another, beside what it says. `spec/tokens.md`, section "Delivery keys".

use zeroize::Zeroizing;

use crate::Address;
use crate::delivery_key::DeliveryKey;
use crate::limits::CONTENT_LENGTH_MAX;
use crate::wire::{self, WireError};

/// A delivery key and when its account made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenDeliveryKey {
    /// The key.
    pub key: DeliveryKey,
    /// Milliseconds since 1970, by the clock of the account whose key it is: the newest counts.
    pub made_at: u64,
}

/// What a device tells the others of its account about the delivery keys of an account, its own or another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedDelivery {
    /// Whose.
    pub address: Address,
    /// A key of it.
    pub key: Option<GivenDeliveryKey>,
    /// When a person accepted the account, in milliseconds since 1970; 0: not.
    pub accepted_at: u64,
}

impl GivenDeliveryKey {
    /// Puts it beside an encoded [`super::Content`], which stays what it is to whoever looks for no key. `None` where there is
    /// no room.
    #[must_use]
    pub fn attach(&self, content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let given = wire::content::encode_given_delivery_key(self);
        let length = content.len() + given.len();
        (length <= CONTENT_LENGTH_MAX).then(|| {
            let mut both = Zeroizing::new(Vec::with_capacity(length));
            both.extend_from_slice(content);
            both.extend_from_slice(&given);
            both
        })
    }

    /// The one beside an encoded [`super::Content`].
    ///
    /// # Errors
    /// [`WireError`]
    pub fn beside(content: &[u8]) -> Result<Option<Self>, WireError> {
        wire::content::decode_given_delivery_key(content)
    }

    /// An encoded [`super::Content`] without what is beside it: every other byte stays as it is.
    ///
    /// # Errors
    /// [`WireError`]
    pub fn detach(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, WireError> {
        wire::content::without_given_delivery_key(content)
    }

    /// Whether it stands in the place of another of the same account: the newer does; of two of the same time the one with the
    /// larger hash, so that all devices choose the same.
    #[must_use]
    pub fn replaces(&self, address: &Address, other: &Self) -> bool {
        (self.made_at, self.key.hash(address)) > (other.made_at, other.key.hash(address))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_content::content;
    use super::super::{Body, Content};
    use super::*;

    fn given(byte: u8, made_at: u64) -> GivenDeliveryKey {
        GivenDeliveryKey { key: [byte; 16].into(), made_at }
    }

    #[test]
    fn a_key_travels_beside_a_message_and_changes_nothing_of_it() {
        let content = content(Body::Empty);
        let encoded = content.encode().unwrap();
        let with_key = given(7, 5).attach(&encoded).unwrap();
        assert_eq!(Content::decode(&with_key), Ok(content));
        assert_eq!(GivenDeliveryKey::beside(&with_key), Ok(Some(given(7, 5))));
        assert_eq!(GivenDeliveryKey::beside(&encoded), Ok(None));
        assert_eq!(GivenDeliveryKey::detach(&with_key).unwrap(), encoded);
        assert_eq!(GivenDeliveryKey::detach(&encoded).unwrap(), encoded);
        // Another one after it stands instead.
        let twice = given(8, 6).attach(&with_key).unwrap();
        assert_eq!(GivenDeliveryKey::beside(&twice), Ok(Some(given(8, 6))));
    }

    #[test]
    fn where_there_is_no_room_it_stays_away_and_what_is_none_is_refused() {
        assert!(given(7, 5).attach(&vec![0; CONTENT_LENGTH_MAX - 10]).is_none());
        // Field 20 with a key of 15 bytes.
        let mut bytes = vec![0xa2, 0x01, 17, 0x0a, 15];
        bytes.extend([0; 15]);
        assert_eq!(GivenDeliveryKey::beside(&bytes), Err(WireError::Bounds("delivery_key.key")));
    }

    #[test]
    fn all_devices_choose_the_same_of_two() {
        let address = "claire@clinic.example".parse().unwrap();
        assert!(given(1, 6).replaces(&address, &given(2, 5)));
        assert!(!given(1, 5).replaces(&address, &given(2, 6)));
        assert_ne!(given(1, 5).replaces(&address, &given(2, 5)), given(2, 5).replaces(&address, &given(1, 5)));
        assert!(!given(1, 5).replaces(&address, &given(1, 5)));
    }
}
