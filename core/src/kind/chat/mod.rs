//! The kind `chat`: what people say to each other in a thread, and what becomes of it there.
//!
//! Each value of [`Chat`] is one message. What a reader shows is the fold of a thread's messages: [`ChatThread`].

mod photo;
mod policy;
mod poll;
mod shown;
mod task;
#[cfg(test)]
mod tests;
mod thread;
mod voice;

use std::fmt;

pub use photo::{Photo, PhotoError, StrippedImage};
pub use policy::{ReadPositionPolicy, typing_is_shown};
pub use poll::{Poll, Vote};
pub use shown::{ShownBody, ShownFile, ShownMessage};
pub use task::{Task, TaskChange, TaskState};
pub use thread::{Applied, ChatEntry, ChatRefusal, ChatThread};
pub use voice::Voice;

use super::content::{Attachment, ContentError, MessageId};
use crate::limits::{CHAT_TEXT_LENGTH_MAX, REACTION_LENGTH_MAX};

/// One chat message.
#[derive(Clone, PartialEq, Eq)]
pub enum Chat {
    /// Text, with files if the content has attachments.
    Text {
        /// 1 to [`CHAT_TEXT_LENGTH_MAX`] bytes, not blank; may be empty beside files.
        text: String,
    },
    /// An image without metadata: the one attachment of the content.
    Photo(Photo),
    /// A recording: the one attachment of the content.
    Voice(Voice),
    /// A question with options.
    Poll(Poll),
    /// What the sender chooses in a poll.
    Vote(Vote),
    /// Something to be done.
    Task(Task),
    /// What became of a task.
    TaskChange(TaskChange),
    /// An emoji beside a message; a later one of the same account stands instead of it.
    Reaction {
        /// The message.
        message: MessageId,
        /// The emoji; `None` takes the reaction back.
        emoji: Option<String>,
    },
    /// Another text for a message of one's own.
    Edit {
        /// The message: a text, or a photo whose caption it is.
        message: MessageId,
        /// All of the new text.
        text: String,
    },
    /// A message of one's own is taken back; a tombstone stays.
    Delete {
        /// The message.
        message: MessageId,
    },
    /// The sender is typing, or has stopped. It is passed to who is connected, and never stored.
    Typing {
        /// Whether he is.
        active: bool,
    },
    /// The sender has read all up to this message.
    ReadPosition {
        /// The last one that he has read.
        message: MessageId,
    },
}

impl Chat {
    /// Whether it is passed on to connected readers only, and stored by nobody.
    #[must_use]
    pub const fn is_ephemeral(&self) -> bool {
        matches!(self, Self::Typing { .. })
    }

    /// The message that this one speaks of, if it is none of its own.
    #[must_use]
    pub const fn target(&self) -> Option<MessageId> {
        match self {
            Self::Vote(Vote { poll: message, .. })
            | Self::TaskChange(TaskChange { task: message, .. })
            | Self::Reaction { message, .. }
            | Self::Edit { message, .. }
            | Self::Delete { message }
            | Self::ReadPosition { message } => Some(*message),
            Self::Text { .. }
            | Self::Photo(_)
            | Self::Voice(_)
            | Self::Poll(_)
            | Self::Task(_)
            | Self::Typing { .. } => None,
        }
    }

    /// What a client that does not know the kind shows; empty where it need not show anything.
    #[must_use]
    pub fn fallback_text(&self) -> String {
        match self {
            Self::Text { text } => text.clone(),
            Self::Photo(photo) if photo.caption.is_empty() => "Photo".to_owned(),
            Self::Photo(photo) => format!("Photo: {}", photo.caption),
            Self::Voice(voice) => voice.fallback_text(),
            Self::Poll(poll) => poll.fallback_text(),
            Self::Vote(vote) => vote.fallback_text(),
            Self::Task(task) => task.fallback_text(),
            Self::TaskChange(change) => change.fallback_text().to_owned(),
            Self::Reaction { emoji: Some(emoji), .. } => format!("Reacted with {emoji}"),
            Self::Reaction { emoji: None, .. } => "Took a reaction back".to_owned(),
            Self::Edit { text, .. } => format!("Changed a message to: {text}"),
            Self::Delete { .. } => "Deleted a message".to_owned(),
            Self::Typing { .. } | Self::ReadPosition { .. } => String::new(),
        }
    }

    /// Holds it, and the attachments of its content, against the rules.
    pub(in crate::kind) fn validate(&self, attachments: &[Attachment]) -> Result<(), ContentError> {
        let takes_files = matches!(self, Self::Text { .. } | Self::Task(_) | Self::Photo(_) | Self::Voice(_));
        if !takes_files && !attachments.is_empty() {
            return Err(ContentError::Field("attachments"));
        }
        match self {
            Self::Text { text } => {
                let is_blank = text.trim().is_empty() && (attachments.is_empty() || !text.is_empty());
                bounded(text, CHAT_TEXT_LENGTH_MAX, "chat.text", is_blank)
            }
            Self::Photo(photo) => photo.validate(attachments),
            Self::Voice(voice) => voice.validate(attachments),
            Self::Poll(poll) => poll.validate(),
            Self::Vote(vote) => vote.validate(),
            Self::Task(task) => task.validate(),
            Self::Reaction { emoji: Some(emoji), .. } if !is_emoji(emoji) => Err(ContentError::Field("chat.emoji")),
            Self::Edit { text, .. } => bounded(text, CHAT_TEXT_LENGTH_MAX, "chat.text", text.trim().is_empty()),
            Self::TaskChange(_)
            | Self::Reaction { .. }
            | Self::Delete { .. }
            | Self::Typing { .. }
            | Self::ReadPosition { .. } => Ok(()),
        }
    }
}

/// Refuses a text that is blank where it must not be, or too long.
fn bounded(text: &str, length_max: usize, field: &'static str, is_blank: bool) -> Result<(), ContentError> {
    if is_blank || text.len() > length_max { Err(ContentError::Field(field)) } else { Ok(()) }
}

/// Whether a text can be an emoji: short, something beyond ASCII, no letter of it, no white space and nothing that controls.
/// Which sequences are emoji changes every year; this keeps sentences and tricks out, not next year's emoji.
fn is_emoji(text: &str) -> bool {
    text.len() <= REACTION_LENGTH_MAX
        && !text.is_ascii()
        && !text.chars().any(|letter| {
            letter.is_control() || letter.is_whitespace() || letter.is_ascii_alphabetic() || is_bidirectional(letter)
        })
}

/// Whether a character turns the direction of what is around it (Unicode Standard Annex 9, explicit formatting).
const fn is_bidirectional(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for Chat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text { .. } => "Text(..)",
            Self::Photo(_) => "Photo(..)",
            Self::Voice(_) => "Voice(..)",
            Self::Poll(_) => "Poll(..)",
            Self::Vote(_) => "Vote(..)",
            Self::Task(_) => "Task(..)",
            Self::TaskChange(_) => "TaskChange(..)",
            Self::Reaction { .. } => "Reaction(..)",
            Self::Edit { .. } => "Edit(..)",
            Self::Delete { .. } => "Delete(..)",
            Self::Typing { .. } => "Typing(..)",
            Self::ReadPosition { .. } => "ReadPosition(..)",
        })
    }
}
