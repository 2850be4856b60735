//! How a backup is sealed: a header in the clear, and chunks that open in this order, in this number, under this header
//! and no other. `spec/backup.md`.
//!
//! What is in a backup and where it comes from is the client's business; so is stretching the passphrase.

mod recovery_code;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Tag};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroize;

use crate::crypto::kdf::{hkdf, split};
use crate::crypto::secret::Secret;
use crate::label;
use crate::limits::BACKUP_HEADER_LENGTH_MAX;
use crate::wire::WireError;
use crate::wire::backup::{BACKUP_VERSION, BackupHeader};

pub use recovery_code::{RecoveryCode, RecoveryCodeError};

/// What every backup begins with.
pub const MAGIC: [u8; 16] = *b"Medipeps backup\n";
/// Bytes of plaintext in a chunk, the last one aside.
pub const CHUNK_LENGTH: usize = 64 << 10;
/// Bytes that sealing adds to a chunk.
pub const TAG_LENGTH: usize = 16;
/// Bytes before the header: the magic and the header's length.
pub const PREFIX_LENGTH: usize = MAGIC.len() + 2;
/// Bytes after the header: what is the same only under the right key and an unchanged header.
pub const COMMITMENT_LENGTH: usize = 32;

/// Why a backup does not open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackupError {
    /// It does not begin as a backup does.
    #[error("this is not a backup of Medipeps")]
    Foreign,
    /// Another version wrote it.
    #[error("the backup has format {0}; this program reads format {BACKUP_VERSION}")]
    Version(u32),
    /// The header cannot be read.
    #[error("the backup's header is damaged: {0}")]
    Header(WireError),
    /// The passphrase or code is another, or the header was changed. The two cannot be told apart.
    #[error("the passphrase or recovery code does not open this backup")]
    WrongSecret,
    /// A chunk was changed, moved, or belongs to another backup.
    #[error("the backup was altered")]
    Altered,
    /// It ends before its end.
    #[error("the backup is cut off")]
    Truncated,
    /// Something comes after its end.
    #[error("the backup has bytes after its end")]
    Extended,
    /// What was sealed is not what a backup has.
    #[error("the backup's contents cannot be read: {0}")]
    Contents(&'static str),
}

/// How long the header of a file is that begins with these bytes.
///
/// # Errors
/// [`BackupError::Foreign`]; [`BackupError::Header`] if it is longer than any header.
pub fn header_length(prefix: &[u8; PREFIX_LENGTH]) -> Result<usize, BackupError> {
    let (magic, length) = prefix.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(BackupError::Foreign);
    }
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > BACKUP_HEADER_LENGTH_MAX {
        return Err(BackupError::Header(WireError::Bounds("header")));
    }
    Ok(length)
}

/// Reads a header, before a passphrase is asked for.
///
/// # Errors
/// [`BackupError::Version`], [`BackupError::Header`]
pub fn read_header(header: &[u8]) -> Result<BackupHeader, BackupError> {
    match BackupHeader::version(header).map_err(BackupError::Header)? {
        BACKUP_VERSION => BackupHeader::decode(header).map_err(BackupError::Header),
        other => Err(BackupError::Version(other)),
    }
}

/// Seals the chunks of one backup.
pub struct Sealer(Chunks);

/// Opens the chunks of one backup.
pub struct Opener(Chunks);

struct Chunks {
    cipher: ChaCha20Poly1305,
    next: u64,
    /// The last chunk has passed.
    ended: bool,
}

impl Sealer {
    /// Begins a backup: what the file begins with, up to the first chunk. `stretched` is the passphrase or code under
    /// the header's lock; the header's salt must be of this file alone.
    ///
    /// # Errors
    /// [`BackupError::Header`] if the header is longer than any may be, which none that this version makes is.
    pub fn begin(header: &BackupHeader, stretched: &Secret<32>) -> Result<(Self, Vec<u8>), BackupError> {
        let header = header.encode();
        let length = u16::try_from(header.len()).unwrap_or(u16::MAX);
        if usize::from(length) > BACKUP_HEADER_LENGTH_MAX {
            return Err(BackupError::Header(WireError::Bounds("header")));
        }
        let mut begin = [MAGIC.as_slice(), &length.to_be_bytes(), &header].concat();
        let (chunks, commitment) = Chunks::new(&begin, stretched);
        begin.extend_from_slice(commitment.as_bytes());
        Ok((Self(chunks), begin))
    }

    /// Seals the next chunk where it is. All but the last have [`CHUNK_LENGTH`] bytes; the last has 1 or more.
    ///
    /// # Errors
    /// [`BackupError::Contents`] if it has another length, or came after the last.
    pub fn seal(&mut self, chunk: &mut Vec<u8>, last: bool) -> Result<(), BackupError> {
        let right = if last { (1..=CHUNK_LENGTH).contains(&chunk.len()) } else { chunk.len() == CHUNK_LENGTH };
        if !right || self.0.ended {
            return Err(BackupError::Contents("a chunk has another length"));
        }
        let nonce = self.0.nonce(last);
        let Ok(tag) = self.0.cipher.encrypt_inout_detached(&nonce.into(), b"", chunk.as_mut_slice().into()) else {
            unreachable!("only 256 GiB are too long for ChaCha20 (RFC 8439 section 2.8)");
        };
        chunk.extend_from_slice(&tag);
        Ok(())
    }
}

impl Opener {
    /// Begins to read: `begin` is the file up to the end of the header.
    ///
    /// # Errors
    /// [`BackupError::WrongSecret`]
    pub fn begin(
        begin: &[u8],
        commitment: &[u8; COMMITMENT_LENGTH],
        stretched: &Secret<32>,
    ) -> Result<Self, BackupError> {
        let (chunks, right) = Chunks::new(begin, stretched);
        match bool::from(right.as_bytes().ct_eq(commitment)) {
            true => Ok(Self(chunks)),
            false => Err(BackupError::WrongSecret),
        }
    }

    /// Opens the next chunk where it is, tag included. `at_end` says that the file ends after it: a file that was cut at
    /// a chunk, or goes on after the last, is found out here. After an error the chunk is empty.
    ///
    /// # Errors
    /// [`BackupError::Altered`], [`BackupError::Truncated`], [`BackupError::Extended`].
    pub fn open(&mut self, chunk: &mut Vec<u8>, at_end: bool) -> Result<(), BackupError> {
        let opened = self.try_open(chunk, at_end);
        if opened.is_err() {
            chunk.zeroize();
            self.0.ended = true;
        }
        opened
    }

    fn try_open(&mut self, chunk: &mut Vec<u8>, at_end: bool) -> Result<(), BackupError> {
        if self.0.ended {
            return Err(BackupError::Extended);
        }
        let length = chunk.len().checked_sub(TAG_LENGTH).filter(|length| (1..=CHUNK_LENGTH).contains(length));
        let length = length.ok_or(BackupError::Truncated)?;
        let tag = Tag::try_from(&chunk[length..]).map_err(|_| BackupError::Altered)?;
        // What is sealed is needed once more if it turns out to be the other kind of chunk.
        let sealed = if at_end || length < CHUNK_LENGTH { chunk[..length].to_vec() } else { Vec::new() };
        chunk.truncate(length);
        let nonce = self.0.nonce(at_end);
        if self.0.cipher.decrypt_inout_detached(&nonce.into(), b"", chunk.as_mut_slice().into(), &tag).is_ok() {
            return Ok(());
        }
        // To tell a cut file from an altered one.
        let mut other = sealed;
        let nonce = Chunks::nonce_of(self.0.next - 1, false);
        let cut = at_end
            && self.0.cipher.decrypt_inout_detached(&nonce.into(), b"", other.as_mut_slice().into(), &tag).is_ok();
        other.zeroize();
        Err(if cut { BackupError::Truncated } else { BackupError::Altered })
    }
}

impl Chunks {
    /// The keys of a backup. The header is the salt, so that no byte of it can be changed.
    fn new(begin: &[u8], stretched: &Secret<32>) -> (Self, Secret<32>) {
        let keys = hkdf::<64>(begin, &[stretched.as_bytes()], label::BACKUP_KEYS);
        let [payload, commitment] = split(&keys);
        let cipher = ChaCha20Poly1305::new(<&Key>::from(payload.as_bytes()));
        (Self { cipher, next: 0, ended: false }, commitment)
    }

    fn nonce(&mut self, last: bool) -> [u8; 12] {
        let nonce = Self::nonce_of(self.next, last);
        (self.next, self.ended) = (self.next + 1, last);
        nonce
    }

    /// STREAM: the chunk's number in 11 bytes, and 1 for the last.
    fn nonce_of(number: u64, last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(last);
        nonce
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealer(..)")
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Opener(..)")
    }
}

#[cfg(test)]
mod tests;
