//! Records of tokens: issuer keys, what was spent, what was drawn.

use prost::Message;

use crate::crypto::secret::Secret;
use crate::wire::{WireError, fixed, proto};

/// An issuer key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKeyRecord {
    /// What it is derived from.
    pub seed: Secret<32>,
    /// The day on which it issues, counted from 1970.
    pub day: u32,
    /// Milliseconds since 1970.
    pub expires: u64,
}

/// A token that was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendRecord {
    /// SHA-256 of what it has paid for.
    pub purpose: [u8; 32],
}

/// What an account has drawn on one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DrawsRecord {
    /// Counted from 1970.
    pub day: u32,
    /// One a device.
    pub tokens: Vec<DrawRecord>,
    /// SHA-256 of domain and key of each voucher.
    pub vouchers: Vec<[u8; 32]>,
}

/// What a device has drawn on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawRecord {
    /// The device.
    pub device: u32,
    /// Tokens.
    pub count: u32,
    /// SHA-256 of the batch.
    pub digest: [u8; 32],
}

/// A voucher that was redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoucherRecord {
    /// SHA-256 of the batch.
    pub digest: [u8; 32],
    /// Milliseconds since 1970.
    pub expires: u64,
}

impl IssuerKeyRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredIssuerKey { seed: self.seed.as_bytes().to_vec(), day: self.day, expires: self.expires }
            .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredIssuerKey::decode(bytes)?;
        let seed = zeroize::Zeroizing::new(message.seed);
        let seed = Secret::from_slice(&seed).ok_or(WireError::Bounds("seed"))?;
        Ok(Self { seed, day: message.day, expires: message.expires })
    }
}

impl SpendRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredSpend { purpose: self.purpose.to_vec() }.encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Ok(Self { purpose: fixed(&proto::StoredSpend::decode(bytes)?.purpose, "purpose")? })
    }
}

impl DrawsRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let draw =
            |one: &DrawRecord| proto::StoredDraw { device: one.device, count: one.count, digest: one.digest.to_vec() };
        proto::StoredDraws {
            day: self.day,
            tokens: self.tokens.iter().map(draw).collect(),
            vouchers: self.vouchers.iter().map(|voucher| voucher.to_vec()).collect(),
        }
        .encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredDraws::decode(bytes)?;
        let draw = |one: &proto::StoredDraw| {
            let digest = fixed(&one.digest, "digest")?;
            Ok(DrawRecord { device: one.device, count: one.count, digest })
        };
        Ok(Self {
            day: message.day,
            tokens: message.tokens.iter().map(draw).collect::<Result<_, WireError>>()?,
            vouchers: message.vouchers.iter().map(|one| fixed(one, "vouchers")).collect::<Result<_, _>>()?,
        })
    }
}

impl VoucherRecord {
    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::StoredVoucher { digest: self.digest.to_vec(), expires: self.expires }.encode_to_vec()
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`WireError`] with the field's name.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let message = proto::StoredVoucher::decode(bytes)?;
        Ok(Self { digest: fixed(&message.digest, "digest")?, expires: message.expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_stored() {
        let key = IssuerKeyRecord { seed: Secret::from([1; 32]), day: 2, expires: 3 };
        assert_eq!(IssuerKeyRecord::decode(&key.encode()), Ok(key));
        let spend = SpendRecord { purpose: [4; 32] };
        assert_eq!(SpendRecord::decode(&spend.encode()), Ok(spend));
        let draw = DrawRecord { device: 5, count: 6, digest: [7; 32] };
        let draws = DrawsRecord { day: 8, tokens: vec![draw], vouchers: vec![[9; 32]] };
        assert_eq!(DrawsRecord::decode(&draws.encode()), Ok(draws));
        let voucher = VoucherRecord { digest: [10; 32], expires: 11 };
        assert_eq!(VoucherRecord::decode(&voucher.encode()), Ok(voucher));
        assert_eq!(SpendRecord::decode(&[]), Err(WireError::Bounds("purpose")));
    }
}
