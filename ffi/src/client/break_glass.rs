//! Access in an emergency, beyond one's role: asked for, agreed to, opened, ended.

use medipeps_client::engine::{BreakGlassInput, Input, OrganisationInput};
use medipeps_client::shell::agent::Agent;
use medipeps_core::organisation::OrganisationId;

use super::Client;
use super::organisation::find;
use crate::MedipepsError;
use crate::error::Code;
use crate::identifier::{message_id, organisation_id};
use crate::record::break_glass::BreakGlassRequest;

#[uniffi::export]
impl Client {
    /// All access in emergencies that was asked for where this account sees it, oldest first.
    ///
    /// # Errors
    /// `NoAccount`
    pub async fn break_glass_requests(&self) -> Result<Vec<BreakGlassRequest>, MedipepsError> {
        self.worker.call(async |agent| Ok(agent.break_glass()?.iter().map(BreakGlassRequest::from).collect())).await
    }

    /// Asks for access: `subject` says to what, `reason` why. `None`: it is not in the group's log yet, and goes on with
    /// [`Client::sync`].
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where the policy allows none.
    pub async fn request_break_glass(
        &self,
        organisation: String,
        reason: String,
        subject: String,
    ) -> Result<Option<BreakGlassRequest>, MedipepsError> {
        let organisation = organisation_id(&organisation)?;
        self.worker
            .call(async move |agent| {
                let known: Vec<_> = agent.break_glass()?.iter().map(|one| one.record.request).collect();
                let own = agent.own_author()?.address;
                carry_out(agent, organisation, BreakGlassInput::Request { organisation, reason, subject }).await?;
                let all = agent.break_glass()?;
                let made = all.iter().rev().find(|one| {
                    one.record.organisation == organisation
                        && one.record.requester == own
                        && !known.contains(&one.record.request)
                });
                Ok(made.map(BreakGlassRequest::from))
            })
            .await
    }

    /// Agrees to a request.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where this account may not, or it was used.
    pub async fn agree_to_break_glass(&self, request: String) -> Result<BreakGlassRequest, MedipepsError> {
        self.go_on(request, |organisation, request| BreakGlassInput::Agree { organisation, request }).await
    }

    /// Opens what was agreed to. It is open once it stands in the group's log and those are told who are to know.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where too few have agreed, or somebody else has asked.
    pub async fn open_break_glass(&self, request: String) -> Result<BreakGlassRequest, MedipepsError> {
        self.go_on(request, |organisation, request| BreakGlassInput::Open { organisation, request }).await
    }

    /// Ends it before its time.
    ///
    /// # Errors
    /// `NotFound`; `Rejected` where somebody else has asked.
    pub async fn end_break_glass(&self, request: String) -> Result<BreakGlassRequest, MedipepsError> {
        self.go_on(request, |organisation, request| BreakGlassInput::End { organisation, request }).await
    }
}

impl Client {
    async fn go_on(
        &self,
        request: String,
        input: impl FnOnce(OrganisationId, [u8; 16]) -> BreakGlassInput + Send + 'static,
    ) -> Result<BreakGlassRequest, MedipepsError> {
        let request = message_id(&request)?;
        self.worker
            .call(async move |agent| {
                let organisation = organisation_of(agent, &request)?;
                carry_out(agent, organisation, input(organisation, request)).await?;
                let all = agent.break_glass()?;
                let found = all.iter().find(|one| one.record.request == request).map(BreakGlassRequest::from);
                found.ok_or_else(unknown)
            })
            .await
    }
}

/// Says it in the group that the policy names, and waits until it stands there as [`Agent::settle_group`] does.
async fn carry_out(agent: &mut Agent, id: OrganisationId, input: BreakGlassInput) -> Result<(), MedipepsError> {
    let organisation = find(agent, &id)?;
    agent.run(Input::Organisation(OrganisationInput::BreakGlass(input)), &mut |_| {}).await?;
    match &organisation.chain.current().policy().break_glass {
        Some(glass) => agent.settle_group(&glass.log_id, &mut |_| {}).await?,
        None => agent.send_due(&mut |_| {}).await?,
    };
    Ok(())
}

fn organisation_of(agent: &mut Agent, request: &[u8; 16]) -> Result<OrganisationId, MedipepsError> {
    let found = agent.break_glass()?.into_iter().find(|one| one.record.request == *request);
    found.map(|one| one.record.organisation).ok_or_else(unknown)
}

fn unknown() -> MedipepsError {
    MedipepsError::new(Code::NotFound, "request", "there is no such request here")
}
