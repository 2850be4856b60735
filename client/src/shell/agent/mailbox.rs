//! An organisation's mailbox: looked at, and what members do with what has come.

use std::path::Path;

use medipeps_core::kind::{Body, MailboxAnswer, MailboxEvent, MailboxItem, MailboxState, MessageId, Urgency};
use medipeps_core::wire::client_records::GroupMessageState;

use super::{Agent, AgentError, Saved, Show, now};
use crate::engine::{
    EngineError, Event, GroupEvent, GroupId, GroupInput, GroupMessage, Input, MailboxMail, MailboxView, SendToGroup,
};

/// What has become of something that somebody did with a message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxOutcome {
    /// It is in the group's log, and counts.
    Counted,
    /// It is on its way. It goes on with the next `sync`; a colleague may come before.
    Waits(MailboxWait),
    /// It does not count: how it stands with the message.
    Refused(MailboxState),
    /// It will never be in the log: why, as `spec/client-engine.md` has it.
    Failed(String),
}

/// What something waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxWait {
    /// The group's server has not taken it yet.
    Server,
    /// Something that stands in the way, for a person.
    Problem(String),
}

impl std::fmt::Display for MailboxWait {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server => formatter.write_str("the group's server has not taken it yet"),
            Self::Problem(problem) => formatter.write_str(problem),
        }
    }
}

impl Agent {
    /// A group's mailbox: what has come, and who takes care of it.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn mailbox(&mut self, group: &GroupId) -> Result<MailboxView, AgentError> {
        Ok(self.store.mailbox(group, now(), &mut self.rng)?)
    }

    /// The group whose mailbox this account is.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn served_mailbox(&mut self) -> Result<Option<GroupId>, AgentError> {
        Ok(self.store.served_mailbox(now(), &mut self.rng)?)
    }

    /// Does something with a message of a mailbox, and waits until it is in the log, as [`Self::settle_group`] does.
    ///
    /// # Errors
    /// [`AgentError::Handle`], with [`EngineError::UnknownMessage`] if nothing of that name has come.
    pub async fn act_in_mailbox(
        &mut self,
        group: &GroupId,
        event: MailboxEvent,
        show: Show<'_>,
    ) -> Result<MailboxOutcome, AgentError> {
        let message = event.message;
        let (said, problem) = self.say_in_mailbox(group, message, Body::MailboxEvent(event), show).await?;
        Ok(match said.message.state {
            GroupMessageState::Queued => {
                MailboxOutcome::Waits(problem.map_or(MailboxWait::Server, MailboxWait::Problem))
            }
            GroupMessageState::Failed => MailboxOutcome::Failed(said.message.code.unwrap_or_default()),
            GroupMessageState::Logged => {
                let view = self.mailbox(group)?;
                let item = view.mailbox.item(&message).ok_or(EngineError::UnknownMessage)?;
                // What counts has its place in the trace.
                let counts =
                    |item: &MailboxItem| item.trace().iter().any(|trace| trace.place.position == said.message.sequence);
                if counts(item) { MailboxOutcome::Counted } else { MailboxOutcome::Refused(item.state().clone()) }
            }
        })
    }

    /// Answers a message in the mailbox's name: the mailbox's account sends it when it has read it here. The message of the
    /// group that says so, as it stands then, and what stands in its way.
    ///
    /// # Errors
    /// As [`Self::act_in_mailbox`].
    pub async fn answer_in_mailbox(
        &mut self,
        group: &GroupId,
        answer: MailboxAnswer,
        show: Show<'_>,
    ) -> Result<(GroupMessage, Option<String>), AgentError> {
        self.say_in_mailbox(group, answer.message, Body::MailboxAnswer(answer), show).await
    }

    /// Saves all attachments of a message of a mailbox in a folder, as [`Self::save_attachments`] does.
    ///
    /// # Errors
    /// As [`Self::save_attachments`]; [`EngineError::UnknownMessage`] where its parts make no whole.
    pub async fn save_mailbox_files(&mut self, mail: &MailboxMail, folder: &Path) -> Result<Saved, AgentError> {
        let content = mail.content.as_ref().ok_or(EngineError::UnknownMessage)?;
        self.save_files(&mail.sender, content, folder).await
    }

    async fn say_in_mailbox(
        &mut self,
        group: &GroupId,
        message: MessageId,
        body: Body,
        show: Show<'_>,
    ) -> Result<(GroupMessage, Option<String>), AgentError> {
        // What colleagues have done meanwhile is read first.
        self.run(Input::Group(GroupInput::ReadAll), show).await?;
        self.send_due(show).await?;
        if self.mailbox(group)?.mailbox.item(&message).is_none() {
            return Err(EngineError::UnknownMessage.into());
        }
        let (fallback_text, attachments, in_reply_to) = (body.fallback_text(), Vec::new(), None);
        let urgency = Urgency::Routine;
        let command =
            SendToGroup { group: *group, body, fallback_text, in_reply_to, attachments, urgency, expires: None };
        let mut queued = None;
        let mut see = |event: &Event| {
            if let Event::Group { group: of, event: GroupEvent::MessageQueued { number } } = event
                && of == group
            {
                queued = Some(*number);
            }
            show(event);
        };
        self.run(Input::Group(GroupInput::Send(Box::new(command))), &mut see).await?;
        let number = queued.ok_or(EngineError::NoProgress)?;
        let problem = self.settle_group(group, show).await?;
        Ok((self.group_message(group, number)?, problem))
    }
}
