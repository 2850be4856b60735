//! Vouchers: how somebody of one server draws tokens at another, who learns his home and nothing more of him.

use super::{DAY_MS, TokenError, Voucher};
use crate::crypto::hash::labelled_sha256;
use crate::crypto::signature::{SignatureError, SigningKey, VerifyingKey};
use crate::label;
use crate::proof::Channel;
use crate::wire::token::SignedVoucher;
use crate::wire::transport::{RedeemVoucher, TokenRequest};

/// Milliseconds by which the clocks of two servers may differ.
const CLOCKS_DIFFER_MS: u64 = 3_600_000;

/// A voucher that was read and not verified: who is said to have signed it, so that his key can be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedVoucher {
    signed: SignedVoucher,
    voucher: Voucher,
}

impl Voucher {
    /// Signs the voucher with the home server's key; the result is an encoded `SignedVoucher`.
    #[must_use]
    pub fn sign(&self, server_key: &SigningKey) -> Vec<u8> {
        let voucher = self.encode();
        let signature = server_key.sign(label::VOUCHER_ISSUE, &[&voucher]);
        SignedVoucher { voucher, signature }.encode()
    }

    /// Under which it is spent.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        labelled_sha256(label::VOUCHER_ID, &[&self.encode()])
    }

    /// When it runs out, in milliseconds since 1970: at the end of the day after the one on which it was drawn.
    #[must_use]
    pub fn expires(&self) -> u64 {
        u64::from(self.day).saturating_add(2).saturating_mul(DAY_MS)
    }

    /// Whether it is good at a time, in milliseconds since 1970. The clocks of two servers may differ by an hour.
    #[must_use]
    pub fn is_good_at(&self, now_ms: u64) -> bool {
        let begins = u64::from(self.day).saturating_mul(DAY_MS);
        now_ms.saturating_add(CLOCKS_DIFFER_MS) >= begins && now_ms < self.expires()
    }
}

impl UnverifiedVoucher {
    /// Reads an encoded `SignedVoucher`.
    ///
    /// # Errors
    /// [`TokenError::Malformed`]
    pub fn decode(encoded: &[u8]) -> Result<Self, TokenError> {
        let signed = SignedVoucher::decode(encoded)?;
        let voucher = Voucher::decode(&signed.voucher)?;
        Ok(Self { signed, voucher })
    }

    /// The domain that is said to have signed it.
    #[must_use]
    pub fn home(&self) -> &str {
        &self.voucher.home
    }

    /// Verifies that the home server signed it.
    ///
    /// # Errors
    /// [`TokenError::Signature`]
    pub fn verify(self, home_key: &VerifyingKey) -> Result<Voucher, TokenError> {
        home_key
            .verify(label::VOUCHER_ISSUE, &[&self.signed.voucher], &self.signed.signature)
            .map_err(|_| TokenError::Signature)?;
        Ok(self.voucher)
    }
}

impl RedeemVoucher {
    /// A batch that a voucher is to pay for, over one connection. `voucher` is an encoded `SignedVoucher`.
    #[must_use]
    pub fn sign(voucher_key: &SigningKey, channel: &Channel<'_>, voucher: Vec<u8>, request: TokenRequest) -> Self {
        let signature = voucher_key.sign(label::VOUCHER_REDEMPTION, &[&signed(channel, &voucher, &request)]);
        Self { voucher, request, signature }
    }

    /// Verifies that the owner of the voucher asks, on this connection.
    ///
    /// # Errors
    /// [`SignatureError::Signature`]
    pub fn verify(&self, voucher: &Voucher, channel: &Channel<'_>) -> Result<(), SignatureError> {
        let signed = signed(channel, &self.voucher, &self.request);
        voucher.key.verify(label::VOUCHER_REDEMPTION, &[&signed], &self.signature)
    }
}

impl TokenRequest {
    /// SHA-256 of the key id and the blinded elements: tells a repeat of a batch from another one.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        use sha2::Digest;
        let mut digest = sha2::Sha256::new();
        digest.update(self.key_id);
        for element in &self.blinded {
            digest.update(element);
        }
        digest.finalize().into()
    }
}

/// The channel, SHA-256 of the signed voucher (32), SHA-256 of key id and blinded elements (32).
fn signed(channel: &Channel<'_>, voucher: &[u8], request: &TokenRequest) -> Vec<u8> {
    use sha2::Digest;
    let mut bytes = channel.encode();
    bytes.extend_from_slice(&sha2::Sha256::digest(voucher));
    bytes.extend_from_slice(&request.digest());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;
    use crate::wire::transport::Transport;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_secret(&Secret::from([seed; 32]))
    }

    fn voucher() -> Voucher {
        let [home, domain] = ["clinic.example", "hospital.example"].map(str::to_owned);
        Voucher { home, domain, day: 20_000, key: key(2).verifying_key(), tokens: 10, incarnation: [3; 16] }
    }

    #[test]
    fn a_voucher_is_its_homes_own() {
        let encoded = voucher().sign(&key(1));
        let read = UnverifiedVoucher::decode(&encoded).unwrap();
        assert_eq!(read.home(), "clinic.example");
        assert_eq!(read.clone().verify(&key(1).verifying_key()), Ok(voucher()));
        assert_eq!(read.verify(&key(3).verifying_key()), Err(TokenError::Signature));
    }

    #[test]
    fn a_redemption_holds_on_its_own_connection_for_its_own_batch() {
        let (nonce, other_nonce) = ([5; 32], [6; 32]);
        let exporter = [7; 32];
        let channel = |nonce| Channel {
            nonce,
            domain: "hospital.example",
            transport: Transport::Quic,
            exporter: Some(&exporter),
        };
        let request = TokenRequest { key_id: [8; 32], blinded: vec![[9; 32], [10; 32]] };
        let redeem = RedeemVoucher::sign(&key(2), &channel(&nonce), voucher().sign(&key(1)), request);
        assert_eq!(redeem.verify(&voucher(), &channel(&nonce)), Ok(()));
        assert!(redeem.verify(&voucher(), &channel(&other_nonce)).is_err());
        assert!(redeem.verify(&Voucher { key: key(4).verifying_key(), ..voucher() }, &channel(&nonce)).is_err());
        let mut other = redeem.clone();
        other.request.blinded.swap(0, 1);
        assert!(other.verify(&voucher(), &channel(&nonce)).is_err());
        let mut other = redeem;
        other.voucher[0] ^= 1;
        assert!(other.verify(&voucher(), &channel(&nonce)).is_err());
    }

    #[test]
    fn a_voucher_is_good_for_two_days() {
        let day = 20_000 * DAY_MS;
        let good = |now| voucher().is_good_at(now);
        assert!(!good(day - CLOCKS_DIFFER_MS - 1) && good(day - CLOCKS_DIFFER_MS));
        assert!(good(day + 2 * DAY_MS - 1) && !good(day + 2 * DAY_MS));
    }
}
