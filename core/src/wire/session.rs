//! `spec/proto/session.proto`: a session at rest.

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

use super::{WireError, fixed, proto, spqr};
use crate::crypto::dh::{DhPublicKey, DhSecretKey};
use crate::crypto::secret::Secret;
use crate::crypto::{kem, x_wing};
use crate::double_ratchet::{Chain, DoubleRatchet, SkippedKey, SkippedKeys};
use crate::envelope::VERSION;
use crate::handshake::HandshakeParts;
use crate::limits::SKIPPED_KEYS_MAX;
use crate::session::{Pending, SessionId};
use crate::spqr::Spqr;

pub(crate) fn encode(
    id: SessionId,
    associated_data: &[u8; 32],
    ratchet: &DoubleRatchet,
    spqr: &Spqr,
    pending: Option<&Pending>,
) -> Zeroizing<Vec<u8>> {
    let mut message = proto::SessionState {
        version: u32::from(VERSION),
        session_id: id.0.to_vec(),
        associated_data_hash: associated_data.to_vec(),
        ratchet: Some(encode_ratchet(ratchet)),
        pending: pending.map(encode_pending),
        spqr: Some(spqr::encode(spqr)),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
    if message.encode(&mut *bytes).is_err() {
        unreachable!("a vector has room for the length that was computed");
    }
    if let Some(ratchet) = message.ratchet.as_mut() {
        wipe(ratchet);
    }
    if let Some(spqr) = message.spqr.as_mut() {
        spqr::wipe(spqr);
    }
    bytes
}

pub(crate) type State = (SessionId, [u8; 32], DoubleRatchet, Spqr, Option<Pending>);

pub(crate) fn decode(bytes: &[u8]) -> Result<State, WireError> {
    let message = proto::SessionState::decode(bytes)?;
    if message.version != u32::from(VERSION) {
        return Err(WireError::Bounds("version"));
    }
    let mut ratchet = message.ratchet.ok_or(WireError::Missing("ratchet"))?;
    let decoded = decode_ratchet(&ratchet);
    wipe(&mut ratchet);
    let mut second = message.spqr.ok_or(WireError::Missing("spqr"))?;
    let decoded_second = spqr::decode(&second);
    spqr::wipe(&mut second);
    Ok((
        SessionId(fixed(&message.session_id, "session_id")?),
        fixed(&message.associated_data_hash, "associated_data_hash")?,
        decoded?,
        decoded_second?,
        message.pending.as_ref().map(decode_pending).transpose()?,
    ))
}

fn encode_ratchet(ratchet: &DoubleRatchet) -> proto::RatchetState {
    proto::RatchetState {
        dh_secret: bytes(&ratchet.dh_secret.to_secret()),
        dh_public: ratchet.dh_public.as_bytes().to_vec(),
        dh_remote: ratchet.dh_remote.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
        root_key: bytes(&ratchet.root_key),
        sending: ratchet.sending.as_ref().map(encode_chain),
        receiving: ratchet.receiving.as_ref().map(encode_chain),
        previous_length: ratchet.previous_length,
        next_header_key_sending: bytes(&ratchet.next_header_key_sending),
        next_header_key_receiving: bytes(&ratchet.next_header_key_receiving),
        skipped: ratchet
            .skipped
            .iter()
            .map(|key| proto::SkippedKey {
                header_key: bytes(&key.header_key),
                number: key.number,
                message_key: bytes(&key.message_key),
            })
            .collect(),
    }
}

fn decode_ratchet(message: &proto::RatchetState) -> Result<DoubleRatchet, WireError> {
    if message.skipped.len() > SKIPPED_KEYS_MAX {
        return Err(WireError::Bounds("skipped"));
    }
    let dh_remote = match message.dh_remote.as_slice() {
        [] => None,
        key => Some(DhPublicKey::from_slice(key).map_err(|_| WireError::Bounds("dh_remote"))?),
    };
    let skipped = message
        .skipped
        .iter()
        .map(|key| {
            Ok(SkippedKey {
                header_key: secret(&key.header_key, "skipped.header_key")?,
                number: key.number,
                message_key: secret(&key.message_key, "skipped.message_key")?,
            })
        })
        .collect::<Result<_, WireError>>()?;
    Ok(DoubleRatchet {
        dh_secret: DhSecretKey::from_secret(&secret(&message.dh_secret, "dh_secret")?),
        dh_public: DhPublicKey::from_slice(&message.dh_public).map_err(|_| WireError::Bounds("dh_public"))?,
        dh_remote,
        root_key: secret(&message.root_key, "root_key")?,
        sending: message.sending.as_ref().map(decode_chain).transpose()?,
        receiving: message.receiving.as_ref().map(decode_chain).transpose()?,
        previous_length: message.previous_length,
        next_header_key_sending: secret(&message.next_header_key_sending, "next_header_key_sending")?,
        next_header_key_receiving: secret(&message.next_header_key_receiving, "next_header_key_receiving")?,
        skipped: SkippedKeys::from_oldest_first(skipped),
    })
}

fn encode_chain(chain: &Chain) -> proto::ChainState {
    proto::ChainState { header_key: bytes(&chain.header_key), chain_key: bytes(&chain.chain_key), next: chain.next }
}

fn decode_chain(message: &proto::ChainState) -> Result<Chain, WireError> {
    let mut chain = Chain::new(secret(&message.header_key, "header_key")?, secret(&message.chain_key, "chain_key")?);
    chain.next = message.next;
    Ok(chain)
}

fn encode_pending(pending: &Pending) -> proto::PendingHandshake {
    let handshake = &pending.handshake;
    proto::PendingHandshake {
        ephemeral_key: handshake.ephemeral_key.as_bytes().to_vec(),
        kem_ciphertext: handshake.kem_ciphertext.as_bytes().to_vec(),
        signed_prekey_id: handshake.signed_prekey_id,
        one_time_prekey_id: handshake.one_time_prekey_id,
        kem_prekey_id: handshake.kem_prekey_id,
        seal_prekey: pending.seal_prekey.to_bytes(),
    }
}

fn decode_pending(message: &proto::PendingHandshake) -> Result<Pending, WireError> {
    Ok(Pending {
        handshake: HandshakeParts {
            ephemeral_key: DhPublicKey::from_slice(&message.ephemeral_key)
                .map_err(|_| WireError::Bounds("ephemeral_key"))?,
            kem_ciphertext: kem::Ciphertext::from_slice(&message.kem_ciphertext)
                .map_err(|_| WireError::Bounds("kem_ciphertext"))?,
            signed_prekey_id: message.signed_prekey_id,
            one_time_prekey_id: message.one_time_prekey_id,
            kem_prekey_id: message.kem_prekey_id,
        },
        seal_prekey: x_wing::EncapsulationKey::from_slice(&message.seal_prekey)
            .map_err(|_| WireError::Bounds("seal_prekey"))?,
    })
}

pub(super) fn bytes<const N: usize>(secret: &Secret<N>) -> Vec<u8> {
    secret.as_bytes().to_vec()
}

pub(super) fn secret<const N: usize>(bytes: &[u8], field: &'static str) -> Result<Secret<N>, WireError> {
    Secret::from_slice(bytes).ok_or(WireError::Bounds(field))
}

/// prost's copies of the secrets.
fn wipe(ratchet: &mut proto::RatchetState) {
    for secret in [
        &mut ratchet.dh_secret,
        &mut ratchet.root_key,
        &mut ratchet.next_header_key_sending,
        &mut ratchet.next_header_key_receiving,
    ] {
        secret.zeroize();
    }
    for chain in [&mut ratchet.sending, &mut ratchet.receiving].into_iter().flatten() {
        chain.header_key.zeroize();
        chain.chain_key.zeroize();
    }
    for key in &mut ratchet.skipped {
        key.header_key.zeroize();
        key.message_key.zeroize();
    }
}
