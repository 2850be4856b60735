//! `spec/proto/content.proto`.

mod case;
mod chat;
mod delivery;
mod group;
mod mailbox;
mod organisation;
mod report;
mod settings;

use prost::Message;
use zeroize::{Zeroize, Zeroizing};

pub(in crate::wire) use case::{decode_team, encode_team};
pub(crate) use delivery::{
    decode_given_delivery_key, encode_given_delivery_key, given_delivery_key, given_delivery_key_of, synced_delivery,
    synced_delivery_of, without_given_delivery_key,
};
pub(in crate::wire) use report::{decode_proof, encode_proof};
pub(crate) use settings::{blocked_account, blocked_account_of, muted_conversation, muted_conversation_of};

use super::{WireError, fixed, proto};
use crate::Address;
use crate::attachment::{BlobReference, BlobReferenceError};
use crate::crypto::secret::Secret;
use crate::kind::{
    Attachment, AttachmentPlace, Body, Content, DeviceName, DeviceSync, DisplayedMark, Mail, MailRecipient, MessageId,
    PatientReference, Progress, Receipt, ReceiptEvent, ReceiptsWanted, Received, RecipientRole, SentState,
    SyncedContact, SyncedServer, Urgency, sanitise_html,
};
use crate::limits::RECEIVED_IDS_MAX;

const DELIVERED: u32 = 1;
const DISPLAYED: u32 = 2;
const PROCESSED: u32 = 4;

pub(crate) fn encode(content: &Content) -> Zeroizing<Vec<u8>> {
    let (kind, body) = encode_body(&content.body);
    let wanted = content.receipts_wanted;
    let optional = |id: Option<MessageId>| id.map(|id| id.0.to_vec()).unwrap_or_default();
    let mut message = proto::Content {
        id: content.id.0.to_vec(),
        kind,
        thread: content.thread.0.to_vec(),
        in_reply_to: optional(content.in_reply_to),
        replaces: optional(content.replaces),
        created: content.created,
        expires: content.expires.unwrap_or(0),
        urgency: match content.urgency {
            Urgency::Routine => proto::Urgency::Routine,
            Urgency::Urgent => proto::Urgency::Urgent,
            Urgency::Vital => proto::Urgency::Vital,
        }
        .into(),
        sender_name: content.sender_name.clone(),
        sender_role: content.sender_role.clone(),
        on_behalf_of: content.on_behalf_of.as_ref().map(ToString::to_string).unwrap_or_default(),
        patient: content.patient.as_ref().map(|patient| proto::PatientReference {
            identifier: patient.identifier.clone(),
            assigning_authority: patient.assigning_authority.clone(),
        }),
        receipts_wanted: (u32::from(wanted.delivered) * DELIVERED)
            | (u32::from(wanted.displayed) * DISPLAYED)
            | (u32::from(wanted.processed) * PROCESSED),
        fallback_text: content.fallback_text.clone(),
        attachments: content
            .attachments
            .iter()
            .map(|attachment| proto::Attachment {
                name: attachment.name.clone(),
                media_type: attachment.media_type.clone(),
                place: Some(match &attachment.place {
                    AttachmentPlace::Inline(data) => proto::attachment::Place::Inline(data.clone()),
                    AttachmentPlace::Blob(blob) => proto::attachment::Place::Blob(encode_blob_reference(blob)),
                }),
            })
            .collect(),
        body,
        sender_statement_version: content.sender_statement_version,
        body_blob: content.body_blob.as_ref().map(encode_blob_reference),
        // It goes beside a content that is sent to one account, not into it.
        delivery_key: None,
    };
    let bytes = Zeroizing::new(message.encode_to_vec());
    message.body.zeroize();
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Content, WireError> {
    let message = proto::Content::decode(bytes)?;
    let optional = |bytes: &[u8], field| -> Result<Option<MessageId>, WireError> {
        if bytes.is_empty() { Ok(None) } else { Ok(Some(MessageId(fixed(bytes, field)?))) }
    };
    Ok(Content {
        id: MessageId(fixed(&message.id, "id")?),
        thread: MessageId(fixed(&message.thread, "thread")?),
        in_reply_to: optional(&message.in_reply_to, "in_reply_to")?,
        replaces: optional(&message.replaces, "replaces")?,
        created: message.created,
        expires: Some(message.expires).filter(|&time| time != 0),
        // A later version may know more degrees; to this one they are as pressing as the highest that it knows.
        urgency: match proto::Urgency::try_from(message.urgency) {
            Ok(proto::Urgency::Routine) => Urgency::Routine,
            Ok(proto::Urgency::Urgent) => Urgency::Urgent,
            Ok(proto::Urgency::Vital) | Err(_) => Urgency::Vital,
        },
        body: decode_body(message.kind, message.body)?,
        sender_name: message.sender_name,
        sender_role: message.sender_role,
        on_behalf_of: match message.on_behalf_of.as_str() {
            "" => None,
            text => Some(address(text, "on_behalf_of")?),
        },
        patient: message.patient.map(|patient| PatientReference {
            identifier: patient.identifier,
            assigning_authority: patient.assigning_authority,
        }),
        receipts_wanted: ReceiptsWanted {
            delivered: message.receipts_wanted & DELIVERED != 0,
            displayed: message.receipts_wanted & DISPLAYED != 0,
            processed: message.receipts_wanted & PROCESSED != 0,
        },
        fallback_text: message.fallback_text,
        attachments: message
            .attachments
            .into_iter()
            .map(|attachment| {
                Ok(Attachment {
                    name: attachment.name,
                    media_type: attachment.media_type,
                    place: match attachment.place.ok_or(WireError::Missing("attachments.place"))? {
                        proto::attachment::Place::Inline(data) => AttachmentPlace::Inline(data),
                        proto::attachment::Place::Blob(blob) => AttachmentPlace::Blob(decode_blob_reference(blob)?),
                    },
                })
            })
            .collect::<Result<_, WireError>>()?,
        body_blob: message.body_blob.map(decode_blob_reference).transpose()?,
        sender_statement_version: message.sender_statement_version,
    })
}

/// Also a record of the client's.
pub(super) fn encode_blob_reference(blob: &BlobReference) -> proto::BlobReference {
    proto::BlobReference {
        domain: blob.domain.clone(),
        id: blob.id.to_vec(),
        key: blob.key.secret().as_bytes().to_vec(),
        length: blob.length,
        root: blob.root.to_vec(),
        expires: blob.expires,
    }
}

pub(super) fn decode_blob_reference(blob: proto::BlobReference) -> Result<BlobReference, WireError> {
    let key = Secret::from_slice(&Zeroizing::new(blob.key)).ok_or(WireError::Bounds("key"))?;
    let reference = BlobReference {
        domain: blob.domain,
        id: fixed(&blob.id, "id")?,
        key: key.into(),
        length: blob.length,
        root: fixed(&blob.root, "root")?,
        expires: blob.expires,
    };
    match reference.validate() {
        Ok(()) => Ok(reference),
        Err(BlobReferenceError::Domain) => Err(WireError::Bounds("domain")),
        Err(BlobReferenceError::Length(_)) => Err(WireError::Bounds("length")),
    }
}

/// The encoded body alone, as it goes into a blob.
pub(crate) fn body_bytes(body: &Body) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(encode_body(body).1)
}

/// A body out of a blob.
pub(crate) fn body_of_kind(kind: u32, bytes: &[u8]) -> Result<Body, WireError> {
    decode_body(kind, bytes.to_vec())
}

/// The number of a body's kind.
pub(crate) fn kind_number(body: &Body) -> u32 {
    match body {
        Body::Mail(_) => proto::Kind::Mail as u32,
        Body::Receipt(_) => proto::Kind::Receipt as u32,
        Body::Received(_) => proto::Kind::Received as u32,
        Body::Empty => proto::Kind::Empty as u32,
        Body::DeviceSync(_) => proto::Kind::DeviceSync as u32,
        Body::Chat(_) => proto::Kind::Chat as u32,
        Body::GroupInvitation(_) => proto::Kind::GroupInvitation as u32,
        Body::GroupRejoinRequest(_) => proto::Kind::GroupRejoinRequest as u32,
        Body::GroupRejoinAnswer(_) => proto::Kind::GroupRejoinAnswer as u32,
        Body::Case(_) => proto::Kind::Case as u32,
        Body::Report(_) => proto::Kind::Report as u32,
        Body::MailboxEvent(_) => proto::Kind::MailboxEvent as u32,
        Body::Organisation(_) => proto::Kind::Organisation as u32,
        Body::BreakGlass(_) => proto::Kind::BreakGlass as u32,
        Body::MailboxArrival(_) => proto::Kind::MailboxArrival as u32,
        Body::MailboxAnswer(_) => proto::Kind::MailboxAnswer as u32,
        Body::Unknown { kind, .. } => *kind,
    }
}

fn encode_body(body: &Body) -> (u32, Vec<u8>) {
    let bytes = match body {
        Body::Mail(mail) => encode_mail(mail),
        Body::Receipt(receipt) => encode_receipt(*receipt),
        Body::Received(received) => encode_received(received),
        Body::Empty => Vec::new(),
        Body::DeviceSync(sync) => device_sync(sync).encode_to_vec(),
        Body::Chat(chat) => chat::encode(chat),
        Body::GroupInvitation(invitation) => group::encode_invitation(invitation),
        Body::GroupRejoinRequest(request) => group::encode_rejoin_request(request),
        Body::GroupRejoinAnswer(answer) => group::encode_rejoin_answer(answer),
        Body::Case(case) => case::encode(case),
        Body::Report(report) => report::encode(report),
        Body::MailboxEvent(event) => case::encode_mailbox_event(event),
        Body::Organisation(piece) => organisation::encode_piece(piece),
        Body::BreakGlass(event) => organisation::encode_break_glass(event),
        Body::MailboxArrival(arrival) => mailbox::encode_arrival(arrival),
        Body::MailboxAnswer(answer) => mailbox::encode_answer(answer),
        Body::Unknown { body, .. } => body.clone(),
    };
    (kind_number(body), bytes)
}

fn decode_body(kind: u32, body: Vec<u8>) -> Result<Body, WireError> {
    match i32::try_from(kind).map(proto::Kind::try_from) {
        Ok(Ok(proto::Kind::Mail)) => Ok(Body::Mail(decode_mail(&body)?)),
        Ok(Ok(proto::Kind::Receipt)) => Ok(Body::Receipt(decode_receipt(&body)?)),
        Ok(Ok(proto::Kind::Received)) => Ok(Body::Received(decode_received(&body)?)),
        Ok(Ok(proto::Kind::Empty)) if body.is_empty() => Ok(Body::Empty),
        Ok(Ok(proto::Kind::Empty)) => Err(WireError::Bounds("body")),
        Ok(Ok(proto::Kind::DeviceSync)) => Ok(Body::DeviceSync(decode_device_sync(&body)?)),
        Ok(Ok(proto::Kind::Chat)) => Ok(chat::decode(&body)?.map_or(Body::Unknown { kind, body }, Body::Chat)),
        Ok(Ok(proto::Kind::GroupInvitation)) => Ok(Body::GroupInvitation(group::decode_invitation(&body)?)),
        Ok(Ok(proto::Kind::GroupRejoinRequest)) => Ok(Body::GroupRejoinRequest(group::decode_rejoin_request(&body)?)),
        Ok(Ok(proto::Kind::GroupRejoinAnswer)) => {
            Ok(Body::GroupRejoinAnswer(group::decode_rejoin_answer(&Zeroizing::new(body))?))
        }
        Ok(Ok(proto::Kind::Case)) => Ok(case::decode(&body)?.map_or(Body::Unknown { kind, body }, Body::Case)),
        Ok(Ok(proto::Kind::MailboxEvent)) => Ok(Body::MailboxEvent(case::decode_mailbox_event(&body)?)),
        Ok(Ok(proto::Kind::MailboxArrival)) => Ok(Body::MailboxArrival(mailbox::decode_arrival(&body)?)),
        Ok(Ok(proto::Kind::MailboxAnswer)) => Ok(Body::MailboxAnswer(mailbox::decode_answer(&body)?)),
        Ok(Ok(proto::Kind::Report)) => Ok(Body::Report(report::decode(&body)?)),
        Ok(Ok(proto::Kind::Organisation)) => Ok(Body::Organisation(organisation::decode_piece(body)?)),
        Ok(Ok(proto::Kind::BreakGlass)) => {
            Ok(organisation::decode_break_glass(&body)?.map_or(Body::Unknown { kind, body }, Body::BreakGlass))
        }
        Ok(Ok(proto::Kind::Unspecified)) => Err(WireError::Missing("kind")),
        Ok(Err(_)) | Err(_) => Ok(Body::Unknown { kind, body }),
    }
}

fn encode_mail(mail: &Mail) -> Vec<u8> {
    proto::Mail {
        subject: mail.subject.clone(),
        text: mail.text.clone(),
        html: mail.html.as_deref().map(sanitise_html).unwrap_or_default(),
        recipients: mail
            .recipients
            .iter()
            .map(|recipient| proto::MailRecipient {
                address: recipient.address.to_string(),
                role: match recipient.role {
                    RecipientRole::To => proto::RecipientRole::To,
                    RecipientRole::Cc => proto::RecipientRole::Cc,
                }
                .into(),
            })
            .collect(),
    }
    .encode_to_vec()
}

fn decode_mail(bytes: &[u8]) -> Result<Mail, WireError> {
    let message = proto::Mail::decode(bytes)?;
    Ok(Mail {
        subject: message.subject,
        text: message.text,
        html: Some(sanitise_html(&message.html)).filter(|html| !html.is_empty()),
        recipients: message
            .recipients
            .into_iter()
            .map(|recipient| {
                Ok(MailRecipient {
                    address: address(&recipient.address, "recipients.address")?,
                    role: match proto::RecipientRole::try_from(recipient.role) {
                        Ok(proto::RecipientRole::To) => RecipientRole::To,
                        Ok(proto::RecipientRole::Cc) | Err(_) => RecipientRole::Cc,
                    },
                })
            })
            .collect::<Result<_, WireError>>()?,
    })
}

fn encode_receipt(receipt: Receipt) -> Vec<u8> {
    proto::Receipt {
        message_id: receipt.message_id.0.to_vec(),
        event: match receipt.event {
            ReceiptEvent::Delivered => proto::ReceiptEvent::Delivered,
            ReceiptEvent::Displayed => proto::ReceiptEvent::Displayed,
            ReceiptEvent::Processed => proto::ReceiptEvent::Processed,
            ReceiptEvent::Unsupported => proto::ReceiptEvent::Unsupported,
        }
        .into(),
        at: receipt.at,
    }
    .encode_to_vec()
}

fn decode_receipt(bytes: &[u8]) -> Result<Receipt, WireError> {
    let message = proto::Receipt::decode(bytes)?;
    Ok(Receipt {
        message_id: MessageId(fixed(&message.message_id, "message_id")?),
        event: match proto::ReceiptEvent::try_from(message.event) {
            Ok(proto::ReceiptEvent::Delivered) => ReceiptEvent::Delivered,
            Ok(proto::ReceiptEvent::Displayed) => ReceiptEvent::Displayed,
            Ok(proto::ReceiptEvent::Processed) => ReceiptEvent::Processed,
            Ok(proto::ReceiptEvent::Unsupported) => ReceiptEvent::Unsupported,
            Ok(proto::ReceiptEvent::Unspecified) | Err(_) => return Err(WireError::Bounds("event")),
        },
        at: message.at,
    })
}

fn encode_received(received: &Received) -> Vec<u8> {
    let message_ids = received.message_ids.iter().flat_map(|id| id.0).collect();
    proto::Received { message_ids, unreadable: received.unreadable }.encode_to_vec()
}

fn decode_received(bytes: &[u8]) -> Result<Received, WireError> {
    let message = proto::Received::decode(bytes)?;
    let (ids, rest) = message.message_ids.as_chunks::<16>();
    if !rest.is_empty() || ids.len() > RECEIVED_IDS_MAX {
        return Err(WireError::Bounds("message_ids"));
    }
    Ok(Received { message_ids: ids.iter().map(|id| MessageId(*id)).collect(), unreadable: message.unreadable })
}

/// Bytes of an encoded batch for one's own devices.
pub(crate) fn sync_length(sync: &DeviceSync) -> usize {
    device_sync(sync).encoded_len()
}

/// A batch as a record of the client's.
pub(crate) fn device_sync(sync: &DeviceSync) -> proto::DeviceSync {
    proto::DeviceSync {
        displayed: sync
            .displayed
            .iter()
            .map(|mark| proto::DisplayedMark {
                sender: mark.sender.to_string(),
                account_key: mark.account_key.map(|key| key.to_vec()).unwrap_or_default(),
                content_id: mark.content_id.0.to_vec(),
                at: mark.at,
            })
            .collect(),
        contacts: sync
            .contacts
            .iter()
            .map(|contact| proto::SyncedContact {
                address: contact.address.to_string(),
                statement: contact.statement.clone(),
                added: contact.added,
                verified_key: contact.verified.map(|(key, _)| key.to_vec()).unwrap_or_default(),
                verified_at: contact.verified.map_or(0, |(_, at)| at),
                server: contact.server.as_ref().map(|server| server.endpoint.clone()).unwrap_or_default(),
                server_key_hash: contact
                    .server
                    .as_ref()
                    .and_then(|server| server.key_hash)
                    .map(|hash| hash.to_vec())
                    .unwrap_or_default(),
            })
            .collect(),
        states: sync
            .states
            .iter()
            .map(|state| proto::SentState {
                content_id: state.content_id.0.to_vec(),
                recipient: state.recipient.to_string(),
                progress: match state.progress {
                    Progress::Accepted => proto::Progress::Accepted,
                    Progress::Delivered => proto::Progress::Delivered,
                    Progress::Displayed => proto::Progress::Displayed,
                    Progress::Failed => proto::Progress::Failed,
                }
                .into(),
                code: state.code.clone(),
                at: state.at,
            })
            .collect(),
        names: sync
            .names
            .iter()
            .map(|device| proto::DeviceName { device_id: device.device_id, name: device.name.clone(), at: device.at })
            .collect(),
        blocked: sync.blocked.iter().map(blocked_account).collect(),
        muted: sync.muted.iter().map(muted_conversation).collect(),
        deliveries: sync.deliveries.iter().map(synced_delivery).collect(),
    }
}

fn decode_device_sync(bytes: &[u8]) -> Result<DeviceSync, WireError> {
    device_sync_of(proto::DeviceSync::decode(bytes)?)
}

pub(crate) fn device_sync_of(message: proto::DeviceSync) -> Result<DeviceSync, WireError> {
    let displayed = message.displayed.into_iter().map(|mark| {
        Ok(DisplayedMark {
            sender: address(&mark.sender, "displayed.sender")?,
            account_key: match mark.account_key.as_slice() {
                [] => None,
                key => Some(fixed(key, "displayed.account_key")?),
            },
            content_id: MessageId(fixed(&mark.content_id, "displayed.content_id")?),
            at: mark.at,
        })
    });
    let contacts = message.contacts.into_iter().map(|contact| {
        Ok(SyncedContact {
            address: address(&contact.address, "contacts.address")?,
            statement: contact.statement,
            added: contact.added,
            verified: match contact.verified_key.as_slice() {
                [] => None,
                key => Some((fixed(key, "contacts.verified_key")?, contact.verified_at)),
            },
            server: match (contact.server, contact.server_key_hash.as_slice()) {
                (endpoint, _) if endpoint.is_empty() => None,
                (endpoint, []) => Some(SyncedServer { endpoint, key_hash: None }),
                (endpoint, hash) => {
                    Some(SyncedServer { endpoint, key_hash: Some(fixed(hash, "contacts.server_key_hash")?) })
                }
            },
        })
    });
    let states = message.states.into_iter().map(|state| {
        Ok(SentState {
            content_id: MessageId(fixed(&state.content_id, "states.content_id")?),
            recipient: address(&state.recipient, "states.recipient")?,
            progress: match proto::Progress::try_from(state.progress) {
                Ok(proto::Progress::Accepted) => Progress::Accepted,
                Ok(proto::Progress::Delivered) => Progress::Delivered,
                Ok(proto::Progress::Displayed) => Progress::Displayed,
                Ok(proto::Progress::Failed) => Progress::Failed,
                Ok(proto::Progress::Unspecified) | Err(_) => return Err(WireError::Bounds("states.progress")),
            },
            code: state.code,
            at: state.at,
        })
    });
    let name = |device: proto::DeviceName| DeviceName { device_id: device.device_id, name: device.name, at: device.at };
    Ok(DeviceSync {
        displayed: displayed.collect::<Result<_, WireError>>()?,
        contacts: contacts.collect::<Result<_, WireError>>()?,
        states: states.collect::<Result<_, WireError>>()?,
        names: message.names.into_iter().map(name).collect(),
        blocked: message.blocked.into_iter().map(blocked_account_of).collect::<Result<_, WireError>>()?,
        muted: message.muted.into_iter().map(muted_conversation_of).collect::<Result<_, WireError>>()?,
        deliveries: message.deliveries.into_iter().map(synced_delivery_of).collect::<Result<_, WireError>>()?,
    })
}

fn address(text: &str, field: &'static str) -> Result<Address, WireError> {
    Address::from_canonical(text).map_err(|_| WireError::Bounds(field))
}
