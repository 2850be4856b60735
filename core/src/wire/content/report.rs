//! The message `Report` of `spec/proto/content.proto`.

use prost::Message;

use super::group::{decode_position, encode_position};
use crate::franking::FrankingTag;
use crate::kind::Report;
use crate::wire::{WireError, fixed, proto};

pub(super) fn encode(report: &Report) -> Vec<u8> {
    proto::Report {
        log_id: report.log_id.to_vec(),
        position: Some(encode_position(report.position)),
        epoch: report.epoch,
        content: report.content.clone(),
        tag: report.tag.encode().to_vec(),
        sender_certificate: report.sender_certificate.clone(),
        reason: report.reason.clone(),
    }
    .encode_to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Report, WireError> {
    let message = proto::Report::decode(bytes)?;
    Ok(Report {
        log_id: fixed(&message.log_id, "log_id")?,
        position: decode_position(message.position)?,
        epoch: message.epoch,
        content: message.content,
        tag: FrankingTag::decode(&message.tag).map_err(|_| WireError::Bounds("tag"))?,
        sender_certificate: message.sender_certificate,
        reason: message.reason,
    })
}
