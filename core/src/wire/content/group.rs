//! What `spec/proto/content.proto` has about groups.

use prost::Message;
use zeroize::Zeroize;

use super::{address, decode_blob_reference, encode_blob_reference};
use crate::kind::{AttachmentPlace, GroupInvitation, GroupRejoinAnswer, GroupRejoinRequest, LogPosition};
use crate::wire::proto::inline_or_blob::Place;
use crate::wire::{WireError, fixed, proto};

pub(super) fn encode_invitation(invitation: &GroupInvitation) -> Vec<u8> {
    proto::GroupInvitation {
        log_id: invitation.log_id.to_vec(),
        domain: invitation.domain.clone(),
        epoch: invitation.epoch,
        position: Some(encode_position(invitation.position)),
        name: invitation.name.clone(),
        invitation: Some(encode_place(&invitation.invitation)),
        inviter: invitation.inviter.to_string(),
    }
    .encode_to_vec()
}

pub(super) fn decode_invitation(bytes: &[u8]) -> Result<GroupInvitation, WireError> {
    let message = proto::GroupInvitation::decode(bytes)?;
    Ok(GroupInvitation {
        log_id: fixed(&message.log_id, "log_id")?,
        domain: message.domain,
        epoch: message.epoch,
        position: decode_position(message.position)?,
        name: message.name,
        invitation: decode_place(message.invitation, "invitation")?,
        inviter: address(&message.inviter, "inviter")?,
    })
}

pub(super) fn encode_rejoin_request(request: &GroupRejoinRequest) -> Vec<u8> {
    // Epoch 0 of a group is known to its creator alone, who has nobody to ask.
    proto::GroupRejoinRequest { log_id: request.log_id.to_vec(), epoch: request.epoch.unwrap_or(0) }.encode_to_vec()
}

pub(super) fn decode_rejoin_request(bytes: &[u8]) -> Result<GroupRejoinRequest, WireError> {
    let message = proto::GroupRejoinRequest::decode(bytes)?;
    let epoch = Some(message.epoch).filter(|&epoch| epoch != 0);
    Ok(GroupRejoinRequest { log_id: fixed(&message.log_id, "log_id")?, epoch })
}

pub(super) fn encode_rejoin_answer(answer: &GroupRejoinAnswer) -> Vec<u8> {
    let mut message = proto::GroupRejoinAnswer {
        log_id: answer.log_id.to_vec(),
        epoch: answer.epoch,
        position: Some(encode_position(answer.position)),
        help: Some(encode_place(&answer.help)),
    };
    let bytes = message.encode_to_vec();
    if let Some(proto::InlineOrBlob { place: Some(Place::Inline(help)) }) = &mut message.help {
        help.zeroize();
    }
    bytes
}

pub(super) fn decode_rejoin_answer(bytes: &[u8]) -> Result<GroupRejoinAnswer, WireError> {
    let message = proto::GroupRejoinAnswer::decode(bytes)?;
    Ok(GroupRejoinAnswer {
        log_id: fixed(&message.log_id, "log_id")?,
        epoch: message.epoch,
        position: decode_position(message.position)?,
        help: decode_place(message.help, "help")?,
    })
}

pub(super) fn encode_position(position: LogPosition) -> proto::LogPosition {
    proto::LogPosition { incarnation: position.incarnation.to_vec(), sequence: position.sequence }
}

pub(super) fn decode_position(position: Option<proto::LogPosition>) -> Result<LogPosition, WireError> {
    let position = position.ok_or(WireError::Missing("position"))?;
    Ok(LogPosition { incarnation: fixed(&position.incarnation, "position.incarnation")?, sequence: position.sequence })
}

fn encode_place(place: &AttachmentPlace) -> proto::InlineOrBlob {
    let place = match place {
        AttachmentPlace::Inline(bytes) => Place::Inline(bytes.clone()),
        AttachmentPlace::Blob(blob) => Place::Blob(encode_blob_reference(blob)),
    };
    proto::InlineOrBlob { place: Some(place) }
}

fn decode_place(place: Option<proto::InlineOrBlob>, field: &'static str) -> Result<AttachmentPlace, WireError> {
    match place.and_then(|place| place.place).ok_or(WireError::Missing(field))? {
        Place::Inline(bytes) => Ok(AttachmentPlace::Inline(bytes)),
        Place::Blob(blob) => Ok(AttachmentPlace::Blob(decode_blob_reference(blob)?)),
    }
}
