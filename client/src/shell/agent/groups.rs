//! Groups: read and written over a connection of their own, and watched while the program stays.

use medipeps_core::wire::client_records::{GroupChangeKind, GroupMessageState, GroupStanding};

use super::{AccountAgent, AgentError, Platform, Show};
use crate::engine::{
    CreateGroup, EngineError, Event, GroupChange, GroupEvent, GroupId, GroupInput, GroupMessage, GroupSummary, Input,
    Wakes,
};
use crate::limits::{GROUP_SETTLE_PAUSE, GROUP_SETTLE_WAIT};
use crate::shell::runtime::{Instant, sleep};

/// What came of changes to a group while somebody waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOutcome {
    /// Why one of them cannot be made, as a word.
    pub failed: Option<String>,
    /// What they wait for.
    pub problem: Option<String>,
}

impl<P: Platform> AccountAgent<P> {
    /// All groups of the account, oldest first.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn groups(&mut self) -> Result<Vec<GroupSummary>, AgentError> {
        Ok(self.store.groups(P::now(), &mut self.rng)?)
    }

    /// One message of a group.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn group_message(&mut self, group: &GroupId, number: u64) -> Result<GroupMessage, AgentError> {
        Ok(self.store.group_message(group, number, P::now(), &mut self.rng)?)
    }

    /// The newest messages of a group, oldest first.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn group_messages(&mut self, group: &GroupId, limit: u64) -> Result<Vec<GroupMessage>, AgentError> {
        Ok(self.store.group_messages(group, limit, P::now(), &mut self.rng)?)
    }

    /// Makes a group, with this account as its owner, and invites the members.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn create_group(&mut self, command: CreateGroup, show: Show<'_>) -> Result<GroupId, AgentError> {
        let mut made = None;
        let mut see = |event: &Event| {
            if let Event::Group { group, event: GroupEvent::Prepared } = event {
                made = Some(*group);
            }
            show(event);
        };
        self.run(Input::Group(GroupInput::Create(command)), &mut see).await?;
        self.send_due(&mut see).await?;
        Ok(made.ok_or(EngineError::NoProgress)?)
    }

    /// Changes a group, one thing after the other, and waits as [`Self::settle_group`] does.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn change_group(
        &mut self,
        group: &GroupId,
        what: Vec<GroupChangeKind>,
        show: Show<'_>,
    ) -> Result<GroupOutcome, AgentError> {
        let mut failed = None;
        let mut see = |event: &Event| {
            if let Event::Group { event: GroupEvent::ChangeFailed { code, .. }, .. } = event {
                failed = Some(code.clone());
            }
            show(event);
        };
        // What somebody else has done meanwhile is read first, so that it is not refused afterwards.
        self.run(Input::Group(GroupInput::ReadAll), &mut see).await?;
        self.send_due(&mut see).await?;
        for what in what {
            self.run(Input::Group(GroupInput::Change(GroupChange { group: *group, what })), &mut see).await?;
        }
        let problem = self.settle_group(group, &mut see).await?;
        Ok(GroupOutcome { failed, problem })
    }

    /// Where this device is woken, and what servers were told of it.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn wakes(&mut self) -> Result<Wakes, AgentError> {
        Ok(self.store.wakes(P::now(), &mut self.rng)?)
    }

    /// Uploads what a message needs, for as long as something moves, and sends it as [`Self::settle_group`] does.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn settle_said(
        &mut self,
        group: &GroupId,
        number: u64,
        show: Show<'_>,
    ) -> Result<Option<String>, AgentError> {
        let mut end = Instant::now() + GROUP_SETTLE_WAIT;
        loop {
            let said = self.group_message(group, number)?;
            let waits = said.message.state == GroupMessageState::Queued && said.message.code.is_some();
            if !waits || Instant::now() >= end {
                return self.settle_group(group, show).await;
            }
            // What moves is worth waiting for, however long it takes.
            if self.transfer_for(GROUP_SETTLE_PAUSE, show).await? {
                end = Instant::now() + GROUP_SETTLE_WAIT;
            }
        }
    }

    /// Sends and reads until a group has nothing on its way any more, for as long as a person waits for a command. What
    /// stands in the way is returned; it goes on with the next `sync`.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn settle_group(&mut self, group: &GroupId, show: Show<'_>) -> Result<Option<String>, AgentError> {
        let end = Instant::now() + GROUP_SETTLE_WAIT;
        loop {
            let problem = self.send_due(show).await?;
            if problem.is_some() || Instant::now() >= end || !self.is_group_busy(group)? {
                return Ok(problem);
            }
            sleep(GROUP_SETTLE_PAUSE).await;
        }
    }

    /// Whether something waits that the next seconds may bring on.
    fn is_group_busy(&mut self, group: &GroupId) -> Result<bool, AgentError> {
        let Some(group) = self.groups()?.into_iter().find(|one| one.id == *group) else { return Ok(false) };
        let soon = P::now().0.saturating_add(u64::try_from(GROUP_SETTLE_WAIT.as_millis()).unwrap_or(u64::MAX));
        let record = &group.group;
        let open = matches!(record.standing, GroupStanding::Making | GroupStanding::Active);
        let waits = !record.changes.is_empty() || record.commit.is_some() || record.next_read <= P::now().0;
        Ok(open
            && (waits || self.store.group_waits(&record.log_id, P::now(), &mut self.rng)?)
            && record.next_attempt <= soon)
    }
}
