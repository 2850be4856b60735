//! The making of the account: what is asked for, and what came of it.

use super::{AccountAgent, AgentError, NetworkError, Platform, Show};
use crate::engine::{CreateAccount, Event, Input};

impl<P: Platform> AccountAgent<P> {
    /// Makes the account, or goes on making the one that was begun. `show` sees its recovery key before the server is asked.
    ///
    /// # Errors
    /// [`AgentError::Refused`], [`AgentError::Network`] (the keys are kept), [`AgentError::Handle`].
    pub async fn create_account(&mut self, command: CreateAccount, show: Show<'_>) -> Result<(), AgentError> {
        let (mut registered, mut refusal) = (false, None);
        let mut see = |event: &Event| {
            match event {
                Event::Registered => registered = true,
                Event::RegistrationRefused { code } => refusal = Some(code.clone()),
                _ => {}
            }
            show(event);
        };
        let failure = self.run(Input::CreateAccount(command), &mut see).await?;
        // Of one that was made before nothing is told any more.
        let is_made = registered || self.account()?.is_some_and(|account| account.registered);
        match (is_made, refusal, failure) {
            (true, _, _) => Ok(()),
            (false, Some(word), _) => Err(AgentError::Refused(word)),
            (false, None, Some(failure)) => Err(failure.into()),
            (false, None, None) => Err(NetworkError::NoAnswer.into()),
        }
    }
}
