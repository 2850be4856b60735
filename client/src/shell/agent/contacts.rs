//! Other accounts: what is asked for, and what came of it.

use medipeps_core::Address;
use medipeps_core::identity::Verification;

use super::{AccountAgent, AgentError, NetworkError, Platform, Show};
use crate::engine::{Event, Evidence, Input};

impl<P: Platform> AccountAgent<P> {
    /// Fetches and pins somebody's keys, and sends what waited for them. With `accept_new_key`, also keys that are not the pinned
    /// ones: a person has compared safety numbers first. Gives back whether it is a new contact.
    ///
    /// # Errors
    /// [`AgentError::Contact`], [`AgentError::Network`], [`AgentError::Handle`].
    pub async fn add_contact(
        &mut self,
        contact: &Address,
        accept_new_key: bool,
        show: Show<'_>,
    ) -> Result<bool, AgentError> {
        let (mut pinned, mut refusal) = (None, None);
        let mut see = |event: &Event| {
            match event {
                Event::ContactPinned { address, new } if address == contact => pinned = Some(*new),
                Event::ContactRefused { address, problem } if address == contact => refusal = Some(problem.clone()),
                _ => {}
            }
            show(event);
        };
        let input = Input::AddContact { address: contact.clone(), accept_new_key };
        let failure = self.run(input, &mut see).await?;
        match (refusal, pinned, failure) {
            (Some(problem), _, _) => Err(AgentError::Contact { address: contact.clone(), problem }),
            (None, Some(new), _) => {
                // If not now, with the next sync.
                self.send_due(show).await?;
                Ok(new)
            }
            (None, None, Some(failure)) => Err(failure.into()),
            (None, None, None) => Err(NetworkError::NoAnswer.into()),
        }
    }

    /// Compares what a contact's device shows with what is known here, and marks the contact if they are the same.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn verify_contact(&mut self, contact: &Address, evidence: Evidence) -> Result<Verification, AgentError> {
        let mut result = Verification::NotMe;
        let mut see = |event: &Event| {
            if let Event::ContactVerified { result: came, .. } = event {
                result = *came;
            }
        };
        self.run(Input::VerifyContact { address: contact.clone(), evidence }, &mut see).await?;
        Ok(result)
    }

    /// Takes the mark off a contact that was verified. Gives back whether there was one.
    ///
    /// # Errors
    /// [`AgentError::Handle`]
    pub async fn forget_verification(&mut self, contact: &Address) -> Result<bool, AgentError> {
        let mut marked = false;
        let mut see = |event: &Event| {
            if let Event::VerificationForgotten { was_verified, .. } = event {
                marked = *was_verified;
            }
        };
        self.run(Input::ForgetVerification(contact.clone()), &mut see).await?;
        Ok(marked)
    }
}
