//! Tasks: who does what until when, and what became of it.

use std::collections::BTreeMap;

use super::super::author::Author;
use super::super::content::{ContentError, MessageId};
use super::super::redacted::redacted;
use super::bounded;
use super::thread::ChatRefusal;
use crate::Address;
use crate::limits::{TASK_ASSIGNEES_MAX, TASK_CHANGES_MAX, TASK_TEXT_LENGTH_MAX};

/// Something to be done.
#[derive(Clone, PartialEq, Eq)]
pub struct Task {
    /// What.
    pub text: String,
    /// By whom; none: everybody may.
    pub assignees: Vec<Address>,
    /// Until when, in milliseconds since 1970.
    pub due: Option<u64>,
}

/// What has become of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// To be done: how every task begins.
    Open,
    /// Done.
    Done,
    /// Somebody has said that he will not.
    Declined,
}

/// A task changes its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskChange {
    /// The task's message.
    pub task: MessageId,
    /// The state that it has from now on.
    pub state: TaskState,
}

/// The changes of one task, in the order of the thread; what is not legal there is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TaskChanges(BTreeMap<(u64, MessageId), (Author, TaskState)>);

impl TaskState {
    /// Whether a task in this state may get another: what is done or declined is opened again before it is anything else.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Open, Self::Done | Self::Declined) | (Self::Done | Self::Declined, Self::Open))
    }
}

impl Task {
    pub(super) fn validate(&self) -> Result<(), ContentError> {
        bounded(&self.text, TASK_TEXT_LENGTH_MAX, "task.text", self.text.trim().is_empty())?;
        let twice = |index: usize| self.assignees[..index].contains(&self.assignees[index]);
        if self.assignees.len() > TASK_ASSIGNEES_MAX || (0..self.assignees.len()).any(twice) {
            return Err(ContentError::Field("task.assignees"));
        }
        Ok(())
    }

    pub(super) fn fallback_text(&self) -> String {
        let names: Vec<_> = self.assignees.iter().map(Address::as_str).collect();
        if names.is_empty() {
            format!("Task: {}", self.text)
        } else {
            format!("Task for {}: {}", names.join(", "), self.text)
        }
    }

    /// Whether an account may change the task of this author: the author, an assignee, or anybody if there are none.
    pub(super) fn is_changed_by(&self, author: &Author, account: &Author) -> bool {
        account == author || self.assignees.is_empty() || self.assignees.contains(&account.address)
    }
}

impl TaskChange {
    pub(super) const fn fallback_text(self) -> &'static str {
        match self.state {
            TaskState::Open => "Opened a task again",
            TaskState::Done => "A task is done",
            TaskState::Declined => "Declined a task",
        }
    }
}

impl TaskChanges {
    /// Takes a change in. One that is not legal where it stands is kept all the same: what makes it legal may come late.
    pub(super) fn insert(
        &mut self,
        key: (u64, MessageId),
        account: Author,
        next: TaskState,
    ) -> Result<(), ChatRefusal> {
        if self.0.len() >= TASK_CHANGES_MAX {
            return Err(ChatRefusal::TooManyChanges);
        }
        let state = self.state_before(Some(key));
        self.0.insert(key, (account, next));
        if state.may_become(next) { Ok(()) } else { Err(ChatRefusal::IllegalTransition { from: state, to: next }) }
    }

    pub(super) fn state(&self) -> TaskState {
        self.state_before(None)
    }

    fn state_before(&self, end: Option<(u64, MessageId)>) -> TaskState {
        let changes = self.0.iter().take_while(|(key, _)| end.is_none_or(|end| **key < end));
        changes.fold(TaskState::Open, |state, (_, (_, next))| if state.may_become(*next) { *next } else { state })
    }
}

redacted!(Task);
