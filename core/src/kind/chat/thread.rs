//! A thread: the fold of its messages, in the order of the log, into what a reader shows.
//!
//! What comes late or twice changes nothing in the end: every message has a place ([`Place::position`]), the later of two that
//! cannot both stand is the one with the higher place and then the higher id, and what speaks of a message that has not come
//! yet waits for it.

use std::collections::BTreeMap;

use thiserror::Error;

use super::super::author::{Author, Place};
use super::super::body::Body;
use super::super::content::{Content, MessageId};
use super::super::redacted::redacted;
use super::shown::{ShownBody, ShownFile, ShownMessage};
use super::task::TaskChanges;
use super::{Chat, TaskChange, TaskState};
use crate::limits::{CAPTION_LENGTH_MAX, CHAT_WAITING_MAX, EDIT_WINDOW};

/// One chat message with what the session or the group says about it.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatEntry {
    /// The content's id.
    pub id: MessageId,
    /// Who wrote it: never what the content claims.
    pub author: Author,
    /// When and where in the thread.
    pub place: Place,
    /// The message that it answers.
    pub in_reply_to: Option<MessageId>,
    /// What it says.
    pub chat: Chat,
    /// The files beside it.
    pub files: Vec<ShownFile>,
}

/// What a thread has made of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It counts. What had waited for it and is illegal is named.
    Done {
        /// Which, and why.
        refused: Vec<(MessageId, ChatRefusal)>,
    },
    /// It waits for the message that it speaks of.
    Waiting,
    /// It has come before; nothing has changed.
    Duplicate,
}

/// Why an entry does not count. The thread is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChatRefusal {
    /// Typing is never part of a thread.
    #[error("typing is passed on and not kept")]
    Ephemeral,
    /// Somebody else has used the id before.
    #[error("the message has the id of another's message")]
    IdTaken,
    /// Edited or deleted by another account than the one that wrote it.
    #[error("only who wrote a message edits or deletes it")]
    NotYours,
    /// Edited more than [`EDIT_WINDOW`] after it was written.
    #[error("a message is edited within {EDIT_WINDOW} ms")]
    TooLate,
    /// Polls, tasks and recordings are not edited: what others have answered would come to mean something else.
    #[error("a message of this sort is not edited")]
    NotEditable,
    /// The new caption is too long.
    #[error("a caption has at most {CAPTION_LENGTH_MAX} bytes")]
    CaptionTooLong,
    /// The message that it speaks of has been deleted.
    #[error("the message has been deleted")]
    Deleted,
    /// A vote on something else than a poll.
    #[error("the message is no poll")]
    NotPoll,
    /// A vote after the poll has closed.
    #[error("the poll has closed")]
    PollClosed,
    /// A vote for an option that the poll does not have.
    #[error("the poll has no such option")]
    NoSuchOption,
    /// A vote for several options of a poll with one choice.
    #[error("one option of the poll is chosen")]
    OneOptionOnly,
    /// A change of something else than a task.
    #[error("the message is no task")]
    NotTask,
    /// A change of somebody else's task.
    #[error("the task is not yours")]
    NotAssigned,
    /// A task cannot go from the one state to the other.
    #[error("a task does not go from {from:?} to {to:?}")]
    IllegalTransition {
        /// Its state.
        from: TaskState,
        /// What it should have become.
        to: TaskState,
    },
    /// The task has been changed too often.
    #[error("the task has been changed too often")]
    TooManyChanges,
    /// Too much waits for messages that have not come.
    #[error("{CHAT_WAITING_MAX} messages wait for others that have not come")]
    TooManyWaiting,
}

/// A thread as a reader shows it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ChatThread {
    messages: BTreeMap<(u64, MessageId), ShownMessage>,
    positions: BTreeMap<MessageId, u64>,
    seen: BTreeMap<MessageId, Author>,
    waiting: BTreeMap<MessageId, BTreeMap<(u64, MessageId), ChatEntry>>,
    waiting_count: usize,
    read: BTreeMap<Author, (u64, MessageId)>,
}

impl ChatEntry {
    /// The entry of a content; `None` if it is of another kind.
    #[must_use]
    pub fn of(content: &Content, author: Author, place: Place) -> Option<Self> {
        let Body::Chat(chat) = &content.body else { return None };
        let files = content.attachments.iter().map(ShownFile::of).collect();
        Some(Self { id: content.id, author, place, in_reply_to: content.in_reply_to, chat: chat.clone(), files })
    }

    const fn key(&self) -> (u64, MessageId) {
        (self.place.position, self.id)
    }
}

impl ChatThread {
    /// Takes an entry in.
    ///
    /// # Errors
    /// [`ChatRefusal`]; the thread then shows what it did before.
    pub fn apply(&mut self, entry: ChatEntry) -> Result<Applied, ChatRefusal> {
        if entry.chat.is_ephemeral() {
            return Err(ChatRefusal::Ephemeral);
        }
        match self.seen.get(&entry.id) {
            Some(author) if *author == entry.author => return Ok(Applied::Duplicate),
            Some(_) => return Err(ChatRefusal::IdTaken),
            None => {}
        }
        let (id, author) = (entry.id, entry.author.clone());
        let applied = match entry.chat.target() {
            None => Applied::Done { refused: self.show(entry) },
            Some(target) if self.positions.contains_key(&target) => match self.act(target, entry) {
                Ok(()) => Applied::Done { refused: Vec::new() },
                Err(refusal) => {
                    if matches!(refusal, ChatRefusal::IllegalTransition { .. }) {
                        self.seen.insert(id, author); // it is kept, and may count once an earlier one comes
                    }
                    return Err(refusal);
                }
            },
            Some(_) if self.waiting_count >= CHAT_WAITING_MAX => return Err(ChatRefusal::TooManyWaiting),
            Some(target) => {
                self.waiting.entry(target).or_default().insert(entry.key(), entry);
                self.waiting_count += 1;
                Applied::Waiting
            }
        };
        self.seen.insert(id, author);
        Ok(applied)
    }

    /// All messages, tombstones included, in the order of the thread.
    pub fn messages(&self) -> impl Iterator<Item = &ShownMessage> {
        self.messages.values()
    }

    /// One message.
    #[must_use]
    pub fn message(&self, id: &MessageId) -> Option<&ShownMessage> {
        self.messages.get(&(*self.positions.get(id)?, *id))
    }

    /// Up to which message each reader has read.
    pub fn read_positions(&self) -> impl Iterator<Item = (&Author, MessageId)> {
        self.read.iter().map(|(author, (_, id))| (author, *id))
    }

    /// Shows a new message, and takes in what has waited for it.
    fn show(&mut self, entry: ChatEntry) -> Vec<(MessageId, ChatRefusal)> {
        let (key, id) = (entry.key(), entry.id);
        let body = match entry.chat {
            Chat::Text { text } => ShownBody::Text(text),
            Chat::Photo(photo) => ShownBody::Photo(photo),
            Chat::Voice(voice) => ShownBody::Voice(voice),
            Chat::Poll(poll) => ShownBody::Poll(poll),
            Chat::Task(task) => ShownBody::Task(task),
            // These speak of others or are not kept.
            Chat::Vote(_)
            | Chat::TaskChange(_)
            | Chat::Reaction { .. }
            | Chat::Edit { .. }
            | Chat::Delete { .. }
            | Chat::Typing { .. }
            | Chat::ReadPosition { .. } => return Vec::new(),
        };
        let message = ShownMessage {
            id,
            author: entry.author,
            place: entry.place,
            in_reply_to: entry.in_reply_to,
            body,
            files: entry.files,
            edited: None,
            edit: None,
            reactions: BTreeMap::new(),
            votes: BTreeMap::new(),
            changes: TaskChanges::default(),
        };
        self.messages.insert(key, message);
        self.positions.insert(id, key.0);
        let waiting = self.waiting.remove(&id).unwrap_or_default();
        self.waiting_count -= waiting.len();
        let refused = waiting.into_values().map(|entry| (entry.id, self.act(id, entry)));
        refused.filter_map(|(id, result)| result.err().map(|refusal| (id, refusal))).collect()
    }

    /// Takes in what speaks of a message that is there.
    fn act(&mut self, target: MessageId, entry: ChatEntry) -> Result<(), ChatRefusal> {
        let (key, at) = (entry.key(), entry.place.at);
        let Some(message) = self.positions.get(&target).and_then(|at| self.messages.get_mut(&(*at, target))) else {
            return Ok(());
        };
        if let Chat::ReadPosition { .. } = entry.chat {
            let position = (message.place.position, target);
            let read = self.read.entry(entry.author).or_insert(position);
            *read = position.max(*read);
            return Ok(());
        }
        if let Chat::Delete { .. } = entry.chat {
            return message.delete(&entry.author, at);
        }
        if message.is_deleted() {
            return Err(ChatRefusal::Deleted);
        }
        match entry.chat {
            Chat::Edit { text, .. } => message.edit(&entry.author, key, at, text),
            Chat::Reaction { emoji, .. } => {
                replace(&mut message.reactions, entry.author, key, emoji);
                Ok(())
            }
            Chat::Vote(vote) => {
                let ShownBody::Poll(poll) = &message.body else { return Err(ChatRefusal::NotPoll) };
                poll.admits(&vote, at)?;
                replace(&mut message.votes, entry.author, key, vote.options);
                Ok(())
            }
            Chat::TaskChange(TaskChange { state, .. }) => {
                let ShownBody::Task(task) = &message.body else { return Err(ChatRefusal::NotTask) };
                if !task.is_changed_by(&message.author, &entry.author) {
                    return Err(ChatRefusal::NotAssigned);
                }
                message.changes.insert(key, entry.author, state)
            }
            Chat::Text { .. }
            | Chat::Photo(_)
            | Chat::Voice(_)
            | Chat::Poll(_)
            | Chat::Task(_)
            | Chat::Delete { .. }
            | Chat::Typing { .. }
            | Chat::ReadPosition { .. } => Ok(()),
        }
    }
}

/// Puts a value in the place of an account's earlier one.
fn replace<T>(values: &mut BTreeMap<Author, ((u64, MessageId), T)>, author: Author, key: (u64, MessageId), value: T) {
    if values.get(&author).is_none_or(|(earlier, _)| *earlier < key) {
        values.insert(author, (key, value));
    }
}

impl ShownMessage {
    fn delete(&mut self, account: &Author, at: u64) -> Result<(), ChatRefusal> {
        if *account != self.author {
            return Err(ChatRefusal::NotYours);
        }
        let first = match self.body {
            ShownBody::Deleted { at: earlier } => earlier.min(at),
            _ => at,
        };
        self.body = ShownBody::Deleted { at: first };
        self.files.clear();
        (self.edited, self.edit) = (None, None);
        self.reactions.clear();
        self.votes.clear();
        self.changes = TaskChanges::default();
        Ok(())
    }

    fn edit(&mut self, account: &Author, key: (u64, MessageId), at: u64, text: String) -> Result<(), ChatRefusal> {
        if *account != self.author {
            return Err(ChatRefusal::NotYours);
        }
        if at.saturating_sub(self.place.at) > EDIT_WINDOW {
            return Err(ChatRefusal::TooLate);
        }
        let shown = match &mut self.body {
            ShownBody::Text(shown) => shown,
            ShownBody::Photo(photo) if text.len() <= CAPTION_LENGTH_MAX => &mut photo.caption,
            ShownBody::Photo(_) => return Err(ChatRefusal::CaptionTooLong),
            ShownBody::Voice(_) | ShownBody::Poll(_) | ShownBody::Task(_) | ShownBody::Deleted { .. } => {
                return Err(ChatRefusal::NotEditable);
            }
        };
        if self.edit.is_none_or(|earlier| earlier < key) {
            *shown = text;
            (self.edit, self.edited) = (Some(key), Some(at));
        }
        Ok(())
    }
}

redacted!(ChatEntry, ChatThread);
