//! How an MLS message lies in the log: padded, and sealed under the epoch's outer key. The server sees a size and nothing
//! else, and who was removed opens the commit that removed him and nothing after it.

use mls_rs::mls_rs_codec::byte_vec;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::LogId;
use super::error::GroupError;
use super::keys::EpochKeys;
use crate::attachment::padme;
use crate::crypto::aead::{TAG_LENGTH, WIDE_NONCE_LENGTH, open_wide, seal_wide};
use crate::label;
use crate::limits::{ENVELOPE_SIZES, GROUP_ENTRY_LENGTH_MAX, GROUP_MESSAGE_LENGTH_MAX};

/// Bytes of the length before the message.
const LENGTH_LENGTH: usize = 4;
/// Bytes that wrapping adds at least.
pub const ENTRY_OVERHEAD: usize = WIDE_NONCE_LENGTH + LENGTH_LENGTH + TAG_LENGTH;

/// Wraps an encoded MLSMessage.
///
/// # Errors
/// [`GroupError::TooLong`]
pub(super) fn wrap(
    keys: &EpochKeys,
    log_id: &LogId,
    message: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, GroupError> {
    if message.len() > GROUP_MESSAGE_LENGTH_MAX {
        return Err(GroupError::TooLong);
    }
    let mut nonce = [0; WIDE_NONCE_LENGTH];
    rng.fill_bytes(&mut nonce);
    let length = u32::try_from(message.len()).map_err(|_| GroupError::TooLong)?.to_be_bytes();
    let padded = entry_length(message.len()) - WIDE_NONCE_LENGTH - TAG_LENGTH;
    Ok(seal_wide(keys.outer_key(), &nonce, &associated_data(log_id, keys.epoch()), &[&length, message], padded))
}

/// Opens a wrapped entry.
///
/// # Errors
/// [`GroupError::TooLong`] and [`GroupError::Sealed`].
pub(super) fn unwrap(keys: &EpochKeys, log_id: &LogId, entry: &[u8]) -> Result<Zeroizing<Vec<u8>>, GroupError> {
    if entry.len() > GROUP_ENTRY_LENGTH_MAX {
        return Err(GroupError::TooLong);
    }
    let padded =
        open_wide(keys.outer_key(), &associated_data(log_id, keys.epoch()), entry).map_err(|_| GroupError::Sealed)?;
    let (length, rest) = padded.split_first_chunk::<LENGTH_LENGTH>().ok_or(GroupError::Sealed)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| GroupError::Sealed)?;
    // One way to write a message, so that nothing hides in the padding.
    if length > rest.len() || entry.len() != entry_length(length) || !is_zero(&rest[length..]) {
        return Err(GroupError::Sealed);
    }
    Ok(without_padding(padded, length))
}

/// Without a branch for each byte: three quarters of most entries are padding.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) == 0
}

/// The message alone. What is wiped of the buffer is what was not zero anyway.
fn without_padding(mut padded: Zeroizing<Vec<u8>>, length: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = std::mem::take(&mut *padded);
    let message = Zeroizing::new(padded[LENGTH_LENGTH..LENGTH_LENGTH + length].to_vec());
    padded[..LENGTH_LENGTH + length].zeroize();
    message
}

/// The authenticated data of an encoded PrivateMessage (RFC 9420 section 6.3), which the library tells only of messages that
/// it has processed.
pub(super) fn authenticated_data(message: &[u8]) -> Option<Vec<u8>> {
    const VERSION_AND_WIRE_FORMAT: usize = 4;
    const EPOCH_AND_CONTENT_TYPE: usize = 9;
    let mut rest = message.get(VERSION_AND_WIRE_FORMAT..)?;
    let _group_id: Vec<u8> = byte_vec::mls_decode(&mut rest).ok()?;
    rest = rest.get(EPOCH_AND_CONTENT_TYPE..)?;
    byte_vec::mls_decode(&mut rest).ok()
}

/// Bytes of the entry that holds a message of so many: an envelope's size if it fits one, Padmé's above.
fn entry_length(message: usize) -> usize {
    let bare = message + ENTRY_OVERHEAD;
    let bucket = ENVELOPE_SIZES.into_iter().find(|&size| bare <= size);
    bucket.unwrap_or_else(|| usize::try_from(padme(bare as u64)).unwrap_or(usize::MAX))
}

/// label, log id, epoch (8 bytes).
fn associated_data(log_id: &LogId, epoch: u64) -> Vec<u8> {
    [label::GROUP_ENTRY.prefix().as_slice(), log_id, &epoch.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;
    use crate::test_rng::rng;

    fn keys(epoch: u64) -> EpochKeys {
        EpochKeys::new(epoch, &Secret::from([1; 32]), Secret::from([2; 32]))
    }

    const LOG: LogId = [7; 32];

    #[test]
    fn an_entry_opens_in_its_own_log_and_epoch_only() {
        let entry = wrap(&keys(5), &LOG, b"message", &mut rng(1)).unwrap();
        assert_eq!(unwrap(&keys(5), &LOG, &entry).unwrap().as_slice(), b"message");
        assert_eq!(unwrap(&keys(6), &LOG, &entry), Err(GroupError::Sealed));
        assert_eq!(unwrap(&keys(5), &[8; 32], &entry), Err(GroupError::Sealed));
        for at in [0, 24, 30, entry.len() - 1] {
            let mut altered = entry.clone();
            altered[at] ^= 1;
            assert_eq!(unwrap(&keys(5), &LOG, &altered), Err(GroupError::Sealed), "{at}");
        }
    }

    #[test]
    fn entries_have_the_sizes_of_envelopes_and_padme_above() {
        let length = |message| wrap(&keys(0), &LOG, &vec![1; message], &mut rng(1)).unwrap().len();
        assert_eq!(length(0), 4096);
        assert_eq!(length(4096 - ENTRY_OVERHEAD), 4096);
        assert_eq!(length(4096 - ENTRY_OVERHEAD + 1), 8192);
        assert_eq!(length(65536 - ENTRY_OVERHEAD), 65536);
        assert_eq!(length(65536 - ENTRY_OVERHEAD + 1), 67584);
        assert_eq!(length(GROUP_MESSAGE_LENGTH_MAX), (4 << 20) + (128 << 10));
        let long = vec![0; GROUP_MESSAGE_LENGTH_MAX + 1];
        assert_eq!(wrap(&keys(0), &LOG, &long, &mut rng(1)), Err(GroupError::TooLong));
        assert_eq!(unwrap(&keys(0), &LOG, &vec![0; GROUP_ENTRY_LENGTH_MAX + 1]), Err(GroupError::TooLong));
    }

    #[test]
    fn padding_that_is_not_what_it_should_be_is_refused() {
        let sealed = |parts: &[&[u8]], padded: usize| {
            seal_wide(keys(0).outer_key(), &[3; 24], &associated_data(&LOG, 0), parts, padded)
        };
        let padded = 4096 - WIDE_NONCE_LENGTH - TAG_LENGTH;
        assert!(unwrap(&keys(0), &LOG, &sealed(&[&3_u32.to_be_bytes(), b"abc"], padded)).is_ok());
        for (parts, padded) in [
            (&[&2_u32.to_be_bytes()[..], b"abc"][..], padded),
            (&[&3_u32.to_be_bytes()[..], b"abc"], padded + 1),
            (&[&3_u32.to_be_bytes()[..], b"abc"], 8192 - WIDE_NONCE_LENGTH - TAG_LENGTH),
            (&[&u32::MAX.to_be_bytes()[..], b"abc"], padded),
            (&[b"ab"], 2),
        ] {
            assert_eq!(unwrap(&keys(0), &LOG, &sealed(parts, padded)), Err(GroupError::Sealed));
        }
    }
}
