//! Groups: make and change them, say and read what is said.

use std::path::PathBuf;

use medipeps_client::engine::{CreateGroup, Event, GroupEvent, GroupId, GroupInput, Input, SendToGroup};
use medipeps_client::shell::agent::Agent;
use medipeps_core::kind::{Body, MessageId, Urgency};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord};

use super::Client;
use super::mail::{documents as placed, saved};
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::{address, addresses, group_id, message_id, organisation_id};
use crate::record::group::{ChatBody, Group, GroupMessage, GroupRequest, GroupRole};
use crate::record::mail::{Document, SavedAttachment};

#[uniffi::export]
impl Client {
    /// Makes a group, with this account as its owner, and invites the members.
    ///
    /// # Errors
    /// `Argument`, `Rejected`, `NoAccount`. In a group of an organisation, where a member has shown no certificate of it, or it keeps
    /// messages shorter: `Rejected`.
    pub async fn create_group(&self, request: GroupRequest) -> Result<Group, MedipepsError> {
        let members = addresses(&request.members)?;
        let command = CreateGroup {
            name: request.name,
            description: request.description,
            members: members.into_iter().map(|member| (member, GroupRoleRecord::Member)).collect(),
            retention_days: request.retention_days,
            organisation: request.organisation.as_deref().map(organisation_id).transpose()?,
        };
        self.worker
            .call(async move |agent| {
                let made = agent.create_group(command, &mut |_| {}).await?;
                find(agent, &made)
            })
            .await
    }

    /// All groups.
    ///
    /// # Errors
    /// `Store`
    pub async fn groups(&self) -> Result<Vec<Group>, MedipepsError> {
        self.worker.call(async |agent| Ok(agent.groups()?.iter().map(Group::from).collect())).await
    }

    /// Takes accounts in.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where this account may not.
    pub async fn add_to_group(
        &self,
        group: String,
        members: Vec<String>,
        role: GroupRole,
    ) -> Result<Group, MedipepsError> {
        let add = |member| GroupChangeKind::Add(member, role.into());
        self.change(group, addresses(&members)?.into_iter().map(add).collect()).await
    }

    /// Takes accounts out. They cannot read what is said afterwards.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where this account may not.
    pub async fn remove_from_group(&self, group: String, members: Vec<String>) -> Result<Group, MedipepsError> {
        self.change(group, addresses(&members)?.into_iter().map(GroupChangeKind::Remove).collect()).await
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where this account may not.
    pub async fn set_group_role(&self, group: String, member: String, role: GroupRole) -> Result<Group, MedipepsError> {
        self.change(group, vec![GroupChangeKind::Role(address(&member)?, role.into())]).await
    }

    /// Calls a group otherwise.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where this account may not.
    pub async fn rename_group(&self, group: String, name: String) -> Result<Group, MedipepsError> {
        self.change(group, vec![GroupChangeKind::Name(name)]).await
    }

    /// Agrees on another time for which messages are kept; 0: for ever. A day after it was shortened all members' devices delete what
    /// is over: a person is told first.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where this account may not.
    pub async fn set_group_retention(&self, group: String, days: u32) -> Result<Group, MedipepsError> {
        self.change(group, vec![GroupChangeKind::Retention(days)]).await
    }

    /// Makes a group anew that cannot go on, with the same members; an owner may. What was said in the former one stays there.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where this account may not.
    pub async fn recreate_group(&self, group: String) -> Result<Group, MedipepsError> {
        let former = group_id(&group)?;
        self.worker
            .call(async move |agent| {
                find(agent, &former)?;
                // Somebody else may have done it meanwhile.
                agent.run(Input::Group(GroupInput::ReadAll), &mut |_| {}).await?;
                agent.send_due(&mut |_| {}).await?;
                let mut made = None;
                let mut see = |event: &Event| {
                    if let Event::Group { group, event: GroupEvent::Prepared } = event {
                        made = Some(*group);
                    }
                };
                agent.run(Input::Group(GroupInput::Recreate(former)), &mut see).await?;
                let made = made.ok_or_else(not_made)?;
                agent.settle_group(&made, &mut |_| {}).await?;
                // The former one says where it goes on, where it still can say anything.
                agent.settle_group(&former, &mut |_| {}).await?;
                find(agent, &made)
            })
            .await
    }

    /// Takes this account out of a group.
    ///
    /// # Errors
    /// `NotFound`, `Rejected` where it is the last owner.
    pub async fn leave_group(&self, group: String) -> Result<Group, MedipepsError> {
        self.change(group, vec![GroupChangeKind::Leave]).await
    }

    /// Says something in a group, durably, and tries to send it. Gives back the message as it stands then.
    ///
    /// # Errors
    /// `Argument`, `NotFound`, `Rejected`, `File`; nothing was queued then.
    pub async fn say(
        &self,
        group: String,
        body: ChatBody,
        in_reply_to: Option<String>,
        documents: Vec<Document>,
    ) -> Result<GroupMessage, MedipepsError> {
        let group = group_id(&group)?;
        let in_reply_to = in_reply_to.as_deref().map(message_id).transpose()?.map(MessageId);
        let said = message(group, Body::Chat(body.into_chat()?), in_reply_to);
        let documents = placed(documents)?;
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                let number = agent.send_to_group(said, documents, &mut |_| {}).await?;
                agent.settle_said(&group, number, &mut |_| {}).await?;
                Ok(GroupMessage::from(&agent.group_message(&group, number)?))
            })
            .await
    }

    /// What was said in a group, at most so many messages, the last ones, in the order of the group.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn group_messages(&self, group: String, limit: u32) -> Result<Vec<GroupMessage>, MedipepsError> {
        let group = group_id(&group)?;
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                Ok(agent.group_messages(&group, limit.into())?.iter().map(GroupMessage::from).collect())
            })
            .await
    }

    /// One message of a group, by its number on this device.
    ///
    /// # Errors
    /// `NotFound`, `Argument`.
    pub async fn group_message(&self, group: String, number: i64) -> Result<GroupMessage, MedipepsError> {
        let (group, number) = (group_id(&group)?, numbered(number)?);
        self.worker.call(async move |agent| Ok(GroupMessage::from(&agent.group_message(&group, number)?))).await
    }

    /// Saves all attachments of a message of a group, as [`Client::save_attachments`] does. A photo that says more than its pixels
    /// is not saved.
    ///
    /// # Errors
    /// `NotFound`, `Argument`, `File` where the folder cannot be made.
    pub async fn save_group_attachments(
        &self,
        group: String,
        number: i64,
        folder: String,
    ) -> Result<Vec<SavedAttachment>, MedipepsError> {
        let (group, number, folder) = (group_id(&group)?, numbered(number)?, PathBuf::from(folder));
        self.worker
            .call(async move |agent| {
                let message = agent.group_message(&group, number)?;
                saved(&folder, async || agent.save_group_files(&message, &folder).await).await
            })
            .await
    }

    /// A person has seen the messages of a group up to this number.
    ///
    /// # Errors
    /// `NotFound`, `Argument`.
    pub async fn mark_group_displayed(&self, group: String, number: i64) -> Result<(), MedipepsError> {
        let (group, number) = (group_id(&group)?, numbered(number)?);
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                agent.run(Input::Group(GroupInput::Seen(group, number)), &mut |_| {}).await?;
                Ok(())
            })
            .await
    }

    /// Whether the members of a group are told what is read on this device, from now on.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn tell_read_positions(&self, group: String, told: bool) -> Result<Group, MedipepsError> {
        let group = group_id(&group)?;
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                agent.take_note(&Input::Group(GroupInput::ReadPositions(group, told))).await?;
                find(agent, &group)
            })
            .await
    }

    /// Tells those who are connected that a person types in a group, or has stopped. It is kept by nobody.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn type_in_group(&self, group: String, active: bool) -> Result<(), MedipepsError> {
        let group = group_id(&group)?;
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                agent.type_in_group(&group, active).await?;
                Ok(())
            })
            .await
    }
}

impl Client {
    async fn change(&self, group: String, what: Vec<GroupChangeKind>) -> Result<Group, MedipepsError> {
        let group = group_id(&group)?;
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                let outcome = agent.change_group(&group, what, &mut |_| {}).await?;
                match outcome.failed {
                    Some(word) => Err(MedipepsError::new(Code::Rejected, &word, format!("it cannot be done: {word}"))),
                    None => find(agent, &group),
                }
            })
            .await
    }
}

fn not_made() -> MedipepsError {
    MedipepsError::new(Code::Rejected, "group", "the group was not made")
}

pub(super) fn numbered(number: i64) -> Result<u64, MedipepsError> {
    u64::try_from(number).map_err(|_| MedipepsError::argument("number", "it is not negative"))
}

/// Something to be said in a group.
pub(super) fn message(group: GroupId, body: Body, in_reply_to: Option<MessageId>) -> SendToGroup {
    SendToGroup {
        group,
        fallback_text: body.fallback_text(),
        body,
        in_reply_to,
        attachments: Vec::new(),
        urgency: Urgency::Routine,
        expires: None,
    }
}

pub(super) fn find(agent: &mut Agent, id: &GroupId) -> Result<Group, MedipepsError> {
    let groups = agent.groups()?;
    let group = groups.iter().find(|group| group.id == *id).map(Group::from);
    group.ok_or_else(|| MedipepsError::new(Code::NotFound, "group", "there is no such group"))
}
