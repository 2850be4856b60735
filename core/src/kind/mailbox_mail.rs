//! The kinds `mailbox_arrival` and `mailbox_answer`: what has come to an organisation's mailbox, as its account posts it into the
//! organisation's group, and what a member wants answered in the mailbox's name.
//!
//! The content that came is handed on as it was, to the last byte, with the keys of its attachments but without a delivery key beside
//! it, which was given to the mailbox's account alone; only cut in two where it would not fit beside what is said about it.

use super::content::{Content, ContentError, MessageId};
use crate::Address;
use crate::crypto::signature::VerifyingKey;
use crate::limits::{CONTENT_LENGTH_MAX, MAILBOX_ANSWER_LENGTH_MAX, MAILBOX_PART_LENGTH_MAX, MAILBOX_PARTS_MAX};

/// A message that has come to the mailbox, or a part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct MailboxArrival {
    /// Names it in the mailbox: drawn or taken over by the mailbox's account, the same for all parts.
    pub message: MessageId,
    /// Who has written it, as the mailbox's account has authenticated him.
    pub sender: Address,
    /// His account key.
    pub account_key: VerifyingKey,
    /// When the server took it, in milliseconds since 1970.
    pub received: u64,
    /// Which part, from 0.
    pub part: u32,
    /// Of how many, 1 to [`MAILBOX_PARTS_MAX`].
    pub parts: u32,
    /// Bytes of the encoded [`Content`], 1 to [`MAILBOX_PART_LENGTH_MAX`].
    pub content: Vec<u8>,
}

/// What is to be answered to a message of the mailbox, in the mailbox's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxAnswer {
    /// The message that has come.
    pub message: MessageId,
    /// The text, 1 to [`MAILBOX_ANSWER_LENGTH_MAX`] bytes.
    pub text: String,
}

impl MailboxArrival {
    /// What is posted for a message: one part, or several.
    #[must_use]
    pub fn parts(
        message: MessageId,
        sender: &Address,
        account_key: VerifyingKey,
        received: u64,
        content: &[u8],
    ) -> Vec<Self> {
        let parts = u32::try_from(content.len().div_ceil(MAILBOX_PART_LENGTH_MAX)).unwrap_or(u32::MAX);
        let pieces = content.chunks(MAILBOX_PART_LENGTH_MAX).zip(0..);
        let part = |(piece, part): (&[u8], u32)| Self {
            message,
            sender: sender.clone(),
            account_key,
            received,
            part,
            parts,
            content: piece.to_vec(),
        };
        pieces.map(part).collect()
    }

    /// The content out of all parts of a message, in their order.
    ///
    /// # Errors
    /// [`ContentError`]
    pub fn join(parts: &[&Self]) -> Result<Content, ContentError> {
        let whole = (0..).zip(parts).all(|(number, part)| part.part == number && part.parts as usize == parts.len());
        if !whole || parts.is_empty() {
            return Err(ContentError::Field("parts"));
        }
        let length: usize = parts.iter().map(|part| part.content.len()).sum();
        if length > CONTENT_LENGTH_MAX {
            return Err(ContentError::MessageTooLarge { length });
        }
        Content::decode(&zeroize::Zeroizing::new(
            parts.iter().flat_map(|part| part.content.iter().copied()).collect::<Vec<u8>>(),
        ))
    }

    pub(super) fn validate(&self) -> Result<(), ContentError> {
        if !(1..=MAILBOX_PARTS_MAX).contains(&self.parts) || self.part >= self.parts {
            return Err(ContentError::Field("part"));
        }
        if self.content.is_empty() || self.content.len() > MAILBOX_PART_LENGTH_MAX {
            return Err(ContentError::Field("content"));
        }
        Ok(())
    }

    pub(super) fn fallback_text(&self) -> String {
        format!("A message of {} has come to the mailbox", self.sender)
    }
}

impl MailboxAnswer {
    pub(super) fn validate(&self) -> Result<(), ContentError> {
        if self.text.is_empty() || self.text.len() > MAILBOX_ANSWER_LENGTH_MAX {
            return Err(ContentError::Field("text"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for MailboxArrival {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MailboxArrival({:?}, part {} of {}, ..)", self.message, self.part, self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Body;
    use crate::kind::test_content::{author, content, id};

    fn arrivals(length: usize) -> Vec<MailboxArrival> {
        let (author, bytes) = (author(1), vec![7; length]);
        MailboxArrival::parts(id(3), &author.address, author.account_key, 5, &bytes)
    }

    #[test]
    fn a_message_of_any_size_comes_through_as_it_was() {
        let mail = |length: usize| {
            let mut mail = content(Body::Empty);
            mail.fallback_text = "x".repeat(length);
            mail.encode().unwrap().to_vec()
        };
        let author = author(1);
        for (encoded, count) in [(mail(10), 1), (mail(200), 1)] {
            let parts = MailboxArrival::parts(id(3), &author.address, author.account_key, 5, &encoded);
            assert_eq!(parts.len(), count);
            let joined = MailboxArrival::join(&parts.iter().collect::<Vec<_>>()).unwrap();
            assert_eq!(joined.encode().unwrap().to_vec(), encoded);
        }
        assert_eq!(arrivals(MAILBOX_PART_LENGTH_MAX).len(), 1);
        let largest = arrivals(CONTENT_LENGTH_MAX);
        assert_eq!(largest.len(), 2);
        assert_eq!(largest.iter().map(|part| part.content.len()).sum::<usize>(), CONTENT_LENGTH_MAX);
        for part in largest {
            let sent = content(Body::MailboxArrival(part));
            assert_eq!(Content::decode(&sent.encode().unwrap()), Ok(sent));
        }
    }

    #[test]
    fn parts_that_do_not_make_a_whole_are_refused() {
        let parts = arrivals(CONTENT_LENGTH_MAX);
        for wrong in [&[][..], &[&parts[0]][..], &[&parts[1], &parts[0]][..], &[&parts[0], &parts[0]][..]] {
            assert_eq!(MailboxArrival::join(wrong), Err(ContentError::Field("parts")));
        }
        for wrong in [
            MailboxArrival { part: 2, ..parts[0].clone() },
            MailboxArrival { parts: 0, ..parts[0].clone() },
            MailboxArrival { parts: MAILBOX_PARTS_MAX + 1, ..parts[0].clone() },
            MailboxArrival { content: Vec::new(), ..parts[0].clone() },
            MailboxArrival { content: vec![0; MAILBOX_PART_LENGTH_MAX + 1], ..parts[0].clone() },
        ] {
            assert!(content(Body::MailboxArrival(wrong.clone())).encode().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn answers_have_a_text_within_bounds() {
        let answer = |length| content(Body::MailboxAnswer(MailboxAnswer { message: id(3), text: "x".repeat(length) }));
        let sent = answer(MAILBOX_ANSWER_LENGTH_MAX);
        assert!(sent.body.fallback_text().starts_with("Answers a message"));
        for wrong in [0, MAILBOX_ANSWER_LENGTH_MAX + 1] {
            assert_eq!(answer(wrong).encode().err(), Some(ContentError::Field("text")));
        }
        let sent = answer(5);
        assert_eq!(Content::decode(&sent.encode().unwrap()), Ok(sent));
    }
}
