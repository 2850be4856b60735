//! Reports one message of a group: what does not fit a message of its own goes as a sealed body.

use medipeps_core::Address;
use medipeps_core::kind::Body;

use super::{Agent, AgentError, Show, now};
use crate::engine::{EngineError, Event, GroupId, GroupInput, Input, LocalId, ReportMessage, fitting};

impl Agent {
    /// Puts the report of a message into the outbox. Nothing is sent yet.
    ///
    /// # Errors
    /// [`AgentError::Handle`], [`AgentError::SealedCopy`].
    pub async fn report(
        &mut self,
        group: GroupId,
        number: u64,
        (to, reason): (Address, String),
        show: Show<'_>,
    ) -> Result<LocalId, AgentError> {
        let credentials = self.credentials()?.ok_or(EngineError::NoAccount)?;
        let body = Body::Report(self.store.group_report(&group, number, &reason, now(), &mut self.rng)?);
        let placement = fitting(&body, credentials.address.domain(), &[]).map_err(EngineError::from)?;
        let (mut staged, mut body_copy) = (Vec::new(), None);
        if placement.body_blob {
            let encoded = body.encode().map_err(EngineError::from)?;
            body_copy = Some(self.seal(&encoded, &mut staged).await?);
        }
        let command = ReportMessage { group, number, to, reason, body_copy };
        let queued = self.queue_report(command, show).await;
        self.keep_staged(&staged, queued.is_ok()).await;
        queued
    }

    /// Whom the organisation of a group has named for reports, if this account has joined it and nothing contradicts its
    /// statements.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn officer_of(&mut self, group: &GroupId) -> Result<Option<Address>, AgentError> {
        let group = self.groups()?.into_iter().find(|one| one.id == *group);
        let Some(address) = group.and_then(|group| group.group.organisation) else { return Ok(None) };
        let organisations = self.organisations()?;
        let trusted = organisations.iter().filter(|one| one.is_trusted());
        let found = trusted.map(|one| one.chain.current()).find(|statement| *statement.address() == address);
        Ok(found.and_then(|statement| statement.policy().officer.clone()))
    }

    async fn queue_report(&mut self, command: ReportMessage, show: Show<'_>) -> Result<LocalId, AgentError> {
        let mut queued = None;
        let mut see = |event: &Event| {
            if let Event::MessageQueued { id } = event {
                queued = Some(*id);
            }
            show(event);
        };
        self.round(Input::Group(GroupInput::Report(command)), &mut see).await?;
        Ok(queued.ok_or(EngineError::NoProgress)?)
    }
}
