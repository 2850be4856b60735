//! The keys of an open store, and what they do to one record, one name, one header.
//!
//! ```text
//! passphrase -Argon2id-> \
//!                          wrapping key -wraps-> master key -HKDF-> store key             account records
//! platform key ---------> /                                  |----> name key              names
//!                                                            |----> generation key        the generation's tag
//!                                                            '----> state wrapping key -wraps-> state key of the day
//!                                                                                               state records
//! ```
//!
//! Nothing here does I/O, so a backend whose medium is asynchronous can use it as well. `spec/storage-client.md`.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use medipeps_core::crypto::kdf::hkdf;
use medipeps_core::crypto::secret::Secret;
use medipeps_core::label;
use medipeps_core::wire::WireError;
use medipeps_core::wire::client_store::{CLIENT_STORE_VERSION, ClientStoreHeader, WRAPPED_KEY_LENGTH};
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::lock::{Unlock, associated_data};
use super::{Protection, RecordClass, RecordKey, SealedKey, SealedRecord, StoreError};
use crate::limits::{RECORD_LENGTH_MAX, RECORD_NAME_LENGTH_MAX};

/// Bytes of an XChaCha20-Poly1305 nonce. Drawn at random: 2^80 records would be needed for a collision to be likely.
const NONCE_LENGTH: usize = 24;
/// Bytes of the length before a record's name.
const NAME_PREFIX_LENGTH: usize = 2;

/// The keys of one open store.
#[derive(Debug)]
pub(super) struct Keyring {
    master: Secret<32>,
    store: Secret<32>,
    names: Secret<32>,
    generations: Secret<32>,
    state_wrapping: Secret<32>,
    state: Secret<32>,
    header: ClientStoreHeader,
}

impl Keyring {
    /// Draws the keys of a new store.
    ///
    /// # Errors
    /// [`StoreError::Memory`] if Argon2id cannot have its memory.
    pub(super) fn create(unlock: &Unlock<'_>, day: u64, rng: &mut impl CryptoRng) -> Result<Self, StoreError> {
        let master = Secret::random(rng);
        let lock = unlock.new_lock(rng);
        let wrapped = wrap(&unlock.wrapping_key(&lock)?, &associated_data(&lock), &master, rng);
        let header = ClientStoreHeader {
            lock,
            sealed_master_key: wrapped,
            state_key_day: day,
            sealed_state_key: [0; WRAPPED_KEY_LENGTH],
        };
        let mut keyring = Self::derive(master, header);
        keyring.redraw(day, rng);
        Ok(keyring)
    }

    /// Opens the keys in a header.
    ///
    /// # Errors
    /// [`StoreError::WrongPassphrase`] or [`StoreError::WrongPlatformKey`], [`StoreError::OtherLock`],
    /// [`StoreError::Format`], [`StoreError::Header`], [`StoreError::Memory`].
    pub(super) fn open(unlock: &Unlock<'_>, header: &[u8]) -> Result<Self, StoreError> {
        let header = decode_header(header)?;
        let wrapping_key = unlock.wrapping_key(&header.lock)?;
        let master = unwrap(&wrapping_key, &associated_data(&header.lock), &header.sealed_master_key)
            .ok_or_else(|| unlock.refusal())?;
        let mut keyring = Self::derive(master, header);
        keyring.unwrap_state_key()?;
        Ok(keyring)
    }

    /// Takes over a header that another handle wrote: a new state key, or a new lock.
    ///
    /// # Errors
    /// [`StoreError::Format`], [`StoreError::Header`]; the keys are then as they were.
    pub(super) fn follow(&mut self, header: &[u8]) -> Result<(), StoreError> {
        let before = std::mem::replace(&mut self.header, decode_header(header)?);
        self.unwrap_state_key().inspect_err(|_| self.header = before)
    }

    /// Wraps the master key under another lock.
    ///
    /// # Errors
    /// [`StoreError::Memory`]; the header is then as it was.
    pub(super) fn change_lock(&mut self, unlock: &Unlock<'_>, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        let lock = unlock.new_lock(rng);
        let wrapping_key = unlock.wrapping_key(&lock)?;
        self.header.sealed_master_key = wrap(&wrapping_key, &associated_data(&lock), &self.master, rng);
        self.header.lock = lock;
        Ok(())
    }

    /// Draws the state key of a day and returns the one before, under which alone state records sealed so far open.
    pub(super) fn redraw(&mut self, day: u64, rng: &mut impl CryptoRng) -> Secret<32> {
        let before = std::mem::replace(&mut self.state, Secret::random(rng));
        self.header.state_key_day = day;
        self.header.sealed_state_key = wrap(&self.state_wrapping, &day.to_be_bytes(), &self.state, rng);
        before
    }

    /// The header's bytes.
    pub(super) fn header(&self) -> Vec<u8> {
        self.header.encode()
    }

    /// The day on which the state key was drawn, since 1970-01-01, UTC.
    pub(super) const fn state_key_day(&self) -> u64 {
        self.header.state_key_day
    }

    /// Authenticates a generation, so that whoever rolls the file back cannot also raise the number.
    pub(super) fn generation_tag(&self, generation: u64) -> [u8; 32] {
        hmac_sha256(&self.generations, &[&generation.to_be_bytes()])
    }

    /// Verifies what [`Self::generation_tag`] made.
    ///
    /// # Errors
    /// [`StoreError::Generation`]
    pub(super) fn verify_generation(&self, generation: u64, tag: &[u8; 32]) -> Result<(), StoreError> {
        let right = bool::from(self.generation_tag(generation).ct_eq(tag));
        if right { Ok(()) } else { Err(StoreError::Generation) }
    }

    /// Under which name a machine keeps the highest generation of this store as this device: the same for every copy.
    pub(super) fn anchor_name(&self, device_id: u32) -> [u8; 32] {
        let key: Secret<32> = hkdf(&[], &[self.master.as_bytes()], label::STORE_ANCHOR_NAME);
        hmac_sha256(&key, &[&device_id.to_be_bytes()])
    }

    /// The key by which a store knows a record.
    pub(super) fn seal_key(&self, key: &RecordKey) -> SealedKey {
        self.seal_name(key.class, &key.name)
    }

    /// Seals one record under the key of its class and a fresh nonce.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]
    pub(super) fn seal_record(
        &self,
        key: &RecordKey,
        value: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<SealedRecord, StoreError> {
        let name_length = u16::try_from(key.name.len()).unwrap_or(u16::MAX);
        if usize::from(name_length) > RECORD_NAME_LENGTH_MAX || value.len() > RECORD_LENGTH_MAX {
            return Err(StoreError::TooLarge { class: key.class });
        }
        let mut plaintext = Zeroizing::new(Vec::with_capacity(NAME_PREFIX_LENGTH + key.name.len() + value.len()));
        plaintext.extend_from_slice(&name_length.to_be_bytes());
        plaintext.extend_from_slice(&key.name);
        plaintext.extend_from_slice(value);
        let sealed_key = self.seal_key(key);
        let associated_data = record_associated_data(&sealed_key);
        let sealed = seal(self.record_key(key.class.protection()), &associated_data, &plaintext, rng);
        Ok(SealedRecord { key: sealed_key, sealed })
    }

    /// Opens one record: its name and its value.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it was changed, or is another record than the one that it lies under.
    pub(super) fn open_record(&self, record: &SealedRecord) -> Result<(RecordKey, Zeroizing<Vec<u8>>), StoreError> {
        self.open_record_under(self.record_key(record.key.class.protection()), record)
    }

    /// Opens one record that was sealed under an earlier state key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub(super) fn open_record_under(
        &self,
        key: &Secret<32>,
        record: &SealedRecord,
    ) -> Result<(RecordKey, Zeroizing<Vec<u8>>), StoreError> {
        let class = record.key.class;
        let corrupt = StoreError::Corrupt { class };
        let opened = open(key, &record_associated_data(&record.key), &record.sealed);
        let Some((name, value)) = opened.as_ref().and_then(|plaintext| split_name(plaintext)) else {
            return Err(corrupt);
        };
        if self.seal_name(class, name) != record.key {
            return Err(corrupt);
        }
        Ok((RecordKey::new(class, name), Zeroizing::new(value.to_vec())))
    }

    fn derive(master: Secret<32>, header: ClientStoreHeader) -> Self {
        let key = |label| hkdf(&[], &[master.as_bytes()], label);
        Self {
            store: key(label::STORE_KEY),
            names: key(label::STORE_NAME_KEY),
            generations: key(label::STORE_GENERATION_KEY),
            state_wrapping: key(label::STORE_STATE_WRAPPING_KEY),
            state: Secret::zeroed(),
            master,
            header,
        }
    }

    fn unwrap_state_key(&mut self) -> Result<(), StoreError> {
        let day = self.header.state_key_day.to_be_bytes();
        self.state =
            unwrap(&self.state_wrapping, &day, &self.header.sealed_state_key).ok_or(StoreError::Header("state key"))?;
        Ok(())
    }

    fn seal_name(&self, class: RecordClass, name: &[u8]) -> SealedKey {
        SealedKey { class, name: hmac_sha256(&self.names, &[&[class.byte()], name]) }
    }

    const fn record_key(&self, protection: Protection) -> &Secret<32> {
        match protection {
            Protection::Account => &self.store,
            Protection::State => &self.state,
        }
    }
}

fn decode_header(bytes: &[u8]) -> Result<ClientStoreHeader, StoreError> {
    let damaged = |error| match error {
        WireError::Protobuf => StoreError::Header("not a header"),
        WireError::Missing(field) | WireError::Bounds(field) => StoreError::Header(field),
    };
    match ClientStoreHeader::version(bytes).map_err(damaged)? {
        CLIENT_STORE_VERSION => ClientStoreHeader::decode(bytes).map_err(damaged),
        found => Err(StoreError::Format { found, known: CLIENT_STORE_VERSION }),
    }
}

/// The class's byte and the sealed name.
fn record_associated_data(key: &SealedKey) -> Vec<u8> {
    let mut bytes = vec![key.class.byte()];
    bytes.extend_from_slice(&key.name);
    bytes
}

/// Parts what [`Keyring::seal_record`] put together: the name and the value.
fn split_name(plaintext: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = plaintext.split_first_chunk::<NAME_PREFIX_LENGTH>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn wrap(
    wrapping_key: &Secret<32>,
    associated_data: &[u8],
    key: &Secret<32>,
    rng: &mut impl CryptoRng,
) -> [u8; WRAPPED_KEY_LENGTH] {
    let sealed = seal(wrapping_key, associated_data, key.as_bytes(), rng);
    match sealed.try_into() {
        Ok(wrapped) => wrapped,
        Err(_) => unreachable!("nonce, 32 bytes and tag are WRAPPED_KEY_LENGTH"),
    }
}

fn unwrap(wrapping_key: &Secret<32>, associated_data: &[u8], wrapped: &[u8; WRAPPED_KEY_LENGTH]) -> Option<Secret<32>> {
    Secret::from_slice(&open(wrapping_key, associated_data, wrapped)?)
}

/// XChaCha20-Poly1305: a fresh nonce, then the ciphertext with its tag.
fn seal(key: &Secret<32>, associated_data: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut nonce = [0; NONCE_LENGTH];
    rng.fill_bytes(&mut nonce);
    let payload = Payload { msg: plaintext, aad: associated_data };
    let Ok(ciphertext) = cipher(key).encrypt(&XNonce::from(nonce), payload) else {
        unreachable!("only 256 GiB are too long for ChaCha20 (RFC 8439 section 2.8)");
    };
    [nonce.as_slice(), &ciphertext].concat()
}

fn open(key: &Secret<32>, associated_data: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
    let payload = Payload { msg: ciphertext, aad: associated_data };
    cipher(key).decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

fn cipher(key: &Secret<32>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(<&Key>::from(key.as_bytes()))
}

fn hmac_sha256(key: &Secret<32>, parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key.as_bytes()) else {
        unreachable!("HMAC takes a key of any length");
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod vectors;
