//! The transcript of a case: what its thread shows, in one canonical encoding, signed by the device that exports it.
//! `spec/case.md`.

use thiserror::Error;

use super::super::author::{Author, Place};
use super::super::chat::{ChatThread, Photo, Poll, ShownBody, ShownFile, ShownMessage, Task, TaskState, Voice};
use super::super::content::{MessageId, PatientReference};
use super::super::redacted::redacted;
use super::{CaseEvent, CaseMember, CaseThread};
use crate::crypto::signature::SigningKey;
use crate::identity::{Statement, StatementError};
use crate::label;
use crate::limits::{TRANSCRIPT_FILE_LENGTH_MAX, TRANSCRIPT_LENGTH_MAX, TRANSCRIPT_MESSAGES_MAX};
use crate::wire::{self, WireError};

/// A case at the moment of its export.
#[derive(Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The case.
    pub case: MessageId,
    /// The log of its group; `None` between two people.
    pub log_id: Option<[u8; 32]>,
    /// Whom it is about.
    pub patient: PatientReference,
    /// Its title.
    pub title: String,
    /// Its team at the end.
    pub team: Vec<CaseMember>,
    /// When it closes by itself, in milliseconds since 1970.
    pub closes: Option<u64>,
    /// What has happened to it, the opening first.
    pub events: Vec<CaseEvent>,
    /// What was said, tombstones included, in the order of the thread.
    pub messages: Vec<TranscriptMessage>,
    /// Milliseconds since 1970, by the clock of the device that signs.
    pub exported: u64,
}

/// One message as it was shown.
#[derive(Clone, PartialEq, Eq)]
pub struct TranscriptMessage {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub author: Author,
    /// When and where in the thread.
    pub place: Place,
    /// The message that it answers.
    pub in_reply_to: Option<MessageId>,
    /// When the text was last edited, in milliseconds since 1970.
    pub edited: Option<u64>,
    /// Its files, by their digests.
    pub files: Vec<ShownFile>,
    /// Emoji and who put them there, both ascending.
    pub reactions: Vec<(String, Vec<Author>)>,
    /// What it said.
    pub says: TranscriptSays,
}

/// What a message said.
#[derive(Clone, PartialEq, Eq)]
pub enum TranscriptSays {
    /// Text.
    Text(String),
    /// A photo.
    Photo(Photo),
    /// A recording.
    Voice(Voice),
    /// A poll with its result.
    Poll {
        /// One question.
        question: String,
        /// What there was to choose.
        options: Vec<TranscriptOption>,
        /// Whether one account may choose several.
        multiple: bool,
        /// Until when votes count, in milliseconds since 1970.
        closes: Option<u64>,
    },
    /// A task and its state.
    Task(Task, TaskState),
    /// It had been deleted.
    Deleted {
        /// Milliseconds since 1970.
        at: u64,
    },
}

/// One option of a poll.
#[derive(Clone, PartialEq, Eq)]
pub struct TranscriptOption {
    /// What it says.
    pub text: String,
    /// Who chose it, ascending.
    pub voters: Vec<Author>,
}

/// A transcript with its signature, as a file.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedTranscript {
    /// An encoded transcript, the exact bytes that are signed.
    pub transcript: Vec<u8>,
    /// By the device.
    pub signature: [u8; 64],
    /// The encoded statement of the account that exports.
    pub signer_statement: Vec<u8>,
    /// The device, in that statement.
    pub signer_device: u32,
}

/// A transcript whose signature has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTranscript {
    /// What it says.
    pub transcript: Transcript,
    /// The account that exported it. The auditor compares the account key with the one that he knows.
    pub signer: Author,
    /// The device.
    pub device_id: u32,
}

/// Why a transcript is not made, or not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TranscriptError {
    /// It cannot be read.
    #[error("the transcript cannot be read: {0}")]
    Malformed(#[from] WireError),
    /// Over [`TRANSCRIPT_LENGTH_MAX`].
    #[error("the transcript has {length} bytes; at most {TRANSCRIPT_LENGTH_MAX} are taken")]
    TooLong {
        /// Bytes.
        length: usize,
    },
    /// More than [`TRANSCRIPT_MESSAGES_MAX`].
    #[error("the transcript has {count} messages; at most {TRANSCRIPT_MESSAGES_MAX} are taken")]
    TooManyMessages {
        /// How many.
        count: usize,
    },
    /// The same transcript has another encoding, or its messages or events are not in order.
    #[error("the transcript is not in its canonical form")]
    NotCanonical,
    /// The statement of who exported it does not verify.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The statement does not list the device, or lists it with another key.
    #[error("the statement does not list this device with this key")]
    UnknownDevice,
    /// The signature does not verify.
    #[error("the transcript's signature does not verify")]
    Signature,
}

impl Transcript {
    /// What a case and its thread show. `exported` is in milliseconds since 1970.
    #[must_use]
    pub fn of(case: &CaseThread, chat: &ChatThread, log_id: Option<[u8; 32]>, exported: u64) -> Self {
        Self {
            case: case.id(),
            log_id,
            patient: case.patient().clone(),
            title: case.title().to_owned(),
            team: case.team().to_vec(),
            closes: case.closes(),
            events: case.events().to_vec(),
            messages: chat.messages().map(TranscriptMessage::of).collect(),
            exported,
        }
    }

    /// Signs it with the key of a device that the statement lists.
    ///
    /// # Errors
    /// [`TranscriptError::UnknownDevice`], and what would be refused by those who get it.
    pub fn sign(
        &self,
        device_key: &SigningKey,
        statement: &Statement,
        device_id: u32,
    ) -> Result<SignedTranscript, TranscriptError> {
        let transcript = wire::transcript::encode(self);
        let signature = device_key.sign(label::CASE_TRANSCRIPT, &[&transcript]);
        let signer_statement = statement.encoded().to_vec();
        let signed = SignedTranscript { transcript, signature, signer_statement, signer_device: device_id };
        let listed = statement.device_keys(device_id).map(|keys| keys.signing_key);
        if listed != Some(device_key.verifying_key()) {
            return Err(TranscriptError::UnknownDevice);
        }
        signed.verify()?;
        Ok(signed)
    }

    /// Reads an encoded transcript and holds it against its canonical form.
    fn decode(bytes: &[u8]) -> Result<Self, TranscriptError> {
        if bytes.len() > TRANSCRIPT_LENGTH_MAX {
            return Err(TranscriptError::TooLong { length: bytes.len() });
        }
        let transcript = wire::transcript::decode(bytes)?;
        let count = transcript.messages.len();
        if count > TRANSCRIPT_MESSAGES_MAX {
            return Err(TranscriptError::TooManyMessages { count });
        }
        if transcript.is_in_order() && wire::transcript::encode(&transcript) == bytes {
            Ok(transcript)
        } else {
            Err(TranscriptError::NotCanonical)
        }
    }

    fn is_in_order(&self) -> bool {
        let rises = |accounts: &[Author]| accounts.windows(2).all(|pair| pair[0] < pair[1]);
        let message_is_good = |message: &TranscriptMessage| {
            let reactions = &message.reactions;
            let options_rise = match &message.says {
                TranscriptSays::Poll { options, .. } => options.iter().all(|option| rises(&option.voters)),
                _ => true,
            };
            options_rise
                && reactions.windows(2).all(|pair| pair[0].0 < pair[1].0)
                && reactions.iter().all(|(_, accounts)| rises(accounts) && !accounts.is_empty())
        };
        let key = |message: &TranscriptMessage| (message.place.position, message.id);
        self.messages.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]))
            && self.messages.iter().all(message_is_good)
            && self.events.windows(2).all(|pair| pair[0].place.position < pair[1].place.position)
            && self.events.first().is_some_and(|opened| opened.id == self.case)
    }
}

impl SignedTranscript {
    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::transcript::encode_signed(self)
    }

    /// Reads a file. Nothing is verified by this.
    ///
    /// # Errors
    /// [`TranscriptError::Malformed`] and [`TranscriptError::TooLong`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TranscriptError> {
        // What is far too long is not parsed.
        if bytes.len() > TRANSCRIPT_FILE_LENGTH_MAX {
            return Err(TranscriptError::TooLong { length: bytes.len() });
        }
        Ok(wire::transcript::decode_signed(bytes)?)
    }

    /// Verifies statement, device and signature, and reads what was signed.
    ///
    /// # Errors
    /// [`TranscriptError`]
    pub fn verify(&self) -> Result<VerifiedTranscript, TranscriptError> {
        let statement = Statement::decode(&self.signer_statement)?;
        let keys = statement.device_keys(self.signer_device).ok_or(TranscriptError::UnknownDevice)?;
        keys.signing_key
            .verify(label::CASE_TRANSCRIPT, &[&self.transcript], &self.signature)
            .map_err(|_| TranscriptError::Signature)?;
        let transcript = Transcript::decode(&self.transcript)?;
        let signer = Author { address: statement.address().clone(), account_key: statement.account_key() };
        Ok(VerifiedTranscript { transcript, signer, device_id: self.signer_device })
    }
}

impl TranscriptMessage {
    fn of(message: &ShownMessage) -> Self {
        let all = |accounts: Vec<&Author>| accounts.into_iter().cloned().collect::<Vec<_>>();
        let reactions = message.reactions().into_iter();
        Self {
            id: message.id,
            author: message.author.clone(),
            place: message.place,
            in_reply_to: message.in_reply_to,
            edited: message.edited,
            files: message.files.clone(),
            reactions: reactions.map(|(emoji, accounts)| (emoji.to_owned(), all(accounts))).collect(),
            says: match &message.body {
                ShownBody::Text(text) => TranscriptSays::Text(text.clone()),
                ShownBody::Photo(photo) => TranscriptSays::Photo(photo.clone()),
                ShownBody::Voice(voice) => TranscriptSays::Voice(*voice),
                ShownBody::Poll(Poll { question, options, multiple, closes }) => {
                    let voters = message.tally().unwrap_or_default().into_iter().map(all);
                    let options = options.iter().cloned().zip(voters);
                    TranscriptSays::Poll {
                        question: question.clone(),
                        options: options.map(|(text, voters)| TranscriptOption { text, voters }).collect(),
                        multiple: *multiple,
                        closes: *closes,
                    }
                }
                ShownBody::Task(task) => {
                    TranscriptSays::Task(task.clone(), message.task_state().unwrap_or(TaskState::Open))
                }
                ShownBody::Deleted { at } => TranscriptSays::Deleted { at: *at },
            },
        }
    }
}

redacted!(Transcript, TranscriptMessage, TranscriptSays, TranscriptOption, SignedTranscript);
