//! What members and administrators tell each other.

use prost::Message;

use super::address;
use crate::kind::{OrganisationDraft, OrganisationMessage, OrganisationSigning};
use crate::limits::ADMINISTRATORS_MAX;
use crate::organisation::OrganisationId;
use crate::wire::identity::verifying_key;
use crate::wire::proto::organisation_signing::Draft;
use crate::wire::{WireError, fixed, proto};

/// A message before it is cut into pieces.
pub(crate) fn encode_message(message: &OrganisationMessage) -> Vec<u8> {
    let (version, hash) = message.newest.map(|(version, hash)| (version, hash.to_vec())).unwrap_or_default();
    proto::OrganisationMessage {
        organisation: message.organisation.0.to_vec(),
        statements: message.statements.clone(),
        certificate: message.certificate.clone().unwrap_or_default(),
        version,
        hash,
        send_statements: message.send_statements,
        ask: message.ask,
        signing: message.signing.as_ref().map(encode_signing),
    }
    .encode_to_vec()
}

pub(crate) fn decode_message(bytes: &[u8]) -> Result<OrganisationMessage, WireError> {
    let message = proto::OrganisationMessage::decode(bytes)?;
    Ok(OrganisationMessage {
        organisation: OrganisationId(fixed(&message.organisation, "organisation")?),
        statements: message.statements,
        certificate: Some(message.certificate).filter(|bytes| !bytes.is_empty()),
        newest: match message.version {
            0 => None,
            version => Some((version, fixed(&message.hash, "hash")?)),
        },
        send_statements: message.send_statements,
        ask: message.ask,
        signing: message.signing.map(decode_signing).transpose()?,
    })
}

fn encode_signing(signing: &OrganisationSigning) -> proto::OrganisationSigning {
    proto::OrganisationSigning {
        draft: Some(match &signing.draft {
            OrganisationDraft::Statement(bytes) => Draft::Statement(bytes.clone()),
            OrganisationDraft::Certificate(bytes) => Draft::Certificate(bytes.clone()),
        }),
        administrators: signing
            .administrators
            .iter()
            .map(|(key, address)| proto::OrganisationAdministrator {
                key: key.as_bytes().to_vec(),
                address: address.to_string(),
            })
            .collect(),
    }
}

fn decode_signing(signing: proto::OrganisationSigning) -> Result<OrganisationSigning, WireError> {
    if signing.administrators.len() > ADMINISTRATORS_MAX {
        return Err(WireError::Bounds("administrators"));
    }
    let administrator = |one: &proto::OrganisationAdministrator| {
        Ok((verifying_key(&one.key, "administrators.key")?, address(&one.address, "administrators.address")?))
    };
    Ok(OrganisationSigning {
        draft: match signing.draft.ok_or(WireError::Missing("signing.draft"))? {
            Draft::Statement(bytes) => OrganisationDraft::Statement(bytes),
            Draft::Certificate(bytes) => OrganisationDraft::Certificate(bytes),
        },
        administrators: signing.administrators.iter().map(administrator).collect::<Result<_, WireError>>()?,
    })
}
