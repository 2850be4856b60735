//! Cases: open, list, read, say something, close.

use std::time::SystemTime;

use medipeps_client::engine::{GroupId, SendToCase};
use medipeps_client::shell::agent::{self, Agent};
use medipeps_core::kind::{Body, Case as CaseBody, MessageId, PatientReference};

use super::Client;
use super::group::{find, message};
use super::mail::documents as placed;
use crate::MedipepsError;
use crate::identifier::{group_id, message_id};
use crate::record::case::{Case, CaseContents, CaseMember, CaseOverview, CaseRequest, team};
use crate::record::group::{ChatBody, GroupMessage};
use crate::record::mail::Document;
use crate::record::milliseconds;

#[uniffi::export]
impl Client {
    /// Opens a case in a group, durably, and tries to tell it. It goes with the group's retention.
    ///
    /// # Errors
    /// `Argument`, `NotFound`, `Rejected`; nothing was queued then.
    pub async fn open_case(&self, group: String, request: CaseRequest) -> Result<Case, MedipepsError> {
        let group = group_id(&group)?;
        let CaseRequest { patient, title, team: members, closes } = request;
        let (patient, closes) = (PatientReference::from(patient), closes.map(milliseconds));
        if patient.identifier.is_empty() {
            return Err(MedipepsError::argument("patient", "a case is about a patient"));
        }
        if closes.is_some_and(|closes| closes <= agent::now().0) {
            return Err(MedipepsError::argument("closes", "the case would be closed already"));
        }
        self.worker
            .call(async move |agent| {
                let own = agent.own_author()?.address.to_string();
                let mut members = members;
                match members.iter_mut().find(|member| member.address == own) {
                    Some(member) => member.may_close = true,
                    None => {
                        members.insert(0, CaseMember { address: own, function: String::new(), may_close: true });
                    }
                }
                let body = Body::Case(CaseBody::Opening { title, team: team(&members)?, closes });
                let number = tell(agent, group, (None, Some(patient)), body, None, Vec::new()).await?;
                let id = agent.group_message(&group, number)?.content.id;
                Ok(CaseContents::from(agent.case(&group, id)?).case)
            })
            .await
    }

    /// The cases of a group, those opened last first.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn cases(&self, group: String) -> Result<Vec<CaseOverview>, MedipepsError> {
        let group = group_id(&group)?;
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                Ok(agent.cases(&group)?.into_iter().map(CaseOverview::from).collect())
            })
            .await
    }

    /// One case with what was said in it.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn case_contents(&self, group: String, case_id: String) -> Result<CaseContents, MedipepsError> {
        let (group, case) = (group_id(&group)?, MessageId(message_id(&case_id)?));
        self.worker.call(async move |agent| Ok(CaseContents::from(agent.case(&group, case)?))).await
    }

    /// Says something in a case, durably, and tries to send it. Gives back the message as it stands then.
    ///
    /// # Errors
    /// `Argument`, `NotFound`, `File`; `Rejected` where the case is closed or this account is not of its team. Nothing was queued
    /// then.
    pub async fn say_in_case(
        &self,
        group: String,
        case_id: String,
        body: ChatBody,
        in_reply_to: Option<String>,
        documents: Vec<Document>,
    ) -> Result<GroupMessage, MedipepsError> {
        let (group, case) = (group_id(&group)?, MessageId(message_id(&case_id)?));
        let in_reply_to = in_reply_to.as_deref().map(message_id).transpose()?.map(MessageId);
        let (body, documents) = (Body::Chat(body.into_chat()?), placed(documents)?);
        self.worker
            .call(async move |agent| {
                let number = tell(agent, group, (Some(case), None), body, in_reply_to, documents).await?;
                Ok(GroupMessage::from(&agent.group_message(&group, number)?))
            })
            .await
    }

    /// Closes a case: nothing is added any more.
    ///
    /// # Errors
    /// `NotFound`, `Rejected`.
    pub async fn close_case(&self, group: String, case_id: String, reason: String) -> Result<Case, MedipepsError> {
        self.act(group, case_id, CaseBody::Closing { reason }).await
    }

    /// Opens a closed case again, until it closes by itself where a time is given.
    ///
    /// # Errors
    /// `NotFound`, `Rejected`.
    pub async fn reopen_case(
        &self,
        group: String,
        case_id: String,
        reason: String,
        closes: Option<SystemTime>,
    ) -> Result<Case, MedipepsError> {
        self.act(group, case_id, CaseBody::Reopening { reason, closes: closes.map(milliseconds) }).await
    }

    /// Gives a case another team, instead of the one that it has.
    ///
    /// # Errors
    /// `Argument`, `NotFound`, `Rejected`.
    pub async fn change_case_team(
        &self,
        group: String,
        case_id: String,
        members: Vec<CaseMember>,
    ) -> Result<Case, MedipepsError> {
        let team = team(&members)?;
        self.act(group, case_id, CaseBody::Team { team }).await
    }

    /// A case as this device shows it, signed by it, in the form of `spec/case.md`: for a file that `medipeps case verify` checks.
    ///
    /// # Errors
    /// `NotFound`, `Rejected`.
    pub async fn export_case(&self, group: String, case_id: String) -> Result<Vec<u8>, MedipepsError> {
        let (group, case) = (group_id(&group)?, MessageId(message_id(&case_id)?));
        self.worker.call(async move |agent| Ok(agent.export_case(&group, case)?.encode())).await
    }
}

impl Client {
    async fn act(&self, group: String, case_id: String, act: CaseBody) -> Result<Case, MedipepsError> {
        let (group, case) = (group_id(&group)?, MessageId(message_id(&case_id)?));
        self.worker
            .call(async move |agent| {
                tell(agent, group, (Some(case), None), Body::Case(act), None, Vec::new()).await?;
                Ok(CaseContents::from(agent.case(&group, case)?).case)
            })
            .await
    }
}

/// Puts something about a case or in one into the outbox, and tries to send it. The message's number in the group.
async fn tell(
    agent: &mut Agent,
    group: GroupId,
    (case, patient): (Option<MessageId>, Option<PatientReference>),
    body: Body,
    in_reply_to: Option<MessageId>,
    documents: Vec<agent::Document>,
) -> Result<u64, MedipepsError> {
    find(agent, &group)?;
    let message = message(group, body, in_reply_to);
    let number = agent.send_to_case(SendToCase { case, patient, message }, documents, &mut |_| {}).await?;
    agent.settle_said(&group, number, &mut |_| {}).await?;
    Ok(number)
}
