//! How a session begins, on either side.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{Pending, Session};
use crate::crypto::dh::DhSecretKey;
use crate::crypto::kem;
use crate::double_ratchet::DoubleRatchet;
use crate::handshake::{HandshakeError, HandshakeParts, InitialMessage};
use crate::identity::{DeviceSecretKeys, Statement};
use crate::pqxdh::{Agreements, End, associated_data};
use crate::prekey::PrekeyBundle;
use crate::spqr::Spqr;

/// The device that this client is.
#[derive(Debug, Clone, Copy)]
pub struct LocalDevice<'a> {
    /// The account's newest statement, which lists the device.
    pub statement: &'a Statement,
    /// The device's number.
    pub device_id: u32,
    /// Its private keys.
    pub keys: &'a DeviceSecretKeys,
}

/// The private halves of the prekeys that a first flight names.
#[derive(Debug, Clone, Copy)]
pub struct ResponderPrekeys<'a> {
    /// Named by `signed_prekey_id`.
    pub signed_prekey: &'a DhSecretKey,
    /// Named by `one_time_prekey_id`, `None` if that is absent.
    pub one_time_prekey: Option<&'a DhSecretKey>,
    /// Named by `kem_prekey_id`.
    pub kem_prekey: &'a kem::DecapsulationKey,
}

impl LocalDevice<'_> {
    fn end(&self) -> Result<End<'_>, HandshakeError> {
        end(self.statement, self.device_id)
    }
}

impl Session {
    /// Opens a session to one device of `peer`, with a bundle that was verified under that device's key. Nothing has
    /// been sent: the first [`Session::encrypt`] makes the first flight.
    ///
    /// # Errors
    /// [`HandshakeError::UnknownDevice`] and [`HandshakeError::PublicKey`].
    pub fn initiate(
        own: &LocalDevice<'_>,
        peer: &Statement,
        bundle: &PrekeyBundle,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, HandshakeError> {
        let (initiator, responder) = (own.end()?, end(peer, bundle.device_id)?);
        let ephemeral = DhSecretKey::random(rng);
        let agreements = Agreements::initiator(
            &own.keys.dh_key,
            &ephemeral,
            &responder.device.keys().dh_key,
            &bundle.signed_prekey.key,
            bundle.one_time_prekey.as_ref().map(|prekey| &prekey.key),
        )
        .map_err(|_| HandshakeError::PublicKey)?;
        let (kem_ciphertext, kem_secret) = bundle.kem_prekey.key.encapsulate(rng);
        let keys = agreements.session_keys(&kem_secret);
        let ratchet = DoubleRatchet::initiator(keys.double_ratchet, bundle.signed_prekey.key, rng)
            .map_err(|_| HandshakeError::PublicKey)?;
        let handshake = HandshakeParts {
            ephemeral_key: ephemeral.public_key(),
            kem_ciphertext,
            signed_prekey_id: bundle.signed_prekey.id,
            one_time_prekey_id: bundle.one_time_prekey.as_ref().map(|prekey| prekey.id),
            kem_prekey_id: bundle.kem_prekey.id,
        };
        Ok(Self {
            id: handshake.session_id(),
            associated_data: associated_data(initiator, responder, &bundle.kem_prekey.key),
            ratchet,
            spqr: Spqr::initiator(&keys.spqr),
            pending: Some(Pending { handshake, seal_prekey: bundle.seal_prekey.key.clone() }),
        })
    }

    /// Answers a first flight: the session, and the first message's content. The caller then deletes the one-time
    /// prekeys that were named, in the transaction that stores the session.
    ///
    /// # Errors
    /// [`HandshakeError`]; prekeys must not be deleted then.
    pub fn respond(
        own: &LocalDevice<'_>,
        initial: &InitialMessage,
        prekeys: &ResponderPrekeys<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), HandshakeError> {
        let (initiator, responder) = (end(initial.sender(), initial.sender_device_id())?, own.end()?);
        let handshake = initial.handshake();
        let agreements = Agreements::responder(
            &own.keys.dh_key,
            prekeys.signed_prekey,
            prekeys.one_time_prekey,
            &initiator.device.keys().dh_key,
            &handshake.ephemeral_key,
        )
        .map_err(|_| HandshakeError::PublicKey)?;
        let (kem_secret, kem_prekey) = prekeys.kem_prekey.decapsulate_with_key(&handshake.kem_ciphertext);
        let keys = agreements.session_keys(&kem_secret);
        let mut session = Self {
            id: initial.session_id(),
            associated_data: associated_data(initiator, responder, &kem_prekey),
            ratchet: DoubleRatchet::responder(keys.double_ratchet, prekeys.signed_prekey.clone()),
            spqr: Spqr::responder(&keys.spqr),
            pending: None,
        };
        let content = session.decrypt_initial(initial, rng).map_err(HandshakeError::Message)?;
        Ok((session, content))
    }
}

fn end(statement: &Statement, device_id: u32) -> Result<End<'_>, HandshakeError> {
    let device = statement.device(device_id).ok_or(HandshakeError::UnknownDevice(device_id))?;
    Ok(End { statement, device })
}
