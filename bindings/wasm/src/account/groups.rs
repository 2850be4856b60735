//! Groups: make and change them, say and read what is said.

use js_sys::Array;
use medipeps_client::engine::{CreateGroup, GroupId, GroupInput, GroupSummary, Input, SendToGroup};
use medipeps_client::shell::agent::OutgoingDocument;
use medipeps_core::kind::{Body, Chat, Conversation, MUTED_FOR_EVER, Settings, Urgency};
use medipeps_core::wire::client_records::{GroupChangeKind, GroupRoleRecord};
use wasm_bindgen::prelude::*;

use super::{Account, Agent};
use crate::document::{PageDocument, documents};
use crate::error::PageError;
use crate::host::since_1970;
use crate::record::group::{ChatDraft, Group, GroupMessage, GroupRequest};
use crate::record::{addresses, given, group_id, message_id, taken};

#[wasm_bindgen]
impl Account {
    /// All groups, oldest first.
    ///
    /// # Errors
    /// `store`
    pub async fn groups(&self) -> Result<JsValue, JsValue> {
        let listed = async |agent: &mut Agent| {
            let settings = agent.settings()?;
            Ok(agent.groups()?.iter().map(|group| shown(group, &settings)).collect::<Vec<_>>())
        };
        given(&self.with(listed).await?)
    }

    /// Makes a group, with this account as its owner, and invites the members.
    ///
    /// # Errors
    /// `argument`, `engine`.
    #[wasm_bindgen(js_name = createGroup)]
    pub async fn create_group(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let request: GroupRequest = taken(request)?;
        let members = addresses(&request.members)?;
        let command = CreateGroup {
            name: request.name,
            description: request.description,
            members: members.into_iter().map(|member| (member, GroupRoleRecord::Member)).collect(),
            retention_days: request.retention_days,
            organisation: None,
        };
        let made = async |agent: &mut Agent| {
            let made = agent.create_group(command, &mut self.hear()).await?;
            found(agent, &made)
        };
        given(&self.with(made).await?)
    }

    /// Takes accounts in.
    ///
    /// # Errors
    /// `not_found`; `engine` where this account may not.
    #[wasm_bindgen(js_name = addToGroup)]
    pub async fn add_to_group(&self, group: String, members: Vec<String>) -> Result<JsValue, JsValue> {
        let add = |member| GroupChangeKind::Add(member, GroupRoleRecord::Member);
        self.change(&group, addresses(&members)?.into_iter().map(add).collect()).await
    }

    /// Takes accounts out. They cannot read what is said afterwards.
    ///
    /// # Errors
    /// `not_found`; `engine` where this account may not.
    #[wasm_bindgen(js_name = removeFromGroup)]
    pub async fn remove_from_group(&self, group: String, members: Vec<String>) -> Result<JsValue, JsValue> {
        self.change(&group, addresses(&members)?.into_iter().map(GroupChangeKind::Remove).collect()).await
    }

    /// Calls a group otherwise.
    ///
    /// # Errors
    /// `not_found`; `engine` where this account may not.
    #[wasm_bindgen(js_name = renameGroup)]
    pub async fn rename_group(&self, group: String, name: String) -> Result<JsValue, JsValue> {
        self.change(&group, vec![GroupChangeKind::Name(name)]).await
    }

    /// Takes this account out of a group.
    ///
    /// # Errors
    /// `not_found`; `engine` where it is the last owner.
    #[wasm_bindgen(js_name = leaveGroup)]
    pub async fn leave_group(&self, group: String) -> Result<JsValue, JsValue> {
        self.change(&group, vec![GroupChangeKind::Leave]).await
    }

    /// Says something in a group, and tries to send it. Gives back the message as it stands then: one with files that do not fit
    /// it waits until they are sent, as those of a mail do ([`Account::send`]).
    ///
    /// # Errors
    /// `argument`, `not_found`, `engine`, `quota`, `document`; nothing was queued then.
    pub async fn say(&self, group: String, draft: JsValue, attachments: Array) -> Result<JsValue, JsValue> {
        let (group, draft) = (group_id(&group)?, taken::<ChatDraft>(draft)?);
        let in_reply_to = draft.in_reply_to.as_deref().map(message_id).transpose()?;
        let said = SendToGroup { in_reply_to, ..chat(group, Chat::Text { text: draft.text }) };
        given(&self.said(said, documents(&attachments)?).await?)
    }

    /// Answers a message by an emoji, or takes that back.
    ///
    /// # Errors
    /// As [`Account::say`].
    pub async fn react(&self, group: String, message: String, emoji: Option<String>) -> Result<JsValue, JsValue> {
        let reaction = Chat::Reaction { message: message_id(&message)?, emoji };
        given(&self.said(chat(group_id(&group)?, reaction), Vec::new()).await?)
    }

    /// What was said in a group, at most so many messages, the last ones, in the order of the group.
    ///
    /// # Errors
    /// `not_found`
    #[wasm_bindgen(js_name = groupMessages)]
    pub async fn group_messages(&self, group: String, limit: u32) -> Result<JsValue, JsValue> {
        let group = group_id(&group)?;
        let listed = async |agent: &mut Agent| {
            found(agent, &group)?;
            let messages = agent.group_messages(&group, limit.into())?;
            Ok(messages.iter().map(GroupMessage::from).collect::<Vec<_>>())
        };
        given(&self.with(listed).await?)
    }

    /// A person has seen the messages of a group up to this number.
    ///
    /// # Errors
    /// `not_found`
    #[wasm_bindgen(js_name = markGroupDisplayed)]
    pub async fn mark_group_displayed(&self, group: String, number: f64) -> Result<(), JsValue> {
        let (group, number) = (group_id(&group)?, whole(number)?);
        let seen = async |agent: &mut Agent| {
            found(agent, &group)?;
            agent.run(Input::Group(GroupInput::Seen(group, number)), &mut |_| {}).await?;
            Ok(())
        };
        Ok(self.with(seen).await?)
    }

    /// Tells those who are connected that a person types in a group, or has stopped. It is kept by nobody.
    ///
    /// # Errors
    /// `not_found`
    #[wasm_bindgen(js_name = typeInGroup)]
    pub async fn type_in_group(&self, group: String, active: bool) -> Result<(), JsValue> {
        let group = group_id(&group)?;
        let told = async |agent: &mut Agent| {
            found(agent, &group)?;
            agent.type_in_group(&group, active).await?;
            Ok(())
        };
        Ok(self.with(told).await?)
    }
}

#[wasm_bindgen]
impl Account {
    /// Lets a group come without ringing, on all devices of the account, or lets it ring again.
    ///
    /// # Errors
    /// `not_found`
    #[wasm_bindgen(js_name = muteGroup)]
    pub async fn mute_group(&self, group: String, muted: bool) -> Result<(), JsValue> {
        let group = group_id(&group)?;
        self.with(async |agent: &mut Agent| found(agent, &group).map(drop)).await?;
        let until = if muted { MUTED_FOR_EVER } else { 0 };
        self.done(Input::Mute { conversation: Conversation::Group(group), until }).await
    }
}

impl Account {
    async fn said(
        &self,
        said: SendToGroup,
        documents: Vec<OutgoingDocument<PageDocument>>,
    ) -> Result<GroupMessage, PageError> {
        let group = said.group;
        let sent = async |agent: &mut Agent| {
            found(agent, &group)?;
            let number = agent.send_to_group(said, documents, &mut |_| {}).await?;
            // One that waits for its documents has a code that says so, and the next seconds do not change that.
            if agent.group_message(&group, number)?.message.code.is_none() {
                agent.settle_group(&group, &mut self.hear()).await?;
            }
            Ok(GroupMessage::from(&agent.group_message(&group, number)?))
        };
        self.with(sent).await
    }

    async fn change(&self, group: &str, what: Vec<GroupChangeKind>) -> Result<JsValue, JsValue> {
        let group = group_id(group)?;
        let changed = async |agent: &mut Agent| {
            found(agent, &group)?;
            let outcome = agent.change_group(&group, what, &mut self.hear()).await?;
            match outcome.failed {
                Some(word) => Err(PageError::engine(format!("it cannot be done: {word}")).because(&word)),
                None => found(agent, &group),
            }
        };
        given(&self.with(changed).await?)
    }
}

/// Something of a chat to be said in a group.
fn chat(group: GroupId, chat: Chat) -> SendToGroup {
    let body = Body::Chat(chat);
    SendToGroup {
        group,
        fallback_text: body.fallback_text(),
        body,
        in_reply_to: None,
        attachments: Vec::new(),
        urgency: Urgency::Routine,
        expires: None,
    }
}

fn found(agent: &mut Agent, id: &GroupId) -> Result<Group, PageError> {
    let settings = agent.settings()?;
    let group = agent.groups()?.iter().find(|group| group.id == *id).map(|group| shown(group, &settings));
    group.ok_or_else(|| PageError::not_found("there is no such group"))
}

fn shown(group: &GroupSummary, settings: &Settings) -> Group {
    Group::of(group, settings.is_muted(&Conversation::Group(group.id), since_1970()))
}

/// A number of JavaScript's as what counts messages.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at before")]
pub(super) fn whole(number: f64) -> Result<u64, PageError> {
    match number.fract() == 0.0 && (0.0..=9_007_199_254_740_991.0).contains(&number) {
        true => Ok(number as u64),
        false => Err(PageError::argument("a message's number is a whole one")),
    }
}
