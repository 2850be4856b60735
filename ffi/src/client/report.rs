//! Reports: a message of a group, opened to an officer with proof of who has said it.

use medipeps_client::engine::EngineError;

use super::Client;
use super::group::{find, numbered};
use crate::MedipepsError;
use crate::identifier::{AccountAddress, address, group_id};
use crate::record::hex;
use crate::record::mail::{Recipient, SentMail};

#[uniffi::export]
impl Client {
    /// Whom the organisation of a group has named for reports; `None` if there is no such organisation, this account has not joined
    /// it, or it is forked.
    ///
    /// # Errors
    /// `NotFound`
    pub async fn group_officer(&self, group: String) -> Result<Option<AccountAddress>, MedipepsError> {
        let group = group_id(&group)?;
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                Ok(agent.officer_of(&group)?.map(|officer| officer.to_string()))
            })
            .await
    }

    /// Opens one message of a group to somebody, and no other, with proof of who has said it, and tries to send that. `to`: the
    /// officer of the group's organisation where nobody is named. What is not sent goes on with [`Client::sync`].
    ///
    /// # Errors
    /// `Argument`, `NotFound`; `Rejected` with `group` where nothing is proven here.
    pub async fn report_message(
        &self,
        group: String,
        number: i64,
        reason: String,
        to: Option<String>,
    ) -> Result<SentMail, MedipepsError> {
        let (group, number, to) = (group_id(&group)?, numbered(number)?, to.as_deref().map(address).transpose()?);
        self.worker
            .call(async move |agent| {
                find(agent, &group)?;
                let to = match to {
                    Some(to) => to,
                    None => agent.officer_of(&group)?.ok_or(EngineError::NoRecipients)?,
                };
                let id = agent.report(group, number, (to, reason), &mut |_| {}).await?;
                agent.send_due(&mut |_| {}).await?;
                let recipients = agent.outline(id)?.message.recipients;
                Ok(SentMail { id: hex(&id), recipients: recipients.iter().map(Recipient::from).collect() })
            })
            .await
    }
}
