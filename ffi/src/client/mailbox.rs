//! Mailboxes of organisations: served by their own account, taken care of by the members of a group.

use std::path::PathBuf;

use medipeps_client::engine::{EngineError, GroupId, GroupInput, Input, MailboxView};
use medipeps_client::shell::agent::{Agent, MailboxOutcome};
use medipeps_core::Address;
use medipeps_core::kind::{self, MailboxAct, MailboxAnswer, MailboxEvent, MessageId};

use super::Client;
use super::group::find;
use super::mail::saved;
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::{GroupIdentifier, address, group_id, message_id};
use crate::record::group::GroupMessage;
use crate::record::hex;
use crate::record::mail::SavedAttachment;
use crate::record::mailbox::{MailboxChange, MailboxMessage, MailboxTrace};

#[uniffi::export]
impl Client {
    /// Makes this account the mailbox of a group that it owns. What has come to it and what comes is posted into the group, and what
    /// members answer is sent in its name, with every [`Client::sync`] and while receiving.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where this account does not own the group.
    pub async fn serve_mailbox(&self, group: String) -> Result<(), MedipepsError> {
        let group = group_id(&group)?;
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                agent.run(Input::Group(GroupInput::Serve(Some(group))), &mut |_| {}).await?;
                agent.send_due(&mut |_| {}).await?;
                Ok(())
            })
            .await
    }

    /// Makes this account no mailbox any more.
    ///
    /// # Errors
    /// `Store`
    pub async fn stop_serving_mailbox(&self) -> Result<(), MedipepsError> {
        self.worker
            .call(async |agent| {
                agent.run(Input::Group(GroupInput::Serve(None)), &mut |_| {}).await?;
                Ok(())
            })
            .await
    }

    /// The group whose mailbox this account is; `None`: of none.
    ///
    /// # Errors
    /// `Store`
    pub async fn served_mailbox(&self) -> Result<Option<GroupIdentifier>, MedipepsError> {
        self.worker.call(async |agent| Ok(agent.served_mailbox()?.map(|group| hex(&group)))).await
    }

    /// What has come to a group's mailbox, in the order in which it came into the group.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn mailbox_messages(&self, group: String) -> Result<Vec<MailboxMessage>, MedipepsError> {
        let group = group_id(&group)?;
        self.worker.call(async move |agent| Ok(MailboxMessage::all(&view(agent, &group)?))).await
    }

    /// One message of a group's mailbox.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn mailbox_message(&self, group: String, message: String) -> Result<MailboxMessage, MedipepsError> {
        let (group, message) = (group_id(&group)?, MessageId(message_id(&message)?));
        self.worker.call(async move |agent| one(&view(agent, &group)?, &message)).await
    }

    /// Takes care of a message. Of two who do, the first in the group's log has it.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where somebody else takes care of it, or it is done.
    pub async fn claim_mailbox_message(&self, group: String, message: String) -> Result<MailboxChange, MedipepsError> {
        self.act_in_mailbox(group, message, MailboxAct::Claimed).await
    }

    /// Lets a colleague take care of a message: one that nobody has, or that this account has; an owner of the group may give away
    /// any that somebody has.
    ///
    /// # Errors
    /// `Argument`, `NotFound`; `Rejected` where this account may not, or it is done.
    pub async fn assign_mailbox_message(
        &self,
        group: String,
        message: String,
        colleague: String,
    ) -> Result<MailboxChange, MedipepsError> {
        let colleague = address(&colleague)?;
        self.act_in_mailbox(group, message, MailboxAct::Assigned(colleague)).await
    }

    /// Does not take care of a message any more, or opens one again that was done.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where this account may not, or nobody takes care of it.
    pub async fn release_mailbox_message(
        &self,
        group: String,
        message: String,
    ) -> Result<MailboxChange, MedipepsError> {
        self.act_in_mailbox(group, message, MailboxAct::Released).await
    }

    /// Says that nothing is left to do for a message that this account takes care of.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where this account does not take care of it.
    pub async fn finish_mailbox_message(&self, group: String, message: String) -> Result<MailboxChange, MedipepsError> {
        self.act_in_mailbox(group, message, MailboxAct::Done).await
    }

    /// Answers a message in the mailbox's name. Gives back what was said of it in the group: the mailbox's account sends it when it
    /// has read it there.
    ///
    /// # Errors
    /// `Argument`, `NotFound`, `Rejected`; nothing was queued then.
    pub async fn answer_mailbox_message(
        &self,
        group: String,
        message: String,
        text: String,
    ) -> Result<GroupMessage, MedipepsError> {
        let (group, message) = (group_id(&group)?, MessageId(message_id(&message)?));
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                let answer = MailboxAnswer { message, text };
                let (said, _) = agent.answer_in_mailbox(&group, answer, &mut |_| {}).await?;
                Ok(GroupMessage::from(&said))
            })
            .await
    }

    /// What has happened to a message, or to all of a mailbox, in the order of the group; of one person's doing alone where one is
    /// named.
    ///
    /// # Errors
    /// `Argument`, `NotFound`.
    pub async fn mailbox_trace(
        &self,
        group: String,
        message: Option<String>,
        person: Option<String>,
    ) -> Result<Vec<MailboxTrace>, MedipepsError> {
        let (group, message) = (group_id(&group)?, message.as_deref().map(message_id).transpose()?.map(MessageId));
        let person = person.as_deref().map(address).transpose()?;
        self.worker
            .call(async move |agent| {
                let view = view(agent, &group)?;
                if let Some(message) = &message {
                    one(&view, message)?;
                }
                Ok(trace(&view, message.as_ref(), person.as_ref()))
            })
            .await
    }

    /// Saves all attachments of a message of a mailbox, as [`Client::save_attachments`] does.
    ///
    /// # Errors
    /// `NotFound`, `File` where the folder cannot be made.
    pub async fn save_mailbox_attachments(
        &self,
        group: String,
        message: String,
        folder: String,
    ) -> Result<Vec<SavedAttachment>, MedipepsError> {
        let (group, message) = (group_id(&group)?, MessageId(message_id(&message)?));
        let folder = PathBuf::from(folder);
        self.worker
            .call(async move |agent| {
                let view = view(agent, &group)?;
                let mail = view.mails.get(&message).ok_or(EngineError::UnknownMessage)?;
                saved(&folder, async || agent.save_mailbox_files(mail, &folder).await).await
            })
            .await
    }
}

impl Client {
    async fn act_in_mailbox(
        &self,
        group: String,
        message: String,
        act: MailboxAct,
    ) -> Result<MailboxChange, MedipepsError> {
        let (group, message) = (group_id(&group)?, MessageId(message_id(&message)?));
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                let waits = match agent.act_in_mailbox(&group, MailboxEvent { message, act }, &mut |_| {}).await? {
                    MailboxOutcome::Counted => false,
                    MailboxOutcome::Waits(_) => true,
                    MailboxOutcome::Failed(word) => {
                        return Err(MedipepsError::new(Code::Rejected, &word, format!("it was not said: {word}")));
                    }
                    MailboxOutcome::Refused(state) => return Err(refused(&state)),
                };
                Ok(MailboxChange { message: one(&view(agent, &group)?, &message)?, waits })
            })
            .await
    }
}

fn view(agent: &mut Agent, group: &GroupId) -> Result<MailboxView, MedipepsError> {
    find(agent, group)?;
    Ok(agent.mailbox(group)?)
}

fn one(view: &MailboxView, message: &MessageId) -> Result<MailboxMessage, MedipepsError> {
    let mail = view.mails.get(message).ok_or(EngineError::UnknownMessage)?;
    Ok(MailboxMessage::of(view, message, mail))
}

fn trace(view: &MailboxView, message: Option<&MessageId>, person: Option<&Address>) -> Vec<MailboxTrace> {
    let of_person = |trace: &&kind::MailboxTrace| {
        person.is_none_or(|person| trace.author.as_ref().is_some_and(|author| author.address == *person))
    };
    let items = view.mailbox.items().filter(|(id, _)| message.is_none_or(|message| message == *id));
    let mut traces: Vec<_> =
        items.flat_map(|(id, item)| item.trace().iter().filter(of_person).map(move |trace| (id, trace))).collect();
    traces.sort_by_key(|(_, trace)| trace.place);
    traces.into_iter().map(|(id, trace)| MailboxTrace::of(id, trace)).collect()
}

fn refused(state: &kind::MailboxState) -> MedipepsError {
    let (word, detail) = match state {
        kind::MailboxState::Unclaimed => ("mailbox_unclaimed", "nobody takes care of the message".to_owned()),
        kind::MailboxState::Held { by, .. } => ("mailbox_held", format!("{by} takes care of the message")),
        kind::MailboxState::Done { by, .. } => ("mailbox_done", format!("{by} is done with the message")),
    };
    MedipepsError::new(Code::Rejected, word, detail)
}
