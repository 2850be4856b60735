//! Organisations: what a person is shown of them. What is told about them goes with the mail.

use std::collections::BTreeMap;

use medipeps_core::Address;

use super::{Agent, AgentError, now};
use crate::engine::{
    AdministratorKeySummary, BreakGlassSummary, Certified, DraftSummary, LocalId, MemberSummary, MessageSummary,
    OrganisationSummary,
};

impl Agent {
    /// The keys with which this person administers organisations.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn administrator_keys(&mut self) -> Result<Vec<AdministratorKeySummary>, AgentError> {
        Ok(self.store.administrator_keys(now(), &mut self.rng)?)
    }

    /// All organisations that this device knows.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn organisations(&mut self) -> Result<Vec<OrganisationSummary>, AgentError> {
        Ok(self.store.organisations(now(), &mut self.rng)?)
    }

    /// The other members of one, as far as they are known here.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn organisation_members(
        &mut self,
        organisation: &OrganisationSummary,
    ) -> Result<Vec<MemberSummary>, AgentError> {
        Ok(self.store.organisation_members(organisation, now(), &mut self.rng)?)
    }

    /// What waits for administrators' signatures.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn organisation_drafts(&mut self) -> Result<Vec<DraftSummary>, AgentError> {
        Ok(self.store.organisation_drafts(now(), &mut self.rng)?)
    }

    /// All statements of an organisation, encoded, from the first on.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn organisation_statements(&mut self, organisation: &OrganisationSummary) -> Result<Vec<Vec<u8>>, AgentError> {
        Ok(self.store.organisation_statements(organisation, now(), &mut self.rng)?)
    }

    /// Access in emergencies.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn break_glass(&mut self) -> Result<Vec<BreakGlassSummary>, AgentError> {
        Ok(self.store.break_glass(now(), &mut self.rng)?)
    }

    /// What organisations say of contacts.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn certified_contacts(&mut self) -> Result<BTreeMap<Address, Vec<Certified>>, AgentError> {
        Ok(self.store.certified_contacts(now(), &mut self.rng)?)
    }

    /// What organisations say of the senders of mails.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub fn certified_senders(
        &mut self,
        messages: &[MessageSummary],
    ) -> Result<BTreeMap<LocalId, Vec<Certified>>, AgentError> {
        Ok(self.store.certified_senders(messages, now(), &mut self.rng)?)
    }
}
