//! What a reader shows of one message.

use std::collections::BTreeMap;

use super::super::author::{Author, Place};
use super::super::content::{Attachment, AttachmentPlace, MessageId};
use super::super::redacted::redacted;
use super::task::TaskChanges;
use super::{Photo, Poll, Task, TaskState, Voice};
use crate::attachment::{DIGEST_LENGTH, part_digest, root};
use crate::limits::ATTACHMENT_PART_LENGTH;

/// A message with all that has become of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownMessage {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub author: Author,
    /// When and where in the thread.
    pub place: Place,
    /// The message that it answers.
    pub in_reply_to: Option<MessageId>,
    /// What it says now.
    pub body: ShownBody,
    /// Its files; none once it is deleted.
    pub files: Vec<ShownFile>,
    /// When the text that is shown was written, if it is not the first one; milliseconds since 1970.
    pub edited: Option<u64>,
    pub(super) edit: Option<(u64, MessageId)>,
    pub(super) reactions: BTreeMap<Author, ((u64, MessageId), Option<String>)>,
    pub(super) votes: BTreeMap<Author, ((u64, MessageId), Vec<u32>)>,
    pub(super) changes: TaskChanges,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq)]
pub enum ShownBody {
    /// Text, as last edited.
    Text(String),
    /// A photo, with its caption as last edited.
    Photo(Photo),
    /// A recording.
    Voice(Voice),
    /// A poll: [`ShownMessage::tally`] has its result.
    Poll(Poll),
    /// A task: [`ShownMessage::task_state`] has its state.
    Task(Task),
    /// A tombstone.
    Deleted {
        /// When it was deleted, in milliseconds since 1970.
        at: u64,
    },
}

/// A file beside a message, without its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownFile {
    /// As the sender named it.
    pub name: String,
    /// As the sender says.
    pub media_type: String,
    /// Bytes.
    pub length: u64,
    /// [`crate::attachment::root`] of its bytes.
    pub root: [u8; DIGEST_LENGTH],
}

impl ShownMessage {
    /// Each emoji beside the message, and who put it there.
    #[must_use]
    pub fn reactions(&self) -> BTreeMap<&str, Vec<&Author>> {
        let mut reactions: BTreeMap<&str, Vec<&Author>> = BTreeMap::new();
        for (author, (_, emoji)) in &self.reactions {
            if let Some(emoji) = emoji {
                reactions.entry(emoji).or_default().push(author);
            }
        }
        reactions
    }

    /// Who chose each option of a poll, in the order of the options; `None` if it is no poll.
    #[must_use]
    pub fn tally(&self) -> Option<Vec<Vec<&Author>>> {
        let ShownBody::Poll(poll) = &self.body else { return None };
        let chose = |option: u32| {
            let of = self.votes.iter().filter(move |(_, (_, options))| options.contains(&option));
            of.map(|(author, _)| author).collect()
        };
        Some((0..).take(poll.options.len()).map(chose).collect())
    }

    /// The state of a task; `None` if it is none.
    #[must_use]
    pub fn task_state(&self) -> Option<TaskState> {
        matches!(self.body, ShownBody::Task(_)).then(|| self.changes.state())
    }

    /// Whether only a tombstone is shown.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        matches!(self.body, ShownBody::Deleted { .. })
    }
}

impl ShownFile {
    /// What is shown of an attachment.
    #[must_use]
    pub fn of(attachment: &Attachment) -> Self {
        let root = match &attachment.place {
            AttachmentPlace::Blob(blob) => blob.root,
            AttachmentPlace::Inline(bytes) if bytes.is_empty() => root(0, &[part_digest(b"")]),
            AttachmentPlace::Inline(bytes) => {
                let digests: Vec<_> = bytes.chunks(ATTACHMENT_PART_LENGTH).map(part_digest).collect();
                root(bytes.len() as u64, &digests)
            }
        };
        let (name, media_type) = (attachment.name.clone(), attachment.media_type.clone());
        Self { name, media_type, length: attachment.length(), root }
    }
}

redacted!(ShownMessage, ShownBody, ShownFile);
