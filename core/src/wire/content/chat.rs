//! The message `Chat` of `spec/proto/content.proto`.

use prost::Message;

use super::address;
use crate::kind::{Chat, MessageId, Photo, Poll, Task, TaskChange, TaskState, Voice, Vote};
use crate::limits::{POLL_OPTIONS_MAX, TASK_ASSIGNEES_MAX};
use crate::wire::proto::chat::Says;
use crate::wire::{WireError, fixed, proto};

pub(super) fn encode(chat: &Chat) -> Vec<u8> {
    let id = |message: &MessageId| message.0.to_vec();
    let says = match chat {
        Chat::Text { text } => Says::Text(proto::ChatText { text: text.clone() }),
        Chat::Photo(photo) => {
            Says::Photo(proto::ChatPhoto { caption: photo.caption.clone(), width: photo.width, height: photo.height })
        }
        Chat::Voice(voice) => Says::Voice(proto::ChatVoice { duration: voice.duration }),
        Chat::Poll(poll) => Says::Poll(proto::ChatPoll {
            question: poll.question.clone(),
            options: poll.options.clone(),
            multiple: poll.multiple,
            closes: poll.closes.unwrap_or(0),
        }),
        Chat::Vote(vote) => Says::Vote(proto::ChatVote { poll: id(&vote.poll), options: vote.options.clone() }),
        Chat::Task(task) => Says::Task(proto::ChatTask {
            text: task.text.clone(),
            assignees: task.assignees.iter().map(ToString::to_string).collect(),
            due: task.due.unwrap_or(0),
        }),
        Chat::TaskChange(change) => Says::TaskChange(proto::ChatTaskChange {
            task: id(&change.task),
            state: match change.state {
                TaskState::Open => proto::TaskState::Open,
                TaskState::Done => proto::TaskState::Done,
                TaskState::Declined => proto::TaskState::Declined,
            }
            .into(),
        }),
        Chat::Reaction { message, emoji } => {
            Says::Reaction(proto::ChatReaction { message: id(message), emoji: emoji.clone().unwrap_or_default() })
        }
        Chat::Edit { message, text } => Says::Edit(proto::ChatEdit { message: id(message), text: text.clone() }),
        Chat::Delete { message } => Says::Delete(proto::ChatDelete { message: id(message) }),
        Chat::Typing { active } => Says::Typing(proto::ChatTyping { active: *active }),
        Chat::ReadPosition { message } => Says::ReadPosition(proto::ChatReadPosition { message: id(message) }),
    };
    proto::Chat { says: Some(says) }.encode_to_vec()
}

/// `None` is a chat message of a later version.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<Chat>, WireError> {
    let Some(says) = proto::Chat::decode(bytes)?.says else { return Ok(None) };
    let id = |bytes: &[u8], field| fixed(bytes, field).map(MessageId);
    let time = |time: u64| (time != 0).then_some(time);
    Ok(Some(match says {
        Says::Text(message) => Chat::Text { text: message.text },
        Says::Photo(photo) => Chat::Photo(Photo { caption: photo.caption, width: photo.width, height: photo.height }),
        Says::Voice(voice) => Chat::Voice(Voice { duration: voice.duration }),
        Says::Poll(poll) => Chat::Poll(Poll {
            question: poll.question,
            options: poll.options,
            multiple: poll.multiple,
            closes: time(poll.closes),
        }),
        Says::Vote(vote) if vote.options.len() > POLL_OPTIONS_MAX => return Err(WireError::Bounds("vote.options")),
        Says::Vote(vote) => Chat::Vote(Vote { poll: id(&vote.poll, "vote.poll")?, options: vote.options }),
        Says::Task(task) if task.assignees.len() > TASK_ASSIGNEES_MAX => {
            return Err(WireError::Bounds("task.assignees"));
        }
        Says::Task(task) => {
            let assignees = task.assignees.iter().map(|text| address(text, "task.assignees"));
            Chat::Task(Task { text: task.text, assignees: assignees.collect::<Result<_, _>>()?, due: time(task.due) })
        }
        Says::TaskChange(change) => Chat::TaskChange(TaskChange {
            task: id(&change.task, "task_change.task")?,
            state: match proto::TaskState::try_from(change.state) {
                Ok(proto::TaskState::Open) => TaskState::Open,
                Ok(proto::TaskState::Done) => TaskState::Done,
                Ok(proto::TaskState::Declined) => TaskState::Declined,
                Ok(proto::TaskState::Unspecified) | Err(_) => return Err(WireError::Bounds("task_change.state")),
            },
        }),
        Says::Reaction(reaction) => Chat::Reaction {
            message: id(&reaction.message, "reaction.message")?,
            emoji: Some(reaction.emoji).filter(|emoji| !emoji.is_empty()),
        },
        Says::Edit(edit) => Chat::Edit { message: id(&edit.message, "edit.message")?, text: edit.text },
        Says::Delete(delete) => Chat::Delete { message: id(&delete.message, "delete.message")? },
        Says::Typing(typing) => Chat::Typing { active: typing.active },
        Says::ReadPosition(read) => Chat::ReadPosition { message: id(&read.message, "read_position.message")? },
    }))
}
