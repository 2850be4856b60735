//! The frame around every kind.

use std::fmt;

use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use super::PhotoError;
use super::body::Body;
use crate::Address;
use crate::attachment::BlobReference;
use crate::limits::{
    ATTACHMENT_NAME_LENGTH_MAX, ATTACHMENTS_MAX, BODY_BLOB_LENGTH_MAX, CONTENT_LENGTH_MAX,
    INLINE_ATTACHMENTS_LENGTH_MAX, NAME_LENGTH_MAX,
};
use crate::wire::{self, WireError};

/// Names a message, the same for all who get it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

/// One message, as both ends see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Random.
    pub id: MessageId,
    /// The first message of the thread; the message's own id if it opens one.
    pub thread: MessageId,
    /// The message that this one answers.
    pub in_reply_to: Option<MessageId>,
    /// The message that this one stands instead of.
    pub replaces: Option<MessageId>,
    /// Milliseconds since 1970, by the sender's clock.
    pub created: u64,
    /// Milliseconds since 1970.
    pub expires: Option<u64>,
    /// How soon it must be read.
    pub urgency: Urgency,
    /// Display name. The server does not know it.
    pub sender_name: String,
    /// For instance "GP".
    pub sender_role: String,
    /// The account for which the sender writes.
    pub on_behalf_of: Option<Address>,
    /// Whom it is about.
    pub patient: Option<PatientReference>,
    /// Which receipts the sender asks for.
    pub receipts_wanted: ReceiptsWanted,
    /// Shown by a client that does not know the kind.
    pub fallback_text: String,
    /// Files, in the order in which the sender named them.
    pub attachments: Vec<Attachment>,
    /// Where the whole body is, if `body` has only what a list shows of it: see [`Content::with_body`].
    pub body_blob: Option<BlobReference>,
    /// Version of the sender's statement when it was written.
    pub sender_statement_version: u64,
    /// The kind and what it says.
    pub body: Body,
}

/// How soon a message must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// In the course of the day.
    #[default]
    Routine,
    /// Within the hour.
    Urgent,
    /// A life depends on it.
    Vital,
}

/// A patient's identifier and who assigned it.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientReference {
    /// For instance the INS matricule.
    pub identifier: String,
    /// OID.
    pub assigning_authority: String,
}

/// Which receipts a sender asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiptsWanted {
    /// A device has it.
    pub delivered: bool,
    /// A person has seen it.
    pub displayed: bool,
    /// A system has taken it in.
    pub processed: bool,
}

/// A file that goes with a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// As the sender named it. Whoever saves it makes it harmless first.
    pub name: String,
    /// For instance `application/pdf`, as the sender says.
    pub media_type: String,
    /// Where its bytes are.
    pub place: AttachmentPlace,
}

/// Where the bytes of a file are.
#[derive(Clone, PartialEq, Eq)]
pub enum AttachmentPlace {
    /// Inside the message: a small file.
    Inline(Vec<u8>),
    /// At a server, sealed.
    Blob(BlobReference),
}

/// Why content cannot be sent, or is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentError {
    /// A body that goes as a blob is larger than bodies may be.
    #[error("the body has {length} bytes; a message has at most {BODY_BLOB_LENGTH_MAX}")]
    BodyTooLarge {
        /// Bytes.
        length: u64,
    },
    /// The body in a blob is not the one that the message belongs to.
    #[error("the body in the blob does not belong to the message")]
    BodyMismatch,
    /// An attachment inside the message is larger than what travels there.
    #[error("the attachment \"{name}\" has {length} bytes; {INLINE_ATTACHMENTS_LENGTH_MAX} fit inside a message")]
    AttachmentTooLarge {
        /// Its name.
        name: String,
        /// Bytes.
        length: usize,
    },
    /// All attachments inside the message are larger together than what travels there.
    #[error("the attachments have {length} bytes together; {INLINE_ATTACHMENTS_LENGTH_MAX} fit inside a message")]
    AttachmentsTooLarge {
        /// Bytes.
        length: usize,
    },
    /// Too many attachments.
    #[error("a message has at most {ATTACHMENTS_MAX} attachments; there are {count}")]
    TooManyAttachments {
        /// How many.
        count: usize,
    },
    /// Every part is small enough and the whole is not.
    #[error("the message has {length} bytes; {CONTENT_LENGTH_MAX} fit an envelope")]
    MessageTooLarge {
        /// Bytes.
        length: usize,
    },
    /// The attachment of a photo is none.
    #[error("the photo is refused: {0}")]
    Photo(#[source] PhotoError),
    /// A field has a value or a length that it must not have.
    #[error("the field {0} of the message is out of bounds")]
    Field(&'static str),
    /// It cannot be read.
    #[error("the message cannot be read: {0}")]
    Malformed(#[from] WireError),
}

impl MessageId {
    /// Draws an id.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self(id)
    }
}

impl Content {
    /// The bytes that a session encrypts.
    ///
    /// # Errors
    /// [`ContentError`] for what would be refused on the other side.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, ContentError> {
        self.validate()?;
        let bytes = wire::content::encode(self);
        if bytes.len() > CONTENT_LENGTH_MAX {
            return Err(ContentError::MessageTooLarge { length: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads content that a session has decrypted. HTML is sanitised again.
    ///
    /// # Errors
    /// [`ContentError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        if bytes.len() > CONTENT_LENGTH_MAX {
            return Err(ContentError::MessageTooLarge { length: bytes.len() });
        }
        let content = wire::content::decode(bytes)?;
        content.validate()?;
        Ok(content)
    }

    /// Puts the whole body in place of the short one. `bytes` is the plaintext of [`Content::body_blob`].
    ///
    /// # Errors
    /// [`ContentError`], above all [`ContentError::BodyMismatch`] if the short body is not that of this one: what a list
    /// has shown must not turn into something else.
    pub fn with_body(mut self, bytes: &[u8]) -> Result<Self, ContentError> {
        let body = wire::content::body_of_kind(wire::content::kind_number(&self.body), bytes)?;
        if body.short() != self.body {
            return Err(ContentError::BodyMismatch);
        }
        self.body = body;
        self.validate()?;
        Ok(self)
    }

    pub(crate) fn validate(&self) -> Result<(), ContentError> {
        for (text, field) in [(&self.sender_name, "sender_name"), (&self.sender_role, "sender_role")] {
            if text.len() > NAME_LENGTH_MAX {
                return Err(ContentError::Field(field));
            }
        }
        if let Some(patient) = &self.patient
            && (patient.identifier.len() > NAME_LENGTH_MAX || patient.assigning_authority.len() > NAME_LENGTH_MAX)
        {
            return Err(ContentError::Field("patient"));
        }
        if self.attachments.len() > ATTACHMENTS_MAX {
            return Err(ContentError::TooManyAttachments { count: self.attachments.len() });
        }
        let mut length = 0;
        for attachment in &self.attachments {
            if attachment.name.len() > ATTACHMENT_NAME_LENGTH_MAX {
                return Err(ContentError::Field("attachments.name"));
            }
            if attachment.media_type.len() > NAME_LENGTH_MAX {
                return Err(ContentError::Field("attachments.media_type"));
            }
            let AttachmentPlace::Inline(data) = &attachment.place else { continue };
            if data.len() > INLINE_ATTACHMENTS_LENGTH_MAX {
                let (name, length) = (attachment.name.clone(), data.len());
                return Err(ContentError::AttachmentTooLarge { name, length });
            }
            length += data.len();
        }
        if length > INLINE_ATTACHMENTS_LENGTH_MAX {
            return Err(ContentError::AttachmentsTooLarge { length });
        }
        if let Some(blob) = &self.body_blob
            && blob.length > BODY_BLOB_LENGTH_MAX
        {
            return Err(ContentError::BodyTooLarge { length: blob.length });
        }
        match &self.body {
            Body::Mail(mail) => mail.validate(),
            Body::Received(received) => received.validate(),
            Body::DeviceSync(sync) => sync.validate(),
            Body::Chat(chat) => chat.validate(&self.attachments),
            Body::GroupInvitation(invitation) => invitation.validate(),
            Body::GroupRejoinAnswer(answer) => answer.validate(),
            Body::Case(case) => case.validate(self),
            Body::Report(report) => report.validate(),
            Body::Organisation(piece) => piece.validate(),
            Body::BreakGlass(event) => event.validate(),
            Body::MailboxArrival(arrival) => arrival.validate(),
            Body::MailboxAnswer(answer) => answer.validate(),
            Body::Receipt(_)
            | Body::Empty
            | Body::GroupRejoinRequest(_)
            | Body::MailboxEvent(_)
            | Body::Unknown { .. } => Ok(()),
        }
    }
}

impl Attachment {
    /// Bytes of the file.
    #[must_use]
    pub const fn length(&self) -> u64 {
        match &self.place {
            AttachmentPlace::Inline(data) => data.len() as u64,
            AttachmentPlace::Blob(blob) => blob.length,
        }
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PatientReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PatientReference(..)")
    }
}

impl fmt::Debug for AttachmentPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Inline(_) => "Inline(..)",
            Self::Blob(_) => "Blob(..)",
        })
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Attachment({} bytes)", self.length())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Secret;
    use crate::kind::{Mail, MailRecipient, Receipt, ReceiptEvent, Received, RecipientRole};
    use crate::limits::{ATTACHMENT_LENGTH_MAX, RECEIVED_IDS_MAX};

    fn inline(name: &str, length: usize) -> Attachment {
        let place = AttachmentPlace::Inline(vec![7; length]);
        Attachment { name: name.into(), media_type: "application/octet-stream".into(), place }
    }

    fn blob(name: &str, length: u64) -> Attachment {
        let place = AttachmentPlace::Blob(reference(length));
        Attachment { name: name.into(), media_type: "video/mp4".into(), place }
    }

    fn reference(length: u64) -> BlobReference {
        BlobReference {
            domain: "clinic.example".into(),
            id: [1; 32],
            key: Secret::from([2; 32]).into(),
            length,
            root: [3; 32],
            expires: 4,
        }
    }

    fn mail(text: &str) -> Content {
        Content {
            id: MessageId([1; 16]),
            thread: MessageId([1; 16]),
            in_reply_to: Some(MessageId([2; 16])),
            replaces: None,
            created: 1_700_000_000_000,
            expires: Some(1_800_000_000_000),
            urgency: Urgency::Urgent,
            sender_name: "Dr Claire Martin".into(),
            sender_role: "GP".into(),
            on_behalf_of: None,
            patient: Some(PatientReference { identifier: "1".into(), assigning_authority: "1.2".into() }),
            receipts_wanted: ReceiptsWanted { delivered: true, displayed: false, processed: true },
            fallback_text: "A mail".into(),
            attachments: vec![inline("report.xml", 3), blob("film.mp4", 5 << 30)],
            body_blob: None,
            sender_statement_version: 1,
            body: Body::Mail(Mail {
                subject: "Results".into(),
                text: text.into(),
                html: Some("<p>hello</p>".into()),
                recipients: vec![MailRecipient {
                    address: "b@clinic.example".parse().unwrap(),
                    role: RecipientRole::Cc,
                }],
            }),
        }
    }

    #[test]
    fn content_comes_back_as_it_was() {
        let content = mail("hello");
        assert_eq!(Content::decode(&content.encode().unwrap()), Ok(content.clone()));
        let receipt = Receipt { message_id: MessageId([9; 16]), event: ReceiptEvent::Displayed, at: 5 };
        let content = Content { body: Body::Receipt(receipt), ..content };
        assert_eq!(Content::decode(&content.encode().unwrap()), Ok(content.clone()));
        let content = Content { body: Body::Unknown { kind: 77, body: vec![1] }, ..content };
        assert_eq!(Content::decode(&content.encode().unwrap()), Ok(content));
    }

    #[test]
    fn a_full_received_fits_the_smallest_envelope_and_one_more_id_is_refused() {
        let of = |count: usize, unreadable| Content {
            sender_name: String::new(),
            sender_role: String::new(),
            patient: None,
            fallback_text: String::new(),
            attachments: Vec::new(),
            body: Body::Received(Received { message_ids: vec![MessageId([7; 16]); count], unreadable }),
            ..mail("")
        };
        let full = of(RECEIVED_IDS_MAX, true);
        let encoded = full.encode().unwrap();
        assert_eq!(Content::decode(&encoded), Ok(full));
        let padded = crate::envelope::padded_for_session(&encoded).unwrap();
        let smallest = crate::envelope::padded_for_session(b"").unwrap();
        assert_eq!(padded.len(), smallest.len());
        assert_eq!(of(RECEIVED_IDS_MAX + 1, false).encode(), Err(ContentError::Field("message_ids")));
        let over = wire::content::encode(&of(RECEIVED_IDS_MAX + 1, false));
        assert!(matches!(Content::decode(&over), Err(ContentError::Malformed(_))));
        assert_eq!(of(0, false).encode(), Err(ContentError::Field("message_ids")));
        assert!(of(0, true).encode().is_ok());
    }

    #[test]
    fn an_empty_message_has_no_body() {
        let empty = Content { body: Body::Empty, ..mail("") };
        assert_eq!(Content::decode(&empty.encode().unwrap()), Ok(empty.clone()));
        let unknown = Content { body: Body::Unknown { kind: 4, body: vec![0] }, ..empty };
        assert!(matches!(Content::decode(&wire::content::encode(&unknown)), Err(ContentError::Malformed(_))));
    }

    #[test]
    fn a_body_in_a_blob_comes_back_and_must_be_the_message_s_own() {
        let whole = mail(&"a".repeat(1 << 20));
        assert!(matches!(whole.encode(), Err(ContentError::MessageTooLarge { .. })));
        let bytes = whole.body.encode().unwrap();
        let sent =
            Content { body: whole.body.short(), body_blob: Some(reference(bytes.len() as u64)), ..whole.clone() };
        let received = Content::decode(&sent.encode().unwrap()).unwrap();
        assert_eq!(received.clone().with_body(&bytes).unwrap().body, whole.body);
        let mut other = whole.body.clone();
        if let Body::Mail(mail) = &mut other {
            mail.subject = "Something else".into();
        }
        let other = other.encode().unwrap();
        assert_eq!(received.clone().with_body(&other), Err(ContentError::BodyMismatch));
        assert!(matches!(received.with_body(&bytes[1..]), Err(ContentError::Malformed(_))));
        let length = BODY_BLOB_LENGTH_MAX + 1;
        let over = Content { body_blob: Some(reference(length)), ..sent };
        assert_eq!(over.encode(), Err(ContentError::BodyTooLarge { length }));
    }

    #[test]
    fn a_blob_without_a_domain_or_over_the_limit_is_refused() {
        let decode = |reference: BlobReference| {
            let attachments = vec![Attachment { place: AttachmentPlace::Blob(reference), ..inline("a", 0) }];
            Content::decode(&wire::content::encode(&Content { attachments, ..mail("a") }))
        };
        let bounds = |field| Err(ContentError::Malformed(WireError::Bounds(field)));
        assert_eq!(decode(reference(ATTACHMENT_LENGTH_MAX + 1)), bounds("length"));
        assert_eq!(decode(BlobReference { domain: "not a domain".into(), ..reference(1) }), bounds("domain"));
        assert!(decode(reference(ATTACHMENT_LENGTH_MAX)).is_ok());
    }

    #[test]
    fn attachments_over_the_limit_are_refused_by_name() {
        let attachment = |length| inline("scan.png", length);
        let with = |attachments| Content { attachments, ..mail("a") }.encode();
        let length = INLINE_ATTACHMENTS_LENGTH_MAX + 1;
        let name = "scan.png".to_owned();
        assert_eq!(with(vec![attachment(length)]), Err(ContentError::AttachmentTooLarge { name, length }));
        let two = vec![attachment(length - 1), attachment(1)];
        assert_eq!(with(two), Err(ContentError::AttachmentsTooLarge { length }));
        let many = vec![attachment(1); ATTACHMENTS_MAX + 1];
        let count = many.len();
        assert_eq!(with(many), Err(ContentError::TooManyAttachments { count }));
        assert!(with(vec![attachment(length - 1)]).is_ok());
    }

    #[test]
    fn parts_that_fit_alone_and_not_together_are_refused() {
        let attachments = vec![inline("scan.png", INLINE_ATTACHMENTS_LENGTH_MAX)];
        let content = Content { attachments, ..mail(&"a".repeat(10_000)) };
        assert!(matches!(content.encode(), Err(ContentError::MessageTooLarge { .. })));
    }
}
