//! What `spec/proto/organisation.proto` has of contents.

use prost::Message;

use super::address;
use crate::kind::{BreakGlassEvent, BreakGlassSays, BreakGlassUse, OrganisationPiece};
use crate::limits::BREAK_GLASS_PEOPLE_MAX;
use crate::organisation::OrganisationId;
use crate::wire::proto::break_glass_event::Says;
use crate::wire::{WireError, fixed, proto};

pub(super) fn encode_piece(piece: &OrganisationPiece) -> Vec<u8> {
    proto::OrganisationPiece {
        digest: piece.digest.to_vec(),
        length: piece.length,
        index: piece.index,
        bytes: piece.bytes.clone(),
    }
    .encode_to_vec()
}

pub(super) fn decode_piece(bytes: Vec<u8>) -> Result<OrganisationPiece, WireError> {
    let message = proto::OrganisationPiece::decode(bytes.as_slice())?;
    Ok(OrganisationPiece {
        digest: fixed(&message.digest, "digest")?,
        length: message.length,
        index: message.index,
        bytes: message.bytes,
    })
}

pub(super) fn encode_break_glass(event: &BreakGlassEvent) -> Vec<u8> {
    let says = match &event.says {
        BreakGlassSays::Requested { reason, subject } => {
            Says::Requested(proto::BreakGlassRequest { reason: reason.clone(), subject: subject.clone() })
        }
        BreakGlassSays::Agreed => Says::Agreed(proto::BreakGlassAgreement {}),
        BreakGlassSays::Used(usage) => Says::Used(proto::BreakGlassUse {
            from: usage.from,
            until: usage.until,
            requester: usage.requester.to_string(),
            agreed: usage.agreed.iter().map(ToString::to_string).collect(),
            reason: usage.reason.clone(),
            subject: usage.subject.clone(),
        }),
        BreakGlassSays::Ended => Says::Ended(proto::BreakGlassEnd {}),
    };
    proto::BreakGlassEvent {
        organisation: event.organisation.0.to_vec(),
        request: event.request.to_vec(),
        says: Some(says),
    }
    .encode_to_vec()
}

/// `None` if it says what a later version says.
pub(super) fn decode_break_glass(bytes: &[u8]) -> Result<Option<BreakGlassEvent>, WireError> {
    let message = proto::BreakGlassEvent::decode(bytes)?;
    let says = match message.says {
        None => return Ok(None),
        Some(Says::Requested(request)) => {
            BreakGlassSays::Requested { reason: request.reason, subject: request.subject }
        }
        Some(Says::Agreed(_)) => BreakGlassSays::Agreed,
        Some(Says::Used(usage)) => {
            if usage.agreed.len() > BREAK_GLASS_PEOPLE_MAX {
                return Err(WireError::Bounds("agreed"));
            }
            let agreed = usage.agreed.iter().map(|one| address(one, "agreed"));
            BreakGlassSays::Used(BreakGlassUse {
                from: usage.from,
                until: usage.until,
                requester: address(&usage.requester, "requester")?,
                agreed: agreed.collect::<Result<_, _>>()?,
                reason: usage.reason,
                subject: usage.subject,
            })
        }
        Some(Says::Ended(_)) => BreakGlassSays::Ended,
    };
    let organisation = OrganisationId(fixed(&message.organisation, "organisation")?);
    Ok(Some(BreakGlassEvent { organisation, request: fixed(&message.request, "request")?, says }))
}
