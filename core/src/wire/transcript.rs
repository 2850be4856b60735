//! `spec/proto/transcript.proto`. Encodings only; [`crate::kind`] checks what they say.

use prost::Message;

use super::content::{decode_team, encode_team};
use super::identity::verifying_key;
use super::proto::transcript_message::Says;
use super::{WireError, fixed, proto};
use crate::Address;
use crate::kind::{
    Author, CaseAct, CaseEvent, MessageId, PatientReference, Photo, Place, ShownFile, SignedTranscript, Task,
    TaskState, Transcript, TranscriptMessage, TranscriptOption, TranscriptSays, Voice,
};

/// The only version of transcripts.
const VERSION: u32 = 1;

/// The one encoding of a transcript: fields in the order of their numbers, what is empty or zero left away.
pub(crate) fn encode(transcript: &Transcript) -> Vec<u8> {
    proto::Transcript {
        version: VERSION,
        case: transcript.case.0.to_vec(),
        log_id: transcript.log_id.map(|id| id.to_vec()).unwrap_or_default(),
        patient: Some(proto::PatientReference {
            identifier: transcript.patient.identifier.clone(),
            assigning_authority: transcript.patient.assigning_authority.clone(),
        }),
        title: transcript.title.clone(),
        team: encode_team(&transcript.team),
        closes: transcript.closes.unwrap_or(0),
        events: transcript.events.iter().map(encode_event).collect(),
        messages: transcript.messages.iter().map(encode_message).collect(),
        exported: transcript.exported,
    }
    .encode_to_vec()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Transcript, WireError> {
    let message = proto::Transcript::decode(bytes)?;
    if message.version != VERSION {
        return Err(WireError::Bounds("version"));
    }
    let patient = message.patient.ok_or(WireError::Missing("patient"))?;
    Ok(Transcript {
        case: MessageId(fixed(&message.case, "case")?),
        log_id: match message.log_id.as_slice() {
            [] => None,
            id => Some(fixed(id, "log_id")?),
        },
        patient: PatientReference { identifier: patient.identifier, assigning_authority: patient.assigning_authority },
        title: message.title,
        team: decode_team(message.team)?,
        closes: time(message.closes),
        events: message.events.into_iter().map(decode_event).collect::<Result<_, _>>()?,
        messages: message.messages.into_iter().map(decode_message).collect::<Result<_, _>>()?,
        exported: message.exported,
    })
}

pub(crate) fn encode_signed(signed: &SignedTranscript) -> Vec<u8> {
    proto::SignedTranscript {
        transcript: signed.transcript.clone(),
        signature: signed.signature.to_vec(),
        signer_statement: signed.signer_statement.clone(),
        signer_device: signed.signer_device,
    }
    .encode_to_vec()
}

pub(crate) fn decode_signed(bytes: &[u8]) -> Result<SignedTranscript, WireError> {
    let message = proto::SignedTranscript::decode(bytes)?;
    Ok(SignedTranscript {
        signature: fixed(&message.signature, "signature")?,
        transcript: message.transcript,
        signer_statement: message.signer_statement,
        signer_device: message.signer_device,
    })
}

fn time(time: u64) -> Option<u64> {
    (time != 0).then_some(time)
}

fn encode_account(account: &Author) -> proto::TranscriptAccount {
    let account_key = account.account_key.as_bytes().to_vec();
    proto::TranscriptAccount { address: account.address.to_string(), account_key }
}

fn decode_account(account: proto::TranscriptAccount) -> Result<Author, WireError> {
    Ok(Author {
        address: Address::from_canonical(&account.address).map_err(|_| WireError::Bounds("address"))?,
        account_key: verifying_key(&account.account_key, "account_key")?,
    })
}

fn author(account: Option<proto::TranscriptAccount>) -> Result<Author, WireError> {
    decode_account(account.ok_or(WireError::Missing("author"))?)
}

fn encode_place(place: Place) -> proto::TranscriptPlace {
    proto::TranscriptPlace { position: place.position, at: place.at }
}

fn decode_place(place: Option<proto::TranscriptPlace>) -> Result<Place, WireError> {
    let place = place.ok_or(WireError::Missing("place"))?;
    Ok(Place { position: place.position, at: place.at })
}

fn encode_event(event: &CaseEvent) -> proto::TranscriptEvent {
    proto::TranscriptEvent {
        id: event.id.0.to_vec(),
        author: Some(encode_account(&event.author)),
        place: Some(encode_place(event.place)),
        act: match event.act {
            CaseAct::Opened => proto::TranscriptAct::Opened,
            CaseAct::Closed => proto::TranscriptAct::Closed,
            CaseAct::Reopened => proto::TranscriptAct::Reopened,
            CaseAct::Team => proto::TranscriptAct::Team,
        }
        .into(),
        reason: event.reason.clone(),
    }
}

fn decode_event(event: proto::TranscriptEvent) -> Result<CaseEvent, WireError> {
    Ok(CaseEvent {
        id: MessageId(fixed(&event.id, "events.id")?),
        author: author(event.author)?,
        place: decode_place(event.place)?,
        act: match proto::TranscriptAct::try_from(event.act) {
            Ok(proto::TranscriptAct::Opened) => CaseAct::Opened,
            Ok(proto::TranscriptAct::Closed) => CaseAct::Closed,
            Ok(proto::TranscriptAct::Reopened) => CaseAct::Reopened,
            Ok(proto::TranscriptAct::Team) => CaseAct::Team,
            Ok(proto::TranscriptAct::Unspecified) | Err(_) => return Err(WireError::Bounds("events.act")),
        },
        reason: event.reason,
    })
}

fn encode_message(message: &TranscriptMessage) -> proto::TranscriptMessage {
    proto::TranscriptMessage {
        id: message.id.0.to_vec(),
        author: Some(encode_account(&message.author)),
        place: Some(encode_place(message.place)),
        in_reply_to: message.in_reply_to.map(|id| id.0.to_vec()).unwrap_or_default(),
        edited: message.edited.unwrap_or(0),
        files: message
            .files
            .iter()
            .map(|file| proto::TranscriptFile {
                name: file.name.clone(),
                media_type: file.media_type.clone(),
                length: file.length,
                root: file.root.to_vec(),
            })
            .collect(),
        reactions: message
            .reactions
            .iter()
            .map(|(emoji, accounts)| proto::TranscriptReaction {
                emoji: emoji.clone(),
                accounts: accounts.iter().map(encode_account).collect(),
            })
            .collect(),
        says: Some(encode_says(&message.says)),
    }
}

fn decode_message(message: proto::TranscriptMessage) -> Result<TranscriptMessage, WireError> {
    let file = |file: proto::TranscriptFile| {
        let root = fixed(&file.root, "files.root")?;
        Ok(ShownFile { name: file.name, media_type: file.media_type, length: file.length, root })
    };
    let reaction = |reaction: proto::TranscriptReaction| {
        let accounts = reaction.accounts.into_iter().map(decode_account);
        Ok((reaction.emoji, accounts.collect::<Result<_, _>>()?))
    };
    Ok(TranscriptMessage {
        id: MessageId(fixed(&message.id, "messages.id")?),
        author: author(message.author)?,
        place: decode_place(message.place)?,
        in_reply_to: match message.in_reply_to.as_slice() {
            [] => None,
            id => Some(MessageId(fixed(id, "in_reply_to")?)),
        },
        edited: time(message.edited),
        files: message.files.into_iter().map(file).collect::<Result<_, WireError>>()?,
        reactions: message.reactions.into_iter().map(reaction).collect::<Result<_, WireError>>()?,
        says: decode_says(message.says.ok_or(WireError::Missing("says"))?)?,
    })
}

fn encode_says(says: &TranscriptSays) -> Says {
    match says {
        TranscriptSays::Text(text) => Says::Text(text.clone()),
        TranscriptSays::Photo(photo) => Says::Photo(proto::TranscriptPhoto {
            caption: photo.caption.clone(),
            width: photo.width,
            height: photo.height,
        }),
        TranscriptSays::Voice(voice) => Says::Voice(voice.duration),
        TranscriptSays::Poll { question, options, multiple, closes } => Says::Poll(proto::TranscriptPoll {
            question: question.clone(),
            options: options
                .iter()
                .map(|option| proto::TranscriptOption {
                    text: option.text.clone(),
                    voters: option.voters.iter().map(encode_account).collect(),
                })
                .collect(),
            multiple: *multiple,
            closes: closes.unwrap_or(0),
        }),
        TranscriptSays::Task(task, state) => Says::Task(proto::TranscriptTask {
            text: task.text.clone(),
            assignees: task.assignees.iter().map(ToString::to_string).collect(),
            due: task.due.unwrap_or(0),
            state: match state {
                TaskState::Open => proto::TaskState::Open,
                TaskState::Done => proto::TaskState::Done,
                TaskState::Declined => proto::TaskState::Declined,
            }
            .into(),
        }),
        TranscriptSays::Deleted { at } => Says::Deleted(*at),
    }
}

fn decode_says(says: Says) -> Result<TranscriptSays, WireError> {
    Ok(match says {
        Says::Text(text) => TranscriptSays::Text(text),
        Says::Photo(photo) => {
            TranscriptSays::Photo(Photo { caption: photo.caption, width: photo.width, height: photo.height })
        }
        Says::Voice(duration) => TranscriptSays::Voice(Voice { duration }),
        Says::Poll(poll) => {
            let option = |option: proto::TranscriptOption| {
                let voters = option.voters.into_iter().map(decode_account).collect::<Result<_, _>>()?;
                Ok(TranscriptOption { text: option.text, voters })
            };
            TranscriptSays::Poll {
                question: poll.question,
                options: poll.options.into_iter().map(option).collect::<Result<_, WireError>>()?,
                multiple: poll.multiple,
                closes: time(poll.closes),
            }
        }
        Says::Task(task) => {
            let assignee = |text: &String| Address::from_canonical(text).map_err(|_| WireError::Bounds("assignees"));
            let assignees = task.assignees.iter().map(assignee).collect::<Result<_, _>>()?;
            let state = match proto::TaskState::try_from(task.state) {
                Ok(proto::TaskState::Open) => TaskState::Open,
                Ok(proto::TaskState::Done) => TaskState::Done,
                Ok(proto::TaskState::Declined) => TaskState::Declined,
                Ok(proto::TaskState::Unspecified) | Err(_) => return Err(WireError::Bounds("task.state")),
            };
            TranscriptSays::Task(Task { text: task.text, assignees, due: time(task.due) }, state)
        }
        Says::Deleted(at) => TranscriptSays::Deleted { at },
    })
}
