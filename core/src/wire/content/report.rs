//! The messages `Report` and `FrankingProof` of `spec/proto/content.proto`.

use prost::Message;

use super::group::{decode_position, encode_position};
use crate::franking::FrankingProof;
use crate::kind::Report;
use crate::wire::{WireError, fixed, proto};

pub(super) fn encode(report: &Report) -> Vec<u8> {
    proto::Report {
        log_id: report.log_id.to_vec(),
        position: Some(encode_position(report.position)),
        content: report.content.clone(),
        sender_certificate: report.sender_certificate.clone(),
        reason: report.reason.clone(),
        proof: Some(encode_proof(&report.proof)),
    }
    .encode_to_vec()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Report, WireError> {
    let message = proto::Report::decode(bytes)?;
    Ok(Report {
        log_id: fixed(&message.log_id, "log_id")?,
        position: decode_position(message.position)?,
        content: message.content,
        proof: decode_proof(message.proof.ok_or(WireError::Missing("proof"))?)?,
        sender_certificate: message.sender_certificate,
        reason: message.reason,
    })
}

/// Also in records of the client's.
pub(in crate::wire) fn encode_proof(proof: &FrankingProof) -> proto::FrankingProof {
    proto::FrankingProof {
        group_context: proof.group_context.clone(),
        leaf: proof.leaf,
        signature: proof.signature.to_vec(),
    }
}

pub(in crate::wire) fn decode_proof(proof: proto::FrankingProof) -> Result<FrankingProof, WireError> {
    Ok(FrankingProof {
        group_context: proof.group_context,
        leaf: proof.leaf,
        signature: fixed(&proof.signature, "proof.signature")?,
    })
}
