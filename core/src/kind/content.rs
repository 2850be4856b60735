//! The frame around every kind.

use std::fmt;

use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Mail, Receipt};
use crate::Address;
use crate::limits::{
    ATTACHMENT_NAME_LENGTH_MAX, ATTACHMENTS_MAX, CONTENT_LENGTH_MAX, INLINE_ATTACHMENTS_LENGTH_MAX, NAME_LENGTH_MAX,
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
    /// Small files, inside the message.
    pub attachments: Vec<InlineAttachment>,
    /// Version of the sender's statement when it was written.
    pub sender_statement_version: u64,
    /// The kind and what it says.
    pub body: Body,
}

/// The kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A mail.
    Mail(Mail),
    /// What became of another message.
    Receipt(Receipt),
    /// A kind of a later version: the fallback text is shown.
    Unknown {
        /// Its number.
        kind: u32,
        /// Its bytes.
        body: Vec<u8>,
    },
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

/// A small file inside the message.
#[derive(Clone, PartialEq, Eq)]
pub struct InlineAttachment {
    /// As the sender named it. Whoever saves it makes it harmless first.
    pub name: String,
    /// For instance `application/pdf`.
    pub media_type: String,
    /// The file.
    pub data: Vec<u8>,
}

/// Why content cannot be sent, or is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentError {
    /// The text or the HTML alone is larger than a message.
    #[error("the body has {length} bytes; {CONTENT_LENGTH_MAX} fit a message until bodies go as blobs")]
    BodyTooLarge {
        /// Bytes.
        length: usize,
    },
    /// One attachment is larger than what travels inside a message.
    #[error(
        "the attachment \"{name}\" has {length} bytes; {INLINE_ATTACHMENTS_LENGTH_MAX} fit a message until attachments go as blobs"
    )]
    AttachmentTooLarge {
        /// Its name.
        name: String,
        /// Bytes.
        length: usize,
    },
    /// All attachments together are larger than what travels inside a message.
    #[error(
        "the attachments have {length} bytes together; {INLINE_ATTACHMENTS_LENGTH_MAX} fit a message until attachments go as blobs"
    )]
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

    fn validate(&self) -> Result<(), ContentError> {
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
            if attachment.data.len() > INLINE_ATTACHMENTS_LENGTH_MAX {
                let (name, length) = (attachment.name.clone(), attachment.data.len());
                return Err(ContentError::AttachmentTooLarge { name, length });
            }
            length += attachment.data.len();
        }
        if length > INLINE_ATTACHMENTS_LENGTH_MAX {
            return Err(ContentError::AttachmentsTooLarge { length });
        }
        match &self.body {
            Body::Mail(mail) => mail.validate(),
            Body::Receipt(_) | Body::Unknown { .. } => Ok(()),
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

impl fmt::Debug for InlineAttachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InlineAttachment({} bytes)", self.data.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{MailRecipient, ReceiptEvent, RecipientRole};

    pub(crate) fn mail(text: &str) -> Content {
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
            attachments: vec![InlineAttachment {
                name: "report.xml".into(),
                media_type: "application/xml".into(),
                data: vec![1, 2, 3],
            }],
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
    fn a_body_over_the_limit_is_refused_by_name() {
        let length = 65 * 1024;
        assert_eq!(mail(&"a".repeat(length)).encode(), Err(ContentError::BodyTooLarge { length }));
    }

    #[test]
    fn attachments_over_the_limit_are_refused_by_name() {
        let attachment = |length| InlineAttachment {
            name: "scan.png".into(),
            media_type: "image/png".into(),
            data: vec![0; length],
        };
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
        let attachments = vec![InlineAttachment {
            name: "scan.png".into(),
            media_type: "image/png".into(),
            data: vec![0; INLINE_ATTACHMENTS_LENGTH_MAX],
        }];
        let content = Content { attachments, ..mail(&"a".repeat(10_000)) };
        assert!(matches!(content.encode(), Err(ContentError::MessageTooLarge { .. })));
    }
}
