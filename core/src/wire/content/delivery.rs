//! What `spec/proto/content.proto` has about delivery keys; also records of the client's.

use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use zeroize::{Zeroize, Zeroizing};

use super::address;
use crate::kind::{GivenDeliveryKey, SyncedDelivery};
use crate::wire::{WireError, fixed, proto};

/// `Content.delivery_key`.
const TAG: u32 = 20;

/// What is read of a content where only its delivery key is looked for.
#[derive(Clone, PartialEq, Message)]
struct Beside {
    #[prost(message, optional, tag = "20")]
    delivery_key: Option<proto::GivenDeliveryKey>,
}

pub(crate) fn encode_given_delivery_key(given: &GivenDeliveryKey) -> Zeroizing<Vec<u8>> {
    let mut beside = Beside { delivery_key: Some(given_delivery_key(given)) };
    let bytes = Zeroizing::new(beside.encode_to_vec());
    if let Some(given) = &mut beside.delivery_key {
        given.key.zeroize();
    }
    bytes
}

pub(crate) fn decode_given_delivery_key(content: &[u8]) -> Result<Option<GivenDeliveryKey>, WireError> {
    Beside::decode(content)?.delivery_key.map(given_delivery_key_of).transpose()
}

pub(crate) fn without_given_delivery_key(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, WireError> {
    let mut kept = Zeroizing::new(Vec::with_capacity(content.len()));
    let mut rest = content;
    while !rest.is_empty() {
        let field = rest;
        let (tag, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, tag, &mut rest, DecodeContext::default())?;
        if tag != TAG {
            kept.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    Ok(kept)
}

pub(crate) fn given_delivery_key(given: &GivenDeliveryKey) -> proto::GivenDeliveryKey {
    proto::GivenDeliveryKey { key: given.key.as_bytes().to_vec(), made_at: given.made_at }
}

pub(crate) fn given_delivery_key_of(mut given: proto::GivenDeliveryKey) -> Result<GivenDeliveryKey, WireError> {
    let key = fixed::<16>(&given.key, "delivery_key.key");
    given.key.zeroize();
    Ok(GivenDeliveryKey { key: key?.into(), made_at: given.made_at })
}

pub(crate) fn synced_delivery(entry: &SyncedDelivery) -> proto::SyncedDelivery {
    proto::SyncedDelivery {
        address: entry.address.to_string(),
        key: entry.key.as_ref().map(given_delivery_key),
        accepted_at: entry.accepted_at,
    }
}

pub(crate) fn synced_delivery_of(entry: proto::SyncedDelivery) -> Result<SyncedDelivery, WireError> {
    Ok(SyncedDelivery {
        address: address(&entry.address, "deliveries.address")?,
        key: entry.key.map(given_delivery_key_of).transpose()?,
        accepted_at: entry.accepted_at,
    })
}
