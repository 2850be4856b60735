//! `spec/proto/session.proto`: the sparse post-quantum ratchet at rest.

use zeroize::Zeroize;

use super::session::{bytes, secret};
use super::{WireError, fixed, proto};
use crate::braid::encapsulating::{
    Ct1Acknowledged, Ct1Sampled, Ct2Sampled, EkReceivedCt1Sampled, HeaderReceived, NoHeaderReceived,
};
use crate::braid::generating::{
    Ct1Received, EkSentCt1Received, HEADER_PIECE_LENGTH, HeaderSent, KeysSampled, KeysUnsampled, SECOND_PIECE_LENGTH,
};
use crate::braid::{Authenticator, Braid, Epoch};
use crate::crypto::incremental_kem::{DecapsulationSeed, FIRST_PART_LENGTH, VECTOR_LENGTH};
use crate::erasure::{CHUNK_LENGTH, Decoder, Encoder};
use crate::limits::{SPQR_EPOCHS_KEPT, SPQR_SKIPPED_KEYS_MAX};
use crate::spqr::{Chain, EpochChains, SkippedKey, SkippedKeys, Spqr};
use proto::braid_state::{self as state, State};

pub(super) fn encode(spqr: &Spqr) -> proto::SpqrState {
    proto::SpqrState {
        root_key: bytes(&spqr.root_key),
        initiator: spqr.initiator,
        epochs: spqr.epochs.iter().map(encode_epoch).collect(),
        skipped: spqr
            .skipped
            .iter()
            .map(|key| proto::SpqrSkippedKey {
                epoch: key.epoch,
                number: key.number,
                message_key: bytes(&key.message_key),
            })
            .collect(),
        braid: Some(encode_braid(&spqr.braid)),
    }
}

pub(super) fn decode(message: &proto::SpqrState) -> Result<Spqr, WireError> {
    if message.skipped.len() > SPQR_SKIPPED_KEYS_MAX {
        return Err(WireError::Bounds("spqr.skipped"));
    }
    let skipped = message.skipped.iter().map(|key| {
        let message_key = secret(&key.message_key, "spqr.skipped.message_key")?;
        Ok(SkippedKey { epoch: key.epoch, number: key.number, message_key })
    });
    let spqr = Spqr {
        root_key: secret(&message.root_key, "spqr.root_key")?,
        initiator: message.initiator,
        epochs: message.epochs.iter().map(decode_epoch).collect::<Result<_, _>>()?,
        skipped: SkippedKeys::from_oldest_first(skipped.collect::<Result<_, WireError>>()?),
        braid: decode_braid(message.braid.as_ref().ok_or(WireError::Missing("braid"))?)?,
    };
    let gapless = spqr.epochs.windows(2).all(|pair| pair[0].epoch.checked_add(1) == Some(pair[1].epoch));
    let few = (1..=SPQR_EPOCHS_KEPT as usize + 1).contains(&spqr.epochs.len());
    // The newest epoch is the one that is being agreed on once this side has its key, and the one before it until then.
    let current = spqr.braid.epoch().number.checked_sub(u64::from(!spqr.braid.has_key()));
    let sends = spqr.epochs.iter().any(|one| one.epoch == spqr.braid.sending_epoch() && one.sending.is_some());
    if !gapless || !few || current != Some(spqr.newest_epoch()) || !sends {
        return Err(WireError::Bounds("spqr.epochs"));
    }
    Ok(spqr)
}

fn encode_epoch(chains: &EpochChains) -> proto::EpochChains {
    proto::EpochChains {
        epoch: chains.epoch,
        sending: chains.sending.as_ref().map(encode_chain),
        receiving: Some(encode_chain(&chains.receiving)),
    }
}

fn decode_epoch(message: &proto::EpochChains) -> Result<EpochChains, WireError> {
    Ok(EpochChains {
        epoch: message.epoch,
        sending: message.sending.as_ref().map(decode_chain).transpose()?,
        receiving: decode_chain(message.receiving.as_ref().ok_or(WireError::Missing("receiving"))?)?,
    })
}

fn encode_chain(chain: &Chain) -> proto::SpqrChain {
    proto::SpqrChain { chain_key: bytes(&chain.chain_key), number: chain.number }
}

fn decode_chain(message: &proto::SpqrChain) -> Result<Chain, WireError> {
    Ok(Chain { chain_key: secret(&message.chain_key, "spqr.chain_key")?, number: message.number })
}

fn encode_braid(braid: &Braid) -> proto::BraidState {
    let epoch = braid.epoch();
    let state = match braid {
        Braid::KeysUnsampled(_) => State::KeysUnsampled(state::KeysUnsampled {}),
        Braid::KeysSampled(KeysSampled { seed, header, .. }) => {
            State::KeysSampled(state::KeysSampled { seed: bytes(seed.secret()), header: Some(sent(header)) })
        }
        Braid::HeaderSent(HeaderSent { seed, vector, first_part, .. }) => State::HeaderSent(state::HeaderSent {
            seed: bytes(seed.secret()),
            vector: Some(sent(vector)),
            first_part: Some(received(first_part)),
        }),
        Braid::Ct1Received(Ct1Received { seed, vector, first_part, .. }) => State::Ct1Received(state::Ct1Received {
            seed: bytes(seed.secret()),
            vector: Some(sent(vector)),
            first_part: first_part.to_vec(),
        }),
        Braid::EkSentCt1Received(EkSentCt1Received { seed, first_part, second_piece, .. }) => {
            State::EkSentCt1Received(state::EkSentCt1Received {
                seed: bytes(seed.secret()),
                first_part: first_part.to_vec(),
                second_piece: Some(received(second_piece)),
            })
        }
        Braid::NoHeaderReceived(NoHeaderReceived { header, .. }) => {
            State::NoHeaderReceived(state::NoHeaderReceived { header: Some(received(header)) })
        }
        Braid::HeaderReceived(HeaderReceived { header, .. }) => {
            State::HeaderReceived(state::HeaderReceived { header: header.to_vec() })
        }
        Braid::Ct1Sampled(Ct1Sampled { header, randomness, first_part, vector, .. }) => {
            State::Ct1Sampled(state::Ct1Sampled {
                header: header.to_vec(),
                randomness: bytes(randomness),
                first_part: Some(sent(first_part)),
                vector: Some(received(vector)),
            })
        }
        Braid::EkReceivedCt1Sampled(EkReceivedCt1Sampled { first_part, second_piece, .. }) => {
            State::EkReceivedCt1Sampled(state::EkReceivedCt1Sampled {
                first_part: Some(sent(first_part)),
                second_piece: Some(sent(second_piece)),
            })
        }
        Braid::Ct1Acknowledged(Ct1Acknowledged { header, randomness, first_part, vector, .. }) => {
            State::Ct1Acknowledged(state::Ct1Acknowledged {
                header: header.to_vec(),
                randomness: bytes(randomness),
                first_part: Some(sent(first_part)),
                vector: Some(received(vector)),
            })
        }
        Braid::Ct2Sampled(Ct2Sampled { second_piece, .. }) => {
            State::Ct2Sampled(state::Ct2Sampled { second_piece: Some(sent(second_piece)) })
        }
    };
    proto::BraidState {
        epoch: epoch.number,
        authenticator_root: bytes(&epoch.authenticator.root),
        authenticator_mac_key: bytes(&epoch.authenticator.mac),
        state: Some(state),
    }
}

fn decode_braid(message: &proto::BraidState) -> Result<Braid, WireError> {
    let epoch = Epoch {
        number: message.epoch,
        authenticator: Authenticator {
            root: secret(&message.authenticator_root, "authenticator_root")?,
            mac: secret(&message.authenticator_mac_key, "authenticator_mac_key")?,
        },
    };
    Ok(match message.state.as_ref().ok_or(WireError::Missing("braid.state"))? {
        State::KeysUnsampled(_) => KeysUnsampled { epoch }.into(),
        State::KeysSampled(of) => {
            KeysSampled { epoch, seed: seed(&of.seed)?, header: encoder(of.header.as_ref(), HEADER_PIECE_LENGTH)? }
                .into()
        }
        State::HeaderSent(of) => HeaderSent {
            epoch,
            seed: seed(&of.seed)?,
            vector: encoder(of.vector.as_ref(), VECTOR_LENGTH)?,
            first_part: decoder(of.first_part.as_ref(), FIRST_PART_LENGTH)?,
        }
        .into(),
        State::Ct1Received(of) => Ct1Received {
            epoch,
            seed: seed(&of.seed)?,
            vector: encoder(of.vector.as_ref(), VECTOR_LENGTH)?,
            first_part: Box::new(fixed(&of.first_part, "first_part")?),
        }
        .into(),
        State::EkSentCt1Received(of) => EkSentCt1Received {
            epoch,
            seed: seed(&of.seed)?,
            first_part: Box::new(fixed(&of.first_part, "first_part")?),
            second_piece: decoder(of.second_piece.as_ref(), SECOND_PIECE_LENGTH)?,
        }
        .into(),
        State::NoHeaderReceived(of) => {
            NoHeaderReceived { epoch, header: decoder(of.header.as_ref(), HEADER_PIECE_LENGTH)? }.into()
        }
        State::HeaderReceived(of) => HeaderReceived { epoch, header: fixed(&of.header, "header")? }.into(),
        State::Ct1Sampled(of) => Ct1Sampled {
            epoch,
            header: fixed(&of.header, "header")?,
            randomness: secret(&of.randomness, "randomness")?,
            first_part: encoder(of.first_part.as_ref(), FIRST_PART_LENGTH)?,
            vector: decoder(of.vector.as_ref(), VECTOR_LENGTH)?,
        }
        .into(),
        State::EkReceivedCt1Sampled(of) => EkReceivedCt1Sampled {
            epoch,
            first_part: encoder(of.first_part.as_ref(), FIRST_PART_LENGTH)?,
            second_piece: encoder(of.second_piece.as_ref(), SECOND_PIECE_LENGTH)?,
        }
        .into(),
        State::Ct1Acknowledged(of) => Ct1Acknowledged {
            epoch,
            header: fixed(&of.header, "header")?,
            randomness: secret(&of.randomness, "randomness")?,
            first_part: encoder(of.first_part.as_ref(), FIRST_PART_LENGTH)?,
            vector: decoder(of.vector.as_ref(), VECTOR_LENGTH)?,
        }
        .into(),
        State::Ct2Sampled(of) => {
            Ct2Sampled { epoch, second_piece: encoder(of.second_piece.as_ref(), SECOND_PIECE_LENGTH)? }.into()
        }
    })
}

fn seed(bytes: &[u8]) -> Result<DecapsulationSeed, WireError> {
    Ok(DecapsulationSeed::from_secret(secret(bytes, "seed")?))
}

fn sent(encoder: &Encoder) -> state::SentPiece {
    state::SentPiece { piece: encoder.piece().to_vec(), next: encoder.next() }
}

fn encoder(message: Option<&state::SentPiece>, length: usize) -> Result<Encoder, WireError> {
    let message = message.ok_or(WireError::Missing("piece"))?;
    if message.piece.len() != length || message.next > 1 << 16 {
        return Err(WireError::Bounds("piece"));
    }
    Ok(Encoder::resume(&message.piece, message.next))
}

fn received(decoder: &Decoder) -> state::ReceivedPiece {
    let (indexes, chunks): (Vec<u16>, Vec<_>) = decoder.chunks().iter().copied().unzip();
    let indexes = indexes.iter().flat_map(|index| index.to_be_bytes()).collect();
    state::ReceivedPiece { indexes, chunks: chunks.as_flattened().to_vec() }
}

fn decoder(message: Option<&state::ReceivedPiece>, length: usize) -> Result<Decoder, WireError> {
    let message = message.ok_or(WireError::Missing("chunks"))?;
    let mut decoder = Decoder::new(length);
    let indexes = message.indexes.chunks_exact(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    for (index, chunk) in indexes.zip(message.chunks.chunks_exact(CHUNK_LENGTH)) {
        decoder.add(index, &[fixed(chunk, "chunks")?]);
    }
    // Nothing came twice, nothing is left over, and the piece is not complete: or the state would be another one.
    let count = decoder.chunks().len();
    if message.indexes.len() != count * 2 || message.chunks.len() != count * CHUNK_LENGTH || decoder.piece().is_some() {
        return Err(WireError::Bounds("chunks"));
    }
    Ok(decoder)
}

/// prost's copies of the secrets.
pub(super) fn wipe(message: &mut proto::SpqrState) {
    message.root_key.zeroize();
    for chains in &mut message.epochs {
        for chain in [&mut chains.sending, &mut chains.receiving].into_iter().flatten() {
            chain.chain_key.zeroize();
        }
    }
    for key in &mut message.skipped {
        key.message_key.zeroize();
    }
    let Some(braid) = &mut message.braid else { return };
    braid.authenticator_root.zeroize();
    braid.authenticator_mac_key.zeroize();
    if let Some(
        State::KeysSampled(state::KeysSampled { seed: secret, .. })
        | State::HeaderSent(state::HeaderSent { seed: secret, .. })
        | State::Ct1Received(state::Ct1Received { seed: secret, .. })
        | State::EkSentCt1Received(state::EkSentCt1Received { seed: secret, .. })
        | State::Ct1Sampled(state::Ct1Sampled { randomness: secret, .. })
        | State::Ct1Acknowledged(state::Ct1Acknowledged { randomness: secret, .. }),
    ) = &mut braid.state
    {
        secret.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::crypto::secret::Secret;
    use crate::test_rng::rng;

    #[test]
    fn all_eleven_states_come_back_as_they_were_stored() {
        let mut names = BTreeSet::new();
        for by_initiator in [1, 2, 40] {
            let key = Secret::from([1; 32]);
            let mut sides = [Braid::initiator(&key), Braid::responder(&key)];
            let mut rng = rng(1);
            for message in 0..400 {
                let sender = usize::from(message % (by_initiator + 1) >= by_initiator);
                let (braid, sent, _) = sides[sender].clone().send(1, &mut rng);
                sides[sender] = braid;
                sides[1 - sender] = sides[1 - sender].clone().receive(&sent).unwrap().0;
                for side in &sides {
                    assert_eq!(decode_braid(&encode_braid(side)).as_ref(), Ok(side));
                    names.insert(format!("{side:?}").split('(').next().unwrap().to_owned());
                }
            }
        }
        assert_eq!(names.len(), 11, "{names:?}");
    }

    #[test]
    fn a_state_that_no_side_gets_into_is_refused() {
        let keys = crate::spqr::SpqrInitialKeys {
            chain_seed: Secret::from([1; 32]),
            authentication_key: Secret::from([2; 32]),
        };
        let good = encode(&Spqr::responder(&keys));
        assert!(decode(&good).is_ok());
        let refused = |change: fn(&mut proto::SpqrState)| {
            let mut message = good.clone();
            change(&mut message);
            assert!(decode(&message).is_err());
        };
        refused(|message| message.epochs.clear());
        refused(|message| message.epochs[0].epoch = 5);
        refused(|message| message.epochs[0].sending = None);
        refused(|message| message.epochs.push(message.epochs[0].clone()));
        refused(|message| message.braid = None);
        refused(|message| message.braid.as_mut().unwrap().state = None);
        refused(|message| message.braid.as_mut().unwrap().epoch = 0);
        // A piece that is complete belongs to the next state.
        let complete = state::ReceivedPiece { indexes: vec![0, 0, 0, 1, 0, 2], chunks: vec![0; 96] };
        for (indexes, chunks) in [(6, 96), (4, 96), (4, 33), (3, 64)] {
            let header = state::ReceivedPiece {
                indexes: complete.indexes[..indexes].to_vec(),
                chunks: complete.chunks[..chunks].to_vec(),
            };
            assert!(decoder(Some(&header), HEADER_PIECE_LENGTH).is_err());
        }
        let twice = state::ReceivedPiece { indexes: vec![0, 1, 0, 1], chunks: vec![0; 64] };
        assert!(decoder(Some(&twice), HEADER_PIECE_LENGTH).is_err());
        let beyond = state::SentPiece { piece: vec![0; 96], next: 65_537 };
        assert!(encoder(Some(&beyond), HEADER_PIECE_LENGTH).is_err());
    }
}
